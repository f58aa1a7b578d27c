"""The single statement for a user's state agrees with the separate tables, for any content."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from core.identity.teams_user import TeamsUser
from core.store import tables
from core.store.timestamps import from_ms
from tests.support.book import Book

TENANTS, OBJECTS, PBXS = ("t0", "t1"), ("o0", "o1", "o2"), ("p0", "p1", "p2")
ENTRIES = ("with-key", "one-click", "automatic")


async def fill(book: Book, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Few people and PBXs, so that everything meets everything; the database's own rules hold."""
    choose = random.Random(seed)
    often = lambda: choose.random() < 0.6  # noqa: E731
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in tables.metadata.sorted_tables}
    people = [(tenant, one) for tenant in TENANTS for one in OBJECTS]
    for number, pbx in enumerate(PBXS):
        opened = choose.choice((None, 5))
        rows["pbx"].append(
            {
                "id": pbx, "name": f"{pbx}.example.com", "identity": "i", "key_hmac": "k", "claimed_at": number,
                "link_epoch": number, "link_opened_at": opened, "link_closed_at": choose.choice((None, 6)),
                "status": None, "sealing_key": choose.choice((None, "s")), "capabilities": '["sealed-answers"]',
            }
        )  # fmt: skip
        for at in range(choose.randrange(3)):
            rows["refused_claim"].append(
                {
                    "pbx_id": pbx, "identity": f"i{at}", "address": "a", "address_group": "a",
                    "connector_version": "1", "first_at": at, "at": choose.randrange(100),
                }
            )  # fmt: skip
        for index in range(choose.randrange(3)):
            pool = f"{pbx}-{index}"
            rows["pool"].append(
                {
                    "id": pool, "serial": pool, "pbx_id": pbx, "licensee": "L", "valid_from": 0,
                    "valid_until": choose.randrange(1000), "withdrawn": choose.random() < 0.3,
                }
            )  # fmt: skip
            for seat in range(1, choose.randrange(2, 6)):
                held = choose.random() < 0.4
                kept = not held and choose.random() < 0.4
                holder = 1000 * (index + 1) + 10 * number + seat
                rows["seat"].append(
                    {
                        "pool_id": pool, "number": seat, "pbx_id": pbx, "holder": holder if held else None,
                        "retired": choose.random() < 0.2, "kept_for": seat if kept else None,
                        "kept_until": choose.randrange(1000) if kept else None,
                    }
                )  # fmt: skip
        for tenant in TENANTS:
            if often():
                entry = choose.choice(ENTRIES)
                is_first = not any(one["tenant_id"] == tenant for one in rows["trusted_tenant"])
                rows["trusted_tenant"].append(
                    {
                        "pbx_id": pbx, "tenant_id": tenant, "trusted_by": "x", "at": 1, "entry": entry,
                        "is_primary": is_first and often(),
                    }
                )  # fmt: skip
        for user, person in enumerate(people):
            if choose.random() < 0.3:
                rows["pinned_identity"].append(
                    _keys(person) | {"pbx_id": pbx, "pbx_user_id": user, "proof": "email", "at": 1}
                )
    for user, person in enumerate(people):
        seats = [(seat["pool_id"], seat["number"], seat["pbx_id"]) for seat in rows["seat"]]
        if often():
            pool, seat, pbx = choose.choice(seats) if seats and often() else (None, None, choose.choice(PBXS))
            rows["session"].append(
                _keys(person) | {
                    "id": f"s{user}", "teams_name": "T", "pbx_id": pbx, "pbx_user_id": user, "pbx_login": "1",
                    "display_name": "D", "email": "", "is_administrator": often(), "licence_kind": "FL",
                    "pool_id": pool, "seat_number": seat, "proof": "password", "started_at": 1,
                    "licence_since": 2, "last_seen_at": 3, "ends_at": choose.choice((None, 99)),
                }
            )  # fmt: skip
        if often():
            rows["waiting"].append(
                _keys(person) | {
                    "pbx_id": choose.choice(PBXS), "pbx_user_id": user, "display_name": "D", "group_ids": "[]",
                    "refused_at": 1, "joined_at": choose.choice((None, 1, 2, 3)),
                }
            )  # fmt: skip
        if often():
            rows["session_end"].append(
                _keys(person) | {
                    "pbx_name": "p", "cause": "revoked", "reason": "r", "ended_by": "x", "at": user,
                    "ended_by_kind": choose.choice((None, "person")),
                }
            )  # fmt: skip
        if often():
            rows["preference"].append(_keys(person) | {"no_automatic_sign_in": often()})
        if often():
            rows["audio_person"].append(
                _keys(person) | {"verdict": choose.choice((None, "conflict", "clear"))}
            )
    async with book.database.writing() as connection:
        for table in tables.metadata.sorted_tables:
            if rows[table.name]:
                await connection.execute(insert(table), rows[table.name])
    return rows


