"""Cards of a person's telephone: a call, whom to call, switches, missed calls.

Microsoft stores the cards of a chat. So a card that the bot sends first shows name and number only if the person has
chosen that (`CallShown.of`). Its buttons and its refresh action contain no more than it shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from urllib.parse import quote
from uuid import uuid4

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from bot.cards.parts import (
    Card,
    CardReader,
    card,
    card_time,
    execute,
    facts,
    finding,
    open_url,
    text,
    warning,
)
from bot.cards.plain import Plain, plain
from bot.commands import Command
from bot.phone_words import OFF, ON
from core.diagnosis.finding import Finding
from core.store.timestamps import from_ms, to_ms
from wire.bounds import Count, Line, Name
from wire.phone import (
    Access,
    CallEnd,
    CallState,
    Dialled,
    Direction,
    Feature,
    Found,
    HistoryEntry,
    PhoneCall,
    PhoneLine,
    Redirect,
    RedirectTarget,
    RedirectTrigger,
)

FOUND_SHOWN: Final = 10
MISSED_SHOWN: Final = 5
_YEAR_9000: Final = 221_845_392_000_000


class CallStatus(StrEnum):
    """The state of a call as a card shows it."""

    RINGING = "ringing"
    DIALLING = "dialling"
    CONNECTED = "connected"
    HELD = "held"
    OVER = "over"
    MISSED = "missed"
    NOT_REACHED = "not-reached"
    ELSEWHERE = "elsewhere"
    VOICEMAIL = "voicemail"
    AT_ONCE = "at-once"
    CALLED_BACK = "called-back"
    GONE = "gone"
    """Nothing is known about the call any more."""


_OF_STATES: Final[Mapping[CallState, CallStatus]] = {
    CallState.RINGING: CallStatus.RINGING,
    CallState.DIALLING: CallStatus.DIALLING,
    CallState.RINGING_THERE: CallStatus.DIALLING,
    CallState.CONNECTED: CallStatus.CONNECTED,
    CallState.CONFERENCE: CallStatus.CONNECTED,
    CallState.HELD: CallStatus.HELD,
    CallState.VOICEMAIL: CallStatus.VOICEMAIL,
    CallState.UNKNOWN: CallStatus.GONE,
}
_OF_ENDS: Final[Mapping[CallEnd | None, CallStatus]] = {
    CallEnd.DONE: CallStatus.OVER,
    CallEnd.MISSED: CallStatus.MISSED,
    CallEnd.NOT_REACHED: CallStatus.NOT_REACHED,
    CallEnd.ELSEWHERE: CallStatus.ELSEWHERE,
    CallEnd.VOICEMAIL: CallStatus.VOICEMAIL,
    CallEnd.AT_ONCE: CallStatus.AT_ONCE,
}
GOES_ON: Final = frozenset((CallStatus.RINGING, CallStatus.DIALLING, CallStatus.CONNECTED, CallStatus.HELD))
ASK_TO_CALL_BACK: Final = frozenset((CallStatus.MISSED, CallStatus.VOICEMAIL, CallStatus.AT_ONCE))
"""States of an incoming call in which the person was called and has not talked."""


def get_call_status(call: PhoneCall) -> CallStatus:
    if call.state is CallState.ENDED:
        return _OF_ENDS.get(call.end, CallStatus.OVER)
    return _OF_STATES.get(call.state, CallStatus.GONE)


class CallShown(BaseModel):
    """What a card shows of a call. The card returns it with its buttons; that data is not trusted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    call: Annotated[str, Line(100)] = ""
    status: Annotated[
        CallStatus, Field(validation_alias=AliasChoices("status", "told"), serialization_alias="told")
    ] = CallStatus.GONE
    """Cards in the chat name it `told`."""
    is_outgoing: bool = False
    name: Name = ""
    number: Annotated[str, Line(100)] = ""
    group: Name = ""
    at: Annotated[int, Field(ge=0, le=_YEAR_9000)] = 0
    """Milliseconds since 1970."""
    seconds: Count = 0
    phone: Name = ""
    """Name of the phone that rings for an outgoing call."""
    is_quiet: bool = False
    """Whether name and number are withheld, because the person has not chosen that messages show them."""

    @classmethod
    def of(cls, call: PhoneCall, *, with_numbers: bool) -> Self:
        ended, began = call.ended_at or call.began_at, call.connected_at or call.began_at
        return cls(
            call=call.call_id,
            status=get_call_status(call),
            is_outgoing=call.direction is Direction.OUT,
            name=call.name if with_numbers else "",
            number=call.number if with_numbers else "",
            group=call.group if with_numbers else "",
            at=min(max(to_ms(call.began_at), 0), _YEAR_9000),
            seconds=max(int((ended - began).total_seconds()), 0),
            is_quiet=not with_numbers,
        )

    @classmethod
    def dialled(cls, dialled: Dialled, name: str, at: datetime) -> Self:
        return cls(
            call=dialled.call_id,
            status=CallStatus.DIALLING,
            is_outgoing=True,
            name=name,
            number=dialled.number,
            at=to_ms(at),
            phone=dialled.phone,
        )


