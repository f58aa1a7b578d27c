"""Resolves the addresses of a host in the same way as aiohttp."""

import asyncio
import ipaddress
import socket


async def addresses_of(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host in the system's order of preference. Raises `OSError`, which includes `TimeoutError`."""
    try:
        return [str(ipaddress.ip_address(host.partition("%")[0]))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as odd:  # a label that is empty or too long
        raise OSError("this is no host name") from odd
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"
