"""The bot's client secret expires: nobody is left guessing why the bot is silent."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from bot.credentials import BotTokenFault, ChannelToken, TokenUnavailableError
from tests.support.chat import activity, ask, claims, post
from tests.support.world import ANNA, World, eventually


async def expire(world: World, *, expired: bool) -> None:
    async with world.http.put(f"{world.entra_url}/control/secret", json={"expired": expired}) as answer:
        assert answer.status == 200


async def ready(world: World) -> tuple[int, dict[str, Any]]:
    async with world.http.get(f"{world.demo.service_url}/readyz") as answer:
        return answer.status, await answer.json()


@pytest.fixture
async def expired(world: World) -> AsyncIterator[World]:
    await ask(world, ANNA, "status")
    await expire(world, expired=True)
    await world.demo.stop_part("service")
    await world.demo.start_service()
    await world.connected()
    yield world
    await expire(world, expired=False)


async def test_readiness_log_and_tab_name_the_cause_and_the_cure(expired: World) -> None:
    async def seen() -> bool:
        return (await ready(expired))[1]["bot"] != "ok"

    await eventually(seen, "the first fetch has failed")
    status, body = await ready(expired)
    assert (status, body["status"], body["bot"]) == (200, "ready", "no token: secret-expired")
    lines = [entry for entry in expired.log_entries() if entry.get("fault") == "secret-expired"]
    assert len(lines) == 1 and "--new-secret" in lines[0]["cure"] and lines[0]["answer"] == "AADSTS7000222"
    headers = {"Authorization": f"Bearer {expired.demo.metrics_token()}"}
    async with expired.http.get(f"{expired.demo.service_url}/metrics", headers=headers) as answer:
        metrics = await answer.text()
    assert "pbx_teams_bot_signed_in 0.0" in metrics
    assert 'pbx_teams_bot_token_failures_total{reason="secret-expired"}' in metrics
    state = (await expired.client(ANNA).call("GET", "notices")).body
    assert (state["reachable"], state["unreachableReason"]) == (False, "service")
    token = await expired.sign(claims(expired), "channel")
    assert await post(expired, activity(expired, id="while-expired"), token) == 503
    await expire(expired, expired=False)

    async def answered() -> bool:
        return await post(expired, activity(expired, id="while-expired"), token) == 201

    await eventually(answered, "it is answered as soon as there is a token again", seconds=30)
    assert (await ready(expired))[1]["bot"] == "ok"
    lines = [entry for entry in expired.log_entries() if entry.get("fault") == "secret-expired"]
    assert len(lines) == 1, "said once"


class Source:
    """A source of tokens that does what the test says."""

    def __init__(self, *answers: Exception | AccessToken) -> None:
        self.answers = list(answers)
        self.asked = 0

    def get_token(self, *_scopes: str) -> AccessToken:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LATER = 4_000_000_000


@pytest.mark.parametrize(
    ("refusal", "fault"),
    [
        (ClientAuthenticationError("AADSTS7000222: The keys are expired."), BotTokenFault.SECRET_EXPIRED),
        (ClientAuthenticationError("AADSTS7000215: Invalid client secret."), BotTokenFault.SECRET_WRONG),
        (ClientAuthenticationError("invalid_client"), BotTokenFault.SECRET_WRONG),
        (ClientAuthenticationError("AADSTS700016: no such application"), BotTokenFault.REFUSED),
        (ServiceRequestError("no route"), BotTokenFault.UNREACHABLE),
        (ValueError("odd"), BotTokenFault.UNREACHABLE),
    ],
)
async def test_why_there_is_no_token(refusal: Exception, fault: BotTokenFault) -> None:
    source = Source(refusal)
    token = ChannelToken(source, "https://api.botframework.com")
    for _ in range(3):
        with pytest.raises(TokenUnavailableError) as raised:
            await token.get()
        assert raised.value.fault is fault
    assert source.asked == 1, "after a refusal nobody asks again at once"
    assert token.fault is fault and token.failures == {fault: 1}


async def test_one_fetch_for_all_who_wait() -> None:
    source = Source(AccessToken("a", LATER))
    token = ChannelToken(source, "https://api.botframework.com")
    assert set(await asyncio.gather(*(token.get() for _ in range(20)))) == {"a"}
    assert source.asked == 1


async def test_a_token_that_the_channel_rejects_is_requested_again() -> None:
    source = Source(AccessToken("a", LATER), AccessToken("b", LATER))
    token = ChannelToken(source, "https://api.botframework.com")
    token.forget(await token.get())
    assert await token.get() == "b"
    token.forget("a")
    assert await token.get() == "b"
