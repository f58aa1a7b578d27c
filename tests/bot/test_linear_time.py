"""Processing a message takes time in proportion to its length, for any content."""

import json
import pkgutil
import re
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import bot
from bot.activity import ActivityRejectedError, parse
from bot.cards.plain import plain
from bot.channel import retry_after
from bot.commands import MAX_TEXT, understand
from tests.support.hostile import HOSTILE_PIECES

MOST = 4.0
"""How much longer a text of twice the length may take: twice, and the noise of a busy machine. A quadratic expression
takes four times as long, and many times more than `MOST` for the sixteenfold length that is compared here.
"""


def seconds(work: Callable[[str], Any], text: str) -> float:
    """The best of five, because others use this machine as well."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        work(text)
        best = min(best, time.perf_counter() - start)
    return best


def message(text: str) -> bytes:
    account = {"id": "29:x"}
    body = {"type": "message", "channelId": "msteams", "serviceUrl": "https://smba.trafficmanager.net/de/"}
    return json.dumps(
        body | {"from": account, "recipient": account, "conversation": account, "text": text, "value": [text]}
    ).encode()


WORK: dict[str, Callable[[str], Any]] = {
    "understanding": understand,
    "showing": plain,
    "parsing": lambda text: parse(message(text)),
    "Retry-After": retry_after,
}


@pytest.mark.parametrize("piece", HOSTILE_PIECES.values(), ids=HOSTILE_PIECES.keys())
@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
def test_sixteen_times_the_text_costs_at_most_so_much_more(work: Callable[[str], Any], piece: str) -> None:
    short = piece * (1_000 // len(piece))
    unit = max(seconds(work, short), 50e-6)
    assert seconds(work, short * 16) < unit * 16 * MOST


def expressions() -> dict[str, re.Pattern[str]]:
    """Every regular expression that the bot's modules hold."""
    modules = [import_module(name) for _, name, _ in pkgutil.walk_packages(bot.__path__, "bot.")]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


@pytest.mark.parametrize("piece", HOSTILE_PIECES.values(), ids=HOSTILE_PIECES.keys())
@pytest.mark.parametrize("expression", expressions().values(), ids=expressions().keys())
def test_every_expression_is_linear_on_its_own(expression: re.Pattern[str], piece: str) -> None:
    """Even if nobody had cut the text before."""
    short = piece * (4_000 // len(piece))
    for work in (lambda text: expression.sub("", text), expression.search, expression.fullmatch):
        unit = max(seconds(work, short), 50e-6)
        assert seconds(work, short * 8) < unit * 8 * MOST


@pytest.mark.parametrize("piece", HOSTILE_PIECES.values(), ids=HOSTILE_PIECES.keys())
def test_a_message_is_cut_before_anything_looks_at_it(piece: str) -> None:
    start = time.perf_counter()
    understand(piece * (250_000 // len(piece)))
    assert time.perf_counter() - start < 0.1
    assert len(parse(message(piece * (30_000 // len(piece)))).text) <= MAX_TEXT


@pytest.mark.parametrize("open_, close", [("[", "]"), ('{"a":', "}"), ("[[],", "]")])
def test_nested_bodies_are_refused_quickly(open_: str, close: str) -> None:
    for depth in (21, 199, 5_000, 50_000):
        body = open_ * depth + "1" + close * depth
        with pytest.raises(ActivityRejectedError):
            parse(body.encode())
