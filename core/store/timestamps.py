"""Moments and ids as the store keeps them."""

from datetime import UTC, datetime

from uuid_utils import uuid7


def now() -> datetime:
    return datetime.now(UTC)


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1000, UTC)


def new_id() -> str:
    """UUIDv7: sorts by time."""
    return str(uuid7())
