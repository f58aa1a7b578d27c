"""The way to a host, layer by layer: name, proxy, TCP, TLS. Each layer's faults have their own word."""

import asyncio
import base64
import ipaddress
import socket
import ssl
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from connector.doctor.steps import FoundError
from core.diagnosis.codes import Code

SECONDS: Final = 5.0
MAX_HEAD: Final = 64 * 1024

# OpenSSL's numbers (x509_vfy.h): X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED; hostname and address mismatch.
_OUT_OF_TIME: Final = (9, 10)
_WRONG_NAME: Final = (62, 64)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached, and the code under which a fault on the way is told."""

    url: str
    code: Code

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    def fault(self, variant: str, **evidence: object) -> FoundError:
        return FoundError(self.code, variant, host=self.host, port=self.port, **evidence)


@dataclass(frozen=True, slots=True)
class Proxy:
    host: str
    port: int
    credentials: str | None = None
    """`user:password`, never shown."""

    @property
    def shown(self) -> str:
        return f"{self.host}:{self.port}"


def proxy_of(target: Target) -> Proxy | None:
    """The proxy that the environment names for it (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), as aiohttp reads it."""
    if urllib.request.proxy_bypass(target.host):
        return None
    url = urllib.request.getproxies().get("https" if target.is_secure else "http")
    if not url:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    credentials = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(parts.hostname or "", parts.port or 8080, credentials)


async def resolve(target: Target) -> list[str]:
    try:
        return [str(ipaddress.ip_address(target.host))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SECONDS):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        reason = fault.strerror if isinstance(fault, socket.gaierror) else type(fault).__name__
        raise target.fault("dns", error=reason or "") from fault
    except TimeoutError as slow:
        raise target.fault("dns", error="no answer in time") from slow
    return sorted({str(info[4][0]) for info in found})


async def has_address(target: Target) -> tuple[list[str], dict[str, str]]:
    """A step: the host's addresses, and what is shown of them."""
    addresses = await resolve(target)
    return addresses, {"host": target.host, "addresses": ", ".join(addresses)}


async def is_reached(target: Target, proxy: Proxy | None) -> tuple[bool, dict[str, str]]:
    """A step: TCP to the target."""
    _, writer = await connect(target, proxy)
    writer.close()
    return True, {"host": target.host, "port": str(target.port)}


async def connect(target: Target, proxy: Proxy | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """TCP to the target, through the proxy if there is one."""
    host, port = (proxy.host, proxy.port) if proxy is not None else (target.host, target.port)
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as fault:
        reason = "no answer in time" if isinstance(fault, TimeoutError) else (fault.strerror or str(fault))
        if proxy is not None:
            raise target.fault("proxy-unreachable", proxy=proxy.shown, error=reason) from fault
        raise target.fault("tcp", error=reason) from fault
    if proxy is not None and target.is_secure:  # plain http goes through a proxy request by request
        try:
            await _tunnel(target, proxy, reader, writer)
        except BaseException:
            writer.close()
            raise
    return reader, writer


async def _tunnel(
    target: Target, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """CONNECT (RFC 9110, section 9.3.6)."""
    lines = [f"CONNECT {target.host}:{target.port} HTTP/1.1", f"Host: {target.host}:{target.port}"]
    if proxy.credentials is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.credentials.encode()).decode()}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        async with asyncio.timeout(SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as fault:
        raise target.fault("proxy-refuses", proxy=proxy.shown, error=type(fault).__name__) from fault
    status = head.split(" ", 2)[1] if head.startswith("HTTP/") and " " in head else "?"
    if status == "407":
        raise target.fault("proxy-auth", proxy=proxy.shown)
    if not status.startswith("2"):
        raise target.fault("proxy-refuses", proxy=proxy.shown, error=head.splitlines()[0][:100])


async def handshake(target: Target, proxy: Proxy | None, context: ssl.SSLContext) -> dict[str, str]:
    """TLS, verified as the connector does it; a certificate that is refused is fetched again to be described."""
    _, writer = await connect(target, proxy)
    try:
        async with asyncio.timeout(SECONDS):
            await writer.start_tls(context, server_hostname=target.host)
        secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        return {"version": secured.version() or "", **_described(certificate)}
    except ssl.SSLCertVerificationError as refused:
        raise await _refused(target, proxy, refused) from refused
    except (ssl.SSLError, OSError, TimeoutError) as fault:
        reason = getattr(fault, "reason", None) or type(fault).__name__
        raise target.fault("tls", error=reason) from fault
    finally:
        writer.close()


async def _refused(target: Target, proxy: Proxy | None, refused: ssl.SSLCertVerificationError) -> FoundError:
    evidence = {"error": refused.verify_message}
    certificate = await _certificate(target, proxy)
    if certificate is not None:
        evidence |= _described(certificate)
    if refused.verify_code in _OUT_OF_TIME:
        return target.fault("tls-expired", **evidence)
    if refused.verify_code in _WRONG_NAME:
        return target.fault("tls-name", **evidence)
    return target.fault("tls-foreign-ca", **evidence)


async def _certificate(target: Target, proxy: Proxy | None) -> x509.Certificate | None:
    """As it is, without a judgement, to show who made it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(FoundError, OSError, TimeoutError, ValueError):
        _, writer = await connect(target, proxy)
        try:
            async with asyncio.timeout(SECONDS):
                await writer.start_tls(context, server_hostname=target.host)
            secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
            return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        finally:
            writer.close()
    return None


def _described(certificate: x509.Certificate) -> dict[str, str]:
    return {
        "issuer": _common_name(certificate.issuer),
        "subject": _common_name(certificate.subject),
        "until": f"{certificate.not_valid_after_utc:%Y-%m-%d}",
    }


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME) or name.get_attributes_for_oid(
        NameOID.ORGANIZATION_NAME
    )
    return str(found[0].value) if found else name.rfc4514_string()


async def time_of(target: Target, proxy: Proxy | None) -> datetime | None:
    """The `Date` of any answer of the host: a clock that is not ours. Its certificate is not looked at, because a
    wrong clock of our own would refuse it; nothing but the time is taken.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(FoundError, OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        reader, writer = await connect(target, proxy)
        try:
            async with asyncio.timeout(SECONDS):
                if target.is_secure:
                    await writer.start_tls(context, server_hostname=target.host)
                request = f"HEAD /healthz HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        finally:
            writer.close()
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "date":
                return parsedate_to_datetime(value.strip()).astimezone(UTC)
    return None
