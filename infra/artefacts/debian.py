"""The connector as a Debian package, built from the lock with `dpkg-deb` alone.

The Python libraries are in /usr/lib/pbx-connector, because Debian's own are older than those that the connector is
tested with. The interpreter is the system's. One package serves all versions of Python in `PYTHONS`, because their
compiled modules have different names.

Debian Policy: https://www.debian.org/doc/debian-policy/
"""

import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from infra.artefacts.folder import LOCKS, ROOT, Build, PackagingError, add_package, digest, run
from infra.artefacts.sbom import Component, read_components, read_embedded_components
from infra.artefacts.wheels import ARCHITECTURES, install_wheels
from wire.packages import BuiltPackage, PackageKind

NAME: Final = "pbx-connector"
PYTHONS: Final = ("3.11", "3.12", "3.13")
"""Those of Debian 12, Ubuntu 24.04 and Debian 13."""
SOURCE: Final = ROOT / "infra" / "debian"
LIBRARY: Final = f"usr/lib/{NAME}"
DOCUMENTS: Final = f"usr/share/doc/{NAME}"
MD5: Final = "md5"
OWN: Final = ("connector", "wire", "core/__init__.py", "core/language.py", "core/diagnosis")
"""What the connector consists of, as in infra/connector/Containerfile."""
UNUSED: Final = (
    *("phonenumbers/geodata", "phonenumbers/carrierdata", "phonenumbers/tzdata"),
    *("phonenumbers/geocoder.py", "phonenumbers/carrier.py", "phonenumbers/timezone.py"),
)
"""Parts of the libraries that are large and never loaded, with the modules that need them."""
APACHE: Final = re.compile(
    r" *Apache License\s+Version 2\.0, January 2004.*END OF TERMS AND CONDITIONS", re.DOTALL
)
APACHE_HERE: Final = (
    "Apache License, Version 2.0. On Debian systems its text is in /usr/share/common-licenses/Apache-2.0."
)
"""Debian Policy, 12.5: this text is not repeated in packages."""
SOURCES_OF_EXTENSIONS: Final = frozenset({".c", ".h", ".hpp", ".pxd", ".pyx", ".pyi", ".hash"})
"""What compilers and type checkers read, but no interpreter."""


def build(plan: Build, architecture: str | None = None) -> BuiltPackage:
    """Build the package for an architecture, by default that of this machine. Raises `PackagingError`."""
    architecture = architecture or run("dpkg", "--print-architecture").strip()
    if architecture not in ARCHITECTURES:
        raise PackagingError(f"no wheels for {architecture}: {', '.join(ARCHITECTURES)} are supported")
    with tempfile.TemporaryDirectory(dir=plan.out, prefix=".debian-") as directory:
        tree = Path(directory) / "tree"
        library = tree / LIBRARY
        glibc = install_wheels(LOCKS / "connector.txt", library, architecture, PYTHONS)
        components = [*read_components(library), *read_embedded_components(library)]
        licences = dict(_take_licences(library))
        _remove_unused(library)
        _add_own_code(library, plan.version)
        _add_system_files(tree, plan)
        _add_documents(tree, plan, components, licences)
        _add_control(tree, plan, architecture, glibc)
        _set_modes_and_times(tree, plan.epoch)
        built = Path(directory) / f"{NAME}_{plan.version}_{architecture}.deb"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(plan.epoch)}
        run(
            *(
                "dpkg-deb",
                "--root-owner-group",
                "--uniform-compression",
                "-Zxz",
                f"-z{plan.compression}",
                "--build",
            ),
            *(str(tree), str(built)),
            env=environment,
        )
        return add_package(plan, PackageKind.CONNECTOR_DEBIAN, built, architecture, components)


def _take_licences(library: Path) -> Iterator[tuple[str, str]]:
    """Yield name and licence text of each distribution, and remove the texts: a package has them all in one file."""
    for folder in sorted(library.glob("*.dist-info")):
        texts = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS"))
        ]
        yield (
            folder.name.partition("-")[0].lower().replace("_", "-"),
            "\n\n".join(
                APACHE.sub(APACHE_HERE, path.read_text(encoding="utf-8", errors="replace")).strip()
                for path in texts
            ),
        )


def _remove_unused(library: Path) -> None:
    for name in UNUSED:
        path = library / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for folder in library.glob("*.dist-info"):
        for path in list(folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "METADATA":
                path.unlink()
    for path in list(library.rglob("*")):
        is_source = path.suffix in SOURCES_OF_EXTENSIONS or path.name == "py.typed"
        if path.is_file() and (is_source or path.name.startswith("_testcapi.")):
            path.unlink()
    for path in sorted(library.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _add_own_code(library: Path, version: str) -> None:
    for name in OWN:
        source, into = ROOT / name, library / name
        into.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, into, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, into)
    # Where the connector reads its own version (connector/__init__.py).
    metadata = library / f"pbx_teams-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: pbx-teams\nVersion: {version}\n", encoding="utf-8")


