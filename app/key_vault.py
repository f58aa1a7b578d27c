"""Reads the vendor's signing key from a secret in an Azure Key Vault.

Key Vault's own keys are RSA and EC (learn.microsoft.com, "About keys") and cannot sign with Ed25519. So the private key is
stored in the vault as a secret, in PEM, and is in memory only while a licence key is signed.
"""

from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.signing_key import NoSigningKeyError, parse


def read(vault_url: str, name: str, **client_options: Any) -> Ed25519PrivateKey:
    """Return the key in the secret `name`. Raises `NoSigningKeyError`.

    `client_options` are passed to `SecretClient`, for instance another credential than the environment's.
    """
    options = {"credential": DefaultAzureCredential(), "permit_redirects": False, **client_options}
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
    return parse((value or "").encode(), f"the secret {name!r}")
