"""The operations about the connection, for administrators."""

from collections.abc import Mapping
from typing import Final

from core.administration.connections import ConnectionReport
from core.administration.repairs import find_refusal
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, Role
from core.diagnosis.repairs import Repair, find_repair
from core.diagnosis.steps import step_title
from core.hub.registry import LinkEvent, Pbx
from core.language import Language, Words
from core.signin.refusals import AdministratorAct
from tab import present
from tab.budgets import Cost
from tab.operation import Call, Operation
from tab.problems import language_of
from wire.doctor import DoctorReport, DoctorStep, StepOutcome
from wire.link import fingerprint
from wire.tab import MyState, ProblemWords
from wire.tab_connection import (
    ConnectionPart,
    ConnectionReportState,
    DoctorFinding,
    DoctorFindings,
    HandOverRequest,
    LinkEventState,
    LinkHour,
    NewKeyPrepared,
    NewKeyRequest,
    NewKeySealed,
    OtherInstallation,
    RepairName,
    RepairsState,
    UciRestartedState,
)

_WORDS: Final = Words("tab")


async def get_connection(call: Call) -> ConnectionReportState:
    report = await call.services.connections.report(call.user)
    return _report(report, language_of(call.request))


async def hand_over(call: Call) -> MyState:
    await call.services.connections.hand_over(call.user, call.body.identity)
    return call.my_state(await call.services.sign_in.state(call.user))


async def examine(call: Call) -> DoctorFindings:
    report = await call.services.repairs.examine(call.user)
    return _findings(report, language_of(call.request))


async def restart_uci(call: Call) -> UciRestartedState:
    restarted = await call.services.repairs.restart_uci(call.user)
    words = None
    if restarted.finding is not None:
        words = _words(restarted.finding, language_of(call.request))
    return UciRestartedState(uci=restarted.uci, words=words)


async def prepare_new_key(call: Call) -> NewKeyPrepared:
    prepared = await call.services.repairs.prepare_key(call.user)
    return NewKeyPrepared(
        pbx_name=prepared.pbx_name,
        nonce=prepared.nonce,
        sealing_key=prepared.sealing_key,
        sealing_signature=prepared.sealing_signature,
        connector_identity=prepared.connector_identity,
    )


async def make_new_key(call: Call) -> NewKeySealed:
    made = await call.services.repairs.renew_key(call.user, call.body.nonce, call.body.box)
    return NewKeySealed(box=made.box, old_key_until=made.old_key_until)


_NAMES: Final[Mapping[Repair, RepairName]] = {
    Repair.EXAMINE: "examine",
    Repair.RESTART_UCI: "restart-uci",
    Repair.NEW_KEY: "new-key",
}
_ACTS: Final = {
    Repair.EXAMINE: AdministratorAct.EXAMINE,
    Repair.RESTART_UCI: AdministratorAct.RESTART_UCI,
    Repair.NEW_KEY: AdministratorAct.RENEW_KEY,
}


def _repairs(pbx: Pbx, language: Language) -> RepairsState:
    """Return what this connector does for its administrators. Without a link nothing can be asked of it."""
    if not pbx.is_linked:
        return RepairsState(offered=[], finding=None)
    refusals = {repair: find_refusal(pbx, act) for repair, act in _ACTS.items()}
    refused = next((one for one in refusals.values() if one is not None), None)
    return RepairsState(
        offered=[_NAMES[repair] for repair, refusal in refusals.items() if refusal is None],
        finding=_words(refused, language) if refused is not None else None,
    )


def _repair(code: Code | None, repairs: RepairsState) -> RepairName | None:
    repair = find_repair(code)
    name = _NAMES[repair] if repair is not None else None
    return name if name in repairs.offered else None


def _report(report: ConnectionReport, language: Language) -> ConnectionReportState:
    pbx, trip = report.pbx, report.round_trip
    repairs = _repairs(pbx, language)
    return ConnectionReportState(
        pbx_name=pbx.name,
        connected=pbx.is_linked,
        since=pbx.link_closed_at or pbx.link_opened_at,
        pbx_version=pbx.status.pbx_version if pbx.status else None,
        connector_version=pbx.connector_version,
        identity=fingerprint(pbx.identity),
        round_trip_ms=round(trip.total_seconds() * 1000, 1) if trip is not None else None,
        old_key_until=pbx.previous_key_until,
        parts=[
            ConnectionPart(
                part=one.part.value,
                light=one.light.value,
                finding=_words(one.finding, language, blocking=one.light.value == "red")
                if one.finding is not None
                else None,
                repair=_repair(one.finding.code if one.finding is not None else None, repairs),
            )
            for one in report.parts
        ],
        repairs=repairs,
        capabilities=dict(report.capabilities) if report.capabilities is not None else None,
        others=[
            OtherInstallation(
                identity=fingerprint(claim.identity),
                address=claim.address,
                connector_version=claim.connector_version,
                at=claim.at,
            )
            for claim in report.history.refused_claims
        ],
        events=[_event(event, language) for event in report.history.events],
        hours=[LinkHour(start=start, links=links) for start, links in report.history.links_per_hour],
    )


