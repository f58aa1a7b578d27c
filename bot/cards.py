"""Adaptive Cards (schema 1.5, which every Teams client shows). Words come from `words/`, never from here."""

from datetime import datetime
from typing import Any, Final

from botbuilder.core import CardFactory
from botbuilder.schema import Attachment

from bot.commands import Command
from core.advisor.advisor import AudioView
from core.audio import telling
from core.audio.finding import Verdict
from core.diagnosis.finding import Finding, tell
from core.language import Language, Words
from core.licensing.overview import Place
from core.licensing.rules import LicenceKind
from core.signin.signin import State
from core.store.moments import from_ms

WORDS: Final = Words("bot")
CONTENT_TYPE: Final = "application/vnd.microsoft.card.adaptive"
Card = dict[str, Any]


def attachment(card: Card) -> Attachment:
    return CardFactory.adaptive_card(card)


def status_card(state: State, language: Language, open_url: str) -> Card:
    session, connection = state.session, state.connection
    if session is None or connection is None:
        return signed_out_card(state, language, open_url)
    facts = [
        (_t(language, "status.pbx-user"), f"{session.person.display_name} ({session.person.login})"),
        (_t(language, "status.pbx"), connection.pbx.name),
        (_t(language, "status.connection"), _connection_words(state, language)),
        (_t(language, "licence.kind"), _t(language, f"licence.{session.kind}")),
    ]
    body = [_heading(_t(language, "status.title")), _facts(facts), *_findings(state, language)]
    actions = [
        _execute(Command.STATUS, language, _t(language, "action.refresh")),
        _execute(Command.SIGN_OUT, language, _t(language, "action.sign-out")),
        _open(language, open_url),
    ]
    return _card(body, actions, language)


def licence_card(state: State, language: Language, open_url: str) -> Card:
    session = state.session
    if session is None:
        return signed_out_card(state, language, open_url)
    facts = [
        (_t(language, "licence.kind"), _t(language, f"licence.{session.kind}")),
        (_t(language, "licence.since"), _card_time(session.licence_since)),
    ]
    if session.kind is LicenceKind.FL:
        seats = _t(language, "licence.seats-value", used=state.seats_used, total=state.seats_total)
        facts.append((_t(language, "licence.seats"), seats))
    body = [_heading(_t(language, "licence.title")), _facts(facts)]
    actions = [_execute(Command.LICENCE, language, _t(language, "action.refresh")), _open(language, open_url)]
    return _card(body, actions, language)


def signed_out_card(state: State, language: Language, open_url: str) -> Card:
    body = [_heading(_t(language, "signed-out.title"))]
    if state.ending is not None:
        pbx_name, ending = state.ending
        words = _t(language, f"notice.{ending.cause}.text", pbx_name=pbx_name, actor=ending.actor)
        body.append(_text(words))
        if ending.reason:
            body.append(_text(_t(language, "notice.reason", reason=ending.reason)))
    if state.place is not None and state.place.joined_at is not None:
        body.append(_text(_place_words(state.place, language)))
    body.append(_text(_t(language, "signed-out.text")))
    return _card(body, [_sign_in(language), _open(language, open_url)], language)


def help_card(language: Language, open_url: str, *, welcome: bool = False) -> Card:
    facts = [
        (_t(language, f"help.{command}.word"), _t(language, f"help.{command}.text"))
        for command in (
            *(Command.STATUS, Command.LICENCE, Command.AUDIO),
            *(Command.SIGN_IN, Command.SIGN_OUT, Command.HELP),
        )
    ]
    title = "welcome" if welcome else "help"
    body = [_heading(_t(language, f"{title}.title")), _text(_t(language, f"{title}.text")), _facts(facts)]
    actions = [
        _execute(Command.STATUS, language, _t(language, "action.status")),
        _sign_in(language),
        _open(language, open_url),
    ]
    return _card(body, actions, language)


def audio_card(view: AudioView, language: Language, open_url: str) -> Card:
    told = telling.gist(view.conclusion, view.advice)
    body = _audio_body(told, language)
    if view.conclusion.verdict is Verdict.UNKNOWN:
        body.append(_text(_t(language, "audio.more")))
    actions = [
        _execute(Command.AUDIO, language, _t(language, "action.refresh")),
        _open(language, open_url, "action.open-audio"),
    ]
    return _card(body, actions, language)


