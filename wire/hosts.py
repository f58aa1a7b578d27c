"""Hosts and http(s) addresses as people write them."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

import idna

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is this machine, so that traffic to it crosses no network."""
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
    """Return whether traffic to this address can be read on its way: it uses http and goes to another machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def checked_url(value: str) -> str:
    """Return an http(s) address without its final slash.

    Raises `ValueError`, with a message for the person who wrote the address, if it is malformed or has a user, a query
    or a fragment.
    """
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
    """Return an http(s) address with its origin written as a browser writes it.

    The host is in lower case and A-labels, without the default port and without a final dot (WHATWG, "URL", host
    parsing). Raises `ValueError` as `checked_url` does.
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