def _event(event: LinkEvent, language: Language) -> LinkEventState:
    detail = event.detail
    key = f"link.{event.kind.value}"
    if event.kind == "closed":
        key = f"{key}-{detail.get('reason')}"
    elif event.kind == "status":
        key = f"{key}-{detail.get('rest')}-{detail.get('uci')}"
        if not detail.get("moduleActive", True):
            key = "link.status-inactive"
    if not _WORDS.has(language, key):
        key = f"link.{event.kind.value}"
    return LinkEventState(
        at=event.at,
        text=_WORDS.text(language, key, **detail),
        detail=str(detail.get("detail") or ""),
    )


def _words(finding: Finding, language: Language, *, blocking: bool = False) -> ProblemWords:
    return present.words(finding, language, Role.ADMINISTRATOR, blocking=blocking)


def _findings(report: DoctorReport, language: Language) -> DoctorFindings:
    return DoctorFindings(at=report.at, steps=[_finding(step, language) for step in report.steps])


def _finding(step: DoctorStep, language: Language) -> DoctorFinding:
    code = Code.named(step.code or "")
    found = Finding(code, dict(step.evidence), step.variant) if code is not None else None
    return DoctorFinding(
        step=step.step,
        title=step_title(step.step, language),
        outcome=step.outcome.value,
        code=code,
        words=_words(found, language, blocking=step.outcome is StepOutcome.FAILED)
        if found is not None
        else None,
        evidence=", ".join(step.evidence.values()) if step.outcome is StepOutcome.OK else "",
        repair=_repair_of_step(code),
    )


def _repair_of_step(code: Code | None) -> RepairName | None:
    """Return what the page offers beside a finding of the doctor; the reader has just run the doctor."""
    repair = find_repair(code)
    return _NAMES[repair] if repair is not None and repair is not Repair.EXAMINE else None


_ADMINISTRATION: Final = (Code.NOT_SIGNED_IN, Code.NOT_ADMINISTRATOR, Code.PASSWORD_NEEDED)

_REPAIRED: Final = (
    *(Code.LINK_DOWN, Code.PBX_BUSY, Code.OUTCOME_UNKNOWN, Code.PROTOCOL_ERROR),
    *(Code.REPAIRS_REFUSED, Code.CONNECTOR_OUTDATED),
)

CONNECTION_OPERATIONS: Final = (
    Operation(
        id="getConnection",
        method="GET",
        path="/api/v1/connection",
        summary="Get the state of each part of the connection to my PBX, and its events (administrators)",
        run=get_connection,
        answer=ConnectionReportState,
        body=None,
        problems=_ADMINISTRATION,
        cost=Cost.VIEW,
    ),
    Operation(
        id="examineConnection",
        method="POST",
        path="/api/v1/connection/doctor",
        summary="Run the connector's diagnostics (administrators)",
        run=examine,
        answer=DoctorFindings,
        body=None,
        problems=(*_ADMINISTRATION, *_REPAIRED),
        cost=Cost.EXAMINATION,
    ),
    Operation(
        id="restartUci",
        method="POST",
        path="/api/v1/connection/uci-restart",
        summary="Switch the PBX's UCI connector off and on again (administrators)",
        run=restart_uci,
        answer=UciRestartedState,
        body=None,
        problems=(*_ADMINISTRATION, *_REPAIRED),
        cost=Cost.EXAMINATION,
    ),
    Operation(
        id="prepareNewKey",
        method="POST",
        path="/api/v1/connection/new-key/challenge",
        summary="Get what the browser needs to request a new PBX key from the connector (administrators)",
        run=prepare_new_key,
        answer=NewKeyPrepared,
        body=None,
        problems=(*_ADMINISTRATION, *_REPAIRED),
    ),
    Operation(
        id="makeNewKey",
        method="POST",
        path="/api/v1/connection/new-key",
        summary="Have the connector create a new PBX key; returns the key file, sealed to this browser"
        " (administrators)",
        run=make_new_key,
        answer=NewKeySealed,
        body=NewKeyRequest,
        problems=(
            *_ADMINISTRATION,
            *_REPAIRED,
            Code.WRONG_KEY,
            Code.CHALLENGE_EXPIRED,
            Code.STATE_UNUSABLE,
        ),
        cost=Cost.EXAMINATION,
    ),
    Operation(
        id="handOver",
        method="POST",
        path="/api/v1/connection/hand-over",
        summary="Hand the PBX name over to an installation that has claimed it, and end all sessions (administrators)",
        run=hand_over,
        answer=MyState,
        body=HandOverRequest,
        problems=(*_ADMINISTRATION, Code.CLAIM_GONE),
    ),
)
