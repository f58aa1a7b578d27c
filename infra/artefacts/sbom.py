"""The software bill of materials of a package: CycloneDX 1.6, JSON (https://cyclonedx.org/docs/1.6/json/)."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

_NAMESPACE: Final = uuid.UUID("6b1e4d3c-6a0e-5ef3-9a43-5c35c4d0f0aa")
"""Of the serial numbers, which a build of the same package repeats."""


@dataclass(frozen=True, slots=True)
class Component:
    """One third-party part of a package."""

    name: str
    version: str
    licence: str
    """An SPDX expression or the name that the part states; empty if it states none."""
    purl: str
    """A package URL (https://github.com/package-url/purl-spec)."""


def read_components(folder: Path) -> list[Component]:
    """Return the Python distributions that are installed in a folder, by name."""
    found = []
    for file in sorted(folder.glob("*.dist-info/METADATA")):
        metadata = HeaderParser().parsestr(file.read_text(encoding="utf-8"))
        name = metadata["Name"].lower().replace("_", "-").replace(".", "-")
        version = metadata["Version"]
        found.append(Component(name, version, _licence(metadata), f"pkg:pypi/{name}@{version}"))
    return found


def read_embedded_components(folder: Path) -> list[Component]:
    """Return the parts that are compiled into the distributions in a folder, by their own documents (PEP 770)."""
    found: dict[str, Component] = {}
    for file in sorted(folder.glob("*.dist-info/sboms/*.json")):
        for one in json.loads(file.read_text(encoding="utf-8")).get("components", []):
            if purl := one.get("purl"):
                licences = [
                    each.get("expression") or each.get("license", {}).get("id", "")
                    for each in one.get("licenses", [])
                ]
                component = Component(one["name"], one.get("version", ""), "; ".join(licences), purl)
                found[purl] = component
    return sorted(found.values(), key=lambda one: one.purl)


def bill_of_materials(
    package: str, version: str, sha256: str, epoch: int, components: Iterable[Component]
) -> str:
    """Return the document for a package with these parts. The same input makes the same text."""
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{package} {sha256}')}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": package,
                "name": package,
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            },
        },
        "components": [_component(one) for one in components],
    }
    document["dependencies"] = [
        {"ref": package, "dependsOn": [one["bom-ref"] for one in document["components"]]}
    ]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _component(component: Component) -> dict[str, Any]:
    written = {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    }
    return written | ({"licenses": [{"license": {"name": component.licence}}]} if component.licence else {})


def _licence(metadata: Any) -> str:
    """Return the licence of a distribution: its expression (PEP 639), else its classifiers, else its first line."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    prefix = "License :: "
    classified = [
        value.rpartition(" :: ")[2]
        for value in metadata.get_all("Classifier", [])
        if value.startswith(prefix) and not value.endswith("OSI Approved")
    ]
    return "; ".join(classified) or (metadata["License"] or "").strip().partition("\n")[0]
