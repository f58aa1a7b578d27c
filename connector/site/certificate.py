"""The certificate of the pages over the network: the connector makes it itself, and people compare its fingerprint."""

import datetime as dt
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from connector.network import tls
from connector.site.security import own_names
from connector.state import ConnectorState

FILE: Final = "page-certificate.pem"
DAYS: Final = 3650
RENEW_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class SiteCertificate:
    context: ssl.SSLContext
    fingerprint: str
    """SHA-256, in pairs with colons, as browsers show it."""
    host: str
    """A name of this machine, for the link."""


def site_certificate(state: ConnectorState) -> SiteCertificate:
    """Return the certificate of the state directory; make one if there is none or it ends soon. Raises `ConnectorError`."""
    content = state.read(FILE)
    certificate = _usable(content)
    if certificate is None:
        content = _made()
        state.write(FILE, content)
        certificate = x509.load_pem_x509_certificate(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.directory / FILE)
    digits = tls.fingerprint(certificate.public_bytes(Encoding.DER)).upper()
    shown = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    return SiteCertificate(context, shown, socket.getfqdn())


def _usable(content: bytes) -> x509.Certificate | None:
    try:
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError:
        return None
    ends = certificate.not_valid_after_utc - dt.timedelta(days=RENEW_DAYS)
    return certificate if dt.datetime.now(dt.UTC) < ends else None


def _made() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pbx-connector")])
    now = dt.datetime.now(dt.UTC)
    hosts: list[x509.GeneralName] = [
        x509.DNSName(one) for one in sorted({*own_names(), "localhost"}) if _is_dns(one)
    ]
    hosts.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + pem


def _is_dns(name: str) -> bool:
    return name.isascii() and not name.replace(".", "").isdigit()
