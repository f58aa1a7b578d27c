"""Parses an audio label: separates the name of the hardware from additions of systems, drivers and browsers.

Sources of the spellings: Chromium (`media/audio`: role prefix, "(vvvv:pppp)" after a USB device's name), Windows'
MMDevice API ("Endpoint (Interface)", "2- " before the second device of one name), waveIn/waveOut (cut at 31
characters), PulseAudio and ALSA (descriptions with the profile, "hw:CARD=…", "alsa_input.usb-…"), and labels from
public reports, which are in `tests/core/audio/labels.json` with their addresses.
"""

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from core.audio import vocabulary as words
from core.audio.vocabulary import Noun

WAVE_NAME_LENGTH: Final = 31
"""Length at which old Windows interfaces cut names: MAXPNAMELEN minus the terminating zero (mmsystem.h)."""

MAX_LENGTH: Final = 256
"""Number of characters of a label that are read. The longest known label has about 100."""

CACHED: Final = 2_000
"""Number of cached labels. The devices of a machine are compared with each other, so each label is read repeatedly."""


class Sort(StrEnum):
    """The sort of device that a label names. The rules of comparison depend on it."""

    ORDINARY = "ordinary"
    GENERIC = "generic"
    """A name that many devices have."""
    ONBOARD = "onboard"
    """The computer's own sound card: several sockets under one name."""
    DISPLAY = "display"
    """A monitor that is connected to the sound of the graphics card."""
    VIRTUAL = "virtual"
    NAMELESS = "nameless"


@dataclass(frozen=True, slots=True)
class Label:
    sort: Sort
    name: str
    """The hardware's own name, folded; for a display that of the monitor; empty if there is none."""
    noun: Noun | None
    endpoint: str
    """The words before the bracket, folded ("headset microphone", "2nd output"); without a bracket, all of them."""
    instance: int | None
    """The 2 of "2- Jabra": Windows numbers devices of the same name from the second on."""
    usb_id: str
    cut: bool
    """Whether an old interface cut the name."""
    address: str
    """Bluetooth address, PulseAudio path or ALSA card if the label is one of those; otherwise empty."""
    is_monitor: bool
    """A PulseAudio "Monitor of …" or a "[Loopback]": an input that records the output of a device."""
    is_windows: bool
    """Written as "Endpoint (Interface)"."""
    whole: str = ""
    """The interface, or the whole label if it has no brackets; folded, with everything that drivers append."""
    text: str = ""
    """The whole label, folded."""
    is_full_length: bool = False
    """Whether the label has the length of a cut name. It may be cut even if its brackets are closed."""
    is_one_thing: bool = False
    """A headset, a webcam or the like, not a card with several sockets."""
    tokens: tuple[str, ...] = ()
    """The words of `name`."""

    @property
    def is_adapter(self) -> bool:
        return words.ADAPTER.search(self.name) is not None

    @property
    def is_camera(self) -> bool:
        return not words.CAMERAS.isdisjoint(self.tokens)


