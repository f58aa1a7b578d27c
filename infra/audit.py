"""Licences and known vulnerabilities of what is installed.

    make check

The licence of every package that is shipped must be one of those below. Vulnerabilities are asked of the package
index (pip-audit); where it cannot be reached, that is said and is no failure of the code.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
PERMISSIVE = (
    "MIT",
    "Apache",
    "BSD",
    "ISC",
    "PSF",
    "Python Software Foundation",
    "MPL",
    "Mozilla",
    "Unlicense",
    "HPND",
    "0BSD",
    "CC0",
    "LGPL",
)
"""LGPL packages are used unchanged as libraries; MPL obliges file by file."""


def main() -> int:
    shipped = {
        line.split("==")[0].lower()
        for line in (LOCKS / "runtime.txt").read_text().splitlines()
        if "==" in line
    }
    listed = run("piplicenses", "--format=json", "--from=mixed")
    found = json.loads(listed.stdout)
    odd = [
        f"{package['Name']}: {package['License']}"
        for package in found
        if package["Name"].lower() in shipped and not any(word in package["License"] for word in PERMISSIVE)
    ]
    for line in odd:
        print(f"licence not on the list: {line}")
    return 1 if odd or not vulnerabilities_are_known_good() else 0


def vulnerabilities_are_known_good() -> bool:
    locked = str(LOCKS / "runtime.txt")
    audit = run(
        "pip_audit",
        "--progress-spinner=off",
        "--disable-pip",
        "--require-hashes",
        "--format=json",
        "-r",
        locked,
    )
    try:
        packages = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        words = audit.stderr.strip().splitlines() or ["no word"]
        print(f"vulnerabilities could not be asked for here: {words[-1]}")
        return True
    skipped = [package for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    print(
        f"vulnerabilities: asked for {len(packages) - len(skipped)} packages, {len(skipped)} unknown to the index here"
    )
    for package in vulnerable:
        print(
            f"  {package['name']} {package['version']}: {', '.join(found['id'] for found in package['vulns'])}"
        )
    return not vulnerable


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    raise SystemExit(main())
