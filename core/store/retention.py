"""Delete old rows in small steps, so that other writers do not wait long."""

from typing import Final

from sqlalchemy import ColumnElement, Table, delete, select, tuple_

from core.store.database import Database

ROWS_AT_ONCE: Final = 500
"""Rows deleted in one transaction, which takes some milliseconds."""


async def delete_in_steps(database: Database, table: Table, condition: ColumnElement[bool]) -> int:
    """Delete the rows that meet the condition, each step in its own transaction; return how many were deleted."""
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(condition).limit(ROWS_AT_ONCE)
    deleted = 0
    while True:
        async with database.writing() as connection:
            step = (await connection.execute(delete(table).where(key.in_(some)))).rowcount
        deleted += step
        if step < ROWS_AT_ONCE:
            return deleted


async def delete_oldest_in_steps(database: Database, table: Table, condition: ColumnElement[bool]) -> int:
    """Like `delete_in_steps`, for a long table whose ids ascend with time.

    It checks only the lowest ids, because searching for the last old row would read the whole table.
    """
    lowest = select(table.c.id).order_by(table.c.id).limit(ROWS_AT_ONCE)
    deleted = 0
    while True:
        async with database.writing() as connection:
            statement = delete(table).where(table.c.id.in_(lowest.scalar_subquery()), condition)
            step = (await connection.execute(statement)).rowcount
        deleted += step
        if not step:
            return deleted