# `(?<!\s)` lets a match begin only at the first of several blanks. Trying each blank would take quadratic time.
_USB_ID: Final = re.compile(r"(?<!\s)\s*\(([0-9a-f]{4}):([0-9a-f]{4})\)\s*$", re.IGNORECASE)
_CUT_USB_ID: Final = re.compile(r"(?<=\))\s*\([0-9a-f]{0,4}(?::[0-9a-f]{0,4})?$", re.IGNORECASE)
_ROLE: Final = re.compile(r"^\s*+([^()\s][^()]{0,39}?)(?:\s++[-–—]|:)\s++(?=\S)")
_ROLE_BEFORE: Final = re.compile(r"^([^()]+)\((.+)\)$")
_ROLE_BEHIND: Final = re.compile(r"^(.*\S)\s*[(\[]([^()\[\]]+)[)\]]$")
_NO_ROLE: Final = re.compile(r"^[-–—]\s+(?=\S)")
"""If the browser has no text in its language, the role before " - " is empty."""
_INSTANCE_BEFORE: Final = re.compile(r"^(\d{1,2})(?:\s?-|\s?[–—])\s+(?=\S)")
_INSTANCE_BEHIND: Final = re.compile(r"(?<!\s)\s+(?:\((\d)\)|#(\d))$")
_MONITOR: Final = re.compile(
    r"^(?:monitor (?:of|von|de|di|do|da|van|för|av|af) |überwachung von |moniteur de |монитор )",
    re.IGNORECASE,
)
_LOOPBACK: Final = re.compile(r"(?<!\s)\s*[\[(](?:wasapi )?(?:loopback|monitor)[\])]\s*$", re.IGNORECASE)
_INTERFACE_OF_SYSTEM: Final = re.compile(
    r"(?<=\S)(?:,\s|\s*[\[(])(?:mme|(?:windows )?(?:wasapi|directsound|wdm-ks)|core ?audio|alsa|pulseaudio|pipewire|jack)"
    r"[\])]?\s*$",
    re.IGNORECASE,
)
"""The sound system through which a program reaches the device. Programs with PortAudio or RtAudio append it."""
_RESOURCE: Final = re.compile(r"@system32\\drivers\\", re.IGNORECASE)
_RESOURCE_TEXT: Final = re.compile(r"\s*+\(?\s*+([^()]*+(?:\([^()]*+\))?+)\s*+\)*+")
"""The text after the last semicolon of such a reference."""
_PULSE: Final = re.compile(
    r"^(?:alsa_(?:input|output|card)\.)(?P<bus>usb|pci|platform)-(?P<path>.+?)(?:\.(?P<profile>[^.]*(?:\.monitor)?))?$"
)
_BLUEZ: Final = re.compile(r"^bluez_\w+\.((?:[0-9a-f]{2}[:_]){5}[0-9a-f]{2})", re.IGNORECASE)
_HW: Final = re.compile(
    r"(?<!\s)\s*[(\[](?:plug)?hw:(?:card=)?(\w+)(?:,(?:dev=)?(\d+))?[)\]]\s*$", re.IGNORECASE
)
_LOW_ENERGY: Final = re.compile(r"^le[-_](?=\w)")
"""Prefix of the name of a headset that is also connected by Bluetooth LE."""
_HANDS_FREE_BEFORE: Final = re.compile(r"^hands[- ]?free\s+(?=\S)(?!(?:ag|hf|audio)\b)")
"""The profile that Windows' oldest driver interface puts before the name."""
_CUT_PROFILE: Final = re.compile(r"(?<=\S) hands[- ]?fr\w*(?: \w*)*$", re.IGNORECASE)
_ALSA_DETAIL: Final = re.compile(r"(?<=\w), usb audio\b.*$")
"""Text after the card's name in ALSA's descriptions."""
_SERIAL: Final = re.compile(r"^(?=(?:.*\d){4})[0-9a-z]{8,}$")
_MARKS: Final = re.compile(
    r"\((?:r|tm|c)\)|[®™©\ufffd\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f]",
    re.IGNORECASE,
)
"""Trade mark signs, and control characters that only affect how a text is displayed."""
_MAPPER: Final = re.compile(r"microsoft\b.* - (?:input|output)$|^microsoft.*[- ](?:input|output)$")
_GENERATION: Final = re.compile(r"\b(\d)(?:st|nd|rd|th|\.|e|a)?[ .-]?(?:gen|generation|generacion)\b\.?")
_GENERATION_BEHIND: Final = re.compile(r"\b(?:gen|generation|generacion)\.?[ .-]?(\d)\b")
_MARK: Final = re.compile(r"\b(?:mk|mark)[ .-]?(\d|i{1,3}v?|iv)\b")
_TOKEN: Final = re.compile(r"[^\W_]+|(?<=\w)\+")
_LATIN_OR_DIGIT: Final = re.compile(r"[0-9a-z]")
_ROMAN: Final = {"i": "1", "ii": "2", "iii": "3", "iv": "4"}


