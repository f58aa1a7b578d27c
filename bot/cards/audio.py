"""Cards about audio devices: the advisor's conclusion and advice."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bot.cards.parts import Card, CardReader, card, execute, open_url, text
from bot.cards.plain import Title, plain
from bot.commands import Command
from core.advisor.advisor import AudioView
from core.audio import wording
from core.audio.device import Kind
from core.audio.evidence import Program
from core.audio.finding import AudioVerdict, Why
from wire.bounds import Line, Name


def audio_card(view: AudioView, reader: CardReader) -> Card:
    summary = wording.summarise(view.conclusion, view.advice)
    body = _body(summary, reader)
    if view.conclusion.verdict is AudioVerdict.UNKNOWN:
        body.append(text(reader.t("audio.more")))
    actions = [
        execute(reader, Command.AUDIO, reader.title("action.refresh")),
        open_url(reader, reader.audio_url, "action.open-audio"),
    ]
    return card(
        reader=reader, title=_title(summary, reader), body=body, actions=actions, refresh=Command.AUDIO
    )


class _Detail(BaseModel):
    """`wording.Summary` as JSON, from a stored notice or returned by a card. Data from a card is not trusted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    why: Why
    device: Name
    other: Name
    teams: Annotated[str, Line(1_000)]
    softphone: Annotated[str, Line(1_000)]
    reason: Annotated[str, Line(100)]
    changes: Annotated[list[tuple[Program, Kind, Name]], Field(max_length=10)]


def audio_notice_card(detail: Mapping[str, Any], reader: CardReader) -> Card:
    """Return the notice about a conflict, sent after a call that ended at once or when a probe sees a conflict.

    A refresh shows the conclusion of that time. Raises `ValueError` for an invalid `detail`.
    """
    summary = wording.Summary.of_json(_Detail.model_validate(detail).model_dump())
    if not wording.is_reason(summary.reason):
        raise ValueError("no reason that there are words for")
    actions = [
        open_url(reader, reader.audio_url, "action.open-audio"),
        execute(reader, Command.AUDIO_NOT_NOW, reader.title("action.not-now")),
    ]
    if summary.device:
        never = reader.title("action.never-this-device")
        actions.append(
            execute(reader=reader, command=Command.AUDIO_NEVER, title=never, data={"device": summary.device})
        )
    detail = {"detail": summary.as_json()}
    return card(
        reader=reader,
        title=_title(summary, reader),
        body=_body(summary, reader),
        actions=actions,
        refresh=Command.AUDIO_NOTICE,
        data=detail,
    )


def audio_quiet_card(reader: CardReader, device: str | None) -> Card:
    """Return the card that replaces a notice after the person has switched such notices off."""
    words = reader.t("audio.quiet-device", device=device) if device is not None else reader.t("audio.quiet")
    actions = [open_url(reader, reader.audio_url, "action.open-audio")]
    return card(
        reader=reader,
        title=reader.title("audio.quiet-title"),
        body=[text(words)],
        actions=actions,
        refresh=Command.AUDIO,
    )


def _title(summary: wording.Summary, reader: CardReader) -> Title:
    return Title(wording.title(summary, reader.language))  # words without placeholders


def _body(summary: wording.Summary, reader: CardReader) -> list[Card]:
    language = reader.language
    body = [text(plain(wording.detail(summary, language)))]
    if summary.changes:
        body.append(text(reader.t("audio.cure")))
        steps = enumerate(summary.changes, start=1)
        body += [text(plain(f"{n}. {wording.step(change, language)}")) for n, change in steps]
    return body
