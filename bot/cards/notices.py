"""Cards that the bot writes first, and the one that decides which of them somebody wants."""

from typing import Any, Final

from bot.cards.parts import Card, Reader, card, card_time, execute, heading, open_url, sign_in, text
from bot.commands import Command
from core.signin.preferences import Preferences, Topic
from core.signin.signin import State
from core.store.moments import from_ms

_MOMENTS: Final = ("until",)


def notice_card(kind: str, detail: dict[str, Any], reader: Reader, state: State | None = None) -> Card:
    """`state`: the card is refreshed, and tells what has become of it."""
    values = {
        name: card_time(from_ms(value)) if name in _MOMENTS else value for name, value in detail.items()
    }
    body = [heading(reader.t(f"notice.{kind}.title")), text(reader.t(f"notice.{kind}.text", **values))]
    if detail.get("reason"):
        body.append(text(reader.t("notice.reason", reason=detail["reason"])))
    if state is not None and (since := _since(kind, state)) is not None:
        body.append(text(reader.t(f"notice.{since}", pbx_name=detail.get("pbx_name", ""))))
    actions = [open_url(reader, reader.licences_url if kind == "key-expires" else reader.home_url)]
    if kind != "key-expires" and (state is None or state.session is None):
        actions.insert(0, sign_in(reader))
    return card(reader, body, actions, Command.NOTICE, {"kind": kind, "detail": detail})


def _since(kind: str, state: State) -> str | None:
    """What has happened since the card was sent."""
    if kind == "key-expires":
        return None
    if state.session is not None:
        return "signed-in-since"
    if kind == "seat-offered" and (state.place is None or state.place.offered_until is None):
        return "offer-over"
    return None


def settings_card(preferences: Preferences, reader: Reader, *, administrator: bool, saved: bool) -> Card:
    topics = [topic for topic in Topic if administrator or topic is not Topic.ADMINISTRATION]
    body = [heading(reader.t("notices.title"))]
    if saved:
        body.append(text(reader.t("notices.saved")))
    body += [_toggle(topic, reader.t(f"notices.{topic}"), topic not in preferences.muted) for topic in topics]
    body += [
        text(reader.t("notices.always")),
        _toggle("quiet", reader.t("notices.quiet"), preferences.quiet),
        _time("quiet-from", reader.t("notices.from"), preferences.quiet_from),
        _time("quiet-until", reader.t("notices.until"), preferences.quiet_until),
        text(
            reader.t("notices.zone", zone=preferences.time_zone)
            if preferences.time_zone
            else reader.t("notices.no-zone")
        ),
    ]
    shown = {"topics": [topic.value for topic in topics]}
    actions = [execute(reader, Command.NOTICES_SAVE, reader.t("action.save"), shown)]
    return card(reader, body, actions, Command.NOTICES)


def _toggle(name: str, title: str, on: bool) -> Card:
    return {
        "type": "Input.Toggle",
        "id": name,
        "title": title,
        "value": "true" if on else "false",
        "wrap": True,
    }


def _time(name: str, label: str, minute: int) -> Card:
    value = f"{minute // 60:02}:{minute % 60:02}"
    return {"type": "Input.Time", "id": name, "label": label, "value": value, "isRequired": True}
