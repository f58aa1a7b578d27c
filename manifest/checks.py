"""Checks whether Teams would accept a package: Microsoft's own schemas, and rules that the schemas do not cover.

The schemas in `schema/` are the newest ones of `@microsoft/app-manifest` (MIT); `tests/manifest` compares them with
that package.
"""

import copy
import io
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match
from PIL import Image

from manifest.errors import ManifestError

MANIFEST_VERSION: Final = "1.30"
_MANIFEST: Final = "MicrosoftTeams.schema.json"
_LANGUAGE: Final = "MicrosoftTeams.Localization.schema.json"
ICON_PIXELS: Final = {"color": 192, "outline": 32, "color32x32": 32}


def check(files_: Mapping[str, bytes]) -> None:
    """Raise `ManifestError` for the first thing that Teams would reject."""
    manifest = json.loads(files_["manifest.json"])
    _fits(manifest, _MANIFEST, "manifest.json")
    for language in manifest["localizationInfo"]["additionalLanguages"]:
        name = language["file"]
        if name not in files_:
            raise ManifestError(f"manifest.json: localizationInfo names {name}, which is not in the package")
        texts = json.loads(files_[name])
        _fits(texts, _LANGUAGE, name)
        # A translation must not be longer than the limit for the text that it replaces.
        _fits(_translated(manifest, texts, name), _MANIFEST, name)
    _addresses(manifest)
    for kind, name in manifest["icons"].items():
        _icon(kind, name, files_)


def _fits(document: Any, schema: str, file: str) -> None:
    fault = best_match(_validator(schema).iter_errors(document))
    if fault is not None:
        raise ManifestError(f"{file}: {_path(fault.absolute_path) or 'the whole'}: {fault.message}")


@cache
def _validator(schema: str) -> Draft4Validator:
    text = files("manifest").joinpath("schema", schema).read_text(encoding="utf-8")
    return Draft4Validator(json.loads(text))


def _path(parts: Any) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _translated(manifest: Any, texts: Mapping[str, str], file: str) -> Any:
    """Return the manifest with the texts of a language. Raises if a text replaces nothing."""
    translated = copy.deepcopy(manifest)
    for place, text in texts.items():
        if place == "$schema":
            continue
        *way, last = (int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", place))
        try:
            target = translated
            for part in way:
                target = target[part]
            target[last]  # raises if there is nothing to replace
            target[last] = text
        except (KeyError, IndexError, TypeError) as missing:
            raise ManifestError(f"{file}: {place}: manifest.json has no such text") from missing
    return translated


def _addresses(manifest: Any) -> None:
    """Check URLs. Teams loads pages only over https, and tabs only from the domains in the package."""
    domains = manifest["validDomains"]
    for index, tab in enumerate(manifest["staticTabs"]):
        for name in ("contentUrl", "websiteUrl"):
            if name not in tab:
                continue
            address = urlsplit(tab[name])
            where = f"manifest.json: staticTabs[{index}].{name}"
            if address.scheme != "https":
                raise ManifestError(f"{where}: must start with https://")
            if address.netloc not in domains:
                raise ManifestError(f"{where}: {address.netloc} is not among validDomains")
    for name in ("websiteUrl", "privacyUrl", "termsOfUseUrl"):
        if urlsplit(manifest["developer"][name]).scheme != "https":
            raise ManifestError(f"manifest.json: developer.{name}: must start with https://")


def _icon(kind: str, name: str, files_: Mapping[str, bytes]) -> None:
    if name not in files_:
        raise ManifestError(f"manifest.json: icons.{kind} names {name}, which is not in the package")
    with Image.open(io.BytesIO(files_[name])) as image:
        size = ICON_PIXELS[kind]
        if image.format != "PNG" or image.size != (size, size):
            raise ManifestError(f"{name}: icons.{kind} must be a PNG of {size} x {size} pixels")
        if kind == "outline":
            opaque = image.convert("RGBA").getchannel("A")
            if opaque.getextrema()[0] != 0:
                raise ManifestError(f"{name}: icons.outline must have a transparent background")
