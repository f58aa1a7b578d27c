"""The telephone with a real hub and WebSocket, on both databases: the consent, requests, and notifications."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import text

from app.connector_door import serve_connector
from core.administration.trust_report import TrustReport
from core.background import cancel_and_wait
from core.diagnosis.codes import Code
from core.hub.bus import Bus, phone_topic
from core.hub.hub import Hub
from core.hub.line_changes import LINE_CHANGES
from core.hub.plane import NoPlane
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import TenantTrust
from core.licensing.session import EndCause
from core.phone import telephone as module
from core.phone.telephone import Telephone
from tests.support.book import Book
from tests.support.linked_connector import EMPTY_LINE, LinkedConnector
from tests.support.refusals import refusal_of
from tests.support.world import eventually, free_ports
from wire.link import Capability
from wire.model import Empty
from wire.phone import NOTHING_KNOWN, Dialled, Feature, LineState, Offer, PhoneLine, PhoneMethod
from wire.sealing import SealedBox

TENANT = "aaaaaaaa-2222-4333-8444-555555555555"
CALL = "11111111-2222-4333-8444-555555555555"
BOX = SealedBox(ephemeral_key="A" * 87, nonce="A" * 16, ciphertext="AAAA")
NOT_OF_ONE_PERSON = {PhoneMethod.CHANGED, PhoneMethod.KEEP, PhoneMethod.DIAL, PhoneMethod.CAPABILITIES}


class Site:
    def __init__(self, book: Book, hub: Hub, bus: Bus, telephone: Telephone, url: str) -> None:
        self.book = book
        self.hub = hub
        self.bus = bus
        self.telephone = telephone
        self.url = url
        self.connector = LinkedConnector("phones.example.com")
        self.tellings = 0

    async def sign_in(self, number: int) -> TeamsUser:
        user = TeamsUser(TENANT, f"00000000-0000-4000-8000-{number:012}", f"Teams {number}")
        pbx = {"pbx_id": self.connector.pbx_id, "pbx_name": self.connector.peer.name}
        request = await self.book.request(number, ual=True, teams_user=user, **pbx)
        await self.book.ledger.open_session(request)
        return request.teams_user

    async def switched_on(self, number: int) -> TeamsUser:
        user = await self.sign_in(number)
        assert isinstance(await self.telephone.open(user, "n", BOX), PhoneLine)
        return user

    async def audited(self) -> list[tuple[str, str, str]]:
        query = "SELECT kind, detail, actor_kind FROM audit WHERE kind LIKE 'phone-%' ORDER BY id"
        async with self.book.database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(query))]


@pytest.fixture
async def bare(book: Book) -> AsyncIterator[tuple[Site, aiohttp.ClientSession]]:
    """Without a connector."""
    registry = Registry(book.database, book.ledger.writer, b"pepper", enrolment_required=False)
    plane = NoPlane()
    bus = Bus(plane)

    async def no_keys(_pbx_id: str, _keys: list[str], _epoch: int) -> list[Any]:
        return []

    async def unheard(_pbx_id: str, *_changed: object) -> None:
        return None

    async def lines_changed(pbx_id: str, user_ids: Any) -> None:
        site.tellings += 1
        await telephone.lines_changed(pbx_id, user_ids)

    trust = TrustReport(TenantTrust(book.database), "00000000-0000-4000-8000-000000000000")
    hub = Hub(registry, plane, bus, no_keys, unheard, unheard, lines_changed, trust.read)
    telephone = Telephone(hub, registry, book.database, bus)
    app = web.Application()

    async def door(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, hub)

    app.router.add_get("/link", door)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    running = asyncio.create_task(telephone.run())
    async with aiohttp.ClientSession() as http:
        site = Site(book, hub, bus, telephone, f"http://127.0.0.1:{port}/link")
        yield site, http
        await site.connector.close()
        await hub.drain(0)
    await cancel_and_wait(running)
    await runner.cleanup()


@pytest.fixture
async def site(bare: tuple[Site, aiohttp.ClientSession]) -> Site:
    site, http = bare
    await site.connector.connect(http, site.url, Capability.SEALED_ANSWERS, Capability.TELEPHONE)
    return site


async def code_of(request: Awaitable[object]) -> Code:
    return (await refusal_of(request)).code


async def test_a_telephone_is_off_until_its_person_switches_it_on(site: Site) -> None:
    anna = await site.sign_in(1)
    for request in (
        site.telephone.line(anna),
        site.telephone.dial(anna, "0721", CALL),
        site.telephone.set_do_not_disturb(anna, is_on=True),
    ):
        assert await code_of(request) is Code.PHONE_OFF
    assert not site.connector.times(PhoneMethod.LINE), "nobody was asked"
    prepared = await site.telephone.prepare(anna)
    assert prepared.login
    line = await site.telephone.open(anna, prepared.nonce, BOX)
    assert isinstance(line, PhoneLine) and line.state is LineState.UP and Feature.DIAL in line.features
    dialled = await site.telephone.dial(anna, "0721 1", CALL, is_confirmed=True)
    assert isinstance(dialled, Dialled) and dialled.phone == "Desk"
    method, asked = site.connector.asked[-1]
    assert method == PhoneMethod.DIAL
    assert (asked["userId"], asked["callId"], asked["number"], asked["isConfirmed"]) == (
        1,
        CALL,
        "0721 1",
        True,
    )
    await site.telephone.close(anna)
    assert await code_of(site.telephone.line(anna)) is Code.PHONE_OFF

    async def forgotten() -> bool:
        return not site.connector.lines

    await eventually(forgotten, "the connector was told")
    assert await site.audited() == [
        ("phone-on", "{}", "person"),
        ("phone-off", '{"cause": "by-person"}', "person"),
    ]


async def test_nobody_telephones_without_a_session(site: Site) -> None:
    nobody = TeamsUser(TENANT, CALL, "Nobody")
    assert await code_of(site.telephone.line(nobody)) is Code.NOT_SIGNED_IN
    assert await code_of(site.telephone.open(nobody, "n", BOX)) is Code.NOT_SIGNED_IN


async def test_administration_alone_has_no_telephone(site: Site) -> None:
    clara = await site.switched_on(3)
    async with site.book.database.writing() as connection:
        await connection.execute(text("UPDATE session SET licence_kind = 'ADM' WHERE pbx_user_id = 3"))
    assert await code_of(site.telephone.line(clara)) is Code.PHONE_NEEDS_LICENCE
    assert await code_of(site.telephone.open(clara, "n", BOX)) is Code.PHONE_NEEDS_LICENCE

    async def forgotten() -> bool:
        return not site.connector.lines

    await eventually(forgotten, "the connector keeps no line of somebody without a licence")
    assert (await site.audited())[-1] == ("phone-off", '{"cause": "licence-lost"}', "system")


async def test_an_old_connector_offers_no_telephone_and_is_asked_nothing(
    bare: tuple[Site, aiohttp.ClientSession],
) -> None:
    site, http = bare
    await site.connector.connect(http, site.url, Capability.SEALED_ANSWERS)
    anna = await site.sign_in(1)
    assert await code_of(site.telephone.line(anna)) is Code.PHONE_NOT_OFFERED
    assert await code_of(site.telephone.open(anna, "n", BOX)) is Code.PHONE_NOT_OFFERED
    await site.telephone._keeper.inform_connectors()
    assert site.connector.asked == []


async def test_a_connector_is_asked_for_the_capability_record_only_if_it_knows_it(
    bare: tuple[Site, aiohttp.ClientSession],
) -> None:
    site, http = bare
    await site.connector.connect(http, site.url, Capability.TELEPHONE)
    anna = await site.switched_on(1)
    line = await site.telephone.line(anna)
    assert isinstance(line, PhoneLine)
    assert line.capabilities == dict(NOTHING_KNOWN), "an older connector says nothing, which is not `absent`"
    assert all(
        params == {"userId": 1} for method, params in site.connector.asked if method == PhoneMethod.LINE
    )

    await site.connector.close()
    await site.connector.connect(http, site.url, Capability.TELEPHONE, Capability.PHONE_CAPABILITIES)
    told = {"dial": "change", "voicemail": "absent", "of-a-later-version": "change"}
    site.connector.answers[PhoneMethod.LINE] = lambda _: EMPTY_LINE | {"capabilities": told}
    line = await site.telephone.line(anna)
    assert isinstance(line, PhoneLine)
    assert line.capabilities == NOTHING_KNOWN | {
        Feature.DIAL: Offer.CHANGE,
        Feature.VOICEMAIL: Offer.ABSENT,
    }
    assert site.connector.asked[-1] == (PhoneMethod.LINE, {"userId": 1, "withCapabilities": True})


async def test_the_end_of_the_session_ends_the_consent_and_a_new_one_does_not_revive_it(site: Site) -> None:
    anna = await site.switched_on(1)
    session = await site.book.overview.session_of(anna)
    assert session is not None
    await site.book.ledger.sign_out(session, session.started_at)
    again = await site.sign_in(1)
    assert await code_of(site.telephone.line(again)) is Code.PHONE_OFF

    async def forgotten() -> bool:
        return not site.connector.lines

    await eventually(forgotten, "the connector forgets the line")


@pytest.mark.parametrize("cause", [EndCause.REVOKED, EndCause.HANDED_OVER, EndCause.LICENCE_LOST])
async def test_whatever_ends_the_session_ends_the_consent(site: Site, cause: EndCause) -> None:
    await site.switched_on(1)
    async with site.book.database.writing() as connection:
        await connection.execute(text("DELETE FROM session"))
    assert await site.telephone._wanted() == {}, cause
    async with site.book.database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM phone_consent"))).scalar_one() == 0


async def test_a_refusal_takes_the_consent_back(site: Site) -> None:
    anna = await site.sign_in(1)
    site.connector.answers[PhoneMethod.OPEN] = lambda _: "login-rejected"
    assert await code_of(site.telephone.open(anna, "n", BOX)) is Code.LOGIN_REJECTED
    assert await code_of(site.telephone.line(anna)) is Code.PHONE_OFF
    assert [kind for kind, *_ in await site.audited()] == ["phone-on", "phone-off"]


async def test_a_lost_answer_is_unknown_and_nothing_is_dialled_twice(site: Site) -> None:
    anna = await site.switched_on(1)
    site.connector.answers[PhoneMethod.DIAL] = lambda _: None
    dialling = asyncio.create_task(site.telephone.dial(anna, "0721", CALL))

    async def asked() -> int:
        return site.connector.times(PhoneMethod.DIAL)

    await eventually(asked, "the connector was asked")
    await site.connector.close()
    assert await code_of(dialling) is Code.OUTCOME_UNKNOWN
    assert site.connector.times(PhoneMethod.DIAL) == 1


async def test_a_line_that_the_connector_has_lost_is_off(site: Site, monkeypatch: Any) -> None:
    anna = await site.switched_on(1)
    site.connector.lines.clear()
    assert await code_of(site.telephone.line(anna)) is Code.PHONE_OFF
    assert await site.telephone._wanted() != {}, "just switched on: it may not have been asked yet"
    monkeypatch.setattr(module, "OPENING", -module.OPENING)
    assert await code_of(site.telephone.line(anna)) is Code.PHONE_OFF
    assert await site.telephone._wanted() == {}
    assert (await site.audited())[-1] == ("phone-off", '{"cause": "lost"}', "connector")


async def test_a_change_concerns_only_those_whose_telephone_is_on(site: Site) -> None:
    anna, _ben = await site.switched_on(1), await site.sign_in(2)
    heard: list[str] = []
    site.bus.listen("phone", heard.append)
    await site.connector.changed(1, 2, 77)
    await site.connector.changed(2, 77)

    async def told() -> bool:
        return bool(heard)

    await eventually(told, "Anna's topic")
    assert set(heard) == {":".join(anna.key)}
    with site.bus.watch(phone_topic(*anna.key)) as woken:
        await site.connector.changed(*range(200))
        async with asyncio.timeout(20):
            await woken.wait()


def _count_readers(site: Site) -> Callable[[], int]:
    """Count those who have come so far that they ask for the line or join somebody who asks."""
    looks, joined = site.telephone._looks, 0
    ask = looks.ask

    async def counted(*arguments: Any) -> PhoneLine:
        nonlocal joined
        joined += 1
        return await ask(*arguments)

    looks.ask = counted  # type: ignore[method-assign]
    return lambda: joined


async def test_those_who_look_at_once_share_one_question(site: Site) -> None:
    anna = await site.switched_on(1)
    before = site.connector.times(PhoneMethod.LINE)
    readers = _count_readers(site)
    site.connector.slow = asyncio.Event()
    looking = [asyncio.create_task(site.telephone.line(anna)) for _ in range(6)]

    async def asked() -> bool:
        return site.connector.times(PhoneMethod.LINE) > before and readers() == 6

    await eventually(asked, "the connector was asked, and all wait")
    looking[0].cancel()
    await site.connector.changed(1)

    async def changed_is_heard() -> bool:
        return not site.telephone._looks._asking

    await eventually(changed_is_heard, "the answer under way may be older than the change")
    looking += [asyncio.create_task(site.telephone.line(anna)) for _ in range(6)]

    async def all_wait() -> bool:
        return readers() == 12

    await eventually(all_wait, "all wait")
    site.connector.slow.set()
    assert all(isinstance(line, PhoneLine) for line in await asyncio.gather(*looking[1:]))
    assert site.connector.times(PhoneMethod.LINE) == before + 2


async def test_a_connector_that_says_too_much_is_heard_later_and_its_link_stays(site: Site) -> None:
    anna = await site.switched_on(1)
    heard: list[str] = []
    site.bus.listen("phone", heard.append)
    times = 2 * LINE_CHANGES[1]
    for number in range(times):
        await site.connector.changed(*range(1000 + number, 1190 + number))

    async def said_again() -> bool:
        await site.connector.changed(1)
        return bool(heard)

    await eventually(said_again, "Anna's topic")
    assert isinstance(await site.telephone.line(anna), PhoneLine)
    assert site.tellings < times, "ids that came meanwhile were told together"


async def test_everything_else_reaches_the_connector_for_the_person_alone(site: Site) -> None:
    anna = await site.switched_on(7)
    telephone = site.telephone
    answers: dict[str, Any] = {
        PhoneMethod.HISTORY: {"entries": [], "total": 0, "hasMore": False},
        PhoneMethod.SEARCH: {"found": []},
        PhoneMethod.VOICEMAILS: {"messages": []},
    }
    for method, answer in answers.items():
        site.connector.answers[method] = lambda _params, answer=answer: answer
    assert isinstance(await telephone.hang_up(anna, "call-1"), Empty)
    await telephone.history(anna, "missed", None, 50, 50)  # type: ignore[arg-type]
    await telephone.search(anna, "Ben")
    await telephone.set_do_not_disturb(anna, is_on=True)
    await telephone.set_redirect(anna, "r1", is_on=True)
    await telephone.set_primary_phone(anna, "SIP/desk")
    await telephone.set_mobile(anna, "m1", is_on=False)
    await telephone.voicemails(anna)
    await telephone.play_voicemail(anna, "v1")
    asked = dict(site.connector.asked)
    for method in set(PhoneMethod) - NOT_OF_ONE_PERSON:
        assert asked[method]["userId"] == 7, method


async def test_one_refusal_answers_all_who_look_at_the_line_together(site: Site) -> None:
    anna = await site.switched_on(1)
    site.connector.answers[PhoneMethod.LINE] = lambda _params: "pbx-busy"
    site.connector.slow = asyncio.Event()
    before = site.connector.times(PhoneMethod.LINE)
    readers = _count_readers(site)
    looking = [asyncio.create_task(site.telephone.line(anna)) for _ in range(6)]

    async def asked() -> bool:
        return site.connector.times(PhoneMethod.LINE) > before and readers() == 6

    await eventually(asked, "the connector was asked")
    await cancel_and_wait(looking.pop())
    site.connector.slow.set()
    assert [await code_of(look) for look in looking] == [Code.PBX_BUSY] * 5
    assert site.connector.times(PhoneMethod.LINE) == before + 1


async def test_what_a_connector_says_of_other_things_is_no_answer(site: Site) -> None:
    anna = await site.switched_on(1)
    for said, heard in (("call-gone", Code.CALL_GONE), ("token-rejected", Code.PROTOCOL_ERROR)):
        site.connector.answers[PhoneMethod.HANG_UP] = lambda _, said=said: said
        assert await code_of(site.telephone.hang_up(anna, "c")) is heard


async def _signed_in_again(site: Site, anna: TeamsUser, number: int) -> TeamsUser:
    """End Anna's session, and sign the same Teams user in as another PBX user."""
    session = await site.book.overview.session_of(anna)
    assert session is not None
    await site.book.ledger.sign_out(session, session.started_at)
    pbx = {"pbx_id": site.connector.pbx_id, "pbx_name": site.connector.peer.name}
    request = await site.book.request(number, ual=True, teams_user=anna, **pbx)
    await site.book.ledger.open_session(request)
    return anna


