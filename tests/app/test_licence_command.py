"""`pbx-teams licence`: issued keys read back, and every reason for a refusal is named."""

import asyncio
import json
from io import BytesIO
from pathlib import Path

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from requests import Response, Session
from requests.adapters import BaseAdapter

from app import cli, key_vault
from app.signing_key import NoSigningKeyError, from_file
from core.licensing.licence_key import InvalidLicenceKeyError, read
from tests.support.book import Book

SETTINGS = {
    "PBX_TEAMS_PUBLIC_URL": "https://x.example.com",
    "PBX_TEAMS_KEY_PEPPER": "p" * 32,
    "PBX_TEAMS_APP_ID": "00000000-0000-0000-0000-000000000001",
    "PBX_TEAMS_APP_TENANT_ID": "00000000-0000-0000-0000-000000000002",
    "PBX_TEAMS_TEAMS_APP_ID": "00000000-0000-0000-0000-000000000003",
    "PBX_TEAMS_APP_PASSWORD": "secret",
}


@pytest.fixture
def signing_key(tmp_path: Path) -> Path:
    path = tmp_path / "vendor.pem"
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def run_one(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["licence", *arguments])
        captured = capsys.readouterr()
        return code, captured.out.strip(), captured.err.strip()

    return run_one


@pytest.fixture
def issue(run, signing_key: Path):
    def issue_one(*more: str) -> str:
        code, out, err = run(
            *("issue", "--serial", "S-1", "--licensee", "Müller & Söhne", "--seats", "5", "--kid", "k1"),
            *("--signing-key", str(signing_key), *more),
        )
        assert code == 0, err
        return out

    return issue_one


@pytest.fixture
def vendors(run, signing_key: Path) -> str:
    return json.dumps({"k1": run("vendor-key", "--signing-key", str(signing_key))[1]})


def test_what_was_issued_is_accepted(run, issue, vendors: str) -> None:
    code, out, _ = run("inspect", issue(), "--vendor-keys", vendors)
    assert code == 0 and "Müller" in json.loads(out[: out.rindex("}") + 1])["content"]["licensee"]
    assert "would be accepted" in out


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (("--from", "2020-01-01", "--until", "2020-12-31"), "key-expired"),
        (("--from", "2090-01-01", "--until", "2090-12-31"), "key-not-yet-valid"),
    ],
)
def test_outside_its_time(run, issue, vendors: str, more: tuple[str, ...], fault: str) -> None:
    code, out, _ = run("inspect", issue(*more), "--vendor-keys", vendors)
    assert code == 1 and f"would be refused: {fault}: " in out


def test_forged_and_foreign_keys(run, issue, vendors: str) -> None:
    good = issue()
    header, payload, signature = good.split(".")
    forged = f"{header}.{payload}.{'A' * len(signature)}"
    assert "bad-signature" in run("inspect", forged, "--vendor-keys", vendors)[1]
    assert "unknown-vendor-key" in run("inspect", good, "--vendor-keys", "{}")[1]
    assert "not-a-jws" in run("inspect", "nonsense", "--vendor-keys", vendors)[1]


def test_every_reason_is_reported_not_only_the_first(run, issue) -> None:
    expired = issue("--from", "2020-01-01", "--until", "2020-12-31")
    out = run("inspect", expired, "--vendor-keys", "{}")[1]
    assert "unknown-vendor-key" in out and "key-expired: was valid until 2020-12-31" in out


@pytest.mark.parametrize(
    "payload", [b"[" * 3000, b'"x"', b"null", b'{"seats":' + b"9" * 5000 + b"}", b"\xff"]
)
def test_a_signed_text_that_is_no_licence_is_reported_without_a_traceback(
    run, vendors: str, signing_key: Path, payload: bytes
) -> None:
    key = load_pem_private_key(signing_key.read_bytes(), None)
    headers = {"kid": "k1", "typ": "pbx-licence"}
    text = jwt.api_jws.encode(payload, key, algorithm="EdDSA", headers=headers)
    status, told = run("inspect", text, "--vendor-keys", vendors)[:2]
    assert status == 1 and ("bad-content" in told or "not-a-jws" in told)
    with pytest.raises(InvalidLicenceKeyError):
        read("\ud800" + text, {})


