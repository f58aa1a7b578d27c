"""Decides whether two names mean the same physical device. Pure; never raises.

Input and output of one headset are the same device. A wrong `same` would make a person change a correct setting, so an
unclear case is `unsure`, with its reason.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from core.audio import vocabulary as words
from core.audio.device import AudioDevice, Platform
from core.audio.label import INTEL, Label, Sort, read
from core.audio.vocabulary import Noun
from core.language import Language, Words


class Sameness(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


class Reason(StrEnum):
    """The reason of a comparison. Each has a text in `words/`."""

    SAME_ENDPOINT = "same-endpoint"
    SAME_CONTAINER = "same-container"
    SAME_GROUP = "same-group"
    SAME_SERIAL = "same-serial"
    SAME_ADDRESS = "same-address"
    SAME_MODEL = "same-model"
    SAME_NAME = "same-name"
    SAME_SOCKET = "same-socket"
    CUT_NAME = "cut-name"

    OTHER_CONTAINER = "other-container"
    OTHER_SERIAL = "other-serial"
    OTHER_ADDRESS = "other-address"
    OTHER_MODEL = "other-model"
    OTHER_PIECE = "other-piece"
    OTHER_NAME = "other-name"
    OTHER_SORT = "other-sort"

    NO_NAME = "no-name"
    GENERIC_NAME = "generic-name"
    PARTIAL_NAME = "partial-name"
    CUT_TOO_SHORT = "cut-too-short"
    PIECE_UNCLEAR = "piece-unclear"
    SEVERAL_SOCKETS = "several-sockets"
    VIRTUAL_DEVICE = "virtual-device"
    WIRELESS_ADAPTER = "wireless-adapter"
    MONITOR_SOURCE = "monitor-source"


@dataclass(frozen=True, slots=True)
class Comparison:
    verdict: Sameness
    reason: Reason

    def words(self, language: Language) -> str:
        return _WORDS.text(language, f"reason.{self.reason}")


_WORDS: Final = Words("core.audio")


def _same(reason: Reason) -> Comparison:
    return Comparison(Sameness.SAME, reason)


def _different(reason: Reason) -> Comparison:
    return Comparison(Sameness.DIFFERENT, reason)


def _unsure(reason: Reason) -> Comparison:
    return Comparison(Sameness.UNSURE, reason)


COMPUTER_CONTAINER: Final = "00000000-0000-0000-ffff-ffffffffffff"
"""The one container to which Windows assigns everything that is built into the computer."""
_LEAST_CUT: Final = 4
"""Fewest letters of a cut name, without the maker's name, that suffice to tell devices apart."""


def compare(one: AudioDevice, other: AudioDevice) -> Comparison:
    """Compare by ids if both devices have them, otherwise by labels."""
    return _by_ids(one, other) or compare_labels(read(one.label), read(other.label), _usb_ids(one, other))


def _usb_ids(one: AudioDevice, other: AudioDevice) -> tuple[str, str]:
    return one.usb_id.lower(), other.usb_id.lower()


def _by_ids(one: AudioDevice, other: AudioDevice) -> Comparison | None:
    same_place = one.platform is not None and one.platform is other.platform
    if same_place and one.endpoint_id and one.endpoint_id == other.endpoint_id:
        return _same(Reason.SAME_ENDPOINT)
    containers = [_container(device.container_id) for device in (one, other)]
    if all(containers) and COMPUTER_CONTAINER not in containers:
        same = containers[0] == containers[1]
        return _same(Reason.SAME_CONTAINER) if same else _different(Reason.OTHER_CONTAINER)
    if one.serial and other.serial and one.usb_id and one.usb_id.lower() == other.usb_id.lower():
        same = one.serial == other.serial
        return _same(Reason.SAME_SERIAL) if same else _different(Reason.OTHER_SERIAL)
    if same_place and one.kind is other.kind and _are_numbered_apart(one, other):
        return _different(Reason.OTHER_PIECE)
    if same_place and one.group_id and one.group_id == other.group_id and not _is_computers(one.label):
        return _same(Reason.SAME_GROUP)
    return None


def _are_numbered_apart(one: AudioDevice, other: AudioDevice) -> bool:
    """Return whether these are endpoints of one Windows list with different numbers, so they are two devices."""
    if one.platform is not Platform.WINDOWS or not one.endpoint_id or not other.endpoint_id:
        return False
    return read(one.label).instance != read(other.label).instance


