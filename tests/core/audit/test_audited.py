"""The audit beyond licences: outsiders are counted, not listed; devices, keys, codes and administrators' views."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.hub.claims import BoundElsewhere, Claimed
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.signin.refusals import AdministratorAct, Refusals
from core.store.audio import AudioStore
from core.store.audit import NO_PBX, SINGLY_PER_HOUR, Actor, AuditKind, count_audit
from core.store.timestamps import to_ms
from core.store.writing import open_writer
from tests.support.book import NOW, PBX, Book
from tests.support.connector_peer import Peer
from wire.pbxkey import digest, new_key

NAME = f"{PBX}.example.com"
FAILED = "SELECT kind, times, actor_kind, actor_object_id, detail FROM audit WHERE coalesce_key IS NOT NULL ORDER BY id"


def person(number: int) -> TeamsUser:
    return TeamsUser("tenant", f"object-{number}", f"Teams {number}")


async def noted(book: Book, user: TeamsUser, *codes: Code, name: str = NAME) -> None:
    failed = Refusals(book.ledger.writer)
    for code in codes:
        failed.note_sign_in(user, name, Finding(code))
    await failed.write()


async def test_what_fails_again_is_counted_in_one_row(book: Book) -> None:
    await asyncio.gather(
        noted(book, person(1), *[Code.WRONG_KEY] * 5),
        noted(book, person(1), *[Code.WRONG_KEY] * 7, Code.LOGIN_REJECTED),
        noted(book, person(2), Code.WRONG_KEY, Code.THROTTLED, Code.THROTTLED),
    )
    counted: dict[tuple[Any, ...], int] = {}
    for kind, times, actor_kind, who, detail in await book.rows(FAILED):
        key = (kind, actor_kind, who, json.loads(detail).get("cause"))
        counted[key] = counted.get(key, 0) + times  # two rows if a minute began meanwhile
    assert counted == {
        ("sign-in-failed", "person", "object-1", "wrong-key"): 12,
        ("sign-in-failed", "person", "object-1", "login-rejected"): 1,
        ("sign-in-failed", "person", "object-2", "wrong-key"): 1,
        ("sign-in-throttled", "person", "object-2", None): 2,
    }


async def test_nothing_is_written_for_a_name_that_nobody_has(book: Book) -> None:
    await noted(book, person(1), Code.WRONG_KEY, Code.THROTTLED, name="nobody.example.com")
    await noted(book, person(1), Code.LINK_DOWN, Code.NO_LICENCE)  # no fault of the person; audited elsewhere
    assert await book.rows(FAILED) == []


async def test_strangers_cannot_fill_the_audit(book: Book) -> None:
    """A thousand identities within one hour: few rows, and no attempt is lost from the count."""
    for number in range(1000):
        await noted(book, person(number), Code.WRONG_KEY)
    rows = await book.rows("SELECT actor_kind, times FROM audit")
    assert sum(times for _, times in rows) == 1000
    assert SINGLY_PER_HOUR <= len(rows) <= SINGLY_PER_HOUR + 2
    assert {kind for kind, _ in rows} == {"person", "several"}


async def test_replicas_that_count_the_same_at_once_count_together(book: Book) -> None:
    other = open_writer(book.database.address)
    actor = Actor.person("tenant", "object", None, "Name")

    async def count(writer: Any) -> None:
        await writer.run(lambda: count_audit(PBX, AuditKind.SIGN_IN_FAILED, actor, NAME, {}, NOW))

    try:
        await asyncio.gather(*(count(writer) for _ in range(20) for writer in (book.ledger.writer, other)))
    finally:
        await other.close()
    assert await book.rows("SELECT times FROM audit") == [(40,)]


REFUSED = "SELECT actor_object_id, times, detail, subject FROM audit WHERE kind = 'act-refused' ORDER BY id"


async def refused(
    book: Book, number: int, *acts: AdministratorAct, times: int = 1, code: Code = Code.NOT_ADMINISTRATOR
) -> None:
    """A person who is signed in at the PBX, and tries what is for its administrators."""
    refusals = Refusals(book.ledger.writer)
    session = await book.overview.session_of(person(number))
    assert session is not None
    for _ in range(times):
        for act in acts:
            refusals.note_act(session, act, Finding(code))
    await refusals.write()


async def test_an_act_that_is_refused_is_a_row_with_who_and_what(book: Book) -> None:
    await book.take(1, ual=True)
    await refused(book, 1, AdministratorAct.REVOKE, times=3)
    await refused(book, 1, AdministratorAct.CHANGE_TRUST, code=Code.TENANT_AUTHORITY_NEEDED)
    rows = await book.rows(REFUSED)
    assert [(who, json.loads(detail), subject) for who, _, detail, subject in rows] == [
        ("object-1", {"act": "revoke", "cause": "not-administrator"}, NAME),
        ("object-1", {"act": "change-trust", "cause": "tenant-authority-needed"}, NAME),
    ]
    assert [times for _, times, *_ in rows] == [3, 1]


@pytest.mark.parametrize("code", [Code.NOT_SIGNED_IN, Code.LINK_DOWN, Code.PBX_BUSY, Code.SESSION_GONE])
async def test_what_is_no_refusal_of_a_right_is_none(book: Book, code: Code) -> None:
    await book.take(1, ual=True)
    await refused(book, 1, *AdministratorAct, code=code)
    assert await book.rows(REFUSED) == []


async def test_nobody_who_tries_all_day_long_fills_the_audit(book: Book) -> None:
    """There is one row for each action of a user and hour, and a limit on such rows for all users of a PBX."""
    people = 20
    for number in range(people):
        await book.take(number, ual=True)
    await refused(book, 0, *AdministratorAct, times=500)
    rows = await book.rows(REFUSED)
    assert len(rows) <= 2 * len(AdministratorAct), "an hour may have ended meanwhile"
    assert sum(times for _, times, *_ in rows) == 500 * len(AdministratorAct)
    await asyncio.gather(*(refused(book, number, *AdministratorAct, times=50) for number in range(1, people)))
    rows = await book.rows(REFUSED)
    assert len(rows) <= 2 * (SINGLY_PER_HOUR + 1) < people * len(AdministratorAct)
    assert sum(times for _, times, *_ in rows) == (500 + 50 * (people - 1)) * len(AdministratorAct), (
        "nothing is lost"
    )


async def test_another_minute_is_another_row(book: Book) -> None:
    actor = Actor.person("tenant", "object", None, "Name")
    for minutes in (0, 1, 1):
        at = NOW + timedelta(minutes=minutes)
        await book.ledger.writer.run(
            lambda at=at: count_audit(PBX, AuditKind.SIGN_IN_FAILED, actor, NAME, {}, at)
        )
    assert await book.rows("SELECT at, times FROM audit ORDER BY id") == [
        (to_ms(NOW), 1),
        (to_ms(NOW + timedelta(minutes=1)), 2),
    ]


async def test_pairing_and_help_are_audited_without_a_word_about_devices(book: Book) -> None:
    store, anna = AudioStore(book.database, b"p" * 32), ("tenant", "object-1")
    await store.set_help(anna, NOW, NOW)  # signed in nowhere: no PBX is concerned
    await store.set_help(anna, None, NOW)
    assert await book.rows("SELECT kind FROM audit") == []
    await book.take(1, ual=True)
    code, _ = await store.new_code(anna, NOW)
    redeemed = await store.redeem(code, "Annas Laptop", "linux", "1", NOW)
    assert redeemed is not None
    for since, cause in ((NOW, "by-person"), (NOW, "by-person"), (None, "lost"), (NOW, "by-person")):
        await store.set_help(anna, since, NOW, cause)
    assert await store.remove_probe(anna, redeemed[0].id, NOW)
    assert not await store.remove_probe(anna, redeemed[0].id, NOW)
    code, _ = await store.new_code(anna, NOW)
    await store.redeem(code, "Annas Laptop", "linux", "1", NOW)
    await store.forget(anna, NOW)
    rows = await book.rows(
        "SELECT kind, detail, actor_kind, actor_object_id, subject, pbx_user_id FROM audit WHERE kind <> 'granted' ORDER BY id"
    )
    mine, theirs = ("person", "object-1", "User 1", 1), ("connector", None, "User 1", 1)
    assert rows == [
        ("probe-paired", '{"platform": "linux"}', *mine),
        ("call-help-on", "{}", *mine),
        ("call-help-off", '{"cause": "lost"}', *theirs),
        ("call-help-on", "{}", *mine),
        ("probe-unpaired", '{"cause": "by-person"}', *mine),
        ("probe-paired", '{"platform": "linux"}', *mine),
        ("probe-unpaired", '{"cause": "all-deleted"}', *mine),
        ("call-help-off", '{"cause": "all-deleted"}', *mine),
    ]
    assert "Laptop" not in str(rows)


async def test_refused_licence_keys_are_audited_once(book: Book) -> None:
    invalid = [LicenceReason.KEY_INVALID]
    for refused in (invalid, invalid, [], invalid):
        await book.ledger.register_keys(PBX, [], refused, NOW)
    rows = await book.rows("SELECT kind, detail, times, actor_kind, subject FROM audit")
    assert rows == [("keys-refused", '{"reasons": ["key-invalid"]}', 2, "connector", NAME)]


@pytest.fixture
async def registry(book: Book) -> AsyncIterator[Registry]:
    yield Registry(book.database, book.ledger.writer, b"pepper", enrolment_required=True)


async def claim(registry: Registry, peer: Peer, **changes: Any) -> Claimed:
    claimed = await registry.claim(peer.hello("n" * 32, **changes), "192.0.2.1", "one", NOW)
    assert isinstance(claimed, Claimed)
    return claimed


async def test_codes_and_keys_of_a_pbx_are_audited(book: Book, registry: Registry) -> None:
    peer = Peer("new.example.com")
    code, _ = await registry.enrol("new.example.com", NOW)
    old, new = digest(new_key()), digest(new_key())
    claimed = await claim(registry, peer, enrolment_code=code, key_digest=old)
    await claim(registry, peer, key_digest=old)
    await claim(
        registry,
        peer,
        key_digest=new,
        previous_key_digest=old,
        previous_key_until=NOW + timedelta(days=1),
    )
    await claim(registry, peer, key_digest=new)
    rows = await book.rows("SELECT pbx_id, kind, subject, actor_kind, detail, times FROM audit ORDER BY id")
    made, used, renewed = rows
    assert made[:4] == (NO_PBX, "enrolment-code-made", "new.example.com", "operator")
    assert used == (
        *(claimed.pbx_id, "enrolment-code-used", "new.example.com", "connector"),
        *('{"address": "192.0.2.1"}', 1),
    )
    assert renewed == (
        *(claimed.pbx_id, "pbx-key-renewed", "new.example.com", "connector"),
        *('{"previous": "kept"}', 1),
    )
    assert code not in str(rows)


async def test_an_installation_that_is_refused_is_counted_by_its_address(
    book: Book, registry: Registry
) -> None:
    owner = Peer("new.example.com")
    code, _ = await registry.enrol("new.example.com", NOW)
    claimed = await claim(registry, owner, enrolment_code=code)
    for address in ("192.0.2.7", "192.0.2.8"):
        for minutes in range(5):
            stranger, at = Peer("new.example.com"), NOW.replace(minute=minutes)
            said = stranger.hello("n" * 32)
            refused = await registry.claim(said, address, "one", at)
            await registry.note_refused_claim(claimed.pbx_id, said, address, at)
            assert isinstance(refused, BoundElsewhere)
    rows = await book.rows("SELECT pbx_id, times, actor_kind, detail FROM audit WHERE kind = 'claim-refused'")
    assert [row[:3] for row in rows] == [(claimed.pbx_id, 5, "stranger")] * 2
    assert "192.0.2.7" in rows[0][3] and "192.0.2.8" in rows[1][3]
