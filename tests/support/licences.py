"""What an administrator does on the licence page."""

from typing import Any

from tests.support.world import CLARA, World

NO_RULES = {"idleHours": None, "reservations": [], "admitted": None}
"""The policy of a pool as an administrator finds it at first."""


async def revoke_session(world: World, person: Any) -> None:
    """Revoke a person's session as Clara, who administers the PBX."""
    clara = world.client(CLARA)
    (session_id,) = [
        holder["sessionId"]
        for holder in (await clara.call("GET", "licences")).body["holders"]
        if holder["login"] == person.login
    ]
    assert (await clara.call("POST", "licences/revoke", {"sessionIds": [session_id]})).status == 200


async def get_only_pool(world: World) -> Any:
    """Return the PBX's only pool, as its administrator sees it."""
    (only,) = (await world.client(CLARA).call("GET", "licences")).body["pools"]
    return only
