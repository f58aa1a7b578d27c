"""What a connector has read from its PBX, part by part. It is sent with the status, so that each light shows what was
really read.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from wire.bounds import Count, Detail, token
from wire.model import Moment, WireModel

MAX_READINGS: Final = 20


class ReadingPart(StrEnum):
    """A part of what the connector reads. A part may depend on earlier ones."""

    LOGIN = "login"
    """The connector's own login and its own PBX user."""
    VERSION = "version"
    USERS = "users"
    PERMISSIONS = "permissions"
    """Which users have the licence permission, and which are administrators."""
    GROUPS = "groups"
    UCI = "uci"
    EVENTS = "events"


class ReadingState(StrEnum):
    OK = "ok"
    FAILED = "failed"


class Reading(WireModel):
    """The state of one part."""

    part: ReadingPart
    state: ReadingState
    since: Moment
    """Since when the part is in this state. Values that were read before a failure still count."""
    code: Annotated[str, token(50)] | None = None
    """Why the part failed, a code of `core.diagnosis.codes`."""
    detail: Detail | None = None
    """In technical words, without secrets."""
    skipped: Count = 0
    """The number of records that could not be parsed."""


Readings = Annotated[tuple[Reading, ...], Field(max_length=MAX_READINGS)]