def _container(container_id: str) -> str:
    bare = container_id.strip("{}").lower()
    return "" if set(bare) <= {"0", "-"} else bare


def _is_computers(label: str) -> bool:
    """Return whether the label means the computer's own sound. All sockets of its chip are in one group, so the group
    does not show which socket is used.
    """
    return read(label).sort in (Sort.ONBOARD, Sort.NAMELESS)


def compare_labels(one: Label, other: Label, usb_ids: tuple[str, str] = ("", "")) -> Comparison:
    found = next(found for rule in _RULES if (found := rule(one, other, usb_ids)) is not None)
    if found.verdict is Sameness.DIFFERENT and not _have_ids(one, other, usb_ids) and _may_be_cut(one, other):
        return _unsure(Reason.CUT_TOO_SHORT)
    return found


def _have_ids(one: Label, other: Label, usb_ids: tuple[str, str]) -> bool:
    return all(given or label.usb_id for given, label in zip(usb_ids, (one, other), strict=True))


def _may_be_cut(one: Label, other: Label) -> bool:
    """Return whether one label has the maximum length of old interfaces and the other begins with it.

    A program may have added the closing bracket.
    """
    return any(
        short.is_full_length and long.text != short.text and long.text.startswith(short.text.rstrip(" )"))
        for short, long in ((one, other), (other, one))
    )


_Rule = Callable[[Label, Label, tuple[str, str]], Comparison | None]


