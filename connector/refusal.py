"""Explains a refusal of the service: for the log, the status page and the doctor."""

from connector.config import Config
from connector.state import ConnectorState
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding


def refusal(code: Code, config: Config, state: ConnectorState) -> Finding:
    """Return the finding of a refusal, with the PBX name and the fingerprint that the installer gives to the operator."""
    evidence = {"pbx_name": config.pbx.name, "identity": state.fingerprint}
    variant = None
    if code is Code.ENROLMENT_NEEDED and config.service.enrolment_code:
        variant = "code"
    elif code is Code.PBX_NAME_INVALID:
        variant = "connector"
    return Finding(code, evidence, variant)