def audio_notice_card(detail: dict[str, Any], language: Language, open_url: str) -> Card:
    """Written first, after a call that ended at once or when a collision is seen."""
    told = telling.Gist.of_json(detail)
    actions = [
        _open(language, open_url, "action.open-audio"),
        _execute(Command.AUDIO_NOT_NOW, language, _t(language, "action.not-now")),
    ]
    if told.device:
        never = _execute(Command.AUDIO_NEVER, language, _t(language, "action.never-this-device"))
        never["data"] |= {"device": told.device}
        actions.append(never)
    return _card(_audio_body(told, language), actions, language)


def audio_quiet_card(language: Language, open_url: str, device: str | None) -> Card:
    """Instead of the message that somebody wanted no more of."""
    words = (
        _t(language, "audio.quiet-device", device=device)
        if device is not None
        else _t(language, "audio.quiet")
    )
    return _card([_text(words)], [_open(language, open_url, "action.open-audio")], language)


def _audio_body(told: telling.Gist, language: Language) -> list[Card]:
    body = [_heading(telling.title(told, language)), _text(telling.detail(told, language))]
    if told.changes:
        body.append(_text(_t(language, "audio.cure")))
        body += [
            _text(f"{n}. {telling.step(change, language)}") for n, change in enumerate(told.changes, start=1)
        ]
    return body


def notice_card(kind: str, detail: dict[str, Any], language: Language, open_url: str) -> Card:
    values = {
        name: _card_time(from_ms(value)) if name == "until" else value for name, value in detail.items()
    }
    body = [
        _heading(_t(language, f"notice.{kind}.title")),
        _text(_t(language, f"notice.{kind}.text", **values)),
    ]
    if detail.get("reason"):
        body.append(_text(_t(language, "notice.reason", reason=detail["reason"])))
    opens = [_open(language, open_url)]
    return _card(body, opens if kind == "key-expires" else [_sign_in(language), *opens], language)


def _place_words(place: Place, language: Language) -> str:
    if place.offered_until is not None:
        until = _card_time(place.offered_until)
        return _t(language, "notice.seat-offered.text", pbx_name=place.pbx_name, until=until)
    return _t(language, "signed-out.waiting", pbx_name=place.pbx_name, position=place.position)


def _connection_words(state: State, language: Language) -> str:
    if state.connection is None or state.connection.blocker is None:
        return _t(language, "status.connected")
    return _t(language, "status.not-connected")


def _findings(state: State, language: Language) -> list[Card]:
    connection = state.connection
    if connection is None:
        return []
    found = [finding for finding in (connection.blocker, connection.warning) if finding is not None]
    return [_finding(finding, language) for finding in found]


def _finding(finding: Finding, language: Language) -> Card:
    told = tell(finding, language)
    items = [
        {"type": "TextBlock", "text": told.title, "weight": "bolder", "wrap": True},
        _text(told.detail),
        _text(told.cure),
    ]
    return {"type": "Container", "style": "warning", "items": items}


def _card(body: list[Card], actions: list[Card], language: Language) -> Card:
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "lang": language,
        "body": body,
        "actions": actions,
    }


def _heading(text: str) -> Card:
    return {
        "type": "TextBlock",
        "size": "large",
        "weight": "bolder",
        "text": text,
        "wrap": True,
        "style": "heading",
    }


def _text(text: str) -> Card:
    return {"type": "TextBlock", "text": text, "wrap": True}


def _facts(facts: list[tuple[str, str]]) -> Card:
    return {"type": "FactSet", "facts": [{"title": title, "value": value} for title, value in facts]}


def _execute(command: Command, language: Language, title: str) -> Card:
    return {"type": "Action.Execute", "verb": command, "title": title, "data": {"language": language}}


def _sign_in(language: Language) -> Card:
    """Opens the tab's sign-in page as a dialog: the PBX key is never asked for in the chat."""
    data = {"msteams": {"type": "task/fetch"}, "command": Command.SIGN_IN, "language": language}
    return {"type": "Action.Submit", "title": _t(language, "action.sign-in"), "data": data}


def _open(language: Language, url: str, title: str = "action.open-tab") -> Card:
    return {"type": "Action.OpenUrl", "title": _t(language, title), "url": url}


def _card_time(moment: datetime) -> str:
    """Adaptive Cards show this in the reader's own zone and language."""
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{{{{DATE({stamp},SHORT)}}}} {{{{TIME({stamp})}}}}"


def _t(language: Language, key: str, **values: Any) -> str:
    return WORDS.text(language, key, **values)
