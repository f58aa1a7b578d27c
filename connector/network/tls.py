"""The certificate authorities that the connector trusts: the system's, and those of `ca_file`.

The system's are those that OpenSSL finds on Linux (SSL_CERT_FILE and SSL_CERT_DIR override them) and the certificate
stores on Windows. They include a company's authority that is installed there for a proxy that intercepts TLS.
"""

import hashlib
import hmac
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
    """Return the TLS context of a target. Raises `ConnectorError` if `ca_file` has no certificate."""
    if target.pinned is not None:
        return _pinned(target.pinned)
    context = ssl.create_default_context()
    if target.authorities is not None:
        try:
            context.load_verify_locations(cadata=target.authorities)
        except (OSError, ValueError) as fault:
            raise ConnectorError(f"ca_file for {target.url} holds no certificate in PEM: {fault}") from fault
    return context


def unverified() -> ssl.SSLContext:
    """Return a context that verifies nothing. It only serves to read a certificate or a clock; never send secrets with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class PinnedCertificateError(ssl.SSLCertVerificationError):
    """The peer shows another certificate than the accepted one."""

    verify_code = 0
    verify_message = "not the accepted certificate"


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 fingerprint of a certificate in DER, as 64 hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


def _pinned(accepted: str) -> ssl.SSLContext:
    """Return a context that accepts exactly one certificate.

    The certificate is compared at the end of the handshake, before anything is sent.
    """

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = fingerprint(self.getpeercert(binary_form=True) or b"")
            if not hmac.compare_digest(shown, accepted):
                raise PinnedCertificateError(PinnedCertificateError.verify_message)

    context = unverified()
    context.sslobject_class = Pinned
    return context


def variant_of(refused: ssl.SSLCertVerificationError) -> str:
    """Return the variant of the finding that says why a certificate is refused."""
    if isinstance(refused, PinnedCertificateError):
        return "tls-changed"
    if refused.verify_code == EXPIRED:
        return "tls-expired"
    if refused.verify_code == NOT_YET_VALID:
        return "tls-not-yet"
    if refused.verify_code in WRONG_NAME:
        return "tls-name"
    return "tls-foreign-ca"


def described(certificate: x509.Certificate) -> dict[str, str]:
    """Return issuer, subject and dates of a certificate as evidence."""
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
