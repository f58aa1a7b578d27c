"""The audit says who did what by ids; a name that somebody chose proves nothing."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from core.identity.teams_user import TeamsUser
from core.licensing.session import EndCause, Ending, Opened
from core.store.audit import (
    CONNECTOR,
    OPERATOR,
    SYSTEM,
    Actor,
    ActorKind,
    AuditKind,
    add_audit,
    audit,
)
from tests.support.book import ADMIN, NOW, PBX, Book

ROOT = Path(__file__).parents[3]
WHO = "SELECT actor_kind, actor, actor_tenant_id, actor_object_id, actor_pbx_user_id FROM audit"


@pytest.mark.parametrize("together", [1, 3])
async def test_signing_in_and_out_is_written_down_with_ids(book: Book, together: int) -> None:
    """One that comes alone, and several that are written in one statement."""
    await book.put(3)
    requests = [await book.request(number) for number in range(1, together + 1)]
    opened = await asyncio.gather(*(book.ledger.open_session(request) for request in requests))
    sessions = [one.session for one in opened if isinstance(one, Opened)]
    await asyncio.gather(*(book.ledger.sign_out(session, NOW) for session in sessions))
    who = await book.rows(f"{WHO} WHERE kind IN ('granted', 'ended') ORDER BY kind DESC, actor")
    expected = [("person", f"Teams {n}", "tenant", f"object-{n}", n) for n in range(1, together + 1)]
    assert who == expected * 2


async def test_a_licence_of_ones_own_is_written_down_with_ids(book: Book) -> None:
    opened = await book.take(7, ual=True)
    assert isinstance(opened, Opened)
    await book.end(opened)
    assert await book.rows(f"{WHO} ORDER BY id") == [("person", "Teams 7", "tenant", "object-7", 7)] * 2


async def test_a_user_who_calls_themselves_the_system_is_a_person(book: Book) -> None:
    for number, name in enumerate((SYSTEM.name, OPERATOR.name, CONNECTOR.name), 1):
        user = TeamsUser("elsewhere", f"object-{number}", name)
        opened = await book.take(number, ual=True, teams_user=user)
        assert isinstance(opened, Opened)
    kinds = await book.rows("SELECT DISTINCT actor_kind, actor_tenant_id FROM audit")
    assert kinds == [(ActorKind.PERSON, "elsewhere")]


async def test_the_person_who_ends_a_session_is_recorded_with_ids(book: Book) -> None:
    opened = await book.take(1, ual=True)
    assert isinstance(opened, Opened)
    mallory = Actor.person("elsewhere", "o", 9, "Cl\u202eara\u200b \u0000Vogt\n(pbx-teams)")
    await book.ledger.end_sessions(PBX, [opened.session.id], Ending(EndCause.REVOKED, mallory, "", NOW))
    ending = (await book.states.read(opened.session.teams_user)).ending
    assert ending is not None
    assert ending[1].actor == Actor(ActorKind.PERSON, "Clara Vogt (pbx-teams)", "elsewhere")
    (row,) = await book.rows(f"{WHO} WHERE kind = 'ended'")
    assert row == ("person", "Clara Vogt (pbx-teams)", "elsewhere", "o", 9)


async def test_both_writers_write_the_same_row(book: Book) -> None:
    actor = replace(ADMIN, pbx_user_id=2**53 - 1)
    async with book.database.writing() as connection:
        await add_audit(connection, PBX, AuditKind.EXAMINED, actor, "s" * 300, NOW, {"a": "ü\u0000"})
    await book.ledger.writer.run(
        lambda: audit(PBX, AuditKind.EXAMINED, actor, "s" * 300, {"a": "ü\u0000"}, NOW)
    )
    first, second = await book.rows("SELECT * FROM audit ORDER BY id")
    assert first[1:] == second[1:]


def test_whose_name_is_nothing_is_shown_by_their_id() -> None:
    assert TeamsUser("t", "o", "\u200b").acting_as(1).name == "o"
    assert TeamsUser("t", "o", "").acting_as(1, "Anna").name == "Anna"


def test_kinds_fit_their_column() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) and len(kind) <= 30 for kind in AuditKind)


def test_nothing_else_writes_audit_rows() -> None:
    """One column list, one writer. Migrations tell of tables as they were; tests of the writers use the table as any."""
    own = {ROOT / "core/store/audit.py"}
    folders = (
        "app",
        "bench",
        "bot",
        "connector",
        "core",
        "probe",
        "simulator",
        "tab",
        "tests/support",
        "wire",
    )
    writes = re.compile(
        r"insert\s+into\s+\"?audit\b|(insert|upsert)\([^)]*\b(tables\.audit|audit|_audit)\b", re.IGNORECASE
    )
    found = [
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if path not in own
        and "migrations" not in path.parts
        and "node_modules" not in path.parts
        and writes.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