def fold(text: str) -> str:
    """Return the text in lower case, with Latin letters without accents and one space between words."""
    return words.fold(text, 2 * MAX_LENGTH)


_AROUND: Final = " \t\u00a0\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Blanks, and control characters for the direction of writing, which some systems put around a name."""
_BRACKETS: Final = str.maketrans({"\uff08": "(", "\uff09": ")", "\uff0c": ","})


def _cleaned(text: str) -> str:
    """Return the label without marks, Unicode-normalised, with at most `MAX_LENGTH` characters."""
    label = text[:MAX_LENGTH]
    if not label.isascii():
        label = _mended(label)
        label = unicodedata.normalize("NFKC", _MARKS.sub("", label))[:MAX_LENGTH]
    elif "@" in label:
        label = _mended(label)
    return _MARKS.sub("", label).strip()


@lru_cache(maxsize=CACHED)
def read(text: str) -> Label:
    """Parse a label. Never raises; a label without information is `NAMELESS`."""
    text = text[: 2 * MAX_LENGTH].strip(_AROUND)
    if not text.isascii():
        text = text.translate(_BRACKETS)
    text = _INTERFACE_OF_SYSTEM.sub("", text)
    label = _cleaned(text).removesuffix("%0").strip()
    if technical := _technical(label):
        return technical
    everything = fold(_MARKS.sub("", unicodedata.normalize("NFKC", text[:MAX_LENGTH])))
    label, is_loopback = _LOOPBACK.subn("", label)
    label = _without_role(label)
    label, is_monitor = _MONITOR.subn("", label)
    label, usb_id = _without_usb_id(_CUT_USB_ID.sub("", label))
    card = ""
    if hw := _HW.search(label):
        card, label = f"alsa:{hw[1].lower()}", label[: hw.start()]
    label = _without_transport(label) if _is_cut(label) else label
    cut = _is_cut(label)
    endpoint, inner = _split(label)
    if cut and (profile := _CUT_PROFILE.search(inner)):
        # The name is complete; only the profile after it is cut.
        inner, cut = inner[: profile.start()], False
    if not cut and endpoint and endpoint.endswith(")") and words.bare(fold(inner)) in words.TRANSPORTS:
        # "Headset (2- Jabra) (Bluetooth)": the last bracket says how the device is connected.
        endpoint, inner = _split(endpoint)
    instance, inner = _without_instance(inner)
    return _classified(
        endpoint=fold(endpoint),
        inner=inner,
        instance=instance,
        usb_id=usb_id,
        cut=cut,
        card=card,
        is_monitor=bool(is_monitor or is_loopback),
        text=everything,
        is_full_length=_is_full_length(text),
    )


def _is_full_length(text: str) -> bool:
    """Return whether the label has the length at which old interfaces cut.

    Trade mark signs count, a program may have added the closing bracket, and the last character may have been a blank.
    """
    text = text.rstrip(" \0")
    return len(text) - text.endswith(")") in (WAVE_NAME_LENGTH - 1, WAVE_NAME_LENGTH)


