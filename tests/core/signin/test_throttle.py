"""Throttles of signing in: what N attempts at once, many names and many accounts can and cannot do."""

import asyncio
import sys
import tracemalloc
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError, create_throttled_finding
from core.hub.bus import Bus
from core.hub.plane import open_plane
from core.identity.teams_user import TeamsUser
from core.moving_window import MAX_KEYS, MovingWindow
from core.signin.throttle import LIMITS, Count, Throttle

TENANT = "aaaaaaaa-0000-4000-8000-000000000000"
OTHER_TENANT = "bbbbbbbb-0000-4000-8000-000000000000"
WRONG = Finding(Code.WRONG_KEY)
REJECTED = Finding(Code.LOGIN_REJECTED)


def somebody(tenant: str = TENANT) -> TeamsUser:
    return TeamsUser(tenant, str(uuid.uuid4()))


def throttle() -> Throttle:
    return Throttle(Bus(open_plane(None)))


async def attempts_at_once(counts: Throttle, user: TeamsUser, outcome: Finding | None, number: int) -> int:
    """As many as come before the first one ends. Gives how many were judged. `outcome` None: not refused."""

    async def one() -> bool:
        try:
            async with counts.attempt(user):
                await asyncio.sleep(0)
                if outcome is not None:
                    raise RefusedError(outcome)
        except RefusedError as refused:
            return refused.finding.code is not Code.THROTTLED
        return True

    return sum(await asyncio.gather(*(one() for _ in range(number))))


async def test_attempts_at_once_are_judged_no_more_often_than_one_after_the_other() -> None:
    counts, user = throttle(), somebody()
    limit = LIMITS[Count.GUESSES][0]
    assert await attempts_at_once(counts, user, WRONG, 128) == limit
    assert await attempts_at_once(counts, user, WRONG, 1) == 0
    assert await attempts_at_once(counts, somebody(), WRONG, 1) == 1, "nobody else is kept out"


async def test_right_ones_at_once_wait_for_one_another_and_are_not_refused() -> None:
    counts, user = throttle(), somebody()
    await attempts_at_once(counts, user, WRONG, 9)
    assert await attempts_at_once(counts, user, None, 50) == 50
    assert not counts._under_way, "nothing is kept of them"


@pytest.mark.parametrize("outcome", [None, Finding(Code.LINK_DOWN), Finding(Code.PBX_BUSY)])
async def test_what_is_nobodys_fault_is_given_back(outcome: Finding | None) -> None:
    counts, user = throttle(), somebody()
    for _ in range(100):
        assert await attempts_at_once(counts, user, outcome, 1) == 1


async def test_an_attempt_that_ends_by_an_exception_is_given_back() -> None:
    counts, user = throttle(), somebody()
    for _ in range(100):
        with pytest.raises(OSError):
            async with counts.attempt(user):
                raise OSError


async def test_refusals_that_cost_the_pbx_something_are_counted_too() -> None:
    counts, user = throttle(), somebody()
    judged = [await attempts_at_once(counts, user, Finding(Code.NO_LICENCE), 1) for _ in range(100)]
    assert sum(judged) == LIMITS[Count.REFUSALS][0]


def test_wrong_keys_count_by_tenant_and_address_not_against_everybody() -> None:
    counts = throttle()
    judged = [counts.count_wrong_key(somebody(), "192.0.2.1") for _ in range(90)]
    assert sum(not seconds for seconds in judged) == LIMITS[Count.ADDRESS_KEYS][0]
    assert all(0 < seconds <= 60 for seconds in judged if seconds)
    assert not counts.count_wrong_key(somebody(OTHER_TENANT), "192.0.2.2")


def test_one_host_with_many_ipv6_addresses_is_one_address() -> None:
    counts = throttle()
    judged = [counts.count_wrong_key(somebody(), f"2001:db8::{number:x}") for number in range(90)]
    assert sum(not seconds for seconds in judged) == LIMITS[Count.ADDRESS_KEYS][0]


def test_a_login_that_is_guessed_by_many_is_open_to_who_has_used_it() -> None:
    counts = throttle()

    def guess(user: TeamsUser, login: str | None, *, is_exempt: bool = False) -> bool:
        with pytest.raises(RefusedError) as refused, counts.password(user, "pbx", login, is_exempt=is_exempt):
            raise RefusedError(REJECTED)
        return refused.value.finding is REJECTED

    strangers = [somebody(OTHER_TENANT) for _ in range(40)]
    assert sum(guess(stranger, "1001") for stranger in strangers) == LIMITS[Count.LOGIN][0]
    assert not guess(strangers[0], "1001"), "case of a login does not make another of it"
    assert guess(somebody(), "1001", is_exempt=True)
    assert guess(somebody(), "1002")
    # Where the service cannot see the login, the tenant is what is left to count by.
    many = [guess(somebody(OTHER_TENANT), None) for _ in range(200)]
    assert sum(many) == LIMITS[Count.TENANT_PASSWORDS][0] - LIMITS[Count.LOGIN][0]
    assert guess(somebody(), None)


def test_a_company_that_signs_in_at_one_moment_is_not_throttled() -> None:
    counts = throttle()
    entered = [counts.password(somebody(), "pbx", str(number), is_exempt=False) for number in range(500)]
    for one in entered:
        one.__enter__()  # raises if it is throttled
    for one in entered:
        one.__exit__(None, None, None)


@given(st.lists(st.sampled_from(["take", "back", "count"]), max_size=60))
def test_a_window_never_lets_more_through_than_its_limit(steps: list[str]) -> None:
    window, taken, limit = MovingWindow(5, 3600), 0, 5
    for step in steps:
        if step == "take":
            if not window.take("key"):
                taken += 1
        elif step == "back" and taken:
            window.give_back("key")
            taken -= 1
        elif step == "count":
            window.count("key")
            taken = min(limit, taken + 1)
        assert taken <= limit
        assert (window.wait("key") > 0) == (taken == limit)


def test_time_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    window = MovingWindow(2, 60)
    assert not window.take("key")
    clock[0] += 30
    assert not window.take("key")
    assert window.take("key") == pytest.approx(30)
    clock[0] += 30
    assert not window.take("key")
    assert window.take("key") == pytest.approx(30)


def test_hostile_names_cost_a_bounded_amount_of_memory() -> None:
    window = MovingWindow(10, 60)
    tracemalloc.start()
    for number in range(100_000):
        window.count(f"name-{number:024}")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(window) == MAX_KEYS
    assert grown < 10 * 2**20, f"{grown / 2**20:.1f} MiB"
    assert sys.getsizeof(create_throttled_finding(1)) < 200


def test_a_key_that_is_used_is_not_pushed_out_by_many_others() -> None:
    window = MovingWindow(3, 3600, max_keys=100)
    for number in range(1000):
        if number % 50 == 0:
            window.count("attacker")
        window.count(f"name-{number}")
    assert window.wait("attacker") > 0
