"""What people type: the commands and their words in both languages, typos forgiven."""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from bot.phone_words import read_phone_words
from core.language import Language


class Command(StrEnum):
    STATUS = "status"
    LICENCE = "licence"
    AUDIO = "audio"
    AUDIO_NOT_NOW = "audio-not-now"
    """A button under a message about devices."""
    AUDIO_NEVER = "audio-never"
    """The same, for one device."""
    AUDIO_NOTICE = "audio-notice"
    """Such a message is refreshed."""
    NOTICES = "notices"
    """Which messages the bot writes first."""
    NOTICES_SAVE = "notices-save"
    NOTICE = "notice"
    """A message that was written first is refreshed."""
    LICENCES = "licences"
    """For administrators: who holds one."""
    REVOKE_ASK = "revoke-ask"
    REVOKE = "revoke"
    SIGN_IN = "sign-in"
    SIGN_OUT = "sign-out"
    SIGN_OUT_ASK = "sign-out-ask"
    """Probably meant, so it is asked."""
    HELP = "help"
    WELCOME = "welcome"
    """The first message is refreshed."""
    CALL = "call"
    CALL_CONFIRMED = "call-confirmed"
    """A button: the person has said yes to an emergency or premium number."""
    CALL_STATE = "call-state"
    """The card of a call is refreshed."""
    HANG_UP = "hang-up"
    CALLS = "calls"
    """Those that were missed."""
    DO_NOT_DISTURB = "do-not-disturb"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    command: Command | None
    """None: not understood."""
    language: Language | None
    """The language that the word itself belongs to, None when it belongs to both."""
    is_exact: bool = True
    """Written exactly so; otherwise it is what was probably meant."""
    argument: str = ""
    """Of commands of the telephone (`bot.phone_words`)."""


_WORDS: Final[dict[str, tuple[Command, Language | None]]] = {
    "status": (Command.STATUS, None),
    "licence": (Command.LICENCE, Language.EN),
    "license": (Command.LICENCE, Language.EN),
    "lizenz": (Command.LICENCE, Language.DE),
    "licences": (Command.LICENCES, Language.EN),
    "licenses": (Command.LICENCES, Language.EN),
    "lizenzen": (Command.LICENCES, Language.DE),
    "audio": (Command.AUDIO, None),
    "headset": (Command.AUDIO, None),
    "audiodevices": (Command.AUDIO, Language.EN),
    "devices": (Command.AUDIO, Language.EN),
    "audiogeräte": (Command.AUDIO, Language.DE),
    "geräte": (Command.AUDIO, Language.DE),
    "messages": (Command.NOTICES, Language.EN),
    "notifications": (Command.NOTICES, Language.EN),
    "notices": (Command.NOTICES, Language.EN),
    "nachrichten": (Command.NOTICES, Language.DE),
    "benachrichtigungen": (Command.NOTICES, Language.DE),
    "signin": (Command.SIGN_IN, Language.EN),
    "login": (Command.SIGN_IN, None),
    "anmelden": (Command.SIGN_IN, Language.DE),
    "signout": (Command.SIGN_OUT, Language.EN),
    "logout": (Command.SIGN_OUT, None),
    "abmelden": (Command.SIGN_OUT, Language.DE),
    "help": (Command.HELP, Language.EN),
    "hilfe": (Command.HELP, Language.DE),
}
MAX_TEXT: Final = 1_000
"""Longer texts are cut before anything looks at them."""
_MENTION: Final = re.compile(r"<at>[^<]*</at>", re.IGNORECASE)
_NOT_LETTERS: Final = re.compile(r"[^a-zäöüß]+")
_LETTERS_A_TYPO: Final = 4
"""One slip (a letter too many, missing, wrong, or two swapped) is forgiven for so many letters, two at most."""
_MAX_SLIPS: Final = 2
_LONGEST_WORD: Final = max(map(len, _WORDS))
MAX_WORDS: Final = 12
"""In a longer text a command word is a coincidence."""


def understand(text: str | None) -> ParsedCommand:
    """A command by itself, with slips; or in a short sentence that holds the words of exactly one."""
    typed = _MENTION.sub("", (text or "")[:MAX_TEXT])
    phone = read_phone_words(typed)
    if phone is not None:
        return ParsedCommand(Command(phone.command), phone.language, argument=phone.argument)
    plain = typed.lower()
    words = [word for word in _NOT_LETTERS.split(plain) if word]
    whole = "".join(words)
    if whole in _WORDS:
        return ParsedCommand(*_WORDS[whole])
    near = _nearest(whole)
    if near is not None:
        return near
    if len(words) > MAX_WORDS:
        return ParsedCommand(None, None)
    pairs = [first + second for first, second in pairwise(words)]
    found = {_WORDS[word] for word in (*words, *pairs) if word in _WORDS}
    if len({command for command, _ in found}) != 1:
        return ParsedCommand(None, None)
    command, language = found.pop()
    return ParsedCommand(command, language, is_exact=False)


def _nearest(word: str) -> ParsedCommand | None:
    """What was meant, where one command alone is so near."""
    slips = min(len(word) // _LETTERS_A_TYPO, _MAX_SLIPS)
    if slips == 0 or len(word) > _LONGEST_WORD + _MAX_SLIPS:
        return None
    near = process.extract(word, _WORDS.keys(), scorer=OSA.distance, score_cutoff=slips, limit=None)
    best = min((distance for _, distance, _ in near), default=None)
    found = {_WORDS[known] for known, distance, _ in near if distance == best}
    if len({command for command, _ in found}) != 1:
        return None
    command, language = found.pop()
    return ParsedCommand(command, language, is_exact=False)
