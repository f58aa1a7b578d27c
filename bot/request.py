"""What somebody asks of the bot, whichever way it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.cards.parts import Reader
from core.identity.teams_user import TeamsUser
from wire.bounds import clean_line


@dataclass(frozen=True, slots=True)
class BotRequest:
    """What somebody wants to know or to have done."""

    user: TeamsUser
    reader: Reader
    data: Mapping[str, Any]
    """What the button carries and what was typed in its card; nothing in it is trusted."""

    def said(self, name: str, longest: int) -> str:
        """One line of what was typed or sent, empty where there is none."""
        value = self.data.get(name)
        return clean_line(value[:longest], longest) if isinstance(value, str) else ""
