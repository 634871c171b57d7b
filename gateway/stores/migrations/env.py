"""Run by Alembic, never imported: applies the revisions on the connection that `schema.upgrade` opened.

It opens nothing and leaves logging alone.
"""

from alembic import context

from gateway.stores.schema import metadata

# No transaction is begun here: the caller's covers all steps, so that a failed upgrade leaves the database as it was.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
