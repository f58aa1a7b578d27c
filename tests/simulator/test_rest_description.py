"""The simulated STARFACE against the vendor's own description of REST 6.7, where that file is at hand."""

import json
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml

from connector.login import internal_secret
from simulator.starface.model import Settings
from tests.support.starface import running_starface

FILE = Path("shared") / "starface" / "starface-rest-6.7.yaml"
DESCRIPTION = next(
    (parent / FILE for parent in Path(__file__).parents if (parent / FILE).is_file()),
    Path(__file__).parent / FILE,
)
"""Beside the project; a worktree may lie deeper."""

GETS = (
    "/login",
    "/users",
    "/users?searchTerm=anna",
    "/users?",
    "/users/me",
    "/users/2",
    "/users/999",
    "/permissions",
    "/permissions/users/2",
    "/permissions/users/999",
    "/permissions/2/users",
    "/permissions/999/users",
)
EMPTY = ()
"""Lists that may be empty."""


class Site:
    """What a request needs to know of the PBX: ids that there are, bodies that were read before they are written."""

    def __init__(self, http: aiohttp.ClientSession, rest_url: str, headers: dict[str, str]) -> None:
        self.http, self.url, self.headers = http, rest_url, headers
        self.ids: dict[str, Any] = {}

    @classmethod
    async def read(cls, http: aiohttp.ClientSession, rest_url: str, headers: dict[str, str]) -> "Site":
        site = cls(http, rest_url, headers)
        site.ids["userId"] = (await site.get("/users?searchTerm=anna"))[0]["id"]
        site.ids["permissionId"] = (await site.get("/permissions"))[-1]["id"]
        site.ids["groupid"] = (await site.get("/groups"))[0]["id"]
        site.ids["serviceId"] = (await site.get("/callservices"))[0]["serviceId"]
        site.ids["contactId"] = (await site.get("/contacts"))["contacts"][0]["id"]
        site.ids["tagId"] = (await site.get("/contacts/tags"))[0]["id"]
        site.ids["redirectId"] = (await site.get("/redirects"))[0]["id"]
        site.ids["voicemailboxid"] = (await site.get("/voicemailboxes"))[0]["id"]
        site.ids["fkSetId"] = (await site.get("/functionkeysets"))[0]["id"]
        await site.post(f"/functionkeysets/{site.ids['fkSetId']}/", QUICK_DIAL)
        site.ids["keyId"] = (await site.get(f"/functionkeysets/{site.ids['fkSetId']}/"))[0]["id"]
        site.ids["phoneId"] = (await site.get(await site.filled("/users/{userId}/phoneconfig/phones")))[0][
            "phoneId"
        ]
        numbers = await site.get(await site.filled("/users/{userId}/phonenumberconfig/phonenumbers/"))
        site.ids["phoneNumberId"] = numbers[0]["phoneNumberId"]
        await site.post(await site.filled("/users/{userId}/managedConferences"), CONFERENCE)
        conferences = await site.get(await site.filled("/users/{userId}/managedConferences"))
        site.ids["conferenceId"] = conferences[0]["conferenceId"]
        await site.post("/fmcPhones", FMC_PHONE)
        site.ids["fmcId"] = (await site.get("/fmcPhones"))[0]["id"]
        return site

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path, headers=self.headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: Any) -> None:
        async with self.http.post(self.url + path, headers=self.headers, json=body) as response:
            assert response.status == 201, await response.text()

    async def filled(self, path: str, _method: str = "get") -> str:
        for name, value in self.ids.items():
            path = path.replace("{" + name + "}", str(value))
        assert "{" not in path, path
        return path

    def query(self, method: str, path: str) -> dict[str, str]:
        return {
            ("put", "/conferenceConfiguration"): {"userId": str(self.ids["userId"])},
            ("put", "/functionkeysets/{fkSetId}/phone"): {"phone": "SIP/snom-0001"},
            ("put", "/permissions/{permissionId}/users"): {"granted": "true"},
        }.get((method, path), {})

    async def body(self, method: str, path: str) -> dict[str, Any]:
        """What is read is written again; what is new stands below."""
        if path.endswith("/avatar"):
            return {"data": b"GIF89a", "headers": self.headers | {"Content-Type": "image/gif"}}
        numbers = "/users/{userId}/phonenumberconfig/phonenumbers"
        if path.startswith(numbers):
            all_of_them = await self.get(await self.filled(f"{numbers}/"))
            return {"json": all_of_them[1:] if path.endswith("/delete") else all_of_them}
        group = await self.get(await self.filled("/groups/{groupid}"))
        box = await self.get(await self.filled("/voicemailboxes/{voicemailboxid}"))
        written = {
            ("put", "/functionkeysets/{fkSetId}/phone"): None,
            ("put", "/users/{userId}/managedConferences/{conferenceId}/start"): None,
            ("put", "/permissions/users/{userId}"): [self.ids["permissionId"]],
            ("put", "/permissions/{permissionId}/users"): [self.ids["userId"]],
            ("put", "/groups"): group,
            ("post", "/groups"): group | {"name": "Kundendienst"},
            ("put", "/voicemailboxes"): box,
            ("post", "/voicemailboxes"): box | {"name": "Notdienst", "number": "*977"},
            ("post", "/users"): USER,
            ("post", "/contacts/tags"): {"name": "Notdienst"},
            ("post", "/fmcPhones"): FMC_PHONE | {"number": "00491713920042"},
            ("post", "/functionkeysets/{fkSetId}/"): QUICK_DIAL,
            ("post", "/users/{userId}/managedConferences"): CONFERENCE,
        }
        if (method, path) in written:
            body = written[method, path]
            return {"json": body} if body is not None else {}
        if (method, path) == ("post", "/contacts"):
            return {"json": await self.get(await self.filled("/contacts/{contactId}"))}
        if (method, path) == ("post", "/users/{userId}/phoneconfig/phones"):
            (phone, *_) = await self.get(await self.filled(path))
            return {"json": phone | {"phoneId": 0, "phoneName": "SIP/yealink-lager"}}
        return {"json": await self.get(await self.filled(path))}


