"""What an administrator decides about one pool: who may have a seat of it, which are reserved, when one is released."""

from collections.abc import Collection
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_NAMED: Final = 1000
MAX_RESERVATIONS: Final = 50


class People(BaseModel):
    """PBX users, by themselves or as members of PBX groups; ids are the PBX's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_ids: tuple[int, ...] = Field(default=(), max_length=MAX_NAMED)
    group_ids: tuple[int, ...] = Field(default=(), max_length=MAX_NAMED)

    def have(self, user_id: int, group_ids: Collection[int]) -> bool:
        return user_id in self.user_ids or not set(self.group_ids).isdisjoint(group_ids)


class Reservation(BaseModel):
    """So many seats of the pool are for these people alone; they may take others too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=36)
    name: str = Field(min_length=1, max_length=100)
    seats: int = Field(ge=1, le=1_000_000)
    people: People


class Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_hours: int | None = Field(default=None, ge=1, le=24 * 365)
    """A seat is released after so many hours without activity; None: never."""
    reservations: tuple[Reservation, ...] = Field(default=(), max_length=MAX_RESERVATIONS)
    admitted: People | None = None
    """Who may have a seat of this pool at all; None: everybody."""

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
        people = [reservation.people for reservation in self.reservations]
        return any(one.group_ids for one in (*people, self.admitted or People()))

    def admits(self, user_id: int, group_ids: Collection[int]) -> bool:
        return self.admitted is None or self.admitted.have(user_id, group_ids)

    def reservations_of(self, user_id: int, group_ids: Collection[int]) -> tuple[str, ...]:
        return tuple(
            reservation.id for reservation in self.reservations if reservation.people.have(user_id, group_ids)
        )
