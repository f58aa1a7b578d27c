"""Removes secrets from texts that leave this machine: the log that the module page shows, and the support file."""

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

REMOVED: Final = "[removed]"
MIN_CHARS: Final = 4
"""Shorter secrets are not looked for: removing each "1" of a text would make it unreadable, and show what they are."""

_LOOKS_SECRET: Final = re.compile(
    r"(?:[A-Z2-7]{4}-){8}[A-Z2-7]{4}"  # a PBX key
    r"|\b[0-9a-fA-F]{64,}\b"  # a hash of a password, a token of UCI
    r"|\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"  # a licence key, a token
    # A private key with its headers (RFC 7468, RFC 1421), whole or cut off. Only what can belong to it goes, and nothing is
    # required after it, so the time stays linear.
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?:Proc-Type|DEK-Info):[^\n]{0,100}+|[A-Za-z0-9+/=\s\\])*+"
    r"|(?<=://)[^\s/@]{1,200}@"  # user and password in an address
)


def _forms(secret: str) -> set[str]:
    """Return how a secret may appear in a text: as it is, in JSON or another escaped text, and in an address."""
    escaped = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return {secret, *escaped, unquote(secret), quote(secret, safe=""), repr(secret)[1:-1]}


class SecretRemover:
    """Removes the secrets of this connector, and what looks like one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        known = sorted((one for one in forms if len(one) >= MIN_CHARS), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def remove(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        return _LOOKS_SECRET.sub(REMOVED, text)
