"""What an administrator types on the licence page: nothing that is not understood is saved or counted."""

import pytest
from playwright.async_api import expect

from tests.support import history
from tests.support.browser import OpenTab
from tests.support.licences import NO_RULES, get_only_pool
from tests.support.world import CLARA, World


@pytest.mark.parametrize("typed", ["abc", "-5", "0", "0,5", "0.5", "1e3", "8761", "999999999", "12 h"])
async def test_rules_with_hours_that_are_none_are_not_saved(
    world: World, open_tab: OpenTab, typed: str
) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="licences")
    await clara.button("Rules for DEMO-1").click()
    dialog = clara.view.get_by_role("dialog")
    hours = dialog.get_by_label("Release after hours without activity")
    await hours.fill(typed)
    await dialog.get_by_role("button", name="Save").click()
    await expect(hours).to_be_focused()
    await expect(hours).to_have_attribute("aria-invalid", "true")
    await expect(dialog.get_by_text("Enter a whole number from 1 to 8,760, or nothing.")).to_be_visible()
    assert await clara.violations() == []
    assert (await get_only_pool(world))["policy"] == NO_RULES
    await hours.fill("12")
    await expect(hours).not_to_have_attribute("aria-invalid", "true")
    await dialog.get_by_role("button", name="Save").click()
    await clara.sees("The rules are saved.")
    one = await get_only_pool(world)
    assert one["policy"] == NO_RULES | {"idleHours": 12}
    await world.client(CLARA).call("PUT", "licences/policy", {"poolId": one["poolId"], "policy": NO_RULES})


async def test_a_reservation_needs_a_name_and_a_number_of_seats(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="licences", locale="de-DE")
    await clara.button("Regeln für DEMO-1").click()
    dialog = clara.view.get_by_role("dialog")
    await dialog.locator("fluent-button:not([type=submit])").first.click()
    name, seats = dialog.locator("input[id^=name-]"), dialog.locator("input[id^=seats-]")
    await name.fill(" ")
    await seats.fill("x")
    await dialog.locator("fluent-button[type=submit]").click()
    await expect(name).to_be_focused()
    for field in (name, seats):
        await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(dialog.get_by_text("Geben Sie eine ganze Zahl von 1 bis 1.000.000 ein.")).to_be_visible()
    await expect(seats).to_have_value("x")
    assert (await get_only_pool(world))["policy"] == NO_RULES
    await name.fill("Vertrieb")
    await seats.fill("1")
    await dialog.locator("fluent-button[type=submit]").click()
    await expect(dialog).to_be_hidden()
    one = await get_only_pool(world)
    assert [(each["name"], each["seats"]) for each in one["policy"]["reservations"]] == [("Vertrieb", 1)]
    await world.client(CLARA).call("PUT", "licences/policy", {"poolId": one["poolId"], "policy": NO_RULES})


@pytest.mark.parametrize(
    ("locale", "user", "floating", "cost"),
    [
        ("de-DE", "5,50", "9.90", "19,80\xa0€"),
        ("de-DE", "4", "6,5 €", "13,00\xa0€"),
        ("en-US", "5,50", "9.90", "$19.80"),
        ("en-US", "4", "1,200.50", "$2,401.00"),
    ],
)
async def test_prices_are_read_with_point_and_comma(
    world: World, open_tab: OpenTab, locale: str, user: str, floating: str, cost: str
) -> None:
    history.write(world)
    try:
        await world.client(CLARA).sign_in(world.pbx_name, world.key)
        clara = await open_tab(CLARA, page="licences", locale=locale)
        await clara.view.locator("#ual-price").fill(user)
        await clara.view.locator("#fl-price").fill(floating)
        await expect(clara.view.locator("pbx-advice tbody tr").first).to_contain_text(cost)
        await clara.view.locator("#fl-price").fill("viel")
        await expect(clara.view.locator("#fl-price")).to_have_attribute("aria-invalid", "true")
        await expect(clara.view.locator("pbx-advice tbody tr").first).not_to_contain_text(cost)
        assert await clara.violations() == []
    finally:
        history.forget(world)
