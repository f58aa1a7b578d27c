"""The client's address: the TCP peer, or the address that trusted reverse proxies put into X-Forwarded-For.

All routes use it, including those for WebSockets. The header `Forwarded` (RFC 7239) is not read: it could contradict
X-Forwarded-For, which every common proxy sends.
"""

import functools
import ipaddress
import re
from collections.abc import Sequence
from typing import Final

MAX_ENTRY: Final = 64
"""Longest entry that is parsed, in characters. The longest address with a port has 53."""

_WITH_PORT: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?", re.ASCII)


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: int) -> str:
    """Return the client's IPv4 or IPv6 address in canonical form; empty if the peer has none (a UNIX socket).

    `forwarded_for` contains all X-Forwarded-For headers in their order. Each trusted proxy appends the address of its peer
    to the last header or as a new one. So the client is the entry number `trusted_proxies` from the right; entries to the
    left of it can be forged. If that entry is not an address, the peer's address is returned.
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
    """Return the address without port, brackets and zone, and an IPv4-mapped IPv6 address as IPv4; empty if invalid."""
    if match := _WITH_PORT.fullmatch(entry):
        entry = match["v6"] or match["v4"]
    try:
        address = ipaddress.ip_address(entry.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
