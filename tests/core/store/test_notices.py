"""The outbox on both databases: one replica takes a notice, and the results of many are written together."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from core.store.notices import (
    MAX_ATTEMPTS,
    DueNotice,
    Notices,
    give_up,
    mark_delivered,
    new_notice,
    postpone,
    schedule_retry,
)
from tests.support.book import NOW, Book

UNTIL = NOW + timedelta(minutes=1)


async def outbox(book: Book, count: int) -> tuple[Notices, list[DueNotice]]:
    async with book.database.writing() as connection:
        for number in range(count):
            await connection.execute(new_notice(("t", f"o{number}"), "revoked", {"n": number}, NOW))
    notices = Notices(book.database, book.ledger.writer)
    return notices, list(await notices.list_due(NOW))


async def test_of_two_replicas_one_takes_a_notice(book: Book) -> None:
    notices, due = await outbox(book, 5)
    wanted = [one.notice for one in due]
    taken = await asyncio.gather(*(notices.write([], wanted, NOW, UNTIL) for _ in range(2)))
    assert sorted(map(len, taken)) == [0, 5]
    assert await notices.list_due(NOW) == []


async def test_what_was_taken_and_not_settled_may_have_arrived(book: Book) -> None:
    notices, due = await outbox(book, 1)
    assert not due[0].notice.sending
    await notices.write([], [due[0].notice], NOW, UNTIL)
    (left,) = await notices.list_due(UNTIL)
    assert left.notice.sending


async def test_what_came_of_many_is_written_together(book: Book) -> None:
    notices, due = await outbox(book, 4)
    arrived, again, unwanted, late = [one.notice for one in due]
    changes = [
        mark_delivered(arrived, NOW),
        schedule_retry(again, NOW, wait=timedelta(minutes=5)),
        give_up(unwanted),
        postpone(late, UNTIL),
    ]
    assert await notices.write(changes, [], NOW, UNTIL) == set()
    assert await notices.list_due(NOW) == []
    assert [one.notice.id for one in await notices.list_due(UNTIL)] == [late.id]
    later = {one.notice.id: one.notice for one in await notices.list_due(NOW + timedelta(minutes=6))}
    assert later.keys() == {again.id, late.id}
    assert (later[again.id].attempts, later[late.id].attempts) == (1, 0)


async def test_tries_and_doubts_are_bounded(book: Book) -> None:
    _, (due,) = await outbox(book, 1)
    notice = due.notice
    assert not schedule_retry(notice, NOW).values["given_up"]
    assert not schedule_retry(notice, NOW, doubtful=True).values["given_up"]
    assert schedule_retry(replace(notice, attempts=MAX_ATTEMPTS - 1), NOW).values["given_up"]
    assert schedule_retry(replace(notice, doubtful=True), NOW, doubtful=True).values["given_up"]


async def test_a_notice_comes_with_what_decides_about_it(book: Book) -> None:
    await book.put(1)
    opened = await book.take(1)
    async with book.database.writing() as connection:
        await connection.execute(new_notice(("tenant", "object-1"), "revoked", {}, NOW))
    (due,) = await Notices(book.database, book.ledger.writer).list_due(NOW)
    assert due.conversation is None and due.preference is None
    assert due.session_since == opened.session.started_at
