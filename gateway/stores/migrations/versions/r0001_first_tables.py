"""The first tables: passwords of customers, and registrations under way."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "credentials",
        sa.Column("customer_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "registrations",
        sa.Column("id", sa.Text, primary_key=True, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.UniqueConstraint("email", name="uq_registrations_email"),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("registrations")
    op.drop_table("credentials")
