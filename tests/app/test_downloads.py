"""Packages that the service offers: who may have which, by links that end, and nothing beside them in the folder."""

import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from core.administration.downloads import Downloads
from tests.support.downloads import CONNECTOR_FILE, CONTENT, HELPER_FILE, write_packages
from tests.support.refusals import refusal_of
from tests.support.world import ANNA, CLARA, World
from wire.packages import INDEX, MAX_INDEX_BYTES, BuiltPackage, PackageIndex


@pytest.fixture
async def folder(world: World) -> AsyncIterator[Path]:
    folder = world.demo.state / "downloads"
    write_packages(folder)
    for person in (ANNA, CLARA):
        answer = await world.client(person).sign_in(world.pbx_name, world.key)
        assert answer.status == 200, answer.body
    yield folder
    shutil.rmtree(folder)


async def offered(world: World, person: Any = CLARA, path: str = "downloads") -> list[str]:
    answer = await world.client(person).call("GET", path)
    assert answer.status == 200, answer.body
    return sorted(one["file"] for one in answer.body["packages"])


async def link(world: World, file: str = CONNECTOR_FILE, person: Any = CLARA) -> str:
    answer = await world.client(person).call("POST", "downloads/link", {"file": file})
    assert answer.status == 200, answer.body
    return str(answer.body["url"])


async def fetch(world: World, url: str, **headers: str) -> tuple[int, bytes, Any]:
    """Fetch as curl would, beside the PBX: without a session."""
    async with world.http.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_an_administrator_downloads_the_connector(world: World, folder: Path) -> None:
    shown = (await world.client(CLARA).call("GET", "downloads")).body
    one = next(one for one in shown["packages"] if one["file"] == CONNECTOR_FILE)
    assert shown["configured"] and (one["version"], one["size"]) == ("9.9.9", len(CONTENT[CONNECTOR_FILE]))
    url = await link(world)
    assert url.startswith(f"{world.teams_url}/downloads/") and url.endswith(f"/{CONNECTOR_FILE}")
    status, content, headers = await fetch(world, url)
    assert status == 200 and hashlib.sha256(content).hexdigest() == one["sha256"]
    assert headers["Content-Disposition"] == f'attachment; filename="{CONNECTOR_FILE}"'
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    # A broken download is continued.
    status, rest, _ = await fetch(world, url, Range="bytes=1000000-")
    assert status == 206 and rest == CONTENT[CONNECTOR_FILE][1_000_000:]


async def test_it_is_in_the_audit(world: World, folder: Path) -> None:
    await link(world)
    rows = (await world.client(CLARA).call("GET", "audit?limit=5")).body["entries"]
    assert any((row["code"], row["detail"]) == ("package-offered", CONNECTOR_FILE) for row in rows), rows


async def test_users_get_the_audio_helper_alone(world: World, folder: Path) -> None:
    anna = world.client(ANNA)
    assert (await anna.call("GET", "downloads")).code == "not-administrator"
    assert (await anna.call("POST", "downloads/link", {"file": CONNECTOR_FILE})).code == "not-administrator"
    # Nobody learns by it which files there are.
    assert (await anna.call("POST", "downloads/link", {"file": "nothing"})).code == "not-administrator"
    assert await offered(world, ANNA, "downloads/helper") == [HELPER_FILE]
    assert (await fetch(world, await link(world, HELPER_FILE, ANNA)))[1] == CONTENT[HELPER_FILE]
    await anna.sign_out()
    assert (await anna.call("GET", "downloads/helper")).code == "not-signed-in"
    assert (await anna.call("POST", "downloads/link", {"file": HELPER_FILE})).code == "not-signed-in"


async def test_a_link_opens_its_own_file_alone(world: World, folder: Path) -> None:
    url = await link(world, HELPER_FILE)
    assert (await fetch(world, url.replace(HELPER_FILE, CONNECTOR_FILE)))[0] == 404
    expiry, _, mac = url.split("/")[-2].partition("-")
    for ticket in (
        f"{int(expiry, 16) + 3600:x}-{mac}",
        f"{expiry}-{'0' * 32}",
        f"-{mac}",
        f"zz-{mac}",
        "x" * 5000,
    ):
        assert (await fetch(world, url.replace(f"{expiry}-{mac}", ticket)))[0] in (400, 404), ticket


@pytest.mark.parametrize("name", [INDEX, "../service.env", "..%2Fservice.env", "%2Fetc%2Fpasswd", "a%00b"])
async def test_nothing_else_of_the_disk_is_served(world: World, folder: Path, name: str) -> None:
    url = await link(world)
    status, content, _ = await fetch(
        world, f"{url.rsplit('/', 1)[0]}/{name}".replace(world.teams_url, world.demo.service_url)
    )
    assert status in (400, 404) and b"PEPPER" not in content and b"packages" not in content
    refused = await world.client(CLARA).call("POST", "downloads/link", {"file": name})
    assert refused.status in (400, 410, 422)


async def test_a_link_ends_with_its_hour(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pepper = (world.demo.state / "pepper").read_text().encode()
    downloads = Downloads(folder, pepper, guard=None, overview=None)  # type: ignore[arg-type]
    ticket, file = (await link(world)).split("/")[-2:]
    assert await downloads.find(ticket, file) == folder / CONNECTOR_FILE
    (package,) = (one for one in await downloads._packages() if one.file == file)
    old = f"{1_700_000_000:x}-{downloads._mac(package, 1_700_000_000)}"
    gone = await refusal_of(downloads.find(old, file))
    assert gone.code == "package-gone"
    status, words, _ = await fetch(world, f"{world.demo.service_url}/downloads/{old}/{file}")
    assert status == 410 and b"expired" in words


@pytest.mark.parametrize(
    "changes", [{"sha256": "0" * 64}, {"size": 5}, {"kind": "of-a-later-version"}, {"file": "missing.deb"}]
)
async def test_what_is_not_whole_is_not_offered(world: World, folder: Path, changes: dict[str, Any]) -> None:
    write_packages(folder, **changes)
    assert await offered(world) == [HELPER_FILE]


async def test_a_file_that_is_a_link_to_elsewhere_is_not_offered(
    world: World, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(CONTENT[CONNECTOR_FILE])
    (folder / CONNECTOR_FILE).unlink()
    (folder / CONNECTOR_FILE).symlink_to(elsewhere)
    assert await offered(world) == [HELPER_FILE]


@pytest.mark.parametrize(
    "index", ["{", '{"packages": [{"file": "../x"}]}', " " * (MAX_INDEX_BYTES + 1) + "{}", "[]"]
)
async def test_an_index_that_cannot_be_read_offers_nothing(world: World, folder: Path, index: str) -> None:
    (folder / INDEX).write_text(index)
    assert await offered(world) == []


async def test_a_file_that_changed_after_the_link_is_not_sent(world: World, folder: Path) -> None:
    url = await link(world)
    (folder / CONNECTOR_FILE).write_bytes(b"something else")
    assert (await fetch(world, url))[0] == 404


def test_the_setting_names_the_folder() -> None:
    assert Settings.model_fields["downloads"].default is None


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".hidden", "a/b", "a\\b", "", "a\nb", "ä.deb"])
def test_a_name_in_the_index_stays_in_the_folder(name: str) -> None:
    with pytest.raises(ValueError, match="file"):
        PackageIndex(
            packages=(
                BuiltPackage(
                    kind="x", file=name, version="1", architecture="a", size=1, sha256="0" * 64, sbom="s"
                ),
            )
        )
