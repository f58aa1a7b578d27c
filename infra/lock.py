"""Writes the locks again from pyproject.toml: exact versions with hashes, for every platform and Python from 3.11 on.

    make lock

`dev.txt` decides the versions; `build.txt` and `runtime.txt` are parts of it. No registry's host is written.
"""

import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
ROOT = Path(__file__).parents[1]
COMMON = (
    *("pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet"),
)


def main() -> int:
    parts: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("dev", ("--extra", "build", "--extra", "probe", "--extra", "dev")),
        ("build", ("--extra", "build", "--extra", "probe", "--constraint", str(LOCKS / "dev.txt"))),
        ("runtime", ("--constraint", str(LOCKS / "dev.txt"))),
    )
    for name, extra in parts:
        out = str(LOCKS / f"{name}.txt")
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "uv", *COMMON, *extra, "--output-file", out], cwd=ROOT, check=True
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
