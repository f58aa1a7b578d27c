"""A request to the bot, from a message, a button or the message extension."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.cards.parts import CardReader
from core.identity.teams_user import TeamsUser
from wire.bounds import clean_line


@dataclass(frozen=True, slots=True)
class BotRequest:
    """A person's request, with the reader of the answer."""

    user: TeamsUser
    reader: CardReader
    data: Mapping[str, Any]
    """Data of the button and inputs of its card; not trusted."""

    def get_text(self, name: str, longest: int) -> str:
        """Return one line of text from `data`, with at most `longest` characters; empty if there is none."""
        value = self.data.get(name)
        return clean_line(value[:longest], longest) if isinstance(value, str) else ""
