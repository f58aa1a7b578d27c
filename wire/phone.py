"""The messages of a person's telephone on the link (docs/architecture.md, "The telephone").

A *line* is one person's telephone at the PBX: phones, calls, switches. The connector holds a line for each person who
switched their telephone on. The service stores nothing about a call. The connector sends `phone.changed` with user ids
only, and whatever shows the line then calls `phone.line`. So the content of a call crosses the link only while a page or
a card of that person shows it, and the next call of `phone.line` repairs a lost notification.

These methods are called only on connectors with `Capability.TELEPHONE`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from wire.bounds import Count, Detail, Exact, Flag, Guid, Line, Name, PbxUserId, Search, token
from wire.model import Moment, WireModel
from wire.sealing import SealedBox

PHONE: Final = "pbx-phone.v1"
"""The purpose, in `wire.link.seal_context`, of the box that switches the telephone on."""

MAX_CALLS: Final = 20
"""Most calls of one line; a person normally has one or two."""
MAX_CHANGED: Final = 200
MAX_FOUND: Final = 20
MAX_PAGE: Final = 100
"""Most entries of a call list in one answer; published clients ask for 100 (ProjektZeit)."""
MAX_LINES: Final = 10_000
MAX_FEATURES: Final = 50

CallId = Annotated[str, token(100, least=1)]
"""The PBX's id of a call, or the UUID that our side made for a call that it places."""
PhoneId = Annotated[str, Exact(100)]
"""For example "SIP/mydevice" (TMA, MXH). Empty: the primary phone."""
Number = Annotated[str, Line(100)]
"""A telephone number as the PBX sends it or as a person typed it; empty if the PBX does not know it (yet)."""
EntryId = Annotated[str, token(100, least=1)]


class PhoneMethod(StrEnum):
    OPEN = "phone.open"
    KEEP = "phone.keep"
    LINE = "phone.line"
    CAPABILITIES = "phone.capabilities"
    """What the PBX offers, as the connector's own login sees it. Needs `Capability.PHONE_CAPABILITIES`."""
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
    """A notification of the connector, with `LinesChanged`."""


class Feature(StrEnum):
    """What a PBX may offer a person."""

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
    CALLS = "calls"
    """Calls as they happen. Only in `Capabilities`; older services refuse it in `PhoneLine.features`."""


class Access(StrEnum):
    READ_ONLY = "read-only"
    CHANGE = "change"


class Offer(StrEnum):
    """Whether a PBX offers a feature, as far as it has said so or has shown it by its answers."""

    CHANGE = "change"
    """It is offered: it can be seen and, where there is something to change, changed."""
    READ_ONLY = "read-only"
    """It can be seen but not changed."""
    REFUSED = "refused"
    """The PBX refuses it to this login. Its faults do not say why."""
    ABSENT = "absent"
    """The PBX does not have it."""
    UNKNOWN = "unknown"
    """The PBX has not said, and nobody has tried it since the login."""


def _known_offers(value: object) -> object:
    """Drop features of later versions, and read an offer of a later version as unknown."""
    if not isinstance(value, dict) or len(value) > MAX_FEATURES:
        return value
    features, offers = set(Feature), set(Offer)
    return {
        feature: offer if offer in offers else Offer.UNKNOWN
        for feature, offer in value.items()
        if feature in features and isinstance(offer, str)
    }


Capabilities = Annotated[dict[Feature, Offer], BeforeValidator(_known_offers), Field(max_length=MAX_FEATURES)]
"""The capability record: what a PBX offers, by name only. A feature that is missing is not known to the connector."""
NOTHING_KNOWN: Final[Mapping[Feature, Offer]] = dict.fromkeys(Feature, Offer.UNKNOWN)


class Direction(StrEnum):
    IN = "in"
    OUT = "out"
    UNKNOWN = "unknown"
    """Not known. UCI sends no direction; it is derived from the earlier states (docs/facts/starface.md)."""


class CallState(StrEnum):
    DIALLING = "dialling"
    """Requested from the PBX: the person's own phone rings first, or the PBX sets the call up."""
    RINGING_THERE = "ringing-there"
    """The other side's phone rings."""
    RINGING = "ringing"
    """The person's own phone rings: somebody calls."""
    CONNECTED = "connected"
    HELD = "held"
    """Parked, or on hold during a consultation call."""
    CONFERENCE = "conference"
    VOICEMAIL = "voicemail"
    """Taken by the voicemail, which does not count as answered."""
    ENDED = "ended"
    """Over; kept for some seconds, so that a page can show how it ended."""
    UNKNOWN = "unknown"


class CallEnd(StrEnum):
    """How a call ended, derived from its earlier states, because UCI sends no reason."""

    DONE = "done"
    MISSED = "missed"
    NOT_REACHED = "not-reached"
    """An outgoing call that was never connected. Busy, refused and unanswered calls look the same."""
    ELSEWHERE = "elsewhere"
    """A call to a group that rang here but was not answered here."""
    VOICEMAIL = "voicemail"
    AT_ONCE = "at-once"
    """Answered and ended at once, which is the audio conflict described in docs/audio.md."""
    UNKNOWN = "unknown"


