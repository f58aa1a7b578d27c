"""A jump of the wall clock deletes nothing and ends nothing."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from core.licensing.session import NO_CALL_FACTS, Opened
from core.store import retention, tables
from core.store.audio import AudioStore
from core.store.audit import forget_audit
from core.store.clock import ClockDoubt, ClockReading, ClockState, advance, start_state
from core.store.clock_watch import ClockWatch
from core.store.database import PostgresAddress
from core.store.notices import Notices, new_notice
from core.store.timestamps import now, to_ms
from core.upkeep.sweeper import Sweeper
from tests.support.book import NOW, PBX, Book
from tests.support.clocks import Clocks

HOUR, DAY = 3600.0, 86400.0
WALL = 1_800_000_000.0

# --- the rule: (seconds that really pass, seconds by which the wall clock jumps) to the doubt after it


def follow(
    steps: list[tuple[float, float]], newest: float | None = WALL, look_every: float = 1.0
) -> list[ClockDoubt | None]:
    state, wall, steady = start_state(ClockReading(WALL, 50.0), newest), WALL, 50.0
    doubts = [state.doubt]
    for passes, jump in steps:
        left = passes
        wall += jump
        while left > 0:
            step = min(look_every, left)
            wall, steady, left = wall + step, steady + step, left - step
            state = advance(state, ClockReading(wall, steady))
        doubts.append(state.doubt)
    return doubts


JUMPED, PAUSED, UNLIKE = ClockDoubt.JUMPED, ClockDoubt.PAUSED, ClockDoubt.UNLIKE_RECORDS


@pytest.mark.parametrize(
    ("steps", "doubts"),
    [
        ([(DAY, 0)], [None, None]),
        ([(9, 0), (12, 500 * DAY), (5, -500 * DAY)], [None, None, JUMPED, None]),
        ([(9, 0), (12, -500 * DAY), (5, 500 * DAY)], [None, None, JUMPED, None]),
        ([(9, 0), (HOUR - 60, 2 * HOUR)], [None, None, JUMPED]),
        ([(9, 0), (HOUR + 60, 2 * HOUR)], [None, None, None]),
        # Another jump before the first has lasted: the hour begins again.
        ([(HOUR - 60, DAY), (HOUR - 60, DAY), (HOUR, 0)], [None, JUMPED, JUMPED, None]),
        # Back and forth, for ever: never.
        ([(600, DAY), (600, DAY), (600, -DAY), (600, DAY)] * 3, [None] + [JUMPED] * 12),
        ([(9, 0), (9, 20)], [None, None, None]),  # NTP steps the clock a little
        (
            [(9, 0)] + [(1, 20)] * 9 + [(9, 0)],
            [None, None, None] + [JUMPED] * 9,
        ),  # many little steps are one jump
        ([(1, 0.05)] * 2000, [None] * 2001),  # a clock that is slewed
    ],
    ids=lambda value: str(value)[:40],
)
def test_when_the_clock_is_trusted(steps: list[tuple[float, float]], doubts: list[ClockDoubt | None]) -> None:
    assert follow(steps) == doubts


@pytest.mark.parametrize(
    ("newest", "doubt"),
    [
        (None, None),
        (WALL, None),
        (WALL - 23 * HOUR, None),
        (WALL - 500 * DAY, UNLIKE),
        (WALL + 60, None),
        (WALL + 500 * DAY, UNLIKE),
    ],
)
def test_a_start_is_compared_with_what_the_database_knows(
    newest: float | None, doubt: ClockDoubt | None
) -> None:
    lasting = follow([(HOUR - 60, 0), (120, 0)], newest)
    assert lasting == [doubt, doubt, None]


@pytest.mark.parametrize("steady_jump", [500 * DAY, -500 * DAY])
def test_two_clocks_that_jump_together_prove_nothing_to_each_other(steady_jump: float) -> None:
    state = advance(start_state(ClockReading(WALL, 0), WALL), ClockReading(WALL + steady_jump, steady_jump))
    assert state.doubt is PAUSED
    back = advance(state, ClockReading(WALL + 1, 1.0))
    assert back.doubt is PAUSED, "nor when they come back"
    assert lasts(back, ClockReading(WALL + 1, 1.0)) == (True, False)


def lasts(state: ClockState, look: ClockReading) -> tuple[bool, bool]:
    """Whether it is doubted just before and after its hour."""
    doubts = []
    for second in range(1, int(HOUR) + 10, 10):
        state = advance(state, ClockReading(look.wall + second, look.steady + second))
        doubts.append(state.doubt is not None)
    return doubts[-3], doubts[-1]


# --- the watch and what follows it, on real databases


@pytest.fixture
async def swept(database_url: str) -> AsyncIterator[tuple[Book, Clocks, ClockWatch, Callable[[], Any]]]:
    """A database in use, and a sweeper whose clock the test sets."""
    book = await Book(database_url).open()
    clocks = Clocks()
    watch = ClockWatch(book.database, wall=clocks.wall, steady=clocks.steady)
    today = now()
    await book.put(3, until=(today + timedelta(days=90)).date(), now=today)
    for number in (1, 2):
        assert isinstance(await book.take(number, now=today), Opened)
    async with book.database.writing() as connection:
        await connection.execute(
            insert(tables.link_event),
            [{"pbx_id": PBX, "at": to_ms(today), "kind": "opened", "detail": "{}"} for _ in range(13)],
        )
        values = {
            "pbx_name": "x.example.com",
            "code_hash": "h",
            "expires_at": to_ms(today + timedelta(days=1)),
        }
        await connection.execute(insert(tables.enrolment).values(**values))

    class Nobody:
        def announce(self, *_arguments: Any) -> None: ...

        async def facts(self, _pbx_id: str) -> Any:
            return NO_CALL_FACTS

    from core.hub.registry import Registry

    registry = Registry(book.database, book.ledger.writer, b"x" * 32)
    nobody: Any = Nobody()
    sweeper = Sweeper(
        book.ledger,
        nobody,
        book.database,
        AudioStore(book.database, b"p" * 32),
        registry,
        nobody,
        watch,
        audit_days=400,
    )

    async def sweep() -> None:
        await watch.prove()
        await sweeper.sweep()
        await sweeper.forget_old()

    yield book, clocks, watch, sweep
    await book.close()


async def kept(book: Book) -> list[Any]:
    return [
        (await book.rows(f"SELECT count(*) FROM {name}"))[0][0]
        for name in ("audit", "link_event", "enrolment", "session", "seat WHERE holder IS NOT NULL", "notice")
    ]


@pytest.mark.parametrize("jump", [500 * DAY, -500 * DAY, 200 * DAY])
async def test_a_jump_deletes_and_ends_nothing(swept: Any, caplog, jump: float) -> None:
    book, clocks, watch, sweep = swept
    await sweep()
    before = await kept(book)
    clocks.wall_off = jump
    for _ in range(3):
        await sweep()
    assert watch.doubt is not None and watch.trusted_now() is None
    assert await kept(book) == before
    assert "the clock is not trusted" in caplog.text
    clocks.wall_off = 0
    await sweep()
    assert watch.doubt is None
    assert await kept(book) == before


async def test_a_new_time_that_has_lasted_is_followed(swept: Any) -> None:
    book, clocks, watch, sweep = swept
    await sweep()
    clocks.wall_off = 500 * DAY
    await sweep()
    for _ in range(13):
        clocks.passed += 290
        watch.trusted_now()
    await sweep()
    if isinstance(book.database.address, PostgresAddress):
        assert watch.doubt is ClockDoubt.UNLIKE_DATABASE, "the server knows better"
        assert (await kept(book))[3] == 2
    else:
        assert watch.doubt is None
        assert (await kept(book))[1:5] == [0, 0, 0, 0]


@pytest.mark.parametrize("off", [500 * DAY, -500 * DAY])
async def test_a_service_that_starts_with_a_wrong_clock_waits(swept: Any, off: float) -> None:
    book, clocks, _watch, sweep = swept
    await sweep()
    before = await kept(book)
    clocks.wall_off = off
    started = ClockWatch(book.database, wall=clocks.wall, steady=clocks.steady)
    await started.prove()
    assert started.doubt is not None
    await started.prove()
    assert await kept(book) == before
    marks = await book.rows("SELECT at FROM clock_mark")
    assert abs(marks[0][0] - to_ms(now())) < 3_600_000, "a doubted time is not written down"


async def test_a_database_from_before_the_mark_is_judged_by_its_newest_audit_row(swept: Any) -> None:
    book, clocks, _watch, _sweep = swept
    clocks.wall_off = 500 * DAY
    started = ClockWatch(book.database, wall=clocks.wall, steady=clocks.steady)
    assert started.doubt is ClockDoubt.UNKNOWN
    await started.prove()
    assert started.doubt is not None
    await started.prove()
    assert (await book.rows("SELECT at FROM clock_mark"))[0][0] == 0


async def test_an_empty_database_trusts_the_clock(database_url: str) -> None:
    book = await Book(database_url).open()
    watch = ClockWatch(book.database)
    await watch.prove()
    assert watch.doubt is None
    await book.close()


async def test_one_pbx_that_cannot_be_swept_keeps_no_other_from_it(swept: Any, caplog) -> None:
    book, _clocks, _watch, sweep = swept
    await book.add_pbx("pbx-0")
    await book.put(1, serial="BAD", pbx_id="pbx-0", until=(now() + timedelta(days=90)).date(), now=now())
    async with book.database.writing() as connection:
        await connection.execute(text("UPDATE pool SET policy = '{\"idleHours\": []}' WHERE serial = 'BAD'"))
        await connection.execute(text("UPDATE pool SET valid_until = 1 WHERE serial = 'S'"))
    await sweep()
    await sweep()
    assert await book.rows("SELECT count(*) FROM session") == [(0,)]
    bad = [record for record in caplog.records if record.__dict__.get("of") == "pbx-0"]
    assert len(bad) == 1, "told once, then left alone for a while"


# --- deleting


async def test_old_rows_go_in_small_steps(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 10)
    row = {"pbx_id": "p", "kind": "k", "actor": "", "subject": "", "detail": "{}"}
    async with book.database.writing() as connection:
        await connection.execute(insert(tables.audit), [row | {"at": n} for n in range(95)])
        await connection.execute(insert(tables.audit), [row | {"at": to_ms(NOW)} for _ in range(25)])
    steps = 0
    writing = book.database.writing

    def counted() -> Any:
        nonlocal steps
        steps += 1
        return writing()

    monkeypatch.setattr(book.database, "writing", counted)
    assert await forget_audit(book.database, NOW) == 95
    assert steps >= 10
    assert await book.rows("SELECT count(*) FROM audit") == [(25,)]


async def test_a_notice_that_a_wrong_clock_has_put_off_is_delivered(book: Book) -> None:
    notices = Notices(book.database, book.ledger.writer)
    async with book.database.writing() as connection:
        await connection.execute(new_notice(("t", "o"), "revoked", {}, NOW))
    (due,) = await notices.list_due(NOW)
    assert await notices.write([], [due.notice], NOW, NOW + timedelta(days=500)) == {due.notice.id}
    assert [found.notice.id for found in await notices.list_due(NOW + timedelta(seconds=5))] == [
        due.notice.id
    ]


async def test_a_notice_that_cannot_be_read_keeps_no_other_back(book: Book) -> None:
    notices = Notices(book.database, book.ledger.writer)
    async with book.database.writing() as connection:
        for detail in ("no json", "[]", "{}"):
            await connection.execute(new_notice(("t", "o"), "revoked", {}, NOW).values(detail=detail))
    assert len(await notices.list_due(NOW)) == 3
