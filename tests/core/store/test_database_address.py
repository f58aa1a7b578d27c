"""DATABASE_URL: TLS to PostgreSQL on both ways, and files of SQLite that nobody else reads."""

import logging
import os
import ssl
import stat
from pathlib import Path

import asyncpg
import pytest

from core.store.database import Database, PostgresAddress, address_of, upgrade_async
from core.store.errors import UnusableDatabaseError
from core.store.writing import open_writer

SERVER = "postgresql+asyncpg://user:secret@db.example.com/pbxteams"


def of(query: str) -> PostgresAddress:
    address = address_of(f"{SERVER}?{query}")
    assert isinstance(address, PostgresAddress)
    return address


@pytest.mark.parametrize("name", ["sslmode", "ssl"])
def test_a_server_is_checked_by_certificate_and_name(name: str) -> None:
    address = of(f"{name}=verify-full")
    assert isinstance(address.tls, ssl.SSLContext)
    assert address.tls.verify_mode is ssl.CERT_REQUIRED and address.tls.check_hostname
    assert "ssl" not in address.dsn and "ssl" not in str(address.engine_url)
    assert of(f"{name}=verify-full&application_name=x").dsn.endswith("?application_name=x")


def test_weaker_modes_stay_what_they_are() -> None:
    assert of("sslmode=require").tls == "require" and of("application_name=x").tls is None
    authority = of("sslmode=verify-ca").tls
    assert isinstance(authority, ssl.SSLContext) and not authority.check_hostname
    assert authority.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=nonsense",
        "sslmode=require&ssl=verify-full",
        "sslmode=verify-full&sslmode=disable",
        "sslmode=require&sslrootcert=/x.pem",
        "sslrootcert=/x.pem",
    ],
)
def test_what_cannot_be_meant_is_refused(query: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="ssl"):
        of(query)


def test_a_file_of_authorities_that_is_not_there_is_named() -> None:
    with pytest.raises(UnusableDatabaseError, match=r"/nowhere\.pem"):
        _ = of("sslmode=verify-full&sslrootcert=/nowhere.pem").tls


async def test_neither_way_speaks_to_a_server_without_tls(database_url: str) -> None:
    """The server of the tests has none: both ways refuse it where TLS is demanded, and take it where it is not."""
    if database_url.startswith("sqlite"):
        return
    plain = address_of(database_url)
    assert isinstance(plain, PostgresAddress)
    host = str(plain.url.query.get("host") or plain.url.host or "")
    for mode in ("require", "verify-full"):
        url = plain.url.update_query_dict({"sslmode": mode}).render_as_string(hide_password=False)
        if host.startswith("/"):
            pytest.fail("the tests' server is reached by TCP")
        with pytest.raises((UnusableDatabaseError, OSError, asyncpg.PostgresError)):
            await upgrade_async(url)
        writer = open_writer(address_of(url))
        with pytest.raises(Exception, match=r"(?i)ssl|StorageUnavailable|ConnectionError"):
            await writer.run(lambda: iter(()))  # type: ignore[arg-type,return-value]
        await writer.close()


async def test_files_of_the_database_are_its_owners(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = os.umask(0o022)
    try:
        path = tmp_path / "new" / "deeper" / "pbx-teams.db"
        url = f"sqlite:///{path}"
        await upgrade_async(url)
        database = Database(url)
        async with database.reading():
            files = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        await database.close()
        assert (
            stat.S_IMODE(path.parent.stat().st_mode)
            == stat.S_IMODE((tmp_path / "new").stat().st_mode)
            == 0o700
        )
        # One of an earlier version is tightened, and that is said.
        path.chmod(0o644)
        caplog.set_level(logging.WARNING)
        await upgrade_async(url)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "could be read by others (mode 644)" in caplog.text
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "postgresql://h:x/y", "postgresql://u:secret@h:5432x/d", "postgresql://[::1/d", "://"),
        *("sqlite:///", "sqlite:///:memory:", "mysql://u:secret@h/d", "postgresql+psycopg2://u:secret@h/d"),
    ],
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="DATABASE_URL") as refused:
        address_of(url)
    assert "secret" not in str(refused.value)
