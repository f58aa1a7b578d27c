"""Background work: no fault ends it silently, and one member that fails takes nothing from the others."""

import asyncio
import logging

import pytest

from core.background import Background, Setbacks, cancel_and_wait, supervise


class Poison(Exception):
    """Listed nowhere."""


@pytest.mark.parametrize("fault", [Poison(), KeyError("k"), asyncio.CancelledError(), RecursionError(), None])
async def test_work_that_ends_begins_again_and_the_log_says_why(caplog, fault: BaseException | None) -> None:
    begun = asyncio.Semaphore(0)

    async def work() -> None:
        begun.release()
        if fault is not None:
            raise fault

    task = asyncio.create_task(supervise("the work", work, first_pause=0.001, longest_pause=0.01))
    async with asyncio.timeout(20):
        for _ in range(5):
            await begun.acquire()
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    told = [record for record in caplog.records if record.__dict__.get("of") == "the work"]
    assert [record.levelno for record in told[:2]] == [logging.ERROR, logging.WARNING], "once with its trace"


async def test_work_that_is_cancelled_ends(caplog) -> None:
    task = asyncio.create_task(supervise("the work", asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not caplog.records


async def test_a_member_that_fails_rests_longer_each_time_and_the_others_do_not() -> None:
    setbacks = Setbacks(first_pause=10, longest_pause=60)
    pauses = [setbacks.record_failure("bad", Poison(), "failed") for _ in range(5)]
    assert pauses == [10, 20, 40, 60, 60]
    assert setbacks.is_resting("bad") and not setbacks.is_resting("good")
    setbacks.record_success("bad")
    assert not setbacks.is_resting("bad") and setbacks.record_failure("bad", Poison(), "failed") == 10


async def test_what_nobody_waits_for_is_logged_when_it_fails(caplog) -> None:
    background = Background()

    async def fail() -> None:
        raise Poison

    background.start(fail())
    await background.finish()
    assert [record.message for record in caplog.records] == ["background work failed"]
    assert len(background) == 0


async def test_a_task_that_has_lost_a_cancellation_is_stopped_all_the_same() -> None:
    """As `asyncio.wait_for` loses one before Python 3.12."""
    lost = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            lost.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await cancel_and_wait(task)
    assert lost.is_set() and task.cancelled()


async def test_a_fault_of_a_task_that_is_stopped_is_logged(caplog) -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise Poison

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert "background work failed" in caplog.text and "Poison" in caplog.text
