import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from connector.login import active_directory_secret, internal_secret, uci_token
from wire.bounds import b64url
from wire.pbxkey import MalformedKeyError, grouped, new_key, parse_key
from wire.sealing import CannotOpenError, SealedBox, open_box, public_bytes, seal


def test_a_key_has_160_random_bits_and_reads_back() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(parse_key(grouped(key)) == key for key in keys)


@given(st.integers(0, 35), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_any_single_typo_is_noticed(position: int, char: str) -> None:
    key = new_key()
    typed = key[:position] + char + key[position + 1 :]
    if typed == key:
        assert parse_key(typed) == key
    else:
        # A change of the random part passes only by a chance of one in a million.
        with pytest.raises(MalformedKeyError):
            parse_key(typed)


@pytest.mark.parametrize("typed", ["", "x", "A" * 36, "A" * 35, "A" * 37, "Ä" * 36, "\x00" * 36, "🙂" * 36])
def test_what_is_no_key(typed: str) -> None:
    with pytest.raises(MalformedKeyError):
        parse_key(typed)


def test_digits_that_base32_does_not_have_are_read_as_letters() -> None:
    key = next(key for key in iter(new_key, None) if "O" in key and "I" in key and "B" in key)
    typed = key.replace("O", "0").replace("I", "1").replace("B", "8")
    assert parse_key(typed.lower()) == key


def test_the_vendors_vectors() -> None:
    """Shared facts: secrets that real systems accept."""
    secret = internal_secret("0001", "pds24hmip1ctbogn1l8ujvs5u4", "password")
    assert secret == (
        "0001:8763072240d007e18b92ce58ce76bb244377e1f41bde6811ce7c17adab4977f0"
        "d00502a6a9a1b1d70a51824626b86df82699fe993b458a4818817375078983b3"
    )
    assert uci_token("123", "Pass123") == (
        "123:81d8af78c98b153485f7d48e3437eb735ba37f0f013c5e06ba74536776c5945694e7cde71e2effbed7b5a1d1a4566fad"
        "cd847ef4098c234052fdfd288e8b6ced"
    )
    assert active_directory_secret("0001", "nonce", "password") == "MDAwMW5vbmNlcGFzc3dvcmQ="


def test_a_box_opens_only_for_whom_and_for_what_it_was_sealed() -> None:
    private, key = ec.generate_private_key(ec.SECP256R1()), new_key()
    box = seal(public_bytes(private.public_key()), key, b"secret", b"context")
    assert open_box(private, key, box, b"context") == b"secret"
    wrong = [
        (ec.generate_private_key(ec.SECP256R1()), key, box, b"context"),
        (private, new_key(), box, b"context"),
        (private, key, box, b"another context"),
        (private, key, box.model_copy(update={"nonce": b64url(b"x" * 12)}), b"context"),
        (private, key, box.model_copy(update={"ephemeral_key": b64url(b"\x04" + b"x" * 64)}), b"context"),
        (private, key, SealedBox.model_construct(ephemeral_key="?", nonce="", ciphertext=""), b"context"),
    ]
    for arguments in wrong:
        with pytest.raises(CannotOpenError):
            open_box(*arguments)
