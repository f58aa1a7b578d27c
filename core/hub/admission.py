"""Rate limits for connectors that open links (docs/trust.md).

Only failed attempts count against an address. So a company whose connectors share one address and work correctly is
never throttled.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from core.budget import Budget, Budgets, address_group, counted

FAILURES: Final = (1.0, 60)
"""Failed attempts of one address, per second and as a burst. A refused connector tries again about once a minute, and
sixty connectors may share an address."""
OPENING_AT_ONCE: Final = 1000
"""Unauthenticated connections of one address at the same time. Each of them is cut after two seconds anyway."""
LINKS_PER_ADDRESS: Final = 20_000
"""Links of one address at the same time. A hosting provider has the PBXs of all its customers behind one address."""
CHECKS: Final = (1.0, 60)
"""`link.check` requests of one address, per second and as a burst. A doctor sends one."""
CHECKS_OF_ALL: Final = (20.0, 1000)
"""`link.check` requests of all addresses together, per second and as a burst."""
NEW_NAMES: Final = (20 / 3600, 20)
"""Names that one address may claim without a code, if the operator allows that, per second and as a burst."""
NEW_NAMES_OF_ALL: Final = (200 / 3600, 200)
"""Names that all addresses together may claim without a code, per second and as a burst."""
CODES: Final = (10 / 60, 10)
"""Wrong enrolment codes for one name from one address, per second and as a burst."""
OPENINGS_OF_ONE: Final = (0.5, 30)
"""Links that one identity may open, per second and as a burst."""
MAX_IDENTITIES: Final = 2000
"""How many identities are counted at the same time. More would cost memory for every idle link."""


class Admission:
    """The rate limits of this replica."""

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
        """Yield whether a connection from this address may try to open a link. It counts while inside the block."""
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

    def count_failure(self, address: str) -> None:
        """Count a failed attempt against the address."""
        self._failures[address_group(address)].spend()

    def may_open(self, identity: str) -> bool:
        """Return whether the identity may open another link. Call it after the signature was verified, so that nobody
        can use up the budget of another identity.
        """
        return self._identities[identity].take()

    def may_check(self, address: str) -> bool:
        return self._checks[address_group(address)].take() and self._checks_of_all.take()

    def take_new_name(self, address: str) -> bool:
        """Spend from the budget for new names; return False when it is exhausted.

        Call it before it is known whether the name is new; `give_back_new_name` undoes it.
        """
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
        """Spend from the budget for wrong codes, before the code is compared; `give_back_code` undoes it."""
        return self._codes[pbx_name, address_group(address)].take()

    def give_back_code(self, pbx_name: str, address: str) -> None:
        self._codes.give_back((pbx_name, address_group(address)))