USER = {
    "login": "1009",
    "firstName": "Jasmin",
    "familyName": "Öztürk",
    "email": "jasmin.oeztuerk@example.com",
    "language": "de",
    "password": "jasmin-1009",
}
CONFERENCE = {
    "name": "Baubesprechung",
    "eMailBody": "",
    "occurrence": "EVERYWEEK",
    "startTime": 1_900_000_000_000,
}
QUICK_DIAL = {
    "id": "",
    "accountId": "",
    "name": "Lindner",
    "position": 0,
    "functionKeyType": "QUICKDIAL",
    "directCallTargetnumber": "00493023125901",
}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FMC_PHONE = {
    "id": "",
    "number": "00491713920041",
    "active": True,
    "confirm": False,
    "delay": 5,
    "fmcSchedule": [dict.fromkeys(DAYS, True) | {"timeBegin": "08:00", "timeEnd": "17:00"}],
}


@pytest.fixture
async def rest_url() -> AsyncIterator[str]:
    async with running_starface(Settings(version="6.7.0.22")) as port:
        yield f"http://127.0.0.1:{port}/rest"


async def log_in(http: aiohttp.ClientSession, rest_url: str, password: str = "foobar") -> tuple[int, Any]:
    async with http.get(f"{rest_url}/login") as response:
        template = await response.json()
    assert template["nonce"]
    template["secret"] = internal_secret("0001", template["nonce"], password)
    async with http.post(f"{rest_url}/login", json=template) as response:
        return response.status, await response.json()


async def test_what_vendor_clients_insist_on(rest_url: str) -> None:
    async with aiohttp.ClientSession() as http:
        status, body = await log_in(http, rest_url)
        assert status == 200 and body["token"]
        headers = {"authToken": body["token"], "X-Version": "2"}
        async with http.get(f"{rest_url}/users?", headers=headers) as response:
            assert response.status == 200 and isinstance(await response.json(), list)
        async with http.get(f"{rest_url}/users") as response:
            assert response.status == 401 and set(await response.json()) == {"code", "message"}
        async with http.delete(f"{rest_url}/login", headers=headers) as response:
            assert response.status == 204
        async with http.get(f"{rest_url}/users", headers=headers) as response:
            assert response.status == 401
        assert (await log_in(http, rest_url, "wrong"))[0] == 400


