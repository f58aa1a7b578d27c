"""The tab API's messages about a person's telephone. What the PBX reports is passed on unchanged (`wire.phone`)."""

from typing import Annotated, Literal

from pydantic import Field

from wire.bounds import Exact, Flag, Guid, Line, Nonce, Search, token
from wire.model import Moment, WireModel
from wire.phone import (
    MAX_PAGE,
    Access,
    CallId,
    EntryId,
    Number,
    PhoneId,
    PhoneLine,
    Redirect,
    RedirectTarget,
)
from wire.sealing import SealedBox
from wire.tab import UnreachableReason


class Phone(WireModel):
    """My telephone at this moment; also the event `phone` of the live updates."""

    is_on: bool
    """I have allowed the app to use it in this session."""
    line: PhoneLine | None = None
    """Null while the telephone is off. In the event also null if the PBX could not be asked; a request then says why."""


class PhoneOnRequest(WireModel):
    nonce: Nonce
    box: SealedBox
    """A sealed UCI login that only the connector can open."""


class CallRequest(WireModel):
    number: Annotated[str, Line(100, least=1)]
    """As typed."""
    call_id: Guid
    """Made by the page: if the answer is lost, the page looks for a call with this id and does not dial again."""
    phone_id: PhoneId = ""
    """Empty: the primary phone."""
    shown_number_id: Annotated[str, token(40)] = ""
    """Empty: the number that is set at the PBX."""
    is_confirmed: Flag = False
    """The person has confirmed the call after `number-needs-confirmation`."""


class Done(WireModel):
    """The request was carried out; the line shows the result."""


class HistoryQuery(WireModel):
    filter: Literal["all", "missed", "in", "out"] = "all"
    """`wire.phone.HistoryFilter`"""
    before: Moment | None = None
    """Entries that began before this time; omitted: from now."""
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


class SearchQuery(WireModel):
    q: Search = ""


class DoNotDisturbRequest(WireModel):
    is_on: Flag


class Redirects(WireModel):
    redirects: list[Redirect]
    access: Access | None
    """Null if the PBX does not offer redirects."""


class RedirectRequest(WireModel):
    redirect_id: Annotated[str, token(100, least=1)]
    is_on: Flag
    target: RedirectTarget | None = None
    """Omitted: unchanged."""
    number: Number = ""
    mailbox_id: Annotated[str, token(40)] = ""
    seconds: int | None = Field(default=None, ge=1, le=600)


class PrimaryPhoneRequest(WireModel):
    phone_id: Annotated[str, Exact(100, least=1)]


class MobileRequest(WireModel):
    mobile_id: Annotated[str, token(40, least=1)]
    is_on: Flag


class PlayRequest(WireModel):
    message_id: EntryId
    phone_id: PhoneId = ""


class CallNotices(WireModel):
    """Which messages about my calls the bot sends to my chat."""

    calls_in_chat: Flag
    """A card while somebody calls, which follows the call."""
    missed_calls: Flag
    """A message about a missed call."""
    numbers_in_chat: Flag
    """These messages show name and number of the caller. Microsoft stores them."""


class CallNoticesState(CallNotices):
    unreachable_reason: UnreachableReason | None
    """Why the bot cannot write to me; null if it can."""


class CallPath(WireModel):
    call_id: CallId
