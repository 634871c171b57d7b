"""Password resets that were asked for and not spent, at most one for each customer."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Only add, so that gateways of the revisions before can use the database beside those of this one."""
    op.create_table(
        "password_resets",
        sa.Column("customer_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.UniqueConstraint("token_hash", name="uq_password_resets_token_hash"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("password_resets")
