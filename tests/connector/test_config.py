"""The connector's configuration: errors name the line and the next step; commands end clearly."""

import stat
from pathlib import Path

import pytest

from connector import cli
from connector.config import load
from connector.errors import ConnectorError
from connector.state import ConnectorState
from wire.pbxkey import KeyFile, parse_key

GOOD = """\
active = true
state_directory = "{state}"

[service]
url = "https://pbx-teams.example.com/"

[pbx]
name = "PBX.example.com."
url = "https://192.0.2.1"
login = "0001"
password = "secret"

[uci]
enabled = false
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_one(text: str) -> Path:
        path = tmp_path / "connector.toml"
        path.write_text(text.replace("{state}", str(tmp_path / "state")))
        return path

    return write_one


def test_a_good_configuration_is_read_and_normalised(write) -> None:
    config = load(write(GOOD))
    assert (config.pbx.name, config.service.url) == ("pbx.example.com", "https://pbx-teams.example.com")
    assert config.pbx.licence_permission == "Integration mit Microsoft Teams"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('url = "https://192.0.2.1"', 'url = "192.0.2.1"', "line 9: pbx.url"),
        ('login = "0001"', 'logon = "0001"', "line 10: pbx.logon: Extra inputs"),
        ('login = "0001"', "", "line 7: pbx.login: Field required"),
        ("enabled = false", 'enabled = "perhaps"', "line 14: uci.enabled"),
        ("active = true", "active = maybe", "line 1"),
        ("[service]\n", "[servic]\n", "servic"),
        ('password = "secret"', "", "give either password or password_file"),
        ('password = "secret"', 'password = "secret"\nauth = "oauth"', "oauth_client_secret"),
        ('name = "PBX.example.com."', 'name = "not a name"', "line 8: pbx.name"),
        # What TOML permits and nobody means.
        ('login = "0001"', 'login = "  "', "line 10: pbx.login"),
        ('login = "0001"', r'login = "00\n01"', "line 10: pbx.login"),
        ('login = "0001"', r'login = "00\u000001"', "line 10: pbx.login"),
        ('login = "0001"', "login = 2020-01-01", "line 10: pbx.login"),
        ("enabled = false", "callback_port = true", "line 14: uci.callback_port"),
        ("enabled = false", "callback_port = nan", "line 14: uci.callback_port"),
        ("enabled = false", 'callback_host = "http://192.0.2.7"', "line 14: uci.callback_host"),
        ("enabled = false", 'callback_host = "two words"', "line 14: uci.callback_host"),
        ("enabled = false", 'callback_listen = "192.0.2.7:80"', "line 14: uci.callback_listen"),
        ('url = "https://192.0.2.1"', 'url = "https://192.0.2.1:0"', "line 9: pbx.url"),
        ("active = true", "x = " + "[" * 5000 + "]" * 5000, "is not TOML"),
        ("active = true", "x = " + "{a=" * 3000 + "1" + "}" * 3000, "is not TOML"),
        ("active = true", "x = " + "9" * 5000, "is not TOML"),
    ],
)
def test_errors_name_the_line(write, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConnectorError, match=message.replace(".", r"\.")):
        load(write(GOOD.replace(old, new)))


@pytest.mark.parametrize(
    "host", ["fe80::1%eth0", "::", "192.0.2.7", "connector-1.example.com", " 192.0.2.7 "]
)
def test_a_host_may_be_a_name_or_an_address(write, host: str) -> None:
    config = load(write(GOOD.replace("enabled = false", f'callback_host = "{host}"')))
    assert config.uci.callback_host == host.strip()


def test_a_path_that_no_system_takes_is_reported(write) -> None:
    config = load(write(GOOD.replace('password = "secret"', r'password_file = "a\u0000b"')))
    with pytest.raises(ConnectorError, match="cannot read password_file"):
        config.pbx.read_password()


def test_a_missing_file_is_reported_without_a_traceback(tmp_path: Path, capsys) -> None:
    assert cli.main(["--config", str(tmp_path / "none.toml"), "run"]) == 1
    assert "cannot read the configuration" in capsys.readouterr().err


def test_no_error_shows_the_password(write) -> None:
    with pytest.raises(ConnectorError) as raised:
        load(write(GOOD.replace('password = "secret"', "password = 5")))
    assert "secret" not in str(raised.value)


def test_key_new_and_key_file(write, tmp_path: Path, capsys) -> None:
    path = write(GOOD)
    assert cli.main(["--config", str(path), "key", "new"]) == 0
    first = capsys.readouterr().out
    assert cli.main(["--config", str(path), "key", "new"]) == 0
    second = capsys.readouterr().out
    assert first != second
    out = tmp_path / "key.pbxkey"
    assert cli.main(["--config", str(path), "key", "file", "--out", str(out)]) == 0
    content = KeyFile.model_validate_json(out.read_text())
    assert content.pbx_key in second and content.pbx_name == "pbx.example.com"
    assert parse_key(content.pbx_key) == ConnectorState(tmp_path / "state").pbx_key()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_identity_and_key_stay_and_belong_to_their_user_alone(tmp_path: Path) -> None:
    first, again = ConnectorState(tmp_path / "state"), ConnectorState(tmp_path / "state")
    assert first.identity_public == again.identity_public
    assert first.sealing_public == again.sealing_public
    assert first.pbx_key() == again.pbx_key()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert modes == {"identity.pem": 0o600, "sealing.pem": 0o600, "pbx-key": 0o600}


def test_a_damaged_identity_is_not_replaced_in_silence(tmp_path: Path) -> None:
    ConnectorState(tmp_path)
    (tmp_path / "identity.pem").write_text("damaged")
    with pytest.raises(ConnectorError, match="restore it from the backup"):
        ConnectorState(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("https://pbx-teams.example.com/", "http://pbx-teams.example.com/", "service.*allow_http = true"),
        ("https://pbx-teams.example.com/", "http://192.0.2.5", "allow_http"),
        ("https://192.0.2.1", "https://user:geheim@192.0.2.1", "neither user nor password"),
        ("https://192.0.2.1", "https://192.0.2.1:port", "no address"),
        ('password = "secret"', 'password = ""', "password is empty"),
        ("enabled = false", 'callback_key = "/x"', "belong together"),
    ],
)
def test_what_would_be_unsafe_is_refused(write, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConnectorError, match=message) as raised:
        load(write(GOOD.replace(old, new)))
    assert "geheim" not in str(raised.value)


def test_what_crosses_the_network_in_clear_is_reported(write) -> None:
    quiet = load(write(GOOD))
    assert quiet.in_clear() == []
    text = GOOD.replace("https://192.0.2.1", "http://192.0.2.1").replace(
        "enabled = false", 'callback_host = "192.0.2.20"'
    )
    text = text.replace(
        'url = "https://pbx-teams.example.com/"', 'url = "http://192.0.2.9"\nallow_http = true'
    )
    link, login, events = load(write(text)).in_clear()
    assert "192.0.2.9" in link and "192.0.2.1" in login and "192.0.2.20" in events
    here = GOOD.replace("https://pbx-teams.example.com/", "http://127.0.0.1:3978")
    assert load(write(here.replace("https://192.0.2.1", "http://localhost"))).in_clear() == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_files_that_an_editor_of_windows_has_saved(
    write, tmp_path: Path, encoding: str, line_end: str
) -> None:
    secret = tmp_path / "password.txt"
    secret.write_bytes(f"pässwörd{line_end}".encode(encoding))
    path = write(GOOD.replace('password = "secret"', f'password_file = "{secret}"'))
    path.write_bytes(path.read_text().replace("\n", line_end).encode(encoding))
    assert load(path).pbx.read_password() == "pässwörd"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b" \n", "is empty"),
        ("pässwörd".encode("cp1252"), "save it as UTF-8"),
        (b"first\nsecond\n", "several lines"),
    ],
)
def test_a_password_file_that_cannot_be_right_stops_the_start(
    write, tmp_path: Path, capsys, content: bytes, message: str
) -> None:
    secret = tmp_path / "password.txt"
    secret.write_bytes(content)
    path = write(GOOD.replace('password = "secret"', f'password_file = "{secret}"'))
    assert cli.main(["--config", str(path), "run"]) == 1
    told = capsys.readouterr().err
    assert message in told and str(secret) in told and "Traceback" not in told


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_identity_and_key_survive_an_editor(tmp_path: Path, encoding: str) -> None:
    before = ConnectorState(tmp_path)
    key = before.pbx_key()
    for name in ("identity.pem", "sealing.pem", "pbx-key"):
        file = tmp_path / name
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode(encoding))
    again = ConnectorState(tmp_path)
    assert (again.identity_public, again.sealing_public) == (before.identity_public, before.sealing_public)
    assert again.pbx_key() == key


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o400])
def test_the_key_file_belongs_to_its_owner_alone_also_where_there_was_one(
    write, tmp_path: Path, mode: int
) -> None:
    out = tmp_path / "key.pbxkey"
    out.write_text("before")
    out.chmod(mode)
    assert cli.main(["--config", str(write(GOOD)), "key", "file", "--out", str(out)]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert KeyFile.model_validate_json(out.read_text()).sealed_only
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("key.pbxkey")] == ["key.pbxkey"]


def test_a_key_file_that_cannot_be_written_leaves_nothing_behind(write, tmp_path: Path, capsys) -> None:
    (tmp_path / "folder").mkdir()
    assert cli.main(["--config", str(write(GOOD)), "key", "file", "--out", str(tmp_path / "folder")]) == 1
    assert "cannot write" in capsys.readouterr().err
    assert list((tmp_path / "folder").iterdir()) == []
    assert not list(tmp_path.glob("folder.*"))


def test_pasted_licence_keys_and_codes_lose_what_came_along(write) -> None:
    text = GOOD.replace(
        'url = "https://pbx-teams', 'enrolment_code = "„ab12 cd34“"\nurl = "https://pbx-teams'
    )
    text += '\n[licences]\nkeys = ["eyJh.\\n eyJz\u200b.c2ln "]\n'
    config = load(write(text))
    assert config.service.enrolment_code == "ab12cd34"
    assert config.licences.keys == ("eyJh.eyJz.c2ln",)


def test_how_numbers_are_dialled_is_a_setting_with_defaults(write) -> None:
    assert load(write(GOOD)).telephone.model_dump() == {
        "region": "DE",
        "exit_prefix": "",
        "internal_digits": 5,
    }
    text = GOOD + '\n[telephone]\nregion = "CH"\nexit_prefix = "0"\ninternal_digits = 3\n'
    assert load(write(text)).telephone.region == "CH"
    for line in ('region = "Schweiz"', 'region = "XX"', 'exit_prefix = "+"', "internal_digits = 0"):
        wrong = GOOD + f"\n[telephone]\n{line}\n"
        number = wrong.splitlines().index(line) + 1
        with pytest.raises(ConnectorError, match=rf"line {number}: telephone\.{line.split()[0]}"):
            load(write(wrong))
