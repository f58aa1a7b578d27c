"""What people type: the commands and their words in both languages."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.language import Language


class Command(StrEnum):
    STATUS = "status"
    LICENCE = "licence"
    AUDIO = "audio"
    AUDIO_NOT_NOW = "audio-not-now"
    """A button under a message about devices."""
    AUDIO_NEVER = "audio-never"
    """The same, for one device."""
    SIGN_IN = "sign-in"
    SIGN_OUT = "sign-out"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Said:
    command: Command | None
    """None: not understood."""
    language: Language | None
    """The language that the word itself belongs to, None when it belongs to both."""


_WORDS: Final[dict[str, tuple[Command, Language | None]]] = {
    "status": (Command.STATUS, None),
    "licence": (Command.LICENCE, Language.EN),
    "license": (Command.LICENCE, Language.EN),
    "lizenz": (Command.LICENCE, Language.DE),
    "audio": (Command.AUDIO, None),
    "headset": (Command.AUDIO, None),
    "audiodevices": (Command.AUDIO, Language.EN),
    "devices": (Command.AUDIO, Language.EN),
    "audiogeräte": (Command.AUDIO, Language.DE),
    "geräte": (Command.AUDIO, Language.DE),
    "signin": (Command.SIGN_IN, Language.EN),
    "login": (Command.SIGN_IN, None),
    "anmelden": (Command.SIGN_IN, Language.DE),
    "signout": (Command.SIGN_OUT, Language.EN),
    "logout": (Command.SIGN_OUT, None),
    "abmelden": (Command.SIGN_OUT, Language.DE),
    "help": (Command.HELP, Language.EN),
    "hilfe": (Command.HELP, Language.DE),
}
_MENTION: Final = re.compile(r"<at>.*?</at>", re.IGNORECASE | re.DOTALL)
_NOT_LETTERS: Final = re.compile(r"[^a-zäöüß]")


def understand(text: str | None) -> Said:
    word = _NOT_LETTERS.sub("", _MENTION.sub("", text or "").lower())
    command, language = _WORDS.get(word, (None, None))
    return Said(command, language)
