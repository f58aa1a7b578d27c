"""The parts of the running connector that face its PBX, made from one configuration."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from connector.calls import Calls
from connector.config import Config, UciSection
from connector.directory import Directory
from connector.guard import LoginGuard
from connector.line.lines import Lines
from connector.login_memory import LoginMemory
from connector.logins import Logins
from connector.methods import PbxMethods
from connector.monitor import Monitor
from connector.phone_methods import PhoneMethods
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks, UciClient
from wire.jsonrpc import Handler
from wire.link import UciState

PARTS: Final = ("logins", "uci", "monitor", "directory")
"""The names of the parts that run, in the order in which they start."""


class PbxSide:
    def __init__(self, config: Config, state: ConnectorState) -> None:
        """Raises `ConnectorError` if the password or a certificate cannot be read."""
        self.rest = StarfaceRest(config.pbx, LoginGuard(memory=LoginMemory(state, config.pbx)))
        look = asyncio.Event()
        readings = Readings(look.set)
        uci_config = uci_section(config)
        self.callbacks = Callbacks(uci_config)
        self.uci = UciClient(
            config=uci_config, rest=self.rest, look=look, readings=readings, callbacks=self.callbacks
        )
        self.logins = Logins(
            self.rest, self.callbacks, state, uci_works=lambda: self.uci.state is UciState.ON
        )
        self.calls = Calls(self.logins)
        self.directory = Directory(self.rest, readings, active=config.active)
        self.lines = Lines(
            rest=self.rest,
            logins=self.logins,
            settings=config.telephone,
            group_name=self.directory.group_name,
            provided_requests=lambda: self.uci.provided_requests,
            receives_calls=lambda: self.uci.state is UciState.ON,
        )
        self.monitor = Monitor(
            rest=self.rest,
            uci=self.uci,
            directory=self.directory,
            readings=readings,
            look=look,
            active=config.active,
        )
        self.methods = PbxMethods(
            rest=self.rest,
            directory=self.directory,
            state=state,
            monitor=self.monitor,
            calls=self.calls,
            pbx_name=config.pbx.name,
            uses_oauth=config.pbx.auth == "oauth",
        )

    def handlers(self) -> Mapping[str, Handler]:
        phone = PhoneMethods(self.lines, self.methods.open_uci_login)
        return {**self.methods.handlers(), **phone.handlers()}

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what to run, by the names of `PARTS`."""
        # The logins first: the service asks whose logins are in use as soon as a link is open.
        runs = (self.logins.run, self.uci.run, self.monitor.run, self.directory.run)
        return dict(zip(PARTS, runs, strict=True))

    async def close(self) -> None:
        await self.rest.close()


def uci_section(config: Config) -> UciSection:
    """Return the settings of UCI; a connector that is switched off has no UCI either."""
    return config.uci.model_copy(update={"enabled": config.uci.enabled and config.active})
