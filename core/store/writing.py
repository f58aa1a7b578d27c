"""Open the writer for a database."""

from collections.abc import Mapping

from core.store import postgres_writer, sqlite_writer
from core.store.database import Address, PostgresAddress
from core.store.transaction import Writer


def open_writer(
    address: Address,
    on_sqlite: Mapping[str, sqlite_writer.Group] | None = None,
    on_postgresql: Mapping[str, postgres_writer.Group] | None = None,
) -> Writer:
    """Open a writer with the groups of its database. PostgreSQL needs a running event loop."""
    if isinstance(address, PostgresAddress):
        return postgres_writer.PostgresWriter(address.dsn, on_postgresql, address.tls)
    return sqlite_writer.SqliteWriter(address.path, on_sqlite)
