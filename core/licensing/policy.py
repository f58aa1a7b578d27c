"""The rules that an administrator sets for a pool: who may take a seat, which are reserved, when an idle one is
freed.
"""

from collections.abc import Collection
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_NAMED: Final = 1000
MAX_RESERVATIONS: Final = 50


class People(BaseModel):
    """PBX users, named one by one or as members of PBX groups, by the ids of the PBX."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_ids: tuple[int, ...] = Field(default=(), max_length=MAX_NAMED)
    group_ids: tuple[int, ...] = Field(default=(), max_length=MAX_NAMED)

    def have(self, user_id: int, group_ids: Collection[int]) -> bool:
        return user_id in self.user_ids or not set(self.group_ids).isdisjoint(group_ids)


class Reservation(BaseModel):
    """A number of seats that only these people may take. They may take other seats too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=36)
    name: str = Field(min_length=1, max_length=100)
    seats: int = Field(ge=1, le=1_000_000)
    people: People


class Policy(BaseModel):
    """The rules of one pool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_hours: int | None = Field(default=None, ge=1, le=24 * 365)
    """Hours without activity after which a seat is released; None: never."""
    reservations: tuple[Reservation, ...] = Field(default=(), max_length=MAX_RESERVATIONS)
    admitted: People | None = None
    """Who may take a seat of this pool; None: everybody."""

    @model_validator(mode="after")
    def _distinct(self) -> "Policy":
        if len({reservation.id for reservation in self.reservations}) != len(self.reservations):
            raise ValueError("two reservations have the same id")
        return self

    @property
    def reserved_seats(self) -> int:
        return sum(reservation.seats for reservation in self.reservations)

    @property
    def names_groups(self) -> bool:
        """Whether the PBX groups of a user matter to this policy."""
        people = [reservation.people for reservation in self.reservations]
        return any(one.group_ids for one in (*people, self.admitted or People()))

    def admits(self, user_id: int, group_ids: Collection[int]) -> bool:
        return self.admitted is None or self.admitted.have(user_id, group_ids)

    def reservations_of(self, user_id: int, group_ids: Collection[int]) -> tuple[str, ...]:
        """Return the ids of the reservations that include this user."""
        return tuple(
            reservation.id for reservation in self.reservations if reservation.people.have(user_id, group_ids)
        )
