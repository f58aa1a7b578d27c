"""Addresses of hosts as people write them."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

import idna

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself: what goes there crosses no network."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def crosses_in_clear(url: str) -> bool:
    """Whether what goes to this address can be read on the way: http to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def checked_url(value: str) -> str:
    """An http(s) address without user, query and final slash. Raises `ValueError` in words for the person who wrote it."""
    value = value.strip()
    if not value.startswith(("https://", "http://")):
        raise ValueError("an address starts with https:// or http://")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise ValueError("this is no address: check host and port") from fault
    if not host or port == 0 or not value.isprintable() or " " in value:
        raise ValueError("this is no address: check host and port")
    if "@" in parts.netloc:
        raise ValueError("an address holds neither user nor password")
    if parts.query or parts.fragment:
        raise ValueError("an address ends before ? and #")
    return value.rstrip("/")


def as_browsers_write(url: str) -> str:
    """An http(s) address whose origin is the one that a browser makes of it: lower case, A-labels, neither the default port
    nor a dot at the end (WHATWG, "URL", host parsing). Raises `ValueError` as `checked_url`.
    """
    scheme, separator, rest = url.strip().partition("://")
    parts = urlsplit(checked_url(f"{scheme.lower()}{separator}{rest}"))
    host = (parts.hostname or "").rstrip(".")
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except UnicodeError as fault:  # idna's errors are among them
            raise ValueError("this is no address: check the host's name") from fault
    if not host:
        raise ValueError("this is no address: check the host's name")
    if ":" in host:  # IPv6
        host = f"[{host}]"
    port = f":{parts.port}" if parts.port not in (None, _DEFAULT_PORTS[parts.scheme]) else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
