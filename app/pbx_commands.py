"""`pbx-teams pbx`: what an operator does about a name: let a new one in, see who claims it, hand it over."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app import settings
from app.errors import CannotDoError
from core.hub.registry import Pbx, Registry
from core.store import database
from core.store.database import Database
from core.store.moments import now
from core.store.writing import open_writer
from wire.link import PbxName, fingerprint

Act = Callable[[Registry, str], Awaitable[None]]


def add_parser(commands: Any) -> None:
    pbx = commands.add_parser("pbx", help="names of PBXs").add_subparsers(required=True, metavar="COMMAND")
    enrol = pbx.add_parser("enrol", help="make a code with which a connector may claim a new name, once")
    enrol.add_argument("name")
    enrol.set_defaults(run=_enrol)
    show = pbx.add_parser("show", help="who owns a name, how its link stands, who else has tried it")
    show.add_argument("name")
    show.set_defaults(run=_show)
    hand_over = pbx.add_parser(
        "hand-over", help="bind a name to another installation, for instance one without a backup"
    )
    hand_over.add_argument("name")
    hand_over.add_argument("fingerprint", help="of the new installation's identity, as 'pbx show' prints it")
    hand_over.set_defaults(run=_hand_over)


def _enrol(options: argparse.Namespace) -> int:
    async def enrol(registry: Registry, name: str) -> None:
        if await registry.by_name(name) is not None:
            raise CannotDoError(
                f"{name} belongs to an installation already; see 'pbx show {name}' and 'pbx hand-over'"
            )
        code, ends = await registry.enrol(name, now())
        print(f'Into the connector\'s configuration, section [service]:\n\n  enrolment_code = "{code}"\n')
        print(f"Good once, for {name} alone, until {ends:%Y-%m-%d %H:%M} UTC.")

    return _with_registry(options.name, enrol)


def _show(options: argparse.Namespace) -> int:
    async def show(registry: Registry, name: str) -> None:
        pbx = await _known(registry, name)
        print(
            f"{pbx.name}\n  identity   {fingerprint(pbx.identity)}, since {pbx.claimed_at:%Y-%m-%d %H:%M} UTC"
        )
        if pbx.is_linked:
            print(
                f"  linked     since {pbx.link_opened_at:%Y-%m-%d %H:%M} UTC, connector {pbx.connector_version}"
            )
        elif pbx.link_closed_at is not None:
            print(f"  no link    since {pbx.link_closed_at:%Y-%m-%d %H:%M} UTC")
        else:
            print("  no link    yet")
        for claim in await registry.refused_claims(pbx.id):
            print(
                f"  refused    {fingerprint(claim.identity)}, last {claim.at:%Y-%m-%d %H:%M} UTC"
                f" from {claim.address}, connector {claim.connector_version}"
            )

    return _with_registry(options.name, show)


def _hand_over(options: argparse.Namespace) -> int:
    async def hand_over(registry: Registry, name: str) -> None:
        pbx = await _known(registry, name)
        claims = await registry.refused_claims(pbx.id)
        claim = next((one for one in claims if fingerprint(one.identity) == options.fingerprint), None)
        if claim is None:
            raise CannotDoError(
                f"no installation with the fingerprint {options.fingerprint} has tried {name}: start its connector"
                f" once, then look with 'pbx show {name}'"
            )
        await registry.hand_over(pbx.id, claim.identity, "operator", now())
        print(f"{name} belongs to {options.fingerprint} now; its connector is let in when it tries again.")
        print("Sessions and licences stay. Users need the new installation's PBX key for their next sign-in.")

    return _with_registry(options.name, hand_over)


async def _known(registry: Registry, name: str) -> Pbx:
    pbx = await registry.by_name(name)
    if pbx is None:
        raise CannotDoError(f"no PBX has the name {name}")
    return pbx


def _with_registry(name: str, act: Act) -> int:
    try:
        canonical: str = TypeAdapter(PbxName).validate_python(name)
    except ValidationError as invalid:
        raise CannotDoError(f"{name!r} is no PBX name; it is a host name, normally the FQDN") from invalid
    loaded = settings.load()
    database.upgrade(loaded.database_url)

    async def run() -> None:
        async with _registry(loaded) as registry:
            await act(registry, canonical)

    asyncio.run(run())
    return 0


@asynccontextmanager
async def _registry(loaded: settings.Settings) -> AsyncIterator[Registry]:
    store = Database(loaded.database_url)
    writer = open_writer(store.address)
    try:
        yield Registry(store, writer, loaded.key_pepper.get_secret_value().encode())
    finally:
        await writer.close()
        await store.close()
