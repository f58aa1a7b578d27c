"""The connector as a container image, in an archive that `podman load` and `docker load` read."""

import platform
import shutil
import tempfile
from pathlib import Path
from typing import Final

from infra.artefacts.folder import LOCKS, Build, PackagingError, add_package, run
from infra.artefacts.sbom import read_components
from infra.artefacts.wheels import ARCHITECTURES, install_wheels
from wire.packages import BuiltPackage, PackageKind

ENGINES: Final = ("podman", "docker")


def build(plan: Build) -> BuiltPackage:
    """Build the image with the engine of this machine, for its architecture. Raises `PackagingError`."""
    engine = next((name for name in ENGINES if shutil.which(name)), None)
    if engine is None:
        raise PackagingError("a container engine is needed: install podman or docker")
    run(engine, "info")  # fails if the engine does not run
    machine = platform.machine()
    architecture = next((debian for debian, (name, _) in ARCHITECTURES.items() if name == machine), machine)
    image = f"pbx-connector:{plan.version}"
    run(engine, "build", "--file", "infra/connector/Containerfile", "--tag", image, ".")
    with tempfile.TemporaryDirectory(dir=plan.out) as directory:
        archive = Path(directory) / f"pbx-connector_{plan.version}_{architecture}.image.tar"
        run(engine, "save", "--output", str(archive), image)
        wheels = Path(directory) / "wheels"
        install_wheels(LOCKS / "connector.txt", wheels, architecture, ("3.13",))
        components = read_components(wheels)
        return add_package(plan, PackageKind.CONNECTOR_CONTAINER, archive, architecture, components)
