"""How often a refused login is tried again."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import LoginPausedError, LoginRejectedError
from connector.guard import (
    FROM_OPEN_ADDRESS,
    FROM_PROTECTED_ADDRESS,
    OWN_TRIES,
    PER_PERSON,
    WINDOW_SECONDS,
    LoginGuard,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tries(guard: LoginGuard, clock: Clock, seconds: int) -> int:
    """How often a PBX that refuses is asked, by parts that come twice a second."""
    asked = 0
    for _half in range(2 * seconds):
        try:
            guard.check_own()
        except LoginPausedError:
            pass
        else:
            asked += 1
            guard.mark_own_refused()
        clock.now += 0.5
    return asked


def test_a_refused_login_is_tried_once_a_minute_and_then_no_more(clock: Clock) -> None:
    guard = LoginGuard(clock)
    assert tries(guard, clock, 60) == 1
    assert tries(guard, clock, 60) == 1
    assert tries(guard, clock, 24 * 3600) == OWN_TRIES - 2
    assert guard.own_login_paused


def test_a_question_brings_one_try(clock: Clock) -> None:
    guard = LoginGuard(clock)
    tries(guard, clock, 3600)
    guard.allow_one()
    assert tries(guard, clock, 3600) == 1


def test_a_good_login_ends_the_pause(clock: Clock) -> None:
    guard = LoginGuard(clock)
    guard.mark_own_refused()
    guard.mark_own_accepted()
    guard.check_own()


async def refuse(guard: LoginGuard, login: str, who: str = "somebody") -> None:
    with pytest.raises(LoginRejectedError):
        async with guard.person(login, who):
            await asyncio.sleep(0)
            raise LoginRejectedError("no")


async def accept(guard: LoginGuard, login: str, who: str = "somebody") -> None:
    async with guard.person(login, who):
        await asyncio.sleep(0)


async def test_one_person_does_not_stop_the_others(clock: Clock) -> None:
    guard = LoginGuard(clock)
    guard.mark_own_accepted()
    for attempt in range(PER_PERSON):
        await refuse(guard, "1001", f"stranger-{attempt}")
    with pytest.raises(LoginPausedError):
        await accept(guard, "1001", "another")
    await accept(guard, "1002", "another")
    clock.now += WINDOW_SECONDS
    await accept(guard, "1001", "another")


async def test_one_account_has_few_tries_whatever_logins_it_tries(clock: Clock) -> None:
    guard = LoginGuard(clock)
    guard.mark_own_accepted()
    for number in range(PER_PERSON):
        await refuse(guard, str(number))
    with pytest.raises(LoginPausedError):
        await accept(guard, "other")
    await accept(guard, "other", "another")


async def test_who_has_used_a_login_is_kept_out_by_nobody_who_guesses(clock: Clock) -> None:
    guard = LoginGuard(clock)
    guard.mark_own_accepted()
    await accept(guard, "1001", "anna")
    for number in range(FROM_PROTECTED_ADDRESS):
        await refuse(
            guard, ("1001", "1002", "1003", "1004", "1005", "1006")[number // PER_PERSON], f"s-{number}"
        )
    with pytest.raises(LoginPausedError):
        await accept(guard, "1007", "another")
    for _attempt in range(PER_PERSON - 1):
        await refuse(guard, "1001", "anna")
    await accept(guard, "1001", "anna")
    for _attempt in range(PER_PERSON):
        await refuse(guard, "1001", "anna")
    with pytest.raises(LoginPausedError):
        await accept(guard, "1001", "anna")


async def test_many_at_once_are_no_more_than_many_one_after_the_other(clock: Clock) -> None:
    guard = LoginGuard(clock)
    guard.mark_own_accepted()
    outcomes = await asyncio.gather(
        *(refuse(guard, "1001", "stranger") for _ in range(40)), return_exceptions=True
    )
    assert outcomes.count(None) == PER_PERSON
    assert all(outcome is None or isinstance(outcome, LoginPausedError) for outcome in outcomes)


async def test_right_ones_at_once_wait_for_one_another(clock: Clock) -> None:
    guard = LoginGuard(clock)
    guard.mark_own_accepted()
    await refuse(guard, "1001", "anna")
    await asyncio.gather(*(accept(guard, "1001", "anna") for _ in range(40)))


async def test_a_pbx_that_cannot_be_asked_has_refused_nobody(clock: Clock) -> None:
    guard = LoginGuard(clock)
    for _ in range(40):
        with pytest.raises(OSError):
            async with guard.person("1001", "anna"):
                raise OSError
    await accept(guard, "1001", "anna")


async def test_an_address_without_protection_is_guarded_sooner(clock: Clock) -> None:
    guard = LoginGuard(clock)
    for number in range(FROM_OPEN_ADDRESS):
        await refuse(guard, str(number), str(number))
    with pytest.raises(LoginPausedError):
        await accept(guard, "other")
    guard.mark_own_accepted()
    await accept(guard, "other")


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 120)), max_size=300))
@settings(deadline=None)
async def test_no_window_ever_sees_more_refusals_than_allowed(attempts: list[tuple[str, float]]) -> None:
    clock = Clock()
    guard = LoginGuard(clock)
    guard.mark_own_accepted()
    refused: list[float] = []
    for number, (login, pause) in enumerate(attempts):
        clock.now += pause
        try:
            await refuse(guard, login, str(number))
        except LoginPausedError:
            continue
        refused.append(clock.now)
        assert sum(clock.now - at < WINDOW_SECONDS for at in refused) <= FROM_PROTECTED_ADDRESS
