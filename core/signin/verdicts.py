"""Determines which licence a PBX user gets: gathers the facts for `core.licensing.rules.decide`."""

from collections.abc import Sequence

from core.hub.registry import Pbx
from core.licensing.overview import Overview
from core.licensing.rules import Verdict, decide
from core.licensing.session import SessionPerson
from core.store.timestamps import now
from wire.link import PbxUser


class Verdicts:
    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    async def decide(self, pbx: Pbx, users: Sequence[PbxUser]) -> list[Verdict]:
        """Return the verdict for each of these users, in their order. The pools are read once for all."""
        pools = await self._overview.rules(pbx.id)
        return [
            decide(
                pbx_name=pbx.name,
                pbx_version=pbx.status.pbx_version if pbx.status else None,
                user_id=user.user_id,
                group_ids=user.group_ids,
                has_permission=user.has_licence_permission is True,
                pools=pools,
                refused_keys=pbx.refused_keys,
                now=now(),
            )
            for user in users
        ]


def to_session_person(pbx_user: PbxUser) -> SessionPerson:
    # The display name is empty if the PBX sent only invisible characters.
    name = pbx_user.display_name or pbx_user.login or str(pbx_user.user_id)
    is_administrator = pbx_user.is_administrator is True
    return SessionPerson(
        pbx_user_id=pbx_user.user_id,
        login=pbx_user.login,
        display_name=name,
        email=pbx_user.email,
        is_administrator=is_administrator,
    )
