"""Alembic's entry: migrations run on the connection that `core.store.database.upgrade` hands over."""

from alembic import context

from core.store.database import migration_connection
from core.store.tables import metadata

connection = migration_connection(context.config)
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False
)
context.run_migrations()
