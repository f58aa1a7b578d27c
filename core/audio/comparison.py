"""Whether two names are the same physical device: pure, and never fails.

Input and output of one headset are one device. A wrong `same` makes somebody change what was right, so what cannot
be told is `unsure`, with the reason.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.audio import vocabulary as words
from core.audio.device import AudioDevice, Platform
from core.audio.label import Label, Sort, read
from core.audio.vocabulary import Noun
from core.language import Language, Words


class Sameness(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


class Reason(StrEnum):
    """Why; each has a sentence in `words/`."""

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
"""Windows puts everything that is built into the computer into this one container."""
_LEAST_CUT: Final = 4
"""So many letters of a cut name, beside the maker's, must be there to tell devices apart."""


def compare(one: AudioDevice, other: AudioDevice) -> Comparison:
    """Ids first, where both sides have them; then the labels."""
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
    """Two endpoints that are there together, so that their numbers mean two pieces."""
    if one.platform is not Platform.WINDOWS or not one.endpoint_id or not other.endpoint_id:
        return False
    return read(one.label).instance != read(other.label).instance


def _container(container_id: str) -> str:
    bare = container_id.strip("{}").lower()
    return "" if set(bare) <= {"0", "-"} else bare


def _is_computers(label: str) -> bool:
    """One group for all sockets of a sound chip says nothing about which is used."""
    return read(label).sort in (Sort.ONBOARD, Sort.NAMELESS)


def compare_labels(one: Label, other: Label, usb_ids: tuple[str, str] = ("", "")) -> Comparison:
    return next(found for rule in _RULES if (found := rule(one, other, usb_ids)) is not None)


_Rule = Callable[[Label, Label, tuple[str, str]], Comparison | None]