def _addresses(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if not one.address or not other.address:
        return None
    (system, mine), (its_system, its) = one.address.split(":", 1), other.address.split(":", 1)
    if (
        system != its_system
        and "bluetooth" in (system, its_system)
        and Sort.ONBOARD in (one.sort, other.sort)
    ):
        return _different(Reason.OTHER_SORT)
    if system != its_system or (system == "alsa" and mine.isdigit() is not its.isdigit()):
        return None
    if mine == its:
        if one.sort is Sort.ONBOARD:
            return None
        return _same(Reason.SAME_ADDRESS)
    return _different(Reason.OTHER_ADDRESS)


def _monitor_sources(one: Label, other: Label, usb_ids: tuple[str, str]) -> Comparison | None:
    """Compare a monitor source by the device whose output it records: it differs from whatever that device differs from."""
    if one.is_monitor is other.is_monitor:
        return None
    found = compare_labels(replace(one, is_monitor=False), replace(other, is_monitor=False), usb_ids)
    return found if found.verdict is Sameness.DIFFERENT else _unsure(Reason.MONITOR_SOURCE)


def _models(one: Label, other: Label, usb_ids: tuple[str, str]) -> Comparison | None:
    mine, its = (given or label.usb_id for given, label in zip(usb_ids, (one, other), strict=True))
    if not mine or not its:
        return None
    if mine != its:
        return (
            _unsure(Reason.WIRELESS_ADAPTER)
            if _may_be_carried(one, other)
            else _different(Reason.OTHER_MODEL)
        )
    return _pieces(one, other) or _sockets(one, other) or _same(Reason.SAME_MODEL)


def _may_be_carried(one: Label, other: Label) -> bool:
    """Return whether one is a wireless adapter and the other may be connected through it.

    It may not if it is of another maker or a camera.
    """
    if one.is_adapter is other.is_adapter:
        return False
    carried = other if one.is_adapter else one
    if carried.is_camera or carried.sort is not Sort.ORDINARY:
        return False
    return _makers(one, other) is None


def _pieces(one: Label, other: Label) -> Comparison | None:
    """Return `unsure` if the numbers of the labels differ, or None.

    Windows numbers the second device of one model. It also renumbers a device that is plugged into another socket, while
    programs remember the old name.
    """
    if one.instance == other.instance:
        return None
    if one.is_windows is not other.is_windows and None in (one.instance, other.instance):
        return None  # one program shows the number that Windows assigns, the other omits it
    return _unsure(Reason.PIECE_UNCLEAR)


def _same_socket(one: Label, other: Label) -> bool:
    """Return whether both name the same socket: by the same words, or by the same noun in two languages."""
    if one.endpoint == other.endpoint:
        return True
    return one.noun is not None and one.noun is other.noun and _numbers(one) == _numbers(other)


def _numbers(label: Label) -> list[str]:
    """Return the numbers in the socket's name, for instance in "Microphone 2"."""
    return re.findall(r"\d+", label.endpoint) if label.is_windows else []


def _nameless(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.NAMELESS in (one.sort, other.sort) or _stands_in(one) is not _stands_in(other):
        return _unsure(Reason.NO_NAME)
    return None


def _stands_in(label: Label) -> bool:
    """Return whether the label stands for the default device or for several devices."""
    return label.sort is Sort.VIRTUAL and words.STAND_INS.finds(words.bare(label.whole))


def _virtual(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.VIRTUAL not in (one.sort, other.sort):
        return None
    if one.sort is other.sort and one.instance == other.instance and _same_socket(one, other):
        if one.name == other.name:
            return _same(Reason.SAME_NAME)
        if (one.cut or other.cut) and _cut_of(one, other) is not None:
            return _same(Reason.CUT_NAME)
    return _unsure(Reason.VIRTUAL_DEVICE)


def _displays(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.DISPLAY not in (one.sort, other.sort):
        return None
    if one.sort is not other.sort and not (one.cut or other.cut) and _joined(one.name) == _joined(other.name):
        return _unsure(Reason.PARTIAL_NAME)  # a monitor listed by its own name, as other systems do
    if one.name != other.name:
        return _different(Reason.OTHER_NAME if one.sort is other.sort else Reason.OTHER_SORT)
    if one.instance != other.instance:
        return _ports(one, other)
    if one.sort is other.sort and one.whole != other.whole and _cut_of(one, other) is None:
        return _unsure(Reason.PIECE_UNCLEAR)  # two graphics cards: one monitor, or two of the same model
    return _same(Reason.SAME_NAME)


def _ports(one: Label, other: Label) -> Comparison:
    """Compare monitors of one name by their numbers.

    AMD's driver puts the number of the socket before each name; NVIDIA's driver numbers monitors of the same name.
    """
    if "nvidia" in one.whole:
        return (
            _different(Reason.OTHER_PIECE)
            if None not in (one.instance, other.instance)
            else _unsure(Reason.PIECE_UNCLEAR)
        )
    if None in (one.instance, other.instance) and "amd" in one.whole:
        return _same(Reason.SAME_NAME)
    return _unsure(Reason.PIECE_UNCLEAR)


def _cut_of(one: Label, other: Label) -> tuple[Label, Label, str] | None:
    """If one name is the beginning of the other, return the shorter label, the longer one and the missing part."""
    for short, long in ((one, other), (other, one)):
        if not (short.cut or short.is_full_length):
            continue
        mine, its = _joined(short.whole), _joined(long.whole)
        if its.startswith(mine) and (short.cut or mine != its):
            return short, long, _rest(long.whole, len(mine))
    return None


def _rest(whole: str, read: int) -> str:
    """Return the rest of `whole` after `read` letters and digits, from the beginning of the word that is cut."""
    for at, character in enumerate(whole):
        if read == 0:
            if not character.isalnum() or at == 0 or not whole[at - 1].isalnum():
                return whole[at:]
            return whole[len(whole[:at].rstrip(_letters_of(whole[:at]))) :]
        read -= character.isalnum()
    return ""


def _letters_of(text: str) -> str:
    return "".join({character for character in text if character.isalnum()})


def _cut(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    """Compare a cut name with the beginning of the other."""
    if _is_cut_in_the_profile(one, other) or _is_cut_in_the_profile(other, one):
        return _pieces(one, other) or _same(Reason.CUT_NAME)
    found = _cut_of(one, other)
    if found is None:
        return _cut_apart(one, other) if one.cut or other.cut else None
    short, long, rest = found
    if not short.cut and not (short.is_windows and long.is_windows and _same_socket(short, long)):
        return None  # more likely a complete name of that length
    return _cut_alike(short, long, rest)


_PROFILES: Final = ("handsfreeagaudio", "handsfreehfaudio", "stereo")
_LEAST_OF_A_PROFILE: Final = 3


def _is_cut_in_the_profile(short: Label, full: Label) -> bool:
    """Return whether only the Bluetooth profile is cut.

    "WH-1000XM4 Hands" contains all of "WH-1000XM4" and the beginning of the profile that Windows appends.
    """
    if not short.cut or full.cut or full.sort is not Sort.ORDINARY:
        return False
    mine, its = _joined(short.whole), _joined(full.name)
    begun = mine.removeprefix(its)
    return (
        mine != begun
        and len(begun) >= _LEAST_OF_A_PROFILE
        and any(profile.startswith(begun) for profile in _PROFILES)
    )


def _cut_apart(one: Label, other: Label) -> Comparison:
    short = one if one.cut and (not other.cut or len(one.whole) <= len(other.whole)) else other
    long = other if short is one else one
    begins = _joined(short.whole)
    if len(begins) < _LEAST_CUT:
        return _different(Reason.OTHER_NAME) if _begin_apart(short, long) else _unsure(Reason.CUT_TOO_SHORT)
    if short.sort is long.sort is Sort.ONBOARD and _two_chips(one, other):
        return _different(Reason.OTHER_NAME)
    if short.sort is long.sort and short.sort in (Sort.GENERIC, Sort.ONBOARD):
        return _unsure(Reason.CUT_TOO_SHORT if short.sort is Sort.GENERIC else Reason.SEVERAL_SOCKETS)
    if _makers(one, other) is None:
        # "Plantronics Bl" and "Poly Blackwire 3220": only the maker's name differs.
        if _begin_apart(short, long):
            return _different(Reason.OTHER_NAME)
        mine, its = "".join(_telling(short)), "".join(_telling(long))
        if not mine or its.startswith(mine) or (long.cut and mine.startswith(its)):
            return _unsure(Reason.CUT_TOO_SHORT)
        if _is_translation(short, long):
            return _unsure(Reason.GENERIC_NAME)
    return _different(Reason.OTHER_NAME)


def _begin_apart(short: Label, long: Label) -> bool:
    """Return whether the first letters already tell two names of one system's list apart.

    Generic names may be translated, and a maker sells under several names.
    """
    begins, its = _joined(short.whole), _joined(long.whole)
    if not begins or not its or not (short.is_windows and long.is_windows):
        return False
    if long.cut and begins.startswith(its):
        return False
    if not (begins + its).isascii() or long.sort not in (Sort.ORDINARY, Sort.ONBOARD):
        return False
    families = {words.BRANDS[token] for token in long.tokens if token in words.BRANDS}
    names = [word for word, family in words.BRANDS.items() if family in families]
    return not any(name.startswith(begins) for name in (its, "".join(_telling(long)), *names))


def _cut_alike(short: Label, long: Label, rest: str) -> Comparison:
    if long.sort in (Sort.ONBOARD, Sort.GENERIC) or short.sort is Sort.ONBOARD:
        if _same_socket(short, long) and len(_joined(short.whole)) >= _LEAST_CUT:
            return _pieces(short, long) or _same(Reason.CUT_NAME)
        return _unsure(
            Reason.SEVERAL_SOCKETS if Sort.ONBOARD in (short.sort, long.sort) else Reason.CUT_TOO_SHORT
        )
    missing = [token for token in re.findall(r"[^\W_]+", rest) if token not in words.FILLING]
    if missing or (rest.strip() and "+" in rest):
        return _unsure(Reason.CUT_TOO_SHORT)  # the part that was cut off may name the model
    distinctive = [
        token for token in short.tokens if token not in words.BRANDS and token not in words.GENERIC
    ]
    named = any(token in words.BRANDS for token in short.tokens)
    too_short = sum(map(len, distinctive)) < (_LEAST_CUT - 1 if named else _LEAST_CUT)
    numbered = any(character.isdigit() for token in distinctive for character in token)
    if not _same_socket(short, long) and (too_short or (long.cut and not numbered)):
        return _unsure(Reason.CUT_TOO_SHORT)
    if too_short and len(_joined(short.whole)) < _LEAST_CUT:
        return _unsure(Reason.CUT_TOO_SHORT)
    return _pieces(short, long) or _sockets(short, long) or _same(Reason.CUT_NAME)


def _onboard(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    sorts = {one.sort, other.sort}
    if Sort.ONBOARD not in sorts:
        return None
    if sorts != {Sort.ONBOARD}:
        # "USB Audio Device" may be anything except a chip that has a name of its own.
        named = other if one.sort is Sort.ONBOARD else one
        is_other = (
            Sort.GENERIC not in sorts
            or "usb" in named.whole
            or named.is_camera
            or (one.is_windows and other.is_windows)
        )
        return _different(Reason.OTHER_SORT) if is_other else _unsure(Reason.GENERIC_NAME)
    if _same_socket(one, other) and _telling(one) == _telling(other) and one.instance == other.instance:
        return _same(Reason.SAME_SOCKET)
    if _two_chips(one, other) or _two_drivers(one, other):
        return _different(Reason.OTHER_NAME)
    plugged = [label.noun in words.OUTSIDE for label in (one, other)]
    if plugged[0] is not plugged[1] and words.COMPUTER.search((other if plugged[0] else one).name):
        return _different(Reason.OTHER_NAME)  # one is plugged in, the other is built in
    return _unsure(Reason.SEVERAL_SOCKETS)


def _two_chips(one: Label, other: Label) -> bool:
    mine, its = _chips(one), _chips(other)
    return bool(mine and its and not mine & its)


def _two_drivers(one: Label, other: Label) -> bool:
    """Return whether Windows drives one with its own driver and the other with its maker's, so these are two chips."""
    if one.cut or other.cut or not (one.is_windows and other.is_windows):
        return False
    return any(
        _has_the_systems_driver(label) and _chips(second) for label, second in ((one, other), (other, one))
    )


def _has_the_systems_driver(label: Label) -> bool:
    """Return whether the interface is Windows' "High Definition Audio Device", in any language."""
    if "high definition audio" not in label.whole or _chips(label):
        return False
    rest = set(words.bare(label.whole).split()) - {"high", "definition", "audio"}
    return bool(rest) and all(word in words.GENERIC or not word.isascii() for word in rest)


def _chips(label: Label) -> frozenset[str]:
    """Return the makers of the sound chip, if the name contains them.

    Intel's sound processor, with microphones of its own, exists in addition to another maker's chip. A chip that is driven
    through that processor is named with it, so then only the chip's maker counts.
    """
    parts = set(words.bare(label.whole).split())
    if any(maker in label.whole for maker in INTEL):
        parts.add("intel")
    found = words.CHIP_MAKERS & parts
    return found - {"intel", "amd"} if len(found) > 1 else found


def _generic(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.GENERIC not in (one.sort, other.sort):
        return None
    if one.sort is other.sort and one.name == other.name:
        pieces = _pieces(one, other)
        if pieces is not None:
            return pieces
        if _same_socket(one, other):
            return _same(Reason.SAME_NAME)
        if (one.is_camera or _names_a_headset_maker(one)) and _sockets(one, other) is None:
            return _same(Reason.SAME_NAME)
        return _unsure(Reason.GENERIC_NAME)
    if (mine := _families(one)) and (its := _families(other)) and not mine & its:
        return _different(Reason.OTHER_NAME)
    if one.is_windows and other.is_windows and not _is_translation(one, other):
        # Two different names of interfaces in the list of one system.
        return _different(Reason.OTHER_NAME)
    return _unsure(Reason.GENERIC_NAME)


def _names_a_headset_maker(label: Label) -> bool:
    """Return whether the name is that of a maker whose devices are single things: "Jabra", "JBL Hands-Free"."""
    return label.is_windows and not words.HEADSET_MAKERS.isdisjoint(label.tokens)


def _is_translation(one: Label, other: Label) -> bool:
    """Return whether both are generic names such as "USB audio device" with the same meaning, perhaps translated."""
    return one.sort is other.sort is Sort.GENERIC and _concept(one) == _concept(other)


def _concept(label: Label) -> frozenset[str]:
    parts = words.bare(label.whole).split()
    usb = {"usb"} if "usb" in label.whole else set()
    definition = {"hd"} if "high definition" in label.whole else set()
    return frozenset(
        {
            word
            for word in parts
            if word.isascii() and word not in words.PLAIN and word not in ("high", "definition")
        }
        | usb
        | definition
    )


def _names(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison:
    mine, its = _telling(one), _telling(other)
    is_spelt_alike = one.name == other.name or (one.whole and one.whole == other.whole)
    if is_spelt_alike or (mine and "".join(mine) == "".join(its)):
        apart = _makers(one, other) or _variants(one, other) or _pieces(one, other) or _sockets(one, other)
        return apart or _same(Reason.SAME_NAME)
    if apart := _makers(one, other):
        return apart
    only_mine, only_its = set(mine) - set(its), set(its) - set(mine)
    if not only_mine or not only_its:
        if mine and its and all(words.SUCCESSORS.fullmatch(token) for token in only_mine | only_its):
            return _different(Reason.OTHER_NAME)  # "QC35" and "QC35 II"
        return _unsure(Reason.PARTIAL_NAME)
    if one.is_adapter is not other.is_adapter:
        return (
            _unsure(Reason.WIRELESS_ADAPTER) if _may_be_carried(one, other) else _different(Reason.OTHER_NAME)
        )
    if only_mine | only_its <= words.POSITIONS and set(mine) & set(its):
        return _unsure(Reason.SEVERAL_SOCKETS)
    if not any(token.isascii() for token in only_mine | only_its):
        return _unsure(Reason.PARTIAL_NAME)  # they differ only in words of an unknown language
    if (numbers := _model_numbers(mine)) and numbers == _model_numbers(its):
        if _are_series(only_mine, only_its):
            return _different(Reason.OTHER_NAME)
        return _unsure(Reason.PARTIAL_NAME)  # "Voyager 4320" and "V4320"
    return _different(Reason.OTHER_NAME)


_LONGEST_SERIES: Final = 3
"""Letters of the longest abbreviation of a series."""


def _are_series(mine: set[str], its: set[str]) -> bool:
    """Return whether two names differ by the letters of a series, as "WH-1000XM5" and "WF-1000XM5" do."""
    if len(mine) != 1 or len(its) != 1:
        return False
    (one,), (other,) = mine, its
    return one.isalpha() and other.isalpha() and len(one) == len(other) <= _LONGEST_SERIES


def _model_numbers(tokens: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return the digits of words such as "4320" and "1000XM4", which identify the model."""
    return {tuple(re.findall(r"\d+", token)) for token in tokens if re.search(r"\d{3}", token)}


def _telling(label: Label) -> tuple[str, ...]:
    """Return the words of the name that identify the model."""
    return tuple(token for token in label.tokens if token not in words.BRANDS and token not in words.NOISE)


def _makers(one: Label, other: Label) -> Comparison | None:
    mine, its = (
        {words.BRANDS[token] for token in label.tokens if token in words.BRANDS} for label in (one, other)
    )
    return _different(Reason.OTHER_NAME) if mine and its and not mine & its else None


def _families(label: Label) -> set[str]:
    """Return the families of makers that the name contains; without a maker, those of its product lines."""
    found = {words.BRANDS[token] for token in label.tokens if token in words.BRANDS}
    return found or {words.LINES[token] for token in label.tokens if token in words.LINES}


def _variants(one: Label, other: Label) -> Comparison | None:
    mine, its = (words.VARIANTS.intersection(label.tokens) for label in (one, other))
    return _unsure(Reason.PARTIAL_NAME) if mine and its and mine != its else None


def _sockets(one: Label, other: Label) -> Comparison | None:
    """Return `unsure` if the names may mean two sockets of one chip, dock or interface, or None.

    Different sockets hold different devices.
    """
    if _same_socket(one, other):
        return None
    nouns = {one.noun, other.noun}
    if nouns & words.CABLED:
        return _unsure(Reason.SEVERAL_SOCKETS)
    if one.is_one_thing or other.is_one_thing:
        return None
    if (nouns & words.WORN and nouns & words.STANDING) or _hear_apart(one.noun, other.noun):
        return _unsure(Reason.SEVERAL_SOCKETS)
    if one.is_windows and other.is_windows and None in nouns:
        return _unsure(Reason.SEVERAL_SOCKETS)  # "Analogue 1 + 2" does not say which of the two it is
    return None


def _hear_apart(one: Noun | None, other: Noun | None) -> bool:
    """Return whether these are two microphones. A headset's microphone may be named with or without "headset"."""
    return (
        one in words.HEARING
        and other in words.HEARING
        and {one, other} != {Noun.MICROPHONE, Noun.HEADSET_MICROPHONE}
    )


def _joined(name: str) -> str:
    return "".join(character for character in name if character.isalnum())


_RULES: Final[tuple[_Rule, ...]] = (
    _addresses,
    _monitor_sources,
    _models,
    _nameless,
    _virtual,
    _displays,
    _cut,
    _onboard,
    _generic,
    _names,
)
