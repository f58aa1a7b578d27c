"""The keys of an issuer that serves many tenants: one that is odd costs itself alone, and each keeps to its issuer."""

import warnings
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from core.identity.signing_keys import KeysUnavailableError, SigningKeys
from core.identity.tokens import TokenFault, TokenRejectedError
from simulator.entra import SigningKey
from tests.support.issuer import AUTHORITY, HOME_TENANT, PERSON_ID, TEAMS_CLIENT_ID, Issuer, sign_token

ELSEWHERE = "99999999-9999-4999-8999-999999999999"


ODD: list[Any] = [
    {"kty": "RSA", "kid": "no-numbers"},
    {"kty": "RSA", "kid": "not-base64", "n": "@@", "e": "AQAB"},
    {"kty": "RSA", "kid": "a-number", "n": 5, "e": "AQAB"},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    {"kty": "EC", "kid": "another-kind", "crv": "P-256", "x": "", "y": ""},
    {"kty": "oct", "kid": "a-secret", "k": "c2VjcmV0"},
    {"kid": "nothing"},
    {},
    "text",
    None,
    [],
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_one_odd_key_does_not_fail_the_others(issuer: Issuer, odd: Any) -> None:
    key = SigningKey()
    issuer.document = {"keys": [odd, key.jwk(), odd]}
    assert (await issuer.validator().validate(sign_token(key))).user.object_id == PERSON_ID


@pytest.mark.parametrize("document", [{"keys": []}, {"keys": ODD}, {"keys": None}, [], "text", None])
async def test_a_document_without_a_good_key_takes_the_old_ones_away_from_nobody(
    issuer: Issuer, document: Any
) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    validator = issuer.validator()
    await validator.validate(sign_token(key))
    issuer.document = document
    await validator.keys.refresh()
    assert (await validator.validate(sign_token(key))).user.object_id == PERSON_ID
    with pytest.raises(KeysUnavailableError):
        await issuer.validator().validate(sign_token(key))


async def test_a_key_signs_for_its_own_issuer_alone(issuer: Issuer) -> None:
    everybodys, homes, elsewheres = SigningKey(), SigningKey(), SigningKey()
    issuer.document = {
        "keys": [
            everybodys.jwk(issuer=f"{AUTHORITY}/{{tenantid}}/v2.0"),
            homes.jwk(issuer=f"{AUTHORITY}/{HOME_TENANT}/v2.0"),
            elsewheres.jwk(issuer=f"{AUTHORITY}/{ELSEWHERE}/v2.0"),
        ]
    }
    validator = issuer.validator()
    for key in (everybodys, homes):
        assert (await validator.validate(sign_token(key))).user.tenant_id == HOME_TENANT
        version_1 = sign_token(
            key, iss=f"https://sts.windows.net/{HOME_TENANT}/", azp=None, appid=TEAMS_CLIENT_ID
        )
        assert (await validator.validate(version_1)).user.tenant_id == HOME_TENANT
    for tenant, key in ((HOME_TENANT, elsewheres), (ELSEWHERE, homes)):
        with pytest.raises(TokenRejectedError) as rejected:
            await validator.validate(sign_token(key, tenant))
        assert rejected.value.fault is TokenFault.WRONG_KEY_ISSUER


@pytest.mark.parametrize(
    "named",
    [
        {"azp": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"},
        {"azp": None, "appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"},
        {"appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"},
        {"azp": [TEAMS_CLIENT_ID]},
        {"azp": ""},
    ],
)
async def test_a_token_made_for_another_program_is_refused(issuer: Issuer, named: dict[str, Any]) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    with pytest.raises(TokenRejectedError) as rejected:
        await issuer.validator().validate(sign_token(key, **named))
    assert rejected.value.fault is TokenFault.WRONG_CLIENT


@pytest.mark.parametrize(("bits", "is_good"), [(1024, False), (2048, True)])
async def test_a_short_key_signs_nothing(issuer: Issuer, bits: int, is_good: bool) -> None:
    weak, strong = SigningKey(), SigningKey()
    weak._private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    issuer.document = {"keys": [weak.jwk(), strong.jwk()]}
    validator = issuer.validator()
    await validator.validate(sign_token(strong))
    with warnings.catch_warnings(action="ignore", category=jwt.InsecureKeyLengthWarning):
        signed = sign_token(weak)
    if is_good:
        await validator.validate(signed)
        return
    with pytest.raises(TokenRejectedError) as refused:
        await validator.validate(signed)
    assert refused.value.fault is TokenFault.UNKNOWN_KEY_ID


async def test_keys_without_tls_are_refused_where_the_metadata_has_it() -> None:
    """Anyone who can change what crosses in clear would decide whose tokens are good."""
    keys = SigningKeys(metadata_url="https://login.example.com/metadata")
    assert keys.may_lead_to("https://elsewhere.example.com/keys")
    assert not keys.may_lead_to("http://login.example.com/keys")
    assert not keys.may_lead_to("file:///etc/keys")
    assert SigningKeys(metadata_url="http://127.0.0.1:1/metadata").may_lead_to("http://127.0.0.1:1/keys")
