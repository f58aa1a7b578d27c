"""When two e-mail addresses are the same: decided here for the service, the connector and the simulator.

An address decides who somebody is, so nothing is folded that two different mailboxes could share (Django's
CVE-2019-19844 is what happens otherwise): only ASCII letters lose their case, and a domain is compared as the
A-label that the DNS knows (IDNA 2008, RFC 5891). What is not ASCII must be equal, character for character.
"""

import unicodedata
from typing import Final

import idna

MAX_EMAIL_CHARS: Final = 320
"""64 for the local part, 255 for the domain, and the @ (RFC 5321, section 4.5.3.1)."""

_BLANKS: Final = " \t\r\n"
_OTHER_DOTS: Final = "\u3002\uff0e\uff61"
"""Ideographic and full-width stops, which IDNA would take for a dot: another character is another address."""
_TO_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def canonical_email(text: str) -> str | None:
    """The form in which addresses are compared and looked up; None for what is no address.

    Blanks around an address are trimmed, because directories and PBXs are filled in by hand.
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
    """Whether both are addresses, and the same one."""
    address = canonical_email(one)
    return address is not None and address == canonical_email(other)


def _ascii_lower(text: str) -> str:
    """Not `str.lower`: that turns the Kelvin sign into a k."""
    return text.translate(_TO_LOWER)


def _is_invisible(character: str) -> bool:
    """Blank, control or format character, half of a surrogate pair, or not assigned: nobody types these."""
    return character.isspace() or unicodedata.category(character).startswith("C")
