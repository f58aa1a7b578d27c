"""Cards about audio devices: what the advisor has found, and what to change."""

from typing import Any

from bot.cards.parts import Card, Reader, card, execute, heading, open_url, text
from bot.commands import Command
from core.advisor.advisor import AudioView
from core.audio import telling
from core.audio.finding import Verdict


def audio_card(view: AudioView, reader: Reader) -> Card:
    body = _body(telling.gist(view.conclusion, view.advice), reader)
    if view.conclusion.verdict is Verdict.UNKNOWN:
        body.append(text(reader.t("audio.more")))
    actions = [
        execute(reader, Command.AUDIO, reader.t("action.refresh")),
        open_url(reader, reader.audio_url, "action.open-audio"),
    ]
    return card(reader, body, actions, Command.AUDIO)


def audio_notice_card(detail: dict[str, Any], reader: Reader) -> Card:
    """Written first, after a call that ended at once or when a collision is seen. It is refreshed to what is found then."""
    told = telling.Gist.of_json(detail)
    actions = [
        open_url(reader, reader.audio_url, "action.open-audio"),
        execute(reader, Command.AUDIO_NOT_NOW, reader.t("action.not-now")),
    ]
    if told.device:
        never = reader.t("action.never-this-device")
        actions.append(execute(reader, Command.AUDIO_NEVER, never, {"device": told.device}))
    return card(reader, _body(told, reader), actions, Command.AUDIO_NOTICE, {"detail": detail})


def audio_quiet_card(reader: Reader, device: str | None) -> Card:
    """Instead of the message that somebody wanted no more of."""
    words = reader.t("audio.quiet-device", device=device) if device is not None else reader.t("audio.quiet")
    return card(
        reader, [text(words)], [open_url(reader, reader.audio_url, "action.open-audio")], Command.AUDIO
    )


def _body(told: telling.Gist, reader: Reader) -> list[Card]:
    language = reader.language
    body = [heading(telling.title(told, language)), text(telling.detail(told, language))]
    if told.changes:
        body.append(text(reader.t("audio.cure")))
        steps = enumerate(told.changes, start=1)
        body += [text(f"{n}. {telling.step(change, language)}") for n, change in steps]
    return body
