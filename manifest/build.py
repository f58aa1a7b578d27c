"""The Teams app package: manifest, icons, languages, in one .zip that can be sideloaded.

Schema: https://developer.microsoft.com/json-schemas/teams/v1.22/MicrosoftTeams.schema.json. The build refuses
what Teams would refuse later, and says which field; `tests/manifest` holds it to Microsoft's own validator.
"""

import json
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from core.language import Language, load
from manifest import icons

MANIFEST_VERSION: Final = "1.22"
_COMMANDS: Final = ("status", "licence", "audio", "sign-in", "sign-out", "help")
_SCHEMAS: Final = "https://developer.microsoft.com/json-schemas/teams"
_LIMITS: Final = {"name.short": 30, "name.full": 100, "description.short": 80, "description.full": 4000}


class ManifestError(Exception):
    """The package would not be taken; names the field."""


@dataclass(frozen=True, slots=True)
class PackageSettings:
    public_url: str
    app_id: str
    teams_app_id: str
    application_id_uris: tuple[str, ...]


def build(settings: PackageSettings, out: Path) -> None:
    files = package(settings)
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    except OSError as fault:
        raise ManifestError(f"cannot write {out}: {fault.strerror}") from fault


def package(settings: PackageSettings) -> dict[str, bytes]:
    """The files of the package by name."""
    texts = {
        "manifest.json": manifest(settings),
        "de.json": language_file(Language.DE),
    }
    files = {
        name: json.dumps(content, indent=2, ensure_ascii=False).encode() for name, content in texts.items()
    }
    return files | {"color.png": icons.colour(), "outline.png": icons.outline()}


def manifest(settings: PackageSettings) -> dict[str, Any]:
    host = _host(settings.public_url)
    words = load("manifest", Language.EN)
    for field, limit in _LIMITS.items():
        for language in Language:
            if len(load("manifest", language)[field]) > limit:
                raise ManifestError(f"{field} ({language}) is longer than {limit} characters")
    return {
        "$schema": f"{_SCHEMAS}/v{MANIFEST_VERSION}/MicrosoftTeams.schema.json",
        "manifestVersion": MANIFEST_VERSION,
        "version": version("pbx-teams"),
        "id": settings.teams_app_id,
        "developer": {
            "name": "PBX for Teams",
            "websiteUrl": f"https://{host}/tab/",
            "privacyUrl": f"https://{host}/tab/",
            "termsOfUseUrl": f"https://{host}/tab/",
        },
        "name": {"short": words["name.short"], "full": words["name.full"]},
        "description": {"short": words["description.short"], "full": words["description.full"]},
        "icons": {"color": "color.png", "outline": "outline.png"},
        "accentColor": "#464775",
        "localizationInfo": {
            "defaultLanguageTag": "en",
            "additionalLanguages": [{"languageTag": "de", "file": "de.json"}],
        },
        "staticTabs": [
            {
                "entityId": "home",
                "name": words["tab.name"],
                "contentUrl": f"https://{host}/tab/",
                "websiteUrl": f"https://{host}/tab/",
                "scopes": ["personal"],
            }
        ],
        "bots": [
            {
                "botId": settings.app_id,
                "scopes": ["personal"],
                "supportsFiles": False,
                "isNotificationOnly": False,
                "commandLists": [
                    {
                        "scopes": ["personal"],
                        "commands": [
                            {
                                "title": words[f"command.{name}.title"],
                                "description": words[f"command.{name}.description"],
                            }
                            for name in _COMMANDS
                        ],
                    }
                ],
            }
        ],
        "permissions": ["identity", "messageTeamMembers"],
        "devicePermissions": ["media"],
        "validDomains": [host],
        "webApplicationInfo": {"id": settings.app_id, "resource": _resource(settings, host)},
    }


def language_file(language: Language) -> dict[str, Any]:
    words = load("manifest", language)
    texts = {
        "$schema": f"{_SCHEMAS}/v{MANIFEST_VERSION}/MicrosoftTeams.Localization.schema.json",
        "name.short": words["name.short"],
        "name.full": words["name.full"],
        "description.short": words["description.short"],
        "description.full": words["description.full"],
        "staticTabs[0].name": words["tab.name"],
    }
    for index, name in enumerate(_COMMANDS):
        place = f"bots[0].commandLists[0].commands[{index}]"
        texts[f"{place}.title"] = words[f"command.{name}.title"]
        texts[f"{place}.description"] = words[f"command.{name}.description"]
    return texts


def _host(public_url: str) -> str:
    """Teams loads tabs by https alone; the simulator's host page is no Teams client and needs no package."""
    address = urlsplit(public_url)
    if address.hostname in ("localhost", "127.0.0.1"):
        return address.netloc
    if address.scheme != "https":
        raise ManifestError(
            f"PBX_TEAMS_PUBLIC_URL ({public_url}) must start with https:// for Teams to load the tab"
        )
    return address.netloc


def _resource(settings: PackageSettings, host: str) -> str:
    """The application ID URI: `api://HOST/APP_ID`, which Entra wants for single sign-on in a tab."""
    wanted = f"api://{host}/{settings.app_id}"
    if wanted not in settings.application_id_uris:
        raise ManifestError(
            f"PBX_TEAMS_APPLICATION_ID_URIS does not hold {wanted}: the tab's tokens would be refused"
        )
    return wanted
