"""Reads an audio label: what in it names the hardware, and what is only the way it was spelt.

Sources of the spellings: Chromium (`media/audio`: role prefix, "(vvvv:pppp)" behind a USB device's name), Windows'
MMDevice API ("Endpoint (Interface)", "2- " before the second piece of one name), waveIn/waveOut (cut at 31
characters), PulseAudio and ALSA (descriptions with the profile, "hw:CARD=…", "alsa_input.usb-…"), and labels from
public reports; those are in `tests/core/audio/labels.json`, each with its address.
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
"""MAXPNAMELEN less the final zero (mmsystem.h): where old Windows interfaces cut."""

MAX_LENGTH: Final = 256
"""More of a label is not read; the longest seen has some 100 characters."""

CACHED: Final = 2_000
"""A machine's devices are compared each with each."""


class Sort(StrEnum):
    """What sort of thing a label names; the rules of comparison differ."""

    ORDINARY = "ordinary"
    GENERIC = "generic"
    """A name that many devices have."""
    ONBOARD = "onboard"
    """The computer's own sound: several sockets under one name."""
    DISPLAY = "display"
    """A monitor on the graphics card's sound."""
    VIRTUAL = "virtual"
    NAMELESS = "nameless"


@dataclass(frozen=True, slots=True)
class Label:
    sort: Sort
    name: str
    """The hardware's own name, folded; the monitor's for a display; empty when there is none."""
    noun: Noun | None
    endpoint: str
    """The words before the bracket, folded ("headset microphone", "2nd output"); without a bracket, all of them."""
    instance: int | None
    """The 2 of "2- Jabra": Windows numbers pieces of one name, from the second on."""
    usb_id: str
    cut: bool
    """Cut in the middle by an old interface."""
    address: str
    """Bluetooth address, PulseAudio path or ALSA card when the label is one of those; else empty."""
    is_monitor: bool
    """A PulseAudio "Monitor of …": what goes out, as an input."""
    is_windows: bool
    """Written as "Endpoint (Interface)"."""
    whole: str = ""
    """The interface, or all of a label without brackets, folded and with everything that drivers append."""

    @property
    def tokens(self) -> tuple[str, ...]:
        found = re.findall(r"[^\W_]+", self.name)
        return tuple(dict.fromkeys(words.ALIASES.get(token, token) for token in found))

    @property
    def is_adapter(self) -> bool:
        return words.ADAPTER.search(self.name) is not None


_USB_ID: Final = re.compile(r"\s*\(([0-9a-f]{4}):([0-9a-f]{4})\)\s*$", re.IGNORECASE)
_ROLE: Final = re.compile(r"^\s*([^()]{2,30}?)\s+[-–—]\s+(?=\S)")
_ROLE_ALONE: Final = re.compile(r"^([^()]+)\((.+)\)$")
_INSTANCE_BEFORE: Final = re.compile(r"^(\d{1,2})\s?-\s+(?=\S)")
_INSTANCE_BEHIND: Final = re.compile(r"\s+(?:\((\d)\)|#(\d))$")
_MONITOR: Final = re.compile(
    r"^(?:monitor (?:of|von|de|di|van) |überwachung von |moniteur de )", re.IGNORECASE
)
_RESOURCE: Final = re.compile(
    r"@system32\\drivers\\.*;\s*\(?\s*([^()]*(?:\([^()]*\))?)\s*\)*$", re.IGNORECASE | re.DOTALL
)
_PULSE: Final = re.compile(
    r"^(?:alsa_(?:input|output|card)\.)(?P<bus>usb|pci|platform)-(?P<path>.+?)(?:\.(?P<profile>[^.]*(?:\.monitor)?))?$"
)
_BLUEZ: Final = re.compile(r"^bluez_\w+\.((?:[0-9a-f]{2}[:_]){5}[0-9a-f]{2})", re.IGNORECASE)
_ALSA: Final = re.compile(
    r"^(?:plug|sys|front|hw|dsnoop|dmix|iec958|surround\d\d|default|sysdefault)*:?(?:hw:)?(?:card=)?([\w-]+)(?:,|$)",
    re.IGNORECASE,
)
_HW: Final = re.compile(r"\s*[(\[](?:plug)?hw:(?:card=)?(\w+)(?:,(?:dev=)?(\d+))?[)\]]\s*$", re.IGNORECASE)
_LOW_ENERGY: Final = re.compile(r"^le[-_](?=\w)")
"""Before the name of a headset that is connected by Bluetooth LE as well."""
_ALSA_DETAIL: Final = re.compile(r"(?<=\w), usb audio\b.*$")
"""Behind the card's name in ALSA's descriptions."""
_SERIAL: Final = re.compile(r"^(?=(?:.*\d){4})[0-9a-z]{8,}$")
_MARKS: Final = re.compile(r"\((?:r|tm|c)\)|[®™©\ufffd\u200b\u200e\u200f\ufeff]", re.IGNORECASE)


