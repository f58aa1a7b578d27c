"""`pbx-teams audio`: compares device names as the audio advisor does."""

import argparse
import json

from core.audio import comparison
from core.audio.device import AudioDevice
from core.language import Language


def compare(options: argparse.Namespace) -> int:
    compared = comparison.compare(AudioDevice(options.one), AudioDevice(options.other))
    if options.json:
        print(json.dumps({"verdict": compared.verdict, "reason": compared.reason}))
    else:
        print(f"{compared.verdict}: {compared.words(Language.EN)} ({compared.reason})")
    return 0
