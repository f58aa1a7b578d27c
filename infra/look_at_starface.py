"""Shows the answers of a real STARFACE, for verifying what no source states (docs/facts/to-verify.md).

    python3 infra/look_at_starface.py https://PBX LOGIN ask callList.getCallList '["…"]'
    python3 infra/look_at_starface.py https://PBX LOGIN watch --host MY_ADDRESS
    python3 infra/look_at_starface.py https://PBX LOGIN rest GET /redirects

Needs only Python 3.11, and asks for the password. It changes nothing, unless you call a method that does. All
names, and digits of numbers after the fourth, are masked, so that the output may be shared.
"""

import argparse
import getpass
import hashlib
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

KEEP_ALIVE_SECONDS: Final = 30.0
SECONDS: Final = 20.0
_NUMBER: Final = re.compile(r"[+*#]?\d{3,}")
_KEYS_OF_NAMES: Final = re.compile(
    r"name$|description$|surname|email|firm|company|message|summaryvalues|additionalvalues|phonenumbervalues"
    r"|displayinformation|password|token",
    re.IGNORECASE,
)


class Starface:
    def __init__(self, url: str, login: str, password: str, context: ssl.SSLContext | None) -> None:
        self.url = url.rstrip("/")
        self.login = login
        self._password = password
        self._context = context
        self._token = ""
        self.callback: dict[str, str] = {}

    def ask(self, method: str, *params: Any) -> Any:
        """Send one UCI call. `service.method` means v30; a full method name is used unchanged."""
        name = method if method.startswith("ucp.") else f"ucp.v30.requests.{method}"
        digest = _sha512(f"{self.login}*{_sha512(self._password)}")
        query = {"user": self.login, "auth": f"{self.login}:{digest}", **self.callback}
        address = urllib.parse.urlencode(
            {f"de.vertico.starface.{key}": value for key, value in query.items()}
        )
        body = xmlrpc.client.dumps(params, methodname=name, allow_none=True).encode()
        answer = self._send("POST", f"/xml-rpc?{address}", body, {"Content-Type": "text/xml"})
        try:
            return xmlrpc.client.loads(answer, use_builtin_types=True)[0][0]
        except xmlrpc.client.Fault as fault:
            return {"fault": fault.faultCode, "text": fault.faultString}

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        if not self._token:
            template = json.loads(self._send("GET", "/rest/login", None, {"X-Version": "2"}))
            if template["loginType"].lower() != "internal":
                raise SystemExit(f"login type {template['loginType']}: this tool knows Internal alone")
            secret = _sha512(f"{self.login}{template['nonce']}{_sha512(self._password)}")
            template["secret"] = f"{self.login}:{secret}"
            headers = {"X-Version": "2", "Content-Type": "application/json"}
            answer = self._send("POST", "/rest/login", json.dumps(template).encode(), headers)
            self._token = json.loads(answer)["token"]
        headers = {"X-Version": "2", "authToken": self._token, "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        answer = self._send(method, f"/rest{path}", sent, headers)
        return json.loads(answer) if answer else None

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310 - as it was given
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=self._context) as answer:  # noqa: S310
                print(f"# {method} {path.partition('?')[0]}: {answer.status}", file=sys.stderr)
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            print(mask_text(refused.read(2000).decode(errors="replace")), file=sys.stderr)
            raise SystemExit(f"{method} {path.partition('?')[0]}: {refused.code}") from None


def _sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def mask_text(text: str) -> str:
    return _NUMBER.sub(lambda found: found[0][:4] + "n" * (len(found[0]) - 4), text)


def mask(value: Any, key: str = "") -> Any:
    """Replace personal values with the kind of each value."""
    if isinstance(value, dict):
        return {name: mask(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [mask(one, key) for one in value]
    if isinstance(value, str) and _KEYS_OF_NAMES.search(key):
        return f"text of {len(value)}" if value else ""
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return f"{type(value).__name__} {value}"


class _Heard(BaseHTTPRequestHandler):
    began = time.monotonic()

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1_000_000))
        params, method = xmlrpc.client.loads(body, use_builtin_types=True)
        line = {"at": round(time.monotonic() - self.began, 1), "event": method, "params": mask(list(params))}
        print(json.dumps(line, ensure_ascii=False), flush=True)
        answer = xmlrpc.client.dumps((True,), methodresponse=True).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Log nothing, because the URL contains the token."""


def watch(pbx: Starface, host: str, port: int, services: list[str], seconds: float) -> None:
    """Print each event as a line of JSON, for `seconds` or until Ctrl-C."""
    server = ThreadingHTTPServer((host, port), _Heard)
    pbx.callback = {
        "callback.host": host,
        "callback.port": str(server.server_port),
        "callback.path": "/",
        "callback.type": "http",
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        print(f"# login: {pbx.ask('connection.login')}", file=sys.stderr)
        for service in services:
            print(f"# {service}: {pbx.ask('service.subscribeEvents', service)}", file=sys.stderr, flush=True)
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, KEEP_ALIVE_SECONDS))
            if pbx.ask("connection.keepAlive") is False:
                print("# keepAlive: false, the login is gone", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        pbx.ask("connection.logout")
        server.shutdown()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("login")
    parser.add_argument("--ca", help="file with the PBX's own certificate or authority")
    does = parser.add_subparsers(required=True, dest="does")
    ask = does.add_parser("ask", help="one call of UCI")
    ask.add_argument("method", help="service.method, or a whole name with its dialect")
    ask.add_argument("params", nargs="?", default="[]", help='JSON; {"time": "20260101T00:00:00"} is a time')
    look = does.add_parser("watch", help="events, as they come")
    look.add_argument("--host", required=True, help="an address of this machine that the PBX reaches")
    look.add_argument("--port", type=int, default=0)
    look.add_argument("--seconds", type=float, default=3600.0)
    look.add_argument("services", nargs="*", default=["ucp.v30.events.call"])
    rest = does.add_parser("rest", help="one call of REST")
    rest.add_argument("method")
    rest.add_argument("path")
    rest.add_argument("body", nargs="?", default="null", help="JSON")
    options = parser.parse_args(arguments)
    password = os.environ.get("STARFACE_PASSWORD") or getpass.getpass(f"Password of {options.login}: ")
    context = ssl.create_default_context(cafile=options.ca) if options.url.startswith("https:") else None
    pbx = Starface(options.url, options.login, password, context)
    if options.does == "watch":
        watch(pbx, options.host, options.port, options.services, options.seconds)
        return 0
    if options.does == "rest":
        found = pbx.rest(options.method, options.path, json.loads(options.body))
    else:
        params = json.loads(options.params, object_hook=_time)
        pbx.ask("connection.login")
        try:
            found = pbx.ask(options.method, *params)
        finally:
            pbx.ask("connection.logout")
    print(json.dumps(mask(found), indent=2, ensure_ascii=False))
    return 0


def _time(value: dict[str, Any]) -> Any:
    return xmlrpc.client.DateTime(value["time"]) if value.keys() == {"time"} else value


if __name__ == "__main__":
    raise SystemExit(main())
