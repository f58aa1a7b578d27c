"""Hand a PBX name over to another installation and, in the same transaction, end what the earlier one vouched for.

- Sessions end, and their users are notified.
- Places on the waiting list, trusted tenants, approvals, pinned identities, pool rules and the consent to help with
  calls are deleted.
- Licence keys stay bound to the PBX name: a licensee with a new machine is far more common than a thief with the old
  one. No key grants a seat until the new installation presents it.
- The new epoch closes the old link. `core.hub.claims.hand_over` deletes its PBX keys and its sealing key.
"""

from dataclasses import dataclass
from datetime import datetime

from core.hub import claims
from core.licensing.session import EndCause, Ending, Session
from core.licensing.transactions.pools import withdraw_pools_except
from core.licensing.transactions.sessions import end_all
from core.licensing.transactions.settling import settle
from core.licensing.transactions.steps import lock_pools
from core.licensing.transactions.trusting import end_all_trust
from core.licensing.transactions.waiting_list import end_waiting
from core.store.audit import Actor
from core.store.transaction import Transaction, execute


@dataclass(frozen=True, slots=True)
class HandedOver:
    epoch: int
    """The new epoch; every link with an older one is closed."""
    ended: tuple[Session, ...]
    tenants: tuple[str, ...]
    """Ids of the tenants that the PBX trusted."""


def hand_over(
    pbx_id: str, identity: str, actor: Actor, now: datetime, installation: int | None = None
) -> Transaction[HandedOver | None]:
    """Hand the name over to the connector with this identity.

    Return None when that identity has never claimed the name, or when the name has already been handed over.
    `installation` is the installation under which the actor is an administrator; None for the operator.
    """
    yield from lock_pools(pbx_id)
    epoch = yield from claims.hand_over(
        pbx_id=pbx_id, identity=identity, actor=actor, now=now, installation=installation
    )
    if epoch is None:
        return None
    # To follow a user's calls, a connector needs that user's stored login. The new connector has none.
    yield from execute(
        "UPDATE audio_person SET help_since = NULL WHERE EXISTS (SELECT 1 FROM session WHERE pbx_id = $1"
        " AND session.tenant_id = audio_person.tenant_id AND session.object_id = audio_person.object_id)",
        pbx_id,
    )
    tenants = yield from end_all_trust(pbx_id, actor, now)
    ending = Ending(cause=EndCause.HANDED_OVER, actor=actor, reason="", now=now)
    yield from end_waiting(pbx_id, ending)
    ended = yield from end_all(pbx_id, ending)
    # Rules name users and groups by ids of the old PBX. At another PBX the same ids are different people.
    yield from execute("UPDATE seat SET reserved_for = NULL WHERE pbx_id = $1", pbx_id)
    yield from execute("UPDATE pool SET policy = '{}', expiry_told = NULL WHERE pbx_id = $1", pbx_id)
    yield from withdraw_pools_except(pbx_id=pbx_id, serials=(), actor=actor, now=now)
    yield from settle(pbx_id, now)
    return HandedOver(epoch, ended, tenants)
