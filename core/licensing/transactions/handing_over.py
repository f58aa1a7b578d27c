"""Handing a PBX's name over to another installation: what the earlier one vouched for ends in the same transaction.

Sessions end and their users are told; places on the waiting list, trusted tenants, approvals, pins, rules for pools and
the consent to help with calls go. Licence keys stay bound to the PBX's name, because anyone who bought them has a new
machine far more often than a thief has the old one; but none grants a seat until the new installation shows it. The old
link is closed by the epoch, its keys and its sealing key go with `core.hub.claims.hand_over`.
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
    """The link's new one; every older link is closed."""
    ended: tuple[Session, ...]
    tenants: tuple[str, ...]
    """That the PBX trusted."""


def hand_over(
    pbx_id: str, identity: str, actor: Actor, now: datetime, installation: int | None = None
) -> Transaction[HandedOver | None]:
    """None when this identity has not tried the name, or it is handed over already. `installation`: under which the
    actor is an administrator; None for the operator.
    """
    yield from lock_pools(pbx_id)
    epoch = yield from claims.hand_over(
        pbx_id=pbx_id, identity=identity, actor=actor, now=now, installation=installation
    )
    if epoch is None:
        return None
    # A connector that follows somebody's calls keeps a login for it, and the new one has none.
    yield from execute(
        "UPDATE audio_person SET help_since = NULL WHERE EXISTS (SELECT 1 FROM session WHERE pbx_id = $1"
        " AND session.tenant_id = audio_person.tenant_id AND session.object_id = audio_person.object_id)",
        pbx_id,
    )
    tenants = yield from end_all_trust(pbx_id, actor, now)
    ending = Ending(cause=EndCause.HANDED_OVER, actor=actor, reason="", now=now)
    yield from end_waiting(pbx_id, ending)
    ended = yield from end_all(pbx_id, ending)
    # Rules name users and groups by the ids of the old PBX, which are other people at another.
    yield from execute("UPDATE seat SET reserved_for = NULL WHERE pbx_id = $1", pbx_id)
    yield from execute("UPDATE pool SET policy = '{}', expiry_told = NULL WHERE pbx_id = $1", pbx_id)
    yield from withdraw_pools_except(pbx_id=pbx_id, serials=(), actor=actor, now=now)
    yield from settle(pbx_id, now)
    return HandedOver(epoch, ended, tenants)
