"""Nobody between browser and connector gets an answer that passwords could be tried against, in a real browser."""

import json
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect

from tests.support.browser import OpenTab, Tab
from tests.support.older_connectors import first_version_connector
from tests.support.world import ANNA, CLARA, World

STOPPED = "This sign-in was stopped"


class Meddler:
    """A service that changes what it says of the connector, and keeps what it gets."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.sent: list[Any] = []
        self.lies: dict[str, Any] = {}
        """What it says in place of the truth, from now on."""
        tab.page.on("request", self._note)

    async def start(self) -> "Meddler":
        await self.tab.page.route("**/api/v1/sign-in/challenge", self._lie)
        return self

    async def _lie(self, route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        lies = {name: lie(told) if callable(lie) else lie for name, lie in self.lies.items()}
        await route.fulfill(response=answer, json=told | lies)

    def _note(self, request: Request) -> None:
        if request.url.endswith("/api/v1/sign-in") and request.post_data:
            self.sent.append(json.loads(request.post_data)["proof"])


UNSEALED = {"method": "challenge", "nonce": lambda told: told.get("pbxNonce") or told["nonce"]}
HIDDEN = {"capabilities": [], "capabilitiesSignature": None}


async def test_the_answer_is_sealed(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    meddler = await Meddler(tab).start()
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.sees("encrypted for your PBX")
    await tab.enter_user(ANNA.login, ANNA.password)
    await expect(tab.view.get_by_role("heading", name="Overview")).to_be_visible()
    (proof,) = meddler.sent
    assert proof["method"] == "sealed-challenge" and set(proof) == {"method", "nonce", "box"}


async def test_a_service_that_asks_for_the_unsealed_way_is_refused(world: World, open_tab: OpenTab) -> None:
    """The connector's own signed word says that it takes sealed answers only."""
    tab = await open_tab(ANNA)
    meddler = await Meddler(tab).start()
    meddler.lies = UNSEALED
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.is_alerted(STOPPED)
    await expect(tab.field("Password")).to_have_count(0)
    assert meddler.sent == []


async def test_with_the_key_file_hiding_what_the_connector_can_do_is_of_no_use(
    world: World, open_tab: OpenTab
) -> None:
    tab = await open_tab(ANNA)
    meddler = await Meddler(tab).start()
    meddler.lies = UNSEALED | HIDDEN
    await tab.view.locator("input[type=file]").set_input_files(world.demo.key_file)
    await tab.is_alerted(STOPPED)


async def test_a_browser_that_has_sealed_before_remembers(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.sees("encrypted for your PBX")
    await tab.page.reload()
    meddler = await Meddler(tab).start()
    meddler.lies = UNSEALED | HIDDEN
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.is_alerted(STOPPED)


async def test_nobody_is_led_from_the_sealed_way_to_the_unsealed_one_unseen(
    world: World, open_tab: OpenTab
) -> None:
    """The sealed password is answered "expired", and the tab then requests another challenge automatically."""
    tab = await open_tab(ANNA)
    meddler = await Meddler(tab).start()
    meddler.lies = HIDDEN | {"method": "sealed"}
    await tab.enter_pbx(world.pbx_name, world.key)
    await expect(tab.field("Password")).to_be_visible()
    meddler.lies = HIDDEN | UNSEALED
    problem = {"title": "t", "status": 409, "detail": "d", "code": "challenge-expired", "cure": "c"}
    body = json.dumps({"type": "x", "reason": None, "requestId": "1", **problem})

    async def expired(route: Route) -> None:
        await route.fulfill(status=409, content_type="application/problem+json", body=body)

    await tab.page.route("**/api/v1/sign-in", expired)
    await tab.enter_user(ANNA.login, ANNA.password)
    await tab.sees("is an older version")
    assert [proof["method"] for proof in meddler.sent] == ["sealed"]


@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 86])
async def test_what_the_connectors_identity_has_not_signed_is_not_believed(
    world: World, open_tab: OpenTab, signature: str
) -> None:
    tab = await open_tab(ANNA)
    meddler = await Meddler(tab).start()
    meddler.lies = {"capabilitiesSignature": signature}
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.is_alerted("The PBX could not be recognised")
    assert meddler.sent == []


async def test_an_older_connector_works_with_a_warning_before_the_password_is_given(
    world: World, open_tab: OpenTab
) -> None:
    async with first_version_connector(world):
        tab = await open_tab(ANNA, locale="de-DE")
        await tab.field("Name der Telefonanlage").fill(world.pbx_name)
        await tab.field("Schlüssel zur Anlage").fill(world.key)
        await tab.button("Weiter").click()
        await tab.sees("ist eine ältere Version")
        await tab.sees("den Connector zu aktualisieren")
        assert await tab.violations() == []
        await tab.field("Login").fill(ANNA.login)
        await tab.field("Passwort").fill(ANNA.password)
        await tab.button("Anmelden").click()
        await expect(tab.view.get_by_role("heading", name="Übersicht")).to_be_visible()
        await world.client(CLARA).sign_in(world.pbx_name, world.key)
        clara = await open_tab(CLARA, page="connection")
        await expect(clara.view.locator("#part-link")).to_have_attribute("data-light", "yellow")
        await clara.sees("The connector is an older version")
        assert await clara.violations() == []


async def test_a_pbx_that_the_organisation_never_used_is_named_before_the_password(
    world: World, open_tab: OpenTab
) -> None:
    for locale, words, field, key, go in (
        ("en-US", "You are about to give your password to", "PBX name", "PBX key", "Continue"),
        ("de-DE", "Sie geben Ihr Passwort an", "Name der Telefonanlage", "Schlüssel zur Anlage", "Weiter"),
    ):
        tab = await open_tab(ANNA, locale=locale)
        meddler = await Meddler(tab).start()
        meddler.lies = {"firstUse": True}
        await tab.field(field).fill(world.pbx_name)
        await tab.field(key).fill(world.key)
        await tab.button(go).click()
        await tab.sees(f"{words} {world.pbx_name}")
        assert await tab.violations() == []
