"""Notices of the bot, as the database and the chat show them."""

import sqlite3
from contextlib import closing
from typing import Any

from tests.support.world import ANNA, CLARA, World, eventually


async def revoke_anna(world: World) -> int:
    """Sign Anna in, and let the administrator revoke her session. Return how many activities her chat had before."""
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    before = len(await world.chat(ANNA))
    holders = (await clara.call("GET", "licences")).body["holders"]
    session_id = next(holder["sessionId"] for holder in holders if holder["displayName"] == "Anna Berger")
    await clara.call("POST", "licences/revoke", {"sessionIds": [session_id], "reason": "Lunch"})
    return before


def get_last_notice(world: World) -> Any:
    """Return the newest row of the table `notice`."""
    with closing(sqlite3.connect(world.demo.state / "pbx-teams.db")) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT * FROM notice ORDER BY created_at DESC, id DESC LIMIT 1").fetchone()


async def wait_until_settled(world: World, object_id: str = ANNA.object_id) -> Any:
    """Wait until the last notice is delivered or given up, and return its row."""

    async def row() -> Any:
        notice = get_last_notice(world)
        done = notice["delivered_at"] is not None or notice["given_up"]
        return notice if done and notice["object_id"] == object_id else None

    return await eventually(row, "the notice is settled", seconds=20)
