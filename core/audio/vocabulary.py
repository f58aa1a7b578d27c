"""The vocabulary of device names, loaded from `terms.toml` and `products.toml`.

The two files contain the words of systems, drivers and makers, with sources. This module prepares them for look-ups.
"""

import re
import tomllib
import unicodedata
from bisect import bisect_left
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final

_LETTERS: Final = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ı": "i",
        "’": "'",
        "`": "'",
        "–": "-",
        "—": "-",
        **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f"),  # control how letters are joined
    }
)


_BETWEEN_SCRIPTS: Final = re.compile(
    r"(?<=[0-9a-z])(?=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|(?<=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])(?=[0-9a-z])"
)
"""The boundary between a Latin name and a word of a language without blanks: "MacBook Proのマイク"."""


_ACCENTS: Final = re.compile(
    r"(?<=[\x00-\x7f])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""Combining marks on a Latin letter, after decomposition."""


def fold(text: str, limit: int = 512) -> str:
    """Return the text in lower case, with Latin letters without accents and one space between words."""
    if text.isascii():
        return " ".join(text[:limit].lower().split())
    decomposed = unicodedata.normalize("NFKD", text[:limit].casefold())[:limit]
    without_accents = _ACCENTS.sub("", decomposed)
    folded = unicodedata.normalize("NFC", without_accents.translate(_LETTERS))
    return " ".join(_BETWEEN_SCRIPTS.sub(" ", folded).split())


_BARE: Final = re.compile(r"[\W_]+")
_SPACELESS: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Letters of languages that are written without blanks, or with blanks at will (Thai, Lao, Japanese, Chinese, Korean)."""


def bare(phrase: str) -> str:
    """Return the words of a phrase with one blank between them, without punctuation. Combining marks are kept."""
    if phrase.isascii():
        return _BARE.sub(" ", phrase).strip()
    parts = (
        character if character.isalnum() or unicodedata.combining(character) else " " for character in phrase
    )
    return " ".join("".join(parts).split())


def is_spaceless(text: str) -> bool:
    return not text.isascii() and _SPACELESS.search(text) is not None


class Noun(StrEnum):
    """The kind of endpoint that a noun means, in any language."""

    HEADSET = "headset"
    HANDSET = "handset"
    HEADSET_MICROPHONE = "headset microphone"
    HEADSET_EARPHONE = "headset earphone"
    HEADPHONES = "headphones"
    EXTERNAL_HEADPHONES = "external headphones"
    MICROPHONE = "microphone"
    MICROPHONE_ARRAY = "microphone array"
    INTERNAL_MICROPHONE = "internal microphone"
    EXTERNAL_MICROPHONE = "external microphone"
    FRONT_MICROPHONE = "front microphone"
    REAR_MICROPHONE = "rear microphone"
    SPEAKERS = "speakers"
    INTERNAL_SPEAKERS = "internal speakers"
    EXTERNAL_SPEAKERS = "external speakers"
    SPEAKERPHONE = "speakerphone"
    LINE_IN = "line in"
    LINE_OUT = "line out"
    DIGITAL = "digital audio"
    STEREO_MIX = "stereo mix"


class Lexicon:
    """Finds phrases in a text: as whole words; in languages without blanks, anywhere."""

    __slots__ = ("_lengths", "_phrases", "_spaceless")

    def __init__(self, phrases: set[str]) -> None:
        self._phrases = frozenset(phrases)
        lengths: dict[str, set[int]] = {}
        for phrase in phrases:
            first, *others = phrase.split()
            lengths.setdefault(first, set()).add(1 + len(others))
        self._lengths = {first: tuple(sorted(found)) for first, found in lengths.items()}
        self._spaceless = tuple(
            sorted({phrase.replace(" ", "") for phrase in phrases if is_spaceless(phrase)})
        )

    def __contains__(self, text: object) -> bool:
        return text in self._phrases

    def __iter__(self) -> Any:
        return iter(sorted(self._phrases))

    def finds(self, text: str) -> bool:
        """Return whether the text contains one of the phrases. `text` must be the result of `bare`."""
        parts = text.split()
        for start, first in enumerate(parts):
            for length in self._lengths.get(first, ()):
                if " ".join(parts[start : start + length]) in self._phrases:
                    return True
        if not is_spaceless(text):
            return False
        joined = text.replace(" ", "")
        return any(phrase in joined for phrase in self._spaceless)


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((files("core.audio") / name).read_text(encoding="utf-8"))


def _phrases(text: str) -> list[str]:
    return [bare(fold(phrase)) for phrase in text.split("|") if phrase.strip()]


def _lexicon(*tables: dict[str, str]) -> Lexicon:
    return Lexicon({phrase for table in tables for text in table.values() for phrase in _phrases(text)})


def _words(text: str) -> frozenset[str]:
    return frozenset(bare(fold(text, len(text))).split())


TERMS: Final[dict[str, Any]] = _load("terms.toml")
_PRODUCTS: Final[dict[str, Any]] = _load("products.toml")

NOUNS: Final[dict[str, Noun]] = {}
"""Maps phrases to nouns. If a phrase is listed twice, the first one in the file counts."""
for _name, _languages in TERMS["nouns"].items():
    for _text in _languages.values():
        for _phrase in _phrases(_text):
            NOUNS.setdefault(_phrase, Noun(_name))
            if is_spaceless(_phrase):
                NOUNS.setdefault(_phrase.replace(" ", ""), Noun(_name))

ROLES: Final = _lexicon(TERMS["roles"])
"""Prefixes such as "Default" that browsers and programs put before " - " for the device that has that role now."""

_SORTED_NOUNS: Final = sorted(NOUNS)
_LEAST_OF_A_NOUN: Final = 12


def begins_a_noun(text: str) -> bool:
    """Return whether the text is a long noun that was cut before the bracket ("Echo Cancelling Speakerphon")."""
    at = bisect_left(_SORTED_NOUNS, text)
    return len(text) >= _LEAST_OF_A_NOUN and at < len(_SORTED_NOUNS) and _SORTED_NOUNS[at].startswith(text)


NOUN_WORDS: Final = frozenset(word for phrase in NOUNS for word in phrase.split())

ROLE_WORDS: Final = (
    frozenset(word for text in TERMS["role_words"].values() for word in _words(text))
    | frozenset(word for phrase in ROLES for word in phrase.split())
    | frozenset(("device", "devices", "audio", "sound", "gerat", "audiogerat"))
)
"""A name that consists only of these words ("Default input device") is a role and not a device."""

DEFAULT_WORDS: Final = frozenset(word for phrase in ROLES for word in phrase.split())
"""The name of a role contains at least one of these words."""

STAND_INS: Final = _lexicon(TERMS["stand_ins"])
"""Names that stand for the default device or for several devices."""

PROFILE_WORDS: Final = frozenset(word for text in TERMS["profiles"].values() for word in _words(text))
JOINTS: Final = _words(TERMS["joints"]["all"])

VIRTUAL: Final = _lexicon(TERMS["virtual"], _PRODUCTS["virtual"])
"""Devices that pass sound on to another device, which their name does not reveal."""

BUILT_IN: Final = _lexicon(TERMS["built_in"])

TRANSPORTS: Final[dict[str, str]] = {
    "built in": "internal",
    "integriert": "internal",
    "internal": "internal",
    "intern": "internal",
    "integre": "internal",
    "integrado": "internal",
    "integrato": "internal",
    "bluetooth": "bluetooth",
    **dict.fromkeys(("hands free", "handsfree", "hands free ag audio", "hfp", "hsp", "a2dp"), "bluetooth"),
    "usb": "usb",
    "hdmi": "display",
    "displayport": "display",
    "airplay": "network",
    "virtual": "virtual",
    "virtuell": "virtual",
    "aggregate": "virtual",
    "thunderbolt": "thunderbolt",
    "pci": "internal",
}
"""Transports that Chrome on macOS appends to a name in brackets."""

BRANDS: Final[dict[str, str]] = {
    word: family for family, text in _PRODUCTS["makers"].items() for word in text.split()
}

LINES: Final[dict[str, str]] = {
    word: family for family, text in _PRODUCTS["lines"].items() for word in text.split()
}
"""Maps the names of product lines to the family that makes them."""

HEADSET_MAKERS: Final = _words(_PRODUCTS["headsets"]["makers"])
ONE_THING: Final = HEADSET_MAKERS | _words(_PRODUCTS["headsets"]["words"])
"""A device whose name contains one of these words is a single device, not a card with several sockets."""
ONE_THING_SPACELESS: Final = tuple(sorted(word for word in ONE_THING if is_spaceless(word)))

DOCKS: Final = _words(_PRODUCTS["docks"]["words"])
CAMERAS: Final = _words(_PRODUCTS["cameras"]["words"])

NOISE: Final = PROFILE_WORDS | _words(
    """
    usb usb2 usb3 audio device devices gerat audiogerat analog analoges analogue analogique analogico digital
    digitales stereo mono duplex input output eingang ausgang sound card soundkarte ms uc uac headset
    headsets headphone headphones kopfhorer earphone earphones microphone mikrofon mic micro microfono
    speaker speakers lautsprecher speakerphone series the a s inc ltd corp corporation co gmbh r tm adapter
    fallback chat game gaming multichannel surround bluetooth hands free handsfree ag hf profile output0 hfp hsp a2dp
    avrcp transport unit head echo cancelling canceling array interface entrada salida estereo sortie entree full
    speed high webcam camera kamera hd bt by llc
    """
)
"""Words that do not distinguish models."""

_HANDS_FREE: Final = (
    "hands[- ]?free|freisprech(?:en|einrichtung)|maos[- ]livres|manos[- ]libres|mains[- ]libres|mani[- ]libere|vivavoce"
    "|handenvrij|handfri|handsfri|glosnomowiacy|kihangosito|свободные руки|громкая связь|ハンズフリー|핸즈프리|免提|免持"
)
"""Folded."""

_TRAILING: Final = (
    # Bluetooth profiles, and the two halves of a gaming headset
    rf"(?:audio )?(?:{_HANDS_FREE})(?: (?:ag|hf))?(?: audio)?",
    r"hfp|hsp|a2dp|avrcp(?: transport)?|le audio",
    r"headset head unit(?: \(hsp/hfp\))?",
    r"high fidelity playback(?: \(a2dp sink\))?",
    r"chat|game|voice|bt|2\.4(?: ?ghz)?",
    r"find my|wo ist\??|localiser",
    # PulseAudio and ALSA
    r"analog(?:es|ue|ique|ico)? (?:stereo|mono)(?: duplex)?",
    r"(?:estereo|stereo) (?:analogico|analogique|digital(?:e)?)",
    r"analog(?:es)? (?:surround|output|input|ausgang|eingang)(?: \d\.\d)?",
    r"digital(?:es)? (?:stereo|surround|output|input)(?: \d\.\d)?",
    r"multichannel(?: input| output)?",
    r"stereo|mono|monophonie|input|output",
    r"usb audio(?: #\d+)?",
    r"audio",
)
TRAILING: Final = re.compile(
    r"(?<![\s,:/-])[\s,:/-]*(?:\b(?:"
    + "|".join(_TRAILING)
    + r")|\((?:iec958|hdmi(?: ?/ ?displayport)?(?: \d+)?|s/?pdif)\))$"
)
"""Text that a driver or a Bluetooth profile appends to a name; removed repeatedly."""

PROFILES: Final = re.compile(rf"\b(?:{_HANDS_FREE})\b|\b(?:hfp|hsp|a2dp|avrcp|le audio)\b|\S stereo$")
"""Bluetooth profiles: the device is a single one, whatever its endpoints are called."""

ALIASES: Final = {"bw": "blackwire", "hs": "headset", "mkii": "mk2", "mkiii": "mk3", "mkiv": "mk4"}
"""Short forms that makers themselves use."""

VARIANTS: Final = _words("ms uc mono stereo duo dual")
"""Variants of one model. They are often omitted, so one name may lack it; two different variants are two devices."""

SUCCESSORS: Final = re.compile(r"plus|ii|iii|iv|vi|mk\d|gen\d|[2-9]|max|ultra")
"""Words after a model's name that make it another model."""

POSITIONS: Final = _words("front rear back left right center line headphone headphones 1 2 3 4")
"""Words that distinguish the sockets of one device."""

TALKS_OR_LISTENS: Final = frozenset(
    (
        *(Noun.MICROPHONE, Noun.MICROPHONE_ARRAY, Noun.INTERNAL_MICROPHONE, Noun.EXTERNAL_MICROPHONE),
        *(Noun.SPEAKERS, Noun.INTERNAL_SPEAKERS, Noun.EXTERNAL_SPEAKERS, Noun.EXTERNAL_HEADPHONES),
    )
)
"""Nouns that systems without brackets append to a device's name. Words such as "Earbuds" are part of the name."""

OUTSIDE: Final = frozenset((Noun.EXTERNAL_HEADPHONES, Noun.EXTERNAL_MICROPHONE, Noun.EXTERNAL_SPEAKERS))

WORN: Final = frozenset(
    (Noun.HEADSET, Noun.HANDSET, Noun.HEADSET_EARPHONE, Noun.HEADPHONES, Noun.EXTERNAL_HEADPHONES)
)
STANDING: Final = frozenset(
    (Noun.SPEAKERS, Noun.INTERNAL_SPEAKERS, Noun.EXTERNAL_SPEAKERS, Noun.SPEAKERPHONE)
)
CABLED: Final = frozenset((Noun.LINE_IN, Noun.LINE_OUT, Noun.DIGITAL, Noun.STEREO_MIX))
HEARING: Final = frozenset(
    (
        *(Noun.MICROPHONE, Noun.MICROPHONE_ARRAY, Noun.INTERNAL_MICROPHONE, Noun.EXTERNAL_MICROPHONE),
        *(Noun.FRONT_MICROPHONE, Noun.REAR_MICROPHONE, Noun.HEADSET_MICROPHONE),
    )
)

GENERIC: Final = (
    NOISE
    | frozenset(word for text in TERMS["generic"].values() for word in _words(text))
    | _words(
        """
        generic cmedia media pnp ks advanced definition multimedia codec set class wireless wired usb20 2 0 3 1
        unterstutzung soutenu kompatibel telefon phone conference realtek composite 0d8c standard playback capture
        """
    )
)
"""A name that consists only of these words is shared by many devices ("USB PnP Sound Device")."""

PLAIN: Final = GENERIC - _words(
    "pnp codec cmedia multimedia realtek webcam camera kamera phone telefon conference"
)
"""Words that occur in translations of "USB Audio Device"."""

FILLING: Final = NOISE | _words("gaming ghz technology")
"""Words in the missing part of a cut name that do not make it another model."""

CHIPS: Final = Lexicon(set(_phrases(_PRODUCTS["chips"]["names"])))
CHIP_MAKERS: Final = _words(_PRODUCTS["chips"]["makers"])
CHIP_NUMBERS: Final = re.compile(rf"\b(?:{'|'.join(_PRODUCTS['chips']['patterns'])})\b")
"""Sound chips of computers: one chip with several sockets."""

DISPLAY_DRIVERS: Final = tuple(
    frozenset(phrase.split()) for phrase in _phrases(_PRODUCTS["displays"]["drivers"])
)
"""Drivers of the graphics card's sound. With these, the words before the bracket are the monitor's name."""
DISPLAY_WORDS: Final = frozenset(word for driver in DISPLAY_DRIVERS for word in driver) - {"audio", "high"}

COMPUTER: Final = re.compile(
    r"\b(?:macbook(?: pro| air)?|imac|mac ?mini|mac studio|mac pro|built-?in|intern(?:al|e[rs]?)?|extern(?:al|e[rs]?)?"
    r"|integrierte?[rs]?|eingebaute?[rs]?|integres?|surface (?:pro|laptop))\b"
)

ADAPTER: Final = re.compile(rf"\b(?:{'|'.join(_PRODUCTS['adapters']['patterns'])})\b")
"""USB adapters of wireless headsets. The name does not say which headset is connected."""
