"""The base class of every message: snake_case in Python, camelCase on the wire, unknown members refused."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


class WireModel(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
    )


class Empty(WireModel):
    """A message without members: no parameters, or a bare acknowledgement."""


EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)
"""One year before the last year that `datetime` supports, so that time zones and periods can be added."""


_RFC3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]", re.ASCII)


def _no_number(value: object) -> object:
    """Refuse numbers and numeric text, which pydantic would read as seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.match(value)):
        return value
    raise ValueError("a time is written as in RFC 3339")


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as fault:
        raise ValueError("no such time in UTC") from fault
    if not EARLIEST <= moment <= LATEST:
        raise ValueError("a time lies between the years 1970 and 9998")
    return moment


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    BeforeValidator(_no_number),
    AfterValidator(_to_utc),
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
]
"""A point in time, RFC 3339 in UTC on the wire."""
