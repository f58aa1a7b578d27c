"""What requests read finds its rows by an index, however long the tables grow.

The statements are those that the code runs, taken down where they reach the database, and explained by the database itself.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, insert

from core.audit.groups import AuditGroup
from core.audit.reading import AuditFilter, AuditReader
from core.hub.registry import Registry
from core.identity.tenant_trust import TenantTrust
from core.licensing.audience import Audience
from core.licensing.overview import HoldersQuery, SortBy
from core.licensing.seat_history import SeatHistory
from core.phone.colleagues import Colleagues
from core.signin.preferences import PreferenceStore
from core.store import tables
from core.store.conversations import Conversations
from core.store.database import PostgresAddress
from core.store.timestamps import to_ms
from tests.support.book import NOW, PBX, Book

GROWING = (
    *("session", "session_end", "seat", "waiting", "audit", "notice", "preference", "audio_person"),
    *(
        "pinned_identity",
        "trusted_tenant",
        "used_pbx",
        "refused_claim",
        "link_event",
        "conversation",
        "usage_day",
    ),
)
"""They grow with people, PBXs or time."""
SMALL_INDEXES = ("ix_seat_kept", "ix_seat_kept_for")
"""Indexes of offered seats, which are always few."""
ROWS = 3000

Statement = tuple[str, Sequence[Any]]


class TakingDown:
    """In front of the reader that a database has: every statement goes on as it is."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.statements: dict[str, Sequence[Any]] = {}

    async def fetch(self, text: str, values: Sequence[Any]) -> Any:
        self.statements[text] = values
        return await self._reader.fetch(text, values)

    async def fetch_long(self, text: str, values: Sequence[Any]) -> Any:
        self.statements[text] = values
        return await self._reader.fetch_long(text, values)

    async def close(self) -> None:
        await self._reader.close()


async def grow(book: Book) -> None:
    """Two PBXs with a long history, and others; what is asked is about one of them."""
    for number in range(2, 20):
        await book.add_pbx(f"pbx-{number}")
        await book.put(200, f"serial-{number}", f"pbx-{number}")
    await book.put(ROWS, "one")
    await book.put(ROWS, "two", "pbx-2")
    at = to_ms(NOW)
    pools = {
        PBX: (await book.overview.pools(PBX))[0].id,
        "pbx-2": (await book.overview.pools("pbx-2"))[-1].id,
    }
    async with book.database.writing() as connection:
        sessions, audit, others, waiting, pins = [], [], [], [], []
        for pbx, pool in pools.items():
            for number in range(1, ROWS + 1):
                person = {"tenant_id": f"{pbx}-t", "object_id": f"object-{number}"}
                sessions.append(
                    person
                    | {
                        "id": f"{pbx}-{number}", "teams_name": "T", "pbx_id": pbx, "pbx_user_id": number,
                        "pbx_login": str(number), "display_name": f"User {number}", "email": "", "proof": "email",
                        "is_administrator": False, "licence_kind": "FL", "pool_id": pool, "seat_number": number,
                        "started_at": at, "licence_since": at, "last_seen_at": at,
                    }
                )  # fmt: skip
                others.append(person)
                at_pbx = person | {"pbx_id": pbx, "pbx_user_id": number}
                place = {"display_name": "D", "group_ids": "[]", "refused_at": 1, "joined_at": number}
                waiting.append(at_pbx | place)
                pins.append(at_pbx | {"proof": "password", "at": 1})
                for kind in ("granted", "ended", "denied"):
                    audit.append(
                        {
                            "at": at + number, "pbx_id": pbx, "kind": kind, "actor": "a", "subject": "s",
                            "detail": "{}", "held_from": at, "pbx_user_id": number,
                            "actor_tenant_id": person["tenant_id"], "actor_object_id": person["object_id"],
                        }
                    )  # fmt: skip
        for table, rows in (
            (tables.session, sessions),
            (tables.audit, audit),
            (tables.preference, others),
            (tables.audio_person, others),
            (tables.waiting, waiting),
            (tables.pinned_identity, pins),
            (
                tables.session_end,
                [
                    one | {"pbx_name": "p", "cause": "revoked", "reason": "", "ended_by": "", "at": 1}
                    for one in others
                ],
            ),
        ):
            await connection.execute(insert(table), rows)