def fold(text: str) -> str:
    """Lower case, Latin letters without accents, one space between words."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept: list[str] = []
    for character in decomposed:
        if unicodedata.combining(character) and kept and kept[-1].isascii():
            continue
        kept.append(
            {"ł": "l", "ø": "o", "đ": "d", "ı": "i", "’": "'", "`": "'", "–": "-", "—": "-"}.get(
                character, character
            )
        )
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


@lru_cache(maxsize=CACHED)
def read(text: str) -> Label:
    """Never fails: a label that says nothing is `NAMELESS`."""
    label = _mended(_MARKS.sub("", unicodedata.normalize("NFC", text[:MAX_LENGTH]))).strip()
    label = label.removesuffix("%0").strip()
    if technical := _technical(label):
        return technical
    label = _without_role(label)
    label, is_monitor = _MONITOR.subn("", label)
    label, usb_id = _without_usb_id(label)
    card = ""
    if hw := _HW.search(label):
        card, label = f"alsa:{hw[1].lower()}", label[: hw.start()]
    cut = _is_cut(label)
    endpoint, inner = _split(label)
    instance, inner = _without_instance(inner)
    return _classified(
        endpoint=fold(endpoint),
        inner=inner,
        instance=instance,
        usb_id=usb_id,
        cut=cut,
        card=card,
        is_monitor=bool(is_monitor),
    )


def _classified(
    *, endpoint: str, inner: str, instance: int | None, usb_id: str, cut: bool, card: str, is_monitor: bool
) -> Label:
    whole = _ALSA_DETAIL.sub("", _LOW_ENERGY.sub("", fold(inner)))
    noun, is_windows = words.NOUNS.get(_bare(endpoint)), bool(endpoint)
    transport = words.TRANSPORTS.get(_bare(whole)) if is_windows and noun is None else None
    if transport is not None:
        # "Jabra Evolve2 65 (Bluetooth)": the bracket is the way it is connected.
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
            sort = _sort(whole, is_windows=is_windows, cut=cut)
    if sort is Sort.DISPLAY:
        number, monitor = _without_instance(endpoint)
        if noun is None and monitor:
            name, instance = monitor, number
        else:
            sort = Sort.ONBOARD
    return Label(
        sort, name, noun, endpoint or whole, instance, usb_id, cut, card, is_monitor, is_windows, whole
    )


def _bare(phrase: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", phrase))


def _noun_within(name: str) -> tuple[Noun | None, str]:
    """Of "MacBook Pro Microphone" and "MacBook Pro-Mikrofon": the noun at the end, and what is before it."""
    parts = _bare(name).split()
    for at in range(len(parts)):
        noun = words.NOUNS.get(" ".join(parts[at:]))
        if noun in words.TALKS_OR_LISTENS or (noun is not None and at == 0):
            return noun, " ".join(parts[:at]) or name
    return None, name


def _sort(whole: str, *, is_windows: bool, cut: bool) -> Sort:
    bare = _bare(whole)
    if not bare or bare in words.ROLES or all(word in words.ROLE_WORDS for word in bare.split()):
        return Sort.NAMELESS
    if words.VIRTUAL.search(whole):
        return Sort.VIRTUAL
    if is_windows and any(
        driver in whole or (cut and bare and driver.startswith(whole)) for driver in words.DISPLAY_DRIVERS
    ):
        return Sort.DISPLAY
    if "usb" not in whole and (words.ONBOARD.search(whole) or words.COMPUTER.search(whole)):
        return Sort.ONBOARD
    if not is_windows and bare in words.NOUNS:
        return Sort.NAMELESS
    parts = bare.split()
    if all(word in words.GENERIC for word in parts):
        return Sort.GENERIC
    if all(word in words.GENERIC or word in words.BRANDS for word in parts) and "headset" not in parts:
        # "Lenovo USB Audio": the maker alone does not tell his dock from his monitor.
        return Sort.GENERIC
    return Sort.ORDINARY


def _technical(label: str) -> Label | None:
    """A name from inside PulseAudio or ALSA."""

    def made(name: str, address: str, *, endpoint: str = "", sort: Sort = Sort.ORDINARY) -> Label:
        monitor = label.endswith(".monitor")
        return Label(sort, name, None, endpoint, None, "", False, address, monitor, False)

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
        # A device without a maker's text has the maker's number there instead (udev, ID_VENDOR).
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
    """UTF-8 that somebody read as Windows-1252 ("KopfhÃ¶rer"), and a driver's text that nobody resolved."""
    if "Ã" in label or "Â" in label:
        with suppress(UnicodeError):
            label = label.encode("cp1252").decode("utf-8")
    if resource := _RESOURCE.search(label):
        label = f"{label[: resource.start()]}{resource[1].strip()})".replace("()", "").strip()
    return label


