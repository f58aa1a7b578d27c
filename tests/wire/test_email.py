"""Which addresses are the same. Anyone who is taken for somebody else here signs in as them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.email import canonical_email, same_email

SAME = [
    ("anna.berger@example.com", "Anna.Berger@EXAMPLE.com"),
    (" anna@example.com\t", "anna@example.com"),
    ("mara.weiß@example.com", "MARA.WEIß@example.com"),
    ("anna@bücher.example", "anna@xn--bcher-kva.example"),
    ("anna@bücher.example", "anna@XN--BCHER-KVA.EXAMPLE"),
    ("anna+teams@example.com", "anna+teams@example.com"),
]
DIFFERENT = [
    ("mara.weiß@example.com", "mara.weiss@example.com"),
    ("\u212aim@example.com", "kim@example.com"),  # Kelvin sign
    ("ſam@example.com", "sam@example.com"),  # long s
    ("ﬁn@example.com", "fin@example.com"),  # ligature
    ("anna@example.com", "anna@ｅxample.com"),  # full width
    ("anna@exam\u212aple.com", "anna@examkple.com"),
    ("anna@straße.example", "anna@strasse.example"),
    ("ıan@example.com", "ian@example.com"),
    ("İan@example.com", "i̇an@example.com"),
    ("Ünal@example.com", "ünal@example.com"),
    ("éva@example.com", "e\u0301va@example.com"),  # composed and not
    ("аnna@example.com", "anna@example.com"),  # Cyrillic a
    ("an\u200bna@example.com", "anna@example.com"),  # zero width
    ("anna@example.com", "anna@example.com.evil.example"),
    ("anna@example.com", "anna@example.org"),
    *(("anna@example.com", f"anna@example{dot}com") for dot in "\u3002\uff0e\uff61"),  # other stops
]
NO_ADDRESS = [
    "", " ", "@", "anna", "anna@", "@example.com", "a@b@example.com", "anna@exa mple.com", "an na@example.com",
    "anna@example.com\x00", "anna\ud800@example.com", "anna@-example.com", "anna@example..com", "anna@xn--a.example",
    "a" * 320 + "@example.com", "anna@" + "a" * 64 + ".com", "\u00a0anna@example.com",
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_case_of_ascii_letters_and_blanks_around_do_not_count(one: str, other: str) -> None:
    assert same_email(one, other) and same_email(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_looks_alike_is_not_the_same(one: str, other: str) -> None:
    assert not same_email(one, other) and not same_email(other, one)


@pytest.mark.parametrize("text", NO_ADDRESS)
def test_what_is_no_address_is_the_same_as_nothing(text: str) -> None:
    assert canonical_email(text) is None
    assert not same_email(text, text)


@given(st.text(), st.text())
def test_any_text_gets_an_answer_and_the_same_address_has_the_same_ascii_letters(
    one: str, other: str
) -> None:
    if same_email(one, other):
        local, _, _ = one.strip(" \t\r\n").rpartition("@")
        other_local, _, _ = other.strip(" \t\r\n").rpartition("@")
        assert local.encode().lower() == other_local.encode().lower()  # bytes: ASCII alone


@given(st.emails())
def test_the_canonical_form_of_an_address_is_its_own(address: str) -> None:
    canonical = canonical_email(address)
    assert canonical is None or canonical_email(canonical) == canonical


LOOK_ALIKES = "ſßẞKıİöÖéåÅµμａＡ．。｡ﬁ²ⅸ\u0301\u0308\u200d\u00ad"


@given(
    st.text("abkKsSiI.ß" + LOOK_ALIKES, min_size=1, max_size=8),
    st.sampled_from("abkKsSiI.-" + LOOK_ALIKES),
    st.integers(0, 7),
    st.booleans(),
)
def test_one_other_character_is_another_address(text: str, char: str, at: int, in_domain: bool) -> None:
    """Two texts that differ in a character match only where that is the case of an ASCII letter."""
    at %= len(text)
    changed = text[:at] + char + text[at + 1 :]
    one, other = (
        f"anna@x{part}x.example" if in_domain else f"{part}@example.com" for part in (text, changed)
    )
    if same_email(one, other):
        assert one.translate(ASCII_LOWER) == other.translate(ASCII_LOWER)


ASCII_LOWER = {ord(upper): ord(upper) + 32 for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
