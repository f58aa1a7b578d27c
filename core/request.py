"""The id of the current request. It appears in every log line and in every error that a person sees."""

from contextvars import ContextVar
from typing import Final

from uuid_utils import uuid7


class RequestId:
    """A UUIDv7, created when it is first read, because most requests are neither logged nor refused."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def __str__(self) -> str:
        self._text = self._text or str(uuid7())
        return self._text


REQUEST_ID: Final[ContextVar[RequestId]] = ContextVar("request_id", default=RequestId("-"))  # noqa: B039 - read only
