"""The most minimal client that keeps many UCI logins: for each, a task, a secret path and the user's
identification.
"""

import asyncio
import json
import secrets
import sys
import time
import xmlrpc.client
from typing import Final

import aiohttp
from aiohttp import web

from connector.login import uci_token

KEEP_ALIVE_SECONDS: Final = 40.0


async def main(pbx_port: int, count: int) -> None:
    paths: dict[str, str] = {}

    async def event(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["secret"] in paths else 404)

    app = web.Application()
    app.router.add_post("/uci/{secret}", event)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{pbx_port}/xml-rpc"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20)) as http:

        async def ask(query: dict[str, str], method: str) -> None:
            body = xmlrpc.client.dumps((), methodname=f"ucp.v22.requests.connection.{method}")
            async with http.post(url, params=query, data=body) as answer:
                await answer.read()

        async def keep(login: str, secret: str) -> None:
            query = {
                "de.vertico.starface.user": login,
                "de.vertico.starface.auth": uci_token(login, "password"),
                "de.vertico.starface.callback.host": "127.0.0.1",
                "de.vertico.starface.callback.port": str(runner.addresses[0][1]),
                "de.vertico.starface.callback.path": f"/uci/{secret}",
            }
            await ask(query, "login")
            opened.append(login)
            while True:
                await asyncio.sleep(KEEP_ALIVE_SECONDS)
                await ask(query, "keepAlive")

        opened: list[str] = []
        begun = time.monotonic()
        tasks = []
        for number in range(count):
            secret = secrets.token_urlsafe(24)
            login = paths[secret] = str(1002 + number)
            tasks.append(asyncio.create_task(keep(login, secret)))
        while len(opened) < count:  # noqa: ASYNC110 - a benchmark's own clock
            await asyncio.sleep(0.05)
        print(json.dumps({"open": len(opened), "seconds": time.monotonic() - begun}), flush=True)
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
