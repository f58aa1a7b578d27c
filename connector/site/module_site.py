"""Opens the module page where the configuration says, and follows the configuration."""

import logging
from typing import Final

from connector.errors import ConnectorError
from connector.running import Connector
from connector.site.module_pages import ModulePages
from connector.site.security import Door
from connector.site.server import Listening, Site

logger = logging.getLogger(__name__)

PART: Final = "page"


class ModuleSite:
    """The module page of a running connector, on loopback."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._door = Door(connector.state)
        self._state = connector.state
        self._port = 0
        self._listening: Listening | None = None

    async def run(self) -> None:
        """Keep the page open until cancelled. Another port takes effect at once, and open sessions go on there."""
        changed = self._connector.changed
        try:
            while True:
                changed.clear()
                await self._adapt()
                await changed.wait()
        finally:
            await self._close()

    async def _adapt(self) -> None:
        port, state = self._connector.config.page.port, self._connector.state
        if state is not self._state:  # one-time links lie in the state directory
            self._door, self._state = Door(state), state
        elif port == self._port:
            return
        await self._close()
        self._port = port
        if not port:
            return
        site = Site(self._door, "pbx-connector page")
        ModulePages(site, self._connector)
        try:
            self._listening = await site.listen("127.0.0.1", port)
        except ConnectorError as fault:
            logger.warning("no module page: %s; choose another port in [page]", fault)

    async def _close(self) -> None:
        self._port = 0
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await listening.stop()
