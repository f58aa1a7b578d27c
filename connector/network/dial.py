"""Tests the network path layer by layer, as the doctor shows it: addresses, TCP, the proxy's tunnel, TLS.

The only secret that is sent is the login at the proxy. Faults raise `UnreachedError`.
"""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from cryptography import x509

from connector.network import tls
from connector.network.addresses import addresses_of, family_of
from connector.network.faults import (
    CUT,
    UnreachedError,
    is_cut,
    proxy_answer,
    proxy_refused,
    proxy_unreached,
    reason_of,
)
from connector.network.limits import CLOCK, FAMILY_DELAY
from connector.network.proxy import Proxy
from connector.network.target import Target
from core.diagnosis.finding import Finding

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MAX_ADDRESSES: Final = 8
"""Most addresses of a host that are tried for the report."""
FAMILY_SECONDS: Final = 3.0
"""Time-out for an address before its family counts as dead; by then the other family has answered."""
CLOCK_OFF_SECONDS: Final = 120.0
"""Largest tolerated clock error. Certificates and tokens are valid to the minute, so a larger one fails sooner or later."""
RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that shows an earlier time is wrong."""


async def resolve(target: Target) -> list[str]:
    """Return the target's addresses. Raises `UnreachedError`."""
    try:
        return await addresses_of(target.host, target.port, target.limits.connect)
    except OSError as fault:
        raise UnreachedError(target.finding("dns", error=_dns_reason(fault))) from fault


def _dns_reason(fault: OSError) -> str:
    return fault.strerror if fault.strerror and not isinstance(fault, TimeoutError) else reason_of(fault)


async def connect(target: Target, proxy: Proxy | None, address: str | None = None) -> Streams:
    """Open TCP to the target, through the proxy's tunnel if there is one. `address`: use this one of its addresses.

    Raises `UnreachedError`.
    """
    host, port = (proxy.host, proxy.port) if proxy is not None else (address or target.host, target.port)
    try:
        async with asyncio.timeout(target.limits.connect):
            streams = await asyncio.open_connection(host, port, happy_eyeballs_delay=FAMILY_DELAY)
    except OSError as fault:
        if proxy is not None:
            raise UnreachedError(proxy_unreached(target, proxy, fault)) from fault
        raise UnreachedError(target.finding("tcp", error=reason_of(fault))) from fault
    if proxy is not None and target.is_secure:  # plain http goes through a proxy request by request
        try:
            await _tunnel(target, proxy, *streams)
        except BaseException:
            streams[1].close()
            raise
    return streams


async def reach(target: Target, proxy: Proxy | None) -> None:
    """Test TCP. A connection that is accepted and then cut counts as reached; the next step shows what cuts it."""
    try:
        _, writer = await connect(target, proxy)
    except UnreachedError as unreached:
        if unreached.__cause__ is None or not is_cut(unreached.__cause__) or proxy is not None:
            raise
    else:
        writer.close()


async def dead_addresses(target: Target, addresses: list[str]) -> dict[str, str]:
    """Return the unreachable ones of the addresses, each with the reason."""

    async def look(address: str) -> str | None:
        try:
            async with asyncio.timeout(FAMILY_SECONDS):
                _, writer = await connect(target, None, address)
        except TimeoutError as slow:
            return reason_of(slow)
        except UnreachedError as unreached:
            cause = unreached.__cause__
            return None if cause is not None and is_cut(cause) else unreached.finding.evidence["error"]
        writer.close()
        return None

    tried = addresses[:MAX_ADDRESSES]
    reasons = await asyncio.gather(*(look(address) for address in tried))
    return {address: reason for address, reason in zip(tried, reasons, strict=True) if reason is not None}


def dead_family(target: Target, addresses: list[str], dead: dict[str, str]) -> Finding | None:
    """Return a finding if all addresses of one family are dead while the other family works."""
    for family in ("IPv6", "IPv4"):
        of_family = [address for address in addresses[:MAX_ADDRESSES] if family_of(address) == family]
        if of_family and all(one in dead for one in of_family) and len(dead) < len(addresses):
            return target.finding(
                "family", family=family, addresses=", ".join(of_family), error=dead[of_family[0]]
            )
    return None


