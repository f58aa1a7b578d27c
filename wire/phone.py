"""The messages of a person's telephone on the link (docs/architecture.md, "The telephone").

A *line* is one person's telephone at the PBX: phones, calls, switches. The connector holds a line for each person who
switched their telephone on; the service carries and stores nothing of a call. The connector says `phone.changed` with
the ids of users alone, and anyone who looks asks `phone.line`: so the content of a call crosses the link only while a page
or a card of that person shows it, and a lost message is made good by the next look.

Only connectors with `Capability.TELEPHONE` are asked any of this.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from wire.bounds import Count, Detail, Exact, Flag, Guid, Line, Name, PbxUserId, Search, token
from wire.model import Moment, WireModel
from wire.sealing import SealedBox

PHONE: Final = "pbx-phone.v1"
"""Purpose in `wire.link.seal_context` of the box that switches the telephone on."""

MAX_CALLS: Final = 20
"""Calls of one line; a person has one or two."""
MAX_CHANGED: Final = 200
MAX_FOUND: Final = 20
MAX_PAGE: Final = 100
"""Entries of a call list in one answer; published clients ask for 100 (ProjektZeit)."""
MAX_LINES: Final = 10_000

CallId = Annotated[str, token(100, least=1)]
"""The PBX's id of a call, or the one that our side made for a call that it places (a UUID)."""
PhoneId = Annotated[str, Exact(100)]
"""Like "SIP/mydevice" (TMA, MXH). Empty: the primary phone."""
Number = Annotated[str, Line(100)]
"""As the PBX gives it or a person typed it; empty where the PBX does not know it (yet)."""
EntryId = Annotated[str, token(100, least=1)]


class PhoneMethod(StrEnum):
    OPEN = "phone.open"
    KEEP = "phone.keep"
    LINE = "phone.line"
    DIAL = "phone.dial"
    HANG_UP = "phone.hangUp"
    HISTORY = "phone.history"
    SEARCH = "phone.search"
    SET_DO_NOT_DISTURB = "phone.setDoNotDisturb"
    SET_REDIRECT = "phone.setRedirect"
    SET_PRIMARY_PHONE = "phone.setPrimaryPhone"
    SET_MOBILE = "phone.setMobile"
    VOICEMAILS = "phone.voicemails"
    PLAY_VOICEMAIL = "phone.playVoicemail"
    CHANGED = "phone.changed"
    """From the connector, a notification: `LinesChanged`."""


class Feature(StrEnum):
    """What this PBX offers this person. What is missing is not shown; what is `READ_ONLY` is shown and cannot be changed."""

    DIAL = "dial"
    HANG_UP = "hang-up"
    HISTORY = "history"
    SEARCH = "search"
    DO_NOT_DISTURB = "do-not-disturb"
    REDIRECTS = "redirects"
    MOBILES = "mobiles"
    """iFMC: phones elsewhere that ring as well."""
    PRIMARY_PHONE = "primary-phone"
    VOICEMAIL = "voicemail"


class Access(StrEnum):
    READ_ONLY = "read-only"
    CHANGE = "change"


class Direction(StrEnum):
    IN = "in"
    OUT = "out"
    UNKNOWN = "unknown"
    """UCI tells no direction; it follows from the states before (docs/facts/starface.md)."""


class CallState(StrEnum):
    DIALLING = "dialling"
    """Asked of the PBX: the own phone rings first, or the PBX sets the call up."""
    RINGING_THERE = "ringing-there"
    RINGING = "ringing"
    """Here: somebody calls."""
    CONNECTED = "connected"
    HELD = "held"
    """Parked, or a consultation goes on beside it."""
    CONFERENCE = "conference"
    VOICEMAIL = "voicemail"
    """The voicemail has it: not an answer."""
    ENDED = "ended"
    """Kept for some seconds, so that a page can say how it ended."""
    UNKNOWN = "unknown"


class CallEnd(StrEnum):
    """How a call ended, as far as the states before tell. UCI gives no reason."""

    DONE = "done"
    MISSED = "missed"
    NOT_REACHED = "not-reached"
    """Outgoing, never connected: busy, refused and no answer look the same."""
    ELSEWHERE = "elsewhere"
    """A call of a group that rang here and was not answered here."""
    VOICEMAIL = "voicemail"
    AT_ONCE = "at-once"
    """Answered and ended at once: the conflict that the audio advisor knows (docs/audio.md)."""
    UNKNOWN = "unknown"


class PhoneCall(WireModel):
    call_id: CallId
    state: CallState
    direction: Direction
    number: Number
    """Of the other side; empty: unknown or withheld."""
    name: Name
    """Of the other side; comes later than the number, or never."""
    group: Name = ""
    """The name or id of the group that is called; empty: the person."""
    began_at: Moment
    connected_at: Moment | None = None
    ended_at: Moment | None = None
    end: CallEnd | None = None
    is_ours: Flag = False
    """Placed by `phone.dial`."""


class PhoneDevice(WireModel):
    phone_id: PhoneId
    name: Name
    is_primary: Flag
    is_active: Flag
    """Registered, as far as the PBX says; an inactive phone does not ring."""


class ShownNumber(WireModel):
    number_id: Annotated[str, token(40)]
    number: Number
    is_chosen: Flag


class RedirectTrigger(StrEnum):
    ALWAYS = "always"
    BUSY = "busy"
    NO_ANSWER = "no-answer"


class RedirectTarget(StrEnum):
    NUMBER = "number"
    MAILBOX = "mailbox"


