"""What people paste, and the hosts and addresses that they write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from wire.hosts import checked_url, crosses_in_clear, is_loopback
from wire.pasted import host_of, letters_and_digits, token
from wire.pbx_name import TypedPbxName

NAME = TypeAdapter(TypedPbxName)


@pytest.mark.parametrize(
    "pasted",
    [
        "pbx.example.com",
        " PBX.Example.com. ",
        "https://pbx.example.com/",
        "https://pbx.example.com:443/login?x=1#top",
        "http://PBX.example.com",
        "pbx.example.com:443",
        "pbx.example.com/",
        "pbx.example.com/rest",
        "„pbx.example.com“",
        "\u200bpbx.example.com\u00a0",
        "\u201chttps://pbx.example.com\u201d",
    ],
)
def test_a_pasted_address_is_taken_for_the_name_in_it(pasted: str) -> None:
    assert NAME.validate_python(pasted) == "pbx.example.com"


@pytest.mark.parametrize(
    "pasted", ["", "https://", "/", ":443", "two names", "a\nb", "a\\b", "user@pbx.example.com"]
)
def test_what_holds_no_host_is_refused(pasted: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(pasted)


@given(st.text(max_size=100))
def test_any_text_has_a_host_or_none(text: str) -> None:
    assert "/" not in host_of(text)


def test_codes_and_tokens_lose_what_came_along() -> None:
    assert letters_and_digits(" “AB\u00adCD–EF\u200bGH” ") == "ABCDEFGH"
    assert token("“eyJh.\neyJz\u200b. a-b_c” ") == "eyJh.eyJz.a-b_c"


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        *(
            (host, True)
            for host in ("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]")
        ),
        ("::ffff:127.0.0.1", True),
        *(
            (host, False)
            for host in ("", "192.0.2.1", "127.0.0.1.example.com", "localhost.example.com", "0.0.0.0")
        ),
        *((host, False) for host in ("::", "127.1", "2130706433")),
    ],
)
def test_what_is_this_machine(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here


@pytest.mark.parametrize(
    ("url", "is_clear"),
    [
        ("http://pbx.example.com", True),
        ("http://192.0.2.1:8080/x", True),
        ("http://localhost:3978", False),
        ("http://[::1]", False),
        ("https://pbx.example.com", False),
        ("http://localhost@pbx.example.com", True),
    ],
)
def test_what_crosses_the_network_in_clear(url: str, is_clear: bool) -> None:
    assert crosses_in_clear(url) is is_clear


@pytest.mark.parametrize(
    "url",
    [
        "pbx.example.com",
        "ftp://x",
        "https://",
        "https://x:port",
        "https://x:99999",
        "https://a b",
        "https://[::1",
    ]
    + ["https://user:secret@x", "https://x/?a=b", "https://x/#a", "https://x\n"[:-1] + "\x00"],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        checked_url(url)
    assert "secret" not in str(raised.value)
