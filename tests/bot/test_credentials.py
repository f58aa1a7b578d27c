"""The bot's own tokens, for both app types, from a token endpoint that speaks the real protocol."""

import asyncio
from dataclasses import replace

import jwt
import pytest
from botbuilder.core import serializer_helper

from bot.credentials import token_source
from bot.settings import BotAppType, BotSettings
from simulator.people import APP_ID, APP_SECRET, TEAMS_APP_ID, TENANT_ID
from tests.support.world import World

SCOPE = "https://api.botframework.com/.default"


def settings(world: World) -> BotSettings:
    return BotSettings(
        app_id=APP_ID,
        app_type=BotAppType.SINGLE_TENANT,
        tenant_id=TENANT_ID,
        app_password=APP_SECRET,
        authority=f"https://127.0.0.1:{world.demo.entra_port}",
        oauth_scope="https://api.botframework.com",
        tab_url="",
        teams_app_id=TEAMS_APP_ID,
    )


async def test_a_client_secret(the_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(the_world.demo.state / "entra" / "ca.pem"))
    token = await asyncio.to_thread(token_source(settings(the_world)).get_token, SCOPE)
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert (claims["aud"], claims["appid"]) == ("https://api.botframework.com", APP_ID)


async def test_a_user_assigned_managed_identity(the_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{the_world.entra_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", APP_SECRET)
    managed = replace(settings(the_world), app_type=BotAppType.USER_ASSIGNED_MSI, app_password="")
    token = await asyncio.to_thread(token_source(managed).get_token, SCOPE)
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert (claims["aud"], claims["appid"]) == ("https://api.botframework.com", APP_ID)


def test_the_sdk_still_needs_what_the_conversation_mends() -> None:
    """Fails when a new version of the SDK makes `_create_invoke_response` needless."""
    with pytest.raises(AttributeError, match="is_xml_model"):
        serializer_helper({"already": "plain"})