@dataclass(frozen=True, slots=True)
class Colleague:
    """The other party of a call, if the person can write to them in Teams instead."""

    email: str


def call_card(shown: CallShown, reader: CardReader, colleague: Colleague | None = None) -> Card:
    status = shown.status
    values = {
        "who": _who(shown, reader),
        "phone": shown.phone or reader.t("phone.your-phone"),
        "at": card_time(from_ms(shown.at)),
        "time": _duration(shown.seconds, reader),
        "group": shown.group,
    }
    words = [reader.t(f"phone.{_key(shown)}.text", **values)]
    if shown.group and status in (CallStatus.RINGING, CallStatus.MISSED):
        words.append(reader.t("phone.for-group", **values))
    if shown.is_quiet and status in GOES_ON | ASK_TO_CALL_BACK:
        words.append(reader.t("phone.quiet"))
    actions: list[Card] = []
    if status in GOES_ON and shown.call:
        word = "action.reject" if status is CallStatus.RINGING else "action.hang-up"
        data = {"call": shown.call, "shown": _sent(shown)}
        actions.append(execute(reader=reader, command=Command.HANG_UP, title=reader.title(word), data=data))
    if status not in GOES_ON and shown.number and status is not CallStatus.ELSEWHERE:
        word = "action.call-again" if shown.is_outgoing else "action.call-back"
        actions.append(call_button(reader=reader, number=shown.number, name=shown.name, word=word))
    if colleague is not None and status in {CallStatus.RINGING} | ASK_TO_CALL_BACK:
        actions.append(open_url(reader, _chat_url(colleague), "action.write-instead"))
    if status is CallStatus.AT_ONCE:
        actions.append(open_url(reader, reader.phone_url, "action.other-phone"))
    elif not shown.number or status in GOES_ON:
        actions.append(open_url(reader, reader.phone_url, "action.open-phone"))
    return card(
        reader=reader,
        title=reader.title(f"phone.{_key(shown)}.title"),
        body=[text(one) for one in words],
        actions=actions,
        refresh=Command.CALL_STATE,
        data={"shown": _sent(shown)},
    )


def followed_call(made: Card) -> CallShown | None:
    """Return the call that a card shows if it is ongoing, or None."""
    action = made["refresh"]["action"]
    if action["verb"] != Command.CALL_STATE:
        return None
    shown = CallShown.model_validate(action["data"]["shown"])
    return shown if shown.call and shown.status in GOES_ON else None


def call_button(reader: CardReader, number: str, name: str = "", word: str = "action.call") -> Card:
    """Return a button that calls a number. It contains the call's id, so that a second click starts no second call."""
    data = {"number": number, "name": name, "id": str(uuid4())}
    return execute(reader=reader, command=Command.CALL, title=reader.title(word), data=data)


def ask_card(reader: CardReader) -> Card:
    return card(
        reader=reader,
        title=reader.title("phone.whom"),
        body=[_whom(reader, "")],
        actions=[_call_typed(reader)],
        refresh=Command.CALL,
    )


def choices_card(search: str, found: Sequence[Found], reader: CardReader) -> Card:
    """Return the results of a search: a choice of several numbers, or that nobody was found."""
    if not found:
        body = [text(reader.t("phone.none-found", search=search)), _whom(reader, search)]
        return card(
            reader=reader,
            title=reader.title("phone.whom"),
            body=body,
            actions=[_call_typed(reader)],
            refresh=Command.CALL,
        )
    choices = [{"title": found_words(one), "value": one.number} for one in found[:FOUND_SHOWN]]
    body = [
        {
            "type": "Input.ChoiceSet",
            "id": "number",
            "label": reader.title("phone.choose"),
            "choices": choices,
            "value": choices[0]["value"],
        }
    ]
    return card(
        reader=reader,
        title=reader.title("phone.whom"),
        body=body,
        actions=[_call_typed(reader)],
        refresh=Command.CALL,
        data={"search": search},
    )


