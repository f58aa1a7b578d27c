"""Timestamps and ids in the form in which they are stored."""

from datetime import UTC, datetime

from uuid_utils import uuid7


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def to_ms(moment: datetime) -> int:
    """Return the milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def from_ms(value: int) -> datetime:
    """Return the moment in UTC for milliseconds since the epoch."""
    return datetime.fromtimestamp(value / 1000, UTC)


def new_id() -> str:
    """Return a new UUIDv7, which sorts by time."""
    return str(uuid7())
