"""What is dialled for what a person typed."""

import pytest
from pydantic import ValidationError

from connector.config import TelephoneSection
from connector.line.numbers import NumberPlan, UnusableNumberError
from wire.phone import NumberKind

EMERGENCY, PREMIUM = NumberKind.EMERGENCY, NumberKind.PREMIUM


def plan(region: str = "DE", exit_prefix: str = "", internal_digits: int = 5) -> NumberPlan:
    return NumberPlan(
        TelephoneSection(region=region, exit_prefix=exit_prefix, internal_digits=internal_digits)
    )


@pytest.mark.parametrize(
    ("typed", "dialled"),
    [
        # A number of the world, however it is written.
        ("+49 30 23125901", "00493023125901"),
        ("+49 (0)30 231259-01", "00493023125901"),
        ("0049 30/231 259 01", "00493023125901"),
        ("030 23125901", "00493023125901"),
        ("(030) 231.259.01", "00493023125901"),
        ("tel:+493023125901", "00493023125901"),
        ("\u202a+49\u00a030\u200923125901\u202c", "00493023125901"),
        ("\uff0b\uff14\uff19 30 23125901", "00493023125901"),
        ("٠٣٠ ٢٣١٢٥٩٠١", "00493023125901"),
        ("+43 1 58058-0", "00431580580"),
        ("0041 44 668 18 00", "0041446681800"),
        ("030\u201123125901", "00493023125901"),
        # Internal numbers and codes, as they are.
        ("1002", "1002"),
        ("12", "12"),
        ("12345", "12345"),
        ("*971", "*971"),
        ("**42", "**42"),
        ("*91001", "*91001"),
        ("#31#030123456", "#31#030123456"),
        ("0", "0"),
        # Not sure: the PBX knows its plan.
        ("231259", "231259"),
        ("721123456", "721123456"),
        ("4993961234567", "4993961234567"),
        ("49721123456", "49721123456"),
        ("0301", "0301"),
        ("0000000000000", "0000000000000"),
        ("+999123", "00999123"),
    ],
)
def test_what_is_dialled_in_germany(typed: str, dialled: str) -> None:
    assert plan().wanted(typed).dial == dialled


@pytest.mark.parametrize(
    ("region", "typed", "dialled"),
    [
        ("CH", "022 731 41 00", "0041227314100"),
        ("AT", "01 580580", "00431580580"),
        ("DE", "0043 1 580580", "00431580580"),
        ("IT", "02 6765 4321", "00390267654321"),
        ("US", "(212) 555-2368", "0012125552368"),
        ("US", "011 49 30 23125901", "00493023125901"),
    ],
)
def test_national_numbers_belong_where_the_pbx_stands(region: str, typed: str, dialled: str) -> None:
    assert plan(region).wanted(typed).dial == dialled


@pytest.mark.parametrize(
    ("typed", "dialled"),
    [
        ("030 23125901", "000493023125901"),
        ("+49 30 23125901", "000493023125901"),
        # As it is typed at the desk phone.
        ("0 030 23125901", "000493023125901"),
        ("003023125901", "000493023125901"),
        ("0 0049 30 23125901", "000493023125901"),
        ("1002", "1002"),
        ("0 112", "0112"),
        ("112", "112"),
    ],
)
def test_a_code_for_the_line_outside(typed: str, dialled: str) -> None:
    assert plan(exit_prefix="0").wanted(typed).dial == dialled


@pytest.mark.parametrize("typed", ["00493023125901", "025 1590685", "+493023125901", "4930231259", "0 12 34"])
def test_what_the_pbx_reported_is_dialled_unchanged(typed: str) -> None:
    for exit_prefix in ("", "0"):
        assert plan(exit_prefix=exit_prefix).wanted(typed, is_raw=True).dial == typed.replace(" ", "")


@pytest.mark.parametrize(
    ("region", "typed", "kind"),
    [
        *(("DE", number, EMERGENCY) for number in ("110", "112", "1 1 2", "١١٢")),
        *(("CH", number, EMERGENCY) for number in ("112", "117", "118", "144")),
        *(("AT", number, EMERGENCY) for number in ("112", "122", "133", "144")),
        ("US", "911", EMERGENCY),
        ("DE", "+43 900 123456", PREMIUM),
        *(
            ("DE", number, PREMIUM)
            for number in ("0900 1234567", "+49 900 1234567", "0900 12", "11833", "118 33")
        ),
        *(("AT", number, PREMIUM) for number in ("0900 123456", "0930 123456", "118877")),
        *(("CH", number, PREMIUM) for number in ("0900 123456", "0906 123456")),
        *(("DE", number, None) for number in ("1100", "11", "116117", "0800 1234567", "1181")),
        *(("DE", number, None) for number in ("0721 900123", "9001", "00493023125901", "*112")),
    ],
)
def test_what_asks_first(region: str, typed: str, kind: NumberKind | None) -> None:
    wanted = plan(region).wanted(typed)
    assert wanted.kind is kind
    if kind is EMERGENCY:
        assert len(wanted.dial) == 3, "never rewritten"


def test_an_emergency_number_behind_the_exit_code_asks_first_too() -> None:
    assert plan(exit_prefix="0").wanted("0112").kind is EMERGENCY
    assert plan(exit_prefix="9").wanted("9 110").kind is EMERGENCY
    assert plan().wanted("112", is_raw=True).kind is EMERGENCY


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "anonymous",
        "call me",
        "0800 FLOWERS",
        "+",
        "*",
        "#",
        "12+34",
        "1" * 33,
        "12@example.com",
        "12;ext=3",
        "½",
    ],
)
def test_what_is_no_number(typed: str) -> None:
    with pytest.raises(UnusableNumberError) as raised:
        plan().wanted(typed)
    assert not typed.strip() or typed not in str(raised.value), "it is somebody's number, or nearly"


def test_one_number_has_one_key() -> None:
    keys = {
        plan().key(one)
        for one in (
            "030 23125901",
            "+493023125901",
            "0049 30 23125901",
            "0049/30/23125901",
        )
    }
    assert keys == {"+493023125901"}
    assert plan().key("1002") != plan().key("1003")
    assert plan().key("anonymous") == ""


@pytest.mark.parametrize(
    ("setting", "value"),
    [("region", "XX"), ("region", "de"), ("region", ""), ("exit_prefix", "x"), ("exit_prefix", "00000"),
     ("internal_digits", 0), ("internal_digits", 9)],
)  # fmt: skip
def test_settings_that_cannot_be(setting: str, value: object) -> None:
    with pytest.raises(ValidationError):
        TelephoneSection.model_validate({setting: value})
