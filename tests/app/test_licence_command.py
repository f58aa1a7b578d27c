"""`pbx-teams licence`: issued keys read back, and every reason for a refusal is named."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app import cli


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
    assert out.endswith("would be accepted")


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (("--from", "2020-01-01", "--until", "2020-12-31"), "key-expired"),
        (("--from", "2090-01-01", "--until", "2090-12-31"), "key-not-yet-valid"),
    ],
)
def test_outside_its_time(run, issue, vendors: str, more: tuple[str, ...], fault: str) -> None:
    code, out, _ = run("inspect", issue(*more), "--vendor-keys", vendors)
    assert code == 1 and out.endswith(f"would be refused: {fault}")


def test_forged_and_foreign_keys(run, issue, vendors: str) -> None:
    good = issue()
    header, payload, signature = good.split(".")
    forged = f"{header}.{payload}.{'A' * len(signature)}"
    assert run("inspect", forged, "--vendor-keys", vendors)[1].endswith("bad-signature")
    assert run("inspect", good, "--vendor-keys", "{}")[1].endswith("unknown-vendor-key")
    assert run("inspect", "nonsense", "--vendor-keys", vendors)[1].endswith("not-a-jws")


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
def test_mistakes_are_told_in_one_line(
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
