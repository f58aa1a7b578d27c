"""The remedy depends on the role of the reader: an administrator is not sent to an administrator."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, Role, explain
from core.language import Language

SENT_TO_ADMINISTRATOR = re.compile(r"(?i)your administrator|ihre[nmr]? administrat")
FOR_SOMEBODY_ELSE = {
    ("enrolment-needed", None),  # the technician at the connector needs an administrator in the tab
    ("call-records-not-allowed", None),  # the Microsoft tenant's administrator, who is somebody else
}


def topics() -> list[tuple[str, str | None]]:
    """Return every code with a text, and every variant of it that has texts of its own."""
    text = (files("core.diagnosis") / "words" / "en.json").read_text(encoding="utf-8")
    words: dict[str, dict[str, Any]] = json.loads(text)
    codes = {code.value for code in Code}
    return [
        (code, variant)
        for code, parts in words.items()
        if code in codes
        for variant in (None, *(name for name, part in parts.items() if isinstance(part, dict)))
    ]


@pytest.mark.parametrize("language", Language)
def test_an_administrator_is_never_sent_to_an_administrator(language: Language) -> None:
    found = topics()
    assert len(found) > 100
    sent = [
        (code, variant, cure)
        for code, variant in found
        if (code, variant) not in FOR_SOMEBODY_ELSE
        and SENT_TO_ADMINISTRATOR.search(
            cure := explain(Finding(Code(code), {}, variant), language, Role.ADMINISTRATOR).cure
        )
    ]
    assert not sent


@pytest.mark.parametrize("language", Language)
def test_a_user_is_still_sent_there(language: Language) -> None:
    cure = explain(Finding(Code.LINK_DOWN), language).cure
    assert SENT_TO_ADMINISTRATOR.search(cure)
    assert cure != explain(Finding(Code.LINK_DOWN), language, Role.ADMINISTRATOR).cure


@pytest.mark.parametrize("language", Language)
def test_a_variant_keeps_its_own_remedy(language: Language) -> None:
    """`pbx-login-failed` has a remedy for administrators, its variant `rights` has one for everybody."""
    finding = Finding(Code.PBX_LOGIN_FAILED, {}, "rights")
    assert explain(finding, language, Role.ADMINISTRATOR).cure == explain(finding, language).cure
