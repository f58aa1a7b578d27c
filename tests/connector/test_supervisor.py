"""Parts of the connector that fail."""

import asyncio

from connector.supervisor import Supervisor
from tests.support.world import eventually


async def test_a_part_that_fails_comes_back_and_the_others_run_on() -> None:
    supervisor, runs, beats = Supervisor(back_off_cap=0.01), 0, 0

    async def fails_twice() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise KeyError("token")
        await asyncio.Event().wait()

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    supervisor.start("fails", fails_twice)
    supervisor.start("beats", beat)

    async def is_back() -> bool:
        return runs == 3

    await eventually(is_back, "the part comes back")
    state = supervisor.parts["fails"]
    assert state.running and state.restarts == 2 and state.last_fault == "KeyError"
    assert supervisor.parts["beats"].restarts == 0 and beats
    await supervisor.stop(1)


async def test_a_part_that_is_done_is_not_started_again() -> None:
    supervisor, runs = Supervisor(back_off_cap=0.01), 0

    async def once() -> None:
        nonlocal runs
        runs += 1

    supervisor.start("once", once)
    await asyncio.sleep(0.05)
    assert runs == 1 and not supervisor.parts["once"].running
    await supervisor.stop(1)


async def test_a_part_that_clings_does_not_hold_the_end_up() -> None:
    supervisor, may_end = Supervisor(), asyncio.Event()

    async def clings() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    supervisor.start("clings", clings)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await supervisor.stop(0.05)
    may_end.set()
