"""The channel's side of `bench.bot`: `python -m bench.bot_client JSON`, which delivers messages of people to a bot.

JSON: `url` (of the bot), `serviceUrl`, `token`, `first` and `people` (which of them talk), `clients`, and `seconds` or
`turns`. Answers one line of JSON: `turns`, `rate` (a second), `p50` and `p99` (milliseconds).
"""

import asyncio
import itertools
import json
import statistics
import sys
import time
import uuid
from typing import Any

import aiohttp
import uvloop

from simulator.people import APP_ID, TENANT_ID


def object_id(number: int) -> str:
    """Return the object id of the n-th user."""
    return str(uuid.UUID(int=0x5000_8000_0000_0000_0000 + number, version=4))


def activity(service_url: str, number: int, turn: str) -> dict[str, Any]:
    person = object_id(number)
    return {
        "type": "message",
        "id": turn,
        "text": "status",
        "channelId": "msteams",
        "serviceUrl": service_url,
        "timestamp": "2026-11-27T08:00:00.000Z",
        "locale": "de-DE",
        "localTimezone": "Europe/Berlin",
        "from": {"id": f"29:{person}", "name": f"Person {number}", "aadObjectId": person},
        "recipient": {"id": f"28:{APP_ID}", "name": "PBX for Teams"},
        "conversation": {"id": f"a:{person}", "conversationType": "personal", "tenantId": TENANT_ID},
        "channelData": {"tenant": {"id": TENANT_ID}},
        "entities": [{"type": "clientInfo", "locale": "de-DE", "platform": "Web"}],
    }


async def main(options: dict[str, Any]) -> None:
    run = uuid.uuid4().hex
    turns = iter(range(options["turns"])) if "turns" in options else itertools.count()
    took: list[float] = []
    headers = {"Authorization": f"Bearer {options['token']}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as http:
        begun = time.perf_counter()
        ends = begun + options.get("seconds", float("inf"))

        async def client() -> None:
            for turn in turns:
                started = time.perf_counter()
                number = options["first"] + turn % options["people"]
                said = activity(options["serviceUrl"], number, f"{run}-{turn}")
                async with http.post(options["url"], data=json.dumps(said)) as answer:
                    await answer.read()
                    assert answer.status in (200, 201), answer.status
                ended = time.perf_counter()
                took.append(ended - started)
                if ended > ends:
                    return

        await asyncio.gather(*(client() for _ in range(options["clients"])))
        seconds = time.perf_counter() - begun
    percentiles = statistics.quantiles(took, n=100)
    print(
        json.dumps(
            {
                "turns": len(took),
                "rate": len(took) / seconds,
                "p50": 1000 * percentiles[49],
                "p99": 1000 * percentiles[98],
            }
        )
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
        _runner.run(main(json.loads(sys.argv[1])))
