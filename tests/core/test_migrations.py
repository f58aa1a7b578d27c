"""The migrations make exactly the schema that the tables describe."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from core.store.database import UnusableDatabaseError, sqlite_path, upgrade
from core.store.tables import metadata


def test_upgrading_makes_the_schema_and_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'test.db'}"
    upgrade(url)
    upgrade(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://x/y", "postgresql+asyncpg://x/y", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_cannot_be_used_is_told(url: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="DATABASE_URL"):
        sqlite_path(url)
