"""What the claims of a validated token say: who is a guest, which address counts, who speaks for a tenant."""

from typing import Any

import pytest

from core.identity.teams_user import TeamsUser
from core.identity.token_user import GLOBAL_ADMINISTRATOR, TEAMS_ADMINISTRATOR, parse_user

HOME = "7d0a6f3e-3c1b-4d6e-9a51-2f7f0f6c1a01"
ELSEWHERE = "99999999-9999-4999-8999-999999999999"
ISSUERS = (f"https://login.microsoftonline.com/{HOME}/v2.0", f"https://sts.windows.net/{HOME}/")
ANNA = "anna.berger@example.com"
MEMBER = {"acct": 0, "preferred_username": ANNA, "email": ANNA, "xms_edov": True, "wids": []}
NO_ROLE = "b79fbf4d-3ef9-4689-8143-76b194e85509"
USER_ADMINISTRATOR = "fe930be7-5e62-47db-91af-98c3a49a38b1"


def seen(**claims: Any) -> TeamsUser:
    held = {name: value for name, value in (MEMBER | claims).items() if value is not None}
    return parse_user(held, HOME, "11111111-1111-4111-8111-111111111111", ISSUERS)


GUESTS: dict[str, dict[str, Any]] = {
    "acct says so": {"acct": 1},
    "acct as text": {"acct": "1"},
    "an acct that nobody knows": {"acct": 7},
    "acct is a list": {"acct": [0]},
    "signed in by another tenant": {"idp": f"https://sts.windows.net/{ELSEWHERE}/"},
    "signed in by a personal account": {"idp": "live.com"},
    "a tenant that only looks like this one": {"idp": f"https://evil.example/{HOME}/"},
    "an idp that is no text": {"idp": {"tid": HOME}},
    "an external user name": {"preferred_username": "anna_partner.com#EXT#@example.onmicrosoft.com"},
    "an external upn": {"upn": "anna_partner.com#ext#@example.onmicrosoft.com"},
    "an external name in a token of version 1": {
        "unique_name": "anna_partner.com#EXT#@example.onmicrosoft.com"
    },
}


@pytest.mark.parametrize("case", GUESTS)
def test_a_guest_has_no_address_and_speaks_for_nobody(case: str) -> None:
    guest = seen(**GUESTS[case], verified_primary_email=[ANNA], wids=[GLOBAL_ADMINISTRATOR])
    assert guest.is_guest
    assert guest.verified_email == "" and not guest.speaks_for_tenant
    assert guest.email, "it is still shown"


@pytest.mark.parametrize("idp", [*ISSUERS, None])
def test_a_member_is_no_guest(idp: str | None) -> None:
    assert not seen(idp=idp).is_guest
    assert not seen(idp=idp, acct=None).is_guest, "tokens of a registration that has not asked for it"


ADDRESSES: dict[str, tuple[dict[str, Any], str]] = {
    "Microsoft says that its domain is verified": ({}, ANNA),
    "verified, as older tokens say it": ({"xms_edov": "1"}, ANNA),
    "verified, and in capitals": ({"email": "ANNA.Berger@EXAMPLE.com"}, ANNA),
    "not verified": ({"xms_edov": False}, ""),
    "not verified, as a number": ({"xms_edov": 0}, ""),
    "not verified, whatever the user name": (
        {"xms_edov": "false", "preferred_username": "x@example.com"},
        "",
    ),
    "an answer that nobody knows": ({"xms_edov": "perhaps"}, ""),
    "an answer that is a list": ({"xms_edov": [True]}, ""),
    "nothing is said: the user name counts": ({"xms_edov": None, "email": "clara@example.com"}, ANNA),
    "nothing is said, and the user name is none": ({"xms_edov": None, "preferred_username": "+4930123"}, ""),
    "an empty address before the right user name": ({"email": "", "xms_edov": None}, ANNA),
    "an empty address, and verified": ({"email": " "}, ANNA),
    "blanks around it": ({"email": f" {ANNA} "}, ANNA),
    "the verified one is preferred": ({"verified_primary_email": ["b@example.com"]}, "b@example.com"),
    "the verified one as text": ({"verified_primary_email": "b@example.com"}, "b@example.com"),
    "the verified one is empty": ({"verified_primary_email": []}, ANNA),
    "the verified one is nonsense": ({"verified_primary_email": {"a": 1}}, ANNA),
    "letters that only look alike": ({"email": "anna.berger@exam\u212aple.com"}, ANNA),
    "nothing at all": ({"email": None, "xms_edov": None, "preferred_username": None}, ""),
    "an address that is no text": ({"email": [ANNA], "xms_edov": None, "preferred_username": 5}, ""),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_which_address_may_be_matched(case: str) -> None:
    claims, expected = ADDRESSES[case]
    assert seen(**claims).verified_email == expected


@pytest.mark.parametrize(
    ("wids", "speaks"),
    [
        ([GLOBAL_ADMINISTRATOR], True),
        ([NO_ROLE, TEAMS_ADMINISTRATOR], True),
        ([USER_ADMINISTRATOR, NO_ROLE], False),
        ([], False),
        (None, False),
        (TEAMS_ADMINISTRATOR, False),
        ({TEAMS_ADMINISTRATOR: 1}, False),
        ([[TEAMS_ADMINISTRATOR]], False),
    ],
)
def test_a_directory_role_speaks_for_the_tenant(wids: Any, speaks: bool) -> None:
    assert seen(wids=wids).speaks_for_tenant is speaks
