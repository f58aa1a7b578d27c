"""The connector, killed (`kill -9`) as soon as it has made a new PBX key, before it can answer. The first time only."""

import os
import signal
import sys
from datetime import timedelta

from connector.cli import main
from connector.state import ConnectorState
from wire.pbxkey import PbxKey

_renew = ConnectorState.renew_pbx_key


def _renew_and_die(
    state: ConnectorState, keep_old: timedelta = timedelta(0), request: str | None = None
) -> PbxKey:
    before = state.pbx_key()
    key = _renew(state, keep_old, request)
    if key != before:
        os.kill(os.getpid(), signal.SIGKILL)
    return key


if __name__ == "__main__":
    ConnectorState.renew_pbx_key = _renew_and_die  # type: ignore[method-assign]
    sys.exit(main())