def _classified(
    *,
    endpoint: str,
    inner: str,
    instance: int | None,
    usb_id: str,
    cut: bool,
    card: str,
    is_monitor: bool,
    text: str,
    is_full_length: bool,
) -> Label:
    whole = _HANDS_FREE_BEFORE.sub("", _ALSA_DETAIL.sub("", _LOW_ENERGY.sub("", fold(inner))))
    noun, is_windows = _noun(endpoint), bool(endpoint)
    transport = _transport(endpoint, whole) if is_windows and noun is None else None
    if transport is not None:
        # "Jabra Evolve2 65 (Bluetooth)": the bracket says how the device is connected.
        whole, endpoint, is_windows = endpoint, "", False
    name = _without_trailing(whole)
    if not is_windows:
        noun, name = _noun_within(name)
    match transport:
        case "internal":
            sort = Sort.ONBOARD
        case "virtual":
            sort = Sort.VIRTUAL
        case _:
            sort = _sort(endpoint, whole, is_windows=is_windows, cut=cut)
    if sort is Sort.DISPLAY:
        number, monitor = _without_instance(endpoint)
        if noun is None and monitor:
            name, instance = monitor, number
        else:
            sort = Sort.ONBOARD
    tokens = _tokens(name)
    return Label(
        sort=sort,
        name=name,
        noun=noun,
        endpoint=endpoint or whole,
        instance=instance,
        usb_id=usb_id,
        cut=cut,
        address=card,
        is_monitor=is_monitor,
        is_windows=is_windows,
        whole=whole,
        text=text,
        is_full_length=is_full_length,
        is_one_thing=_is_one_thing(whole, transport),
        tokens=tokens,
    )


def _transport(endpoint: str, whole: str) -> str | None:
    """Return how the device is connected, if the bracket behind its name says only that."""
    bare = words.bare(whole)
    if (transport := words.TRANSPORTS.get(bare)) is not None:
        return transport
    return "usb" if bare in ("usb audio", "usb sound") and _is_name(words.bare(endpoint).split()) else None


def _is_name(parts: list[str]) -> bool:
    """Return whether these words name a product, and are no noun of an unknown language."""
    if any(word in words.BRANDS or any(map(str.isdigit, word)) for word in parts):
        return True
    return len(parts) > 1 and all(word.isascii() and not _says_nothing(word) for word in parts)


def _noun(endpoint: str) -> Noun | None:
    """Return the noun in the words before the bracket. A role in an unknown language may precede it."""
    bare = words.bare(endpoint)
    noun = words.NOUNS.get(bare)
    if noun is None and words.is_spaceless(bare):
        noun = words.NOUNS.get(bare.replace(" ", ""))
    if noun is None and " - " in endpoint:
        noun = words.NOUNS.get(words.bare(endpoint.rpartition(" - ")[2]))
    if noun is None and bare[-1:].isdigit():
        noun = words.NOUNS.get(bare.rstrip(" 0123456789"))
    return noun


def _is_one_thing(whole: str, transport: str | None) -> bool:
    parts = words.bare(whole).split()
    if not words.DOCKS.isdisjoint(parts):
        return False
    if transport == "bluetooth" or words.PROFILES.search(whole) is not None:
        return True
    if not words.ONE_THING.isdisjoint(parts):
        return True
    return words.is_spaceless(whole) and any(word in whole for word in words.ONE_THING_SPACELESS)


def _tokens(name: str) -> tuple[str, ...]:
    """Return the words of a name. A generation or mark of a model is one word; a plus after a word is a word too."""
    if "gen" in name:
        name = _GENERATION_BEHIND.sub(r" gen\1 ", _GENERATION.sub(r" gen\1 ", name))
    if "mk" in name or "mark" in name:
        name = _MARK.sub(lambda found: f" mk{_ROMAN.get(found[1], found[1])} ", name)
    found = (token.replace("+", "plus") for token in _TOKEN.findall(name))
    return tuple(dict.fromkeys(words.ALIASES.get(token, token) for token in found))


def _noun_within(name: str) -> tuple[Noun | None, str]:
    """Split a name without brackets ("MacBook Pro Microphone", "MacBook Pro-Mikrofon") into noun and rest."""
    parts = words.bare(name).split()
    for at in range(len(parts)):
        noun = words.NOUNS.get(" ".join(parts[at:]).lstrip("の的"))
        if noun in words.TALKS_OR_LISTENS or (noun is not None and at == 0):
            return noun, " ".join(parts[:at]) or name
    for end in range(len(parts) - 1, 0, -1):
        # "Micrófono del MacBook Pro": only before a computer's name, because makers put such words before their own names.
        noun = words.NOUNS.get(" ".join(parts[:end]))
        if noun in words.TALKS_OR_LISTENS:
            rest = parts[end:]
            while len(rest) > 1 and rest[0] in words.JOINTS:
                rest = rest[1:]
            if words.COMPUTER.match(" ".join(rest)):
                return noun, " ".join(rest)
    return None, name


