"""The module page shows which tenants the PBX trusts, as the service says; other services and answers harm nothing."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.module_page import Visitor, module_page
from tests.support.tiny_hub import ConnectorProcess, TinyHub
from wire.jsonrpc import Handler
from wire.link import MAX_TRUSTED_SHOWN, Method, PbxTrust

TENANT = "11111111-1111-4111-8111-{:012d}"
APP = "22222222-2222-4222-8222-222222222222"


def tenant(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "tenantId": TENANT.format(number),
        "since": "2026-11-01T08:00:00Z",
        "entry": "one-click",
        "isPrimary": False,
        "isApproved": False,
        **changes,
    }


def report(*tenants: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"tenants": list(tenants), "total": len(tenants), "teamsAppId": APP, **changes}


class Asked:
    """How a hub answers `link.trust`; None: it does not know the method."""

    answer: Any = None
    times = 0


class Page:
    """The card about trust on the module page."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    async def read(self, language: str = "en") -> str:
        found = re.search(r'<h2 id="teams">.*?</section>', await self._visitor.read(language), re.DOTALL)
        assert found is not None
        return found.group()


@asynccontextmanager
async def linked(
    directory: Path, asked: Asked | None
) -> AsyncIterator[tuple[Page, TinyHub, ConnectorProcess]]:
    async def trust(_params: dict[str, Any]) -> Any:
        assert asked is not None
        asked.times += 1
        return asked.answer

    handlers: dict[str, Handler] = {Method.TRUST: trust} if asked is not None else {}
    async with module_page(directory, handlers) as place, place.visitor() as visitor:
        if asked is not None:
            asked.times = 0
        yield Page(visitor), place.hub, place.connector


async def test_the_page_shows_what_the_service_says_now(tmp_path: Path) -> None:
    asked = Asked()
    async with linked(tmp_path, asked) as (page, hub, _):
        asked.answer = report()
        assert "trusts no organisation" in await page.read()
        asked.answer = report(tenant(1, isPrimary=True), tenant(2, entry="automatic", isApproved=True))
        shown = await page.read()
        assert shown.count("<li>") == 2 and shown.index(TENANT.format(1)) < shown.index(TENANT.format(2))
        assert shown.count("main PBX of this organisation") == 1 and "01 Nov 2026, 08:00 UTC" in shown
        assert "automatic sign-in" in shown and shown.count("approved by the operator") == 1
        assert (
            f'href="https://teams.microsoft.com/l/entity/{APP}/home?context=' in shown and "security" in shown
        )
        assert "Hauptanlage dieser Organisation" in await page.read("de")
        assert asked.times == 3 and len(hub.hellos) == 1


async def test_without_a_link_the_last_answer_is_shown_with_its_time(tmp_path: Path) -> None:
    asked = Asked()
    async with linked(tmp_path, asked) as (page, hub, connector):
        asked.answer = report(tenant())
        await page.read()
        await hub.stop_taking_links()
        await connector.logged("link closed")
        shown = await page.read()
        assert "As of " in shown and TENANT.format(1) in shown


async def test_a_service_of_an_earlier_version_is_asked_once_for_each_link(tmp_path: Path) -> None:
    async with linked(tmp_path, None) as (page, hub, _):
        for _ in range(25):  # more than the bad frames after which a hub closes a link
            assert "older than this connector" in await page.read()
        assert hub.endpoint is not None and hub.endpoint.bad_frames == 1
        assert len(hub.hellos) == 1


async def test_a_later_service_may_say_more(tmp_path: Path) -> None:
    asked = Asked()
    async with linked(tmp_path, asked) as (page, _, _):
        asked.answer = report(tenant(1, entry="by-post", colour="blue"), total=3, later={"deep": [1]})
        shown = await page.read()
        assert "by-post" in shown and "and 2 more organisations" in shown
        asked.answer = report(tenant(1), total=2)
        assert "and one more organisation" in await page.read()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        report(tenant(), teamsAppId="javascript:alert(1)//"),
        report(tenant(tenantId="<script>alert(1)</script>")),
        report(tenant(entry="<b>" * 30)),
        report(tenant(since="yesterday")),
        report(tenant(), total=-1),
        report(*[tenant(number) for number in range(MAX_TRUSTED_SHOWN + 1)]),
    ],
)
async def test_an_answer_that_does_not_fit_is_no_answer_and_the_link_stays(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    asked = Asked()
    async with linked(tmp_path, asked) as (page, hub, _):
        asked.answer = answer
        shown = await page.read()
        assert "no usable answer" in shown and "<li>" not in shown and "href" not in shown
        asked.answer = report(tenant())
        assert TENANT.format(1) in await page.read()
        assert len(hub.hellos) == 1


def test_the_longest_report_fits_into_a_frame() -> None:
    longest = report(
        *[tenant(number, entry="a" * 40, isPrimary=True) for number in range(MAX_TRUSTED_SHOWN)],
        total=2**53 - 1,
    )
    assert len(PbxTrust.model_validate(longest).model_dump_json(by_alias=True)) < 64 * 1024
