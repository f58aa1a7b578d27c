"""Text files as editors write them: every one is read as it was meant, or named with its cure."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.textfile import MAX_BYTES, UnreadableTextError, encoding_of, read_text

TEXT = 'login = "jürgen"\npassword = "pässwörd€"\n'
AS_WRITTEN = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + TEXT.encode(),
    "CR LF": TEXT.replace("\n", "\r\n").encode(),
    "CR": TEXT.replace("\n", "\r").encode(),
    "UTF-16 LE": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "UTF-16 BE": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "UTF-16 LE with CR LF": codecs.BOM_UTF16_LE + TEXT.replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-32": TEXT.encode("utf-32"),
    "two marks": codecs.BOM_UTF8 * 2 + TEXT.encode(),
}


@pytest.mark.parametrize("content", AS_WRITTEN.values(), ids=AS_WRITTEN)
def test_it_is_read_as_it_was_meant(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert read_text(file) == TEXT
    assert file.read_text(encoding=encoding_of(file)).removeprefix("\ufeff") == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "password"
    file.write_bytes("foobar\r\n".encode(encoding))
    assert read_text(file) == "foobar\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("pässwörd".encode("cp1252"), "save it as UTF-8"),
        ("pässwörd".encode("cp850"), "save it as UTF-8"),
        (codecs.BOM_UTF16_LE + b"a", "save it as UTF-8"),
        (b"a\0\0b\0c", "zero bytes"),
        (b"x" * (MAX_BYTES + 1), "longer than"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(UnreadableTextError, match=words) as raised:
        read_text(file)
    assert str(file) in str(raised.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_reported_as_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-bytes"
    file.write_bytes(content)
    try:
        text = read_text(file)
    except UnreadableTextError:
        return
    assert "\0" not in text and "\r" not in text


@given(st.text(st.characters(exclude_characters="\0\r\ufeff", exclude_categories=["Cs"]), max_size=50))
def test_a_text_survives_every_mark(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any-text"
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        file.write_bytes(text.encode(encoding))
        assert read_text(file) == text
