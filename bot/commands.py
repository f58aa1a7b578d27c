"""The bot's commands, and understanding what people type: words of both languages, with tolerance for typos."""

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
    """Button of a notice about devices: no such notices for some days."""
    AUDIO_NEVER = "audio-never"
    """Button of a notice about devices: no more notices about this device."""
    AUDIO_NOTICE = "audio-notice"
    """Refreshes a notice about devices."""
    NOTICES = "notices"
    """Shows the preferences for messages that the bot sends first."""
    NOTICES_SAVE = "notices-save"
    NOTICE = "notice"
    """Refreshes a notice."""
    LICENCES = "licences"
    """For administrators: shows who holds a licence."""
    REVOKE_ASK = "revoke-ask"
    REVOKE = "revoke"
    SIGN_IN = "sign-in"
    SIGN_OUT = "sign-out"
    SIGN_OUT_ASK = "sign-out-ask"
    """Asks for a confirmation, because signing out was only probably meant."""
    HELP = "help"
    WELCOME = "welcome"
    """Refreshes the first message."""
    CALL = "call"
    CALL_CONFIRMED = "call-confirmed"
    """Button: the person confirms the call of an emergency or premium number."""
    CALL_STATE = "call-state"
    """Refreshes the card of a call."""
    HANG_UP = "hang-up"
    CALLS = "calls"
    """Shows missed calls."""
    DO_NOT_DISTURB = "do-not-disturb"
    REDIRECT = "redirect"
    MOBILES = "mobiles"
    """Shows the iFMC phones, or switches one on or off."""
    PRIMARY_PHONE = "primary-phone"
    VOICEMAIL = "voicemail"
    VOICEMAIL_PLAY = "voicemail-play"
    """Button: plays a message on the person's phone."""


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    command: Command | None
    """None if the text was not understood."""
    language: Language | None
    """The language of the command word; None if it belongs to both languages."""
    is_exact: bool = True
    """False if the text was only similar to the command, or was a sentence."""
    argument: str = ""
    """Argument of a telephone command (`bot.phone_words`)."""


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
"""Number of characters that are read of a text."""
_MENTION: Final = re.compile(r"<at>[^<]*</at>", re.IGNORECASE)
_NOT_LETTERS: Final = re.compile(r"[^a-zäöüß]+")
_LETTERS_A_TYPO: Final = 4
"""Letters for each tolerated typo (an extra, missing or wrong letter, or two swapped letters); at most `_MAX_SLIPS`."""
_MAX_SLIPS: Final = 2
_LONGEST_WORD: Final = max(map(len, _WORDS))
MAX_WORDS: Final = 12
"""Most words of a text in which a command word counts. In a longer text it is a coincidence."""


def understand(text: str | None) -> ParsedCommand:
    """Parse a text: a command word with possible typos, or a short sentence with the words of exactly one command."""
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
    """Return the command with the most similar word, or None if there is none or the words of several are equally similar."""
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
