"""The simulated Entra ID, used by Microsoft's own library."""

import asyncio

import jwt
import msal
import pytest

from simulator.people import APP_ID, APP_SECRET, TENANT_ID
from tests.support.world import ANNA, World


@pytest.fixture
def confidential(the_world: World, monkeypatch: pytest.MonkeyPatch) -> msal.ConfidentialClientApplication:
    # An environment that names a bundle of its own would win over `verify`.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(the_world.demo.state / "entra" / "ca.pem"))
    return msal.ConfidentialClientApplication(
        APP_ID,
        client_credential=APP_SECRET,
        authority=f"https://127.0.0.1:{the_world.demo.entra_port}/{TENANT_ID}",
        instance_discovery=False,
    )


async def test_on_behalf_of(the_world: World, confidential: msal.ConfidentialClientApplication) -> None:
    assertion = await the_world.client(ANNA).token()
    answer = await asyncio.to_thread(confidential.acquire_token_on_behalf_of, assertion, ["User.Read"])
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["oid"] == ANNA.object_id and claims["aud"] == "https://graph.microsoft.com"
    refused = await asyncio.to_thread(confidential.acquire_token_on_behalf_of, "nonsense", ["User.Read"])
    assert refused["error"] == "invalid_grant"


async def test_client_credentials(confidential: msal.ConfidentialClientApplication) -> None:
    scopes = ["https://api.botframework.com/.default"]
    answer = await asyncio.to_thread(confidential.acquire_token_for_client, scopes)
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["aud"] == "https://api.botframework.com" and claims["appid"] == APP_ID


async def test_the_port_answers_plain_http_too(the_world: World) -> None:
    async with the_world.http.get(f"{the_world.entra_url}/common/discovery/v2.0/keys") as answer:
        assert (await answer.json())["keys"][0]["kty"] == "RSA"
