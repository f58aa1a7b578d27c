"""The composition root: creates all parts of the service, wires them together, and starts and stops them in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from aiohttp import web
from sqlalchemy import text

from app import metrics
from app.connector_door import serve_connector
from app.entrance import MESSAGES, entrance, headers_adder, refuse_or_read
from app.graph import GraphCallRecords
from app.probe_door import serve_probe
from app.readiness import CheckState, Readiness, prove_writer
from app.server import SOCKETS, Sockets
from app.settings import Settings
from bot.adapter import MAX_ACTIVITY_BYTES, Adapter, keep_keys_warm
from bot.answers import Answers
from bot.calls import CallCards
from bot.channel import Channel, ChannelHosts
from bot.conversation import TurnHandler
from bot.credentials import ChannelToken, token_source
from bot.deliveries import Deliveries
from bot.extension import Extension
from bot.notifier import Notifier
from bot.phone import PhoneAnswers
from bot.settings import BotSettings
from core.administration.administration import Administration
from core.administration.connections import Connections
from core.administration.downloads import Downloads
from core.administration.guard import AdministratorGuard
from core.administration.repairs import Repairs
from core.administration.trust_report import TrustReport
from core.advisor.advisor import Advisor
from core.advisor.calls import CallHelp
from core.advisor.probes import Probes
from core.advisor.records import CallRecords
from core.audit.reading import AuditReader
from core.background import cancel_and_wait, supervise
from core.hub.bus import Bus, connection_topic
from core.hub.hub import Hub
from core.hub.plane import open_plane
from core.hub.registry import Registry
from core.hub.replicas import Replicas
from core.identity.signing_keys import REFRESH_SECONDS, SigningKeys
from core.identity.tenant_trust import TenantTrust
from core.identity.tokens import ChannelTokenValidator, TabTokenValidator
from core.licensing.audience import Audience
from core.licensing.key_register import KeyRegister
from core.licensing.ledger import open_ledger
from core.licensing.licence_key import vendor_keys
from core.licensing.overview import Overview
from core.licensing.seat_history import SeatHistory
from core.licensing.transactions.ageing import SessionAge
from core.phone.colleagues import Colleagues
from core.phone.telephone import Telephone
from core.signin.preferences import PreferenceStore
from core.signin.refusals import Refusals
from core.signin.signin import SignIn
from core.signin.state_reading import StateReader
from core.signin.verdicts import Verdicts
from core.store.audio import AudioStore
from core.store.clock_watch import ClockWatch
from core.store.conversations import Conversations
from core.store.database import STORAGE_ERRORS, Database
from core.store.kept import Kept
from core.store.notices import Notices
from core.upkeep.expiring import Expiring
from core.upkeep.following import Following
from core.upkeep.operator_acts import OperatorActs
from core.upkeep.sweeper import Sweeper
from tab import downloads as download_pages
from tab import web_app
from tab.budgets import PersonBudgets
from tab.events import STOPPING
from tab.feeds import Reader
from tab.live import LiveUpdates
from tab.operation import API, TOKEN_IS_GOOD, TabServices
from wire.link import CallEndedAtOnce

logger = logging.getLogger(__name__)

READINESS: Final = web.AppKey("readiness", Readiness)
CLOCK: Final = web.AppKey("clock", ClockWatch)
CHANNEL_TOKEN: Final[web.AppKey[ChannelToken]] = web.AppKey("channel_token")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
READY_AGAIN_SECONDS: Final = 5
"""`Retry-After` of a replica that is not ready."""


def create(settings: Settings) -> web.Application:
    """Create the whole service as one aiohttp application. The database schema must be up to date."""
    database = Database(settings.database_url)
    ledger = open_ledger(database.address)
    overview = Overview(database)
    pepper = settings.key_pepper.get_secret_value().encode()
    registry = Registry(
        database,
        ledger.writer,
        pepper,
        enrolment_required=settings.enrolment_required,
    )
    trust = TenantTrust(database)
    plane = open_plane(settings.nats_url)
    bus = Bus(plane)
    replicas = Replicas(ledger.writer, plane.replica_id, is_alone=plane.is_alone)
    key_register = KeyRegister(ledger, vendor_keys(settings.vendor_keys))
    verdicts = Verdicts(overview)
    following = Following(registry, ledger, verdicts)

    async def call_ended(pbx_id: str, epoch: int, call: CallEndedAtOnce) -> None:
        await call_help.record_dropped_call(pbx_id, epoch, call)

    async def lines_changed(pbx_id: str, user_ids: Collection[int]) -> None:
        call_cards.update_cards(await telephone.lines_changed(pbx_id, user_ids))

    hub = Hub(
        registry=registry,
        plane=plane,
        bus=bus,
        register_licence_keys=key_register.register,
        on_users=following.users_changed,
        on_call=call_ended,
        on_lines=lines_changed,
        read_trust=TrustReport(trust, settings.teams_app_id).read,
    )
    session_age = SessionAge(timedelta(days=settings.session_days)) if settings.session_days else None
    preferences = PreferenceStore(database)
    refusals = Refusals(ledger.writer)
    sign_in = SignIn(
        registry=registry,
        hub=hub,
        trust=trust,
        ledger=ledger,
        overview=overview,
        states=StateReader(database),
        verdicts=verdicts,
        preferences=preferences,
        bus=bus,
        refusals=refusals,
        session_age=session_age,
    )
    following.start(hub, sign_in)
    audio_store = AudioStore(database, pepper)
    guard = AdministratorGuard(
        registry=registry, hub=hub, ledger=ledger, overview=overview, bus=bus, refusals=refusals
    )
    clock = ClockWatch(database)
    history = SeatHistory(database, ledger.writer, clock.trusted_now)
    administration = Administration(
        guard=guard,
        registry=registry,
        trust=trust,
        ledger=ledger,
        overview=overview,
        sign_in=sign_in,
        bus=bus,
        history=history,
        audit_reader=AuditReader(database),
        counted=Kept(database),
        session_days=settings.session_days or 0,
    )
    connections = Connections(
        registry=registry, hub=hub, ledger=ledger, overview=overview, guard=guard, sign_in=sign_in, bus=bus
    )
    downloads = Downloads(settings.downloads, pepper, guard, overview)
    advisor = Advisor(store=audio_store, overview=overview, guard=guard, bus=bus)
    probes = Probes(advisor=advisor, store=audio_store, bus=bus, replica_id=plane.replica_id)
    graph = GraphCallRecords(settings.graph_url, lambda tenant: token_source(bot_settings, tenant))
    records = CallRecords(graph if settings.call_records else None, audio_store, advisor)
    call_help = CallHelp(
        hub=hub, registry=registry, store=audio_store, overview=overview, advisor=advisor, bus=bus
    )
    telephone = Telephone(hub=hub, registry=registry, database=database, bus=bus)
    expiring = Expiring(
        ledger=ledger,
        registry=registry,
        hub=hub,
        calls_over=call_help.list_users_without_call,
        age=session_age,
    )
    operator_acts = OperatorActs(database, bus, hub.close_stale)
    sweeper = Sweeper(
        ledger=ledger,
        sign_in=sign_in,
        database=database,
        audio=audio_store,
        registry=registry,
        expiring=expiring,
        clock=clock,
        audit_days=settings.audit_days,
        age=session_age,
    )

    tab_tokens = TabTokenValidator(
        keys=SigningKeys(jwks_url=f"{settings.entra_authority}/common/discovery/v2.0/keys"),
        audiences=(settings.app_id, f"api://{settings.app_id}", *settings.application_id_uris),
        authority=settings.entra_authority,
        allowed_tenants=settings.allowed_tenants,
        allowed_clients=settings.allowed_clients,
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
        allowed_tenants=frozenset(settings.allowed_tenants),
        channel_hosts=frozenset(settings.channel_hosts),
    )
    channel_hosts = ChannelHosts(bot_settings.channel_hosts)
    channel_token = ChannelToken(token_source(bot_settings), bot_settings.oauth_scope)
    channel = Channel(channel_hosts, channel_token)
    adapter = Adapter(channel, channel_hosts, channel_tokens)
    conversations = Conversations(database, ledger.writer)
    colleagues = Colleagues(database)
    phone_answers = PhoneAnswers(telephone, colleagues)
    answers = Answers(
        settings=bot_settings,
        sign_in=sign_in,
        administration=administration,
        advisor=advisor,
        preferences=preferences,
        phone=phone_answers,
    )
    deliveries = Deliveries(conversations)
    call_cards = CallCards(
        channel=channel,
        telephone=telephone,
        preferences=preferences,
        conversations=conversations,
        colleagues=colleagues,
        bus=bus,
        reader=answers.reader,
    )
    telephone.on_returned(call_cards.announce_missed)
    extension = Extension(telephone, settings.teams_app_id)
    conversation = TurnHandler(
        settings=bot_settings,
        answers=answers,
        sign_in=sign_in,
        conversations=conversations,
        deliveries=deliveries,
        call_cards=call_cards,
        message_extension=extension,
    )
    notifier = Notifier(
        channel=channel,
        answers=answers,
        conversations=conversations,
        notices=Notices(database, ledger.writer),
        bus=bus,
    )

    live = LiveUpdates(
        bus=bus, sign_in=sign_in, reader=Reader(sign_in, overview, Audience(database)), telephone=telephone
    )

    app = web.Application(
        middlewares=[entrance(settings.trusted_proxies)], client_max_size=MAX_ACTIVITY_BYTES
    )
    sockets = Sockets(behind_proxy=settings.trusted_proxies > 0)

    async def messages(request: web.Request) -> web.StreamResponse:
        return await refuse_or_read(request) or await adapter.handle(request, conversation)

    async def link(request: web.Request) -> web.StreamResponse:
        return await serve_connector(request, hub)

    async def probe(request: web.Request) -> web.StreamResponse:
        return await serve_probe(request, probes)

    async def read() -> None:
        query = "SELECT 1 FROM pbx LIMIT 1"
        await database.fetch(query)
        async with database.reading() as connection:
            await connection.execute(text(query))

    readiness = Readiness(
        {"read": read, "write": clock.prove, "seats": partial(ledger.writer.run, prove_writer)}
    )

    app.router.add_post(MESSAGES, messages)
    app.router.add_get("/connector/link", link)
    app.router.add_get("/probe/link", probe)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get(
        "/metrics",
        metrics.handler(
            hub=hub,
            plane=plane,
            probes=probes,
            sockets=sockets,
            channel_token=channel_token,
            readiness=readiness,
            clock=clock,
            token=settings.metrics_token,
        ),
    )
    app[READINESS] = readiness
    app[CLOCK] = clock
    app[CHANNEL_TOKEN] = channel_token
    app[STOPPING] = asyncio.Event()
    app[SOCKETS] = sockets
    app[TOKEN_IS_GOOD] = lambda request: sockets.mark_known(request.protocol)
    app.on_response_prepare.append(headers_adder(settings.hsts))
    app.add_subapp(
        API,
        web_app.api(
            TabServices(
                tokens=tab_tokens,
                sign_in=sign_in,
                administration=administration,
                connections=connections,
                repairs=Repairs(registry, hub, guard),
                downloads=downloads,
                advisor=advisor,
                probes=probes,
                call_help=call_help,
                telephone=telephone,
                records=records,
                preferences=preferences,
                conversations=conversations,
                budgets=PersonBudgets(settings.changes_per_minute),
                live=live,
                public_url=settings.public_url,
                bot_can_write=lambda: channel_token.fault is None,
            )
        ),
    )
    app.add_subapp("/tab", web_app.pages())
    app.add_subapp(download_pages.PATH, download_pages.files(downloads))

    async def life(_app: web.Application) -> AsyncIterator[None]:
        plane.start(hub.answer, bus.deliver, bus.notify_missed)
        await replicas.enter()
        background = [
            asyncio.create_task(supervise(name, work))
            for name, work in (
                ("replicas", partial(replicas.run, hub.close_all, links_closed)),
                ("hub", hub.run),
                ("signing keys", partial(keep_keys_warm, channel_tokens, REFRESH_SECONDS / 2)),
                ("channel token", channel_token.keep_warm),
                ("answered", deliveries.run),
                ("notifier", notifier.run),
                ("clock", clock.run),
                ("sweeper", sweeper.run),
                ("days of use", history.run),
                ("operator's acts", operator_acts.run),
                ("help with calls", call_help.run),
                ("telephones", telephone.run),
                ("live updates", live.run),
                ("refusals", refusals.run),
            )
        ]
        readiness.start()
        yield
        await cancel_and_wait(*background)
        await refusals.write()
        await call_cards.close()
        with suppress(*STORAGE_ERRORS):
            await notifier.close()
        with suppress(*STORAGE_ERRORS):
            await deliveries.close()
        await readiness.close()
        await following.close()
        await records.close()
        await channel.close()
        with suppress(*STORAGE_ERRORS):
            links_closed(await replicas.leave())
        await plane.close()
        await ledger.close()
        await database.close()

    def links_closed(pbx_ids: Sequence[str]) -> None:
        bus.publish(*(connection_topic(pbx_id) for pbx_id in pbx_ids))

    async def stop(_app: web.Application) -> None:
        app[STOPPING].set()
        live.close()
        await probes.close()
        # A single replica cannot hand links over. The sooner they close, the sooner the connectors reconnect.
        await hub.drain(0 if plane.is_alone else settings.drain_seconds)

    app.cleanup_ctx.append(life)
    app.on_shutdown.append(stop)
    return app


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    """Answer 200 if this replica can read and commit by both write paths. The body also reports other problems."""
    app = request.app
    parts = app[READINESS].states()
    stopping = app[STOPPING].is_set()
    ready = not stopping and all(state is CheckState.OK for state in parts.values())
    fault = app[CHANNEL_TOKEN].fault
    body = {
        "status": "ready" if ready else "stopping" if stopping else "not ready",
        **parts,
        "bot": "ok" if fault is None else f"no token: {fault}",
        "clock": app[CLOCK].doubt or "ok",
    }
    headers = {} if ready else {"Retry-After": str(READY_AGAIN_SECONDS)}
    return web.json_response(body, status=200 if ready else 503, headers=headers)
