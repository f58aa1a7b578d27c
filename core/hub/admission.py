"""Budgets at the connectors' door (docs/trust.md). Failures count by address, so that a company behind one
address, whose connectors are in order, is never throttled.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from core.budget import Budget, Budgets, address_group, counted

FAILURES: Final = (1.0, 60)
"""Openings of one address that fail, a second and at once. A connector that is refused comes back about once a minute;
sixty of them may share an address."""
OPENING_AT_ONCE: Final = 1000
"""Connections of one address that have not authenticated yet; each is cut after two seconds anyway."""
LINKS_PER_ADDRESS: Final = 20_000
"""A hoster has all its customers' PBXs behind one address."""
CHECKS: Final = (1.0, 60)
"""`link.check` of one address, which a doctor sends once."""
CHECKS_OF_ALL: Final = (20.0, 1000)
NEW_NAMES: Final = (20 / 3600, 20)
"""Names that one address may claim without a code, where the operator allows that at all."""
NEW_NAMES_OF_ALL: Final = (200 / 3600, 200)
CODES: Final = (10 / 60, 10)
"""Wrong enrolment codes for one name from one address."""
OPENINGS_OF_ONE: Final = (0.5, 30)
"""Links that one identity opens, one after the other."""
MAX_IDENTITIES: Final = 2000
"""Counted at the same time; more would cost memory for every idle link."""


class Admission:
    """The counts of this replica."""

    def __init__(self) -> None:
        self._failures = Budgets(*FAILURES)
        self._checks = Budgets(*CHECKS)
        self._checks_of_all = Budget(*CHECKS_OF_ALL)
        self._names = Budgets(*NEW_NAMES)
        self._names_of_all = Budget(*NEW_NAMES_OF_ALL)
        self._codes = Budgets(*CODES)
        self._identities = Budgets(*OPENINGS_OF_ONE, max_keys=MAX_IDENTITIES)
        self._opening: Counter[str] = Counter()
        self._links: Counter[str] = Counter()

    @contextmanager
    def opening(self, address: str) -> Iterator[bool]:
        """Whether a connection from there may try to open a link; it counts as opening while inside."""
        group = address_group(address)
        is_admitted = (
            self._opening[group] < OPENING_AT_ONCE
            and self._links[group] < LINKS_PER_ADDRESS
            and self._failures.has(group)
        )
        with counted(self._opening, group):
            yield is_admitted

    def link_opened(self, address: str) -> None:
        self._links[address_group(address)] += 1

    def link_closed(self, address: str) -> None:
        group = address_group(address)
        self._links[group] -= 1
        if not self._links[group]:
            del self._links[group]

    def failed(self, address: str) -> None:
        self._failures[address_group(address)].spend()

    def may_open(self, identity: str) -> bool:
        """Asked when the signature was good, so that nobody uses up another's budget."""
        return self._identities[identity].take()

    def may_check(self, address: str) -> bool:
        return self._checks[address_group(address)].take() and self._checks_of_all.take()

    def take_new_name(self, address: str) -> bool:
        """Taken before it is known whether the name is new; see `give_back_new_name`."""
        mine = self._names[address_group(address)]
        if not mine.take():
            return False
        if not self._names_of_all.take():
            mine.give_back()
            return False
        return True

    def give_back_new_name(self, address: str) -> None:
        self._names.give_back(address_group(address))
        self._names_of_all.give_back()

    def take_code(self, pbx_name: str, address: str) -> bool:
        """Taken before the code is compared; see `give_back_code`."""
        return self._codes[pbx_name, address_group(address)].take()

    def give_back_code(self, pbx_name: str, address: str) -> None:
        self._codes.give_back((pbx_name, address_group(address)))
