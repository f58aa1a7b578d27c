"""The hello of the connector: the link opens with it, and the doctor only checks how it would be answered."""

from collections.abc import Sequence
from typing import Final

from connector import __version__
from connector.config import Config
from connector.state import ConnectorState
from wire.link import SUBPROTOCOL_WITH_CAPABILITIES, Capability, Challenge, Hello, Status
from wire.pbxkey import digest

CAPABILITIES: Final = (
    Capability.SEALED_ANSWERS.value,
    Capability.TELEPHONE.value,
    Capability.PHONE_CAPABILITIES.value,
    Capability.UCI_BY_PASSWORD.value,
)


def capabilities(config: Config) -> tuple[str, ...]:
    """Return what this connector can do, and whether its owner permits repairs from Teams."""
    repairs = Capability.REPAIRS if config.teams.repairs else Capability.REPAIRS_REFUSED
    return (*CAPABILITIES, repairs.value)


def hello(
    config: Config,
    state: ConnectorState,
    challenge: Challenge,
    status: Status,
    licence_keys: Sequence[str] = (),
    *,
    subprotocol: str | None,
) -> Hello:
    """Return the signed hello. `subprotocol`: the one that the service has chosen; an older service would refuse the
    capabilities, so they are then omitted.
    """
    previous = state.previous_pbx_key()
    offered = capabilities(config)
    knows_capabilities = subprotocol == SUBPROTOCOL_WITH_CAPABILITIES
    return Hello(
        pbx_name=config.pbx.name,
        identity=state.identity_public,
        nonce=challenge.nonce,
        sealing_key=state.sealing_public,
        sealing_signature=state.sealing_signature,
        key_digest=digest(state.pbx_key()),
        licence_keys=list(licence_keys),
        connector_version=__version__,
        status=status.for_hub(subprotocol),
        enrolment_code=config.service.enrolment_code,
        previous_key_digest=digest(previous[0]) if previous is not None else None,
        previous_key_until=previous[1] if previous is not None else None,
        capabilities=offered if knows_capabilities else None,
        capabilities_signature=state.sign_capabilities(offered) if knows_capabilities else None,
    ).signed_by(state.identity)
