"""What a refusal of the service means here: for the log, the status page and the doctor."""

from connector.config import Config
from connector.state import State
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding


def refusal(code: Code, config: Config, state: State) -> Finding:
    """With the evidence that its words need: the name, and the identity that the installer reads out."""
    evidence = {"pbx_name": config.pbx.name, "identity": state.fingerprint}
    variant = None
    if code is Code.ENROLMENT_NEEDED and config.service.enrolment_code:
        variant = "code"
    elif code is Code.PBX_NAME_INVALID:
        variant = "connector"
    return Finding(code, evidence, variant)
