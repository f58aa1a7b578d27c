"""Converts typed numbers into what the PBX dials. Pure; tested by table.

Internal numbers, star codes and emergency numbers are recognised before anything is parsed and are never rewritten,
because libphonenumber takes `110` and `*971` for numbers of a city. A number that came from the PBX is dialled unchanged.
Other numbers are written as the PBX writes them: `00`, country, number (o-byte, Fluxpunkt). A number that cannot be
parsed goes to the PBX as typed, because the PBX knows its own plan better.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType, shortnumberinfo

from connector.config import TelephoneSection
from wire.phone import NumberKind

MAX_DIGITS: Final = 32
"""An international number has 15 digits (ITU-T E.164); exit codes, extensions and codes of a PBX may be added."""
_DECORATION: Final = frozenset(" ()/-.\u2010\u2011\u2012\u2013\u2212")
_SIGNS: Final = frozenset("0123456789*#+")
_EMERGENCY: Final = frozenset({"112"})
"""Valid everywhere in Europe and in every mobile network; libphonenumber knows the region's own."""
_PREMIUM: Final = {"DE": ("900",), "AT": ("900", "901", "930", "931"), "CH": ("900", "901", "906")}
"""Prefixes of national premium numbers, for lengths that libphonenumber does not know."""
_ENQUIRIES: Final = re.compile(r"118\d{2,3}")
_ENQUIRIES_IN: Final = frozenset({"DE", "AT"})
"""Regions where directory enquiries are premium numbers; libphonenumber does not know them."""
_FORMAT: Final = PhoneNumberFormat.E164


class UnusableNumberError(ValueError):
    """The text is not a telephone number. The message does not contain the text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    dial: str
    """The number for the PBX."""
    kind: NumberKind | None = None
    """Why the person must confirm the number; None if they need not."""


class NumberPlan:
    """The number plan of one PBX."""

    def __init__(self, settings: TelephoneSection) -> None:
        self._region = settings.region
        self._exit = settings.exit_prefix
        self._internal = settings.internal_digits
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(self._region, None)
        self._trunk: str = (metadata.national_prefix if metadata is not None else None) or ""
        self._abroad: str = "00" if self._region not in ("US", "CA") else "011"

    def wanted(self, typed: str, *, is_raw: bool = False) -> Wanted:
        """Convert a typed number. `is_raw`: the number came from the PBX. Raises `UnusableNumberError`."""
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
        """Return a key that is equal for different spellings of one number; empty if it is not a number."""
        try:
            signs = _signs(number)
        except UnusableNumberError:
            return ""
        if self._is_special(signs):
            return signs
        parsed = self._parsed(self._without_exit(number, signs))
        return phonenumbers.format_number(parsed, _FORMAT) if parsed is not None else signs

    def _is_special(self, signs: str) -> bool:
        """Return whether it is an internal number or a code."""
        return signs[0] in "*#" or "*" in signs or "#" in signs or len(signs) <= self._internal

    def _is_emergency(self, signs: str) -> bool:
        if not signs.isdigit():
            return False  # libphonenumber would read *112 as 112
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
        """Return the number without the exit code, which people type as on their desk phone."""
        if not self._exit or not signs.startswith(self._exit) or signs == self._exit:
            return signs
        rest = signs[len(self._exit) :]
        if typed.strip().startswith(f"{self._exit} ") or not rest.startswith(("0", "+")):
            return rest if self._is_emergency(rest) or self._parsed(rest) is not None else signs
        return signs if self._parsed(signs) is not None else rest

    def _parsed(self, signs: str) -> PhoneNumber | None:
        """Return the parsed international number, or None if it is ambiguous or invalid."""
        is_whole = signs.startswith(("+", self._abroad))
        if self._trunk == "0" and not is_whole and not signs.startswith("0"):
            return None  # without area code, or ambiguous: 49721… may be national or international
        try:
            number = phonenumbers.parse(signs, self._region)
        except phonenumbers.NumberParseException:
            return None
        return number if phonenumbers.is_valid_number(number) else None


def _signs(typed: str) -> str:
    """Return the digits, `*`, `#` and a leading `+` of the text. Raises `UnusableNumberError`."""
    text = unicodedata.normalize("NFKC", typed).strip()
    text = text[4:] if text[:4].casefold() == "tel:" else text
    if text.startswith("+"):
        text = text.replace("(0)", "", 1)  # +49 (0)30 …: the trunk prefix, which is omitted from abroad
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
