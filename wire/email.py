"""Comparison of e-mail addresses, for the service, the connector and the simulator.

An address identifies a person, so two different mailboxes must never compare as equal (as they did in Django's
CVE-2019-19844). Only ASCII letters are compared without case, and a domain is compared as the A-label that is in the
DNS (IDNA 2008, RFC 5891). Other characters must be identical.
"""

import unicodedata
from typing import Final

import idna

MAX_EMAIL_CHARS: Final = 320
"""64 for the local part, 255 for the domain, and the @ (RFC 5321, section 4.5.3.1)."""

_BLANKS: Final = " \t\r\n"
_OTHER_DOTS: Final = "\u3002\uff0e\uff61"
"""Ideographic and full-width full stops. IDNA would read them as dots; here they make the text no address."""
_TO_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def canonical_email(text: str) -> str | None:
    """Return the form in which addresses are compared and looked up, or None if the text is not an address.

    Surrounding blanks are trimmed, because directories and PBXs are filled in by hand.
    """
    address = text.strip(_BLANKS)
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or "@" in local or len(address) > MAX_EMAIL_CHARS:
        return None
    if any(dot in domain for dot in _OTHER_DOTS):
        return None
    if any(_is_invisible(character) for character in address):
        return None
    try:
        ascii_domain = idna.encode(_ascii_lower(domain)).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None
    return f"{_ascii_lower(local)}@{ascii_domain}"


def same_email(one: str, other: str) -> bool:
    """Return whether both texts are addresses and name the same mailbox."""
    address = canonical_email(one)
    return address is not None and address == canonical_email(other)


def _ascii_lower(text: str) -> str:
    """Lower ASCII letters only; `str.lower` would turn the Kelvin sign into a k."""
    return text.translate(_TO_LOWER)


def _is_invisible(character: str) -> bool:
    """Return whether nobody types this character: blank, control, format, lone surrogate or unassigned."""
    return character.isspace() or unicodedata.category(character).startswith("C")
