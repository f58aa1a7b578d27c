"""Measures how often the comparison of two device names is right, on the labelled sets of `tests/core/audio`; the
cost of a comparison; the cost of an idle probe, and how soon it reports a change.

The set is split by the hash of its sources: the rules were developed with one half, and the other half is only
measured. An answer is right if it is true, or if it is acceptable because the two names alone do not reveal the
truth (`tests/support/audio_labels.py`). A comparison is measured relative to folding the two labels and comparing
the results, the minimum that any comparison does. The probe's memory is measured relative to an idle Python process
with the same libraries.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from aiohttp import web

from bench.report import Bar, Report
from core.audio.comparison import Sameness, compare
from core.audio.device import AudioDevice
from core.audio.label import fold, read
from tests.support.audio_labels import LabelledPair, labelled_pairs, machines
from tests.support.sound import SoundServer, probe, program, sound_server
from wire.probe import SUBPROTOCOL

BARS = {
    **{f"{half}_right": Bar(0.95) for half in ("tuned", "held_out")},
    **{f"{half}_wrong_same": Bar(0, at_most=True) for half in ("tuned", "held_out")},
    **{f"{half}_wrong_different": Bar(0.02, at_most=True) for half in ("tuned", "held_out")},
    "comparison_to_folding": Bar(10, at_most=True),
    "probe_memory": Bar(1.5, at_most=True),
}
ROUNDS = 5
IDLE_SECONDS = 60.0
MOVES = 20
BARE = "import asyncio, time, aiohttp, pydantic, keyring, platformdirs, psutil, pulsectl; print(flush=True); time.sleep(60)"


async def run() -> Report:
    report = Report("audio", BARS)
    pairs = labelled_pairs()
    report.figures |= {"machines": len(list(machines())), "pairs": len(pairs)}
    for half in ("tuned", "held_out"):
        measure_half(half, [pair for pair in pairs if pair.held_out is (half == "held_out")], report)
    measure_cost(pairs, report)
    with tempfile.TemporaryDirectory() as directory, sound_server(Path(directory)) as sound:
        await measure_probe(await sound.ready(), Path(directory), report)
    return report


def measure_half(half: str, pairs: list[LabelledPair], report: Report) -> None:
    said = [(pair, compare(AudioDevice(pair.one), AudioDevice(pair.other)).verdict) for pair in pairs]
    counted = Counter((pair.truth, verdict) for pair, verdict in said)
    wrong = Counter(verdict for pair, verdict in said if verdict not in pair.right)
    report.ratios[f"{half}_right"] = 1 - wrong.total() / len(pairs)
    report.ratios[f"{half}_wrong_same"] = wrong[Sameness.SAME] / len(pairs)
    report.ratios[f"{half}_wrong_different"] = wrong[Sameness.DIFFERENT] / len(pairs)
    report.ratios[f"{half}_needless_unsure"] = wrong[Sameness.UNSURE] / len(pairs)
    for verdict in (Sameness.SAME, Sameness.DIFFERENT):
        answered = sum(number for (_, answer), number in counted.items() if answer is verdict)
        true = sum(number for (truth, _), number in counted.items() if truth is verdict)
        report.ratios[f"{half}_{verdict}_precision"] = counted[verdict, verdict] / answered
        report.ratios[f"{half}_{verdict}_recall"] = counted[verdict, verdict] / true
    for truth in Sameness:
        for verdict in Sameness:
            report.figures[f"{half}_{truth}_told_{verdict}"] = counted[truth, verdict]


def measure_cost(pairs: list[LabelledPair], report: Report) -> None:
    """Return the best of several rounds, because this machine may be busy."""
    devices = [(AudioDevice(pair.one), AudioDevice(pair.other)) for pair in pairs]
    labels = sorted({label for pair in pairs for label in (pair.one, pair.other)})

    def best(work: Callable[[], object], number: int) -> float:
        seconds = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - begun)
        return 1e6 * min(seconds) / number

    compared = best(lambda: [compare(one, other) for one, other in devices], len(pairs))
    folded = best(lambda: [fold(pair.one) == fold(pair.other) for pair in pairs], len(pairs))
    report.ratios["comparison_to_folding"] = compared / folded
    report.figures |= {
        "comparison_us": round(compared, 1),
        "folding_us": round(folded, 1),
        "reading_a_new_label_us": round(
            best(lambda: [read.__wrapped__(label) for label in labels], len(labels)), 1
        ),
    }


async def measure_probe(sound: SoundServer, directory: Path, report: Report) -> None:
    """Measure a probe with two programs that keep using one headset, so that it has nothing to report."""
    heard: asyncio.Queue[float] = asyncio.Queue()
    runner, port = await service(heard)
    config = directory / "probe"
    config.mkdir()
    (config / "pairing.json").write_text(json.dumps({"service": f"http://127.0.0.1:{port}", "token": "t"}))
    places = [{"speaker": f"{name}_out", "microphone": f"{name}_in"} for name in ("headset", "laptop")]
    async with (
        program(sound, "Microsoft Teams", **places[0]),
        program(sound, "STARFACE UCC Client", **places[0]),
        probe(sound, config) as process,
    ):
        await asyncio.wait_for(heard.get(), 15)
        seen = psutil.Process(process.pid)
        await asyncio.sleep(5)
        before = seen.cpu_times()
        await asyncio.sleep(IDLE_SECONDS)
        after = seen.cpu_times()
        used = (after.user + after.system) - (before.user + before.system)
        delays = []
        for number in range(MOVES):
            while not heard.empty():
                heard.get_nowait()
            begun = time.monotonic()
            sound.move("STARFACE UCC Client", **places[(number + 1) % 2])
            delays.append(await asyncio.wait_for(heard.get(), 5) - begun)
            await asyncio.sleep(0.5)
        memory = seen.memory_info().rss
    await runner.cleanup()
    bare = await asyncio.create_subprocess_exec(sys.executable, "-c", BARE, stdout=subprocess.PIPE)
    assert bare.stdout is not None
    await bare.stdout.readline()
    report.ratios["probe_memory"] = memory / psutil.Process(bare.pid).memory_info().rss
    bare.kill()
    await bare.wait()
    report.figures |= {
        "probe_memory_mib": round(memory / 2**20, 1),
        "probe_idle_cpu_percent": round(100 * used / IDLE_SECONDS, 3),
        "probe_report_after_ms_median": round(1000 * statistics.median(delays)),
        "probe_report_after_ms_worst": round(1000 * max(delays)),
    }


async def service(heard: asyncio.Queue[float]) -> tuple[web.AppRunner, int]:
    """A service that accepts every probe and every report."""

    async def link(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
        await socket.prepare(request)
        async for message in socket:
            frame = message.json()
            if frame["method"] == "probe.report":
                heard.put_nowait(time.monotonic())
            result = {"person": "bench"} if frame["method"] == "probe.hello" else {}
            await socket.send_json({"jsonrpc": "2.0", "id": frame["id"], "result": result})
        return socket

    app = web.Application()
    app.router.add_get("/probe/link", link)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]
