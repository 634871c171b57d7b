"""Attempts at passwords that replicas count together, and from where passwords were right."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Only add, so that gateways of the revisions before can use the database beside those of this one."""
    for name in ("login_attempts", "login_places"):
        op.create_table(
            name,
            sa.Column("key", sa.LargeBinary, primary_key=True, nullable=False),
            sa.Column("until", sa.BigInteger, nullable=False),
        )
        op.create_index(f"ix_{name}_until", name, ["until"])


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("login_places")
    op.drop_table("login_attempts")
