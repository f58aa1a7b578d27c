"""What every card is made of. Adaptive Cards, schema 1.5, which every Teams client shows; words come from `words/`.

Each card carries how it is refreshed (Universal Actions), so that one in the history tells the present state:
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/universal-actions-for-adaptive-cards/up-to-date-views
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botbuilder.core import CardFactory
from botbuilder.schema import Activity, ActivityTypes

from bot.cards.plain import Plain, Title, plain
from bot.commands import Command
from core.diagnosis.finding import Finding, explain
from core.language import Language, Words

WORDS: Final = Words("bot")
CONTENT_TYPE: Final = "application/vnd.microsoft.card.adaptive"
Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a card is made."""

    language: Language
    channel_id: str
    """The id that the channel knows the person by ("29:…"): whose client refreshes the card by itself."""
    home_url: str
    """Deep links to pages of the tab."""
    audio_url: str
    licences_url: str
    phone_url: str = ""

    def t(self, key: str, **values: object) -> Plain:
        """Words; the values may come from outside."""
        filled = {name: plain(value) for name, value in values.items()}
        return Plain(WORDS.text(self.language, key, **filled))

    def title(self, key: str) -> Title:
        """Words without placeholders."""
        return Title(WORDS.text(self.language, key))


def message(card: Card, note: str = "", about: str = "") -> Activity:
    """A card as a message. Its summary is what toasts, the lock screen and the list of chats show of it; `note` is said
    above it, and `about` is added to the summary.
    """
    return Activity(
        type=ActivityTypes.message,
        text=note,
        text_format="plain",
        summary=": ".join(part for part in (note or summary_of(card), about) if part),
        attachments=[CardFactory.adaptive_card(card)],
    )


def summary_of(card: Card) -> str:
    return str(card["body"][0]["text"])


def card(
    reader: Reader,
    title: Title,
    body: list[Card],
    actions: list[Card],
    refresh: Command,
    data: Mapping[str, Any] | None = None,
) -> Card:
    """`refresh`, with its data, is what rebuilds this card."""
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "lang": reader.language,
        "body": [_heading(title), *body],
        "actions": actions,
        "refresh": {
            "action": execute(
                reader=reader, command=refresh, title=reader.title("action.refresh"), data=data
            ),
            "userIds": [reader.channel_id],
        },
    }


def _heading(words: Title) -> Card:
    """Of a card; a TextBlock, because only that can tell a screen reader that it is a heading."""
    return {
        "type": "TextBlock",
        "text": words,
        "weight": "bolder",
        "size": "medium",
        "wrap": True,
        "style": "heading",
    }


def text(words: Plain, **style: object) -> Card:
    """A paragraph. `style`: of a TextRun."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": words, **style}]}


def facts(given: list[tuple[Plain, Plain]]) -> list[Card]:
    """A list of labels and values. Rows of columns, because a FactSet reads Markdown."""
    return [
        {
            "type": "ColumnSet",
            "spacing": "small" if number else "default",
            "columns": [
                {"type": "Column", "width": 2, "items": [text(label, weight="bolder")]},
                {"type": "Column", "width": 3, "items": [text(value)]},
            ],
        }
        for number, (label, value) in enumerate(given)
    ]


def warning(*items: Card) -> Card:
    return {"type": "Container", "style": "warning", "items": list(items)}


def finding(reader: Reader, found: Finding) -> Card:
    explanation = explain(found, reader.language)
    return warning(
        text(plain(explanation.title), weight="bolder"),
        text(plain(explanation.detail)),
        text(plain(explanation.cure)),
    )


def execute(
    reader: Reader, command: Command, title: Title, data: Mapping[str, Any] | None = None, **more: Any
) -> Card:
    """A button that the bot answers with a card in this one's place; what was typed in the card comes with it."""
    sent = {**(data or {}), "language": reader.language}
    return {"type": "Action.Execute", "verb": command, "title": title, "data": sent, **more}


def sign_in(reader: Reader) -> Card:
    """Opens the tab's sign-in page as a dialog: the PBX key is never asked for in the chat."""
    data = {"msteams": {"type": "task/fetch"}, "command": Command.SIGN_IN, "language": reader.language}
    return {"type": "Action.Submit", "title": reader.title("action.sign-in"), "data": data}


def open_url(reader: Reader, url: str, title: str = "action.open-tab") -> Card:
    return {"type": "Action.OpenUrl", "title": reader.title(title), "url": url}


def card_time(moment: datetime) -> Plain:
    """Adaptive Cards show this in the reader's own zone and language."""
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Plain(f"{{{{DATE({stamp},SHORT)}}}} {{{{TIME({stamp})}}}}")
