"""`pbx-teams licence release`: unbinds a licence key from its PBX."""

import argparse
import asyncio

from app import settings
from app.errors import CannotDoError
from core.diagnosis.finding import RefusedError
from core.licensing.ledger import open_ledger
from core.licensing.session import Session
from core.licensing.transactions.pools import SeatsHeldError
from core.store import database
from core.store.audit import OPERATOR
from core.store.timestamps import now


def release(options: argparse.Namespace) -> int:
    url = settings.load().database_url
    database.upgrade(url)

    async def unbind() -> tuple[Session, ...]:
        ledger = open_ledger(database.address_of(url))
        try:
            return await ledger.release_key(
                options.serial, OPERATOR, now(), end_sessions=options.end_sessions
            )
        finally:
            await ledger.close()

    try:
        sessions = asyncio.run(unbind())
    except RefusedError as refused:
        raise CannotDoError(f"no PBX uses a licence key with the serial {options.serial!r}") from refused
    except SeatsHeldError as held:
        raise CannotDoError(
            f"{held.count} sessions hold seats of {options.serial!r}; use --end-sessions to end them"
        ) from held
    ended = f"; {len(sessions)} sessions have ended, and their users are notified" if sessions else ""
    print(
        f"{options.serial} is no longer bound to a PBX{ended}."
        " It is bound to the PBX of the next connector that registers it."
    )
    return 0
