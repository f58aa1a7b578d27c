"""The connector's status: a page and metrics on loopback, and the output of `pbx-connector status`."""

import html
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from pydantic import Field, ValidationError

from connector import __version__
from connector.errors import ConnectorError
from connector.link import LinkClient
from connector.monitor import Monitor
from connector.state import ConnectorState
from connector.supervisor import Supervisor
from connector.uci import UciClient
from wire import outbound
from wire.hosts import is_loopback
from wire.link import RestState, Status, UciState
from wire.model import Moment, WireModel

logger = logging.getLogger(__name__)

SECONDS: Final = 3.0
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class PartStatus(WireModel):
    """One part of the connector, as the supervisor sees it."""

    name: str
    running: bool
    restarts: int
    last_fault: str | None
    failed_at: Moment | None


class ConnectorStatus(WireModel):
    pbx_name: str
    service: str
    identity: str
    connector_version: str
    started_at: Moment
    linked: bool
    linked_since: Moment | None
    links_opened: int
    last_fault: str | None
    """Why the last attempt to open a link failed."""
    pbx: Status
    events_received: int
    old_key_until: Moment | None
    parts: list[PartStatus] = Field(default_factory=list)


class StatusPage:
    """The status page, on 127.0.0.1 only. It shows the PBX and the service, but no secret."""

    def __init__(
        self,
        port: int,
        pbx_name: str,
        service: str,
        state: ConnectorState,
        link: LinkClient,
        monitor: Monitor,
        uci: UciClient,
        supervisor: Supervisor,
    ) -> None:
        self._supervisor = supervisor
        self._port = port
        self._pbx_name = pbx_name
        self._service = service
        self._state = state
        self._link = link
        self._monitor = monitor
        self._uci = uci
        self._started_at = datetime.now(UTC)
        self._metrics = CollectorRegistry()
        self._gauge("link_up", "The link to the service is open", lambda: float(link.is_open.is_set()))
        self._gauge("pbx_up", "The PBX can be used", lambda: float(monitor.status.rest is RestState.OK))
        self._gauge("uci_up", "UCI is connected", lambda: float(uci.state is UciState.ON))
        self._links = Counter("pbx_connector_links", "Links opened", registry=self._metrics)
        self._events = Counter("pbx_connector_uci_events", "UCI events received", registry=self._metrics)

    def status(self) -> ConnectorStatus:
        previous = self._state.previous_pbx_key()
        return ConnectorStatus(
            pbx_name=self._pbx_name,
            service=self._service,
            identity=self._state.fingerprint,
            connector_version=__version__,
            started_at=self._started_at,
            linked=self._link.is_open.is_set(),
            linked_since=self._link.opened_at if self._link.is_open.is_set() else None,
            links_opened=self._link.links_opened,
            last_fault=self._link.last_fault,
            pbx=self._monitor.status,
            events_received=self._uci.events_received,
            old_key_until=previous[1] if previous is not None else None,
            parts=[
                PartStatus(
                    name=part.name,
                    running=part.running,
                    restarts=part.restarts,
                    last_fault=part.last_fault,
                    failed_at=part.failed_at,
                )
                for part in self._supervisor.parts.values()
            ],
        )

    async def start(self) -> web.AppRunner | None:
        """Start the page. Returns None if the port is in use; the connector then runs without the page."""
        app = web.Application(middlewares=[_own_host_only])
        app.router.add_get("/", self._page)
        app.router.add_get("/status", self._json)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/metrics", self._prometheus)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
        except OSError as fault:
            await runner.cleanup()
            logger.warning(
                "no status page: port %s is taken; choose another in [status]",
                self._port,
                extra={"fault": fault},
            )
            return None
        return runner

    async def _json(self, _request: web.Request) -> web.Response:
        return web.Response(
            text=self.status().model_dump_json(by_alias=True), content_type="application/json"
        )

    async def _health(self, _request: web.Request) -> web.Response:
        is_linked = self._link.is_open.is_set()
        return web.json_response({"linked": is_linked}, status=200 if is_linked else 503)

    async def _prometheus(self, _request: web.Request) -> web.Response:
        self._links.reset()
        self._links.inc(self._link.links_opened)
        self._events.reset()
        self._events.inc(self._uci.events_received)
        return web.Response(body=generate_latest(self._metrics), headers={"Content-Type": _PROMETHEUS})

    async def _page(self, _request: web.Request) -> web.Response:
        rows = "".join(
            f"<tr><th scope=row>{html.escape(name)}<td>{html.escape(value)}"
            for name, value in lines(self.status())
        )
        style = "body{font:16px system-ui;margin:2rem}th{text-align:left;padding-right:2rem;font-weight:400}"
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5>"
            f"<title>pbx-connector</title><style>{style}</style><h1>pbx-connector</h1><table>{rows}</table></html>"
        )
        return web.Response(text=page, content_type="text/html")

    def _gauge(self, name: str, words: str, value: Callable[[], float]) -> None:
        Gauge(f"pbx_connector_{name}", words, registry=self._metrics).set_function(value)


@web.middleware
async def _own_host_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests for other host names.

    A website can resolve its own name to this machine's address (DNS rebinding) and could then read the page in a local
    browser as if it were its own. Its requests have its own name as the host.
    """
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        return web.Response(status=421, text="This page is at http://127.0.0.1 only.\n")
    response = await handler(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


def lines(status: ConnectorStatus) -> list[tuple[str, str]]:
    """Return the labels and values that the page and the terminal show."""
    since = f" since {status.linked_since:%Y-%m-%d %H:%M} UTC" if status.linked_since is not None else ""
    found = [
        ("PBX name", status.pbx_name),
        ("Identity", status.identity),
        ("Service", status.service),
        ("Link", f"open{since}" if status.linked else "none"),
        ("Links opened", str(status.links_opened)),
        ("Configuration", "active" if status.pbx.module_active else "switched off"),
        ("PBX", f"{status.pbx.rest} (version {status.pbx.pbx_version or '?'})"),
        ("UCI", f"{status.pbx.uci}, {status.events_received} events"),
        ("Connector", f"{status.connector_version}, running since {status.started_at:%Y-%m-%d %H:%M} UTC"),
    ]
    for reading in status.pbx.readings or ():
        words = reading.state.value
        if reading.code is not None:
            words = (
                f"{words} since {reading.since:%Y-%m-%d %H:%M} UTC: {reading.code}, {reading.detail or ''}"
            )
        elif reading.skipped:
            words = f"{words}, {reading.skipped} records not understood ({reading.detail or '?'})"
        found.append((f"PBX {reading.part}", words))
    found += [
        (
            f"Part {part.name}",
            f"{'runs' if part.running else 'waits'}, failed {part.restarts} times ({part.last_fault})",
        )
        for part in status.parts
        if part.restarts
    ]
    if status.old_key_until is not None:
        found.append(("Old PBX key", f"good until {status.old_key_until:%Y-%m-%d %H:%M} UTC"))
    for name, fault in (("Last fault", status.last_fault), ("PBX says", status.pbx.detail)):
        if fault:
            found.append((name, fault))
    return found


async def ask(port: int) -> ConnectorStatus:
    """Return the status of the connector that runs on this machine. Raises `ConnectorError`."""
    if not port:
        raise ConnectorError("the status page is switched off: give [status] a port")
    try:
        async with (
            outbound.client(timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=False) as http,
            http.get(f"http://127.0.0.1:{port}/status") as answer,
        ):
            return ConnectorStatus.model_validate_json(await answer.read())
    except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as fault:
        raise ConnectorError(
            f"no connector answers on port {port}: it does not run here, or another program has the port"
        ) from fault
