"""The UCI client (XML-RPC): logs in, subscribes to call events, keeps itself alive, comes back after a loss.

Source of the methods and addresses: docs/facts/starface.md, "UCI". A UCI login is told of its
own user's calls only; the connector's login proves here that events arrive, and users who asked for it have logins
of their own (`connector.calls`).
"""

import asyncio
import hmac
import json
import logging
import random
import re
import secrets
import socket
import xmlrpc.client
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import urlencode

import defusedxml.xmlrpc
from aiohttp import web

from connector import answers
from connector.config import Uci
from connector.errors import (
    ConnectorError,
    LoginRejectedError,
    PbxAnswerError,
    PbxError,
    PbxUnreachableError,
)
from connector.exchange import RedirectedError, bytes_of, exchange
from connector.login import refuse_if_not_ready
from connector.network.client import HttpClient
from connector.readings import Readings
from connector.rest import StarfaceRest
from wire.bounds import clean_line
from wire.link import UciState
from wire.readings import ReadingPart

defusedxml.xmlrpc.monkey_patch()

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 25.0
"""Well within the minute after which the PBX forgets a login."""
RETRY_CAP_SECONDS: Final = 30.0
MAX_EVENT_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = 1024 * 1024
"""Of UCI: XML is slow to read, and a page of the call list has less than 100 KiB."""
MAX_COOKIES: Final = 20
MAX_COOKIE_CHARS: Final = 4096
MAX_REFUSALS: Final = 3
REFUSED_SECONDS: Final = 60.0
"""Between two tries of a login that UCI refuses: a fault may also mean that UCI is switched off for a while."""
LOG_OUT_SECONDS: Final = 1.0
MAX_FAULT_CHARS: Final = 200
MAX_CALL_IDS: Final = 100
MAX_PROVIDED: Final = 1000
"""Names of requests or events that a system may offer."""
CALL_EVENTS: Final = ("ucp.v22.events.call", "ucp.v30.events.call")
"""In the order of preference; which of them a system has, it tells at login."""

_NO_CHARACTER: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[\da-fA-F]));"
)
_BARE_AMPERSAND: Final = re.compile(r"&(?!(?:[A-Za-z]{1,10}|#\d{1,7}|#[xX][\da-fA-F]{1,6});)")
_BOOLEAN: Final = re.compile(r"(?<=<boolean)>\s*(true|false)\s*</", re.IGNORECASE)
_REFUSALS: Final = (401, 403)

_USER: Final = "de.vertico.starface.user"
_AUTH: Final = "de.vertico.starface.auth"

OnEvent = Callable[[str, tuple[Any, ...]], None]
"""Method ("receiveCallState") and its parameters."""
Identity = Callable[[], Mapping[str, str]]
Query = Callable[[HttpClient], Awaitable[dict[str, str]]]
"""What identifies a user in a UCI address."""


class UciFaultError(PbxUnreachableError):
    """The PBX answers a call with a fault."""


def read_xmlrpc(content: bytes) -> tuple[tuple[Any, ...], str | None]:
    """Parameters and method. The parser reads the encoding from the XML declaration. What it does not take is tried once
    more as older systems and hand-made servers mean it. Raises `xmlrpc.client.Fault`, or whatever the parser finds.
    """
    try:
        return xmlrpc.client.loads(content)
    except xmlrpc.client.Fault:
        raise
    except Exception:
        text = _mended(content)
        if text is None:
            raise
        return xmlrpc.client.loads(text)


def _mended(content: bytes) -> str | None:
    """ISO-8859-1 without a declaration, or one of an encoding that is not there; blanks before the declaration; characters
    that XML does not have, for instance in the name of a caller; a bare `&`; `true` and `false`. None: nothing of it.
    """
    told = json.detect_encoding(content)
    try:
        text = content.decode(told)
    except UnicodeError:
        text = content.decode("iso-8859-1")
    mended = text.lstrip("\ufeff \t\r\n")
    if mended.startswith("<?xml"):
        mended = mended.partition("?>")[2]
    mended = _NO_CHARACTER.sub(" ", mended.lstrip())
    mended = _BARE_AMPERSAND.sub("&amp;", mended)
    mended = _BOOLEAN.sub(lambda found: f">{int(found[1].lower() == 'true')}</", mended)
    return mended if mended != text or told != "utf-8" or not text.isascii() else None