class Redirect(WireModel):
    redirect_id: Annotated[str, token(100, least=1)]
    trigger: RedirectTrigger
    is_on: Flag
    target: RedirectTarget
    number: Number = ""
    """For `NUMBER`; kept while the redirect is off, so that it can be switched on again."""
    mailbox: Name = ""
    mailbox_id: Annotated[str, token(40)] = ""
    seconds: int | None = Field(default=None, ge=0, le=600)
    """Of `NO_ANSWER`, where the PBX tells them (UCI does, REST does not)."""
    of_number: Number = ""
    """The called number that it belongs to."""
    group: Name = ""
    """Not empty: of a group."""
    access: Access


class Mobile(WireModel):
    """An iFMC phone."""

    mobile_id: Annotated[str, token(40, least=1)]
    number: Number
    is_on: Flag
    access: Access


class LineState(StrEnum):
    UP = "up"
    CONNECTING = "connecting"
    """Calls may go on of which nothing is known."""
    REFUSED = "refused"
    """The PBX refuses the login, for instance because the password has changed: the telephone must be switched on again."""


class PhoneLine(WireModel):
    """A person's telephone at one moment, as the PBX says it."""

    state: LineState
    features: dict[Feature, Access]
    calls: list[PhoneCall] = Field(max_length=MAX_CALLS)
    phones: list[PhoneDevice] = Field(max_length=50)
    shown_numbers: list[ShownNumber] = Field(default_factory=list, max_length=50)
    do_not_disturb: Flag | None = None
    """None: not known."""
    redirects: list[Redirect] | None = Field(default=None, max_length=100)
    mobiles: list[Mobile] | None = Field(default=None, max_length=50)
    new_voicemails: int | None = Field(default=None, ge=0, le=100_000)
    detail: Detail | None = None
    """Why something is not known, in technical words."""


class LineParams(WireModel):
    user_id: PbxUserId


class OpenLine(WireModel):
    """The person switches their telephone on."""

    user_id: PbxUserId
    tenant_id: Guid
    object_id: Guid
    nonce: Annotated[str, Exact(200)]
    """Of `calls.challenge`."""
    box: SealedBox
    """Opens to `wire.link.CallsCredentials`; the context is `seal_context(…, purpose=PHONE)`."""


class KeepLines(WireModel):
    """The only users whose telephones stay on."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_LINES)


class KeptLines(WireModel):
    """Whose telephones are on after all; a connector that lost its state has none."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_LINES)


class LinesChanged(WireModel):
    user_ids: list[PbxUserId] = Field(max_length=MAX_CHANGED)


class Dial(WireModel):
    user_id: PbxUserId
    call_id: Guid
    """Made by who asks, so that a lost answer can be looked up and is never a second call."""
    number: Annotated[str, Line(100, least=1)]
    """As typed; the connector knows how the PBX wants it (region and prefix are in its file)."""
    phone_id: PhoneId = ""
    shown_number_id: Annotated[str, token(40)] = ""
    """Empty: as it is set at the PBX."""
    is_confirmed: Flag = False
    """The person has said yes to an emergency or premium number."""


class NumberKind(StrEnum):
    """Why a number asks first (`number-needs-confirmation`)."""

    EMERGENCY = "emergency"
    PREMIUM = "premium"


class Dialled(WireModel):
    call_id: CallId
    number: Number
    """What the PBX was given: it is shown."""
    phone: Name
    """Which phone rings now; empty where the PBX does not say."""


class HangUp(WireModel):
    user_id: PbxUserId
    call_id: CallId


class HistoryFilter(StrEnum):
    ALL = "all"
    MISSED = "missed"
    IN = "in"
    OUT = "out"


class HistoryParams(WireModel):
    user_id: PbxUserId
    filter: HistoryFilter = HistoryFilter.ALL
    before: Moment | None = None
    """Entries that began before; None: from now. A page goes on by the time of the last entry and `offset`, so that a new
    call moves nothing."""
    offset: Count = 0
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)


class HistoryEntry(WireModel):
    entry_id: EntryId
    direction: Direction
    is_answered: Flag
    number: Number
    name: Name
    began_at: Moment
    seconds: Count
    group: Name = ""


class History(WireModel):
    entries: list[HistoryEntry] = Field(max_length=MAX_PAGE)
    total: Count
    has_more: Flag


class SearchParams(WireModel):
    user_id: PbxUserId
    search: Search


class Source(StrEnum):
    COLLEAGUE = "colleague"
    CONTACT = "contact"
    HISTORY = "history"


class Found(WireModel):
    source: Source
    name: Name
    number: Number
    detail: Name = ""
    """Company, kind of number."""


class FoundNumbers(WireModel):
    found: list[Found] = Field(max_length=MAX_FOUND)


class SetDoNotDisturb(WireModel):
    user_id: PbxUserId
    is_on: Flag


class SetRedirect(WireModel):
    user_id: PbxUserId
    redirect_id: Annotated[str, token(100, least=1)]
    is_on: Flag
    target: RedirectTarget | None = None
    """None: as it is."""
    number: Number = ""
    mailbox_id: Annotated[str, token(40)] = ""
    seconds: int | None = Field(default=None, ge=1, le=600)


class SetPrimaryPhone(WireModel):
    user_id: PbxUserId
    phone_id: Annotated[str, Exact(100, least=1)]


class SetMobile(WireModel):
    user_id: PbxUserId
    mobile_id: Annotated[str, token(40, least=1)]
    is_on: Flag


class Voicemail(WireModel):
    message_id: EntryId
    mailbox: Name
    number: Number
    name: Name
    began_at: Moment
    seconds: Count
    is_new: Flag | None
    """None: the PBX does not say."""


class Voicemails(WireModel):
    messages: list[Voicemail] = Field(max_length=MAX_PAGE)


class PlayVoicemail(WireModel):
    user_id: PbxUserId
    message_id: EntryId
    phone_id: PhoneId = ""
