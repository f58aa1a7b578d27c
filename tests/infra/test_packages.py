"""The packages that customers install, as `make packages` builds them."""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from connector.config import load
from infra.artefacts.folder import PackagingError, plan_build, read_index
from infra.artefacts.sbom import read_components
from infra.artefacts.wheels import _least_glibc
from infra.packages import BUILDERS, main
from wire.packages import INDEX, PackageIndex, PackageKind

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LOCKED = {
    line.split("==")[0]
    for line in (ROOT / "infra" / "locks" / "connector.txt").read_text().splitlines()
    if "==" in line
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of `make packages PACKAGE=debian`, compressed little to save time."""
    out = tmp_path_factory.mktemp("dist")
    command = (sys.executable, "-m", "infra.packages", "debian", "--compression", "0", "--out", str(out))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def package(folder: Path) -> Path:
    (one,) = folder.glob("*.deb")
    return one


def field(package: Path, name: str) -> str:
    return subprocess.check_output(("dpkg-deb", "--field", package, name), text=True).strip()


def test_the_index_names_what_is_in_the_folder(folder: Path, package: Path) -> None:
    index = PackageIndex.model_validate_json((folder / INDEX).read_bytes())
    (one,) = index.packages
    assert (one.kind, one.file, one.version) == (PackageKind.CONNECTOR_DEBIAN, package.name, VERSION)
    assert one.size == package.stat().st_size
    assert one.sha256 == hashlib.sha256(package.read_bytes()).hexdigest()


def test_the_checksums_are_those_of_the_files(folder: Path, package: Path) -> None:
    checked = subprocess.run(
        ("sha256sum", "--check", "--strict", "SHA256SUMS"),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0 and f"{package.name}: OK" in checked.stdout
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [package.name, f"{package.name}.cdx.json", INDEX, "SHA256SUMS"]
    )


def test_the_bill_of_materials_lists_every_part_of_the_lock(folder: Path, package: Path) -> None:
    bill = json.loads((folder / f"{package.name}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == VERSION
    listed = {one["purl"].split("@")[0]: one for one in bill["components"]}
    assert {f"pkg:pypi/{name}" for name in LOCKED} <= set(listed)
    assert all(listed[f"pkg:pypi/{name}"]["licenses"] for name in LOCKED)
    # The Rust parts of compiled modules are known by documents of their own.
    assert any(purl.startswith("pkg:cargo/") for purl in listed)


def test_the_package_says_which_systems_it_supports(package: Path) -> None:
    assert field(package, "Version") == VERSION
    needs = field(package, "Depends")
    assert "python3 (>= 3.11~)" in needs and "python3 (<< 3.14~)" in needs and "libc6 (>= 2.34)" in needs


def test_the_package_contains_the_connector_alone(package: Path, tmp_path: Path) -> None:
    """Neither service nor simulator, and no secret of the machine that built it."""
    subprocess.run(("dpkg-deb", "--extract", package, tmp_path), check=True)
    library = tmp_path / "usr" / "lib" / "pbx-connector"
    assert {"connector", "wire", "core"} <= {path.name for path in library.iterdir()}
    assert not {"app", "bot", "tab", "simulator", "probe"} & {path.name for path in library.iterdir()}
    assert {one.name for one in read_components(library)} == LOCKED | {"pbx-teams"}
    for python in ("311", "312", "313"):
        assert list(library.rglob(f"*.cpython-{python}-*.so"))
    assert not list(library.rglob("*.pyc"))
    written = "\n".join(path.read_text(errors="replace") for path in library.rglob("METADATA"))
    assert str(ROOT) not in written
    notices = (tmp_path / "usr" / "share" / "doc" / "pbx-connector" / "copyright").read_text()
    assert all(f"\n{name} " in notices for name in LOCKED)


def test_the_same_source_makes_the_same_package(package: Path, tmp_path: Path) -> None:
    built = BUILDERS["debian"](plan_build(tmp_path, compression=0))
    assert (tmp_path / built.file).read_bytes() == package.read_bytes()


def test_a_newer_package_replaces_the_older_one_in_the_index(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (before,) = read_index(tmp_path).packages
    built = BUILDERS["debian"](plan_build(tmp_path, "99.0.0", compression=0))
    (after,) = read_index(tmp_path).packages
    assert after == built and after.version == "99.0.0" and after.sha256 != before.sha256
    assert before.file not in (tmp_path / "SHA256SUMS").read_text()


def test_the_example_configuration_can_be_used(tmp_path: Path) -> None:
    example = (ROOT / "infra" / "connector" / "connector.toml").read_text()
    file = tmp_path / "connector.toml"
    file.write_text(example)
    assert load(file).uci.enabled


def test_an_unknown_package_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "windows-95"])
    assert "unknown: windows-95" in capsys.readouterr().err


def test_what_this_machine_cannot_build_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--out", str(tmp_path / "dist"), "container"]) == 1
    assert "install podman or docker" in capsys.readouterr().err
    assert not (tmp_path / "dist" / INDEX).exists()


def test_a_machine_without_wheels_is_refused(tmp_path: Path) -> None:
    from infra.artefacts import debian

    with pytest.raises(PackagingError, match="no wheels for riscv64"):
        debian.build(plan_build(tmp_path), "riscv64")


@pytest.mark.parametrize(
    ("tags", "glibc"),
    [
        (["manylinux_2_34_x86_64"], (2, 34)),
        (["manylinux_2_17_x86_64", "manylinux_2_28_x86_64"], (2, 17)),
        (["manylinux_2_5_x86_64"], (2, 17)),
        ([], (2, 17)),
    ],
)
def test_the_oldest_system_follows_from_the_wheels(
    tmp_path: Path, tags: list[str], glibc: tuple[int, int]
) -> None:
    wheel = tmp_path / "x-1.dist-info" / "WHEEL"
    wheel.parent.mkdir()
    wheel.write_text("".join(f"Tag: cp311-cp311-{tag}\n" for tag in tags))
    assert _least_glibc(tmp_path) == glibc