def _keys(person: tuple[str, str]) -> dict[str, Any]:
    return {"tenant_id": person[0], "object_id": person[1]}


@pytest.mark.parametrize("seed", range(12))
async def test_the_one_statement_says_what_the_tables_say(book: Book, seed: int) -> None:
    rows = await fill(book, seed)
    for person in [(tenant, one) for tenant in (*TENANTS, "nobody") for one in OBJECTS]:
        stored = await book.states.read(TeamsUser(*person))
        (session,) = _of(rows["session"], person) or [None]
        assert (stored.session.id if stored.session else None) == (session["id"] if session else None)
        assert stored.ends_at == (_moment(session["ends_at"]) if session else None)
        pools = [pool for pool in rows["pool"] if session and pool["pbx_id"] == session["pbx_id"]]
        pools = [pool for pool in pools if not pool["withdrawn"]]
        seats = [seat for seat in rows["seat"] if seat["pool_id"] in [pool["id"] for pool in pools]]
        assert stored.seats_used == sum(seat["holder"] is not None for seat in seats)
        assert stored.seats_total == sum(not seat["retired"] for seat in seats)
        mine = [pool["valid_until"] for pool in pools if session and pool["id"] == session["pool_id"]]
        assert stored.pool_valid_until == (from_ms(mine[0]) if mine else None)
        if session is None:
            assert stored.pbx is None
        else:
            assert stored.pbx is not None and stored.pbx.id == session["pbx_id"]
            claims = [one["at"] for one in rows["refused_claim"] if one["pbx_id"] == session["pbx_id"]]
            assert stored.pbx.refused_claim_at == (from_ms(max(claims)) if claims else None)
            (pbx,) = [one for one in rows["pbx"] if one["id"] == session["pbx_id"]]
            assert stored.pbx.link_closed_at == _moment(pbx["link_closed_at"])
            assert (stored.pbx.name, stored.pbx.capabilities) == (pbx["name"], ("sealed-answers",))
        assert stored.verdict == next((one["verdict"] for one in _of(rows["audio_person"], person)), None)
        ends = _of(rows["session_end"], person)
        assert (stored.ending[1].now if stored.ending else None) == (_moment(ends[0]["at"]) if ends else None)
        preferences = _of(rows["preference"], person)
        assert stored.no_automatic_sign_in == any(one["no_automatic_sign_in"] for one in preferences)
        offers = sorted(
            (not one["is_primary"], f"{one['pbx_id']}.example.com")
            for one in rows["trusted_tenant"]
            if one["tenant_id"] == person[0] and one["entry"] != "with-key"
        )
        assert [(not one.is_primary, one.pbx_name) for one in stored.offers] == offers
        pinned = {one["pbx_id"] for one in _of(rows["pinned_identity"], person)}
        assert stored.used == pinned & {one.pbx_id for one in stored.offers}
        _check_place(rows, person, stored.place)


def _check_place(rows: dict[str, list[dict[str, Any]]], person: tuple[str, str], place: Any) -> None:
    waiting = _of(rows["waiting"], person)
    if not waiting:
        assert place is None
        return
    (mine,) = waiting
    kept = [
        seat["kept_until"]
        for seat in rows["seat"]
        if seat["pbx_id"] == mine["pbx_id"] and seat["kept_for"] == mine["pbx_user_id"]
    ]
    assert (place.pbx_id, place.joined_at) == (mine["pbx_id"], _moment(mine["joined_at"]))
    assert place.pbx_name == f"{mine['pbx_id']}.example.com"
    assert place.offered_until in ([from_ms(at) for at in kept] or [None])
    order = [
        (one["joined_at"], one["pbx_user_id"])
        for one in rows["waiting"]
        if one["pbx_id"] == mine["pbx_id"] and one["joined_at"] is not None
    ]
    before = [
        one
        for one in order
        if mine["joined_at"] is not None and one < (mine["joined_at"], mine["pbx_user_id"])
    ]
    assert place.position == 1 + len(before)


def _of(rows: list[dict[str, Any]], person: tuple[str, str]) -> list[dict[str, Any]]:
    return [row for row in rows if (row["tenant_id"], row["object_id"]) == person]


def _moment(value: int | None) -> datetime | None:
    return datetime.fromtimestamp(value / 1000, UTC) if value is not None else None


async def test_a_person_without_stored_data(book: Book) -> None:
    stored = await book.states.read(TeamsUser("nobody", "nobody"))
    assert (stored.session, stored.pbx, stored.place, stored.ending) == (None, None, None, None)
    assert (stored.offers, stored.seats_total) == ([], 0)
