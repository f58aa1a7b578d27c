"""Clients that others have published log in to the simulated PBX unchanged.

Their algorithms are reimplemented here from what they publish. None of them uses anything of ours: hashes, addresses and
bodies are made as they make them. All UCI clients but one send no `de.vertico.starface.user`.
"""

import asyncio
import base64
import hashlib
import json
import re
import uuid
import xmlrpc.client
from collections.abc import AsyncIterator
from typing import Any
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

import pytest

from tests.support.starface import running_starface

LOGIN, PASSWORD = "1001", "anna-1001"
NUMBER = "00493023125901"


@pytest.fixture
async def pbx() -> AsyncIterator[str]:
    """The address of a PBX."""
    async with running_starface() as port:
        yield f"http://127.0.0.1:{port}"


def sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def post(url: str, body: bytes, **headers: str) -> bytes:
    with urlopen(Request(url, body, headers)) as response:
        content: bytes = response.read()
        return content


def get(url: str, **headers: str) -> Any:
    with urlopen(Request(url, headers=headers)) as response:
        return json.load(response)


async def test_a_python_client_that_mixes_two_dialects(pbx: str) -> None:
    """mxhash/StarfaceCallerWorkflow, call.py: `auth` alone, the version by v30, the call by v20, an xmlrpc ServerProxy."""

    def run() -> tuple[str, str, bool]:
        auth = f"{LOGIN}:{sha512(f'{LOGIN}*{sha512(PASSWORD)}')}"
        url = f"{pbx}/xml-rpc?de.vertico.starface.auth={auth}"
        with xmlrpc.client.ServerProxy(url, use_datetime=True) as proxy:
            version = proxy.ucp.v30.requests.system.getServerVersion()
            assert proxy.ucp.v20.server.connection.login()
            call_id = proxy.ucp.v20.server.communication.call.placeCall(NUMBER, "", "")
            return str(version), str(call_id), bool(proxy.ucp.v20.server.connection.logout())

    version, call_id, logged_out = await asyncio.to_thread(run)
    assert version.startswith("6.") and uuid.UUID(call_id) and logged_out


async def test_a_java_client_that_writes_its_xml_by_hand(pbx: str) -> None:
    """scireum/woody, StarfaceBean.java: `auth` alone from the kept hash of the password, no XML declaration, no `params`
    in a call without any, empty strings for phone and id.
    """
    login = "<methodCall><methodName>ucp.v22.requests.connection.login</methodName></methodCall>"
    call = (
        "<methodCall><methodName>ucp.v22.requests.call.placeCallWithPhone</methodName> <params>"
        f"<param><value><string>{NUMBER}</string></value></param>"
        "<param><value><string></string></value></param>"
        "<param><value><string></string></value></param>"
        "</params></methodCall>"
    )
    logout = "<methodCall><methodName>ucp.v22.requests.connection.logout</methodName></methodCall>"
    kept = sha512(PASSWORD)
    url = f"{pbx}/xml-rpc?de.vertico.starface.auth={LOGIN}:{sha512(f'{LOGIN}*{kept}')}"
    answers = [
        await asyncio.to_thread(post, url, body.encode(), **{"Content-Type": "text/xml"})
        for body in (login, call, logout)
    ]
    ((logged_in,), _), ((call_id,), _), ((logged_out,), _) = map(xmlrpc.client.loads, answers)
    assert logged_in is True and uuid.UUID(str(call_id)) and logged_out is True


