"""Audit rows of administrative acts. Those of licences are written by the ledger, in its own transactions."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.store.moments import to_ms
from core.store.tables import audit


async def add_audit(
    connection: AsyncConnection,
    pbx_id: str,
    kind: str,
    actor: str,
    subject: str,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    await connection.execute(
        insert(audit).values(
            at=to_ms(at),
            pbx_id=pbx_id,
            kind=kind,
            actor=actor,
            subject=subject,
            detail=json.dumps(detail or {}),
        )
    )
