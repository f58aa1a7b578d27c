"""PBX names: host names in one canonical form (RFC 1123 and RFC 5890), normally the PBX's FQDN.

The canonical form is in lower case, has only A-labels (`xn--…`) and no final dot. A name that imitates another one by
mixing scripts therefore shows its `xn--` everywhere.
"""

import ipaddress
import re
from typing import Annotated, Final

import idna
from pydantic import AfterValidator, BeforeValidator, Field

from wire.pasted import host_of

MAX_GIVEN: Final = 300
"""Longest input that is examined, in characters; a name itself has at most 253."""
MAX_NAME: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of this form makes a client read the name as an IPv4 address
(https://url.spec.whatwg.org/#ends-in-a-number-checker)."""
_EARLIER: Final = re.compile(r"[\w.:-]+")
"""What version 0.1 accepted as a PBX name."""


class PbxNameError(ValueError):
    def __init__(self) -> None:
        super().__init__("a PBX name is a host name such as pbx.example.com, without https:// and port")


def pbx_name(given: str) -> str:
    """Return the canonical form of a host name that a person or a program gave.

    A canonical IPv4 address is accepted too, because some sites have no name. Raises `PbxNameError`, a `ValueError`.
    """
    name = given.strip().removesuffix(".")
    if not name or len(given) > MAX_GIVEN:
        raise PbxNameError
    try:
        # Browsers apply UTS 46 to a typed name before IDNA 2008: it maps case, width and composition.
        name = (
            name.lower() if name.isascii() else idna.uts46_remap(name, std3_rules=False, transitional=False)
        )
        labels = [_a_label(label) for label in name.split(".")]
    except UnicodeError as fault:  # idna's errors are among them
        raise PbxNameError from fault
    name = ".".join(labels)
    if len(name) > MAX_NAME or (_NUMBER.fullmatch(labels[-1]) and not _is_ipv4(name)):
        raise PbxNameError
    return name


def known_pbx_name(given: str) -> str:
    """Return the canonical form as `pbx_name` does; accept also the names that only version 0.1 allowed.

    Such names, for instance `my_pbx`, are not host names. They can still be looked up, but no longer claimed.
    """
    try:
        return pbx_name(given)
    except PbxNameError:
        name = given.strip().rstrip(".").lower()
        if len(given) > MAX_GIVEN or len(name) > MAX_NAME or not _EARLIER.fullmatch(name):
            raise
        return name


def is_host_name(name: str) -> bool:
    """Return whether the name is a canonical host name, which is what may be claimed."""
    try:
        return pbx_name(name) == name
    except PbxNameError:
        return False


PbxName = Annotated[str, Field(max_length=MAX_GIVEN), AfterValidator(pbx_name)]
"""A PBX name that is to be claimed."""
KnownPbxName = Annotated[str, Field(max_length=MAX_GIVEN), AfterValidator(known_pbx_name)]
"""A PBX name that is only looked up."""
TypedPbxName = Annotated[
    str,
    Field(max_length=MAX_GIVEN),
    BeforeValidator(
        lambda given: host_of(given) if isinstance(given, str) and len(given) <= MAX_GIVEN else given
    ),
    AfterValidator(known_pbx_name),
]
"""A PBX name as people type or paste it. Of an address (`https://pbx.example.com/`, `pbx.example.com:443`) only the host
is used."""


def _a_label(label: str) -> str:
    if label.isascii():
        if not _LABEL.fullmatch(label):
            raise PbxNameError
        if label.startswith("xn--") and idna.alabel(idna.ulabel(label)).decode() != label:
            raise PbxNameError
        return label
    return idna.alabel(label).decode()


def _is_ipv4(name: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(name)) == name
    except ValueError:
        return False
