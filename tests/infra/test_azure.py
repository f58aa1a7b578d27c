"""What installs the service in Azure, as far as it can be tried without Azure: Bicep is parsed and its names are held
against each other and against the service's settings; the registration script runs against an `az` that notes what it
is asked. The Bicep compiler comes from no registry, so types of properties are not checked here.
"""

import json
import os
import re
import stat
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_bicep

from app import cli
from app.settings import TEAMS_CLIENTS, Settings
from core.store.database import PostgresAddress, address_of

AZURE = Path(__file__).parents[2] / "infra" / "azure"
BICEP = sorted(AZURE.glob("*.bicep"))
BUILT_IN = frozenset(("resourceGroup", "tenant", "subscriptionResourceId", "uniqueString", "guid"))
BUILT_IN |= {"concat", "empty", "json", "description", "secure", "minLength", "maxLength", "allowed"}
APP_ID = "b1c7a0de-5d4e-4b57-8a3d-0d6f3a9b2c10"
HOST = "pbx-teams.example.com"


def nodes(file: Path) -> list[tree_sitter.Node]:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))
    found, left = [], [parser.parse(file.read_bytes()).root_node]
    while left:
        node = left.pop()
        found.append(node)
        left += node.children
    return found


def text_of(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


@pytest.mark.parametrize("file", BICEP, ids=lambda file: file.name)
def test_bicep_is_well_formed_and_every_name_in_it_is_declared(file: Path) -> None:
    all_nodes = nodes(file)
    assert not [text_of(node) for node in all_nodes if node.is_error or node.is_missing]
    declarations = ("parameter_declaration", "variable_declaration", "resource_declaration", "for_statement")
    declared = {
        text_of(child)
        for node in all_nodes
        if node.type in declarations
        for child in node.children
        if child.type == "identifier"
    }
    keys = {
        node.children[0].start_byte
        for node in all_nodes
        if node.type in ("object_property", "output_declaration")
    }
    outputs = {
        child.start_byte
        for node in all_nodes
        if node.type == "output_declaration"
        for child in node.children
        if child.type == "identifier"
    }
    used = {
        text_of(node)
        for node in all_nodes
        if node.type == "identifier" and node.start_byte not in keys | outputs
    }
    assert used - declared - BUILT_IN == set()
    parameters = {
        text_of(next(child for child in node.children if child.type == "identifier"))
        for node in all_nodes
        if node.type == "parameter_declaration"
    }
    source = file.read_text()
    for name in parameters:
        assert len(re.findall(rf"\b{name}\b", source)) > 1, f"{name} is used"


def test_a_name_that_is_not_declared_would_be_found(tmp_path: Path) -> None:
    broken = tmp_path / "broken.bicep"
    broken.write_text((AZURE / "service.bicep").read_text().replace("id: environment.id", "id: elsewhere.id"))
    broken.write_text(
        broken.read_text().replace("environmentId: environment.id", "environmentId: elsewhere.id")
    )
    with pytest.raises(AssertionError, match="elsewhere"):
        test_bicep_is_well_formed_and_every_name_in_it_is_declared(broken)


def test_secrets_of_the_deployment_are_secure_and_in_the_vault() -> None:
    source = (AZURE / "service.bicep").read_text()
    service = "\n".join(line for line in source.splitlines() if not line.startswith("//"))
    for name in ("appPassword", "keyPepper"):
        assert re.search(rf"@secure\(\)(\n@.*)*\nparam {name} ", service), name
        assert len(re.findall(rf"\b{name}\b", service)) == 2, f"{name} goes into the vault and nowhere else"
    assert re.search(
        r"@secure\(\)(\n@.*)*\nparam postgresPassword ", (AZURE / "environment.bicep").read_text()
    )
    assert "value: appPassword" not in service.split("resource app ")[1]


def test_the_deployment_sets_what_the_service_needs_and_nothing_it_does_not_know() -> None:
    service = (AZURE / "service.bicep").read_text()
    names = set(re.findall(r"name: '(PBX_TEAMS_\w+)'", service))
    fields = {f"PBX_TEAMS_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert names <= set(fields), names - set(fields)
    required = {name for name, field in fields.items() if field.is_required()}
    assert required <= names, required - names
    assert "name: 'DATABASE_URL'" in service


def test_the_database_is_reached_from_the_services_own_network_alone_and_checked() -> None:
    source = (AZURE / "environment.bicep").read_text()
    assert "firewallRules" not in source and "0.0.0.0" not in source
    server = source.split("resource postgres ")[1].split("\nresource ")[0]
    assert "publicNetworkAccess: 'Disabled'" in server
    assert "delegatedSubnetResourceId: network::database.id" in server
    assert "privateDnsZoneArmResourceId: databaseZone.id" in server
    assert "infrastructureSubnetId: network::apps.id" in source
    (address,) = re.findall(r"value: '(postgresql[^']*)'", source)
    filled = re.sub(r"\$\{[^}]*\}", "x", address)
    server_address = address_of(filled)
    assert isinstance(server_address, PostgresAddress) and server_address.tls_mode == "verify-full"


AZ = """#!/usr/bin/env python3
import json, os, sys
state = json.load(open(os.environ["AZ_STATE"]))
call = sys.argv[1:]
def option(name):
    return call[call.index(name) + 1] if name in call else None
answer = ""
if call[:2] == ["account", "show"]:
    if state.get("signed_out"):
        sys.exit("Please run 'az login'")
    answer = "7d0a6f3e-3c1b-4d6e-9a51-2f7f0f6c1a01"
elif call[:3] == ["ad", "app", "list"]:
    answer = state.get("app", "")
elif call[:3] == ["ad", "app", "create"]:
    answer = state["app"] = "APP_ID"
elif call[:3] == ["ad", "app", "show"]:
    answer = state.get("scope", "") if "oauth2" in option("--query") else "object-id"
elif call[:2] == ["rest", "--method"]:
    body = json.loads(option("--body"))
    state.setdefault("patches", []).append(body)
    for scope in body.get("api", {}).get("oauth2PermissionScopes", []):
        state["scope"] = scope["id"]
elif call[:3] == ["ad", "sp", "show"]:
    if not state.get("sp"):
        sys.exit(3)
elif call[:3] == ["ad", "sp", "create"]:
    state["sp"] = True
elif call[:4] == ["ad", "app", "credential", "reset"]:
    state["secrets"] = state.get("secrets", 0) + 1
    answer = f"the-secret-{state['secrets']}"
else:
    sys.exit(f"not expected: {call}")
json.dump(state, open(os.environ["AZ_STATE"], "w"))
print(answer)
""".replace("APP_ID", APP_ID)


class Azure:
    """A directory without an app, and the script in front of it."""

    def __init__(self, directory: Path) -> None:
        self.state_file = directory / "state.json"
        self.state_file.write_text("{}")
        self.out = directory / "app.env"
        az = directory / "bin" / "az"
        az.parent.mkdir()
        az.write_text(AZ)
        az.chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{az.parent}:{os.environ['PATH']}",
            "AZ_STATE": str(self.state_file),
        }

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.state_file.read_text())

    def run(self, *arguments: str, expected: int = 0) -> str:
        done = subprocess.run(
            [AZURE / "register-app.sh", *arguments, "--out", self.out],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout + done.stderr

    def written(self) -> dict[str, str]:
        lines = self.out.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    return Azure(tmp_path)


def test_the_registration_lets_teams_sign_people_in(azure: Azure, tmp_path: Path) -> None:
    told = azure.run(HOST)
    first, second = azure.state["patches"]
    assert first["identifierUris"] == [f"api://{HOST}/{APP_ID}"] and first["signInAudience"] == "AzureADMyOrg"
    (scope,) = first["api"]["oauth2PermissionScopes"]
    assert scope["value"] == "access_as_user" and scope["isEnabled"]
    assert first["api"]["requestedAccessTokenVersion"] == 2 and first["requiredResourceAccess"] == []
    clients = second["api"]["preAuthorizedApplications"]
    assert "1fec8e78-bce4-4aaf-ab1b-5451cc387264" in [client["appId"] for client in clients]
    assert {tuple(client["delegatedPermissionIds"]) for client in clients} == {(scope["id"],)}
    assert tuple(client["appId"] for client in clients) == TEAMS_CLIENTS, "whom the service takes tokens of"
    claims = {claim["name"] for claim in first["optionalClaims"]["accessToken"]}
    assert claims == {"acct", "email", "verified_primary_email", "xms_edov"}
    assert first["groupMembershipClaims"] == "DirectoryRole", "wids"
    assert "the-secret" not in told, "the secret is in the file, not on the screen"
    assert stat.S_IMODE(azure.out.stat().st_mode) == 0o600
    # What it writes is what the package is made of.
    arguments = ["manifest", "build", "--settings", str(azure.out), "--out", str(tmp_path / "app.zip")]
    assert cli.main(arguments) == 0


def test_the_last_day_of_the_secret_is_reported_and_kept(azure: Azure) -> None:
    said = re.search(r"The client secret ends on (\d{4}-\d\d-\d\d)", azure.run(HOST))
    assert said is not None
    assert 360 < (date.fromisoformat(said[1]) - datetime.now(UTC).date()).days < 370
    line = f"# The client secret ends on {said[1]}"
    assert line in azure.out.read_text()
    azure.run(HOST)
    assert line in azure.out.read_text(), "it is the same secret"
    azure.run(HOST, "--no-secret")
    assert "ends on" not in azure.out.read_text()


def test_the_bot_has_no_channel_but_teams() -> None:
    service = (AZURE / "service.bicep").read_text()
    assert re.findall(r"channelName: '(\w+)'", service) == ["MsTeamsChannel"]
    assert "disableLocalAuth: true" in service
    guide = (AZURE.parents[1] / "docs" / "install.md").read_text()
    assert "WebChatChannel DirectLineChannel" in guide


def test_doing_it_twice_changes_nothing(azure: Azure) -> None:
    azure.run(HOST)
    before = azure.written()
    azure.run(HOST)
    assert azure.written() == before and azure.state["secrets"] == 1
    first, _, again, _ = azure.state["patches"]
    assert first == again, "the scope keeps its id"
    azure.run(HOST, "--new-secret")
    assert azure.written()["PBX_TEAMS_APP_PASSWORD"] == "the-secret-2"


def test_what_can_be_chosen(azure: Azure) -> None:
    told = azure.run(HOST, "--multi-tenant", "--no-secret", "--call-records")
    patch = azure.state["patches"][0]
    assert patch["signInAudience"] == "AzureADMultipleOrgs"
    assert patch["requiredResourceAccess"][0]["resourceAccess"][0]["type"] == "Role"
    assert "admin-consent" in told and "secrets" not in azure.state
    assert "PBX_TEAMS_APP_PASSWORD" not in azure.written()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "register-app.sh HOST"),
        (("https://pbx-teams.example.com",), "without https://"),
        (("pbx-teams.example.com/tab",), "without a path"),
        ((HOST, "other.example.com"), "one HOST alone"),
        ((HOST, "--nonsense"), "unknown option --nonsense"),
    ],
)
def test_mistakes_are_reported_before_anything_is_done(
    azure: Azure, arguments: tuple[str, ...], word: str
) -> None:
    assert word in azure.run(*arguments, expected=1)
    assert azure.state == {} and not azure.out.exists()


def test_who_is_not_signed_in_is_informed_how(azure: Azure) -> None:
    azure.state_file.write_text('{"signed_out": true}')
    assert "az login" in azure.run(HOST, expected=1)
