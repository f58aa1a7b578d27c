"""A connector of the first version (0.1.0 as released): the current one, restricted to that version's protocol.

It offers only the first subprotocol, reports no capabilities, rejects unknown members, and passes on the PBX's own
nonce, whose answer then crosses the service unsealed.
"""

import sys
from typing import Any

import connector.hello
import connector.link
from connector.cli import main
from connector.methods import PbxMethods
from wire.jsonrpc import RpcRefusalError
from wire.link import (
    LOGIN,
    SUBPROTOCOL,
    ChallengeProof,
    Credentials,
    LoginChallenge,
    LoginMethod,
    LoginParams,
    PbxUser,
    SealedChallengeProof,
)
from wire.model import Empty


async def _login_challenge(methods: PbxMethods, params: dict[str, Any]) -> LoginChallenge:
    Empty.model_validate(params)
    login_type, nonce = await methods._rest.login_challenge()
    if login_type == "Internal":
        return LoginChallenge(method=LoginMethod.CHALLENGE, nonce=nonce)
    return LoginChallenge(method=LoginMethod.SEALED, nonce=methods.new_nonce())


async def _login(methods: PbxMethods, params: dict[str, Any]) -> PbxUser:
    login = LoginParams.model_validate(params)
    proof = login.proof
    if isinstance(proof, SealedChallengeProof):
        raise RpcRefusalError("protocol-error")
    if isinstance(proof, ChallengeProof):
        return await methods._rest.prove_challenge(proof.nonce, proof.secret)
    _, credentials = methods.open_sealed(
        nonce=proof.nonce,
        box=proof.box,
        tenant_id=login.tenant_id,
        object_id=login.object_id,
        purpose=LOGIN,
        kind=Credentials,
    )
    return await methods._rest.prove_password(credentials.login, credentials.password)


if __name__ == "__main__":
    connector.hello.__version__ = "0.1.0"  # type: ignore[misc]
    connector.link.SUBPROTOCOLS = (SUBPROTOCOL,)  # type: ignore[misc]
    PbxMethods._login_challenge = _login_challenge  # type: ignore[method-assign]
    PbxMethods._login = _login  # type: ignore[method-assign]
    sys.exit(main())
