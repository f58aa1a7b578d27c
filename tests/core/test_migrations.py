"""The migrations make exactly the schema that the tables describe, on both databases."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from core.store.database import UnusableDatabaseError, address_of, upgrade, upgrade_async
from core.store.tables import metadata


async def test_upgrading_makes_the_schema_and_twice_changes_nothing(database_url: str) -> None:
    # Two replicas that start at once.
    await asyncio.gather(upgrade_async(database_url), upgrade_async(database_url))
    await upgrade_async(database_url)
    engine = create_async_engine(address_of(database_url).engine_url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda plain: compare_metadata(MigrationContext.configure(plain), metadata)
        )
    await engine.dispose()
    assert differences == []


async def test_a_new_file_that_another_replica_just_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE of_the_other (x)")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO of_the_other VALUES (1)")
    # Now the change to WAL is refused at once, however long the connection is ready to wait.
    waiting = asyncio.create_task(upgrade_async(f"sqlite:///{path}"))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done, "it waits for the other instead of failing"
    other.execute("COMMIT")
    other.close()
    await waiting


def test_sessions_and_audit_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    upgrade(f"sqlite:///{path}", to="0001")
    with sqlite3.connect(path) as old:
        old.executescript(
            """
            INSERT INTO pbx (id, name, identity, key_hmac, claimed_at, link_epoch) VALUES ('p', 'n', 'i', 'k', 0, 1);
            INSERT INTO pool (id, serial, pbx_id, licensee, valid_from, valid_until, withdrawn)
              VALUES ('o', 's', 'p', 'l', 0, 9, 0);
            INSERT INTO seat (pool_id, number, pbx_id, holder, taken_at, retired) VALUES ('o', 1, 'p', 7, 55, 0);
            INSERT INTO session VALUES
              ('x', 't', 'u', 'T', 'p', 7, '7', 'U', '', 0, 'FL', 'o', 1, 'password', 50, 60);
            INSERT INTO audit (id, at, pbx_id, kind, actor, subject, detail)
              VALUES ('b', 2, 'p', 'ended', 'a', 's', '{}'), ('a', 1, 'p', 'granted', 'a', 's', '{}');
            """
        )
    old.close()
    upgrade(f"sqlite:///{path}")
    with sqlite3.connect(path) as new:
        session = new.execute("SELECT started_at, licence_since, last_seen_at FROM session").fetchone()
        holders = new.execute("SELECT holder FROM seat").fetchall()
        kinds = [kind for (kind,) in new.execute("SELECT kind FROM audit ORDER BY id")]
    new.close()
    assert session == (50, 55, 60)
    assert holders == [(7,)]
    assert kinds == ["granted", "ended"]


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://x/y", "postgresql+psycopg2://x/y", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_cannot_be_used_is_told(url: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="DATABASE_URL"):
        address_of(url)


def test_a_database_that_is_not_there_is_told() -> None:
    with pytest.raises(UnusableDatabaseError, match="cannot be used"):
        upgrade("postgresql+asyncpg://nobody@127.0.0.1:9/none")
