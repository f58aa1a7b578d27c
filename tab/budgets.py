"""What one person may ask for, however honest: a budget for each kind of cost (docs/trust.md).

An operation that reaches the PBX asks it three things at most, so these budgets bound what one person costs a PBX as well.
Each replica counts for itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from core.budget import Budgets
from core.diagnosis.finding import throttled
from core.identity.teams_user import TeamsUser
from tab.problems import ProblemError

EXPORTS_AT_ONCE: Final = 2
"""Of all people of one process: each reads up to 50,000 rows."""
EXPORT_SECONDS: Final = 5.0
"""What somebody is told to wait while another export runs; most take less."""


class Cost(StrEnum):
    """What an operation costs others."""

    LITTLE = "little"
    """A few rows of the person's own."""
    LINE = "line"
    """It asks the connector about the person's own telephone: as one types, and whenever a call comes or goes."""
    CHANGE = "change"
    """It writes, or asks the PBX."""
    VIEW = "view"
    """It reads much, or asks the PBX for something to show."""
    EXAMINATION = "examination"
    """It keeps the connector and the PBX busy for seconds."""
    EXPORT = "export"


class PersonBudgets:
    def __init__(self, changes_per_minute: int) -> None:
        shares = {Cost.LINE: 0.25, Cost.CHANGE: 1, Cost.VIEW: 2, Cost.EXAMINATION: 20, Cost.EXPORT: 20}
        per_minute = {cost: changes_per_minute / share for cost, share in shares.items()}
        self._seconds = {cost: 60 / number for cost, number in per_minute.items()}
        """Until there is one more."""
        self._budgets = {cost: Budgets(number / 60, max(2, number)) for cost, number in per_minute.items()}
        self._exporting: set[tuple[str, str]] = set()

    def spend(self, user: TeamsUser, cost: Cost) -> None:
        """Raises `ProblemError` when there is nothing left."""
        if cost is not Cost.LITTLE and not self._budgets[cost][user.key].take():
            raise ProblemError(throttled(self._seconds[cost], "busy"))

    @contextmanager
    def exporting(self, user: TeamsUser) -> Iterator[None]:
        """Around the making and sending of an export. Raises `ProblemError` when too many are under way."""
        if user.key in self._exporting or len(self._exporting) >= EXPORTS_AT_ONCE:
            raise ProblemError(throttled(EXPORT_SECONDS, "export"))
        self._exporting.add(user.key)
        try:
            yield
        finally:
            self._exporting.discard(user.key)
