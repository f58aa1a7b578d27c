"""The UCI client (XML-RPC): logs in, subscribes to call events, sends keep-alives and reconnects after a loss.

The methods and addresses are those of docs/facts/starface.md, "UCI". A UCI login gets only its own user's events. The
connector's login shows that events arrive. Users who asked for help with calls or a telephone have logins of their own
(`connector.logins`).
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
from connector.config import UciSection
from connector.errors import (
    ConnectorError,
    LoginRejectedError,
    PbxAnswerError,
    PbxError,
    PbxUnreachableError,
)
from connector.exchange import PbxRedirectedError, bytes_of, exchange
from connector.login import refuse_if_not_ready
from connector.network.client import HttpClient
from connector.readings import Readings
from connector.rest import StarfaceRest
from wire.bounds import clean_line
from wire.connection import choose_delay
from wire.link import UciState
from wire.readings import ReadingPart

defusedxml.xmlrpc.monkey_patch()

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 25.0
"""Interval of keep-alives; the PBX forgets a login after one minute."""
RETRY_CAP_SECONDS: Final = 30.0
MAX_EVENT_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = 1024 * 1024
"""Largest UCI answer that is read. XML is slow to parse, and a page of the call list has less than 100 KiB."""
MAX_COOKIES: Final = 20
MAX_COOKIE_CHARS: Final = 4096
MAX_REFUSALS: Final = 3
REFUSED_SECONDS: Final = 60.0
"""How long to wait between two tries of a login that UCI refuses; UCI may also be switched off for a while."""
LOG_OUT_SECONDS: Final = 1.0
MAX_FAULT_CHARS: Final = 200
MAX_CALL_IDS: Final = 100
MAX_PROVIDED: Final = 1000
"""Most names of requests or events that are read from a PBX."""
CALL_EVENTS: Final = ("ucp.v22.events.call", "ucp.v30.events.call")
"""In order of preference. The PBX says at login which of them it has."""

_NO_CHARACTER: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[\da-fA-F]));"
)
_BARE_AMPERSAND: Final = re.compile(r"&(?!(?:[A-Za-z]{1,10}|#\d{1,7}|#[xX][\da-fA-F]{1,6});)")
_BOOLEAN: Final = re.compile(r"(?<=<boolean)>\s*(true|false)\s*</", re.IGNORECASE)
_REFUSALS: Final = (401, 403)

_USER: Final = "de.vertico.starface.user"
_AUTH: Final = "de.vertico.starface.auth"

OnEvent = Callable[[str, tuple[Any, ...]], None]
"""Called with the method of an event ("receiveCallState") and its parameters."""
Identity = Callable[[], Mapping[str, str]]
Query = Callable[[HttpClient], Awaitable[dict[str, str]]]
"""Returns the query parameters that identify a user in a UCI address."""


class UciFaultError(PbxUnreachableError):
    """The PBX answered a call with an XML-RPC fault, or refused it."""


def read_xmlrpc(content: bytes) -> tuple[tuple[Any, ...], str | None]:
    """Return the parameters and the method of an XML-RPC message; the method is None for an answer.

    The parser reads the encoding from the XML declaration. If it fails, the faults that older systems and hand-made
    servers make are repaired and the message is parsed again. Raises `xmlrpc.client.Fault`, or any error of the parser.
    """
    try:
        return xmlrpc.client.loads(content)
    except xmlrpc.client.Fault:
        raise
    except Exception:
        text = _repaired(content)
        if text is None:
            raise
        return xmlrpc.client.loads(text)


def _repaired(content: bytes) -> str | None:
    """Return the message with known faults repaired, or None if it has none of them.

    The faults are: ISO-8859-1 without a declaration, or with a declaration of another encoding; blanks before the
    declaration; characters that XML does not permit, for instance in a caller's name; a bare `&`; `true` and `false`.
    """
    detected = json.detect_encoding(content)
    try:
        text = content.decode(detected)
    except UnicodeError:
        text = content.decode("iso-8859-1")
    repaired = text.lstrip("\ufeff \t\r\n")
    if repaired.startswith("<?xml"):
        repaired = repaired.partition("?>")[2]
    repaired = _NO_CHARACTER.sub(" ", repaired.lstrip())
    repaired = _BARE_AMPERSAND.sub("&amp;", repaired)
    repaired = _BOOLEAN.sub(lambda found: f">{int(found[1].lower() == 'true')}</", repaired)
    return repaired if repaired != text or detected != "utf-8" or not text.isascii() else None


class Callbacks:
    """The small HTTP server to which the PBX sends events. Each login has a secret path."""

    def __init__(self, config: UciSection) -> None:
        self._config = config
        self._receivers: dict[str, tuple[OnEvent, Identity]] = {}
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.openings = 0
        """How often the server was opened."""
        self.ready = asyncio.Event()
        self.events_refused = 0

    async def start(self) -> None:
        """Listen on the one address that the PBX gets as the callback. Raises `OSError` if it cannot be opened, and
        `ConnectorError` if the certificate cannot be used.
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
        self.openings += 1
        self.ready.set()

    async def stop(self) -> None:
        self.port = 0
        self.ready.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def admit_no_login(self) -> None:
        """Let nobody log in until the next `start`; the present logins are logged out first, while the server runs."""
        self.ready.clear()

    def use(self, config: UciSection) -> None:
        """Take other settings; they count from the next `start` on."""
        self._config = config

    def open(self, on_event: OnEvent, identity: Identity = dict) -> str:
        """Open a path and return its secret. `identity` returns the query parameters that identify the login in its own
        requests.
        """
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
            logger.warning("a call event for another user is refused")
            return web.Response(status=403)
        try:
            params, method = read_xmlrpc(await request.read())
        except Exception as odd:  # noqa: BLE001 - a stranger may send anything to the port
            self.events_refused += 1
            logger.warning("a call event cannot be parsed", extra={"reason": type(odd).__name__})
            return web.Response(status=400)
        try:
            receiver((method or "").rpartition(".")[2], params)
        except Exception as fault:  # noqa: BLE001 - the event may contain anything
            self.events_refused += 1
            # Without the exception, because its text may contain a number or a name.
            logger.error("a call event could not be processed", extra={"reason": type(fault).__name__})  # noqa: TRY400
        return web.Response(text=xmlrpc.client.dumps((True,), methodresponse=True), content_type="text/xml")