def _sort(endpoint: str, whole: str, *, is_windows: bool, cut: bool) -> Sort:
    bare = words.bare(whole)
    parts = bare.split()
    if not bare or bare in words.ROLES or all(word in words.ROLE_WORDS for word in parts):
        return Sort.NAMELESS
    is_camera = not words.CAMERAS.isdisjoint(parts)  # "C922 Pro Stream Webcam"
    if words.STAND_INS.finds(bare) or _MAPPER.search(whole) or (words.VIRTUAL.finds(bare) and not is_camera):
        return Sort.VIRTUAL
    if words.bare(endpoint) not in words.NOUNS and words.VIRTUAL.finds(words.bare(endpoint)):
        return Sort.VIRTUAL
    if is_windows and _is_display(parts, cut=cut):
        return Sort.DISPLAY
    if "usb" not in whole and _is_onboard(bare, whole, cut=cut):
        return Sort.ONBOARD
    is_usb = parts[0] == "usb"
    if not is_windows and (words.begins_a_noun(bare) or all(part in words.NOUN_WORDS for part in parts)):
        return Sort.GENERIC if is_usb else Sort.NAMELESS
    if (
        not is_windows
        and not is_usb
        and not words.DEFAULT_WORDS.isdisjoint(parts)
        and all(map(_says_nothing, parts))
    ):
        return Sort.NAMELESS  # "Periferico di uscita predefinito"
    if not is_windows and _LATIN_OR_DIGIT.search(whole) is None:
        return Sort.NAMELESS  # products have Latin names, so this is a role or a noun in an unknown language
    if all(word in words.GENERIC or not word.isascii() for word in parts):
        return Sort.GENERIC
    if all(word in words.GENERIC or word in words.BRANDS for word in parts) and words.ONE_THING.isdisjoint(
        word for word in parts if word not in words.BRANDS
    ):
        # "Lenovo USB Audio": the maker alone does not tell its dock from its monitor.
        return Sort.GENERIC
    return Sort.ORDINARY


def _says_nothing(word: str) -> bool:
    return word in words.ROLE_WORDS or word in words.GENERIC or word in words.NOUN_WORDS


def _is_display(parts: list[str], *, cut: bool) -> bool:
    joined = "".join(parts)
    if words.is_spaceless(joined) and any(
        not all(word.isascii() for word in driver) and all(word in joined for word in driver)
        for driver in words.DISPLAY_DRIVERS
    ):
        return True
    if words.DISPLAY_WORDS.isdisjoint(parts):
        return False
    found = set(parts)
    return any(driver <= found or (cut and _is_cut_driver(driver, parts)) for driver in words.DISPLAY_DRIVERS)


def _is_cut_driver(driver: frozenset[str], parts: list[str]) -> bool:
    """Return whether all words are words of the driver's name; the last one may be cut."""
    if len(parts) == 1:
        return parts[0] in ("nvidia", "amd", "intel") and parts[0] in driver
    if not set(parts[:-1]) <= driver:
        return False
    return any(word.startswith(parts[-1]) for word in driver)


INTEL: Final = ("intel", "インテル", "英特尔", "英特爾", "인텔", "интел")


def _is_onboard(bare: str, whole: str, *, cut: bool) -> bool:
    if words.CHIPS.finds(bare) or words.CHIP_NUMBERS.search(bare) or words.BUILT_IN.finds(bare):
        return True
    if words.COMPUTER.search(whole):
        return True
    if any(maker in bare for maker in INTEL):
        return True  # Intel's sound processor is named differently in each language
    return cut and "high definition audio".startswith(bare) and len(bare) > len("high d")


