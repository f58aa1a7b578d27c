"""The connector's status: a page and metrics on loopback, and the output of `pbx-connector status`."""

import html
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from pydantic import Field, ValidationError

from connector.errors import ConnectorError
from wire import outbound
from wire.hosts import is_loopback
from wire.link import LicenceKeyState, RestState, Status, UciState
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


class ConfigurationState(WireModel):
    """The configuration in use, and whether its file has been changed to something that cannot be used."""

    file: str
    read_at: Moment
    """When the configuration in use was read."""
    fault: str | None
    """Why the present file is not used; the configuration before it stays in use."""
    fault_since: Moment | None


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
    configuration: ConfigurationState
    active: bool
    """Whether the connector is switched on in its configuration."""
    uci: UciState
    """The state of the connector's own UCI login now; `pbx.uci` is what was last reported to the service."""
    uci_enabled: bool
    """Whether UCI is switched on in the configuration."""
    repairs_from_teams: bool
    licence_keys: list[LicenceKeyState]
    """The service's verdict on each licence key, in the order of the configuration; from the last link."""


class StatusPage:
    """The status page, on 127.0.0.1 only. It shows the PBX and the service, but no secret."""

    def __init__(self, port: int, read: Callable[[], ConnectorStatus]) -> None:
        """`read` returns the present status."""
        self._port = port
        self._read = read
        self._runner: web.AppRunner | None = None
        self._metrics = CollectorRegistry()
        self._gauge("link_up", "The link to the service is open", lambda: float(read().linked))
        self._gauge("pbx_up", "The PBX can be used", lambda: float(read().pbx.rest is RestState.OK))
        self._gauge("uci_up", "UCI is connected", lambda: float(read().uci is UciState.ON))
        self._links = Counter("pbx_connector_links", "Links opened", registry=self._metrics)
        self._events = Counter("pbx_connector_uci_events", "UCI events received", registry=self._metrics)

    async def start(self) -> bool:
        """Start the page. Returns False if the port is in use; the connector then runs without the page."""
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
            return False
        self._runner = runner
        return True

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _json(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._read().model_dump_json(by_alias=True), content_type="application/json")

    async def _health(self, _request: web.Request) -> web.Response:
        is_linked = self._read().linked
        return web.json_response({"linked": is_linked}, status=200 if is_linked else 503)

    async def _prometheus(self, _request: web.Request) -> web.Response:
        status = self._read()
        self._links.reset()
        self._links.inc(status.links_opened)
        self._events.reset()
        self._events.inc(status.events_received)
        return web.Response(body=generate_latest(self._metrics), headers={"Content-Type": _PROMETHEUS})

    async def _page(self, _request: web.Request) -> web.Response:
        rows = "".join(
            f"<tr><th scope=row>{html.escape(name)}<td>{html.escape(value)}"
            for name, value in lines(self._read())
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
        ("Link", f"open{since}" if status.linked else "none" if status.active else "none, switched off"),
        ("Links opened", str(status.links_opened)),
        ("Configuration", "active" if status.pbx.module_active else "switched off"),
        ("PBX", f"{status.pbx.rest} (version {status.pbx.pbx_version or '?'})"),
        ("UCI", f"{status.pbx.uci}, {status.events_received} events"),
        ("Connector", f"{status.connector_version}, running since {status.started_at:%Y-%m-%d %H:%M} UTC"),
    ]
    if status.configuration.fault is not None:
        since = f"{status.configuration.fault_since:%Y-%m-%d %H:%M} UTC"
        words = f"not used since {since}, the one before is kept: {status.configuration.fault}"
        found.append(("Changed file", words))
    found += [
        ("Licence key", f"{key.serial or '?'} refused: {key.reason or '?'}")
        for key in status.licence_keys
        if not key.accepted
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
