"""Certificates of the simulator, and a port that speaks both TLS and plain HTTP.

Microsoft's client libraries require https, while people and curl prefer http. The first byte distinguishes them
(0x16 opens a TLS handshake, RFC 8446 section 5.1). TLS clients trust `ca.pem` of the state directory, through
SSL_CERT_FILE and REQUESTS_CA_BUNDLE, like any private authority.
"""

import asyncio
import datetime as dt
import ipaddress
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_TLS_HANDSHAKE: Final = b"\x16"


def make_certificates(
    directory: Path,
    until: dt.datetime | None = None,
    since: dt.datetime | None = None,
    name: str | None = None,
) -> None:
    """Create `ca.pem`, and `server.pem` (certificate and key) for this machine's loopback names or only for `name`.
    It is valid for a year, or between given times, which may be in the past or future.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = dt.datetime.now(dt.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PBX for Teams simulator")])
    key_usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        _builder(subject=ca_name, issuer=ca_name, public_key=ca_key.public_key(), now=now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    if name is not None:
        names = [x509.DNSName(name)]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or "localhost")])
    certificate = (
        _builder(
            subject=subject, issuer=ca_name, public_key=key.public_key(), now=now, until=until, since=since
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server = directory / "server.pem"
    server.touch(mode=0o600)
    server.write_bytes(certificate.public_bytes(Encoding.PEM) + pem)


def server_context(directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    until: dt.datetime | None = None,
    since: dt.datetime | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since or (until or now) - dt.timedelta(days=1))
        .not_valid_after(until or (since or now) + dt.timedelta(days=365))
    )


class BothWays:
    """Listens on one port and passes each connection to the plain or the TLS server behind it."""

    def __init__(self, plain_port: int, tls_port: int) -> None:
        self._plain_port = plain_port
        self._tls_port = tls_port
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, host, port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.read(1)
            port = self._tls_port if first == _TLS_HANDSHAKE else self._plain_port
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        far_writer.write(first)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
