"""The audit as text: events, actors and details in both languages, never codes or JSON."""

import re
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from core.audit.groups import AuditGroup, kinds_of
from core.audit.reading import AuditEntry, AuditFilter, AuditPosition, AuditReader
from core.audit.wording import (
    describe_actor,
    describe_actor_kind,
    describe_actor_of_notice,
    describe_detail,
    describe_kind,
)
from core.diagnosis.codes import LicenceReason
from core.identity.tenant_trust import Entry
from core.language import Language, load
from core.licensing.rules import LicenceKind
from core.licensing.session import EndCause
from core.signin.refusals import FORBIDDEN, AdministratorAct
from core.store.audit import CONNECTOR, OPERATOR, SYSTEM, Actor, ActorKind, AuditKind, add_audit
from core.store.timestamps import to_ms
from tests.support.book import ADMIN, NOW, PBX, Book

HOME = {"home"}
CLARA = Actor.person("home", "o", 3, "Clara Vogt")
FOREIGN = Actor.person("elsewhere", "o", 3, "Clara Vogt")


def entry(kind: str, detail: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(1, NOW, kind, ADMIN, ADMIN.name, "subject", 1, detail, 1)


@pytest.mark.parametrize("language", Language)
def test_every_kind_has_words(language: Language) -> None:
    told = [describe_kind(kind, language) for kind in AuditKind]
    assert len(set(told)) == len(told)
    assert not set(told) & set(AuditKind)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        *((AuditKind.GRANTED, {"kind": kind}) for kind in LicenceKind),
        *((AuditKind.MOVED, {"from": one, "to": other}) for one, other in permutations(LicenceKind, 2)),
        *((AuditKind.DENIED, {"code": "no-licence", "reason": reason}) for reason in LicenceReason),
        *((AuditKind.ENDED, {"cause": cause, "reason": "", "kind": "FL"}) for cause in EndCause),
        *((AuditKind.ENTRY_CHANGED, {"entry": one, "primary": one is Entry.AUTOMATIC}) for one in Entry),
        *((AuditKind.ACT_REFUSED, {"act": act, "cause": "not-administrator"}) for act in AdministratorAct),
        *((AuditKind.ACT_REFUSED, {"act": AdministratorAct.REVOKE, "cause": code}) for code in FORBIDDEN),
        (AuditKind.KEYS_REFUSED, {"reasons": ["key-invalid", "key-bound-elsewhere"]}),
    ],
)
def test_no_code_is_reported_as_a_detail(
    kind: AuditKind, detail: Mapping[str, Any], language: Language
) -> None:
    told = describe_detail(entry(kind, detail), language)
    assert told and not re.search(r"[{}\[\]\"]", told)
    codes = {*LicenceReason, *EndCause, *Entry, *LicenceKind, *AdministratorAct, *FORBIDDEN}
    words = load("core.audit", language)
    for name, value in detail.items():
        for one in value if isinstance(value, list) else [value]:
            if one in codes and name != "code":
                name_of_one = name.removesuffix("s") if isinstance(value, list) else name
                assert words[f"value.{name_of_one}.{one}"] in told


def test_the_reason_that_an_administrator_gave_is_reported() -> None:
    detail = {"cause": "revoked", "reason": "Holiday\n=1", "kind": "FL"}
    told = describe_detail(entry(AuditKind.ENDED, detail), Language.EN)
    assert told == "Revoked; floating licence; Reason: Holiday =1"


def test_the_rules_of_a_pool_are_reported() -> None:
    after = {
        "idle_hours": 12,
        "reservations": [{"id": "r", "name": "Sales", "seats": 3, "people": {"group_ids": [1]}}],
        "admitted": {"user_ids": [1, 2]},
    }
    told = describe_detail(entry(AuditKind.POLICY_CHANGED, {"before": {}, "after": after}), Language.EN)
    assert told == (
        "Before: no rules; now: released after 12 hours without activity, only for 2 users and 0 groups,"
        " licences reserved for “Sales”: 3"
    )


def test_what_a_newer_replica_wrote_is_reported_by_its_code() -> None:
    assert describe_kind("something-new", Language.DE) == "something-new"
    assert describe_detail(entry("something-new", {"a": [1, {"b": None}]}), Language.DE) == ""


@pytest.mark.parametrize("detail", [{}, {"kind": None}, {"cause": 7, "before": 3}, {"reasons": 7}])
def test_odd_details_break_nothing(detail: Mapping[str, Any]) -> None:
    for kind in AuditKind:
        if kind is not AuditKind.POLICY_CHANGED:
            assert isinstance(describe_detail(entry(kind, detail), Language.DE), str)


def test_a_person_of_another_organisation_is_reported_as_such() -> None:
    assert describe_actor(CLARA, Language.EN, HOME) == "Clara Vogt"
    assert describe_actor(FOREIGN, Language.EN, HOME) == "Clara Vogt (other organisation)"
    assert (
        describe_actor(FOREIGN, Language.DE, HOME, with_tenant=True)
        == "Clara Vogt (andere Organisation, elsewhere)"
    )
    assert describe_actor_kind(FOREIGN, Language.EN, HOME) == "Person of another organisation"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("system", [SYSTEM, OPERATOR, CONNECTOR])
