"""The id of the request that is being served: in every log line and in every error that a person sees."""

from contextvars import ContextVar
from typing import Final

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")
