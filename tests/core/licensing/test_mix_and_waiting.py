"""The mix of licences, the waiting list, policies, expiry and releases: on both databases."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.policy import People, Policy, Reservation
from core.licensing.rules import GRACE, LicenceKind, TakeSeat, UseUal
from core.licensing.session import CallFacts, EndCause, ExpiredHolders, Opened, UserFacts
from core.licensing.transactions.pools import SeatsHeldError
from core.licensing.transactions.settling import OFFER_LIFETIME
from core.licensing.transactions.waiting_list import REFUSAL_LIFETIME
from core.store.audit import OPERATOR, forget_audit
from tests.support.book import ADMIN, NOW, PBX, Book, person
from tests.support.refusals import outcome_of

MINUTE = timedelta(minutes=1)
BOSS = replace(person(1), is_administrator=True)


async def sweep(book: Book, now) -> None:
    for pbx_id in await book.ledger.list_pbxs_to_sweep(now):
        await book.ledger.sweep(pbx_id, now)


async def follow(book: Book, number: int, *, ual: bool, now=NOW):
    licence = UseUal() if ual else TakeSeat(await book.choices(number, now))
    return await book.ledger.follow_user(PBX, "pbx", UserFacts(number, person(number), licence), now)


async def user_of(book: Book, number: int):
    return (await book.request(number)).teams_user


async def notices(book: Book) -> list[tuple[str, str]]:
    return [tuple(row) for row in await book.rows("SELECT object_id, kind FROM notice ORDER BY id")]


async def decide(book: Book, policy: Policy) -> Finding | None:
    (pool,) = await book.overview.pools(PBX)
    return await outcome_of(book.ledger.put_policy(PBX, pool.id, policy, ADMIN, NOW))


# --- the mix


async def test_gaining_the_permission_moves_the_session_and_frees_the_seat(book: Book) -> None:
    await book.put(1)
    opened = await book.take(1)
    assert isinstance(opened, Opened)
    moved = await follow(book, 1, ual=True, now=NOW + MINUTE)
    assert moved is not None and moved.kind is LicenceKind.UAL and moved.id == opened.session.id
    assert moved.started_at == NOW and moved.licence_since == NOW + MINUTE
    assert await book.used() == (0, 1)
    assert await follow(book, 1, ual=True) is None
    ((detail, held_from),) = await book.rows("SELECT detail, held_from FROM audit WHERE kind = 'moved'")
    assert json.loads(detail) == {"from": "FL", "to": "UAL"} and held_from == NOW.timestamp() * 1000


async def test_losing_the_permission_takes_a_seat_if_one_is_free(book: Book) -> None:
    await book.put(1)
    await book.take(1, ual=True)
    moved = await follow(book, 1, ual=False)
    assert moved is not None and moved.kind is LicenceKind.FL
    assert await book.used() == (1, 1)
    assert await notices(book) == []


async def test_losing_the_permission_without_a_free_seat_ends_the_session_and_says_why(book: Book) -> None:
    await book.put(1)
    await book.take(2)
    await book.take(1, ual=True)
    await follow(book, 1, ual=False)
    user = await user_of(book, 1)
    assert await book.overview.session_of(user) is None
    assert await notices(book) == [("object-1", "licence-lost")]
    ending = (await book.states.read(user)).ending
    assert ending is not None and ending[1].cause is EndCause.LICENCE_LOST


async def test_a_user_who_is_gone_from_the_pbx_frees_their_seat(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    await book.ledger.follow_user(PBX, "pbx", UserFacts(1, None), NOW)
    assert await book.used() == (0, 1)
    assert await notices(book) == [("object-1", "user-gone")]


# --- the waiting list


async def test_a_seat_is_offered_to_the_next_person_for_five_minutes_and_then_to_another(book: Book) -> None:
    await book.put(1)
    first = await book.take(1)
    assert isinstance(first, Opened)
    for number in (2, 3):
        refused = await book.deny(number)
        assert refused.evidence["used"] == refused.evidence["total"] == 1
        joined = await book.ledger.join_waiting_list(await user_of(book, number), NOW + number * MINUTE)
        assert joined == PBX
    place = (await book.states.read(await user_of(book, 3))).place
    assert place is not None and place.position == 2

    later = NOW + timedelta(minutes=10)
    await book.end(first, now=later)
    assert await notices(book) == [("object-2", "seat-offered")]
    stranger = await book.take(9, now=later)
    assert isinstance(stranger, Finding) and stranger.evidence["reserved"] == 1
    place = (await book.states.read(await user_of(book, 2))).place
    assert place is not None and place.offered_until == later + OFFER_LIFETIME

    await sweep(book, later + OFFER_LIFETIME)
    assert await notices(book) == [
        ("object-2", "seat-offered"),
        ("object-2", "offer-passed"),
        ("object-3", "seat-offered"),
    ]
    assert isinstance(await book.take(2, now=later + OFFER_LIFETIME), Finding)
    assert isinstance(await book.take(3, now=later + OFFER_LIFETIME), Opened)
    assert await book.used() == (1, 1)
    assert (await book.states.read(await user_of(book, 3))).place is None


async def test_only_who_was_refused_lately_can_wait(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    user = await user_of(book, 2)
    refused = await outcome_of(book.ledger.join_waiting_list(user, NOW))
    assert isinstance(refused, Finding) and refused.code is Code.NOT_REFUSED
    await book.deny(2)
    late = await outcome_of(book.ledger.join_waiting_list(user, NOW + REFUSAL_LIFETIME + MINUTE))
    assert isinstance(late, Finding)
    assert await book.ledger.join_waiting_list(user, NOW) == PBX
    assert await book.ledger.join_waiting_list(user, NOW) == PBX


async def test_leaving_the_list_hands_the_offer_to_the_next(book: Book) -> None:
    await book.put(1)
    first = await book.take(1)
    assert isinstance(first, Opened)
    for number in (2, 3):
        await book.deny(number)
        await book.ledger.join_waiting_list(await user_of(book, number), NOW + number * MINUTE)
    await book.end(first)
    assert await book.ledger.leave_waiting_list(await user_of(book, 2), NOW) == PBX
    assert (await notices(book))[-1] == ("object-3", "seat-offered")
    assert await book.ledger.leave_waiting_list(await user_of(book, 2), NOW) is None


async def test_a_pool_that_grows_serves_those_who_wait(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    await book.deny(2)
    await book.ledger.join_waiting_list(await user_of(book, 2), NOW)
    await book.put(2)
    assert await notices(book) == [("object-2", "seat-offered")]


async def test_who_was_offered_a_seat_waits_no_longer_once_signed_in(book: Book) -> None:
    await book.put(2)
    held = [await book.take(number) for number in (1, 2)]
    await book.deny(3)
    await book.ledger.join_waiting_list(await user_of(book, 3), NOW)
    for opened in held:
        assert isinstance(opened, Opened)
        await book.end(opened)
    (pool,) = await book.overview.pools(PBX)
    assert (pool.kept, pool.free) == (1, 1)
    assert isinstance(await book.take(3), Opened)
    (pool,) = await book.overview.pools(PBX)
    assert (pool.used, pool.kept, pool.free) == (1, 0, 1)
    assert await book.overview.waiting_count(PBX) == 0


async def test_a_pool_withdrawn_a_moment_ago_grants_nothing(book: Book) -> None:
    await book.put(1)
    request = await book.request(1)
    await book.ledger.register_keys(PBX, [], [], NOW)
    assert isinstance(await outcome_of(book.ledger.open_session(request)), Finding)


async def test_a_pool_that_expired_a_moment_ago_grants_nothing(book: Book) -> None:
    await book.put(1, "old", until=NOW.date())
    await book.put(1, "new")
    await book.take(9, licence=TakeSeat((await book.choices(9))[1:]))
    ends = NOW.replace(hour=0) + timedelta(days=1)
    # The first choice is full, so the batched path does not serve it; the second is expired by then.
    stale = TakeSeat(tuple(reversed(await book.choices(1))))
    assert isinstance(await book.take(1, licence=stale, now=ends), Finding)


async def test_a_key_that_comes_later_serves_those_who_wait(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    await book.deny(2)
    await book.ledger.join_waiting_list(await user_of(book, 2), NOW)
    await book.put(1, "another")
    assert await notices(book) == [("object-2", "seat-offered")]
    assert isinstance(await book.take(2), Opened)


async def test_signing_in_with_a_licence_of_ones_own_ends_the_waiting(book: Book) -> None:
    await book.put(1)
    first = await book.take(1)
    assert isinstance(first, Opened)
    await book.deny(2)
    await book.ledger.join_waiting_list(await user_of(book, 2), NOW)
    assert isinstance(await book.take(2, ual=True), Opened)
    assert await book.overview.waiting_count(PBX) == 0
    await book.end(first)
    (pool,) = await book.overview.pools(PBX)
    assert (pool.used, pool.kept, pool.free) == (0, 0, 1)


async def test_the_place_of_the_same_pbx_user_under_another_account_ends_too(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    await book.deny(2)
    await book.ledger.join_waiting_list(await user_of(book, 2), NOW)
    another = TeamsUser("tenant", "another", "Another")
    assert isinstance(await book.take(2, ual=True, teams_user=another), Opened)
    assert await book.overview.waiting_count(PBX) == 0


async def test_a_place_at_another_pbx_is_given_up_by_signing_in(book: Book) -> None:
    await book.add_pbx("pbx-2")
    await book.put(1)
    await book.take(1)
    await book.deny(2)
    await book.ledger.join_waiting_list(await user_of(book, 2), NOW)
    assert isinstance(await book.take(2, ual=True, pbx_id="pbx-2"), Opened)
    assert await book.overview.waiting_count(PBX) == 0


async def test_a_permission_ends_the_waiting(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    await book.deny(2)
    await book.ledger.join_waiting_list(await user_of(book, 2), NOW)
    await follow(book, 2, ual=True)
    assert await book.overview.waiting_count(PBX) == 0


# --- policies


async def test_reserved_seats_are_for_their_people_alone(book: Book) -> None:
    await book.put(2)
    people = People(user_ids=(7,), group_ids=(40,))
    assert (
        await decide(book, Policy(reservations=(Reservation(id="r", name="R", seats=1, people=people),)))
        is None
    )
    assert isinstance(await book.take(1), Opened)
    refused = await book.take(2)
    assert isinstance(refused, Finding) and refused.evidence["reserved"] == 1
    assert isinstance(await book.take(7), Opened)
    (pool,) = await book.overview.pools(PBX)
    assert (pool.used, pool.reserved, pool.free) == (2, 0, 0)
    await book.ledger.sign_out((await book.session_of(1)), NOW)
    assert isinstance(await book.take(2), Opened)


async def test_more_seats_than_there_are_cannot_be_reserved(book: Book) -> None:
    await book.put(2)
    policy = Policy(reservations=(Reservation(id="r", name="R", seats=3, people=People(user_ids=(7,))),))
    refused = await decide(book, policy)
    assert isinstance(refused, Finding) and refused.code is Code.BAD_POLICY
    gone = await outcome_of(book.ledger.put_policy(PBX, "another", Policy(), ADMIN, NOW))
    assert isinstance(gone, Finding) and gone.code is Code.POOL_GONE


async def test_who_is_not_admitted_gets_no_seat_and_a_group_admits(book: Book) -> None:
    await book.put(2)
    await decide(book, Policy(admitted=People(user_ids=(1,), group_ids=(40,))))
    assert isinstance(await book.take(1), Opened)
    assert await book.choices(2) == ()
    (pool,) = await book.overview.pools(PBX)
    assert pool.policy.admits(2, (40,)) and not pool.policy.admits(2, (41,))


async def test_the_idle_are_released_when_the_administrator_wants_it(book: Book) -> None:
    await book.put(2)
    await book.take(1)
    later = NOW + timedelta(hours=5)
    await sweep(book, later)
    assert await book.used() == (1, 2)
    await decide(book, Policy(idle_hours=4))
    await book.take(2, now=NOW + timedelta(hours=2))
    await sweep(book, later)
    assert await book.used() == (1, 2)
    assert await notices(book) == [("object-1", "idle")]


# --- expiry


async def test_administrators_are_informed_thirty_seven_and_one_day_ahead_once_each(book: Book) -> None:
    await book.put(1, until=date(2026, 12, 31))
    await book.take(1, ual=True, person=BOSS)
    await book.take(2, ual=True)
    told = []
    for days_ahead in range(40, 0, -1):
        now = NOW.replace(year=2027, month=1, day=1) - timedelta(days=days_ahead)
        before = len(await notices(book))
        await sweep(book, now)
        await book.ledger.sweep(PBX, now)
        told += [days_ahead] * (len(await notices(book)) - before)
    assert told == [30, 7, 1]
    assert {object_id for object_id, kind in await notices(book) if kind == "key-expires"} == {"object-1"}


async def test_while_no_administrator_is_signed_in_the_word_of_expiry_waits(book: Book) -> None:
    await book.put(1, until=date(2026, 12, 31))
    ends = NOW.replace(year=2027, month=1, day=1)
    await book.take(2, ual=True)
    assert await book.ledger.list_pbxs_to_sweep(ends - timedelta(days=25)) == [], "nobody is there to be told"
    await book.ledger.sweep(PBX, ends - timedelta(days=25))
    await book.take(1, ual=True, person=BOSS)
    for days_ahead, told in ((20, 1), (19, 1), (7, 2)):
        await sweep(book, ends - timedelta(days=days_ahead))
        assert len(await notices(book)) == told, days_ahead


async def test_on_the_day_nothing_is_cut_within_the_hour(book: Book) -> None:
    await book.put(1, until=NOW.date())
    await book.take(1)
    ends = NOW.replace(hour=0) + timedelta(days=1)
    await sweep(book, ends)
    assert await book.used() == (1, 1)
    assert isinstance(await book.take(2, now=ends), Finding)
    await sweep(book, ends + GRACE)
    assert await book.used() == (0, 1)
    assert await notices(book) == [("object-1", "licence-expired")]


async def test_an_expired_key_ends_the_sessions_of_those_who_have_no_call(book: Book) -> None:
    await book.put(2, until=NOW.date())
    await book.take(1)
    await book.take(2)
    await book.take(3, ual=True)
    ends = NOW.replace(hour=0) + timedelta(days=1)
    nobody = await book.ledger.list_expired_holders(PBX, ends - timedelta(milliseconds=1))
    assert nobody == ExpiredHolders((), groups_matter=False)
    assert sorted((await book.ledger.list_expired_holders(PBX, ends)).user_ids) == [1, 2]
    begun = await book.ledger.sweep(PBX, ends)
    assert {session.person.pbx_user_id for session in begun.sessions} == {1, 2}, "their tabs tell of the hour"
    assert not await book.ledger.sweep(PBX, ends), "once"
    await book.ledger.sweep(PBX, ends, CallFacts([2, 3]))
    assert await book.used() == (1, 2)
    assert [await book.session_of(user) is not None for user in (1, 2, 3)] == [True, False, True]
    assert await notices(book) == [("object-2", "licence-expired")]


async def test_who_is_admitted_to_another_key_by_a_group_moves_there(book: Book) -> None:
    await book.put(2, "old", until=NOW.date())
    await book.take(1)
    await book.take(2)
    await book.put(2, "new")
    new = next(pool for pool in await book.overview.pools(PBX) if pool.serial == "new")
    policy = Policy(admitted=People(group_ids=(40,)))
    await book.ledger.put_policy(PBX, new.id, policy, ADMIN, NOW)
    ends = NOW.replace(hour=0) + timedelta(days=1)
    assert (await book.ledger.list_expired_holders(PBX, ends)).groups_matter
    await book.ledger.sweep(PBX, ends, CallFacts([1, 2], {1: (40,)}))
    moved, other = await book.session_of(1), await book.session_of(2)
    assert moved is not None and moved.pool_id == new.id
    assert other is None, "nothing is open to them"


async def test_an_expired_key_that_was_taken_out_ends_its_sessions_as_well(book: Book) -> None:
    await book.put(1, until=NOW.date())
    await book.take(1)
    await book.ledger.register_keys(PBX, [], [], NOW)
    ends = NOW.replace(hour=0) + timedelta(days=1)
    await sweep(book, ends)
    assert await book.session_of(1) is not None
    await sweep(book, ends + GRACE)
    assert await book.session_of(1) is None
    assert await book.ledger.list_pbxs_to_sweep(ends + GRACE) == []


async def test_a_session_of_an_expired_pool_moves_to_another_that_has_room(book: Book) -> None:
    await book.put(1, "old", until=NOW.date())
    opened = await book.take(1)
    await book.put(1, "new")
    ends = NOW.replace(hour=0) + timedelta(days=1)
    await book.ledger.sweep(PBX, ends, CallFacts([1]))
    session = await book.session_of(1)
    assert session is not None and isinstance(opened, Opened)
    assert session.pool_id != opened.session.pool_id
    assert await notices(book) == []


# --- the binding of a key


async def test_an_operator_releases_a_key_for_another_pbx(book: Book) -> None:
    await book.add_pbx("pbx-2")
    await book.put(2)
    await book.take(1)
    with pytest.raises(SeatsHeldError) as held:
        await book.ledger.release_key("S", OPERATOR, NOW, end_sessions=False)
    assert held.value.count == 1
    assert not await book.put(2, pbx_id="pbx-2")
    ended = await book.ledger.release_key("S", OPERATOR, NOW, end_sessions=True)
    assert isinstance(ended, tuple) and len(ended) == 1
    assert await book.put(2, pbx_id="pbx-2")
    unknown = await outcome_of(book.ledger.release_key("none", OPERATOR, NOW, end_sessions=True))
    assert isinstance(unknown, Finding)


async def test_a_renewed_key_tells_of_its_own_expiry_again(book: Book) -> None:
    await book.put(1, until=NOW.date() + timedelta(days=5))
    await book.take(1, ual=True, person=BOSS)
    await sweep(book, NOW)
    assert await book.rows("SELECT expiry_told FROM pool") == [(7,)]
    await book.put(1, until=NOW.date() + timedelta(days=365))
    assert await book.rows("SELECT expiry_told FROM pool") == [(None,)]


@pytest.mark.parametrize("days", [1, 30])
async def test_the_audit_is_forgotten_after_its_time(book: Book, days: int) -> None:
    await book.put(1)
    await forget_audit(book.database, NOW + timedelta(days=days))
    assert await book.rows("SELECT count(*) FROM audit") == [(0,)]
