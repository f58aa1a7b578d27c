"""The elements of cards: Adaptive Cards, schema 1.5, which every Teams client supports. Texts are in `words/`.

Each card contains its refresh action (Universal Actions), so that a card in the history shows the present state:
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
from core.diagnosis.finding import Finding, Role, explain
from core.language import Language, Words

WORDS: Final = Words("bot")
CONTENT_TYPE: Final = "application/vnd.microsoft.card.adaptive"
Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CardReader:
    """The person for whom a card is made."""

    language: Language
    channel_id: str
    """The person's id on the channel ("29:…"). Their client refreshes the card automatically."""
    home_url: str
    """This and the following fields are deep links to pages of the tab."""
    audio_url: str
    licences_url: str
    phone_url: str = ""

    def t(self, key: str, **values: object) -> Plain:
        """Return a text with its placeholders filled. The values may come from outside."""
        return Plain(WORDS.text(self.language, key, plain, **values))

    def title(self, key: str) -> Title:
        """Return a text without placeholders."""
        return Title(WORDS.text(self.language, key))


def message(card: Card, note: str = "", about: str = "") -> Activity:
    """Return a message with a card.

    `note` is shown above the card. `about` is added to the summary, which toasts, the lock screen and the list of chats
    show.
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
    reader: CardReader,
    title: Title,
    body: list[Card],
    actions: list[Card],
    refresh: Command,
    data: Mapping[str, Any] | None = None,
) -> Card:
    """Return a card. `refresh` is the command that rebuilds it, with `data`."""
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
    """Return a card's heading: a TextBlock, because only that can be a heading for screen readers."""
    return {
        "type": "TextBlock",
        "text": words,
        "weight": "bolder",
        "size": "medium",
        "wrap": True,
        "style": "heading",
    }


def text(words: Plain, **style: object) -> Card:
    """Return a paragraph. `style` are members of its TextRun."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": words, **style}]}


def facts(given: list[tuple[Plain, Plain]]) -> list[Card]:
    """Return a list of labels and values, as columns, because a FactSet would interpret Markdown."""
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


def finding(reader: CardReader, found: Finding, *, is_administrator: bool = False) -> Card:
    role = Role.ADMINISTRATOR if is_administrator else Role.USER
    explanation = explain(found, reader.language, role)
    return warning(
        text(plain(explanation.title), weight="bolder"),
        text(plain(explanation.detail)),
        text(plain(explanation.cure)),
    )


def execute(
    reader: CardReader, command: Command, title: Title, data: Mapping[str, Any] | None = None, **more: Any
) -> Card:
    """Return a button that sends `data` and the card's inputs. The bot answers with a card that replaces this one."""
    sent = {**(data or {}), "language": reader.language}
    return {"type": "Action.Execute", "verb": command, "title": title, "data": sent, **more}


def sign_in(reader: CardReader) -> Card:
    """Return a button that opens the tab's sign-in page as a dialog, so that no PBX key is typed in the chat."""
    data = {"msteams": {"type": "task/fetch"}, "command": Command.SIGN_IN, "language": reader.language}
    return {"type": "Action.Submit", "title": reader.title("action.sign-in"), "data": data}


def open_url(reader: CardReader, url: str, title: str = "action.open-tab") -> Card:
    return {"type": "Action.OpenUrl", "title": reader.title(title), "url": url}


def card_time(moment: datetime) -> Plain:
    """Return a time that Adaptive Cards show in the reader's time zone and language."""
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Plain(f"{{{{DATE({stamp},SHORT)}}}} {{{{TIME({stamp})}}}}")