def confirm_card(refusal: Finding, number: str, name: str, call_id: str, reader: CardReader) -> Card:
    """Return the confirmation before an emergency or premium number is dialled."""
    data = {"number": number, "name": name, "id": call_id}
    actions = [
        execute(
            reader=reader,
            command=Command.CALL_CONFIRMED,
            title=reader.title("action.call"),
            data=data,
            style="destructive",
        ),
        execute(reader, Command.CALLS, reader.title("action.cancel")),
    ]
    return card(
        reader=reader,
        title=reader.title("phone.really"),
        body=[finding(reader, refusal)],
        actions=actions,
        refresh=Command.CALLS,
    )


def refused_card(refusal: Finding, reader: CardReader) -> Card:
    actions = [
        execute(reader, Command.CALLS, reader.title("action.calls")),
        open_url(reader, reader.phone_url, "action.open-phone"),
    ]
    return card(
        reader=reader,
        title=reader.title("phone.title"),
        body=[finding(reader, refusal)],
        actions=actions,
        refresh=Command.CALLS,
    )


def unknown_card(reader: CardReader, command: Command) -> Card:
    """Return the card for a time-out of the PBX. The command may have been carried out, so it is not retried."""
    word = (
        "phone.unknown-call" if command in (Command.CALL, Command.CALL_CONFIRMED) else "phone.unknown-other"
    )
    actions = [
        execute(reader, Command.HANG_UP, reader.title("action.hang-up")),
        open_url(reader, reader.phone_url, "action.open-phone"),
    ]
    body = [warning(text(reader.t(word)))]
    return card(
        reader=reader, title=reader.title("phone.unknown"), body=body, actions=actions, refresh=Command.CALLS
    )


def hang_up_card(calls: Sequence[PhoneCall], reader: CardReader, note: str = "") -> Card:
    """Return a choice among several calls to hang up, or the text `note`, by default that there is no call."""
    actions: list[Card] = []
    body = [text(reader.t(note or ("phone.which-call" if calls else "phone.no-call")))]
    if calls:
        choices = [{"title": plain(_other(call, reader)), "value": call.call_id} for call in calls]
        body.append(
            {
                "type": "Input.ChoiceSet",
                "id": "call",
                "label": reader.title("phone.choose-call"),
                "choices": choices,
                "value": choices[0]["value"],
            }
        )
        actions.append(execute(reader, Command.HANG_UP, reader.title("action.hang-up")))
    actions.append(open_url(reader, reader.phone_url, "action.open-phone"))
    return card(
        reader=reader, title=reader.title("phone.title"), body=body, actions=actions, refresh=Command.CALLS
    )


def calls_card(entries: Sequence[HistoryEntry], reader: CardReader) -> Card:
    """Return the latest missed calls of the PBX's call list, newest first."""
    shown = entries[:MISSED_SHOWN]
    given = [(card_time(entry.began_at), plain(_entry(entry, reader))) for entry in shown]
    body = facts(given) if given else [text(reader.t("phone.none-missed"))]
    numbers = {entry.number: entry.name for entry in reversed(shown) if entry.number}
    if numbers:
        choices = [
            {"title": plain(f"{name}, {number}" if name else number), "value": number}
            for number, name in reversed(numbers.items())
        ]
        body.append(
            {
                "type": "Input.ChoiceSet",
                "id": "number",
                "label": reader.title("phone.choose"),
                "choices": choices,
                "value": choices[0]["value"],
            }
        )
    actions = [
        *([_call_typed(reader, "action.call-back")] if numbers else []),
        execute(reader, Command.CALLS, reader.title("action.refresh")),
        open_url(reader, reader.phone_url, "action.open-phone"),
    ]
    return card(
        reader=reader,
        title=reader.title("phone.missed-title"),
        body=body,
        actions=actions,
        refresh=Command.CALLS,
    )


def missed_summary_card(count: int, reader: CardReader) -> Card:
    """Return the message about several calls that were missed while nobody followed the line, without who called."""
    actions = [
        execute(reader, Command.CALLS, reader.title("action.calls")),
        open_url(reader, reader.phone_url, "action.open-phone"),
    ]
    made = card(
        reader=reader,
        title=reader.title("phone.missed-title"),
        body=[text(reader.t("phone.missed-several", count=count))],
        actions=actions,
        refresh=Command.CALLS,
    )
    del made["refresh"]  # the list shows numbers, so it comes only to somebody who asks for it
    return made


