"""Chooses the proxy for an address: from the configuration, else from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

There is no standard for these variables. This module does what several of curl, requests, Go and Python agree on:

- A name in lower case wins over upper case (curl, requests, Python); an empty one in lower case means no proxy.
- A value without a scheme means http (curl, Go `httpproxy`). A proxy that must itself be reached by https or SOCKS is
  refused with a message: aiohttp would silently ignore it, and the connection would take an unintended path.
- NO_PROXY holds names (with their subdomains, a leading dot or `*.` changes nothing: curl, Python), addresses, networks
  as `10.0.0.0/8` (curl since 7.86, Go; requests for IPv4), each with or without a port (Go), and `*`. From Windows come
  `;` as separator, `10.*` and `<local>`, a name without a dot (ProxyOverride of WinINET).
- A loopback address never goes through a proxy: the proxy's own loopback is another machine (Go `httpproxy`: "localhost
  or a loopback address"; Java's default of http.nonProxyHosts).
- Our own rule: a PBX on a private address is reached directly unless `proxy` in [pbx] says otherwise. A company's proxy
  leads to the Internet, local hosts are often not excepted, and UCI has its token in the address, which a proxy logs. The
  same applies to the PBX's name if all its addresses are private or excepted.
"""

import base64
import ipaddress
import os
import re
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

DEFAULT_PORT: Final = 80
"""The port of a proxy without a given port (RFC 9110, section 4.2.1, for http)."""
NONE: Final = "none"
ENVIRONMENT: Final = "environment"
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\]")
_SEPARATORS: Final = re.compile(r"[,;\s]+")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ProxySettingError(ValueError):
    """The address of the proxy cannot be used. The message does not contain it, because it may contain a password."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Proxy:
    host: str
    port: int
    source: str
    """Where it is set: a variable of the environment, or the configuration."""
    credentials: str | None = field(default=None, repr=False)
    """`user:password`, never shown."""

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without the login, which aiohttp would show in its messages."""
        return f"http://{self.shown}"

    @property
    def headers(self) -> dict[str, str]:
        """The header for Basic authentication (RFC 7617), in UTF-8 like curl on a terminal and browsers."""
        if self.credentials is None:
            return {}
        return {"Proxy-Authorization": f"Basic {base64.b64encode(self.credentials.encode()).decode()}"}


def parse_proxy(text: str, source: str) -> Proxy:
    """Parse `[http://][user:password@]host[:port]`. User and password may be percent-encoded; they extend to the last `@`.

    Raises `ProxySettingError`.
    """
    text = text.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if scheme.lower() != "http":
        known = scheme.lower() if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,9}", scheme) else "?"
        raise ProxySettingError(source, f"a proxy of the kind {known}:// is not supported, only http://")
    login, at, place = rest.rpartition("@")
    place = re.split(r"[/?#]", place, maxsplit=1)[0]
    found = re.fullmatch(rf"({_HOST.pattern})(?::(\d{{1,5}}))?", place)
    port = int(found[2]) if found is not None and found[2] else DEFAULT_PORT
    if found is None or not 0 < port <= 65535:
        raise ProxySettingError(source, "host and port of the proxy are not understood")
    return Proxy(
        host=found[1].strip("[]"), port=port, source=source, credentials=unquote(login) if at else None
    )


@dataclass(frozen=True, slots=True)
class Environment:
    """The proxy settings of the environment."""

    proxies: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """Maps the scheme of the target to the variable's name and its value."""
    exceptions: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> "Environment":
        variables = os.environ if variables is None else variables
        proxies = {
            scheme: found for scheme in ("http", "https") if (found := _named(variables, f"{scheme}_proxy"))
        }
        named = _named(variables, "no_proxy")
        if not proxies and sys.platform in ("win32", "darwin"):
            proxies = {
                scheme: ("the system's proxy settings", address)
                for scheme, address in urllib.request.getproxies().items()
                if scheme in ("http", "https")
            }
        return cls(proxies, named[1] if named else "")

    def proxy(self, *, is_secure: bool) -> Proxy | None:
        """Return the proxy for https or http, or None. Raises `ProxySettingError`."""
        source, text = self.proxies.get("https" if is_secure else "http", ("", ""))
        return parse_proxy(text, source) if text.strip() else None

    def excepts(self, host: str, port: int) -> bool:
        if sys.platform in ("win32", "darwin") and urllib.request.proxy_bypass(host):
            return True
        return is_excepted(host, port, self.exceptions)


def is_private(address: str) -> bool:
    """Return whether an IP address is not global (RFC 1918, 4193, 6598, 3927 and similar)."""
    parsed = _address(address)
    return parsed is not None and not parsed.is_global


def is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Return whether `exceptions`, the value of NO_PROXY, excepts this host and port."""
    name = _canonical(host)
    address = _address(name)
    return any(
        _matches(entry=one, name=name, address=address, port=port)
        for one in _SEPARATORS.split(exceptions)
        if one
    )


def _matches(entry: str, name: str, address: _Address | None, port: int) -> bool:
    if entry == "*":
        return True
    if entry.lower() == "<local>":
        return address is None and "." not in name
    entry = entry.partition("://")[2] or entry
    if "/" in entry:
        network, rest = _network(entry), entry.partition("/")[0]
        if network is not None:
            return address is not None and address.version == network.version and address in network
        entry = rest
    wanted, only_port = _split(entry)
    if only_port is not None and only_port != port:
        return False
    if (single := _address(wanted)) is not None:
        return address == single
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,2}\.\*", wanted):
        return address is not None and address.version == 4 and str(address).startswith(wanted[:-1])
    wanted = _canonical(wanted.removeprefix("*")).lstrip(".")
    return address is None and bool(wanted) and (name == wanted or name.endswith(f".{wanted}"))


def _split(entry: str) -> tuple[str, int | None]:
    """Split an entry into host and port; an IPv6 address has a port only in brackets."""
    if found := re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", entry):
        return found[1], int(found[2]) if found[2] else None
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        if port.isascii() and port.isdigit() and len(port) <= 5:
            return host, int(port)
    return entry, None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _canonical(host: str) -> str:
    name = host.strip().strip("[]").rstrip(".").lower()
    try:
        return name.encode("idna").decode("ascii") if not name.isascii() else name
    except UnicodeError:
        return name


def _named(variables: Mapping[str, str], name: str) -> tuple[str, str] | None:
    if name in variables:
        return name, variables[name]
    for other, value in variables.items():
        if other.lower() == name and value:
            return other, value
    return None


def schemes_of(headers: Sequence[str]) -> list[str]:
    """Return the schemes that `Proxy-Authenticate` offers, as written there (RFC 9110, section 11.6.1)."""
    found: dict[str, str] = {}
    for header in headers:
        bare = re.sub(r'"[^"]*"', "", header[:4096])
        for item in bare.split(","):
            word = item.strip().partition(" ")[0]
            if word and "=" not in word and word.isprintable():
                found.setdefault(word.lower(), word[:30])
    return list(found.values())[:10]
