"""The connector's configuration: errors name the line and the next step; commands end clearly."""

import stat
from pathlib import Path

import pytest

from connector import cli
from connector.config import load
from connector.errors import ConnectorError
from connector.state import State
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
    ],
)
def test_errors_name_the_line(write, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConnectorError, match=message.replace(".", r"\.")):
        load(write(GOOD.replace(old, new)))


def test_a_missing_file_is_told_without_a_traceback(tmp_path: Path, capsys) -> None:
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
    assert parse_key(content.pbx_key) == State(tmp_path / "state").pbx_key()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_identity_and_key_stay_and_belong_to_their_user_alone(tmp_path: Path) -> None:
    first, again = State(tmp_path / "state"), State(tmp_path / "state")
    assert first.identity_public == again.identity_public
    assert first.sealing_public == again.sealing_public
    assert first.pbx_key() == again.pbx_key()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert modes == {"identity.pem": 0o600, "sealing.pem": 0o600, "pbx-key": 0o600}


def test_a_damaged_identity_is_not_replaced_in_silence(tmp_path: Path) -> None:
    State(tmp_path)
    (tmp_path / "identity.pem").write_text("damaged")
    with pytest.raises(ConnectorError, match="restore it from the backup"):
        State(tmp_path)
