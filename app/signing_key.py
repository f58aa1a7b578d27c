"""The vendor's signing key for licence keys: from a PEM file, or from a secret of an Azure Key Vault.

Key Vault's own keys are RSA and EC (learn.microsoft.com, "About keys"): none of them signs with Ed25519. So the
private key lies in the vault as a secret, in PEM, and is held in memory only while one licence key is signed.
"""

from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class NoSigningKeyError(Exception):
    """The message says what is wrong and what to do."""


def from_file(path: Path) -> Ed25519PrivateKey:
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise NoSigningKeyError(f"cannot read {path}: {fault.strerror}") from fault
    return _read(content, str(path))


def from_vault(vault_url: str, name: str, **client_options: Any) -> Ed25519PrivateKey:
    """`client_options`: for `SecretClient`, for instance a credential other than the environment's."""
    options = {"credential": DefaultAzureCredential(), **client_options}
    try:
        with SecretClient(vault_url, **options) as client:
            value = client.get_secret(name).value
    except ResourceNotFoundError as fault:
        raise NoSigningKeyError(f"{vault_url} has no secret {name!r}") from fault
    except ClientAuthenticationError as fault:
        raise NoSigningKeyError(
            f"{vault_url} does not let you in: sign in with 'az login', and have the role Key Vault Secrets User"
        ) from fault
    except (AzureError, ValueError) as fault:
        raise NoSigningKeyError(
            f"{vault_url} cannot be asked: {str(fault).splitlines()[0] if str(fault) else fault!r}"
        ) from fault
    return _read((value or "").encode(), f"the secret {name!r}")


def _read(content: bytes, where: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise NoSigningKeyError(f"{where} is not a private key in PEM, or it has a password") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise NoSigningKeyError(
            f"{where} is not an Ed25519 key (make one: openssl genpkey -algorithm ed25519)"
        )
    return key
