"""Many people who are signed in, written into the database of a running world, with names as people have them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from tests.support.world import World

TENANT: Final = "crowd"
NAMES: Final = (
    "<img src=x onerror=alert(1)> & Söhne",
    "\u05d3\u05d5\u05d3 \u05db\u05d4\u05df",  # right to left
    "Donaudampfschiff" * 12,
    "Zoë Krüger",
    "Ana Lima",
)
"""Markup, a name from right to left, one of 192 characters, umlauts, and a plain one."""
_COLUMNS: Final = (
    "id, tenant_id, object_id, teams_name, pbx_id, pbx_user_id, pbx_login, display_name, email, is_administrator,"
    " licence_kind, proof, started_at, licence_since, last_seen_at"
)


@contextmanager
def crowd(world: World, count: int, *, unseen: timedelta = timedelta(0)) -> Iterator[None]:
    """Sign `count` people in with licences of their own. They were last seen that long ago."""
    at = round((datetime.now(UTC) - unseen).timestamp() * 1000)
    with closing(world.database()) as database, database:
        (pbx_id,) = database.execute("SELECT id FROM pbx").fetchone()
        database.executemany(
            f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0, 'UAL', 'password', ?, ?, ?)",
            (
                (
                    str(uuid4()),
                    TENANT,
                    str(uuid4()),
                    f"Crowd {number}",
                    pbx_id,
                    100_000 + number,
                    f"c{number}",
                    f"{NAMES[number % len(NAMES)]} {number}",
                    at,
                    at,
                    at,
                )
                for number in range(count)
            ),
        )
    try:
        yield
    finally:
        with closing(world.database()) as database, database:
            database.execute("DELETE FROM session WHERE tenant_id = ?", (TENANT,))
            database.execute("DELETE FROM session_end WHERE tenant_id = ?", (TENANT,))