class Callbacks:
    """The small HTTP server that the PBX sends events to: a secret path for each login."""

    def __init__(self, config: Uci) -> None:
        self._config = config
        self._receivers: dict[str, tuple[OnEvent, Identity]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.ready = asyncio.Event()
        self.events_refused = 0

    async def start(self) -> None:
        """Listens on the one address that the PBX was given. Raises `OSError` when that cannot be opened, and
        `ConnectorError` when the certificate cannot be used.
        """
        tls = self._config.tls()
        app = web.Application(client_max_size=MAX_EVENT_BYTES)
        app.router.add_post("/uci/{secret}", self._receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            address = await _address_of(self._config.listens_on)
            await web.TCPSite(runner, address, self._config.callback_port, ssl_context=tls).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self.port = runner, runner.addresses[0][1]
        self.ready.set()

    async def stop(self) -> None:
        self.port = 0
        self.ready.clear()
        if self._runner is not None:
            await self._runner.cleanup()

    def open(self, on_event: OnEvent, identity: Identity = dict) -> str:
        """The secret of a path. `identity` gives what identified the login in its own requests."""
        secret = secrets.token_urlsafe(24)
        self._receivers[secret] = (on_event, identity)
        return secret

    def close(self, secret: str) -> None:
        self._receivers.pop(secret, None)

    def query(self, secret: str) -> dict[str, str]:
        if not self.port:
            return {}
        return {
            "de.vertico.starface.callback.type": "https" if self._config.callback_certificate else "http",
            "de.vertico.starface.callback.host": self._config.callback_host,
            "de.vertico.starface.callback.port": str(self.port),
            "de.vertico.starface.callback.path": f"/uci/{secret}",
        }

    async def _receive(self, request: web.Request) -> web.Response:
        found = self._receivers.get(request.match_info["secret"])
        if found is None:
            return web.Response(status=404)
        receiver, identity = found
        if is_foreign(request.query, identity()):
            self.events_refused += 1
            logger.warning("a call event for another user came to this address, and is not taken")
            return web.Response(status=403)
        try:
            params, method = read_xmlrpc(await request.read())
        except Exception as odd:  # noqa: BLE001 - whatever a stranger sends to the port
            self.events_refused += 1
            logger.warning("a call event is not understood", extra={"reason": type(odd).__name__})
            return web.Response(status=400)
        try:
            receiver((method or "").rpartition(".")[2], params)
        except Exception as fault:  # noqa: BLE001 - whatever stands in it
            self.events_refused += 1
            # Without the exception: its words may hold a number or a name.
            logger.error("a call event could not be taken", extra={"reason": type(fault).__name__})  # noqa: TRY400
        return web.Response(text=xmlrpc.client.dumps((True,), methodresponse=True), content_type="text/xml")


def is_foreign(told: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Whether an event's address names another user than the login's own.

    The PBX appends `de.vertico.starface.user` and `.auth` of the login that the event is for (EspoCRM's extension compares
    the latter, iahcti, SpiceCRM). What it does not send, or sends in an encoding that is not understood, says nothing; nor
    does a login by OAuth, whose address held neither.
    """
    for name in (_USER, _AUTH):
        there, here = told.get(name, ""), own.get(name, "")
        if not there or not here or "%" in there or "\ufffd" in there:
            continue
        # Base64 has signs that some systems do not encode in an address: "+" is read as a blank.
        there = there.strip() if name == _USER else there.replace(" ", "+")
        pair = [text.strip().casefold().encode("utf-8", "surrogatepass") for text in (there, here)]
        if not hmac.compare_digest(*pair):
            return True
    return False


class UciSession:
    """One user's UCI login."""

    def __init__(
        self,
        rest: StarfaceRest,
        callbacks: Callbacks,
        query: Query,
        on_event: OnEvent,
        on_state: Callable[[UciState], None],
        keep_alive: float = KEEP_ALIVE_SECONDS,
        next_token: Callable[[], bool] = lambda: False,
        on_fault: Callable[[PbxError | None], None] = lambda _fault: None,
        gives_up: Callable[[], bool] | None = None,
        turns: asyncio.Semaphore | None = None,
        on_offer: Callable[[Sequence[str], Sequence[str]], None] | None = None,
    ) -> None:
        """`next_token`: the token was refused; True when the next query carries another form of it. `on_fault` is told
        why there is no login, and None once there is one. `gives_up`: asked after `MAX_REFUSALS` in a row, which take a
        minute at least; True when they are this login's fault: then the session ends. `turns`: of how many log in at the
        same time. `on_offer`: is told the names of requests and of events that the PBX offers, after each
        login.
        """
        self._rest = rest
        self._callbacks = callbacks
        self._query = query
        self._on_event = on_event
        self._on_state = on_state
        self._keep_alive = keep_alive
        self._next_token = next_token
        self._on_fault = on_fault
        self._gives_up = gives_up
        self._turns = turns
        self._on_offer = on_offer
        self._is_connected = False
        self._is_over = False
        self.provided_events: tuple[str, ...] = ()
        """Names that the PBX told at the last login."""
        self._identity: dict[str, str] = {}
        """What identified the user in the address of the last request."""
        self._secret = callbacks.open(self._take, lambda: self._identity)
        self._was_reset = asyncio.Event()
        # For each login: with a common jar, a question about one user goes out with another's session. They go back to the
        # one address from which they came, whatever they say of host, path and time.
        self._cookies: dict[str, str] = {}

    async def run(self) -> None:
        """Stays logged in until cancelled, then logs out."""
        await self._callbacks.ready.wait()
        failures = refusals = 0
        try:
            while True:
                try:
                    if not self._is_connected:
                        await self._connect_in_turn()
                    failures = refusals = 0
                    await self._stay()
                except PbxError as fault:
                    self._is_connected = False
                    logger.warning("UCI connection lost", extra={"reason": str(fault)})
                    self._on_fault(fault)
                    self._on_state(UciState.FAILED if failures else UciState.CONNECTING)
                    refusals = refusals + 1 if isinstance(fault, LoginRejectedError) else 0
                    if self._gives_up is not None and refusals >= MAX_REFUSALS and self._gives_up():
                        return
                failures += 1
                # A PBX that is starting may refuse everybody for a while: no hurry to be refused for good.
                is_patient = self._gives_up is not None and refusals > 1
                await asyncio.sleep(_delay(failures, MAX_REFUSALS if is_patient else refusals))
        finally:
            await self.end()

    async def _connect_in_turn(self) -> None:
        if self._turns is None:
            await self.connect()
        else:
            async with self._turns:
                await self.connect()

    async def is_logged_in(self) -> bool:
        """Asks the PBX, for instance after a fault, which may mean anything; when it says no, the connector logs in again."""
        try:
            stands = not says_no(await self.call("ucp.v22.requests.connection.keepAlive"))
        except (UciFaultError, RedirectedError):
            stands = False
        if stands:
            return True
        self._was_reset.set()
        return False

    async def provided_requests(self) -> tuple[str, ...]:
        """Names of the requests, or of their services, that the PBX offers this user; empty: it does not say. Raises
        `PbxError`.
        """
        return _names(await self.call("ucp.v22.requests.service.getProvidedRequests"))

    async def _stay(self) -> None:
        """Returns never; raises when the PBX has forgotten the login, or says that it has ended it (`reset`)."""
        while True:
            with suppress(TimeoutError):
                # Not in step: after a restart of the PBX all have logged in at the same time.
                async with asyncio.timeout(self._keep_alive * random.uniform(0.9, 1.0)):  # noqa: S311
                    await self._was_reset.wait()
            if self._was_reset.is_set():
                raise PbxUnreachableError("the PBX has ended the UCI login")
            if says_no(await self.call("ucp.v22.requests.connection.keepAlive")):
                raise PbxUnreachableError("the PBX has forgotten the UCI login")

    async def connect(self) -> None:
        """Logs in and subscribes. Raises `PbxError`."""
        if not self._callbacks.ready.is_set():
            raise PbxUnreachableError("the UCI connector is off")
        self._was_reset.clear()
        try:
            await self._log_in()
        except LoginRejectedError:
            if not self._next_token():
                raise
            await self._log_in()
        await self._subscribe()
        if self._on_offer is not None:
            # What it offers shows when it is asked for something.
            with suppress(UciFaultError, PbxAnswerError):
                self._on_offer(await self.provided_requests(), self.provided_events)
        self._is_connected = True
        self._on_fault(None)
        self._on_state(UciState.ON)

    async def _subscribe(self) -> None:
        """To the call events that the PBX offers; where it does not say which, to those that it takes."""
        offered: Sequence[str] = CALL_EVENTS
        try:
            provided = await self.call("ucp.v22.requests.service.getProvidedEvents")
        except UciFaultError:
            provided = None
        self.provided_events = _names(provided)
        if isinstance(provided, list):
            offered = [name for name in CALL_EVENTS if name in self.provided_events][:1]
        refused: PbxError = PbxUnreachableError("the PBX offers no call events")
        for name in offered:
            try:
                taken = await self.call("ucp.v22.requests.service.subscribeEvents", name)
            except UciFaultError as fault:
                refused = fault
                continue
            if not says_no(taken):
                return
            refused = PbxUnreachableError("the PBX refuses to send call events")
        raise refused

    async def _log_in(self) -> None:
        self._cookies.clear()
        try:
            accepted = await self.call("ucp.v22.requests.connection.login")
        except (UciFaultError, RedirectedError) as fault:
            # A redirect to a page for logging in is how STARFACE 10 says "not authorised" (ProjektZeit).
            raise LoginRejectedError(str(fault)) from fault
        if says_no(accepted):
            raise LoginRejectedError("the PBX refuses the UCI login")

    def _take(self, method: str, params: tuple[Any, ...]) -> None:
        if method == "reset":
            self._was_reset.set()
        else:
            self._on_event(method, params)

    async def calls(self) -> list[str]:
        """The ids of the user's present calls, whatever their state. Raises `PbxError`, also for an answer that is no
        list: who has no call must not be guessed.
        """
        ids = await self.call("ucp.v30.requests.call.getCallIds")
        if not isinstance(ids, list):
            raise PbxUnreachableError("UCI answers no list of calls")
        return [str(call_id) for call_id in ids[:MAX_CALL_IDS]]

    async def call_state(self, call_id: str) -> dict[str, Any]:
        """The struct of a call; empty when the PBX does not know it. Raises `PbxError`, also for what is no struct."""
        struct = await self.call("ucp.v30.requests.call.getCallState", call_id)
        if not isinstance(struct, dict):
            raise PbxUnreachableError("UCI answers no struct of a call")
        return struct

    async def end(self) -> None:
        """Logs out, once."""
        if self._is_over:
            return
        self._is_over = True
        self._callbacks.close(self._secret)
        with suppress(PbxError, TimeoutError):
            async with asyncio.timeout(LOG_OUT_SECONDS):
                await self.call("ucp.v22.requests.connection.logout")

    async def call(self, method: str, *params: Any) -> Any:
        body = xmlrpc.client.dumps(params, methodname=method)
        async with self._rest.understood("UCI"):
            status, content = await self._post(body)
            if status in _REFUSALS:
                raise UciFaultError(f"UCI answers {method} with {status}")
            refuse_if_not_ready("UCI", status)
            try:
                values, is_call = read_xmlrpc(content)
            except xmlrpc.client.Fault as fault:
                words = clean_line(str(fault.faultString), MAX_FAULT_CHARS)
                raise UciFaultError(f"UCI refuses {method}: {words}") from fault
            except Exception as fault:
                raise PbxAnswerError("UCI", status, "no XML-RPC") from fault
            if is_call:
                raise PbxAnswerError("UCI", status, "a call in place of an answer")
        return values[0] if values else None

    async def _post(self, body: str) -> tuple[int, bytes]:
        http = self._rest.http
        self._identity = await self._query(http)
        query = self._identity | self._callbacks.query(self._secret)
        url = f"{self._rest.url}/xml-rpc?{urlencode(query)}"
        headers = {"Content-Type": "text/xml"}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        async with exchange(http, "POST", url, data=body, headers=headers) as response:
            self._keep(response.cookies)
            return response.status, await bytes_of(response, "UCI", MAX_ANSWER_BYTES)

    def _keep(self, told: SimpleCookie) -> None:
        for cookie in told.values():
            is_over = cookie["max-age"].strip('"').startswith(("0", "-")) or "1970" in cookie["expires"]
            if is_over or not cookie.value:
                self._cookies.pop(cookie.key, None)
            elif len(cookie.coded_value) <= MAX_COOKIE_CHARS and len(self._cookies) < MAX_COOKIES:
                self._cookies[cookie.key] = cookie.coded_value


def says_no(value: Any) -> bool:
    """Whether an answer that should be a boolean is a no: `false`, also as a number or as text. An answer without a value
    is none: what comes of the request shows in the next one.
    """
    if isinstance(value, str):
        return value.strip().lower() in ("false", "0", "no")
    return isinstance(value, int) and value == 0


def ids_of(params: tuple[Any, ...]) -> tuple[str, str]:
    """Old and new id of `callChangesIdEvent`: a struct, by one source; its members' names are assumed."""
    if params and isinstance(params[0], dict):
        members = params[0]
        return str(members.get("oldId", "")), str(members.get("newId", members.get("id", "")))
    return (str(params[0]), str(params[1])) if len(params) > 1 else ("", "")


def _names(value: Any) -> tuple[str, ...]:
    names = value[:MAX_PROVIDED] if isinstance(value, list) else ()
    return tuple(sorted({clean_line(name, 200) for name in names if isinstance(name, str) and name}))


def _delay(failures: int, refusals: int) -> float:
    """Seconds with full jitter; once the login itself is refused, at most one try a minute."""
    if refusals >= MAX_REFUSALS:
        return REFUSED_SECONDS
    return random.uniform(0, min(RETRY_CAP_SECONDS, 2.0**failures))  # noqa: S311 - jitter


async def _address_of(host: str) -> str:
    """One address of a host of this machine: with port 0, two addresses would listen on two ports."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = sorted(found, key=lambda info: info[0] is not socket.AF_INET)
    return str(addresses[0][4][0])


class UciClient:
    """The connector's own login, which shows whether UCI works at all."""

    def __init__(
        self,
        config: Uci,
        rest: StarfaceRest,
        look: asyncio.Event,
        readings: Readings,
        callbacks: Callbacks | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        """`look` is set whenever the state changes."""
        self._config = config
        self._callbacks = callbacks or Callbacks(config)
        self._session = UciSession(
            rest=rest,
            callbacks=self._callbacks,
            query=self._own_query,
            on_event=self._take,
            on_state=self._set,
            keep_alive=keep_alive,
            next_token=rest.own_login.uci_refused,
            on_fault=self._found,
            on_offer=self._offered,
        )
        self._logged_offer: Sequence[str] | None = None
        self.provided_requests: Sequence[str] = ()
        """Names of what the PBX offers to the connector's own login; empty while it is not known."""
        self._rest = rest
        self._readings = readings
        self.state = UciState.CONNECTING if config.enabled else UciState.OFF
        self._look = look
        self.events_received = 0
        self.last_event: dict[str, Any] | None = None

    async def run(self) -> None:
        """Runs until cancelled. Switched off in the configuration, it ends at once."""
        if not self._config.enabled:
            return
        try:
            await self._callbacks.start()
        except (OSError, ConnectorError) as fault:
            logger.error(  # noqa: TRY400 - a mistake of the configuration, not of the program
                "call events cannot be received: callback_host must be an address of this machine; in a container or"
                " behind NAT name the address to listen on as callback_listen",
                extra={
                    "host": self._config.listens_on,
                    "port": self._config.callback_port,
                    "reason": str(fault),
                },
            )
            self._set(UciState.FAILED)
            return
        try:
            await self._session.run()
        finally:
            await self._callbacks.stop()

    async def server_version(self) -> str | None:
        try:
            version = await self._session.call("ucp.v30.requests.system.getServerVersion")
        except PbxError:
            return None
        return answers.version(version)

    async def _own_query(self, _http: HttpClient) -> dict[str, str]:
        return await self._rest.own_uci_query()

    def _found(self, fault: PbxError | None) -> None:
        if fault is None:
            self._readings.read(ReadingPart.UCI)
        else:
            self._readings.failed(ReadingPart.UCI, fault)

    def _offered(self, requests: Sequence[str], events: Sequence[str]) -> None:
        """Logged once, and again when it has changed: what a real system offers answers many questions about it."""
        self.provided_requests = requests
        if self._logged_offer != (offer := (*requests, *events)):
            self._logged_offer = offer
            logger.info("UCI offers", extra={"requests": ", ".join(requests), "events": ", ".join(events)})

    def _take(self, method: str, params: tuple[Any, ...]) -> None:
        self.events_received += 1
        if params and isinstance(params[0], dict):
            self.last_event = params[0]
        self._readings.read(ReadingPart.EVENTS)
        logger.debug("UCI event", extra={"method": method})

    def _set(self, state: UciState) -> None:
        if state is not self.state:
            self.state = state
            if state is UciState.ON:
                logger.info("UCI connected")
            self._look.set()
