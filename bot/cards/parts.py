"""What every card is made of. Adaptive Cards, schema 1.5, which every Teams client shows; words come from `words/`.

Each card carries how it is refreshed (Universal Actions), so that one in the history tells the present state:
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/universal-actions-for-adaptive-cards/up-to-date-views
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botbuilder.core import CardFactory
from botbuilder.schema import Attachment

from bot.commands import Command
from core.diagnosis.finding import Finding, tell
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

    def t(self, key: str, **values: Any) -> str:
        return WORDS.text(self.language, key, **values)


def attachment(card: Card) -> Attachment:
    return CardFactory.adaptive_card(card)


def card(
    reader: Reader,
    body: list[Card],
    actions: list[Card],
    refresh: Command,
    data: Mapping[str, Any] | None = None,
) -> Card:
    """`refresh`, with its data, is what makes this card anew."""
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "lang": reader.language,
        "body": body,
        "actions": actions,
        "refresh": {
            "action": execute(reader, refresh, reader.t("action.refresh"), data),
            "userIds": [reader.channel_id],
        },
    }


def heading(words: str) -> Card:
    return {
        "type": "TextBlock",
        "text": words,
        "weight": "bolder",
        "size": "medium",
        "wrap": True,
        "style": "heading",
    }


def text(words: str) -> Card:
    return {"type": "TextBlock", "text": words, "wrap": True}


def facts(given: list[tuple[str, str]]) -> Card:
    return {"type": "FactSet", "facts": [{"title": title, "value": value} for title, value in given]}


def warning(*items: Card) -> Card:
    return {"type": "Container", "style": "warning", "items": list(items)}


def finding(reader: Reader, found: Finding) -> Card:
    told = tell(found, reader.language)
    title = {"type": "TextBlock", "text": told.title, "weight": "bolder", "wrap": True}
    return warning(title, text(told.detail), text(told.cure))


def execute(
    reader: Reader, command: Command, title: str, data: Mapping[str, Any] | None = None, **more: Any
) -> Card:
    """A button that the bot answers with a card in this one's place; what was typed in the card comes with it."""
    sent = {**(data or {}), "language": reader.language}
    return {"type": "Action.Execute", "verb": command, "title": title, "data": sent, **more}


def sign_in(reader: Reader) -> Card:
    """Opens the tab's sign-in page as a dialog: the PBX key is never asked for in the chat."""
    data = {"msteams": {"type": "task/fetch"}, "command": Command.SIGN_IN, "language": reader.language}
    return {"type": "Action.Submit", "title": reader.t("action.sign-in"), "data": data}


def open_url(reader: Reader, url: str, title: str = "action.open-tab") -> Card:
    return {"type": "Action.OpenUrl", "title": reader.t(title), "url": url}


def card_time(moment: datetime) -> str:
    """Adaptive Cards show this in the reader's own zone and language."""
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{{{{DATE({stamp},SHORT)}}}} {{{{TIME({stamp})}}}}"
