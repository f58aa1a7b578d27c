"""REST of the address book: contacts and their tags. Values in lists are positional, in the order of the schema in
the same answer.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from simulator.starface.company import LABELS, PHONES, SUMMARY, attribute
from simulator.starface.operation import Asking, Operation, RefusedError, done, json
from simulator.starface.telephony import Contact, Right, canonical

SEARCH: Final = "REST 6.7; the semantics of searchTerms assumed: every word begins a word of a value, or digits are part of a number"
MIN_DIGITS: Final = 3


async def get_contacts(asking: Asking) -> web.Response:
    owner = asking.on_behalf_of("userId")
    tags = {tag for tag in asking.query("tags").split(",") if tag}
    found = [
        contact
        for contact in _seen_by(asking, owner.id)
        if _fits(contact, asking.query("searchTerms"))
        and (not tags or tags & {tag.get("name", "") for tag in contact.content["tags"]})
    ]
    found.sort(key=lambda one: (one.value("SURNAME").casefold(), one.value("NAME").casefold()))
    page, metadata = asking.page(found)
    return json(
        {
            "contacts": [_summary(one) for one in page],
            "metadata": metadata,
            "summaryBlockSchema": _schema("summary", SUMMARY),
            "phoneNumbersBlockSchema": _schema("telephone", PHONES),
        }
    )


async def post_contact(asking: Asking) -> web.Response:
    """Add a contact to the user's own address book; an administrator may write for others."""
    owner = asking.on_behalf_of("userId")
    contact = Contact(str(uuid.uuid4()), await _content(asking), owner.id)
    asking.pbx.telephony.contacts[contact.id] = contact
    return json(_shown(contact), 201)


async def get_contact(asking: Asking) -> web.Response:
    return json(_shown(_contact(asking)))


async def put_contact(asking: Asking) -> web.Response:
    contact = _contact(asking)
    if not contact.content["editable"]:
        raise RefusedError(500, "not to be changed")
    contact.content = await _content(asking)
    return done()


async def delete_contact(asking: Asking) -> web.Response:
    del asking.pbx.telephony.contacts[_contact(asking).id]
    return done()


async def get_scheme(asking: Asking) -> web.Response:
    del asking
    details = ("NAME", "SURNAME", "COMPANY", "JOB_TITLE", "EMAIL")
    return json(
        {
            "summaryBlock": _schema("summary", SUMMARY),
            "phoneNumbersBlock": _schema("telephone", PHONES),
            "detailBlocks": [_schema("contact", details), _schema("telephone", PHONES)],
        }
    )


async def get_tags(asking: Asking) -> web.Response:
    page, _metadata = asking.page(
        sorted(asking.pbx.telephony.tags.values(), key=lambda tag: str(tag["name"]))
    )
    return json(page)


async def post_tag(asking: Asking) -> web.Response:
    owner, body = asking.on_behalf_of("userId"), await asking.body(name=str)
    tag = {"id": str(uuid.uuid4()), "name": body["name"], "alias": body["name"], "owner": owner.login}
    asking.pbx.telephony.tags[tag["id"]] = tag
    return json(tag, 201)


async def get_tag(asking: Asking) -> web.Response:
    return json(_tag(asking))


async def put_tag(asking: Asking) -> web.Response:
    tag, body = _tag(asking), await asking.body(name=str)
    tag["name"] = body["name"]
    return done()


async def delete_tag(asking: Asking) -> web.Response:
    del asking.pbx.telephony.tags[_tag(asking)["id"]]
    return done()


def _seen_by(asking: Asking, user_id: int) -> list[Contact]:
    return [one for one in asking.pbx.telephony.contacts.values() if one.owner in (None, user_id)]


def _fits(contact: Contact, terms: str) -> bool:
    words = " ".join(str(one.get("value", "")) for one in contact.attributes()).casefold().split()
    numbers = [canonical(number) for number in contact.numbers()]
    digits = canonical(terms).lstrip("0")
    if len(digits) >= MIN_DIGITS and not any(sign.isalpha() for sign in terms):
        return any(digits in number for number in numbers)
    return all(any(word.startswith(term) for word in words) for term in terms.casefold().split())


def _summary(contact: Contact) -> dict[str, Any]:
    return {
        "id": contact.id,
        "summaryValues": [contact.value(key) for key in SUMMARY],
        "phoneNumberValues": [contact.value(key) for key in PHONES],
        "additionalValues": {},
    }


def _schema(name: str, keys: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "resourceKey": name, "attributes": [attribute(key, "") for key in keys]}


def _shown(contact: Contact) -> dict[str, Any]:
    return contact.content | {"id": contact.id}


async def _content(asking: Asking) -> dict[str, Any]:
    body = await asking.body(blocks=list, tags=list, editable=bool)
    for block in body["blocks"]:
        for one in block["attributes"]:
            if one["displayKey"] not in LABELS and not isinstance(one["displayKey"], str):
                raise RefusedError(500, "no display key")
    return {name: body[name] for name in ("blocks", "tags", "editable")}


def _contact(asking: Asking) -> Contact:
    found = {one.id: one for one in _seen_by(asking, asking.on_behalf_of("userId").id)}
    if asking.key("contactId") not in found:
        raise RefusedError(500, "no such contact")
    return found[asking.key("contactId")]


def _tag(asking: Asking) -> dict[str, Any]:
    tag = asking.pbx.telephony.tags.get(asking.key("tagId"))
    if tag is None:
        raise RefusedError(500, "no such tag")
    return tag


_RIGHT: Final = Right.ADDRESS
OPERATIONS: Final = (
    Operation(method="GET", path="/contacts", handler=get_contacts, right=_RIGHT, source=SEARCH),
    Operation(method="POST", path="/contacts", handler=post_contact, right=_RIGHT),
    Operation(method="GET", path="/contacts/scheme", handler=get_scheme, right=_RIGHT),
    Operation(method="GET", path="/contacts/tags", handler=get_tags, right=_RIGHT),
    Operation(method="POST", path="/contacts/tags", handler=post_tag, right=_RIGHT),
    Operation(method="GET", path="/contacts/tags/{tagId:str}", handler=get_tag, right=_RIGHT),
    Operation(method="PUT", path="/contacts/tags/{tagId:str}", handler=put_tag, right=_RIGHT),
    Operation(method="DELETE", path="/contacts/tags/{tagId:str}", handler=delete_tag, right=_RIGHT),
    Operation(method="GET", path="/contacts/{contactId:str}", handler=get_contact, right=_RIGHT),
    Operation(method="PUT", path="/contacts/{contactId:str}", handler=put_contact, right=_RIGHT),
    Operation(method="DELETE", path="/contacts/{contactId:str}", handler=delete_contact, right=_RIGHT),
)
