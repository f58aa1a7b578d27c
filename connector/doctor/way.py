"""Checks the path to a target layer by layer: name, proxy, TCP, TLS. It uses the same code as the link and REST."""

from typing import Any

from connector.doctor.steps import Chain, FoundError, WarningFoundError
from connector.network import dial
from connector.network.client import HttpClient
from connector.network.faults import UnreachedError, proxy_unusable
from connector.network.proxy import Proxy, ProxySettingError
from connector.network.route import proxy_for
from core.diagnosis.codes import Code
from wire.hosts import crosses_in_clear


class WayCheck:
    def __init__(self, http: HttpClient, name: str) -> None:
        """`name`: "service" or "pbx", the prefix of the steps' names."""
        self.target = http.target
        self._tls = http.tls
        self._name = name
        self._proxy: Proxy | None = None
        self._unusable: ProxySettingError | None = None
        self._addresses: list[str] = []

    async def find_proxy(self) -> Proxy | None:
        """Return the proxy to use, or None. The proxy step reports an unusable setting."""
        try:
            self._proxy = await proxy_for(self.target)
        except ProxySettingError as fault:
            self._unusable = fault
        return self._proxy

    async def run(self, chain: Chain) -> None:
        await self.find_proxy()
        await chain.step(f"{self._name}-dns", self._dns)
        await chain.step(f"{self._name}-proxy", self._through_proxy)
        await chain.step(f"{self._name}-tcp", self._tcp)
        if self.target.is_secure:
            await chain.step(f"{self._name}-tls", self._certificate)
        elif crosses_in_clear(self.target.url):
            await chain.step(f"{self._name}-tls", self._in_clear)
        else:
            chain.skip(f"{self._name}-tls")

    async def _dns(self) -> tuple[bool, dict[str, Any]]:
        shown = {"host": self.target.host}
        try:
            self._addresses = await dial.resolve(self.target)
        except UnreachedError as unreached:
            if self._unusable is not None:
                return True, shown
            if self._proxy is None:
                raise FoundError.of(unreached.finding) from unreached
            # Behind a proxy, a company's machines often cannot resolve external names.
            return True, {**shown, "resolved_by": self._proxy.shown}
        return True, {**shown, "addresses": ", ".join(self._addresses)}

    async def _through_proxy(self) -> tuple[bool, dict[str, Any]]:
        if self._unusable is not None:
            raise FoundError.of(proxy_unusable(self.target, self._unusable)) from self._unusable
        if self._proxy is None:
            return True, {}
        await _found(dial.reach(self.target, self._proxy))
        return True, {"proxy": self._proxy.shown, "source": self._proxy.source}

    async def _tcp(self) -> tuple[bool, dict[str, Any]]:
        await _found(dial.reach(self.target, self._proxy))
        if self._proxy is None and len(self._addresses) > 1:
            dead = await dial.dead_addresses(self.target, self._addresses)
            if (finding := dial.dead_family(self.target, self._addresses, dead)) is not None:
                raise WarningFoundError.of(finding)
        return True, {"host": self.target.host, "port": self.target.port}

    async def _certificate(self) -> tuple[bool, dict[str, Any]]:
        return True, await _found(dial.handshake(self.target, self._proxy, self._tls))

    async def _in_clear(self) -> tuple[bool, dict[str, Any]]:
        variant = None if self.target.is_on_site else self._name
        raise WarningFoundError(Code.CLEAR_TEXT, variant, host=self.target.host)


async def _found(work: Any) -> Any:
    try:
        return await work
    except UnreachedError as unreached:
        raise FoundError.of(unreached.finding) from unreached
