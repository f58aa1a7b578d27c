"""A signature is checked once for each token; what is known of a token ends with it, with its key, and with its place."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from core.identity.known_tokens import MAX_TOKENS_PER_OWNER, KnownTokens
from core.identity.signing_keys import SigningKeys
from core.identity.tokens import ChannelTokenValidator, TabTokenValidator, TokenFault, TokenRejectedError
from simulator.entra import SigningKey
from tests.support.issuer import HOME_TENANT, PERSON_ID, Issuer, sign_token

CHANNEL = "https://smba.example.com/teams"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The tokens whose signatures PyJWT was asked to check."""
    found: list[str] = []
    decode = jwt.decode

    def counting(given: str, *arguments: Any, **options: Any) -> Any:
        found.append(given)
        return decode(given, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    yield found


async def rejected(validator: TabTokenValidator, given: str) -> TokenFault:
    with pytest.raises(TokenRejectedError) as refused:
        await validator.validate(given)
    return refused.value.fault


async def test_a_token_is_checked_once(issuer: Issuer, checks: list[str]) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    validator = issuer.validator()
    mine, others = sign_token(key, name="Anna"), sign_token(key, oid=PERSON_ID.replace("1", "2"))
    first = await validator.validate(mine)
    assert [await validator.validate(mine) for _ in range(5)] == [first] * 5
    assert (await validator.validate(others)).user.object_id != first.user.object_id
    assert (first.user.name, first.raw) == ("Anna", mine.removeprefix("Bearer "))
    assert len(checks) == 2


async def test_a_known_token_is_refused_once_it_has_expired(issuer: Issuer) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    validator = issuer.validator()
    ends = int(time.time()) - 57  # with the leeway of a minute it is good for some seconds more
    given = sign_token(key, exp=ends, iat=ends - 600, nbf=ends - 600)
    await validator.validate(given)
    assert len(validator.known) == 1
    until = time.monotonic() + 20
    while time.time() < ends + 60:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    assert await rejected(validator, given) is TokenFault.EXPIRED
    assert len(validator.known) == 0


async def test_a_known_token_is_refused_once_its_key_is_withdrawn(issuer: Issuer, checks: list[str]) -> None:
    old, new = SigningKey(), SigningKey()
    issuer.document = {"keys": [old.jwk(), new.jwk()]}
    validator = issuer.validator()
    before, after = sign_token(old), sign_token(new)
    await validator.validate(before)
    await validator.validate(after)
    issuer.document = {"keys": [new.jwk()]}
    await validator.keys.refresh()
    assert await rejected(validator, before) is TokenFault.UNKNOWN_KEY_ID
    checks.clear()
    await validator.validate(after)
    await validator.validate(after)
    assert len(checks) == 1  # the keys are new ones, so that it was looked at once again


async def test_a_known_token_is_refused_once_another_key_has_the_id_of_its_own(issuer: Issuer) -> None:
    old, new = SigningKey(), SigningKey()
    issuer.document = {"keys": [old.jwk()]}
    validator = issuer.validator()
    given = sign_token(old)
    await validator.validate(given)
    issuer.document = {"keys": [new.jwk() | {"kid": old.kid}]}
    await validator.keys.refresh()
    assert await rejected(validator, given) is TokenFault.BAD_SIGNATURE


async def test_a_refused_token_is_never_known(issuer: Issuer, checks: list[str]) -> None:
    key, stranger = SigningKey(), SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    validator = issuer.validator()
    stranger.kid = key.kid
    bad = {
        sign_token(stranger): TokenFault.BAD_SIGNATURE,
        sign_token(key, aud="another"): TokenFault.WRONG_AUDIENCE,
        sign_token(key, iss="https://login.example.com/x/v2.0"): TokenFault.WRONG_ISSUER,
        sign_token(key, scp="other"): TokenFault.MISSING_SCOPE,
        sign_token(key, azp="another"): TokenFault.WRONG_CLIENT,
    }
    for given, fault in bad.items():
        assert {await rejected(validator, given) for _ in range(3)} == {fault}
    assert len(validator.known) == 0
    assert len(checks) == 3 * len(bad)
    good = sign_token(key)
    await validator.validate(good)
    # One letter of the signature is another: a token of its own.
    assert await rejected(validator, good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:])


async def test_one_persons_tokens_push_out_only_their_own(issuer: Issuer, checks: list[str]) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    validator = issuer.validator()
    quiet = sign_token(key)
    await validator.validate(quiet)
    busy = [
        sign_token(key, oid=PERSON_ID.replace("1", "2"), uti=str(number))
        for number in range(3 * MAX_TOKENS_PER_OWNER)
    ]
    for given in busy:
        await validator.validate(given)
    assert len(validator.known) == 1 + MAX_TOKENS_PER_OWNER
    checks.clear()
    await validator.validate(quiet)
    assert not checks
    await validator.validate(busy[0])
    assert len(checks) == 1


async def test_what_is_known_is_bounded(issuer: Issuer) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk()]}
    keys = SigningKeys(jwks_url=issuer.url)
    known: KnownTokens[int] = KnownTokens(max_tokens=10)
    (published,) = [await keys.get(key.kid)]
    assert published is not None
    claims = {"exp": int(time.time()) + 60}
    for number in range(30):
        known.keep(f"token {number}", key.kid, published, claims, number, number)
        if number:
            assert await known.find("token 0", keys) == 0  # used again and again, so it stays
    assert len(known) == 10
    assert await known.find("token 15", keys) is None
    assert await known.find("token 29", keys) == 29


async def test_a_known_token_of_the_channel_is_still_for_one_channel_and_address(
    issuer: Issuer, checks: list[str]
) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk(endorsements=["msteams"])]}
    validator = ChannelTokenValidator(SigningKeys(jwks_url=issuer.url), "app", "https://api.example.com")
    given = sign_token(key, iss="https://api.example.com", serviceurl=CHANNEL)
    claims = await validator.validate(given, channel_id="msteams", service_url=CHANNEL)
    claims["changed"] = "by a thief"
    assert "changed" not in await validator.validate(given, channel_id="msteams", service_url=CHANNEL)
    for channel, url, fault in (
        ("webchat", CHANNEL, TokenFault.NOT_ENDORSED),
        ("msteams", "https://evil.example.com", TokenFault.WRONG_SERVICE_URL),
    ):
        with pytest.raises(TokenRejectedError) as refused:
            await validator.validate(given, channel_id=channel, service_url=url)
        assert refused.value.fault is fault
    assert len(checks) == 1


async def test_a_tab_token_is_no_token_of_the_channel(issuer: Issuer) -> None:
    key = SigningKey()
    issuer.document = {"keys": [key.jwk(endorsements=["msteams"])]}
    tab = issuer.validator()
    channel = ChannelTokenValidator(tab.keys, "app", "https://api.example.com")
    given = sign_token(key, tenant=HOME_TENANT)
    await tab.validate(given)
    with pytest.raises(TokenRejectedError) as refused:
        await channel.validate(given, channel_id="msteams", service_url=CHANNEL)
    assert refused.value.fault is TokenFault.WRONG_ISSUER