def _add_system_files(tree: Path, plan: Build) -> None:
    _copy(SOURCE / NAME, tree / "usr" / "bin" / NAME)
    _copy(SOURCE / f"{NAME}.rtupdate", tree / "usr" / "share" / "python3" / "runtime.d" / f"{NAME}.rtupdate")
    unit = f"{NAME}.service"
    _copy(ROOT / "infra" / "connector" / unit, tree / "usr" / "lib" / "systemd" / "system" / unit)
    (tree / "etc" / NAME).mkdir(parents=True)
    overrides = tree / "usr" / "share" / "lintian" / "overrides" / NAME
    _copy(SOURCE / "lintian-overrides", overrides)
    manual = (SOURCE / f"{NAME}.1").read_text(encoding="utf-8")
    day = datetime.fromtimestamp(plan.epoch, UTC).strftime("%Y-%m-%d")
    _compress(
        manual.replace("@DATE@", day).replace("@VERSION@", plan.version),
        tree / "usr" / "share" / "man" / "man1" / f"{NAME}.1.gz",
    )


def _add_documents(tree: Path, plan: Build, components: list[Component], licences: dict[str, str]) -> None:
    documents = tree / DOCUMENTS
    _copy(ROOT / "infra" / "connector" / "connector.toml", documents / "examples" / "connector.toml")
    _compress((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), documents / "NEWS.gz")
    date = format_datetime(datetime.fromtimestamp(plan.epoch, UTC))
    _compress(
        f"{NAME} ({plan.version}) unstable; urgency=medium\n\n"
        f"  * Version {plan.version} of PBX for Teams; NEWS.gz says what changed.\n\n"
        f" -- {_maintainer()}  {date}\n",
        documents / "changelog.gz",
    )
    (documents / "copyright").write_text(_copyright(components, licences), encoding="utf-8")


def _copyright(components: list[Component], licences: dict[str, str]) -> str:
    """Return the copyright file: our licence, then the whole licence text of each library."""
    own = (ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    parts = [f"{NAME}, part of PBX for Teams\n\n{own}"]
    for one in components:
        if one.name not in licences:
            continue  # compiled into one of the others, whose text covers it
        text = licences[one.name] or one.licence
        if not text:
            raise PackagingError(f"{one.name} has no licence text")
        parts.append(f"{one.name} {one.version} (in /{LIBRARY}; {one.licence or 'see below'})\n\n{text}")
    return ("\n\n" + "-" * 79 + "\n\n").join(parts) + "\n"


def _add_control(tree: Path, plan: Build, architecture: str, glibc: tuple[int, int]) -> None:
    control = tree / "DEBIAN"
    control.mkdir()
    next_steps = (SOURCE / "next-steps").read_text(encoding="utf-8").rstrip("\n")
    for script in ("postinst", "prerm", "postrm"):
        text = (SOURCE / script).read_text(encoding="utf-8").replace("@NEXT@", next_steps)
        (control / script).write_text(text, encoding="utf-8")
        (control / script).chmod(0o755)
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and control not in path.parents]
    sums = "".join(f"{digest(path, algorithm=MD5)}  {path.relative_to(tree).as_posix()}\n" for path in files)
    (control / "md5sums").write_text(sums, encoding="utf-8")
    size = sum(max(1, -(-path.stat().st_size // 1024)) for path in files)
    last = PYTHONS[-1].split(".")
    fields = {
        "Package": NAME,
        "Version": plan.version,
        "Architecture": architecture,
        "Maintainer": _maintainer(),
        "Installed-Size": str(size),
        "Depends": ", ".join(
            (
                "adduser",
                "ca-certificates",
                f"libc6 (>= {glibc[0]}.{glibc[1]})",
                f"python3 (>= {PYTHONS[0]}~)",
                f"python3 (<< {last[0]}.{int(last[1]) + 1}~)",
            )
        ),
        "Section": "non-free/comm",
        "Priority": "optional",
        "Description": (SOURCE / "description").read_text(encoding="utf-8").rstrip("\n"),
    }
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (control / "control").write_text(text, encoding="utf-8")


def _set_modes_and_times(tree: Path, epoch: int) -> None:
    executable = {"postinst", "prerm", "postrm", NAME + ".rtupdate"}
    for path in sorted(tree.rglob("*"), reverse=True):
        is_program = path.name in executable or path.parent.name == "bin"
        path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        os.utime(path, (epoch, epoch))
    tree.chmod(0o755)
    os.utime(tree, (epoch, epoch))


def _maintainer() -> str:
    """Return the maintainer: who builds the package, by the variables of Debian's own tools, or the project."""
    name = os.environ.get("DEBFULLNAME", "PBX for Teams")
    return f"{name} <{os.environ.get('DEBEMAIL', 'pbx-for-teams@example.com')}>"


def _copy(source: Path, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, into)


def _compress(text: str, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
