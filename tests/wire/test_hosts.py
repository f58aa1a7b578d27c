"""Addresses of hosts as people write them, and as browsers make origins of them."""

import pytest

from wire.hosts import as_browsers_write


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://teams.example.com", "https://teams.example.com"),
        ("https://teams.example.com/", "https://teams.example.com"),
        ("https://teams.example.com:443", "https://teams.example.com"),
        ("https://teams.example.com:443/", "https://teams.example.com"),
        ("HTTPS://Teams.Example.COM", "https://teams.example.com"),
        ("https://teams.example.com.", "https://teams.example.com"),
        ("https://teams.example.com:8443", "https://teams.example.com:8443"),
        ("https://teams.example.com:0443", "https://teams.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3978/", "http://localhost:3978"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:443", "https://xn--bcher-kva.example"),
        ("https://[::1]:443", "https://[::1]"),
        ("https://teams.example.com/base/", "https://teams.example.com/base"),
        (" https://teams.example.com ", "https://teams.example.com"),
    ],
)
def test_an_origin_is_the_one_of_the_browser(written: str, origin: str) -> None:
    assert as_browsers_write(written) == origin


@pytest.mark.parametrize(
    "written",
    [
        *("", "teams.example.com", "ftp://teams.example.com", "https://", "https://:443", "https://."),
        *("https://user@teams.example.com", "https://teams.example.com:99999", "https://teams.example.com:x"),
        *(
            "https://teams.example.com?x=1",
            "https://te ams.example.com",
            "https://[::1",
            "https://-ü-.example",
        ),
        *("https://teams\x00.example.com", "https://\u202eteams.example.com", "https://" + "ü" * 300),
    ],
)
def test_what_is_no_address_is_refused_in_words(written: str) -> None:
    with pytest.raises(ValueError, match="address"):
        as_browsers_write(written)
