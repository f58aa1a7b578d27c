"""`pbx-teams pbx`: enrols, shows, hands over and removes PBX names."""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app import settings
from app.errors import CannotDoError
from app.records import CommandData, act_on, opened
from core.hub.registry import Pbx, Registry
from core.licensing.transactions.removing import UNUSED_FOR, StillUsed, remove_pbx
from core.store import database
from core.store.audit import OPERATOR
from core.store.timestamps import now
from wire.link import fingerprint
from wire.pbx_name import KnownPbxName, PbxName

Action = Callable[[Registry, str], Awaitable[None]]


def enrol(options: argparse.Namespace) -> int:
    async def enrol(registry: Registry, name: str) -> None:
        if await registry.by_name(name) is not None:
            raise CannotDoError(
                f"{name} belongs to an installation already; see 'pbx show {name}' and 'pbx hand-over'"
            )
        code, ends = await registry.enrol(name, now())
        if options.json:
            print(
                json.dumps(
                    {"pbxName": name, "enrolmentCode": code, "expiresAt": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
                )
            )
            return
        print(f'Into the connector\'s configuration, section [service]:\n\n  enrolment_code = "{code}"\n')
        print(f"Good once, for {name} alone, until {ends:%Y-%m-%d %H:%M} UTC. It is not shown again.")

    return _with_registry(options.name, enrol, PbxName)


def enrolments(_options: argparse.Namespace) -> int:
    async def enrolments(registry: Registry) -> None:
        pending = await registry.enrolments(now())
        for one in pending:
            print(f"{one.pbx_name:<40}  until {one.expires_at:%Y-%m-%d %H:%M} UTC")
        if not pending:
            print("No enrolment code is waiting to be used.")

    return _run(enrolments)


def revoke_enrolment(options: argparse.Namespace) -> int:
    async def revoke(registry: Registry, name: str) -> None:
        if not await registry.revoke_enrolment(name, now()):
            raise CannotDoError(f"there is no enrolment code for {name}; see 'pbx enrolments'")
        print(f"The enrolment code for {name} is worthless now.")

    return _with_registry(options.name, revoke)


def show(options: argparse.Namespace) -> int:
    async def show(registry: Registry, name: str) -> None:
        pbx = await registry.by_name(name)
        if pbx is None:
            pending = next((one for one in await registry.enrolments(now()) if one.pbx_name == name), None)
            if pending is None:
                raise CannotDoError(f"no PBX has the name {name}, and there is no enrolment code for it")
            print(
                f"{name}\n  no PBX yet; an enrolment code is good until {pending.expires_at:%Y-%m-%d %H:%M} UTC"
            )
            return
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


def hand_over(options: argparse.Namespace) -> int:
    async def hand_over(records: CommandData, name: str) -> None:
        pbx = await records.pbx(name)
        claims = await records.registry.refused_claims(pbx.id)
        claim = next((one for one in claims if fingerprint(one.identity) == options.fingerprint), None)
        if claim is None:
            raise CannotDoError(
                f"no installation with the fingerprint {options.fingerprint} has tried {name}: start its connector"
                f" once, then look with 'pbx show {name}'"
            )
        handed = await records.ledger.hand_over(
            pbx_id=pbx.id, identity=claim.identity, actor=OPERATOR, now=now()
        )
        if handed is None:
            raise CannotDoError(f"{name} was handed over in this very moment; look with 'pbx show {name}'")
        print(f"{name} belongs to {options.fingerprint} now; its connector is let in when it tries again.")
        print(
            f"{len(handed.ended)} sessions have ended and their users are notified; no Microsoft tenant is trusted now."
        )
        print("Users sign in again with the new installation's PBX key. Licence keys stay with the name.")

    return act_on(options.name, hand_over)


def remove(options: argparse.Namespace) -> int:
    async def remove(registry: Registry, name: str) -> None:
        pbx = await _known(registry, name)
        outcome = await registry.writer.run(lambda: remove_pbx(pbx.id, now()))
        if isinstance(outcome, StillUsed):
            since = f"was until {outcome.last_linked:%Y-%m-%d}" if outcome.last_linked else "is"
            raise CannotDoError(
                f"{name} {since} in use: it can be removed when its connector has not been linked for"
                f" {UNUSED_FOR.days} days"
            )
        if outcome is not None:
            print(
                f"{name} is removed; sessions ended: {outcome.sessions}. Its audit stays. The name is free."
            )

    return _with_registry(options.name, remove)


async def _known(registry: Registry, name: str) -> Pbx:
    pbx = await registry.by_name(name)
    if pbx is None:
        raise CannotDoError(f"no PBX has the name {name}")
    return pbx


def _with_registry(name: str, act: Action, kind: Any = KnownPbxName) -> int:
    try:
        canonical: str = TypeAdapter(kind).validate_python(name)
    except ValidationError as invalid:
        raise CannotDoError(
            f"{name!r} is no PBX name: it is a host name such as pbx.example.com, without https:// and port"
        ) from invalid
    return _run(lambda registry: act(registry, canonical))


def _run(act: Callable[[Registry], Awaitable[None]]) -> int:
    loaded = settings.load()
    database.upgrade(loaded.database_url)

    async def run() -> None:
        async with opened(loaded) as records:
            await act(records.registry)

    asyncio.run(run())
    return 0