def _technical(label: str) -> Label | None:
    """Parse an internal name of PulseAudio or ALSA; return None if the label is no such name."""

    def made(name: str, address: str, *, endpoint: str = "", sort: Sort = Sort.ORDINARY) -> Label:
        tokens = _tokens(name)
        monitor = label.endswith(".monitor")
        return Label(
            sort=sort,
            name=name,
            noun=None,
            endpoint=endpoint,
            instance=None,
            usb_id="",
            cut=False,
            address=address,
            is_monitor=monitor,
            is_windows=False,
            text=fold(label),
            is_full_length=_is_full_length(label),
            is_one_thing=not words.ONE_THING.isdisjoint(tokens),
            tokens=tokens,
        )

    if bluez := _BLUEZ.match(label):
        return made("", f"bluetooth:{bluez[1].replace('_', ':').lower()}", sort=Sort.NAMELESS)
    if pulse := _PULSE.match(label):
        path, profile = fold(pulse["path"]), pulse["profile"] or ""
        if pulse["bus"] != "usb":
            return made(
                path,
                f"pulse:{path}",
                endpoint=f"{label.split('.', maxsplit=1)[0]} {profile}",
                sort=Sort.ONBOARD,
            )
        path = re.sub(r"-\d\d(?:\.\d+)?$", "", path)
        # For a device without a maker's name, udev puts the maker's number here (ID_VENDOR).
        path = re.sub(r"^[0-9a-f]{4}_", "", path)
        kept = [part for part in re.findall(r"[^\W_]+", path.replace("_", " ")) if not _SERIAL.match(part)]
        return made(" ".join(kept), f"pulse:{path}")
    if label.lower().startswith(
        ("hw:", "plughw:", "front:", "sysdefault:", "default:", "dsnoop:", "dmix:", "surround")
    ):
        card = re.search(r":(?:card=)?([\w-]+)", label, re.IGNORECASE)
        return made("", f"alsa:{card[1].lower()}" if card else "", sort=Sort.NAMELESS)
    return None


def _mended(label: str) -> str:
    """Repair UTF-8 that was decoded as Windows-1252 ("KopfhÃ¶rer"), and unresolved references to a driver's text."""
    if "Ã" in label or "Â" in label:
        with suppress(UnicodeError):
            label = label.encode("cp1252").decode("utf-8")
    if resource := _RESOURCE.search(label):
        _, semicolon, rest = label[resource.end() :].rpartition(";")
        if semicolon and (text := _RESOURCE_TEXT.fullmatch(rest)):
            label = f"{label[: resource.start()]}{text[1].strip()})".replace("()", "").strip()
    return label


_CAREFUL_ROLES: Final = ("standard", "default", "line", "auto", "system", "console", "multimedia")
"""Roles that are also used as a name before a bracket."""
_MAX_ROLES: Final = 3


def _without_role(label: str) -> str:
    """Remove the roles before or after the name. A browser and a program may each have added one."""
    for _ in range(_MAX_ROLES):
        shorter = _without_one_role(label)
        if shorter == label:
            break
        label = shorter
    return label


def _is_role(text: str) -> bool:
    bare = words.bare(fold(text))
    return bare in words.ROLES or (words.is_spaceless(bare) and bare.replace(" ", "") in words.ROLES)


def _without_one_role(label: str) -> str:
    if empty := _NO_ROLE.match(label):
        return label[empty.end() :]
    if (role := _ROLE.match(label)) and _is_role(role[1]):
        return label[role.end() :]
    before = _ROLE_BEFORE.match(label)
    if before and _is_role(before[1]) and ("(" in before[2] or fold(before[1]).strip() not in _CAREFUL_ROLES):
        return before[2]
    if (behind := _ROLE_BEHIND.match(label)) and _is_role(behind[2]):
        return behind[1]
    return label


