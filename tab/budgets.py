"""Rate limits for one signed-in user: a budget for each kind of cost (docs/trust.md).

An operation that reaches the PBX makes at most three calls to it, so these budgets also limit the load that one
user causes at a PBX. Each replica counts separately.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from core.budget import Budgets
from core.diagnosis.finding import RefusedError, create_throttled_finding
from core.identity.teams_user import TeamsUser

EXPORTS_AT_ONCE: Final = 2
"""Exports of all users of this process; each reads up to 50,000 rows."""
EXPORT_SECONDS: Final = 5.0
"""Value of `Retry-After` while another export runs; most exports take less."""


class Cost(StrEnum):
    """The load that an operation causes for others."""

    LITTLE = "little"
    """It reads a few rows of the user's own data."""
    LINE = "line"
    """It asks the connector about the user's own telephone, which happens on keystrokes and on every change of a
    call."""
    CHANGE = "change"
    """It writes, or calls the PBX."""
    VIEW = "view"
    """It reads much data, or calls the PBX for data to show."""
    EXAMINATION = "examination"
    """It keeps the connector and the PBX busy for seconds."""
    EXPORT = "export"


class PersonBudgets:
    """The budgets of all users of this process. `changes_per_minute` sets the budget for changes; the others are
    derived from it.
    """

    def __init__(self, changes_per_minute: int) -> None:
        shares = {Cost.LINE: 0.25, Cost.CHANGE: 1, Cost.VIEW: 2, Cost.EXAMINATION: 20, Cost.EXPORT: 20}
        per_minute = {cost: changes_per_minute / share for cost, share in shares.items()}
        self._seconds = {cost: 60 / number for cost, number in per_minute.items()}
        """Seconds until one more operation is allowed."""
        self._budgets = {cost: Budgets(number / 60, max(2, number)) for cost, number in per_minute.items()}
        self._exporting: set[tuple[str, str]] = set()

    def spend(self, user: TeamsUser, cost: Cost) -> None:
        """Spend one operation. Raises `RefusedError` (throttled) if the budget is exhausted."""
        if cost is not Cost.LITTLE and not self._budgets[cost][user.key].take():
            raise RefusedError(create_throttled_finding(self._seconds[cost], "busy"))

    @contextmanager
    def exporting(self, user: TeamsUser) -> Iterator[None]:
        """Limit exports while the context lasts, which covers creating and sending one. Raises `RefusedError`
        (throttled) if the user or all users together have too many.
        """
        if user.key in self._exporting or len(self._exporting) >= EXPORTS_AT_ONCE:
            raise RefusedError(create_throttled_finding(EXPORT_SECONDS, "export"))
        self._exporting.add(user.key)
        try:
            yield
        finally:
            self._exporting.discard(user.key)
