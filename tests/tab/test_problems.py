"""Values that no column takes are the request's own fault: a 4xx with a code, never a 500 or 503."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert, select

from core.store import tables
from core.store.transaction import UnstorableValueError, execute
from tab.problems import problems
from tests.support.book import Book

HOSTILE = (2**63, -(2**70), 10**30, "half \ud83d", "\udc00")


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize("way", ["script", "small", "write", "read"])
async def test_a_value_that_cannot_be_stored_is_reported_as_such(book: Book, way: str, value: Any) -> None:
    column = "actor" if isinstance(value, str) else "at"

    async def handle(_request: web.Request) -> web.Response:
        if way in ("script", "small"):
            run = book.ledger.writer.run if way == "script" else book.ledger.writer.run_small
            await run(lambda: execute(f"DELETE FROM audit WHERE {column} = $1", value))
        elif way == "write":
            row = {"at": 0, "pbx_id": "", "kind": "", "actor": "", "subject": "", "detail": ""}
            async with book.database.writing() as connection:
                await connection.execute(insert(tables.audit).values(row | {column: value}))
        else:
            async with book.database.reading() as connection:
                await connection.execute(select(tables.audit).where(tables.audit.c[column] == value))
        raise AssertionError("it was stored")

    app = web.Application(middlewares=[problems])
    app.router.add_get("/", handle)
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (422, "unstorable-value")
        assert problem["detail"] and problem["cure"]


async def test_the_error_names_no_value(book: Book) -> None:
    with pytest.raises(UnstorableValueError) as raised:
        await book.ledger.writer.run(lambda: execute("DELETE FROM audit WHERE actor = $1", "secret\udc00"))
    assert "secret" not in str(raised.value)
