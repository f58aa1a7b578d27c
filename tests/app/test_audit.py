"""The audit as an administrator reads it: exports in both formats and languages, who did it, what strangers tried."""

import csv
import io
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import openpyxl

from core.store.audit import AuditKind
from simulator.people import TENANT_ID
from tests.support.world import ANNA, BEN, CLARA, World, eventually
from wire.pbxkey import new_key

FOREIGN = "0f0f0f0f-3c1b-4d6e-9a51-2f7f0f6c1a01"


async def exported(world: World, language: str = "en", what: str = "audit") -> list[Mapping[str, str]]:
    clara = world.client(CLARA)
    clara.language = language
    text = (await clara.call("GET", f"{what}/export")).body["content"].decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if language == "de" else ","))


def the_codes(rows: Sequence[Mapping[str, str]]) -> list[str]:
    return [row["Event code"] for row in rows]


async def test_the_audit_is_reported_in_words_with_ids(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    (newest, *_) = await exported(world)
    assert newest["Event"] == "Signed in" and newest["Event code"] == "granted"
    assert (newest["Who"], newest["Kind of actor"]) == ("Clara Vogt", "Person")
    assert newest["Who: organisation (tenant ID)"] == TENANT_ID
    assert newest["Who: Microsoft account (object ID)"] == CLARA.object_id
    assert newest["Who: PBX user ID"] == newest["Whom: PBX user ID"] != ""
    assert newest["Details"] == "floating licence" and newest["Times"] == "1"
    rows = await exported(world, "de")
    (own,) = [row for row in rows if row["Ereigniscode"] == "audit-exported"][:1]
    assert own["Ereignis"] == "Protokoll exportiert" and own["Einzelheiten"].startswith("CSV; ")
    for row in rows:
        words = {name: text for name, text in row.items() if name != "Ereigniscode"}
        assert not set(words.values()) & set(AuditKind)
        if row["Ereigniscode"] == "audit-exported" and row is not own:
            continue  # it names what another test has searched for, which may be anything
        assert not any(character in text for text in words.values() for character in "{}[]")


async def test_the_audit_is_read_in_words_and_in_pages(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    newest = (await clara.call("GET", "audit?limit=2")).body
    (own, second) = newest["entries"]
    assert (own["event"], own["code"], own["actor"]) == ("Signed in", "granted", "Clara Vogt")
    assert own["subject"] == "", "the subject is the actor, which is said once"
    assert own["detail"] == "floating licence" and own["times"] == 1 and own["isPerson"]
    assert newest["found"] > 2 and newest["countedTo"] == 10_000
    older = newest["older"]
    assert older["beforeId"] == second["id"]
    after = (
        await clara.call("GET", f"audit?limit=2&beforeAt={older['beforeAt']}&beforeId={older['beforeId']}")
    ).body
    assert [one["id"] < second["id"] for one in after["entries"]] == [True, True]
    clara.language = "de"
    (german,) = (await clara.call("GET", "audit?limit=1")).body["entries"]
    assert german["event"] == "Angemeldet"


async def test_the_audit_is_filtered_and_exported_as_filtered(world: World) -> None:
    clara, anna = world.client(CLARA), world.client(ANNA)
    await clara.sign_in(world.pbx_name, world.key)
    (latest,) = (await clara.call("GET", "audit?limit=1")).body["entries"]
    await anna.sign_in(world.pbx_name, world.key)
    await clara.call("GET", "licences/export")
    found = (await clara.call("GET", "audit?group=sessions&search=berger&limit=200")).body
    assert all("Anna Berger" in (one["actor"], one["subject"]) for one in found["entries"])
    own = [one for one in found["entries"] if one["id"] > latest["id"]]  # the others are from earlier tests
    assert own and {one["actor"] for one in own} <= {"Anna Berger", "Clara Vogt"}
    exports = (await clara.call("GET", "audit?group=exports")).body["entries"]
    own = [one for one in exports if one["id"] > latest["id"]]
    assert own and {one["code"] for one in own} <= {"holders-exported", "audit-exported", "examined"}
    answer = await clara.call("GET", "audit/export?group=sessions&search=berger")
    rows = list(csv.DictReader(io.StringIO(answer.body["content"].decode("utf-8-sig"), newline="")))
    assert len(rows) == found["found"]
    (audited, *_) = await exported(world)
    assert audited["Details"].endswith("only: Signing in and out, “berger”")
    assert (await clara.call("GET", "audit?group=nothing")).code == "invalid-request"
    assert (await clara.call("GET", "audit?since=2026-02-01&until=2026-01-01")).code == "invalid-request"
    assert (await anna.call("GET", "audit")).code == "not-administrator"


async def test_exports_and_examinations_are_audited(world: World) -> None:
    clara, anna = world.client(CLARA), world.client(ANNA)
    for client in (clara, anna):
        await client.sign_in(world.pbx_name, world.key)
    await clara.call("GET", "licences/export?format=xlsx")
    await clara.call("GET", "audit/export?since=2026-01-01&until=2026-01-31")
    await clara.call("POST", "connection/doctor")
    for path in ("licences/export", "audit/export"):
        assert (await anna.call("GET", path)).code == "not-administrator"
    looked_at = ("holders-exported", "audit-exported", "examined")
    rows = [row for row in await exported(world) if row["Event code"] in looked_at]
    told = [(row["Event"], row["Who"], row["Details"]) for row in rows[:3]]
    assert told == [
        ("Connection examined", "Clara Vogt", "No fault found"),
        ("Audit exported", "Clara Vogt", "CSV; 1 Jan 2026 to 31 Jan 2026; rows: 0"),
        ("List of licences exported", "Clara Vogt", "Excel (.xlsx); rows: 2"),
    ]


async def test_an_act_that_is_refused_is_reported_in_both_languages(world: World) -> None:
    clara, anna = world.client(CLARA), world.client(ANNA)
    for client in (clara, anna):
        await client.sign_in(world.pbx_name, world.key)
    for method, path, body in (
        ("GET", "licences", None),
        ("GET", "audit/export", None),
        ("POST", "connection/doctor", None),
        ("POST", "licences/revoke", {"sessionIds": [str(uuid.uuid4())], "reason": "x"}),
    ):
        assert (await anna.call(method, path, body)).code == "not-administrator", path

    async def refused(language: str) -> Sequence[Mapping[str, str]]:
        code = {"en": "Event code", "de": "Ereigniscode"}[language]
        rows = await exported(world, language)
        return [row for row in rows if row[code] == "act-refused" and ANNA.object_id in row.values()]

    acts = ("See licences", "Export the audit", "Examine the connection", "Revoke licences")

    async def all_refused() -> Sequence[Mapping[str, str]] | None:
        # Other tests refuse acts at the same PBX, Anna's among them: wait for these four, not for a number of rows.
        rows = await refused("en")
        told = {row["Details"] for row in rows}
        return rows if told >= {f"{act}; No administrator of the PBX" for act in acts} else None

    rows = await eventually(all_refused, "the refusals are written down")
    assert {row["Event"] for row in rows} == {"Refused: not allowed to do this"}
    assert {row["Who: Microsoft account (object ID)"] for row in rows} == {ANNA.object_id}
    german = await refused("de")
    assert {row["Ereignis"] for row in german} == {"Abgelehnt: nicht berechtigt"}
    assert "Protokoll exportieren; Kein Administrator der Telefonanlage" in {
        row["Einzelheiten"] for row in german
    }


async def test_what_was_tried_in_vain_is_there_and_nothing_for_names_of_nobody(world: World) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    ben = world.client(BEN)
    for _ in range(3):
        assert (await ben.prepare(world.pbx_name, new_key())).code == "wrong-key"
    assert (await ben.prepare("nobody.example.com", new_key())).code == "wrong-key"

    async def failed() -> Any:
        rows = [row for row in await exported(world) if row["Event code"] == "sign-in-failed"]
        mine = [row for row in rows if row["Who: Microsoft account (object ID)"] == BEN.object_id]
        return mine if sum(int(row["Times"]) for row in mine) >= 3 else None

    (row, *_) = await eventually(failed, "the failures are written down")
    assert row["Details"] == "Wrong PBX key" and row["Whom or what"] == world.pbx_name
    with closing(world.database()) as database:
        found = database.execute("SELECT count(*) FROM audit WHERE subject LIKE 'nobody%'").fetchone()
    assert found == (0,)


async def test_an_administrator_of_another_organisation_is_reported_as_such(world: World) -> None:
    """Clara's session becomes that of a Clara Vogt of a foreign tenant; the audit and the affected user see
    that."""
    clara, anna = world.client(CLARA), world.client(ANNA)
    for client in (clara, anna):
        await client.sign_in(world.pbx_name, world.key)
    (holder,) = [
        one for one in (await clara.call("GET", "licences")).body["holders"] if one["login"] == ANNA.login
    ]
    await clara.call("POST", "licences/revoke", {"sessionIds": [holder["sessionId"]], "reason": "x"})
    assert (await anna.state())["sessionEnd"]["endedBy"] == "Clara Vogt"
    with closing(world.database()) as database, database:
        for table, column in (("audit", "actor_tenant_id"), ("session_end", "ended_by_tenant_id")):
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (FOREIGN, TENANT_ID))
    try:
        assert (await anna.state())["sessionEnd"]["endedBy"] == "Clara Vogt (other organisation)"
        anna.language = "de"
        assert (await anna.state())["sessionEnd"]["endedBy"] == "Clara Vogt (andere Organisation)"
        row = next(row for row in await exported(world) if row["Event code"] == "ended")
        assert row["Who"] == f"Clara Vogt (other organisation, {FOREIGN})"
        assert row["Kind of actor"] == "Person of another organisation"
        assert row["Details"] == "Revoked; floating licence; Reason: x"
    finally:
        with closing(world.database()) as database, database:
            database.execute(
                "UPDATE audit SET actor_tenant_id = ? WHERE actor_tenant_id = ?", (TENANT_ID, FOREIGN)
            )


async def test_excels_own_format_comes_as_a_file(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    clara.language = "de"
    for path, name in (("licences", "Lizenzen"), ("audit", "Protokoll")):
        for file_format, kind in (("csv", "text/csv; charset=utf-8"), ("xlsx", "spreadsheetml.sheet")):
            answer = await clara.call("GET", f"{path}/export?format={file_format}&timeZone=Europe/Berlin")
            assert answer.status == 200 and answer.body["fileName"] == f"{name}.{file_format}"
            assert answer.body["contentType"].endswith(kind) and answer.body["complete"]
        book = openpyxl.load_workbook(io.BytesIO(answer.body["content"]))
        heading, *rows = book.active.iter_rows(values_only=True)
        assert heading[0] in ("Benutzer der Telefonanlage", "Wann") and len(rows) >= 1
    assert (await clara.call("GET", "audit/export?format=pdf")).code == "invalid-request"
