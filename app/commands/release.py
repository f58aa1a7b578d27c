"""`pbx-teams licence release`: unbinds a licence key from its PBX."""

import argparse
import asyncio

from app import settings
from app.errors import CannotDoError
from core.diagnosis.finding import Finding
from core.licensing.ledger import SeatsHeld, open_ledger
from core.licensing.session import Session
from core.store import database
from core.store.audit import OPERATOR
from core.store.timestamps import now


def release(options: argparse.Namespace) -> int:
    url = settings.load().database_url
    database.upgrade(url)

    async def unbind() -> tuple[Session, ...] | SeatsHeld | Finding:
        ledger = open_ledger(database.address_of(url))
        try:
            return await ledger.release_key(
                options.serial, OPERATOR, now(), end_sessions=options.end_sessions
            )
        finally:
            await ledger.close()

    outcome = asyncio.run(unbind())
    if isinstance(outcome, Finding):
        raise CannotDoError(f"no PBX uses a licence key with the serial {options.serial!r}")
    if isinstance(outcome, SeatsHeld):
        raise CannotDoError(
            f"{outcome.count} sessions hold seats of {options.serial!r}; with --end-sessions they end"
        )
    ended = f"; {len(outcome)} sessions were ended and their users are notified" if outcome else ""
    print(f"{options.serial} is bound to no PBX any more{ended}. The first connector that brings it gets it.")
    return 0