class PhoneCall(WireModel):
    call_id: CallId
    state: CallState
    direction: Direction
    number: Number
    """The other side's number; empty if unknown or withheld."""
    name: Name
    """The other side's name; it arrives after the number, or never."""
    group: Name = ""
    """The name or id of the called group; empty if the person was called."""
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
    """Registered, according to the PBX. An inactive phone does not ring."""


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
    """For `NUMBER`. It stays while the redirect is off, so that the redirect can be switched on again."""
    mailbox: Name = ""
    mailbox_id: Annotated[str, token(40)] = ""
    seconds: int | None = Field(default=None, ge=0, le=600)
    """The delay of `NO_ANSWER`, if the PBX sends it (UCI does, REST does not)."""
    of_number: Number = ""
    """The called number to which the redirect applies."""
    group: Name = ""
    """The group to which the redirect belongs; empty if it is the person's."""
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
    """Not connected to the PBX: there may be calls that are not known here."""
    REFUSED = "refused"
    """The PBX refuses the login, for instance after a change of password: the telephone must be switched on again."""


class PhoneLine(WireModel):
    """A person's telephone at one moment, as the PBX reports it."""

    state: LineState
    features: dict[Feature, Access]
    """Missing features are not shown; `READ_ONLY` ones are shown but not changeable."""
    capabilities: Capabilities = Field(default_factory=dict, exclude_if=lambda record: not record)
    """What the PBX offers this person; empty from a connector without `Capability.PHONE_CAPABILITIES`. The service completes
    it, so that the tab gets every feature. `features` says what to show; this record also says what is missing, and why."""
    calls: list[PhoneCall] = Field(max_length=MAX_CALLS)
    phones: list[PhoneDevice] = Field(max_length=50)
    shown_numbers: list[ShownNumber] = Field(default_factory=list, max_length=50)
    do_not_disturb: Flag | None = None
    """None if unknown, as in the members below."""
    redirects: list[Redirect] | None = Field(default=None, max_length=100)
    mobiles: list[Mobile] | None = Field(default=None, max_length=50)
    new_voicemails: int | None = Field(default=None, ge=0, le=100_000)
    detail: Detail | None = None
    """Why something is unknown, in technical words."""


class LineParams(WireModel):
    user_id: PbxUserId


class ReadLine(WireModel):
    """The parameters of `phone.line`."""

    user_id: PbxUserId
    with_capabilities: Flag = Field(default=False, exclude_if=lambda wanted: not wanted)
    """Only for connectors with `Capability.PHONE_CAPABILITIES`; older ones refuse the member, and older services refuse
    its answer."""


class PhoneCapabilities(WireModel):
    """What the PBX offers, as the connector's own login sees it (`phone.capabilities`)."""

    capabilities: Capabilities


class OpenLine(WireModel):
    """The person switches their telephone on (`phone.open`)."""

    user_id: PbxUserId
    tenant_id: Guid
    object_id: Guid
    nonce: Annotated[str, Exact(200)]
    """The nonce from `calls.challenge`."""
    box: SealedBox
    """Opens to `wire.link.CallsCredentials`, with OAuth to `wire.link.Credentials`; the context is `seal_context(…, purpose=PHONE)`."""


class KeepLines(WireModel):
    """The only users whose telephones stay on (`phone.keep`)."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_LINES)


class KeptLines(WireModel):
    """The users whose telephones are really on; a connector that lost its state has none."""

    user_ids: list[PbxUserId] = Field(max_length=MAX_LINES)


class LinesChanged(WireModel):
    user_ids: list[PbxUserId] = Field(max_length=MAX_CHANGED)


class Dial(WireModel):
    user_id: PbxUserId
    call_id: Guid
    """Made by the client: if the answer is lost, it looks for a call with this id and does not dial again."""
    number: Annotated[str, Line(100, least=1)]
    """As typed. The connector converts it for the PBX (region and prefix are in its configuration)."""
    phone_id: PhoneId = ""
    shown_number_id: Annotated[str, token(40)] = ""
    """Empty: the number that is set at the PBX."""
    is_confirmed: Flag = False
    """The person has confirmed the call to an emergency or premium number."""


class NumberKind(StrEnum):
    """Why the person must confirm a number (`number-needs-confirmation`)."""

    EMERGENCY = "emergency"
    PREMIUM = "premium"


class Dialled(WireModel):
    call_id: CallId
    number: Number
    """The number that was sent to the PBX, for display."""
    phone: Name
    """The phone that rings now; empty if the PBX does not say."""


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
    """Return entries that began before this time; None: from now. The next page is requested with the same time and a
    higher `offset`, so that a new call does not shift the entries."""
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
    """The company, or the kind of number."""


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
    """None: unchanged."""
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
