"""`pbx-audio-probe` without a command, as a double click starts it: asks for what it needs, and says what happens.

The terminal's language is the system's: German or English.
"""

import argparse

from probe import autostart
from probe.commands import pair, run
from probe.commands import status as status_command
from probe.errors import ProbeError
from probe.sentences import say
from probe.settings import PairingStore


def run_guide(options: argparse.Namespace) -> int:
    """Pair this computer if it is not paired, ask whether to start at login, and then report changes."""
    store = PairingStore(options.config)
    try:
        if not store.is_paired:
            _pair(options)
        status_command.run(options)
        print(say("running"))
        return run.run(options)
    except EOFError as fault:
        raise ProbeError(say("nobody-answers")) from fault


def _pair(options: argparse.Namespace) -> None:
    print(say("welcome"))
    command = input(say("ask-command")).split()
    # The page shows "pbx-audio-probe pair ADDRESS CODE"; the address alone is enough, the code is then asked for.
    given = [word for word in command if word not in ("pbx-audio-probe", "pair")]
    if not given:
        raise ProbeError(say("nothing-given"))
    pair.run(
        argparse.Namespace(
            config=options.config,
            service=given[0],
            code=given[1] if len(given) > 1 else None,
            allow_http=False,
            no_autostart=True,
        )
    )
    if input(say("ask-login")).strip().lower() not in ("n", "no", "nein"):
        print(say("starts-at-login", place=autostart.switch_on()))
