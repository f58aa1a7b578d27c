"""A PBX with a certificate that a person has accepted by its fingerprint."""

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from connector.config import PbxSection
from connector.errors import PbxUnreachableError
from connector.rest import StarfaceRest
from simulator import tls
from tests.support.starface import running_starface_with_tls
from tests.support.world import free_ports


def section(url: str, fingerprint: str | None) -> PbxSection:
    return PbxSection(
        name="p",
        url=url,
        login="0001",
        password=SecretStr("foobar"),
        certificate_fingerprint=fingerprint,
    )


async def finding(url: str, fingerprint: str | None) -> str | None:
    """Return the variant with which the PBX cannot be reached, or None if it can."""
    rest = StarfaceRest(section(url, fingerprint))
    try:
        await rest.check()
    except PbxUnreachableError as fault:
        assert fault.finding is not None
        return fault.finding.variant
    finally:
        await rest.close()
    return None


async def test_only_the_accepted_certificate_is_accepted(tmp_path: Path) -> None:
    async with running_starface_with_tls(tmp_path / "one") as (url, fingerprint):
        assert await finding(url, None) == "tls-foreign-ca"
        assert await finding(url, fingerprint) is None
        assert await finding(url, "0" * 64) == "tls-changed"
    async with running_starface_with_tls(tmp_path / "renewed") as (url, _):
        assert await finding(url, fingerprint) == "tls-changed"


async def test_nothing_is_sent_before_the_certificate_is_compared(tmp_path: Path) -> None:
    """The login must not reach a stranger who shows another certificate."""
    requests: list[str] = []

    async def note(request: web.Request) -> web.Response:
        requests.append(request.path)
        return web.json_response({})

    tls.make_certificates(tmp_path)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_ports(1)
    context: ssl.SSLContext = tls.server_context(tmp_path)
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    try:
        assert await finding(f"https://127.0.0.1:{port}", "ab" * 32) == "tls-changed"
    finally:
        await runner.cleanup()
    assert requests == []


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_fingerprint_that_is_none(text: str) -> None:
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        section("https://p", text)
