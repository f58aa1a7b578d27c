"""Notices (cards that the bot sends first), and the card with a person's preferences for them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from bot.cards.parts import Card, CardReader, card, card_time, execute, open_url, sign_in, text
from bot.cards.plain import Title
from bot.commands import Command
from core.audit.wording import describe_actor_of_notice
from core.licensing.session import NOTIFIED_CAUSES
from core.signin.preferences import Preferences, Topic
from core.signin.signin import UserState
from core.store.audit import ActorKind
from core.store.timestamps import from_ms
from wire.bounds import Count, Line, Name

KINDS: Final = frozenset(NOTIFIED_CAUSES) | {"seat-offered", "offer-passed", "key-expires", "session-ends"}
"""Kinds of notices that `notice_card` shows. The audio advisor's notice has its own card."""
CALL_TOGGLES: Final = ("calls-in-chat", "missed-calls", "numbers-in-chat")
"""Preferences about calls. They are opt-in, so they are not topics that a person may mute."""
_YEAR_9000: Final = 221_845_392_000_000


class NoticeDetail(BaseModel):
    """Content of a notice, as stored or as returned by a card. Data from a card is not trusted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pbx_name: Name = ""
    pbx_user: Name = ""
    actor: Name = ""
    actor_kind: ActorKind | None = None
    """None in notices of an earlier version."""
    other_organisation: bool = False
    """Whether the actor belongs to another organisation than the reader."""
    reason: Annotated[str, Line(500)] = ""
    serial: Name = ""
    until: Annotated[int, Field(ge=0, le=_YEAR_9000)] = 0
    """Milliseconds since 1970."""
    seats: Count = 0


def notice_card(
    kind: str, detail: Mapping[str, Any], reader: CardReader, state: UserState | None = None
) -> Card:
    """Return the card of a notice. With `state`, it is a refresh and also says what has changed since.

    Raises `ValueError` for an unknown kind or an invalid `detail`.
    """
    if kind not in KINDS:
        raise ValueError("no notice of this kind")
    content = NoticeDetail.model_validate(detail)
    actor = describe_actor_of_notice(
        content.actor, content.actor_kind, reader.language, other_organisation=content.other_organisation
    )
    values = content.model_dump(exclude={"until"}) | {"actor": actor}
    if content.until:
        values["until"] = card_time(from_ms(content.until))
    body = [text(reader.t(f"notice.{kind}.text", **values))]
    if content.reason:
        body.append(text(reader.t("notice.reason", reason=content.reason)))
    if state is not None and (since := _get_change_since(kind, state)) is not None:
        body.append(text(reader.t(f"notice.{since}", pbx_name=content.pbx_name)))
    actions = [open_url(reader, reader.licences_url if kind == "key-expires" else reader.home_url)]
    if kind == "session-ends" or (kind != "key-expires" and (state is None or state.session is None)):
        actions.insert(0, sign_in(reader))
    data = {"kind": kind, "detail": content.model_dump(exclude_defaults=True)}
    return card(
        reader=reader,
        title=reader.title(f"notice.{kind}.title"),
        body=body,
        actions=actions,
        refresh=Command.NOTICE,
        data=data,
    )


def _get_change_since(kind: str, state: UserState) -> str | None:
    """Return the key of the text that says what has changed since the notice was sent, or None."""
    if kind == "key-expires":
        return None
    if kind == "session-ends" and state.session_ends is not None:
        return None  # the session still ends soon
    if state.session is not None:
        return "signed-in-since"
    if kind == "seat-offered" and (state.place is None or state.place.offered_until is None):
        return "offer-over"
    return None


def settings_card(preferences: Preferences, reader: CardReader, *, administrator: bool, saved: bool) -> Card:
    topics = [topic for topic in Topic if administrator or topic is not Topic.ADMINISTRATION]
    body: list[Card] = []
    if saved:
        body.append(text(reader.t("notices.saved")))
    body += [
        _toggle(topic, reader.title(f"notices.{topic}"), topic not in preferences.muted) for topic in topics
    ]
    body += [
        text(reader.t("notices.always")),
        text(reader.t("notices.calls"), weight="bolder"),
        *(
            _toggle(name, reader.title(f"notices.{name}"), on)
            for name, on in zip(
                CALL_TOGGLES,
                (preferences.calls_in_chat, preferences.missed_calls, preferences.numbers_in_chat),
                strict=True,
            )
        ),
        text(reader.t("notices.calls-lie")),
        _toggle("quiet", reader.title("notices.quiet"), preferences.quiet),
        _time("quiet-from", reader.title("notices.from"), preferences.quiet_from),
        _time("quiet-until", reader.title("notices.until"), preferences.quiet_until),
        text(
            reader.t("notices.zone", zone=preferences.time_zone)
            if preferences.time_zone
            else reader.t("notices.no-zone")
        ),
    ]
    shown = {"topics": [topic.value for topic in topics]}
    actions = [
        execute(reader=reader, command=Command.NOTICES_SAVE, title=reader.title("action.save"), data=shown)
    ]
    return card(
        reader=reader,
        title=reader.title("notices.title"),
        body=body,
        actions=actions,
        refresh=Command.NOTICES,
    )


def _toggle(name: str, title: Title, on: bool) -> Card:
    return {
        "type": "Input.Toggle",
        "id": name,
        "title": title,
        "value": "true" if on else "false",
        "wrap": True,
    }


def _time(name: str, label: Title, minute: int) -> Card:
    value = f"{minute // 60:02}:{minute % 60:02}"
    return {"type": "Input.Time", "id": name, "label": label, "value": value, "isRequired": True}
