"""How often two names are rightly told to be one device, on the labelled set of `tests/core/audio/labels.json`; and
what the probe costs while nothing happens, and how soon it tells of a change.

For the names there is no bare baseline: the ratios are precision and recall themselves. The probe's memory is held
against a Python that has imported the same libraries and does nothing.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from aiohttp import web

from bench.report import Bar, Report
from core.audio.comparison import Sameness, compare
from core.audio.device import AudioDevice
from tests.support.audio_labels import PAIRS, machine_pairs
from tests.support.sound import SoundServer, probe, program, sound_server
from wire.probe import SUBPROTOCOL

BARS = {
    "same_precision": Bar(1.0),
    "same_recall": Bar(0.9),
    "different_precision": Bar(1.0),
    "probe_memory": Bar(1.5, at_most=True),
}
IDLE_SECONDS = 60.0
MOVES = 20
BARE = "import asyncio, time, aiohttp, pydantic, keyring, platformdirs, psutil, pulsectl; print(flush=True); time.sleep(60)"


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
    with tempfile.TemporaryDirectory() as directory, sound_server(Path(directory)) as sound:
        await measure_probe(await sound.ready(), Path(directory), report)
    return report


async def measure_probe(sound: SoundServer, directory: Path, report: Report) -> None:
    """With two programs on one headset that just go on: the probe has nothing to tell."""
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
    """Takes every probe and every report."""

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
