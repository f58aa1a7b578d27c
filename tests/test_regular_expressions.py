"""Every regular expression takes time in proportion to the text, whatever the text is made of.

The worst texts are derived from each expression itself: what comes before a repetition, then what it repeats, very often,
then something that fits nowhere, so that the engine has to try every other way.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.support.regular_expressions import EXPRESSIONS, list_pumps

MOST: Final = 4.0
"""How many times longer than in proportion a text may take, because of other work on the machine. Of eight times the
length, a quadratic expression takes eight times longer than in proportion."""
LENGTHS: Final = (16, 128, 1_000, 8_000)
"""Repetitions: of the last two, a quadratic expression takes more than the smallest time that counts."""
SMALLEST_SECONDS: Final = 50e-6
PIECES: Final = (
    *'a0A \t\n.-_/:()[]<{"\\!,\u00df\u0130\u0660\U0001f600',
    *("0.", "a.", "a-", "- ", "a ", "a (", "()", "0x", "aA0", "e0", "1,"),
)
FITS_NOWHERE: Final = ("\x00", "\n\x00", "")


def worst_texts(pattern: re.Pattern[str]) -> Iterator[Callable[[int], str]]:
    """Each a function from a length to a text."""
    found = list_pumps(pattern)
    pumps = {*PIECES, *(pump for _, pump in found)}
    for lead, pump in {*found, *(("", pump) for pump in pumps)}:
        for end in FITS_NOWHERE:
            yield lambda length, lead=lead, pump=pump, end=end: lead + pump * length + end  # type: ignore[misc]
    # A whole repetition that begins again at every character: the classic of `search`.
    for lead, pump in found:
        yield lambda length, lead=lead, pump=pump: (lead + pump) * length + "\x00"  # type: ignore[misc]


def seconds(work: Callable[[str], Any], text: str, enough: float) -> float:
    """Of this thread's own processor time, the best of a few, because others use this machine as well; `enough`: a time
    that is good already.
    """
    best = float("inf")
    for _ in range(7):
        start = time.thread_time()
        work(text)
        best = min(best, time.thread_time() - start)
        if best <= enough:
            break
    return best


def growth(work: Callable[[str], Any], text: Callable[[int], str]) -> float:
    """How many times longer than in proportion to its length the slowest text took. Shortest first, so that what is
    exponential shows before it lasts for ever.
    """
    unit = SMALLEST_SECONDS / LENGTHS[0]
    for length in LENGTHS:
        expected = max(unit * length, SMALLEST_SECONDS)
        took = seconds(work, text(length), expected * MOST)
        if took > expected * MOST:
            return took / expected
        unit = max(took, SMALLEST_SECONDS) / length
    return 1.0


def test_the_expressions_are_found() -> None:
    assert len(EXPRESSIONS) > 60
    for name in ("app.client_address", "core.audio.label", "probe.programs", "wire.pasted", "tab.export"):
        assert any(found.startswith(f"{name}:") for found in EXPRESSIONS), name


@pytest.mark.parametrize("pattern, methods", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_each_expression_is_linear_in_the_text(pattern: re.Pattern[str], methods: tuple[str, ...]) -> None:
    slow: dict[str, float] = {}
    for text in worst_texts(pattern):
        for method in methods:
            # What is slow is slow each time; what another program has caused is not.
            times = growth(getattr(pattern, method), text)
            for _ in range(2):
                if times > MOST:
                    times = growth(getattr(pattern, method), text)
            if times > MOST:
                slow[f"{method} {text(3)!r}"] = round(times, 1)
        if len(slow) > 2:
            break
    assert not slow, (pattern.pattern, slow)


@pytest.mark.parametrize(
    "bad",
    [r"\s*\(x\)$", r"^(a+)+$", r"(.*,){5}x", r"[a-z]+@[a-z]+", r"\s+$", r"^(?:sys|default|sysdefault)*:"],
)
def test_a_slow_expression_is_reported(bad: str) -> None:
    """The texts and the limit tell what they are made for."""
    pattern = re.compile(bad)
    works = (pattern.search, pattern.fullmatch)
    assert any(growth(work, text) > MOST for text in worst_texts(pattern) for work in works)
