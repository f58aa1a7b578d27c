"""`python -m bench NAME [--json]`: one benchmark. Exit 1 when a ratio misses its bar."""

import argparse
import asyncio
import sys

import uvloop

from bench import audio, links, seats

BENCHMARKS = {"audio": audio.run, "links": links.run, "seats": seats.run}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="ratios, bars and figures as JSON")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(BENCHMARKS[options.name]())
    print(report.as_json() if options.json else report.as_text())
    if report.missed:
        print(f"missed: {', '.join(report.missed)}", file=sys.stderr)
    return 1 if report.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
