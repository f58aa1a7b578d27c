"""`pbx-audio-probe once`: shows what would be sent, but sends nothing."""

import argparse
import json

from probe.programs import Recogniser, load_rules
from probe.readers import this_system
from probe.settings import PairingStore
from probe.snapshot import report
from wire.probe import ProbeReport, ProbeUse


def run(options: argparse.Namespace) -> int:
    settings = PairingStore(options.config)
    recognise = Recogniser(load_rules(settings.rules_file))
    _platform, reader = this_system()
    snapshot = reader.snapshot()
    seen = report(snapshot, recognise)
    if options.json:
        content = {**seen.model_dump(mode="json", by_alias=True), "unreadable": snapshot.unreadable}
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return 0
    print(_as_text(seen))
    if snapshot.unreadable:
        print(f"{snapshot.unreadable} device(s) could not be read.")
    if snapshot.note:
        print(snapshot.note)
    return 0


def _as_text(seen: ProbeReport) -> str:
    if not seen.uses:
        return "Neither Teams nor a softphone uses an audio device at this moment."
    return "\n".join(f"{use.program:10} {use.kind:7} {use.device.label}{_how(use)}" for use in seen.uses)


def _how(use: ProbeUse) -> str:
    if use.assumed:
        return "  (not seen: the system's default, which it may follow)"
    return ("  (now" if use.active else "  (open, silent") + (", for itself alone)" if use.exclusive else ")")
