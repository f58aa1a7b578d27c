"""A stream of live updates: what is due is a set, and rights that are in doubt stop what is of a PBX."""

import asyncio
import itertools

import pytest

from core.background import Background
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.store.database import STORAGE_ERRORS
from tab.feeds import RateLimitedTask
from tab.streams import OF_PBX, STREAMS_PER_PERSON, Due, Stream, Streams

TENANT = "aaaaaaaa-0000-4000-8000-000000000000"
SECONDS = 20.0


def a_stream(person: str = "1") -> Stream:
    user = TeamsUser(TENANT, f"bbbbbbbb-0000-4000-8000-{person:0>12}")
    return Stream(user, Language.EN, expires_at=float("inf"), now=0.0, takes_changes=True)


async def test_what_happens_while_a_stream_is_busy_is_due_once() -> None:
    stream = a_stream()
    for due in (Due.SEATS, Due.OWN, Due.SEATS):
        stream.wake(due)
    assert await stream.take_due() == Due.SEATS | Due.OWN
    waiting = asyncio.create_task(stream.take_due())
    await asyncio.sleep(0)
    assert not waiting.done()
    stream.wake(Due.KEEP_ALIVE)
    assert await asyncio.wait_for(waiting, SECONDS) is Due.KEEP_ALIVE


@pytest.mark.parametrize("due", list(OF_PBX))
async def test_news_of_the_person_take_back_what_was_due_of_their_pbx(due: Due) -> None:
    stream = a_stream()
    stream.is_suspended = False
    stream.wake(due | Due.AUDIO)
    stream.suspend(Due.OWN)
    assert await stream.take_due() == Due.OWN | Due.AUDIO


async def test_the_oldest_stream_of_a_person_gives_way() -> None:
    streams, mine = Streams(), [a_stream() for _ in range(STREAMS_PER_PERSON + 1)]
    opened = [streams.opened(stream) for stream in mine]
    for one in opened:
        one.__enter__()
    assert [stream.is_replaced for stream in mine] == [True] + STREAMS_PER_PERSON * [False]
    assert await mine[0].take_due() == Due.END
    assert [*streams.get_of(mine[0].user.key)] == mine[1:] == [*streams]
    for one in opened:
        one.__exit__(None, None, None)
    assert [*streams] == []


async def test_work_that_is_asked_for_often_is_done_once_more_for_all() -> None:
    begun, go_on, tasks = asyncio.Event(), asyncio.Event(), Background()
    done = itertools.count()

    async def work() -> None:
        next(done)
        begun.set()
        await go_on.wait()

    paced = RateLimitedTask(work, 0.001, tasks)
    paced.request()
    await asyncio.wait_for(begun.wait(), SECONDS)
    for _ in range(10):
        paced.request()
    go_on.set()
    await asyncio.wait_for(tasks.finish(), SECONDS)
    assert next(done) == 2


async def test_work_is_tried_again_when_the_database_does_not_answer() -> None:
    tasks, faults = Background(), [STORAGE_ERRORS[0](), STORAGE_ERRORS[0]()]

    async def work() -> None:
        if faults:
            raise faults.pop()

    RateLimitedTask(work, 0.001, tasks).request()
    await asyncio.wait_for(tasks.finish(), SECONDS)
    assert not faults


async def test_the_telephone_is_not_sent_while_it_is_unknown_who_may_see_it() -> None:
    stream = a_stream()
    stream.is_suspended, stream.session_id = False, "session"
    stream.send_phone(b"before")
    stream.suspend(Due.OWN)
    assert await stream.take_due() is Due.OWN
    assert stream.phone == b"" and stream.is_phone_behind, (
        "it is asked for once more when the person's state is known"
    )
    stream.send_phone(b"meanwhile")
    assert stream.due is Due.NOTHING and stream.phone == b""


async def test_a_telephone_that_was_read_before_its_person_lost_the_session_is_not_sent() -> None:
    stream = a_stream()
    stream.is_suspended, stream.is_phone_behind = False, False
    stream.send_phone(b"calls")
    assert stream.due is Due.NOTHING and stream.phone == b""
    assert stream.is_phone_behind, "it is asked for when the person signs in again"
