"""Claims of a token as Entra ID issues it."""

import time
from typing import Any

from simulator.people import APP_ID, TENANT_ID
from tests.support.world import ANNA, World


def good(world: World) -> dict[str, Any]:
    now = int(time.time())
    return {
        "aud": APP_ID,
        "iss": f"https://127.0.0.1:{world.demo.entra_port}/{TENANT_ID}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "oid": ANNA.object_id,
        "tid": TENANT_ID,
        "scp": "access_as_user",
        "azp": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
        "name": "Anna Berger",
        "ver": "2.0",
    }