if DESCRIPTION.is_file():  # the vendor's licence keeps it out of the project

    @cache
    def described() -> Any:
        return yaml.safe_load(DESCRIPTION.read_text())

    def schema_of(path: str, method: str, status: int) -> dict[str, Any] | None:
        document = described()
        wanted = path.split("?")[0].split("/")[1:]
        for template, operations in document["paths"].items():
            parts = template.strip("/").split("/")
            fits = len(parts) == len(wanted) and all(
                part == have or (part.startswith("{") and have.isdigit())
                for part, have in zip(parts, wanted, strict=True)
            )
            if fits:
                response = operations[method]["responses"][status]
                schema = response.get("schema")
                return schema | {"definitions": document["definitions"]} if schema else {}
        return None

    @pytest.mark.parametrize("path", GETS)
    async def test_answers_are_as_the_vendor_describes(rest_url: str, path: str) -> None:
        async with aiohttp.ClientSession() as http:
            _, body = await log_in(http, rest_url)
            async with http.get(rest_url + path, headers={"authToken": body["token"]}) as response:
                schema = schema_of(path, "get", response.status)
                assert schema is not None
                if response.status == 200:
                    answer = await response.json()
                    if path == "/login":
                        answer = {name: value for name, value in answer.items() if value is not None}
                    jsonschema.validate(answer, schema)

    def operations() -> list[tuple[str, str, dict[str, Any]]]:
        """All of the description; what deletes comes last, the deepest first."""
        document = described()
        found = [
            (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        order = ("get", "post", "put", "delete")

        def last(method: str, path: str) -> bool:
            return method == "delete" or path.endswith("/delete")

        return sorted(
            found,
            key=lambda one: (
                one[1] == "/login",
                last(*one[:2]),
                order.index(one[0]),
                -len(one[1]),
            ),
        )

    async def test_every_operation_answers_as_the_vendor_describes(rest_url: str) -> None:
        """Each of the 87 with a request that the description allows: one of its good statuses, with its shape."""
        definitions = described()["definitions"]
        asked = operations()
        assert len(asked) == 87
        async with aiohttp.ClientSession() as http:
            _, body = await log_in(http, rest_url)
            headers = {"authToken": body["token"]}
            site = await Site.read(http, rest_url, headers)
            for method, path, operation in asked:
                if (method, path) == ("post", "/login"):
                    continue  # below, with a nonce
                url = rest_url + await site.filled(path, method)
                options: dict[str, Any] = {"params": site.query(method, path)}
                wanted = [one for one in operation.get("parameters", ()) if one["in"] == "body"]
                if wanted:
                    options |= await site.body(method, path)
                    if "json" in options:
                        jsonschema.validate(
                            options["json"], wanted[0]["schema"] | {"definitions": definitions}
                        )
                elif method in ("post", "put"):
                    options |= await site.body(method, path)
                async with http.request(method, url, **({"headers": headers} | options)) as response:
                    text = await response.read()
                    good = [status for status in operation["responses"] if status < 300]
                    assert response.status in good, (method, path, response.status, text)
                    schema = operation["responses"][response.status].get("schema")
                    if response.content_type.startswith("image/"):
                        assert response.content_type in operation["produces"] and text
                    elif schema is not None:
                        answer = json.loads(text)
                        if path == "/login":
                            answer = {name: value for name, value in answer.items() if value is not None}
                        jsonschema.validate(answer, schema | {"definitions": definitions})
                        assert answer != [] or path in EMPTY, (method, path)

    async def test_no_operation_answers_without_a_login(rest_url: str) -> None:
        async with aiohttp.ClientSession() as http:
            for method, path, _operation in operations():
                if path == "/login":
                    continue
                url = rest_url + path.translate({ord("{"): "", ord("}"): ""})
                for name in ("userId", "phoneId", "phoneNumberId", "conferenceId", "serviceId", "groupid"):
                    url = url.replace(f"/{name}", "/1")
                url = url.replace("/permissionId", "/1").replace("/voicemailboxid", "/1")
                async with http.request(method, url) as response:
                    assert response.status == 401, (method, path)

    async def test_the_login_is_as_the_vendor_describes(rest_url: str) -> None:
        async with aiohttp.ClientSession() as http:
            for password, status in (("foobar", 200), ("wrong", 400)):
                answered, body = await log_in(http, rest_url, password)
                assert answered == status
                jsonschema.validate(body, schema_of("/login", "post", status))