async def _in_flight(site: Site, method: PhoneMethod, asking: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a request whose answer the connector holds back until `site.connector.slow` is set."""
    before = site.connector.times(method)
    site.connector.slow = asyncio.Event()
    task = asyncio.create_task(asking)

    async def asked() -> bool:
        return site.connector.times(method) > before

    await eventually(asked, "the connector was asked")
    return task


def _named_lines(site: Site) -> None:
    """Let each line name its PBX user as its phone."""
    site.connector.answers[PhoneMethod.LINE] = lambda params: (
        EMPTY_LINE
        | {
            "phones": [
                {"phoneId": "p", "name": f"of {params['userId']}", "isPrimary": True, "isActive": True}
            ]
        }
    )


async def test_a_read_in_flight_never_shows_the_line_of_the_session_before(site: Site) -> None:
    anna = await site.switched_on(1)
    _named_lines(site)
    looking = await _in_flight(site, PhoneMethod.LINE, site.telephone.line(anna))
    await _signed_in_again(site, anna, 2)
    joining = asyncio.create_task(site.telephone.line(anna))
    assert await code_of(joining) is Code.PHONE_OFF, "the new session has not switched its telephone on"
    assert site.connector.slow is not None
    site.connector.slow.set()
    assert await code_of(looking) is Code.PHONE_OFF


async def test_a_read_that_spans_a_new_sign_in_shows_the_new_line(site: Site) -> None:
    anna = await site.switched_on(1)
    _named_lines(site)
    looking = await _in_flight(site, PhoneMethod.LINE, site.telephone.line(anna))
    await _signed_in_again(site, anna, 2)
    held, site.connector.slow = site.connector.slow, None
    assert held is not None
    opened = await site.telephone.open(anna, "n", BOX)
    assert [one.name for one in opened.phones] == ["of 2"]
    held.set()
    assert [one.name for one in (await looking).phones] == ["of 2"]


@pytest.mark.parametrize("method", [PhoneMethod.HISTORY, PhoneMethod.SEARCH, PhoneMethod.VOICEMAILS])
async def test_lists_of_the_session_before_are_shown_to_nobody(site: Site, method: PhoneMethod) -> None:
    anna = await site.switched_on(1)
    answers = {
        PhoneMethod.HISTORY: {"entries": [], "total": 0, "hasMore": False},
        PhoneMethod.SEARCH: {"found": []},
        PhoneMethod.VOICEMAILS: {"messages": []},
    }
    site.connector.answers[method] = lambda _params: answers[method]
    telephone = site.telephone
    asking = {
        PhoneMethod.HISTORY: lambda: telephone.history(anna, "all", None, 0, 50),  # type: ignore[arg-type]
        PhoneMethod.SEARCH: lambda: telephone.search(anna, "Ben"),
        PhoneMethod.VOICEMAILS: lambda: telephone.voicemails(anna),
    }
    reading = await _in_flight(site, method, asking[method]())
    await _signed_in_again(site, anna, 2)
    held, site.connector.slow = site.connector.slow, None
    assert held is not None
    await site.telephone.open(anna, "n", BOX)
    held.set()
    assert await code_of(reading) is Code.NOT_SIGNED_IN


async def test_signing_out_while_dialling_leaves_the_call_and_tells_its_outcome(site: Site) -> None:
    anna = await site.switched_on(1)
    dialling = await _in_flight(site, PhoneMethod.DIAL, site.telephone.dial(anna, "0721", CALL))
    session = await site.book.overview.session_of(anna)
    assert session is not None
    await site.book.ledger.sign_out(session, session.started_at)
    assert site.connector.slow is not None
    site.connector.slow.set()
    assert isinstance(await dialling, Dialled), "the PBX has placed the call, and the person is told so"
    assert await code_of(site.telephone.line(anna)) is Code.NOT_SIGNED_IN
    assert not site.connector.times(PhoneMethod.HANG_UP), "nothing is hung up"