def _without_usb_id(label: str) -> tuple[str, str]:
    found = _USB_ID.search(label)
    if found is None:
        return label, ""
    return label[: found.start()], f"{found[1]}:{found[2]}".lower()


def _is_cut(label: str) -> bool:
    return label.count("(") > label.count(")") or (
        len(label) == WAVE_NAME_LENGTH and "(" in label and not label.endswith(")")
    )


def _without_transport(label: str) -> str:
    """Remove the transport that Chrome appends, also to a name without its closing bracket."""
    before, opened, behind = label.rpartition("(")
    is_transport = opened and behind.endswith(")") and words.bare(fold(behind)) in words.TRANSPORTS
    return before.rstrip() if is_transport else label


def _unclosed(label: str) -> int:
    """Return the position of the first opening bracket that is not closed, or of the first one if all are closed."""
    opened: list[int] = []
    for at, character in enumerate(label):
        if character == "(":
            opened.append(at)
        elif character == ")" and opened:
            opened.pop()
    return opened[0] if opened else label.index("(")


def _split(label: str) -> tuple[str, str]:
    """Split "Endpoint (Interface)". The interface's name may contain brackets; a cut label has no closing one."""
    if _is_cut(label):
        at = _unclosed(label)
        return label[:at].strip(), label[at + 1 :].strip()
    stripped = label.strip()
    if not stripped.endswith(")"):
        return _split_at_dash(stripped)
    depth = 0
    for at in range(len(stripped) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(stripped[at], 0)
        if depth == 0:
            endpoint, inner = stripped[:at].strip(), stripped[at + 1 : -1].strip()
            if not endpoint or _NOT_AN_INTERFACE.fullmatch(inner):
                return "", stripped
            return endpoint, inner
    return "", stripped


def _split_at_dash(label: str) -> tuple[str, str]:
    """Split "Headset Microphone - Jabra EVOLVE 20": GNOME's settings put the name of the socket first."""
    noun, dash, name = label.partition(" - ") if " - " in label else label.partition(" – ")
    if dash and words.NOUNS.get(words.bare(fold(noun))) is not None and name.strip():
        return noun.strip(), name.strip()
    return "", label


_NOT_AN_INTERFACE: Final = re.compile(
    r"[0-9A-F]{4}|\d|iec958|hdmi.*|s/?pdif|hsp/hfp|a2dp sink|\d(?:st|nd|rd|th) gen(?:eration)?\.?",
    re.IGNORECASE,
)


def _without_instance(name: str) -> tuple[int | None, str]:
    if before := _INSTANCE_BEFORE.match(name):
        return int(before[1]), name[before.end() :]
    if behind := _INSTANCE_BEHIND.search(name):
        return int(behind[1] or behind[2]), name[: behind.start()]
    return None, name


def _without_trailing(name: str) -> str:
    """Remove profiles and drivers' additions from the end, unless nothing would be left."""
    while True:
        shorter = words.TRAILING.sub("", name).strip(" -,:")
        if shorter in ("", name):
            return name
        name = shorter


def listed_name(text: str) -> str:
    """Return the name under which the system lists the device, for instance "Headset (2- Jabra Evolve2 65)".

    Additions of browsers are removed.
    """
    label = unicodedata.normalize("NFC", _mended(text[:MAX_LENGTH]))
    label, _ = _without_usb_id(_without_role(_MARKS.sub("", label).strip()))
    return " ".join(label.split()) or text.strip()


def shown_name(text: str) -> str:
    """Return the short name of the device.

    For instance "Jabra Evolve2 65" for "Default - Headset (2- Jabra Evolve2 65) (0b0e:0a44)".
    """
    name, label = listed_name(text), read(text)
    if label.sort in (Sort.ORDINARY, Sort.GENERIC) and label.is_windows:
        _, name = _without_instance(_split(name)[1])
        for profile in (" Hands-Free AG Audio", " Hands-Free", " Stereo"):
            name = name.removesuffix(profile)
    return name
