"""REST of function keys: configuration only, without the state of a lamp."""

import uuid
from typing import Any, Final

from aiohttp import web

from simulator.starface.operation import Asking, Operation, RefusedError, done, json
from simulator.starface.telephony import KeySet, Right

_CLX: Final = "REST 6.7; StarCLX, live against 10.0.2.6"


async def get_sets(asking: Asking) -> web.Response:
    return json(
        [
            {"id": one.id, "name": one.name, "keyOrder": [key["id"] for key in one.keys]}
            for one in asking.pbx.telephony.key_sets_of(asking.on_behalf_of().id)
        ]
    )


async def get_keys(asking: Asking) -> web.Response:
    return json(_set(asking).keys)


async def post_key(asking: Asking) -> web.Response:
    """Add a key in the flat form, or in the edit form that a lamp needs, at the given position or at the end."""
    keys, body = _set(asking), await asking.body()
    key = _flat(asking, body) | {"id": str(uuid.uuid4())}
    keys.keys.insert(int(body.get("position", len(keys.keys))), key)
    _count(keys)
    return json(key, 201)


async def put_keys(asking: Asking) -> web.Response:
    """Replace the keys: a list as in the description, or `{id, name, keyOrder}` as version 10 accepts it."""
    keys = _set(asking)
    content = await asking.request.json()
    known = {key["id"]: key for key in keys.keys}
    order = content.get("keyOrder", ()) if isinstance(content, dict) else [key["id"] for key in content]
    order = [one for one in order if one]
    for position, key_id in enumerate(order):
        kind = "CORRUPT" if key_id not in known else "DUPLICATE" if order.index(key_id) < position else ""
        if kind:
            fault = {"errorField": "id", "functionKeyErrorType": kind, "position": position}
            return json([fault], 400)
    keys.keys[:] = [known[key_id] for key_id in order]
    _count(keys)
    return done()


async def get_key(asking: Asking) -> web.Response:
    return json(_key(asking))


async def put_key(asking: Asking) -> web.Response:
    key = _key(asking)
    key |= _flat(asking, await asking.body()) | {"id": key["id"], "position": key["position"]}
    return done(200)


async def delete_key(asking: Asking) -> web.Response:
    keys = _set(asking)
    keys.keys.remove(_key(asking))
    _count(keys)
    return done()


async def get_edit(asking: Asking) -> web.Response:
    return json(_edit(asking, _key(asking)))


async def get_defaults(asking: Asking) -> web.Response:
    """Return possible new keys. Accounts that already have a lamp are left out."""
    return json(_edit(asking, {"functionKeyType": "BUSYLAMPFIELD", "name": ""}))


async def get_phones(asking: Asking) -> web.Response:
    return json(_set(asking).phones)


async def put_phone(asking: Asking) -> web.Response:
    """Refresh the keys of a phone."""
    if asking.query("phone") not in _set(asking).phones:
        raise RefusedError(404, "no such phone")
    return done(200)


def _edit(asking: Asking, key: dict[str, Any]) -> dict[str, Any]:
    pbx = asking.pbx
    if key["functionKeyType"] == "BUSYLAMPFIELD":
        watched = {
            one.get("blfAccountId") for keys in pbx.telephony.key_sets_of(asking.user.id) for one in keys.keys
        }
        target = pbx.users.get(int(key.get("blfAccountId") or 0))
        accounts = [
            {
                "accountId": user.id,
                "displayInformation": user.name,
                "federationname": "",
                "firstname": user.first_name,
                "lastname": user.family_name,
                "local": True,
                "primaryInternalPhoneNumber": user.login,
                "type": "USER",
            }
            for user in pbx.users.values()
            if user.id not in watched
        ]
        lamp = {
            "name": key["name"],
            "blfAccountId": target.id if target is not None else 0,
            "blfDisplayInformation": target.name if target is not None else "",
            "number": target.login if target is not None else "",
            "availableAccounts": accounts,
        }
        return {"editFunctionKeyBusyLampField": lamp}
    if key["functionKeyType"] == "QUICKDIAL":
        dial = {"name": key["name"], "number": key.get("directCallTargetnumber", "")}
        return {"editFunctionKeyQuickDial": dial}
    return {"editFunctionKeyDnd": {"name": key["name"]}}


def _flat(asking: Asking, body: dict[str, Any]) -> dict[str, Any]:
    lamp = body.get("editFunctionKeyBusyLampField")
    if isinstance(lamp, dict):
        body = {
            "functionKeyType": "BUSYLAMPFIELD",
            "name": lamp["name"],
            "blfAccountId": lamp["blfAccountId"],
        }
    elif body.get("functionKeyType") == "BUSYLAMPFIELD":
        # In the flat form the target is the owner (StarCLX): a lamp needs the edit form.
        body = body | {"blfAccountId": asking.user.id}
    if not body.get("functionKeyType") or "name" not in body:
        raise RefusedError(500, "no key")
    return body | {"accountId": str(asking.on_behalf_of().id), "position": 0}


def _count(keys: KeySet) -> None:
    for position, key in enumerate(keys.keys):
        key["position"] = position


def _set(asking: Asking) -> KeySet:
    found = {one.id: one for one in asking.pbx.telephony.key_sets_of(asking.on_behalf_of().id)}
    if asking.key("fkSetId") not in found:
        raise RefusedError(500, "no such set")
    return found[asking.key("fkSetId")]


def _key(asking: Asking) -> dict[str, Any]:
    found = {key["id"]: key for key in _set(asking).keys}
    if asking.key("keyId") not in found:
        raise RefusedError(500, "no such key")
    return found[asking.key("keyId")]


_SET: Final = "/functionkeysets/{fkSetId:str}"
_RIGHT: Final = Right.SETTING
OPERATIONS: Final = (
    Operation("GET", "/functionkeysets", get_sets),
    Operation("GET", "/functionkeysets/edit/defaults", get_defaults),
    Operation("GET", f"{_SET}/", get_keys),
    Operation(method="POST", path=f"{_SET}/", handler=post_key, right=_RIGHT, source=_CLX),
    Operation(method="PUT", path=f"{_SET}/", handler=put_keys, right=_RIGHT, source=_CLX),
    Operation("GET", f"{_SET}/phones", get_phones),
    Operation(method="PUT", path=f"{_SET}/phone", handler=put_phone, right=_RIGHT),
    Operation("GET", f"{_SET}/edit/{{keyId:str}}", get_edit),
    Operation("GET", f"{_SET}/{{keyId:str}}", get_key),
    Operation(method="PUT", path=f"{_SET}/{{keyId:str}}", handler=put_key, right=_RIGHT, source=_CLX),
    Operation(method="DELETE", path=f"{_SET}/{{keyId:str}}", handler=delete_key, right=_RIGHT),
)
