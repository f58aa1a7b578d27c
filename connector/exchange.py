"""One request to the PBX. No redirect is followed, because it would take login, password or token to its target."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from connector.answers import MAX_BODY_BYTES, parsed
from connector.errors import PbxAnswerError, PbxUnreachableError
from connector.network.client import HttpClient
from wire import outbound


class PbxRedirectedError(PbxUnreachableError):
    """The PBX answered with a redirect."""

    def __init__(self, path: str, redirect: outbound.RedirectedError) -> None:
        self.target = redirect.target
        self.location = redirect.location
        super().__init__(
            f"{path} is redirected to {self.location}: the login is not sent there."
            " Enter the right address as url in [pbx]"
        )


class EndpointElsewhereError(PbxUnreachableError):
    """The PBX names another host for its OAuth tokens."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"OAuth discovery names {endpoint}, which is not the configured PBX")
        self.endpoint = endpoint


@asynccontextmanager
async def exchange(
    http: HttpClient, method: str, url: str, **options: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a request. Raises `PbxRedirectedError` instead of following a redirect, and the errors of `HttpClient.request`."""
    try:
        async with http.request(method, url, **options) as response:
            yield response
    except outbound.RedirectedError as redirect:
        raise PbxRedirectedError(urlsplit(url).path, redirect) from redirect


async def bytes_of(response: aiohttp.ClientResponse, path: str, most: int = MAX_BODY_BYTES) -> bytes:
    """The body of an answer, at most so many bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > most:
            raise PbxAnswerError(path, response.status, f"more than {most} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def content_of(response: aiohttp.ClientResponse, path: str, *, is_secret: bool = False) -> Any:
    """Return the JSON of an answer. `is_secret`: errors must not quote it. Raises `PbxAnswerError`."""
    body = await bytes_of(response, path)
    return parsed(path=path, status=response.status, body=body, charset=response.charset, is_secret=is_secret)


def is_of_the_pbx(endpoint: str, base_url: str) -> bool:
    """Return whether login and client secret may go to this address: it is the configured PBX, or https on its host."""
    try:
        there, here = urlsplit(endpoint), urlsplit(base_url)
        ports = (_port(there.scheme, there.port), _port(here.scheme, here.port))
    except ValueError:
        return False
    if "@" in there.netloc or not there.hostname or there.hostname != here.hostname:
        return False
    return there.scheme == "https" or (there.scheme == here.scheme and ports[0] == ports[1])


def _port(scheme: str, port: int | None) -> int:
    return port or (443 if scheme == "https" else 80)