def _without_role(label: str) -> str:
    if (role := _ROLE.match(label)) and fold(role[1]) in words.ROLES:
        return label[role.end() :]
    if (wrapped := _ROLE_ALONE.match(label)) and fold(wrapped[1]) in words.ROLES - {"standard", "default"}:
        return wrapped[2]
    if (behind := re.match(r"^(.*\S)\s*\(([^()]+)\)$", label)) and fold(behind[2]) in words.ROLES:
        return behind[1]
    if wrapped and "(" in wrapped[2] and fold(wrapped[1]) in words.ROLES:
        return wrapped[2]
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


def _split(label: str) -> tuple[str, str]:
    """Endpoint and interface of "Endpoint (Interface)", brackets in the interface's name included; a cut label has no closing one."""
    if _is_cut(label):
        endpoint, _, inner = label.partition("(")
        return endpoint.strip(), inner.strip()
    stripped = label.strip()
    if not stripped.endswith(")"):
        return "", stripped
    depth = 0
    for at in range(len(stripped) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(stripped[at], 0)
        if depth == 0:
            endpoint, inner = stripped[:at].strip(), stripped[at + 1 : -1].strip()
            if not endpoint or re.fullmatch(
                r"[0-9A-F]{4}|\d|iec958|hdmi.*|s/?pdif|hsp/hfp|a2dp sink", inner, re.IGNORECASE
            ):
                return "", stripped
            return endpoint, inner
    return "", stripped


def _without_instance(name: str) -> tuple[int | None, str]:
    if before := _INSTANCE_BEFORE.match(name):
        return int(before[1]), name[before.end() :]
    if behind := _INSTANCE_BEHIND.search(name):
        return int(behind[1] or behind[2]), name[: behind.start()]
    return None, name


def _without_trailing(name: str) -> str:
    """Without profiles and drivers' additions, unless nothing would be left."""
    while True:
        shorter = words.TRAILING.sub("", name).strip(" -,:")
        if shorter in ("", name):
            return name
        name = shorter


def listed_name(text: str) -> str:
    """As the system lists it, without what browsers add: "Headset (2- Jabra Evolve2 65)"."""
    label = _mended(_MARKS.sub("", unicodedata.normalize("NFC", text[:MAX_LENGTH]))).strip()
    label, _ = _without_usb_id(_without_role(label))
    return " ".join(label.split()) or text.strip()


def shown_name(text: str) -> str:
    """The device as people know it: "Jabra Evolve2 65" of "Default - Headset (2- Jabra Evolve2 65) (0b0e:0a44)"."""
    name, label = listed_name(text), read(text)
    if label.sort in (Sort.ORDINARY, Sort.GENERIC) and label.is_windows:
        _, name = _without_instance(_split(name)[1])
        for profile in (" Hands-Free AG Audio", " Hands-Free", " Stereo"):
            name = name.removesuffix(profile)
    return name