def _addresses(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if not one.address or not other.address:
        return None
    (system, mine), (its_system, its) = one.address.split(":", 1), other.address.split(":", 1)
    if system != its_system or (system == "alsa" and mine.isdigit() is not its.isdigit()):
        return None
    if mine == its:
        if one.sort is Sort.ONBOARD:
            return None
        return _same(Reason.SAME_ADDRESS)
    return _different(Reason.OTHER_ADDRESS)


def _monitor_sources(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if one.is_monitor is other.is_monitor:
        return None
    return _unsure(Reason.MONITOR_SOURCE)


def _models(one: Label, other: Label, usb_ids: tuple[str, str]) -> Comparison | None:
    mine, its = (given or label.usb_id for given, label in zip(usb_ids, (one, other), strict=True))
    if not mine or not its:
        return None
    if mine != its:
        return _different(Reason.OTHER_MODEL)
    return _pieces(one, other) or _sockets(one, other) or _same(Reason.SAME_MODEL)


def _pieces(one: Label, other: Label) -> Comparison | None:
    """Two pieces of one model: Windows numbers the second. But it also numbers one piece anew when it is plugged
    into another socket, and programs remember the old name. None: nothing speaks against one piece.
    """
    if one.instance == other.instance:
        return None
    if one.is_windows is not other.is_windows and None in (one.instance, other.instance):
        return None  # one program shows the number that Windows gives, the other leaves it out
    return _unsure(Reason.PIECE_UNCLEAR)


def _same_socket(one: Label, other: Label) -> bool:
    """The same words, or the same noun in two languages."""
    return one.endpoint == other.endpoint or (one.noun is not None and one.noun is other.noun)


def _nameless(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.NAMELESS not in (one.sort, other.sort):
        return None
    return _unsure(Reason.NO_NAME)


def _cut(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    """A name cut in the middle is compared as far as it goes."""
    if not (one.cut or other.cut):
        return None
    short, long = (
        (one, other) if one.cut and (not other.cut or len(one.name) <= len(other.name)) else (other, one)
    )
    if short.name == long.name and one.endpoint == other.endpoint and one.cut and other.cut:
        return _pieces(one, other) or _same(Reason.SAME_NAME)
    if not _joined(long.name).startswith(_joined(short.name)) or (
        not long.cut and len(long.name) < len(short.name)
    ):
        return (
            _different(Reason.OTHER_NAME)
            if len(_joined(short.name)) >= _LEAST_CUT
            else _unsure(Reason.CUT_TOO_SHORT)
        )
    telling = [token for token in short.tokens if token not in words.BRANDS and token not in words.GENERIC]
    named = any(token in words.BRANDS for token in short.tokens)
    if sum(map(len, telling)) < (_LEAST_CUT - 1 if named else _LEAST_CUT) or long.sort in (
        Sort.GENERIC,
        Sort.ONBOARD,
        Sort.VIRTUAL,
    ):
        if _same_socket(short, long) and len(_joined(short.name)) >= 2 * _LEAST_CUT:
            return _pieces(one, other) or _same(Reason.CUT_NAME)
        return _unsure(Reason.CUT_TOO_SHORT)
    return _pieces(one, other) or _same(Reason.CUT_NAME)


def _displays(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.DISPLAY not in (one.sort, other.sort) or Sort.VIRTUAL in (one.sort, other.sort):
        return None
    if one.name != other.name:
        return _different(Reason.OTHER_NAME if one.sort is other.sort else Reason.OTHER_SORT)
    if one.instance != other.instance:
        return _different(Reason.OTHER_PIECE)
    if one.sort is other.sort and one.whole != other.whole:
        return _unsure(Reason.PIECE_UNCLEAR)  # on two graphics cards: two monitors of one kind, or one
    return _same(Reason.SAME_NAME)


def _virtual(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.VIRTUAL not in (one.sort, other.sort):
        return None
    if one.sort is other.sort and (one.endpoint, one.name, one.instance) == (
        other.endpoint,
        other.name,
        other.instance,
    ):
        return _same(Reason.SAME_NAME)
    return _unsure(Reason.VIRTUAL_DEVICE)


def _onboard(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    sorts = {one.sort, other.sort}
    if Sort.ONBOARD not in sorts:
        return None
    if sorts != {Sort.ONBOARD}:
        # "USB Audio Device" may be anything but the chip that is called by its own name.
        is_other = Sort.GENERIC not in sorts or "usb" in (other if one.sort is Sort.ONBOARD else one).whole
        return _different(Reason.OTHER_SORT) if is_other else _unsure(Reason.GENERIC_NAME)
    if _same_socket(one, other) and _telling(one) == _telling(other) and one.instance == other.instance:
        return _same(Reason.SAME_SOCKET)
    plugged = [label.noun in words.OUTSIDE for label in (one, other)]
    if plugged[0] is not plugged[1] and words.COMPUTER.search((other if plugged[0] else one).name):
        return _different(Reason.OTHER_NAME)  # what is plugged in, and the computer's own
    return _unsure(Reason.SEVERAL_SOCKETS)


def _generic(one: Label, other: Label, _usb_ids: tuple[str, str]) -> Comparison | None:
    if Sort.GENERIC not in (one.sort, other.sort):
        return None
    if one.sort is other.sort and one.name == other.name:
        pieces = _pieces(one, other)
        if pieces is not None:
            return pieces
        if _same_socket(one, other):
            return _same(Reason.SAME_NAME)
    return _unsure(Reason.GENERIC_NAME)


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
        return _unsure(Reason.PARTIAL_NAME)
    if one.is_adapter is not other.is_adapter:
        return _unsure(Reason.WIRELESS_ADAPTER)
    if only_mine | only_its <= words.POSITIONS and set(mine) & set(its):
        return _unsure(Reason.SEVERAL_SOCKETS)
    if (numbers := _model_numbers(mine)) and numbers == _model_numbers(its):
        return _unsure(Reason.PARTIAL_NAME)  # "Voyager 4320" and "V4320"
    return _different(Reason.OTHER_NAME)


def _model_numbers(tokens: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Of words like "4320" and "1000XM4", which the model is known by: their digits."""
    return {tuple(re.findall(r"\d+", token)) for token in tokens if re.search(r"\d{3}", token)}


def _telling(label: Label) -> tuple[str, ...]:
    """The words that tell the model."""
    return tuple(token for token in label.tokens if token not in words.BRANDS and token not in words.NOISE)


def _makers(one: Label, other: Label) -> Comparison | None:
    mine, its = (
        {words.BRANDS[token] for token in label.tokens if token in words.BRANDS} for label in (one, other)
    )
    return _different(Reason.OTHER_NAME) if mine and its and not mine & its else None


def _variants(one: Label, other: Label) -> Comparison | None:
    mine, its = (words.VARIANTS.intersection(label.tokens) for label in (one, other))
    return _unsure(Reason.PARTIAL_NAME) if mine and its and mine != its else None


def _sockets(one: Label, other: Label) -> Comparison | None:
    """A dock or a sound card in a dock has sockets: what is in the line socket is not the headset in the other."""
    lines = {Noun.LINE_IN, Noun.LINE_OUT, Noun.DIGITAL}
    if one.noun is other.noun or not ({one.noun, other.noun} & lines):
        return None
    return _unsure(Reason.SEVERAL_SOCKETS)


def _joined(name: str) -> str:
    return "".join(character for character in name if character.isalnum())


_RULES: Final[tuple[_Rule, ...]] = (
    _addresses,
    _monitor_sources,
    _models,
    _nameless,
    _cut,
    _displays,
    _virtual,
    _onboard,
    _generic,
    _names,
)
