"""The border to the PBX: odd records are left out and counted, odd answers are errors, nothing else ever happens."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector import answers
from connector.errors import PbxAnswerError

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
GOOD_USER = {
    "id": 7,
    "login": "1001",
    "firstName": "Anna",
    "familyName": "Berger",
    "email": "anna@example.com",
}
MEMBERS = st.sampled_from([*GOOD_USER, "namespace", "personId"])
READERS = (
    answers.users,
    answers.user,
    answers.permissions,
    answers.groups,
    answers.group,
    answers.login_template,
    answers.auth_token,
    answers.oauth_token,
)


@given(ANYTHING)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_read_or_refused(answer: Any) -> None:
    for read in READERS:
        try:
            read("/path", answer)
        except PbxAnswerError as error:
            assert "/path" in str(error) and len(str(error)) < 400
    found = answers.version(answer)
    assert found is None or 0 < len(found) <= 50


@given(st.lists(st.tuples(MEMBERS, ANYTHING), max_size=3), st.lists(ANYTHING, max_size=3), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_odd_records_take_nothing_from_the_others(
    changes: list[tuple[str, Any]], odd: list[Any], at: int
) -> None:
    records: list[Any] = [GOOD_USER, GOOD_USER | dict(changes), *odd, GOOD_USER | {"id": 8}]
    records.insert(at, None)
    found = answers.users("/users", records)
    ids = [user.id for user in found.items]
    assert 7 in ids and 8 in ids
    assert found.skipped == len(records) - len(found.items) >= 1
    for user in found.items:
        json.dumps(user.display_name).encode()
        assert 0 <= user.id < 2**53 and len(user.login) <= 100 and len(user.display_name) <= 200


@pytest.mark.parametrize("answer", [None, {}, {"users": [GOOD_USER]}, "[]", 7, True, [None], [{"id": None}]])
def test_what_is_no_list_is_never_an_empty_one(answer: Any) -> None:
    with pytest.raises(PbxAnswerError):
        answers.users("/users", answer)


def test_an_empty_list_is_one() -> None:
    assert answers.users("/users", []).items == []


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (GOOD_USER, "Anna Berger"),
        (GOOD_USER | {"id": "7"}, "Anna Berger"),
        (GOOD_USER | {"id": 7.0}, "Anna Berger"),
        (GOOD_USER | {"firstName": None, "familyName": None}, "1001"),
        ({"id": 7}, "7"),
        ({"id": 7, "login": 1001}, "1001"),
        (GOOD_USER | {"firstName": "An\u202ena"}, "Anna Berger"),
        (GOOD_USER | {"email": "two words@example.com"}, "Anna Berger"),
    ],
)
def test_users_as_real_systems_write_them(record: dict[str, Any], name: str) -> None:
    user = answers.user("/users/7", record)
    assert (user.id, user.display_name) == (7, name)


@pytest.mark.parametrize(
    "nonce", ["", "a\nb", "a\x00b", "x" * 4000, "\ud800", None, 5, True, ["n"], {"n": 1}]
)
def test_a_nonce_that_the_link_cannot_carry_is_the_pbxs_fault(nonce: Any) -> None:
    """It is not blamed on the connector's version, which would ask for an update."""
    with pytest.raises(PbxAnswerError):
        answers.login_template("/login", {"loginType": "Internal", "nonce": nonce})


@pytest.mark.parametrize("nonce", ["a", "a:b", "x" * 200, "ünïcode", " spaces "])
def test_any_other_nonce_goes_back_as_it_came(nonce: str) -> None:
    assert answers.login_template("/login", {"nonce": nonce})["nonce"] == nonce


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("6.7.3.20", "6.7.3.20"),
        ({"version": "10.0.1.6"}, "10.0.1.6"),
        ({"version": {"major": 10}}, None),
        ({"product": "STARFACE 6 Comfort 10.0.1.6"}, "10.0.1.6"),
        ("STARFACE 6 Comfort 10.0.1.6" + "x" * 5000, "10.0.1.6"),
        ("SNAPSHOT", "SNAPSHOT"),
        (10, "10"),
        ("", None),
        (None, None),
        ([], None),
    ],
)
def test_versions_of_any_text(answer: Any, version: str | None) -> None:
    assert answers.version(answer) == version


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ('{"a": "ü"}'.encode(), None),
        ('{"a": "ü"}'.encode("iso-8859-1"), None),
        ('{"a": "ü"}'.encode("iso-8859-1"), "iso-8859-1"),
        ('{"a": "ü"}'.encode("iso-8859-1"), "utf-8"),
        ('{"a": "ü"}'.encode("utf-8-sig"), "no-such-charset"),
        ('{"a": "ü"}'.encode("utf-16"), None),
        ('{"a": "ü"}'.encode("utf-16-le"), "utf-16"),
        ('{"a": "ü"}'.encode("utf-16-be"), None),
        ('{"a": "ü"}'.encode("utf-32"), "utf-32"),
        ('{"a": "ü"}'.encode(), "iso-8859-1"),  # Tomcat names it where nobody has said another
        ('{"a": "ü"}'.encode("iso-8859-15"), "ISO_8859-15"),
        ('{"a": "ü"}'.encode(), "punycode"),
        ('{"a": "ü"}'.encode(), "hex"),
    ],
)
def test_texts_in_any_encoding(body: bytes, charset: str | None) -> None:
    assert answers.parsed("/x", 200, body, charset) == {"a": "ü"}


def test_quotes_of_windows_are_quotes() -> None:
    assert answers.parsed("/x", 200, '{"a": "„Büro“"}'.encode("cp1252"), "iso-8859-1") == {"a": "„Büro“"}


def test_an_error_shows_where_and_how() -> None:
    with pytest.raises(PbxAnswerError, match=r'^/users answers 200, no JSON: "<html>'):
        answers.parsed("/users", 200, b"<html>\n<title>STARFACE</title>" + b"x" * 10_000, None)


def test_an_error_at_a_login_shows_nothing_of_the_answer() -> None:
    with pytest.raises(PbxAnswerError) as raised:
        answers.parsed("/login", 200, b'{"token": "secret', None, is_secret=True)
    assert "secret" not in str(raised.value)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(PbxAnswerError):
        answers.parsed("/users", 200, b"[" * 100_000, None)


@pytest.mark.parametrize("expires", [None, "", "soon", -1, 0, True, float("inf"), 10**400])
def test_a_token_without_a_readable_life_lives_as_long_as_usual(expires: Any) -> None:
    token = answers.oauth_token("/token", {"access_token": "a", "expires_in": expires, "refresh_token": None})
    assert token.expires_seconds == answers.DEFAULT_EXPIRY_SECONDS and token.refresh_token is None
