"""Answers and notices arrive, once, also where the channel is busy, fails, or has lost the person."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bot.channel import retry_after
from core.store.timestamps import now
from tests.support.chat import activity, ask, claims, post, set_channel_faults, words
from tests.support.notices import get_last_notice, revoke_anna, wait_until_settled
from tests.support.world import ANNA, BEN, World, eventually

IDS = itertools.count()


async def posts(world: World) -> list[dict[str, Any]]:
    """What the bot has sent: the last hundred, oldest first."""
    async with world.http.get(f"{world.demo.teams_url}/control/posts") as answer:
        return await answer.json()


@pytest.fixture(autouse=True)
async def chat(world: World) -> AsyncIterator[None]:
    await ask(world, ANNA, "status")
    yield
    await set_channel_faults(world)


def number(activities: list[Any]) -> int:
    return sum(bool(entry.get("attachments")) for entry in activities)


@pytest.mark.parametrize("busy", [[429, 429], [{"status": 429, "retryAfter": "1"}], [503], [412]])
async def test_an_answer_waits_for_a_busy_channel_and_comes_once(world: World, busy: list[Any]) -> None:
    await set_channel_faults(
        world, *({"status": fault} if isinstance(fault, int) else fault for fault in busy)
    )
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    body = activity(world, id=f"busy-{next(IDS)}")
    assert await post(world, body, token) == 201
    assert await post(world, body, token) == 201
    answers = (await world.chat(ANNA))[before:]
    assert len(answers) == 1 and number(answers) == 1, "one card, and no apology"


@pytest.mark.parametrize(
    "fault", [{"status": 429, "retryAfter": "3600"}, {"status": 500}, {"status": 502}, "lost-answer"]
)
async def test_what_could_not_be_answered_is_answered_when_it_comes_again(world: World, fault: Any) -> None:
    token = await world.sign(claims(world), "channel")
    body = activity(world, id=f"again-{next(IDS)}")
    await set_channel_faults(world, fault, fault)
    before, sent = len(await world.chat(ANNA)), len(await posts(world))
    assert await post(world, body, token) == 503
    assert all(entry["activity"].get("attachments") for entry in (await posts(world))[sent:]), "no apology"
    await set_channel_faults(world)
    shown = len(await world.chat(ANNA)) - before
    assert await post(world, body, token) == 201
    assert number((await world.chat(ANNA))[before:]) == shown + 1
    assert await post(world, body, token) == 201
    assert number((await world.chat(ANNA))[before:]) == shown + 1


async def test_the_channel_hears_how_long_to_wait(world: World) -> None:
    await set_channel_faults(world, {"status": 429, "retryAfter": "3600"})
    token = await world.sign(claims(world), "channel")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{world.demo.service_url}/api/messages"
    async with world.http.post(url, json=activity(world, id="later"), headers=headers) as answer:
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 3000


async def test_two_deliveries_at_once_are_answered_once(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    body = activity(world, id="at-once")
    statuses = await asyncio.gather(*(post(world, body, token) for _ in range(5)))
    assert statuses == [201] * 5
    assert len(await world.chat(ANNA)) == before + 1


async def test_a_second_delivery_answers_when_the_first_could_not(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    await set_channel_faults(world, {"status": 500}, {"status": 500})
    body = activity(world, id="the-second-one")
    statuses = await asyncio.gather(*(post(world, body, token) for _ in range(2)))
    assert sorted(statuses) == [201, 503]
    assert len(await world.chat(ANNA)) == before + 1


async def test_a_refused_answer_is_not_asked_for_again(world: World) -> None:
    await set_channel_faults(world, {"status": 413, "code": "MessageSizeTooBig"})
    token = await world.sign(claims(world), "channel")
    sent = len(await posts(world))
    assert await post(world, activity(world, id="too-big"), token) == 201
    assert len(await posts(world)) == sent + 1


async def test_a_notice_that_the_channel_failed_over_is_repeated_once_at_most(world: World) -> None:
    await set_channel_faults(world, *[{"status": 502, "shown": True}] * 5)
    before = await revoke_anna(world)
    notice = await wait_until_settled(world)
    assert notice["given_up"] and notice["doubtful"]
    assert len(await world.chat(ANNA)) == before + 2


async def test_a_notice_comes_when_the_channel_says(world: World) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    await set_channel_faults(world, {"status": 429, "retryAfter": at})
    await revoke_anna(world)

    async def waits() -> bool:
        notice = get_last_notice(world)
        due = datetime.fromtimestamp(notice["next_attempt_at"] / 1000, UTC) - datetime.now(UTC)
        return notice["attempts"] == 1 and timedelta(minutes=9) < due < timedelta(minutes=11)

    await eventually(waits, "the notice waits for as long as the channel said")


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "ConversationBlockedByUser", "blocked"),
        (403, "MessageWritesBlocked", "blocked"),
        (403, "BotDisabledByAdmin", "disabled"),
        (403, "BotNotInConversationRoster", "removed"),
        (404, "ConversationNotFound", "removed"),
    ],
)
async def test_the_tab_says_why_the_bot_cannot_write(
    world: World, status: int, code: str, reason: str
) -> None:
    await set_channel_faults(world, {"status": status, "code": code})
    await revoke_anna(world)
    assert (await wait_until_settled(world))["given_up"]
    state = (await world.client(ANNA).call("GET", "notices")).body
    assert (state["reachable"], state["unreachableReason"]) == (False, reason)
    await ask(world, ANNA, "status")
    state = (await world.client(ANNA).call("GET", "notices")).body
    assert (state["reachable"], state["unreachableReason"]) == (True, None)


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 404, "code": "Nothing"}, {"status": 401}])
async def test_a_refusal_that_does_not_concern_the_person_closes_nothing(world: World, fault: Any) -> None:
    await set_channel_faults(world, fault)
    await revoke_anna(world)
    await wait_until_settled(world)
    assert (await world.client(ANNA).call("GET", "notices")).body["reachable"]


async def test_who_blocks_the_bot_while_it_answers_is_noticed_as_well(world: World) -> None:
    await set_channel_faults(world, {"status": 403, "code": "ConversationBlockedByUser"})
    token = await world.sign(claims(world), "channel")
    assert await post(world, activity(world, id="blocked"), token) == 201
    assert (await world.client(ANNA).call("GET", "notices")).body["unreachableReason"] == "blocked"


async def test_removing_and_adding_the_app(world: World) -> None:
    notices = world.client(ANNA)
    await world.say(ANNA, type="installationUpdate", action="remove-upgrade")
    assert (await notices.call("GET", "notices")).body["reachable"], "an update of the app removes nothing"
    before = len(await world.chat(ANNA))
    await world.say(ANNA, type="installationUpdate", action="remove")
    assert (await notices.call("GET", "notices")).body["unreachableReason"] == "removed"
    assert len(await world.chat(ANNA)) == before
    await world.say(ANNA, type="installationUpdate", action="add")
    assert (await notices.call("GET", "notices")).body["reachable"]
    assert len(await world.chat(ANNA)) == before + 1


async def test_who_never_had_a_chat_has_none_by_removing_the_app(world: World) -> None:
    with world.database() as database:
        database.execute("DELETE FROM conversation WHERE object_id = ?", (BEN.object_id,))
    await world.say(BEN, type="installationUpdate", action="remove")
    state = (await world.client(BEN).call("GET", "notices")).body
    assert (state["reachable"], state["unreachableReason"]) == (False, "no-chat")


async def test_toasts_and_the_list_of_chats_say_something(world: World) -> None:
    await ask(world, ANNA, "status", "de-DE")
    assert (await posts(world))[-1]["activity"]["summary"] == "Sie sind nicht angemeldet"
    await revoke_anna(world)
    await wait_until_settled(world)
    notice = (await posts(world))[-1]["activity"]
    assert notice["summary"] == "Sie wurden abgemeldet"
    assert "text" not in notice, "it would stand above the card"
    assert "Clara Vogt" in words(notice["attachments"][0]["content"])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("9" * 90, 86_400),
        ("-5", None),
        ("1.5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_seconds(header: str | None, seconds: int | None) -> None:
    assert retry_after(header) == (timedelta(seconds=seconds) if seconds is not None else None)


def test_retry_after_as_a_date() -> None:
    later = retry_after(format_datetime(now() + timedelta(seconds=90), usegmt=True))
    assert later is not None and timedelta(seconds=85) < later <= timedelta(seconds=90)
    assert retry_after(format_datetime(now() - timedelta(days=1), usegmt=True)) == timedelta()
    for nonsense in ("tomorrow", "Mon, 99 Foo 2027", "Mon, 01 Jan 99999999 00:00:00 GMT"):
        assert retry_after(nonsense) is None
