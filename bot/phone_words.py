"""Parses telephone commands: a command word at the beginning (in German also at the end), and its argument.

Typos are not tolerated here, because these commands have effects.
"""

import re
from dataclasses import dataclass
from typing import Final

from core.language import Language

MAX_ARGUMENT: Final = 100
ON, OFF = "on", "off"
_EN, _DE = Language.EN, Language.DE

_VERBS: Final[dict[str, tuple[str, Language | None]]] = {
    "call": ("call", _EN),
    "dial": ("call", _EN),
    "anrufen": ("call", _DE),
    "wähle": ("call", _DE),
    "wählen": ("call", _DE),
    "hang up": ("hang-up", _EN),
    "hangup": ("hang-up", _EN),
    "auflegen": ("hang-up", _DE),
    "dnd": ("do-not-disturb", None),
    "do not disturb": ("do-not-disturb", _EN),
    "nicht stören": ("do-not-disturb", _DE),
    "forward": ("redirect", _EN),
    "redirect": ("redirect", _EN),
    "umleiten": ("redirect", _DE),
    "umleitung": ("redirect", _DE),
    "weiterleiten": ("redirect", _DE),
    "calls": ("calls", _EN),
    "missed": ("calls", _EN),
    "missed calls": ("calls", _EN),
    "anrufe": ("calls", _DE),
    "verpasst": ("calls", _DE),
    "verpasste anrufe": ("calls", _DE),
    "anrufliste": ("calls", _DE),
    "ifmc": ("mobiles", None),
    "mobile phone": ("mobiles", _EN),
    "mobiltelefon": ("mobiles", _DE),
    "primary phone": ("primary-phone", _EN),
    "primäres telefon": ("primary-phone", _DE),
    "haupttelefon": ("primary-phone", _DE),
    "voicemail": ("voicemail", None),
    "voicemails": ("voicemail", _EN),
    "sprachnachrichten": ("voicemail", _DE),
    "anrufbeantworter": ("voicemail", _DE),
}
"""Maps words to a command's name (`bot.commands.Command`) and their language."""
_LONGEST_FIRST: Final = sorted(_VERBS, key=len, reverse=True)
_AT_THE_END: Final = " anrufen"
"""„0721 123 anrufen“."""
_ALONE: Final = frozenset(("hang-up", "calls", "primary-phone", "voicemail"))
"""Commands without an argument. With further words, the text is a sentence and no command."""
_SWITCHED: Final = frozenset(("do-not-disturb", "mobiles"))
"""Commands whose only argument is on or off."""
_SWITCHES: Final = {
    "on": (ON, _EN),
    "an": (ON, _DE),
    "ein": (ON, _DE),
    "off": (OFF, _EN),
    "aus": (OFF, _DE),
}
_PREPOSITIONS: Final = ("to ", "auf ", "an ", "zu ", "nach ")
_PLACES: Final = {
    "mobile": "mobile",
    "my mobile": "mobile",
    "cell": "mobile",
    "mobil": "mobile",
    "handy": "mobile",
    "mein handy": "mobile",
    "voicemail": "mailbox",
    "mailbox": "mailbox",
    "anrufbeantworter": "mailbox",
}
_SPACES: Final = re.compile(r"\s+")
_NUMBER: Final = re.compile(r"[0-9+*#][0-9+*#()/.\s-]*")


@dataclass(frozen=True, slots=True)
class PhoneWords:
    command: str
    argument: str
    """For `call`: a name or number. For `do-not-disturb` and `mobiles`: on, off or empty. For `redirect`: off, mobile, mailbox, a number
    or empty."""
    language: Language | None


def read_phone_words(text: str) -> PhoneWords | None:
    """Parse a telephone command; return None if the text is none."""
    plain = _SPACES.sub(" ", text).strip()
    small = plain.lower().rstrip(".!?").rstrip()
    if len(plain) > MAX_ARGUMENT + 40:
        return None
    if small.endswith(_AT_THE_END) and not small.startswith(("call ", "dial ")):
        return PhoneWords("call", plain[: len(small) - len(_AT_THE_END)].strip()[:MAX_ARGUMENT], _DE)
    for verb in _LONGEST_FIRST:
        if small == verb:
            rest = ""
        elif small.startswith(f"{verb} "):
            rest = plain[len(verb) + 1 : len(small)].strip()
        else:
            continue
        command, language = _VERBS[verb]
        return _with_argument(command, rest, language)
    return None


def is_number(text: str) -> bool:
    """Return whether the text is a telephone number and not a name."""
    return _NUMBER.fullmatch(text) is not None and any(sign.isdigit() for sign in text)


def _with_argument(command: str, rest: str, language: Language | None) -> PhoneWords | None:
    if command in _ALONE:
        return None if rest else PhoneWords(command, "", language)
    if command == "call" or not rest:
        return PhoneWords(command, rest[:MAX_ARGUMENT], language)
    switch, of_switch = _SWITCHES.get(rest.lower(), ("", None))
    if command in _SWITCHED:
        return PhoneWords(command, switch, language or of_switch) if switch else None
    if switch == OFF:
        return PhoneWords(command, OFF, language)
    small = rest.lower()
    where = next((rest[len(one) :] for one in _PREPOSITIONS if small.startswith(one)), rest).strip()
    place = _PLACES.get(where.lower(), where)
    known = place in _PLACES.values() or is_number(place)
    return PhoneWords(command, place[:MAX_ARGUMENT], language) if known else None
