"""Whom the connector trusts: the system's authorities, and those of `ca_file` beside them.

The system's are what OpenSSL finds on Linux (SSL_CERT_FILE and SSL_CERT_DIR lead elsewhere) and the certificate stores on
Windows; a company's authority that is installed there, for a proxy that opens TLS, counts.
"""

import ssl
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from connector.errors import ConnectorError
from connector.network.target import Target

# OpenSSL's numbers (x509_vfy.h): X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED; hostname and address mismatch.
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
WRONG_NAME: Final = (62, 64)


def context_for(target: Target) -> ssl.SSLContext:
    """Raises `ConnectorError` when `ca_file` holds no certificate."""
    context = ssl.create_default_context()
    if target.authorities is not None:
        try:
            context.load_verify_locations(cadata=target.authorities)
        except (OSError, ValueError) as fault:
            raise ConnectorError(f"ca_file for {target.url} holds no certificate in PEM: {fault}") from fault
    return context


def unverified() -> ssl.SSLContext:
    """To look at a certificate, or at a clock, and never to send anything that is secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def variant_of(refused: ssl.SSLCertVerificationError) -> str:
    """Which words tell why a certificate is refused."""
    if refused.verify_code == EXPIRED:
        return "tls-expired"
    if refused.verify_code == NOT_YET_VALID:
        return "tls-not-yet"
    if refused.verify_code in WRONG_NAME:
        return "tls-name"
    return "tls-foreign-ca"


def described(certificate: x509.Certificate) -> dict[str, str]:
    return {
        "issuer": _common_name(certificate.issuer),
        "subject": _common_name(certificate.subject),
        "from": f"{certificate.not_valid_before_utc:%Y-%m-%d}",
        "until": f"{certificate.not_valid_after_utc:%Y-%m-%d}",
    }


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME) or name.get_attributes_for_oid(
        NameOID.ORGANIZATION_NAME
    )
    return str(found[0].value) if found else name.rfc4514_string()
