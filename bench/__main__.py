"""`python -m bench NAME [--json]`: run one benchmark. Exits with 1 when a ratio misses its bar."""

import argparse
import asyncio
import importlib
import sys

import uvloop

from bench.report import KEPT

BENCHMARKS = (
    "attack",
    "audio",
    "bot",
    "cli",
    "links",
    "morning",
    "page",
    "phone",
    "rush",
    "seats",
    "site",
    "tab",
)
"""Modules of this package; each has `run`, which returns a `Report`."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--json", action="store_true", help="ratios, bars and figures as JSON")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(importlib.import_module(f"bench.{options.name}").run())
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{report.name}.json").write_text(report.as_json())
    print(report.as_json() if options.json else report.as_text())
    if report.missed:
        print(f"missed: {', '.join(report.missed)}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
