"""The long runs behind the tests that `make test` runs short, and what they cost.

python -m tests.proof model      random histories against the model: 2,000 examples of 50 steps on each database
python -m tests.proof barrier    1,000 barrier rounds on each database, and the wrong ways as controls
python -m tests.proof histories  200 concurrent histories on each database, checked for linearizability
python -m tests.proof kill       kill -9: 200 cycles on SQLite, 100 on PostgreSQL, 30 of PostgreSQL itself
python -m tests.proof links      100,000 frames of rubbish, 10,000 bad handshakes, and every other fault of a line
python -m tests.proof fleet      kill -9 of a replica, of NATS and of PostgreSQL under sign-in load, 20 times each
"""

import argparse
import os
import sys

import pytest

RUNS = {
    "model": ("tests/core/licensing/test_ledger_model.py", {"PBX_TEAMS_MODEL_EXAMPLES": "2000"}),
    "barrier": ("tests/core/licensing/test_seats_together.py", {"PBX_TEAMS_BARRIER_ROUNDS": "1000"}),
    "histories": ("tests/core/licensing/test_seats_together.py", {"PBX_TEAMS_HISTORIES": "200"}),
    "links": (
        "tests/app/test_link_faults.py",
        {"PBX_TEAMS_FUZZ_FRAMES": "100000", "PBX_TEAMS_FUZZ_HANDSHAKES": "10000"},
    ),
    "fleet": ("tests/app/test_replicas.py", {"PBX_TEAMS_FLEET_CYCLES": "20"}),
    "kill": ("tests/core/store/test_crash.py", {"PBX_TEAMS_KILL_TENTHS": "10"}),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=sorted(RUNS))
    path, environment = RUNS[parser.parse_args().name]
    os.environ.update(environment)
    return int(pytest.main([path, "-q", "-rP", "--durations=0"]))


if __name__ == "__main__":
    sys.exit(main())
