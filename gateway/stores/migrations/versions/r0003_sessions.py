"""What sessions need: numbers from one counter, each customer's version, who is blocked, and the log-outs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Only add, so that gateways of the revisions before can use the database beside those of this one."""
    op.create_table(
        "numbers",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "customers",
        sa.Column("customer_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("is_blocked", sa.Boolean, nullable=False),
        sa.UniqueConstraint("number", name="uq_customers_number"),
    )
    op.create_table(
        "log_outs",
        sa.Column("number", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.Text),
        sa.UniqueConstraint("version", name="uq_log_outs_version"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("log_outs")
    op.drop_table("customers")
    op.drop_table("numbers")
