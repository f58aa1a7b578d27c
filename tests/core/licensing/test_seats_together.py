"""Many at once: barrier rounds over processes, the wrong ways that the same check must catch, and histories that
must be linearizable.

    make test                         short runs
    python -m tests.proof barrier     1,000 rounds on each database
"""

import asyncio
import os
import time
from dataclasses import dataclass

import pytest

from core.diagnosis.finding import Finding
from core.licensing.session import Opened
from tests.support.book import Book
from tests.support.rounds import WrongWay, check_round, run_rounds

ROUNDS = int(os.environ.get("PBX_TEAMS_BARRIER_ROUNDS", "30"))
HISTORIES = int(os.environ.get("PBX_TEAMS_HISTORIES", "40"))
PROCESSES, EACH, SEATS = 3, 4, 5


def test_no_round_is_oversold_and_none_refuses_while_a_seat_is_free(database_url: str) -> None:
    rounds = run_rounds(database_url, ROUNDS, processes=PROCESSES, each=EACH, seats=SEATS)
    bad = [fault for one in rounds if (fault := check_round(one, SEATS)) is not None]
    assert len(rounds) == ROUNDS
    assert not bad, bad[:3]


@pytest.mark.parametrize("way", list(WrongWay))
def test_the_wrong_ways_are_caught_by_the_same_check(postgres, way: WrongWay) -> None:
    """Controls: count and insert without a lock, and with the lock taken in the same statement."""
    url = postgres.new_database("pbx_teams")
    rounds = run_rounds(url, 30, processes=PROCESSES, each=EACH, seats=SEATS, wrong_way=way)
    assert any(check_round(one, SEATS) is not None for one in rounds)


# --- histories


@dataclass(frozen=True)
class Call:
    user: int
    took: bool
    """A take; else a free."""
    granted: bool
    began: float
    ended: float


async def history(book: Book, seats: int, users: int, turns: int) -> list[Call]:
    calls: list[Call] = []

    async def client(user: int) -> None:
        for _turn in range(turns):
            began = time.perf_counter()
            opened = await book.take(user)
            calls.append(Call(user, True, isinstance(opened, Opened), began, time.perf_counter()))
            if isinstance(opened, Finding):
                continue
            began = time.perf_counter()
            assert await book.end(opened) == 1
            calls.append(Call(user, False, True, began, time.perf_counter()))

    await asyncio.gather(*(client(user) for user in range(1, users + 1)))
    return calls


def is_linearizable(calls: list[Call], seats: int) -> bool:
    """Whether some order of the calls that keeps to their times explains every answer (Wing and Gong, with the
    states that were met already left out).
    """
    order = sorted(calls, key=lambda call: call.began)
    seen: set[tuple[frozenset[int], frozenset[int]]] = set()

    def explain(left: frozenset[int], held: frozenset[int]) -> bool:
        if not left:
            return True
        if (left, held) in seen:
            return False
        seen.add((left, held))
        first_end = min(order[index].ended for index in left)
        for index in left:
            call = order[index]
            if call.began > first_end:
                continue
            if call.took:
                is_right = call.granted == (len(held) < seats)
                after = held | {call.user} if call.granted else held
            else:
                is_right, after = call.user in held, held - {call.user}
            if is_right and explain(left - {index}, after):
                return True
        return False

    return explain(frozenset(range(len(order))), frozenset())


async def test_histories_are_linearizable(book: Book) -> None:
    await book.put(2)
    for _number in range(HISTORIES):
        calls = await history(book, 2, users=4, turns=2)
        assert is_linearizable(calls, 2), calls


def test_the_checker_refuses_histories_that_are_not() -> None:
    oversold = [Call(1, True, True, 0, 1), Call(2, True, True, 2, 3)]
    assert not is_linearizable(oversold, 1)
    refused_for_nothing = [Call(1, True, False, 0, 1)]
    assert not is_linearizable(refused_for_nothing, 1)
    overlapping = [Call(1, True, True, 0, 3), Call(2, True, True, 1, 5), Call(1, False, True, 4, 6)]
    assert not is_linearizable(overlapping[:2], 1)
    assert is_linearizable([*overlapping[:1], Call(1, False, True, 4, 6), Call(2, True, True, 5, 7)], 1)
