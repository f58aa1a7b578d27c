"""The migrations make exactly the schema that the tables describe, on both databases."""

import asyncio
import hashlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from core.store import tables
from core.store.audio import AudioStore
from core.store.database import Database, address_of, upgrade, upgrade_async
from core.store.errors import UnusableDatabaseError
from core.store.tables import metadata
from core.store.timestamps import to_ms


# SQLite does not tell what an index of an expression is over; tests/core/store/test_query_plans.py sees that it is there.
@pytest.mark.filterwarnings("ignore:.*expression.*")
async def test_upgrading_makes_the_schema_and_twice_changes_nothing(empty_database_url: str) -> None:
    # Two replicas that start at once.
    await asyncio.gather(upgrade_async(empty_database_url), upgrade_async(empty_database_url))
    await upgrade_async(empty_database_url)
    engine = create_async_engine(address_of(empty_database_url).engine_url)
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
def test_an_address_that_cannot_be_used_is_reported(url: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="DATABASE_URL"):
        address_of(url)


def test_a_database_that_is_not_there_is_reported() -> None:
    with pytest.raises(UnusableDatabaseError, match="cannot be used"):
        upgrade("postgresql+asyncpg://nobody@127.0.0.1:9/none")


async def test_stored_names_stay_and_get_their_one_form(empty_database_url: str) -> None:
    """Letters beyond ASCII become A-labels unless somebody has those; what is no host name stays as it is."""
    await asyncio.to_thread(upgrade, empty_database_url, to="0008")
    names = {
        "plain": "pbx.example.com",
        "umlaut": "b\u00fcro.example.com",
        "taken": "stra\u00dfe.example",
        "taker": "xn--strae-oqa.example",
        "underscore": "my_pbx",
        "emoji": "\U0001f600.example.com",
    }
    engine = create_async_engine(address_of(empty_database_url).engine_url)
    async with engine.begin() as connection:
        for pbx_id, name in names.items():
            await connection.execute(
                text(
                    "INSERT INTO pbx (id, name, identity, key_hmac, claimed_at, link_epoch, refused_keys)"
                    " VALUES (:id, :name, :id, 'k', 0, 1, '[]')"
                ),
                {"id": pbx_id, "name": name},
            )
        await connection.execute(
            text(
                "INSERT INTO refused_claim (pbx_id, identity, address, connector_version, at)"
                " VALUES ('plain', 'i', '2001:db8::1', '1', 7)"
            )
        )
    await upgrade_async(empty_database_url)
    async with engine.connect() as connection:
        found = dict((await connection.execute(text("SELECT id, name FROM pbx"))).all())
        claim = (await connection.execute(text("SELECT address_group, first_at FROM refused_claim"))).one()
    await engine.dispose()
    assert found == names | {"umlaut": "xn--bro-hoa.example.com"}
    assert tuple(claim) == ("2001:db8::/64", 7)


async def test_pairing_codes_from_before_the_pepper_are_no_longer_valid(empty_database_url: str) -> None:
    """And nothing else of a person goes: probes that are paired stay so."""
    code, at = "ABCDEFGH", datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
    await asyncio.to_thread(upgrade, empty_database_url, to="0012")
    database = Database(empty_database_url)
    async with database.writing() as connection:
        await connection.execute(
            insert(tables.audio_pairing).values(
                tenant_id="t", object_id="anna", code_hash=sha256(code), expires_at=to_ms(at) + 600_000
            )
        )
        await connection.execute(
            insert(tables.audio_probe).values(
                id="i", tenant_id="t", object_id="anna", token_hash=sha256("token"), machine="m",
                platform="linux", version="1", paired_at=to_ms(at), last_seen_at=to_ms(at),
            )
        )  # fmt: skip
    await upgrade_async(empty_database_url)
    store = AudioStore(database, b"p" * 32)
    async with database.reading() as connection:
        assert (await connection.execute(select(tables.audio_pairing))).all() == []
    assert await store.redeem(code, "m", "linux", "1", at) is None
    assert await store.get_probe("token", "1", at) is not None
    code, _ = await store.new_code(("t", "anna"), at)
    assert await store.redeem(code, "m", "linux", "1", at) is not None
    await database.close()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
