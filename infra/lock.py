"""Regenerates the locks from pyproject.toml: exact versions with hashes, for every platform and Python from 3.11
on.

    make lock

`dev.txt` decides the versions; `build.txt`, `runtime.txt`, `probe.txt` and `connector.txt` are subsets of it; the
last two have only what the audio probe needs on a desktop, and the connector at a site. No registry host is
written.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
ROOT = Path(__file__).parents[1]
PROBE_NEEDS = ("aiohttp", "pydantic")
"""The package's own dependencies that the probe needs; the others are in its extra."""
CONNECTOR_NEEDS = (
    "aiohttp",
    "cryptography",
    "defusedxml",
    "idna",
    "Jinja2",
    "phonenumbers",
    "prometheus-client",
    "pydantic",
    "tomlkit",
)
COMMON = (
    *("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
)


def main() -> int:
    constraint = ("--constraint", str(LOCKS / "dev.txt"))
    whole = "pyproject.toml"
    lock("dev", (whole, "--extra", "build", "--extra", "probe", "--extra", "dev"))
    lock("build", (whole, "--extra", "build", "--extra", "probe", *constraint))
    lock("runtime", (whole, *constraint))
    lock("probe", ("-", *constraint), requirements(PROBE_NEEDS, "probe"))
    lock("connector", ("-", *constraint), requirements(CONNECTOR_NEEDS))
    return 0


def lock(name: str, what: tuple[str, ...], requirements: str | None = None) -> None:
    command = [sys.executable, "-m", "uv", *COMMON, *what, "--output-file", str(LOCKS / f"{name}.txt")]
    subprocess.run(command, cwd=ROOT, check=True, text=True, input=requirements)  # noqa: S603 - our own command


def requirements(names: tuple[str, ...], *extras: str) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [line for line in project["dependencies"] if line.split(">")[0] in names]
    return "\n".join(
        [*found, *(line for extra in extras for line in project["optional-dependencies"][extra])]
    )


if __name__ == "__main__":
    raise SystemExit(main())
