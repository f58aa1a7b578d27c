"""How often two names are rightly told to be one device, on the labelled set of `tests/core/audio/labels.json`.

There is no bare baseline to hold this against: the ratios are precision and recall themselves.
"""

from collections import Counter

from bench.report import Bar, Report
from core.audio.comparison import Sameness, compare
from core.audio.device import AudioDevice
from tests.support.audio_labels import PAIRS, machine_pairs

BARS = {"same_precision": Bar(1.0), "same_recall": Bar(0.9), "different_precision": Bar(1.0)}


async def run() -> Report:
    labelled = [
        (one, other, Sameness.SAME if is_one else Sameness.DIFFERENT)
        for _source, one, other, is_one in machine_pairs()
    ]
    labelled += [(one, other, Sameness(wanted[0])) for one, other, wanted in PAIRS if len(wanted) == 1]
    counted = Counter(
        (wanted, compare(AudioDevice(one), AudioDevice(other)).verdict) for one, other, wanted in labelled
    )
    told = {verdict: sum(n for (_, said), n in counted.items() if said is verdict) for verdict in Sameness}
    true = {verdict: sum(n for (is_, _), n in counted.items() if is_ is verdict) for verdict in Sameness}
    report = Report("audio", BARS)
    for verdict in (Sameness.SAME, Sameness.DIFFERENT):
        report.ratios[f"{verdict}_precision"] = counted[verdict, verdict] / told[verdict]
        report.ratios[f"{verdict}_recall"] = counted[verdict, verdict] / true[verdict]
    report.figures["pairs"] = len(labelled)
    for wanted in Sameness:
        for said in Sameness:
            report.figures[f"{wanted}_told_{said}"] = counted[wanted, said]
    return report