def is_foreign(sent: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Return whether the address of an event names a user other than the login's own.

    The PBX appends `de.vertico.starface.user` and `.auth` of the login for which the event is (EspoCRM's extension compares
    the latter; iahcti, SpiceCRM). A parameter that is missing or has an unknown encoding is ignored, and so is an OAuth
    login, whose address has neither.
    """
    for name in (_USER, _AUTH):
        there, here = sent.get(name, ""), own.get(name, "")
        if not there or not here or "%" in there or "\ufffd" in there:
            continue
        # Some systems do not encode the characters of base64 in an address, so that "+" arrives as a blank.
        there = there.strip() if name == _USER else there.replace(" ", "+")
        pair = [text.strip().casefold().encode("utf-8", "surrogatepass") for text in (there, here)]
        if not hmac.compare_digest(*pair):
            return True
    return False


class UciSession:
    """One user's UCI login. It reconnects after a loss."""

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
        """`next_token` is called when the PBX refuses the token; it returns True if the next query has another form of it.
        `on_fault` is called with the reason for each failed login, and with None after a successful one. `gives_up` is
        called after `MAX_REFUSALS` in a row, which take at least a minute; if it returns True, they are this login's fault
        and the session ends. `turns` limits how many sessions log in at the same time. `on_offer` is called after each
        login with the names of the requests and of the events that the PBX offers.
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
        """The names of events that the PBX offered at the last login."""
        self._identity: dict[str, str] = {}
        """The query parameters that identified the user in the last request."""
        self._secret = callbacks.open(self._take, lambda: self._identity)
        self._was_reset = asyncio.Event()
        # Each login has its own cookies; with a common jar, a request for one user would use another's session. They are
        # sent back to the address from which they came; their host, path and expiry attributes are ignored.
        self._cookies: dict[str, str] = {}

    async def run(self) -> None:
        """Stay logged in until cancelled, then log out. Returns early only if `gives_up` says so."""
        failures = refusals = 0
        try:
            while True:
                await self._callbacks.ready.wait()  # while the UCI connector is off
                try:
                    if not self._is_connected:
                        await self._connect_in_turn()
                    failures = refusals = 0
                    await self._stay()
                except PbxError as fault:
                    self._is_connected = False
                    logger.warning("UCI connection lost", extra={"reason": str(fault)})
                    self._on_fault(fault)
                    self._say(UciState.FAILED if failures else UciState.CONNECTING)
                    refusals = refusals + 1 if isinstance(fault, LoginRejectedError) else 0
                    if self._gives_up is not None and refusals >= MAX_REFUSALS and self._gives_up():
                        return
                except Exception as odd:  # noqa: BLE001 - unexpected; it must not end the login
                    self._is_connected = False
                    # Without the exception: its words may hold a number or a name.
                    logger.error("a UCI login is made again", extra={"reason": type(odd).__name__})  # noqa: TRY400
                    self._say(UciState.CONNECTING)
                failures += 1
                # A PBX that is starting may refuse everybody for a while, so the last tries are a minute apart.
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
        """Ask the PBX whether the login is still valid, for instance after a fault. If not, the session logs in again."""
        try:
            stands = not says_no(await self.call("ucp.v22.requests.connection.keepAlive"))
        except (UciFaultError, PbxRedirectedError):
            stands = False
        if stands:
            return True
        self._was_reset.set()
        return False

    async def provided_requests(self) -> tuple[str, ...]:
        """Return the names of the requests, or of their services, that the PBX offers this user; empty if it does not say.
        Raises `PbxError`.
        """
        return _names(await self.call("ucp.v22.requests.service.getProvidedRequests"))

    async def _stay(self) -> None:
        """Send keep-alives until the PBX has forgotten the login or ended it (`reset`); then raise `PbxUnreachableError`."""
        while True:
            with suppress(TimeoutError):
                # With jitter, because after a restart of the PBX all sessions have logged in at the same time.
                async with asyncio.timeout(self._keep_alive * random.uniform(0.9, 1.0)):  # noqa: S311
                    await self._was_reset.wait()
            if self._was_reset.is_set():
                raise PbxUnreachableError("the PBX has ended the UCI login")
            if says_no(await self.call("ucp.v22.requests.connection.keepAlive")):
                raise PbxUnreachableError("the PBX has forgotten the UCI login")

    async def connect(self) -> None:
        """Log in and subscribe to call events. Raises `PbxError`."""
        if not self._callbacks.ready.is_set():
            raise PbxUnreachableError("the UCI connector is off")
        opening = self._callbacks.openings
        self._was_reset.clear()
        try:
            await self._log_in()
        except LoginRejectedError:
            if not self._next_token():
                raise
            await self._log_in()
        await self._subscribe()
        if self._on_offer is not None:
            # Not fatal: a request that is not offered will be refused.
            with suppress(UciFaultError, PbxAnswerError):
                self._on_offer(await self.provided_requests(), self.provided_events)
        if not self._callbacks.ready.is_set() or opening != self._callbacks.openings:
            raise PbxUnreachableError(
                "the UCI connector was switched off"
            )  # the PBX has an old callback address
        self._is_connected = True
        self._on_fault(None)
        self._say(UciState.ON)

    def _say(self, state: UciState) -> None:
        try:
            self._on_state(state)
        except Exception as odd:  # noqa: BLE001 - of who listens; the login stands all the same
            logger.error("a change of a UCI login could not be taken", extra={"reason": type(odd).__name__})  # noqa: TRY400

    async def _subscribe(self) -> None:
        """Subscribe to the call events that the PBX offers, or, if it does not say which, to the first that it accepts."""
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
        except (UciFaultError, PbxRedirectedError) as fault:
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
        """Return the ids of the user's present calls in any state.

        Raises `PbxError`, also for an answer that is not a list, because such an answer does not mean "no calls".
        """
        ids = await self.call("ucp.v30.requests.call.getCallIds")
        if not isinstance(ids, list):
            raise PbxUnreachableError("UCI answers no list of calls")
        return [str(call_id) for call_id in ids[:MAX_CALL_IDS]]

    async def call_state(self, call_id: str) -> dict[str, Any]:
        """Return the struct of a call, empty if the PBX does not know it. Raises `PbxError`, also if it is not a struct."""
        struct = await self.call("ucp.v30.requests.call.getCallState", call_id)
        if not isinstance(struct, dict):
            raise PbxUnreachableError("UCI answers no struct of a call")
        return struct

    async def leave(self) -> None:
        """Log out because the UCI connector is switched off. It logs in again once that is on, if it still runs."""
        if not self._is_over:
            await self._log_out()

    def let_go(self) -> None:
        """Make a running session log in again."""
        self._was_reset.set()

    def abandon(self) -> None:
        """Ends it without logging out."""
        self._is_over = True
        self._callbacks.close(self._secret)

    async def end(self) -> None:
        """Log out; later calls have no effect."""
        if self._is_over:
            return
        self.abandon()
        await self._log_out()

    async def _log_out(self) -> None:
        with suppress(PbxError, TimeoutError):
            async with asyncio.timeout(LOG_OUT_SECONDS):
                await self.call("ucp.v22.requests.connection.logout")

    async def call(self, method: str, *params: Any) -> Any:
        """Call a UCI method and return its first value, None without one. Raises `PbxError`."""
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

    def _keep(self, received: SimpleCookie) -> None:
        for cookie in received.values():
            is_over = cookie["max-age"].strip('"').startswith(("0", "-")) or "1970" in cookie["expires"]
            if is_over or not cookie.value:
                self._cookies.pop(cookie.key, None)
                continue
            has_room = cookie.key in self._cookies or len(self._cookies) < MAX_COOKIES
            if has_room and len(cookie.coded_value) <= MAX_COOKIE_CHARS:
                self._cookies[cookie.key] = cookie.coded_value


def says_no(value: Any) -> bool:
    """Return whether an answer means `false`, which may also be a number or text.

    An answer without a value does not: the next request shows whether the first one worked.
    """
    if isinstance(value, str):
        return value.strip().lower() in ("false", "0", "no")
    return isinstance(value, int) and value == 0


def ids_of(params: tuple[Any, ...]) -> tuple[str, str]:
    """Return the old and the new id of a `callChangesIdEvent`. It is a struct by one source; the members' names are
    assumed.
    """
    if params and isinstance(params[0], dict):
        members = params[0]
        return str(members.get("oldId", "")), str(members.get("newId", members.get("id", "")))
    return (str(params[0]), str(params[1])) if len(params) > 1 else ("", "")


def _names(value: Any) -> tuple[str, ...]:
    names = value[:MAX_PROVIDED] if isinstance(value, list) else ()
    return tuple(sorted({clean_line(name, 200) for name in names if isinstance(name, str) and name}))


def _delay(failures: int, refusals: int) -> float:
    """Return the seconds until the next try: full jitter, but one try a minute once the login itself is refused."""
    if refusals >= MAX_REFUSALS:
        return REFUSED_SECONDS
    return choose_delay(failures, RETRY_CAP_SECONDS)


async def _address_of(host: str) -> str:
    """Return a single address of the host: with port 0, two addresses would listen on two different ports."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = sorted(found, key=lambda info: info[0] is not socket.AF_INET)
    return str(addresses[0][4][0])


class UciClient:
    """The connector's own UCI login, which shows whether UCI works."""

    def __init__(
        self,
        config: UciSection,
        rest: StarfaceRest,
        look: asyncio.Event,
        readings: Readings,
        callbacks: Callbacks | None = None,
        keep_alive: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        """`look` is set whenever the state changes."""
        self._config = config
        self._callbacks = callbacks or Callbacks(config)
        self._keep_alive = keep_alive
        self._rest = rest
        self._session = self._new_session()
        self._logged_offer: Sequence[str] | None = None
        self.provided_requests: Sequence[str] = ()
        """Names of the requests that the PBX offers to the connector's own login; empty while unknown."""
        self._readings = readings
        self.state = UciState.CONNECTING if config.enabled else UciState.OFF
        self._look = look
        self.changed = asyncio.Event()
        """Set at each change of `state`."""
        self.events_received = 0
        self.last_event: dict[str, Any] | None = None

    def use(self, config: UciSection) -> None:
        """Take other settings; they count from the next `run` on."""
        self._config = config
        self._callbacks.use(config)
        self._set(UciState.CONNECTING if config.enabled else UciState.OFF)

    async def run(self) -> None:
        """Run until cancelled. Return immediately if UCI is switched off or the callbacks cannot be opened."""
        if not self._config.enabled:
            return
        self._session.abandon()  # of an earlier run
        self._session = self._new_session()
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

    def _new_session(self) -> UciSession:
        return UciSession(
            rest=self._rest,
            callbacks=self._callbacks,
            query=self._own_query,
            on_event=self._take,
            on_state=self._set,
            keep_alive=self._keep_alive,
            next_token=self._rest.own_login.uci_refused,
            on_fault=self._found,
            on_offer=self._offered,
        )

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
        """Store the offer and log it when it has changed, because support often needs to know it."""
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
            self.changed.set()
            self._look.set()