async def _tunnel(
    target: Target, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Open a tunnel with CONNECT (RFC 9110, section 9.3.6)."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [f"CONNECT {host}:{target.port} HTTP/1.1", f"Host: {host}:{target.port}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        async with asyncio.timeout(target.limits.connect):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as fault:
        reason = reason_of(fault) if isinstance(fault, OSError) else CUT
        raise UnreachedError(proxy_refused(target, proxy, reason)) from fault
    first, _, fields = head.partition("\r\n")
    status = first.split(" ")[1] if first.startswith("HTTP/") and " " in first else ""
    if not status.isascii() or not status.isdigit():
        raise UnreachedError(proxy_refused(target, proxy, "no HTTP"))
    if int(status) == 200:
        return
    pairs = [line.partition(":") for line in fields.split("\r\n")]
    offered = [value.strip() for name, _, value in pairs if name.strip().lower() == "proxy-authenticate"]
    reason = first.split(" ", 2)[2] if first.count(" ") > 1 else ""
    raise UnreachedError(
        proxy_answer(target=target, proxy=proxy, status=int(status), reason=reason, authenticate=offered)
    )


async def handshake(target: Target, proxy: Proxy | None, context: ssl.SSLContext) -> dict[str, str]:
    """Test TLS, verified as the connector does it, and return the TLS version and a description of the certificate.

    As in aiohttp, only the address that answers first is used: the other family is no way around a wrong certificate.
    Raises `UnreachedError`.
    """
    try:
        _, writer = await connect(target, proxy)
    except UnreachedError as unreached:
        if unreached.__cause__ is not None and is_cut(unreached.__cause__):
            raise UnreachedError(target.finding("tls", error=CUT)) from unreached
        raise
    try:
        async with asyncio.timeout(target.limits.connect):
            await writer.start_tls(context, server_hostname=target.host)
        secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        return {"version": secured.version() or "", **tls.described(certificate)}
    except ssl.SSLCertVerificationError as refused:
        raise UnreachedError(await certificate_refused(target, proxy, refused)) from refused
    except OSError as fault:
        raise UnreachedError(target.finding("tls", error=reason_of(fault))) from fault
    except ValueError as odd:  # OpenSSL accepted a certificate that cannot be parsed
        return {"version": "", "issuer": type(odd).__name__}
    finally:
        writer.close()


async def certificate_refused(
    target: Target, proxy: Proxy | None, refused: ssl.SSLCertVerificationError
) -> Finding:
    """Explain why a certificate is refused. If its dates are the reason, check our clock against the service's first."""
    variant = tls.variant_of(refused)
    if variant in ("tls-expired", "tls-not-yet") and not target.is_on_site:
        there = await time_of(target, proxy)
        wrong = wrong_clock(target, datetime.now(UTC), there)
        if wrong is not None:
            return wrong
    evidence = {"error": refused.verify_message}
    looked = await _certificate(target, proxy)
    if looked is not None:
        certificate, address = looked
        evidence |= tls.described(certificate)
        if proxy is None and address != target.host:  # one of several addresses may lead elsewhere
            evidence["error"] += f", at {address}"
    return target.finding(variant, **evidence)


async def shown_certificate(target: Target, proxy: Proxy | None) -> x509.Certificate | None:
    """Return the certificate that the target shows, unverified, for a person who compares it. None if there is none."""
    looked = await _certificate(target, proxy)
    return looked[0] if looked is not None else None


async def _certificate(target: Target, proxy: Proxy | None) -> tuple[x509.Certificate, str] | None:
    """As it is, without a judgement, to show who made it; and the address that shows it."""
    with suppress(UnreachedError, OSError, ValueError):
        async with asyncio.timeout(CLOCK.whole):
            _, writer = await connect(target, proxy)
            try:
                address = str(writer.get_extra_info("peername", ("?",))[0])
                await writer.start_tls(tls.unverified(), server_hostname=target.host)
                secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
                return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b""), address
            finally:
                writer.close()
    return None


def wrong_clock(target: Target, here: datetime, there: datetime | None) -> Finding | None:
    """Return a finding if our clock `here` is wrong, else None. `there`: the service's time, None if unknown."""
    if here < RELEASED and there is None:
        return target.finding("clock", here=f"{here:%Y-%m-%d %H:%M} UTC", there="?")
    if there is None or abs((here - there).total_seconds()) <= CLOCK_OFF_SECONDS:
        return None
    return target.finding("clock", here=f"{here:%Y-%m-%d %H:%M} UTC", there=f"{there:%Y-%m-%d %H:%M} UTC")


async def time_of(target: Target, proxy: Proxy | None) -> datetime | None:
    """Return the time from the `Date` header of an answer of the host, or None. The certificate is not verified, because a
    wrong clock here would refuse it; only the time is used.
    """
    with suppress(
        UnreachedError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
    ):
        async with asyncio.timeout(CLOCK.whole):
            reader, writer = await connect(target, proxy)
            try:
                if target.is_secure:
                    await writer.start_tls(tls.unverified(), server_hostname=target.host)
                path = "/healthz" if target.is_secure or proxy is None else f"{target.url}/healthz"
                lines = [f"HEAD {path} HTTP/1.1", f"Host: {target.host}", "Connection: close"]
                if not target.is_secure and proxy is not None:
                    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            finally:
                writer.close()
            for line in head.split("\r\n"):
                name, _, value = line.partition(":")
                if name.lower() == "date":
                    return parsedate_to_datetime(value.strip()).astimezone(UTC)
    return None


async def walk(target: Target, proxy: Proxy | None, context: ssl.SSLContext) -> None:
    """Test all layers in order. Raises `UnreachedError` at the first that fails."""
    if proxy is None:
        await resolve(target)
    await reach(target, proxy)
    if target.is_secure:
        await handshake(target, proxy, context)
