"""What a connector has read of its PBX, part by part: told with its status, so that a light shows what was really read."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from wire.bounds import Count, Detail, token
from wire.model import Moment, WireModel

MAX_READINGS: Final = 20


class ReadingPart(StrEnum):
    """In the order in which one depends on another."""

    LOGIN = "login"
    """The connector's own login, and its own user."""
    VERSION = "version"
    USERS = "users"
    PERMISSIONS = "permissions"
    """Who holds the licence permission, and who is an administrator."""
    GROUPS = "groups"
    UCI = "uci"
    EVENTS = "events"


class ReadingState(StrEnum):
    OK = "ok"
    FAILED = "failed"


class Reading(WireModel):
    part: ReadingPart
    state: ReadingState
    since: Moment
    """Since when it is so. What a part that failed knew before that still counts."""
    code: Annotated[str, token(50)] | None = None
    """Why it failed: of the table of codes (`core.diagnosis.codes`)."""
    detail: Detail | None = None
    """In technical words, without secrets."""
    skipped: Count = 0
    """Records that could not be understood."""


Readings = Annotated[tuple[Reading, ...], Field(max_length=MAX_READINGS)]
