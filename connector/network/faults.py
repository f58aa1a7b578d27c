"""Turns network faults into findings, in the same way for link, REST and doctor."""

import errno
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from connector.network.proxy import Proxy, ProxySettingError, schemes_of
from connector.network.target import Target
from core.diagnosis.finding import Finding, Role, explain
from core.language import Language
from wire import outbound
from wire.bounds import clean_line

IN_TIME: Final = "no answer in time"
CUT: Final = "the connection is cut"
MAX_WORD: Final = 80
_CUT_AT_ONCE: Final = (errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE, errno.ECONNABORTED)
_HELD_UP: Final = (aiohttp.WSCloseCode.GOING_AWAY, aiohttp.WSCloseCode.TRY_AGAIN_LATER)

NETWORK_FAULTS: Final = (aiohttp.ClientError, OSError, ProxySettingError)
"""The errors of a request that got no answer. `TimeoutError` is an `OSError`."""


class UnreachedError(Exception):
    """The target cannot be reached; the finding says where the path ends and what to do."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(words_of(finding))


def words_of(finding: Finding, *, with_cure: bool = False) -> str:
    """Return the text that the doctor prints about a finding, for log and status page."""
    explanation = explain(finding, Language.EN, Role.ADMINISTRATOR)
    said = f"{explanation.title}. {explanation.detail}"
    return f"{said} {explanation.cure}" if with_cure else said


def reason_of(fault: BaseException) -> str:
    """Return the system's words for a fault, without memory addresses and without text from the peer."""
    if isinstance(fault, TimeoutError):
        return IN_TIME
    if isinstance(fault, ssl.SSLError):
        return clean_line(fault.reason or type(fault).__name__, MAX_WORD)
    if is_cut(fault):
        return CUT
    number = getattr(fault, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    several = dict.fromkeys(os.strerror(int(one)) for one in re.findall(r"\[Errno (\d{1,4})\]", str(fault)))
    if several:
        return ", ".join(several)
    return clean_line(getattr(fault, "strerror", None) or type(fault).__name__, MAX_WORD)


def is_cut(fault: BaseException) -> bool:
    """Return whether the connection was accepted and then cut: the peer speaks another protocol, or a proxy forbids it."""
    if isinstance(fault, ssl.SSLError):
        return False
    return isinstance(fault, ConnectionResetError | ConnectionAbortedError | BrokenPipeError) or (
        getattr(fault, "errno", None) in _CUT_AT_ONCE
    )


def word_of(fault: BaseException) -> str:
    """Return a short reason why a WebSocket cannot be opened although the path works."""
    if isinstance(fault, TimeoutError):
        return IN_TIME
    inner = getattr(fault, "os_error", fault)
    if isinstance(fault, aiohttp.ServerDisconnectedError) or is_cut(inner):
        return CUT
    return type(fault).__name__


def proxy_unusable(target: Target, fault: ProxySettingError) -> Finding:
    return target.finding("proxy-setting", source=fault.source, reason=fault.reason)


def proxy_unreached(target: Target, proxy: Proxy, fault: BaseException) -> Finding:
    return target.finding("proxy-unreachable", proxy=proxy.shown, source=proxy.source, error=reason_of(fault))


def proxy_refused(target: Target, proxy: Proxy, reason: str) -> Finding:
    return target.finding("proxy-refuses", proxy=proxy.shown, source=proxy.source, error=reason)


def proxy_answer(
    target: Target, proxy: Proxy, status: int, reason: str, authenticate: Sequence[str]
) -> Finding:
    """Return the finding for a proxy's refusal. For a 407 its schemes decide, because the connector supports only Basic."""
    if status != 407:
        return proxy_refused(target, proxy, clean_line(f"{status} {reason}", MAX_WORD))
    schemes = schemes_of(authenticate)
    shown = {"proxy": proxy.shown, "source": proxy.source, "schemes": ", ".join(schemes)}
    if schemes and "basic" not in [scheme.lower() for scheme in schemes]:
        return target.finding("proxy-scheme", **shown)
    return target.finding("proxy-auth" if proxy.credentials is None else "proxy-password", **shown)


def handshake_answer(target: Target, status: int, headers: Mapping[str, str] | None) -> Finding:
    """Return the finding for an HTTP answer that came instead of a WebSocket."""
    headers = CIMultiDict(headers or {})
    shown = {"status": status, "server": clean_line(headers.get("Server", "?"), MAX_WORD)}
    if status == 511:  # RFC 6585, section 6: the network requires a sign-in first
        return target.finding("sign-in-page", **shown)
    if status in (200, 404, 405):
        return target.finding("not-the-service", **shown)
    if status in (502, 503, 504):
        return target.finding("stopping", **shown)
    return target.finding("websocket", **shown)


def no_greeting(target: Target, close_code: int | None, word: str = "-") -> Finding:
    """Return the finding for a WebSocket that opened without the service's first message."""
    variant = "stopping" if close_code in _HELD_UP else "websocket"
    return target.finding(variant, status=close_code or "-", server=word)


def finding_of(target: Target, proxy: Proxy | None, fault: BaseException) -> Finding | None:
    """Return the finding for a fault of the HTTP client or of a socket. None if the fault alone does not show it: a
    time-out, a connection that is cut behind a proxy, a certificate that must be examined.
    """
    if isinstance(fault, UnreachedError):
        return fault.finding
    if isinstance(fault, ProxySettingError):
        return proxy_unusable(target, fault)
    if isinstance(fault, outbound.RedirectedError):
        return target.finding("redirect", location=fault.location)
    is_of_the_proxy = isinstance(fault, aiohttp.ClientHttpProxyError) or (
        isinstance(fault, aiohttp.WSServerHandshakeError) and fault.status == 407 and not target.is_secure
    )
    if isinstance(fault, aiohttp.ClientResponseError) and is_of_the_proxy and proxy is not None:
        headers = CIMultiDictProxy(CIMultiDict(fault.headers or {}))
        offered = headers.getall("Proxy-Authenticate", [])
        return proxy_answer(
            target=target, proxy=proxy, status=fault.status, reason=fault.message, authenticate=offered
        )
    if isinstance(fault, aiohttp.WSServerHandshakeError):
        return handshake_answer(target, fault.status, fault.headers)
    if isinstance(fault, aiohttp.ClientProxyConnectionError) and proxy is not None:
        return proxy_unreached(target, proxy, fault.os_error)
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        if proxy is not None:
            return proxy_unreached(target, proxy, fault.os_error)
        return target.finding("dns", error=reason_of(fault.os_error))
    if isinstance(fault, aiohttp.ClientConnectorSSLError):
        return target.finding("tls", error=reason_of(fault.os_error))
    if isinstance(fault, aiohttp.ClientConnectorError) and not isinstance(fault, aiohttp.ClientSSLError):
        if is_cut(fault.os_error) and not target.is_secure and proxy is None:
            return None  # accepted, then cut before or after aiohttp noticed the acceptance
        # It is a fault of TLS if it came later than TCP: behind a proxy, after the tunnel; directly, an open connection
        # that was cut.
        is_later = target.is_secure and (proxy is not None or is_cut(fault.os_error))
        return target.finding("tls" if is_later else "tcp", error=reason_of(fault.os_error))
    return None