async def test_a_php_client_that_reads_the_answer_as_plain_xml(pbx: str) -> None:
    """spicecrm, SpiceStarfaceVOIPController: `auth` alone, application/xml, `params/param/value/boolean` is "1"."""
    auth = f"{LOGIN}:{sha512(f'{LOGIN}*{sha512(PASSWORD)}')}"
    url = (
        f"{pbx}/xml-rpc?de.vertico.starface.auth={auth}&de.vertico.starface.callback.type=http"
        "&de.vertico.starface.callback.host=127.0.0.1&de.vertico.starface.callback.port=9"
        "&de.vertico.starface.callback.path=/module/starface"
    )

    async def ask(method: str, *strings: str) -> str | None:
        params = "".join(f"<param><value><string>{text}</string></value></param>" for text in strings)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f"<methodCall><methodName>ucp.v22.requests.{method}</methodName>"
            + (f"<params>{params}</params>" if strings else "")
            + "</methodCall>"
        )
        answer = await asyncio.to_thread(post, url, body.encode(), **{"Content-Type": "application/xml"})
        return ET.fromstring(answer).findtext("params/param/value/boolean")

    assert await ask("connection.keepAlive") == "0", "not logged in yet"
    assert await ask("connection.login") == "1"
    assert await ask("service.subscribeEvents", "ucp.v22.events.call") == "1"
    assert await ask("connection.keepAlive") == "1"
    assert await ask("connection.logout") == "1"
    assert await ask("connection.keepAlive") == "0"


@pytest.mark.parametrize("dialect", ["v20", "v30"])
async def test_the_vendors_own_sugarcrm_connector(pbx: str, dialect: str) -> None:
    """visual4/iahcti, UcpServerProxy.php and UcpServerProxyV30.php: `auth` and the callback; logout before anything else,
    then probe is false, login, probe is true; services are offered as an array; calls of v30 by `v30.server`.
    """
    auth = f"{LOGIN}:{sha512(f'{LOGIN}*{sha512(PASSWORD)}')}"
    url = (
        f"{pbx}/xml-rpc?de.vertico.starface.auth={auth}&de.vertico.starface.callback.host=127.0.0.1"
        "&de.vertico.starface.callback.port=9&de.vertico.starface.callback.path=/cti/listener.php"
    )
    connection = {"v20": "ucp.v20.server.connection", "v30": "ucp.v30.requests.connection"}[dialect]
    calls = f"ucp.{dialect}.server.communication.call"
    probe = {"v20": f"{connection}.probe", "v30": f"{connection}.keepAlive"}[dialect]

    async def ask(method: str, *params: Any) -> Any:
        body = xmlrpc.client.dumps(params, methodname=method, encoding="UTF-8").encode()
        answer = await asyncio.to_thread(post, url, body, **{"Content-Type": "text/xml"})
        return xmlrpc.client.loads(answer)[0][0]

    assert await ask(f"{connection}.logout") is True
    assert await ask(probe) is False
    assert await ask(f"{connection}.login") is True
    assert await ask(probe) is True
    offered = ["ucp.v20.client.communication.call", "ucp.v20.client.connection"]
    if dialect == "v20":
        assert await ask(f"{connection}.setProvidedServices", offered) is True
    phones = await ask(f"{calls}.getPhoneIds")
    call_id = await ask(f"{calls}.placeCall", NUMBER, phones[0], "")
    assert uuid.UUID(call_id) and call_id in await ask(f"{calls}.getCallIds")
    assert (await ask(f"{calls}.getCallState", call_id))["id"] == call_id
    assert await ask(f"{calls}.getCallState", "unknown") == {}
    assert await ask(f"{calls}.hangupCall", call_id) is True


async def test_a_directory_system_takes_the_sugarcrm_connectors_other_token(pbx: str) -> None:
    """UcpServerProxyV30.php, `activeDirectory`: base64 of LOGIN*PASSWORD, put into the address as it is."""
    await asyncio.to_thread(patch, f"{pbx}/control/settings", {"loginType": "ActiveDirectory"})
    auth = base64.b64encode(f"{LOGIN}*{PASSWORD}".encode()).decode()
    assert auth.endswith("=")
    body = xmlrpc.client.dumps((), methodname="ucp.v30.requests.connection.login").encode()
    answer = await asyncio.to_thread(post, f"{pbx}/xml-rpc?de.vertico.starface.auth={auth}", body)
    assert xmlrpc.client.loads(answer)[0][0] is True


