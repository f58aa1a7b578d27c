"""Builds the Teams app package: manifest, icons and languages in one .zip that can be sideloaded. The build rejects
what Teams would reject later, and names the field (`manifest.checks`).
"""

import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from core.language import Language, load
from manifest import icons
from manifest.checks import MANIFEST_VERSION, check
from manifest.errors import ManifestError
from wire.hosts import as_browsers_write

_COMMANDS: Final = (
    *("call", "calls", "do-not-disturb"),
    *("status", "licence", "audio", "notices", "licences"),
    *("sign-in", "sign-out", "help"),
)
_FIND, _CALL = "find-number", "call-number"
"""Command ids of the message extension (`bot.extension`)."""
_SCHEMAS: Final = "https://developer.microsoft.com/json-schemas/teams"


@dataclass(frozen=True, slots=True)
class PackageSettings:
    public_url: str
    app_id: str
    """Application id of the Entra app registration, for single sign-on."""
    bot_id: str
    teams_app_id: str
    application_id_uris: tuple[str, ...]
    developer_name: str = "PBX for Teams"
    developer_url: str | None = None
    privacy_url: str | None = None
    terms_url: str | None = None


def app_version() -> str:
    return version("pbx-teams")


def build(settings: PackageSettings, out: Path) -> None:
    """Write the package atomically."""
    files = package(settings)
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
        written = Path(name)
        try:
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
            written.chmod(0o644)
            written.replace(out)
        except BaseException:
            written.unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise ManifestError(f"cannot write {out}: {fault.strerror}") from fault


def package(settings: PackageSettings) -> dict[str, bytes]:
    """Return the files of the package by name."""
    texts = {
        "manifest.json": manifest(settings),
        "de.json": language_file(Language.DE),
    }
    files = {
        name: json.dumps(content, indent=2, ensure_ascii=False).encode() for name, content in texts.items()
    }
    files |= {
        "color.png": icons.colour(),
        "color32x32.png": icons.small_colour(),
        "outline.png": icons.outline(),
    }
    check(files)
    return files


def manifest(settings: PackageSettings) -> dict[str, Any]:
    host = _host(settings.public_url)
    tab = f"https://{host}/tab/"
    words = load("manifest", Language.EN)
    return {
        "$schema": f"{_SCHEMAS}/v{MANIFEST_VERSION}/MicrosoftTeams.schema.json",
        "manifestVersion": MANIFEST_VERSION,
        "version": app_version(),
        "id": settings.teams_app_id,
        "developer": {
            "name": settings.developer_name,
            "websiteUrl": settings.developer_url or tab,
            "privacyUrl": settings.privacy_url or f"{tab}privacy.html",
            "termsOfUseUrl": settings.terms_url or f"{tab}terms.html",
        },
        "name": {"short": words["name.short"], "full": words["name.full"]},
        "description": {"short": words["description.short"], "full": words["description.full"]},
        "icons": {"color": "color.png", "outline": "outline.png", "color32x32": "color32x32.png"},
        "accentColor": "#464775",
        "localizationInfo": {
            "defaultLanguageTag": "en",
            "additionalLanguages": [{"languageTag": "de", "file": "de.json"}],
        },
        "staticTabs": [
            {
                "entityId": "home",
                "name": words["tab.name"],
                "contentUrl": tab,
                "websiteUrl": tab,
                "scopes": ["personal"],
            },
            # The chat with the bot, then the page about the app.
            {"entityId": "conversations", "scopes": ["personal"]},
            {"entityId": "about", "scopes": ["personal"]},
        ],
        "defaultInstallScope": "personal",
        "bots": [
            {
                "botId": settings.bot_id,
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
        "composeExtensions": [
            {
                "botId": settings.bot_id,
                "commands": [
                    {
                        "id": _FIND,
                        "type": "query",
                        "context": ["compose", "commandBox"],
                        "title": words[f"extension.{_FIND}.title"],
                        "description": words[f"extension.{_FIND}.description"],
                        "parameters": [
                            {
                                "name": "search",
                                "title": words[f"extension.{_FIND}.parameter"],
                                "description": words[f"extension.{_FIND}.parameter-description"],
                                "inputType": "text",
                            }
                        ],
                    },
                    {
                        "id": _CALL,
                        "type": "action",
                        "context": ["message"],
                        "fetchTask": True,
                        "title": words[f"extension.{_CALL}.title"],
                        "description": words[f"extension.{_CALL}.description"],
                    },
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
    for index, name in enumerate((_FIND, _CALL)):
        place = f"composeExtensions[0].commands[{index}]"
        texts[f"{place}.title"] = words[f"extension.{name}.title"]
        texts[f"{place}.description"] = words[f"extension.{name}.description"]
    place = "composeExtensions[0].commands[0].parameters[0]"
    texts[f"{place}.title"] = words[f"extension.{_FIND}.parameter"]
    texts[f"{place}.description"] = words[f"extension.{_FIND}.parameter-description"]
    return texts


def _host(public_url: str) -> str:
    """Return the host. Teams loads tabs only over https, and the service answers at the root of its host."""
    try:
        address = urlsplit(as_browsers_write(public_url))
    except ValueError as fault:
        raise ManifestError(f"PBX_TEAMS_PUBLIC_URL ({public_url}): {fault}") from fault
    if address.scheme != "https":
        raise ManifestError(
            f"PBX_TEAMS_PUBLIC_URL ({public_url}) must start with https:// for Teams to load the tab"
        )
    if address.path or address.query or address.username:
        raise ManifestError(f"PBX_TEAMS_PUBLIC_URL ({public_url}) must be a host alone, without a path")
    return address.netloc


def _resource(settings: PackageSettings, host: str) -> str:
    """Return the application ID URI `api://HOST/APP_ID`, which Entra requires for single sign-on in a tab."""
    wanted = f"api://{host}/{settings.app_id}"
    if wanted not in settings.application_id_uris:
        raise ManifestError(
            f"PBX_TEAMS_APPLICATION_ID_URIS does not hold {wanted}: the tab's tokens would be refused"
        )
    return wanted