@pytest.mark.parametrize("written", ["[]", "null", "{", '{"k1": 5}', '{"k1": ["x"]}', '"x"', "[" * 100_000])
def test_vendor_keys_that_are_none_are_reported_in_one_line(run, capsys, written: str) -> None:
    with pytest.raises(SystemExit):
        run("inspect", "x", "--vendor-keys", written)
    assert "--vendor-keys" in capsys.readouterr().err


class Vault(BaseAdapter):
    """The wire of a Key Vault (learn.microsoft.com, "Get Secret"), below Microsoft's own client."""

    def __init__(self, status: int, body: dict) -> None:
        super().__init__()
        self.status, self.body, self.asked = status, body, []

    def send(self, request, **_options):
        self.asked.append(request)
        answer = Response()
        answer.request, answer.url = request, request.url
        answer.status_code, answer.raw = self.status, BytesIO(json.dumps(self.body).encode())
        answer.headers["Content-Type"] = "application/json"
        if "Authorization" not in request.headers:
            where = 'authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"'
            answer.status_code, answer.headers["WWW-Authenticate"] = 401, f"Bearer {where}"
        return answer

    def close(self) -> None: ...

    def client_options(self) -> dict:
        session = Session()
        session.mount("https://", self)
        return {"credential": Identity(), "transport": RequestsTransport(session=session), "retry_total": 0}


class Identity:
    def get_token(self, *_scopes, **_options) -> AccessToken:
        return AccessToken("a-token", 4_000_000_000)


def test_the_signing_key_comes_from_a_vault(signing_key: Path) -> None:
    vault = Vault(200, {"value": signing_key.read_text(), "id": "https://v.vault.azure.net/secrets/vendor/1"})
    key = key_vault.read("https://v.vault.azure.net", "vendor", **vault.client_options())
    assert key.private_bytes_raw() == from_file(signing_key).private_bytes_raw()
    assert vault.asked[-1].url.startswith("https://v.vault.azure.net/secrets/vendor")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, {"error": {"code": "SecretNotFound", "message": "x"}}, "has no secret 'vendor'"),
        (403, {"error": {"code": "Forbidden", "message": "no role"}}, "cannot be asked"),
        (200, {"value": "no pem", "id": "https://v.vault.azure.net/secrets/vendor/1"}, "not a private key"),
    ],
)
def test_what_a_vault_refuses_is_reported(status: int, body: dict, message: str) -> None:
    with pytest.raises(NoSigningKeyError, match=message):
        key_vault.read("https://v.vault.azure.net", "vendor", **Vault(status, body).client_options())


def test_a_key_is_released_by_command(
    run, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fill() -> None:
        book = await Book(database_url).open()
        await book.put(2, "S-9")
        await book.take(1)
        await book.close()

    asyncio.run(fill())
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert run("release", "none")[0] == 1
    code, _, err = run("release", "S-9")
    assert code == 1 and "1 sessions hold seats" in err
    code, out, _ = run("release", "S-9", "--end-sessions")
    assert code == 0 and "no longer bound to a PBX" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seats", "0"), "seats"),
        (("--seats", "10000000"), "seats"),
        (("--serial", ""), "serial"),
        (("--from", "2026-02-01", "--until", "2026-01-01"), "until comes before from"),
        (("--signing-key", "/nowhere/key.pem"), "cannot read"),
    ],
)
def test_mistakes_are_reported_in_one_line(
    run, signing_key: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(
        *("issue", "--serial", "S-1", "--licensee", "L", "--seats", "5", "--kid", "k1"),
        *("--signing-key", str(signing_key), *arguments),
    )
    assert (code, out) == (1, "") and message in err and "Traceback" not in err


def test_a_key_of_another_kind_cannot_sign(run, tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    code, _, err = run("vendor-key", "--signing-key", str(path))
    assert code == 1 and "not an Ed25519 key" in err
