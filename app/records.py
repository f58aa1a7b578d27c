"""Access to the service's data for the operator's commands, without a running service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from app import settings
from app.errors import CannotDoError
from core.hub.registry import Pbx, Registry
from core.identity.tenant_trust import TenantTrust
from core.licensing.ledger import Ledger, open_ledger
from core.store import database
from core.store.database import Database
from wire.pbx_name import KnownPbxName


@dataclass(frozen=True, slots=True)
class CommandData:
    registry: Registry
    ledger: Ledger
    trust: TenantTrust

    async def pbx(self, name: str) -> Pbx:
        """Return the PBX with this canonical name. Raises `CannotDoError` if there is none."""
        pbx = await self.registry.by_name(name)
        if pbx is None:
            raise CannotDoError(f"no PBX has the name {name}")
        return pbx


Action = Callable[[CommandData, str], Awaitable[None]]


def act_on(name: str, act: Action) -> int:
    """Run a command's `act` with the canonical form of this PBX name; return the exit code. Raises `CannotDoError`."""
    try:
        canonical: str = TypeAdapter(KnownPbxName).validate_python(name)
    except ValidationError as invalid:
        raise CannotDoError(
            f"{name!r} is no PBX name: it is a host name such as pbx.example.com, without https:// and port"
        ) from invalid
    loaded = settings.load()
    database.upgrade(loaded.database_url)

    async def run() -> None:
        async with opened(loaded) as records:
            await act(records, canonical)

    asyncio.run(run())
    return 0


@asynccontextmanager
async def opened(loaded: settings.Settings) -> AsyncIterator[CommandData]:
    """Open the database for a command, and close it afterwards."""
    store = Database(loaded.database_url)
    ledger = open_ledger(store.address)
    try:
        pepper = loaded.key_pepper.get_secret_value().encode()
        yield CommandData(Registry(store, ledger.writer, pepper), ledger, TenantTrust(store))
    finally:
        await ledger.close()
        await store.close()
