"""`GET /metrics`: what an operator watches of one replica, for Prometheus."""

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

from core.advisor.probes import Probes
from core.hub.hub import Hub
from core.hub.plane import Plane

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Parts(Collector):
    def __init__(self, hub: Hub, plane: Plane, probes: Probes) -> None:
        self._hub = hub
        self._plane = plane
        self._probes = probes

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("pbx_teams_links", "Links held by this replica", self._hub.links_open)
        yield GaugeMetricFamily(
            "pbx_teams_probes", "Audio probes connected here", self._probes.connected_count
        )
        yield GaugeMetricFamily(
            "pbx_teams_plane_up", "NATS is reached (1 as well when alone)", self._plane.is_up
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


def handler(hub: Hub, plane: Plane, probes: Probes) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of the route."""
    registry = CollectorRegistry()
    registry.register(_Parts(hub, plane, probes))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": _TYPE})

    return metrics