async def test_a_php_library_with_user_and_token(pbx: str) -> None:
    """tmachyshyn/StarfaceApi: `user` and `auth`, both as they are; keepAlive decides whether it is logged in."""
    auth = f"{LOGIN}:{sha512(f'{LOGIN}*{sha512(PASSWORD)}')}"
    url = f"{pbx}/xml-rpc?de.vertico.starface.user={LOGIN}&de.vertico.starface.auth={auth}"

    async def ask(method: str, *params: Any) -> Any:
        body = xmlrpc.client.dumps(params, methodname=f"ucp.v22.requests.{method}").encode()
        return xmlrpc.client.loads(await asyncio.to_thread(post, url, body))[0][0]

    assert await ask("connection.keepAlive") is False
    assert await ask("connection.login") is True
    assert await ask("connection.keepAlive") is True
    assert await ask("service.providesEvents", "ucp.v22.events.call") is True
    assert "SIP/" in (await ask("phone.getPhoneIds"))[0]
    assert await ask("connection.logout") is True


async def test_a_tool_that_reloads_modules(pbx: str) -> None:
    """1qubit-org/starface-modules, readme of moduleReloader: the hash by hand, `auth` alone. A method that is not there is
    a fault, not a refusal of the login.
    """
    auth = f"{LOGIN}:{sha512(LOGIN + '*' + sha512(PASSWORD))}"
    body = xmlrpc.client.dumps(({"paramModuleID": "1"},), methodname="1qb.moduleReloader.reload").encode()
    with pytest.raises(xmlrpc.client.Fault, match="unknown method"):
        xmlrpc.client.loads(
            await asyncio.to_thread(post, f"{pbx}/xml-rpc?de.vertico.starface.auth={auth}", body)
        )


async def test_the_vendors_rest_examples(pbx: str) -> None:
    """STARFACEGmbH/rest-examples, StarfaceAuthenticator.java: the nonce alone of the answer, loginType "Internal" by
    itself, X-Version 2; ids of persons are read as UUIDs.
    """
    nonce = (await asyncio.to_thread(get, f"{pbx}/rest/login"))["nonce"]
    secret = f"{LOGIN}:{sha512(LOGIN + nonce + sha512(PASSWORD))}"
    body = json.dumps({"loginType": "Internal", "nonce": nonce, "secret": secret}).encode()
    headers = {"Content-Type": "application/json", "X-Version": "2"}
    token = json.loads(await asyncio.to_thread(post, f"{pbx}/rest/login", body, **headers))["token"]
    me = await asyncio.to_thread(get, f"{pbx}/rest/users/me", authToken=token)
    assert me["login"] == LOGIN and uuid.UUID(me["personId"])


async def test_a_powershell_module(pbx: str) -> None:
    """dominguez-posh/Starface-PS-Module: two nonces are asked for and the first is used; each call carries X-Version and a
    content type, also a GET.
    """
    template = await asyncio.to_thread(get, f"{pbx}/rest/login")
    await asyncio.to_thread(get, f"{pbx}/rest/login")
    hashed = sha512(LOGIN + template["nonce"] + sha512(PASSWORD))
    body = json.dumps(
        {"loginType": "Internal", "nonce": template["nonce"], "secret": f"{LOGIN}:{hashed}"}, indent=4
    ).encode()
    headers = {"Content-Type": "application/json", "X-Version": "2"}
    token = json.loads(await asyncio.to_thread(post, f"{pbx}/rest/login", body, **headers))["token"]
    me = await asyncio.to_thread(get, f"{pbx}/rest/users/me", **headers, authToken=token)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", me["personId"])


def patch(url: str, body: Any) -> None:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PATCH")
    with urlopen(request) as response:
        assert response.status < 300
