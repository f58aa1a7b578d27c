"""What a person typed, and what the PBX is given to dial. Pure; tested by table.

Internal numbers, star codes and emergency numbers are decided before anything is parsed, because libphonenumber takes
`110` and `*971` for numbers of a city, and are never rewritten. A number that the PBX itself has told is dialled as it
told it. What is left is written as the PBX writes numbers, `00`, country, number (o-byte, Fluxpunkt), and what is not
understood goes to the PBX as it was typed: it knows its own plan better.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, shortnumberinfo

from connector.config import Telephone
from wire.phone import NumberKind

MAX_DIGITS: Final = 32
"""An international number has 15 (ITU-T E.164); exit codes, extensions and codes of a PBX come before and after."""
_DECORATION: Final = frozenset(" ()/-.\u2010\u2011\u2012\u2013\u2212")
_SIGNS: Final = frozenset("0123456789*#+")
_EMERGENCY: Final = frozenset({"112"})
"""Everywhere in Europe and in every mobile network; the region's own are libphonenumber's."""
_PREMIUM: Final = {"DE": ("900",), "AT": ("900", "901", "930", "931"), "CH": ("900", "901", "906")}
"""Beginnings of national numbers that cost more, where libphonenumber knows none of that length."""
_ENQUIRIES: Final = re.compile(r"118\d{2,3}")
_ENQUIRIES_IN: Final = frozenset({"DE", "AT"})
"""Directory enquiries, which libphonenumber does not know: premium there."""
_FORMAT: Final = PhoneNumberFormat.E164


class UnusableNumberError(ValueError):
    """Not a telephone number. Says nothing of what was typed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    dial: str
    """What the PBX is given."""
    kind: NumberKind | None = None
    """Why it asks first."""


class NumberPlan:
    """The numbers of one PBX."""

    def __init__(self, settings: Telephone) -> None:
        self._region = settings.region
        self._exit = settings.exit_prefix
        self._internal = settings.internal_digits
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(self._region, None)
        self._trunk: str = (metadata.national_prefix if metadata is not None else None) or ""
        self._abroad: str = "00" if self._region not in ("US", "CA") else "011"

    def wanted(self, typed: str, *, is_raw: bool = False) -> Wanted:
        """`is_raw`: the PBX has told this number itself. Raises `UnusableNumberError`."""
        signs = _signs(typed)
        bare = self._without_exit(typed, signs)
        if self._is_emergency(signs) or self._is_emergency(bare):
            return Wanted(signs, NumberKind.EMERGENCY)
        number = None if self._is_special(signs) else self._parsed(bare)
        kind = NumberKind.PREMIUM if self._is_premium(bare, number) else None
        if is_raw or number is None:
            if is_raw or not signs.startswith("+"):
                return Wanted(signs, kind)
            return Wanted(f"{self._exit}00{signs[1:]}", kind)
        written = phonenumbers.format_number(number, _FORMAT)
        return Wanted(f"{self._exit}00{written[1:]}", kind)

    def key(self, number: str) -> str:
        """Equal for two ways to write one number; empty for what is none."""
        try:
            signs = _signs(number)
        except UnusableNumberError:
            return ""
        if self._is_special(signs):
            return signs
        parsed = self._parsed(self._without_exit(number, signs))
        return phonenumbers.format_number(parsed, _FORMAT) if parsed is not None else signs

    def _is_special(self, signs: str) -> bool:
        """Internal numbers and codes."""
        return signs[0] in "*#" or "*" in signs or "#" in signs or len(signs) <= self._internal

    def _is_emergency(self, signs: str) -> bool:
        if not signs.isdigit():
            return False  # libphonenumber takes *112 for 112
        return signs in _EMERGENCY or shortnumberinfo.is_emergency_number(signs, self._region)

    def _is_premium(self, signs: str, number: PhoneNumber | None) -> bool:
        if number is None:
            national = signs.removeprefix(self._trunk) if len(signs) > self._internal else ""
            return self._begins_premium(national) or (
                self._region in _ENQUIRIES_IN and _ENQUIRIES.fullmatch(signs) is not None
            )
        if phonenumbers.number_type(number) == PhoneNumberType.PREMIUM_RATE:
            return True
        is_home = number.country_code == phonenumbers.country_code_for_region(self._region)
        return is_home and self._begins_premium(str(number.national_number))

    def _begins_premium(self, national: str) -> bool:
        return national.startswith(_PREMIUM.get(self._region, ("-",)))

    def _without_exit(self, typed: str, signs: str) -> str:
        """Without the code for a line outside, which people type as they do on their desk phone."""
        if not self._exit or not signs.startswith(self._exit) or signs == self._exit:
            return signs
        rest = signs[len(self._exit) :]
        if typed.strip().startswith(f"{self._exit} ") or not rest.startswith(("0", "+")):
            return rest if self._is_emergency(rest) or self._parsed(rest) is not None else signs
        return signs if self._parsed(signs) is not None else rest

    def _parsed(self, signs: str) -> PhoneNumber | None:
        """A number of the world's plan; None for what cannot be told for sure."""
        is_whole = signs.startswith(("+", self._abroad))
        if self._trunk == "0" and not is_whole and not signs.startswith("0"):
            return None  # without its area code; or 49721…, which may be either
        try:
            number = phonenumbers.parse(signs, self._region)
        except phonenumbers.NumberParseException:
            return None
        return number if phonenumbers.is_valid_number(number) else None


def _signs(typed: str) -> str:
    """Digits, `*`, `#` and a leading `+`. Raises `UnusableNumberError`."""
    text = unicodedata.normalize("NFKC", typed).strip()
    text = text[4:] if text[:4].casefold() == "tel:" else text
    if text.startswith("+"):
        text = text.replace("(0)", "", 1)  # +49 (0)30 …: the trunk prefix, which is left out abroad
    found = []
    for sign in text:
        if sign in _DECORATION or sign.isspace() or unicodedata.category(sign) == "Cf":
            continue
        digit = unicodedata.decimal(sign, None)
        found.append(str(digit) if digit is not None else sign)
    signs = "".join(found)
    if not 0 < len(signs) <= MAX_DIGITS or not set(signs) <= _SIGNS or "+" in signs[1:]:
        raise UnusableNumberError("not a telephone number")
    if not any(sign.isdigit() for sign in signs):
        raise UnusableNumberError("not a telephone number")
    return signs
