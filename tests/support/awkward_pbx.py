"""A connector's parts with a simulated PBX that behaves awkwardly."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from pydantic import SecretStr

from connector.config import Config, PbxSection, ServiceSection, UciSection
from connector.directory import Directory
from connector.doctor.pbx import PbxCheck
from connector.doctor.steps import Chain
from connector.errors import PbxError
from connector.monitor import Monitor
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.uci import Callbacks, UciClient
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, explain
from core.diagnosis.lights import Light, Part, get_lights
from core.diagnosis.rules import PbxFacts
from core.language import Language
from core.store.timestamps import now
from wire.doctor import DoctorStep
from wire.link import UciState
from wire.readings import ReadingState

BEN = 3
"""The PBX user who holds the licence permission."""


@dataclass(frozen=True)
class AwkwardCase:
    """A behaviour of the PBX, and which reading of the connector it makes fail, with which code."""

    what: str
    behaviours: dict[str, Any] = field(default_factory=dict)
    """Set with `/control/awkward` of the simulator."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Set with `/control/answers` of the simulator."""
    fails: str = "-"
    """The part whose reading fails, or "-"."""
    code: Code | None = None
    doctor: str = "-"
    """The doctor's first step that fails or warns, or "-"."""
    pbx: dict[str, Any] = field(default_factory=dict)
    """Settings of the simulated PBX."""
    oauth: bool = False


def answer_rule(path: str, **answer: Any) -> dict[str, Any]:
    """Return a rule for `/control/answers`: the answer to requests whose path matches."""
    return {"path": path, **answer}


class ConnectorParts:
    """A connector's parts with a simulated PBX, without the link."""

    def __init__(self, http: aiohttp.ClientSession, port: int, oauth: bool) -> None:
        self.http = http
        self.url = f"http://127.0.0.1:{port}"
        values: dict[str, Any] = {"name": "pbx.example.com", "url": self.url, "login": "0001"}
        if oauth:
            values |= {"auth": "oauth", "oauth_client_secret": SecretStr("headless-secret")}
        self.config = Config(
            service=ServiceSection(url="https://service.example"),
            pbx=PbxSection(password=SecretStr("foobar"), **values),
            state_directory="/nonexistent",
        )
        self.make_parts()

    def make_parts(self) -> None:
        """Create the parts again, as a connector that has just started."""
        self.rest = StarfaceRest(self.config.pbx)
        self.readings = Readings(lambda: None)
        self.callbacks = Callbacks(UciSection())
        self.uci = UciClient(UciSection(), self.rest, asyncio.Event(), self.readings, self.callbacks)
        self.directory = Directory(self.rest, self.readings, active=True)
        self.monitor = Monitor(
            self.rest, self.uci, self.directory, self.readings, asyncio.Event(), active=True
        )

    async def control(self, method: str, path: str, body: Any = None) -> None:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()

    async def apply(self, row: AwkwardCase) -> None:
        await self.control("PATCH", "settings", row.pbx)
        await self.control("PUT", "answers", row.answers)
        for name, on in row.behaviours.items():
            await self.control("PUT", "awkward", {"name": name, "on": on})

    async def heal(self) -> None:
        await self.control("DELETE", "awkward")
        await self.control("PATCH", "settings", {"reachable": True, "loginType": "Internal"})
        self.rest.guard.allow_one()

    async def read(self) -> None:
        """Do once what the running parts do repeatedly."""
        await self.monitor.check()
        # What a running directory does every second time, or every ten minutes, is done each time here.
        self.directory._permissions = self.directory._listed_groups = None
        with contextlib.suppress(PbxError):
            await self.directory._read()
        await self.callbacks.start()
        try:
            await self.uci._session.connect()
        except PbxError as fault:
            self.uci._found(fault)
            self.uci._set(UciState.FAILED)
        finally:
            await self.uci._session.end()
            await self.callbacks.stop()
        await self.monitor.check()

    def failing(self) -> dict[str, str | None]:
        return {one.part: one.code for one in self.readings.all if one.state is ReadingState.FAILED}

    async def examined(self) -> list[DoctorStep]:
        steps: list[DoctorStep] = []
        await PbxCheck(self.config).run(Chain(steps, lambda _step: None))
        return steps


def get_facts(place: ConnectorParts) -> PbxFacts:
    return PbxFacts(pbx_name="pbx.example.com", linked=True, status=place.monitor.status)


def get_shown_lights(place: ConnectorParts) -> dict[Part, Light]:
    found = get_lights(get_facts(place), refused_keys=(), valid_until=(), now=now())
    for state in found:
        if state.finding is not None:
            assert_has_words(state.finding)
    return {state.part: state.light for state in found}


def assert_has_words(finding: Finding) -> None:
    for language in Language:
        words = explain(finding, language)
        assert words.title and words.detail and words.cure and "{" not in words.detail + words.cure
