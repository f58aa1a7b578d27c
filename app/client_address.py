"""The client's address: the TCP peer, or what trusted reverse proxies have written into X-Forwarded-For.

Every door uses it, those for WebSockets too. The header `Forwarded` (RFC 7239) is not read: two headers that may
contradict each other are one too many, and every usual proxy writes X-Forwarded-For.
"""

import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import Final

MAX_ENTRY: Final = 64
"""Characters of one entry that are looked at; the longest address with its port has 53."""

_WITH_PORT: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?", re.ASCII)


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: int) -> str:
    """An IPv4 or IPv6 address in its one canonical form; empty when not even the peer has one (a UNIX socket).

    `forwarded_for`: all lines of X-Forwarded-For, in their order. Each trusted proxy appends the address that it was
    asked from, to the last line or as a line of its own, so the client stands `trusted_proxies` entries from the right;
    whatever stands left of it anybody may have written. An entry that is no address is not trusted: the peer counts.
    """
    if trusted_proxies > 0:
        entries = ",".join(forwarded_for).split(",")
        if len(entries) >= trusted_proxies:
            address = _parsed(entries[-trusted_proxies])
            if address:
                return address
    return _parsed(peer or "")


def _parsed(entry: str) -> str:
    entry = entry.strip(" \t")
    return _canonical(entry) if len(entry) <= MAX_ENTRY else ""


@functools.lru_cache(maxsize=4096)
def _canonical(entry: str) -> str:
    """Without port, brackets and zone; an IPv4 address that is written as IPv6 is the IPv4 address."""
    if match := _WITH_PORT.fullmatch(entry):
        entry = match["v6"] or match["v4"]
    try:
        address = ipaddress.ip_address(entry.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
