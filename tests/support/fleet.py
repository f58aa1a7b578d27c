"""Two replicas of the service on real PostgreSQL and NATS; the connector reaches them through a load balancer."""

from pathlib import Path

from simulator.people import PBX_NAME
from tests.support.nats import Nats
from tests.support.postgres import Postgres
from tests.support.relay import Relay
from tests.support.tab_client import TabClient
from tests.support.world import ANNA, World, eventually, free_ports

FIRST, SECOND = "service", "service-2"


class Fleet(World):
    def __init__(self, state: Path, postgres: Postgres, nats: Nats) -> None:
        self.nats = nats
        super().__init__(state, database_url=postgres.new_database("fleet"), nats_url=nats.url, seats=2)
        self.ports = {FIRST: self.demo.service_port}
        self.balancer = Relay(self.demo.service_port)

    async def start(self) -> None:
        await super().start()
        self.ports[SECOND] = free_ports(1)
        await self.demo.start_replica(SECOND, self.ports[SECOND])
        await self.balancer.start()
        await self.demo.stop_part("connector")
        await self.demo.start_connector(service_url=self.balancer.url)

    async def stop(self) -> None:
        await self.demo.stop_part("connector")
        await self.balancer.stop()
        await self.demo.stop_part(SECOND)
        await super().stop()

    def at(self, replica: str, person: object = ANNA) -> TabClient:
        """Return a tab whose requests arrive at this replica."""
        return TabClient(self.http, f"http://127.0.0.1:{self.ports[replica]}", self.entra_url, person, "en")

    async def link_to(self, replica: str) -> None:
        """Make sure that this replica holds the link, and that every replica knows it."""
        other = SECOND if replica == FIRST else FIRST
        self.balancer.backends = [self.ports[replica], self.ports[other]]
        before = self.links(replica)
        await self.balancer.cut()

        async def is_there() -> bool:
            return self.links(replica) > before

        await eventually(is_there, f"the link comes to {replica}", seconds=30)

    async def works_at(self, replica: str) -> None:
        async def works() -> bool:
            return (await self.at(replica).prepare(self.name, self.key)).status == 200

        await eventually(works, f"{replica} reaches the PBX")

    def links(self, replica: str) -> int:
        log = self.demo.log(replica)
        return log.read_text(errors="replace").count('"link open"') if log.exists() else 0

    async def start_again(self, replica: str) -> None:
        await self.demo.start_replica(replica, self.ports[replica])

    @property
    def name(self) -> str:
        return PBX_NAME
