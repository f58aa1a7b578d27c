"""The telephone at a PBX with OAuth: the connector keeps a refresh token for each person, and never the password."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector import login, logins, uci
from connector.errors import LoginRejectedError
from connector.logins import OAuthCredentials
from simulator.starface.model import Settings
from simulator.starface.rest import CLIENT_SECRET
from tests.support.line import ANNA, LOGINS, Site, running_site
from wire.phone import CallState, LineState


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Settings(oauth=True)) as site:
        await site.stop()
        site.pbx = {"auth": "oauth", "oauth_client_secret": CLIENT_SECRET}
        await site.start()
        yield site


async def switch_on(site: Site) -> OAuthCredentials:
    name, password = LOGINS[ANNA]
    given = OAuthCredentials(login=name, refresh_token=await site.rest.refresh_token_of(name, password))
    await site.lines.open(ANNA, given)
    await site.until(lambda line: line.state is LineState.UP, "the line is up")
    return given


async def test_calls_are_seen_with_a_refresh_token_and_the_password_is_kept_nowhere(
    site: Site, tmp_path: Path
) -> None:
    await switch_on(site)
    await site.arrive("1001")
    await site.call_that(CallState.RINGING)
    held = site.logins._held[ANNA]  # noqa: SLF001 - what is kept at rest is what this says
    assert "refreshToken" in held.login_json
    assert LOGINS[ANNA][1] not in held.login_json
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert LOGINS[ANNA][1].encode() not in stored
    assert held.credentials.refresh_token.encode() not in stored, "only encrypted"  # type: ignore[union-attr]


async def test_the_line_survives_restarts_of_the_connector_where_tokens_are_rotated(site: Site) -> None:
    await site.awkward("oauth-rotation")
    given = await switch_on(site)
    for _ in range(3):
        await site.stop()
        await site.start()
        await site.until(lambda line: line.state is LineState.UP, "the line is up again")
    assert site.logins._held[ANNA].credentials != given  # noqa: SLF001 - a rotated token is replaced at rest


async def test_an_access_token_is_renewed_before_it_expires(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.awkward("oauth-rotation")
    await switch_on(site)
    monkeypatch.setattr(login, "RENEW_BEFORE_SECONDS", 10_000.0)  # every request renews
    for _ in range(5):
        await site.lines.line(ANNA).snapshot()
        await site.logins._held[ANNA].session.calls()  # noqa: SLF001
    assert (await site.line()).state is LineState.UP


async def test_a_refused_renewal_asks_the_person_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uci, "REFUSED_SECONDS", 0.05)
    monkeypatch.setattr(logins, "KEEP_ALIVE_SECONDS", 0.1)
    await switch_on(site)
    await site.awkward("oauth-refresh-refused")
    monkeypatch.setattr(login, "RENEW_BEFORE_SECONDS", 10_000.0)
    await site.until(lambda line: line.state is LineState.REFUSED, "the page says that the login is refused")


async def test_a_wrong_password_is_refused_and_nothing_is_kept(site: Site) -> None:
    with pytest.raises(LoginRejectedError):
        await site.rest.refresh_token_of("1001", "wrong")
    assert site.lines.kept == frozenset()


async def test_signing_out_forgets_the_refresh_token(site: Site, tmp_path: Path) -> None:
    await switch_on(site)
    await site.lines.keep_only([])
    await site.stop()
    await site.start()
    assert site.lines.kept == frozenset()
