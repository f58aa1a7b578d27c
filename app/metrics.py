"""`GET /metrics`: the metrics of one replica, for Prometheus.

They are served on the public port, so a bearer token of the operator is required.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import SecretStr

from app.readiness import CheckState, Readiness
from app.server import Sockets
from bot.credentials import ChannelToken
from core.advisor.probes import Probes
from core.hub.hub import Hub
from core.hub.plane import Plane
from core.store.clock_watch import ClockWatch

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Parts(Collector):
    def __init__(
        self,
        hub: Hub,
        plane: Plane,
        probes: Probes,
        sockets: Sockets,
        channel_token: ChannelToken,
        readiness: Readiness,
        clock: ClockWatch,
    ) -> None:
        self._hub = hub
        self._plane = plane
        self._probes = probes
        self._sockets = sockets
        self._channel_token = channel_token
        self._readiness = readiness
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "pbx_teams_clock_trusted",
            "1 unless deleting waits for a clock that jumped",
            self._clock.doubt is None,
        )
        ready = GaugeMetricFamily("pbx_teams_ready", "Parts that this replica needs", labels=["part"])
        for part, state in self._readiness.states().items():
            ready.add_metric([part], state is CheckState.OK)
        yield ready
        yield GaugeMetricFamily("pbx_teams_links", "Links held by this replica", self._hub.links_open)
        yield GaugeMetricFamily(
            "pbx_teams_probes", "Audio probes connected here", self._probes.connected_count
        )
        yield GaugeMetricFamily(
            "pbx_teams_plane_up", "NATS is reached (1 as well when alone)", self._plane.is_up
        )
        yield CounterMetricFamily(
            "pbx_teams_malformed_requests", "Requests that are not HTTP", self._sockets.malformed
        )
        yield CounterMetricFamily(
            "pbx_teams_connections_cut",
            "Sockets of strangers that were too slow or too many",
            self._sockets.cut,
        )
        links = CounterMetricFamily("pbx_teams_link_openings", "Openings of links", labels=["outcome"])
        for outcome, count in self._hub.openings.items():
            links.add_metric([outcome], count)
        yield links
        calls = CounterMetricFamily(
            "pbx_teams_pbx_calls", "Calls to PBXs, by what came of them", labels=["outcome"]
        )
        for outcome, count in self._hub.calls.items():
            calls.add_metric([outcome], count)
        yield calls
        yield GaugeMetricFamily(
            "pbx_teams_bot_signed_in",
            "Microsoft gives the bot its token, so that it can write (0: see the log for why)",
            self._channel_token.fault is None,
        )
        tokens = CounterMetricFamily(
            "pbx_teams_bot_token_failures", "Tokens that Microsoft did not give the bot", labels=["reason"]
        )
        for reason, count in self._channel_token.failures.items():
            tokens.add_metric([reason], count)
        yield tokens


def handler(
    hub: Hub,
    plane: Plane,
    probes: Probes,
    sockets: Sockets,
    channel_token: ChannelToken,
    readiness: Readiness,
    clock: ClockWatch,
    token: SecretStr | None,
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of the route. Without a configured token it answers 404."""
    registry = CollectorRegistry()
    registry.register(
        _Parts(
            hub=hub,
            plane=plane,
            probes=probes,
            sockets=sockets,
            channel_token=channel_token,
            readiness=readiness,
            clock=clock,
        )
    )
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)

    async def metrics(request: web.Request) -> web.Response:
        if token is None:
            raise web.HTTPNotFound
        # aiohttp decodes bytes of a header that are not UTF-8 to surrogates.
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {token.get_secret_value()}".encode()):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return web.Response(body=generate_latest(registry), headers={"Content-Type": _TYPE})

    return metrics
