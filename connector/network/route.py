"""Decides whether a request to a target goes directly or through a proxy."""

from connector.network.addresses import addresses_of
from connector.network.proxy import ENVIRONMENT, NONE, Environment, Proxy, is_private, parse_proxy
from connector.network.target import Target
from wire.hosts import is_loopback


async def proxy_for(target: Target, environment: Environment | None = None) -> Proxy | None:
    """Return the proxy for a target, or None for a direct connection. Raises `ProxySettingError`."""
    setting = target.proxy.get_secret_value().strip() if target.proxy is not None else ""
    if setting.lower() == NONE:
        return None
    if setting and setting.lower() != ENVIRONMENT:
        return parse_proxy(setting, f"proxy in [{'pbx' if target.is_on_site else 'service'}]")
    environment = environment or Environment.read()
    if is_loopback(target.host) or environment.excepts(target.host, target.port):
        return None
    proxy = environment.proxy(is_secure=target.is_secure)
    if proxy is not None and target.is_on_site and setting.lower() != ENVIRONMENT:
        try:
            addresses = await addresses_of(target.host, target.port, target.limits.connect)
        except OSError:
            return proxy
        if all(is_private(one) or environment.excepts(one, target.port) for one in addresses):
            return None
    return proxy
