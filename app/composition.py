"""The composition root: makes every part, gives each what it needs, starts and stops them in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from sqlalchemy import text

from app import metrics
from app.connector_door import serve_connector
from app.graph import GraphCallRecords
from app.probe_door import serve_probe
from app.server import SPOKEN
from app.settings import Settings
from bot.adapter import MAX_ACTIVITY_BYTES, Adapter, keep_keys_warm
from bot.answers import Answers
from bot.conversation import Conversation, say_sorry
from bot.credentials import token_source
from bot.notifier import Notifier
from bot.settings import BotSettings
from core.advisor.advisor import Advisor
from core.advisor.calls import CallHelp
from core.advisor.probes import Probes
from core.advisor.records import CallRecords
from core.hub.bus import Bus, pbx_topic
from core.hub.hub import Hub
from core.hub.plane import open_plane
from core.hub.registry import Registry
from core.hub.replicas import Replicas
from core.identity.signing_keys import REFRESH_SECONDS, SigningKeys
from core.identity.tenant_trust import TenantTrust
from core.identity.tokens import ChannelTokenValidator, TabTokenValidator
from core.licensing.key_register import KeyRegister
from core.licensing.ledger import open_ledger
from core.licensing.licence_key import vendor_keys
from core.licensing.overview import Overview
from core.licensing.usage import UsageReader
from core.request import REQUEST_ID, RequestId
from core.signin.administration import Administration
from core.signin.connections import Connections
from core.signin.expiring import Expiring
from core.signin.following import Following
from core.signin.preferences import PreferenceStore
from core.signin.signin import SignIn
from core.signin.sweeper import Sweeper
from core.signin.verdicts import Verdicts
from core.store.audio import AudioStore
from core.store.conversations import Conversations
from core.store.database import STORAGE_ERRORS, Database
from core.store.notices import Notices
from tab import web_app
from tab.events import STOPPING
from tab.operation import API, TabServices
from wire.link import CallEndedAtOnce

logger = logging.getLogger(__name__)

READY: Final[web.AppKey[Callable[[], Awaitable[bool]]]] = web.AppKey("ready")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create(settings: Settings) -> web.Application:
    """The whole service as one aiohttp application. The database must have its schema."""
    database = Database(settings.database_url)
    ledger = open_ledger(database.address)
    overview = Overview(database)
    registry = Registry(
        database,
        ledger.writer,
        settings.key_pepper.get_secret_value().encode(),
        enrolment_required=settings.enrolment_required,
    )
    trust = TenantTrust(database)
    plane = open_plane(settings.nats_url)
    bus = Bus(plane)
    replicas = Replicas(ledger.writer, plane.replica_id, is_alone=plane.is_alone)
    key_register = KeyRegister(ledger, vendor_keys(settings.vendor_keys))
    verdicts = Verdicts(overview)
    following = Following(registry, ledger, verdicts)

    async def call_ended(pbx_id: str, call: CallEndedAtOnce) -> None:
        await call_help.ended_at_once(pbx_id, call)

    hub = Hub(registry, plane, bus, key_register.register, following.users_changed, call_ended)
    preferences = PreferenceStore(database)
    sign_in = SignIn(registry, hub, trust, ledger, overview, verdicts, preferences, bus)
    following.start(hub, sign_in)
    audio_store = AudioStore(database)
    administration = Administration(
        registry, hub, trust, ledger, overview, sign_in, bus, UsageReader(database)
    )

    connections = Connections(registry, hub, overview, administration, bus)
    advisor = Advisor(audio_store, overview, administration, bus)
    probes = Probes(advisor, audio_store, bus, plane.replica_id)
    graph = GraphCallRecords(settings.graph_url, lambda tenant: token_source(bot_settings, tenant))
    records = CallRecords(graph if settings.call_records else None, audio_store, advisor)
    call_help = CallHelp(hub, registry, audio_store, overview, advisor, bus)
    expiring = Expiring(ledger, registry, hub, call_help.over)
    sweeper = Sweeper(ledger, sign_in, audio_store, registry, expiring, settings.audit_days)

    tab_tokens = TabTokenValidator(
        keys=SigningKeys(jwks_url=f"{settings.entra_authority}/common/discovery/v2.0/keys"),
        audiences=(settings.app_id, f"api://{settings.app_id}", *settings.application_id_uris),
        authority=settings.entra_authority,
        allowed_tenants=settings.allowed_tenants,
    )
    channel_tokens = ChannelTokenValidator(
        SigningKeys(metadata_url=settings.channel_metadata_url), settings.bot_app_id, settings.channel_issuer
    )
    bot_settings = BotSettings(
        app_id=settings.bot_app_id,
        app_type=settings.app_type,
        tenant_id=settings.app_tenant_id,
        app_password=settings.app_password.get_secret_value(),
        authority=settings.entra_authority,
        oauth_scope=settings.channel_scope,
        tab_url=f"{settings.public_url}/tab/",
        teams_app_id=settings.teams_app_id,
    )
    adapter = Adapter(bot_settings, channel_tokens)
    adapter.on_turn_error = say_sorry
    conversations = Conversations(database)
    answers = Answers(bot_settings, sign_in, administration, advisor, preferences)
    conversation = Conversation(bot_settings, answers, sign_in, conversations)
    notifier = Notifier(adapter, answers, conversations, preferences, sign_in, Notices(database), bus)

    app = web.Application(
        middlewares=[request_ids(settings.trusted_proxies)], client_max_size=MAX_ACTIVITY_BYTES
    )

    async def messages(request: web.Request) -> web.StreamResponse:
        return await adapter.handle(request, conversation)

    async def link(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, hub)

    async def probe(request: web.Request) -> web.StreamResponse:
        return await serve_probe(request, probes)

    async def is_ready() -> bool:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1 FROM pbx LIMIT 1"))
        return not app[STOPPING].is_set()

    app.router.add_post("/api/messages", messages)
    app.router.add_get("/connector/link", link)
    app.router.add_get("/probe/link", probe)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", metrics.handler(hub, plane, probes))
    app[READY] = is_ready
    app[STOPPING] = asyncio.Event()
    app[SPOKEN] = set()
    app.add_subapp(
        API,
        web_app.api(
            TabServices(
                *(tab_tokens, sign_in, administration, connections, advisor, probes, call_help, records),
                *(preferences, conversations, bus),
                settings.public_url,
            )
        ),
    )
    app.add_subapp("/tab", web_app.pages())

    async def life(_app: web.Application) -> AsyncIterator[None]:
        plane.start(hub.answer, bus.hear, bus.missed)
        await replicas.enter()
        background = [
            asyncio.create_task(replicas.run(hub.fence, links_closed)),
            asyncio.create_task(hub.run()),
            asyncio.create_task(keep_keys_warm(channel_tokens, REFRESH_SECONDS / 2)),
            asyncio.create_task(notifier.run()),
            asyncio.create_task(sweeper.run()),
            asyncio.create_task(call_help.run()),
        ]
        yield
        for task in background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await following.close()
        await records.close()
        with suppress(*STORAGE_ERRORS):
            links_closed(await replicas.leave())
        await plane.close()
        await ledger.close()
        await database.close()

    def links_closed(pbx_ids: Sequence[str]) -> None:
        bus.publish(*(pbx_topic(pbx_id) for pbx_id in pbx_ids))

    async def stop(_app: web.Application) -> None:
        app[STOPPING].set()
        await probes.close()
        # Alone there is nobody to hand over to: the sooner the links close, the sooner they are back.
        await hub.drain(0 if plane.is_alone else settings.drain_seconds)

    app.cleanup_ctx.append(life)
    app.on_shutdown.append(stop)
    return app


def request_ids(trusted_proxies: int) -> Middleware:
    """Gives each request an id and, behind proxies that are trusted, its real address."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        REQUEST_ID.set(RequestId())
        request.app[SPOKEN].add(request.protocol)
        if trusted_proxies:
            forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
            if len(forwarded) >= trusted_proxies and forwarded[-trusted_proxies]:
                request = request.clone(remote=forwarded[-trusted_proxies])
        return await handler(request)

    return middleware


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    try:
        ready = await request.app[READY]()
    except Exception:
        logger.exception("not ready")
        ready = False
    return web.json_response({"status": "ready" if ready else "not ready"}, status=200 if ready else 503)
