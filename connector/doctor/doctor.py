"""Runs all steps: configuration and state first, then the path to the service and the path to the PBX."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector import __version__
from connector.config import Config, load
from connector.doctor.pbx import PbxCheck
from connector.doctor.service import ServiceCheck
from connector.doctor.steps import Chain, FoundError, WarningFoundError
from connector.errors import ConnectorError
from connector.state import ConnectorState
from core.diagnosis.codes import Code
from wire.doctor import STEPS, DoctorReport, DoctorStep, StepOutcome

OnStep = Callable[[DoctorStep], None]


async def examine(path: Path, on_step: OnStep = lambda _step: None, event_seconds: float = 0) -> DoctorReport:
    """Run every step and return the report. `on_step` is called with each step as soon as it is done."""
    steps: list[DoctorStep] = []
    first_chain = Chain(steps, on_step)

    async def configuration() -> tuple[Config, dict[str, Any]]:
        try:
            return load(path), {"file": path}
        except ConnectorError as fault:
            raise FoundError(Code.CONFIGURATION_INVALID, error=fault) from fault

    config = await first_chain.step("configuration", configuration)
    if config is None:
        for name in STEPS[1:]:
            first_chain.skip(name)
        return _report("", None, steps)
    state = await _state(Chain(steps, on_step), config, path)
    return await examine_ways(
        config=config, state=state, steps=steps, on_step=on_step, event_seconds=event_seconds
    )


async def examine_running(path: Path, config: Config, state: ConnectorState) -> DoctorReport:
    """Run every step for a running connector. `config` is in use; the file may have been changed to something else."""
    steps: list[DoctorStep] = []

    async def configuration() -> tuple[bool, dict[str, Any]]:
        try:
            load(path).check_files()
        except ConnectorError as fault:
            raise FoundError(Code.CONFIGURATION_INVALID, "kept", error=fault) from fault
        return True, {"file": path}

    await Chain(steps, _ignore).step("configuration", configuration)
    await _state(Chain(steps, _ignore), config, path)
    return await examine_ways(config, state, steps)


def _ignore(_step: DoctorStep) -> None:
    """Nobody watches the single steps."""


async def examine_ways(
    config: Config,
    state: ConnectorState | None,
    steps: list[DoctorStep],
    on_step: OnStep = lambda _step: None,
    event_seconds: float = 0,
) -> DoctorReport:
    """Check both paths completely, because a fault on one says nothing about the other."""
    try:
        service = ServiceCheck(config.service, config, state)
    except ConnectorError as fault:  # ca_file cannot be read
        steps.append(_unusable("service-tls", fault))
        on_step(steps[-1])
    else:
        await service.run(Chain(steps, on_step))
    try:
        pbx = PbxCheck(config, event_seconds, state)
    except ConnectorError as fault:  # password_file cannot be read
        steps.append(_unusable("pbx-login", fault))
        on_step(steps[-1])
    else:
        await pbx.run(Chain(steps, on_step))
    return _report(config.pbx.name, state, steps)


def _unusable(step: str, fault: ConnectorError) -> DoctorStep:
    return DoctorStep(
        step=step,
        outcome=StepOutcome.FAILED,
        code=Code.CONFIGURATION_INVALID,
        evidence={"error": str(fault)[:300]},
    )


async def _state(chain: Chain, config: Config, path: Path) -> ConnectorState | None:
    made: list[ConnectorState] = []

    async def look() -> tuple[ConnectorState, dict[str, Any]]:
        try:
            state = ConnectorState(config.state_directory)
            state.pbx_key()
        except ConnectorError as fault:
            raise FoundError(Code.STATE_UNUSABLE, error=fault) from fault
        made.append(state)
        secret_files = [*config.state_directory.iterdir()]
        if config.holds_secret:
            secret_files.append(path)
        if config.pbx.password_file is not None and config.pbx.password_file.exists():
            secret_files.append(config.pbx.password_file)
        exposed = [file for file in secret_files if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
        if exposed:
            raise WarningFoundError(Code.SECRETS_EXPOSED, files=", ".join(str(file) for file in exposed[:5]))
        return state, {"directory": config.state_directory, "identity": state.fingerprint}

    await chain.step("state", look)
    return made[0] if made else None


def _report(pbx_name: str, state: ConnectorState | None, steps: list[DoctorStep]) -> DoctorReport:
    return DoctorReport(
        pbx_name=pbx_name,
        connector_version=__version__,
        identity=state.fingerprint if state is not None else "",
        at=datetime.now(UTC),
        steps=steps,
    )
