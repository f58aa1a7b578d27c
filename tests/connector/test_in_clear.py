"""What crosses the network unencrypted is named by the doctor and in the log; the link itself needs a word of consent."""

from typing import Any

import pytest

from connector.config import Config, PbxSection, ServiceSection, UciSection
from connector.doctor.pbx import PbxCheck
from connector.doctor.service import ServiceCheck
from connector.doctor.steps import Chain, FoundError, WarningFoundError
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, explain
from core.language import Language
from wire.doctor import DoctorStep


def config(pbx_url: str = "https://pbx.invalid", service: Any = None, **uci: Any) -> Config:
    pbx = PbxSection(name="pbx.example.com", url=pbx_url, login="0001", password="foobar")
    return Config(
        service=service or ServiceSection(url="https://service.invalid"), pbx=pbx, uci=UciSection(**uci)
    )


async def found(check: Any) -> DoctorStep:
    """What one step finds, without the way to it, which needs the host to be there."""
    steps: list[DoctorStep] = []
    await Chain(steps, lambda _: None).step("step", check)
    return steps[0]


@pytest.mark.parametrize(
    ("variant", "host"), [(None, "pbx.invalid"), ("service", "service.invalid"), ("callback", "192.0.2.20")]
)
async def test_the_doctor_warns_in_both_languages(variant: str | None, host: str) -> None:
    if variant is None:
        pbx = PbxCheck(config("http://pbx.invalid"))
        step = await found(pbx._way._in_clear)
    elif variant == "service":
        link = ServiceCheck(ServiceSection(url="http://service.invalid", allow_http=True))
        step = await found(link._way._in_clear)
    else:
        pbx = PbxCheck(config(callback_host="192.0.2.20"))
        step = await found(pbx._uci_events)
    assert (step.outcome, step.code, step.variant) == ("warning", "clear-text", variant)
    for language, word in ((Language.DE, "unverschlüsselt"), (Language.EN, "unencrypted")):
        explanation = explain(Finding(Code.CLEAR_TEXT, dict(step.evidence), step.variant), language)
        assert (
            word in explanation.title
            and host in explanation.detail
            and "https" in explanation.cure + explanation.detail
            or variant == "callback"
        )
        assert "{" not in explanation.title + explanation.detail + explanation.cure


async def test_with_a_certificate_nothing_is_in_clear(tmp_path: Any) -> None:
    here = config(
        callback_host="192.0.2.20", callback_certificate=tmp_path / "c", callback_key=tmp_path / "k"
    )
    assert (await found(PbxCheck(here)._uci_events)).outcome == "ok"


async def test_events_that_cannot_be_received_are_reported_before_the_pbx_is_blamed() -> None:
    check = PbxCheck(config("http://127.0.0.1:1", callback_host="192.0.2.20"))
    steps: list[DoctorStep] = []
    chain = Chain(steps, lambda _: None)
    await check.run(chain)
    # The way to the PBX fails before; the step itself says what is the matter.
    check = PbxCheck(config("http://127.0.0.1:1", callback_host="192.0.2.20"))
    check._cannot_listen = OSError("cannot assign requested address")
    with pytest.raises(FoundError) as raised:
        await check._uci_login(None)  # type: ignore[arg-type]
    assert (raised.value.code, raised.value.variant) == (Code.UCI_NO_EVENTS, "listen")
    assert not isinstance(raised.value, WarningFoundError)
    explanation = explain(
        Finding(raised.value.code, dict(raised.value.evidence), raised.value.variant), Language.EN
    )
    assert "192.0.2.20" in explanation.detail and "callback_listen" in explanation.cure
    await check._rest.close()