def test_nobody_can_call_themselves_what_is_no_person(system: Actor, language: Language) -> None:
    told = describe_actor(system, language, HOME)
    for name in (told, told.upper(), system.name, f" {system.name}\u200b"):
        impostor = Actor.person("home", "o", 3, name)
        assert describe_actor(impostor, language, HOME) != told
        assert name.strip("\u200b ") in describe_actor(impostor, language, HOME)
        assert describe_actor_kind(impostor, language, HOME) != describe_actor_kind(system, language, HOME)


def test_a_notice_tells_who_it_was() -> None:
    def told(name: str, kind: ActorKind | None, language: Language, *, other: bool = False) -> str:
        return describe_actor_of_notice(name, kind, language, other_organisation=other)

    person = ActorKind.PERSON
    assert told("Clara Vogt", person, Language.DE, other=True) == "Clara Vogt (andere Organisation)"
    assert told("Clara Vogt", person, Language.DE) == "Clara Vogt"
    assert told("Clara", None, Language.DE) == "Clara"
    assert told("operator", ActorKind.OPERATOR, Language.EN) == "The operator of the service"
    assert told("operator", person, Language.EN) == "operator (a person)"


async def test_a_long_audit_is_read_in_pages(book: Book) -> None:
    async with book.database.writing() as connection:
        for number in range(2500):
            await add_audit(connection, PBX, AuditKind.EXAMINED, ADMIN, str(number), NOW)
        await add_audit(connection, "another", AuditKind.EXAMINED, ADMIN, "another", NOW)
    reader = AuditReader(book.database)
    span = await reader.span(PBX, NOW, NOW.replace(year=2027), 9999)
    async with book.database.writing() as connection:
        await add_audit(connection, PBX, AuditKind.EXAMINED, ADMIN, "later", NOW)
    assert span.count == 2500
    pages = [page async for page in reader.pages(span, 2100)]
    assert [len(page) for page in pages] == [1000, 1000, 100]
    assert [one.subject for page in pages for one in page] == [str(2499 - n) for n in range(2100)]
    assert (await reader.span(PBX, NOW.replace(year=2025), NOW, 9999)).count == 0
    assert [page async for page in reader.pages(await reader.span("none", NOW, NOW, 9999), 10)] == []


def test_every_kind_is_in_exactly_one_group() -> None:
    grouped = [kind for group in AuditGroup for kind in kinds_of(group)]
    assert sorted(grouped) == sorted(AuditKind)


async def test_a_filtered_audit_is_turned_page_by_page(book: Book) -> None:
    schroeder = Actor.person("home", "o", 3, "Jörg Schröder")
    async with book.database.writing() as connection:
        for number in range(30):
            await add_audit(connection, PBX, AuditKind.EXAMINED, ADMIN, f"pbx {number}", NOW)
            await add_audit(connection, PBX, AuditKind.GRANTED, schroeder, "Jörg Schröder", NOW)
            await add_audit(connection, PBX, AuditKind.ENDED, ADMIN, "100 % sure", NOW)
    reader = AuditReader(book.database)

    async def found(group: AuditGroup | None, search: str) -> list[tuple[str, str]]:
        span = await reader.span(PBX, NOW, NOW.replace(year=2027), 9999, AuditFilter(group, search))
        rows: list[tuple[str, str]] = []
        before: AuditPosition | None = None
        while page := await reader.page(span, before, 7):
            rows += [(one.kind, one.subject) for one in page]
            before = AuditPosition(to_ms(page[-1].at), page[-1].id)
        assert len(rows) == span.count, "counted are those that are shown"
        return rows

    assert {kind for kind, _ in await found(AuditGroup.SESSIONS, "")} == {"granted", "ended"}
    assert await found(AuditGroup.EXPORTS, "") == [("examined", f"pbx {29 - n}") for n in range(30)]
    for typed in ("schroder", "SCHROEDER", "Schröder", "jorg s"):
        assert {subject for _, subject in await found(None, typed)} == {"Jörg Schröder"}
    assert {subject for _, subject in await found(None, "admin")} == {"100 % sure"} | {
        f"pbx {n}" for n in range(30)
    }
    assert len(await found(AuditGroup.SESSIONS, "%")) == 30, "signs of the query language are letters"
    assert await found(AuditGroup.TRUST, "") == await found(None, "nobody") == []


async def test_rows_from_before_the_ids_keep_their_text(book: Book) -> None:
    async with book.database.writing() as connection:
        await add_audit(connection, PBX, AuditKind.ENDED, CLARA, "s", NOW)
        await connection.exec_driver_sql("UPDATE audit SET actor_kind = NULL")
    reader = AuditReader(book.database)
    ((one,),) = [
        page async for page in reader.pages(await reader.span(PBX, NOW, NOW.replace(year=2027), 9999), 9)
    ]
    assert (one.actor, one.actor_name) == (None, "Clara Vogt")
    assert describe_actor_kind(one.actor, Language.EN, HOME) == "Not recorded"


def test_days_are_written_in_the_readers_language() -> None:
    added = entry("pool-added", {"seats": 12, "from": "2026-10-01", "until": "2027-10-01"})
    assert describe_detail(added, Language.EN) == "12 licences, valid 1 Oct 2026 to 1 Oct 2027"
    assert "01.10.2026" in describe_detail(added, Language.DE)
    no_day = entry("pool-added", {"seats": 12, "from": "2026-99-99", "until": "soon"})
    assert describe_detail(no_day, Language.EN) == "12 licences, valid 2026-99-99 to soon"