def switches_card(line: PhoneLine, command: Command, reader: CardReader, *notes: Card) -> Card:
    """Return do not disturb and redirects, as the PBX reports them."""
    given: list[tuple[Plain, Plain]] = []
    actions: list[Card] = []
    if line.do_not_disturb is not None:
        given.append((reader.t("phone.dnd"), reader.t(f"phone.{ON if line.do_not_disturb else OFF}")))
        if line.features.get(Feature.DO_NOT_DISTURB) is Access.CHANGE:
            wanted = OFF if line.do_not_disturb else ON
            title = reader.title(f"action.dnd-{wanted}")
            actions.append(
                execute(reader=reader, command=Command.DO_NOT_DISTURB, title=title, data={"argument": wanted})
            )
    given += [
        (_redirect_label(redirect, reader), _redirect_words(redirect, reader))
        for redirect in own_redirects(line)
    ]
    if any(redirect.is_on and redirect.access is Access.CHANGE for redirect in own_redirects(line)):
        title = reader.title("action.redirect-off")
        actions.append(execute(reader=reader, command=Command.REDIRECT, title=title, data={"argument": OFF}))
    body = [*notes, *(facts(given) if given else [text(reader.t("phone.no-switches"))])]
    actions.append(open_url(reader, reader.phone_url, "action.open-phone"))
    return card(
        reader=reader, title=reader.title("phone.switches-title"), body=body, actions=actions, refresh=command
    )


def own_redirects(line: PhoneLine) -> list[Redirect]:
    """Return the person's own redirects of all calls. The tab's page handles the other kinds."""
    return [one for one in line.redirects or () if one.trigger is RedirectTrigger.ALWAYS and not one.group]


def found_words(found: Found) -> Plain:
    return plain(", ".join(part for part in (found.name, found.number, found.detail) if part))


def _sent(shown: CallShown) -> dict[str, Any]:
    return shown.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _key(shown: CallShown) -> str:
    if shown.status is CallStatus.DIALLING and not shown.phone:
        return "dialled"
    return shown.status.value


def _who(shown: CallShown, reader: CardReader) -> str:
    if shown.name and shown.number:
        return f"{shown.name} ({shown.number})"
    return shown.name or shown.number or reader.t("phone.somebody" if shown.is_quiet else "phone.withheld")


def _other(call: PhoneCall, reader: CardReader) -> str:
    return ", ".join(part for part in (call.name, call.number) if part) or reader.t("phone.withheld")


def _entry(entry: HistoryEntry, reader: CardReader) -> str:
    who = ", ".join(part for part in (entry.name, entry.number) if part) or reader.t("phone.withheld")
    return f"{who} ({entry.group})" if entry.group else who


def _duration(seconds: int, reader: CardReader) -> Plain:
    minutes, rest = divmod(seconds, 60)
    return reader.t("phone.duration", minutes=minutes, seconds=f"{rest:02}")


def _redirect_label(redirect: Redirect, reader: CardReader) -> Plain:
    if redirect.of_number:
        return reader.t("phone.redirect-of", number=redirect.of_number)
    return reader.t("phone.redirect")


def _redirect_words(redirect: Redirect, reader: CardReader) -> Plain:
    if not redirect.is_on:
        return reader.t("phone.off")
    if redirect.target is RedirectTarget.MAILBOX:
        return reader.t("phone.to-mailbox")
    return reader.t("phone.to-number", number=redirect.number)


def _whom(reader: CardReader, typed: str) -> Card:
    return {
        "type": "Input.Text",
        "id": "number",
        "label": reader.title("phone.name-or-number"),
        "value": typed,
        "maxLength": 100,
    }


def _call_typed(reader: CardReader, word: str = "action.call") -> Card:
    return execute(reader=reader, command=Command.CALL, title=reader.title(word), data={"id": str(uuid4())})


def _chat_url(colleague: Colleague) -> str:
    """Return a deep link to a chat (learn.microsoft.com, "Deep link to start a new chat").

    The link needs the user name in Entra. We assume that it is the e-mail address that the PBX has.
    """
    return f"https://teams.microsoft.com/l/chat/0/0?users={quote(colleague.email)}"


def parse_shown_call(outside: Any) -> CallShown | None:
    """Return what one of our cards contained, or None for any other data."""
    if not isinstance(outside, Mapping):
        return None
    try:
        return CallShown.model_validate(outside)
    except ValueError:
        return None
