"""An issuer of tokens, whose document of keys a test sets."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from core.identity.signing_keys import SigningKeys
from core.identity.tokens import TabTokenValidator
from simulator.entra import SigningKey
from tests.support.starface import serving

AUTHORITY = "https://login.example.com"
HOME_TENANT = "7d0a6f3e-3c1b-4d6e-9a51-2f7f0f6c1a01"
PERSON_ID = "11111111-1111-4111-8111-111111111111"
TEAMS_CLIENT_ID = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"


class Issuer:
    """Serves the document that a test sets."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.document: Any = {"keys": []}

    def validator(self) -> TabTokenValidator:
        return TabTokenValidator(SigningKeys(jwks_url=self.url), ("app",), AUTHORITY, (), (TEAMS_CLIENT_ID,))


def sign_token(key: SigningKey, tenant: str = HOME_TENANT, **claims: Any) -> str:
    now = int(time.time())
    given = {
        "aud": "app", "iss": f"{AUTHORITY}/{tenant}/v2.0", "iat": now, "nbf": now, "exp": now + 600,
        "tid": tenant, "oid": PERSON_ID, "scp": "access_as_user", "azp": TEAMS_CLIENT_ID,
    }  # fmt: skip
    return (
        f"Bearer {key.sign({name: value for name, value in (given | claims).items() if value is not None})}"
    )


@asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer("")

    async def keys(_request: web.Request) -> web.Response:
        return web.json_response(issuer.document)

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with serving(app) as port:
        issuer.url = f"http://127.0.0.1:{port}/keys"
        yield issuer
