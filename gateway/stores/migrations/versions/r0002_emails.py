"""Who has an e-mail in hand, and whom the upstream showed with it last; whom an intent made."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Only add, so that gateways of revision 0001 can use the database beside those of this one."""
    op.add_column("registrations", sa.Column("customer_id", sa.Text))
    op.create_table(
        "emails",
        sa.Column("email", sa.Text, primary_key=True, nullable=False),
        sa.Column("customer_id", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("deadline", sa.Double),
    )
    op.create_index("ix_emails_customer_id", "emails", ["customer_id"])


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("emails")
    op.drop_column("registrations", "customer_id")
