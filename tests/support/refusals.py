"""Refusals as values, for tests that compare the outcomes of many requests."""

from collections.abc import Awaitable
from typing import TypeVar

from core.diagnosis.finding import Finding, RefusedError

T = TypeVar("T")


async def outcome_of(request: Awaitable[T]) -> T | Finding:
    """Return the request's result, or the finding with which it was refused."""
    try:
        return await request
    except RefusedError as refused:
        return refused.finding


async def refusal_of(request: Awaitable[object]) -> Finding:
    """Return the finding with which the request was refused; fail if it was not."""
    outcome = await outcome_of(request)
    assert isinstance(outcome, Finding), f"not refused: {outcome!r}"
    return outcome
