"""Builds the packages of the programs that customers install: connector and audio helper.

    make packages                                     # what this machine can build
    .venv/bin/python -m infra.packages debian         # one of them

Each package is built from a lock of infra/locks and has the version of pyproject.toml. The folder (dist/) then holds
the packages, a CycloneDX SBOM for each, SHA256SUMS, and the index that the service reads (`PBX_TEAMS_DOWNLOADS`).
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from infra.artefacts import container, debian, windows
from infra.artefacts.folder import ROOT, Build, PackagingError, plan_build
from wire.packages import BuiltPackage

BUILDERS: Final[dict[str, Callable[[Build], BuiltPackage]]] = {
    "debian": debian.build,
    "container": container.build,
    "windows": windows.build_connector,
    "audio-helper": windows.build_audio_helper,
}
"""One sub-command for each package. A builder raises `PackagingError` where this machine lacks something."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="packages", description="Builds the packages that customers install."
    )
    parser.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help=f"all if not given: {', '.join(BUILDERS)}"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder; dist if not given")
    parser.add_argument("--version", help="that of pyproject.toml if not given")
    parser.add_argument(
        "--compression", type=int, choices=range(10), default=6, help="0 is fast, 9 is small; 6 if not given"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.packages if name not in BUILDERS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    plan = plan_build(options.out, options.version, options.compression)
    failed = []
    for name in options.packages or BUILDERS:
        try:
            built = BUILDERS[name](plan)
        except PackagingError as fault:
            failed.append(name)
            print(f"{name}: not built: {fault}", file=sys.stderr)
        else:
            print(f"{name}: {options.out / built.file} ({built.size / 1e6:.1f} MB)")
    # Without names, what this machine cannot build is left out; but a run that builds nothing has failed.
    return 1 if failed and (options.packages or len(failed) == len(BUILDERS)) else 0


if __name__ == "__main__":
    raise SystemExit(main())