async def ask_everything(book: Book) -> None:
    """What the tab and a sign-in read."""
    user = (await book.overview.all_holders(PBX))[7].teams_user
    await book.states.read(user)
    await book.overview.session_of(user)
    await book.overview.holder(PBX, "x")
    await book.overview.rules(PBX)
    await book.overview.waiting_count(PBX)
    await book.overview.ual_count(PBX)
    for sort in SortBy:
        for search in ("", "user 1"):
            for descending in (False, True):
                await book.overview.holders(PBX, HoldersQuery(search, sort, descending, offset=2000))
    audience = Audience(book.database)
    await audience.administrators(PBX)
    await audience.line(PBX)
    registry = Registry(book.database, book.ledger.writer, b"p" * 32)
    await registry.by_id(PBX)
    await registry.by_name(f"{PBX}.example.com")
    await registry.refused_claims(PBX)
    await registry.history(PBX, NOW)
    await registry.is_used_by(PBX, user.tenant_id)
    conversations = Conversations(book.database, book.ledger.writer)
    await conversations.get(*user.key)
    await conversations.known(*user.key)
    trust = TenantTrust(book.database)
    await trust.is_trusted(PBX, user.tenant_id)
    await trust.tenants_of(PBX)
    await trust.primary_of(user.tenant_id)
    await trust.trusted_tenants(PBX)
    await trust.has_proven(PBX, user, 1)
    await trust.is_pinned(PBX, user)
    await PreferenceStore(book.database).get(user.key)
    await Colleagues(book.database).email_of(user.key, "User 9")
    history = SeatHistory(book.database, book.ledger.writer, lambda: NOW)
    await history.days(PBX, NOW - timedelta(days=30), NOW + timedelta(days=1), with_steps=True)
    await history.names(PBX, [3, ROWS + 1], NOW, NOW)
    await history.denials(PBX, NOW, NOW)
    audit = AuditReader(book.database)
    span = await audit.span(PBX, NOW, NOW + timedelta(days=1), 50_001)
    assert [len(page) async for page in audit.pages(span, 2500)] == [1000, 1000, 500]
    wanted = AuditFilter(AuditGroup.REFUSALS, "s")
    filtered = await audit.span(PBX, NOW, NOW + timedelta(days=1), 50_001, wanted)
    assert filtered.count == ROWS
    assert len(await audit.page(filtered, None, 50)) == 50


async def test_every_read_of_a_request_uses_an_index(book: Book) -> None:
    await grow(book)
    taking_down = TakingDown(book.database._reader)
    book.database._reader = taking_down  # type: ignore[assignment]
    statements = taking_down.statements

    # What goes through SQLAlchemy: the connection page.
    @event.listens_for(book.database._engine.sync_engine, "before_cursor_execute")
    def take_down(_connection: Any, _cursor: Any, text: str, values: Any, *_more: Any) -> None:
        if text.lstrip().startswith("SELECT"):
            statements[text] = values

    await ask_everything(book)
    event.remove(book.database._engine.sync_engine, "before_cursor_execute", take_down)
    statements = dict(statements)
    assert len(statements) > 20
    found = await (_scans_sqlite if book.url.startswith("sqlite") else _scans_postgres)(book, statements)
    assert found == []


@pytest.mark.parametrize(
    "query", ["SELECT id FROM audit WHERE subject = 's'", "SELECT id FROM session WHERE seat_number = $1"]
)
async def test_a_scan_is_noticed(book: Book, query: str) -> None:
    await grow(book)
    values = (1,) if "$1" in query else ()
    scans = _scans_sqlite if book.url.startswith("sqlite") else _scans_postgres
    assert len(await scans(book, {query: values})) == 1


async def _scans_sqlite(book: Book, statements: dict[str, Sequence[Any]]) -> list[str]:
    found = []
    for text, values in statements.items():
        for row in await book.database.fetch(f"EXPLAIN QUERY PLAN {text}", *values):
            words = str(row["detail"]).split()
            if words[0] == "SCAN" and words[1] in (*GROWING, "other") and words[-1] not in SMALL_INDEXES:
                found.append(f"{row['detail']}: {text}")
    return found


async def _scans_postgres(book: Book, statements: dict[str, Sequence[Any]]) -> list[str]:
    """With sequential scans made dear: what still scans has no index."""
    found = []
    for text, values in statements.items():
        nodes = [json.loads(await _plan_of(book, text, values))[0]["Plan"]]
        while nodes:
            node = nodes.pop()
            nodes += node.get("Plans", [])
            is_whole = node["Node Type"] == "Seq Scan" or (
                node["Node Type"].startswith("Index") and "Index Cond" not in node
            )
            index = node.get("Index Name")
            # The greatest id of a table is the last entry of its index.
            if (
                is_whole
                and node.get("Relation Name") in GROWING
                and index not in (*SMALL_INDEXES, "pk_audit")
            ):
                found.append(f"{node['Node Type']} of {node['Relation Name']}: {text}")
    return found


async def _plan_of(book: Book, text: str, values: Sequence[Any]) -> str:
    address = book.database.address
    if not isinstance(address, PostgresAddress):
        rows = await book.database.fetch(f"EXPLAIN QUERY PLAN {text}", *values)
        return "\n".join(str(row["detail"]) for row in rows)
    connection = await asyncpg.connect(address.dsn)
    try:
        await connection.execute(
            "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; ANALYZE"
        )
        return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *values))
    finally:
        await connection.close()
