"""A simulated Entra ID and Bot Framework login: metadata, signing keys, token endpoints.

Tokens have the shape that Teams SSO and the channel service issue. What Teams itself does with Microsoft's cloud
(getting a token for the user of the tab, signing the channel's activities) is available under `/control/`.
"""

import base64
import secrets
import time
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator import graph
from simulator.people import APP_ID, APP_SECRET, PEOPLE, TENANT_ID, by_object_id

TOKEN_SECONDS: Final = 3600
ENDORSED: Final = ("msteams", "webchat", "directline")
"""The channels for which the signing key is valid; Microsoft's keys are also valid for several."""
CHANNEL_ISSUER: Final = "https://api.botframework.com"
_ON_BEHALF_OF: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class SigningKey:
    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_urlsafe(16)

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Sign a JWT. `header` overrides header members, or removes those whose value is None."""
        members = {name: value for name, value in ({"kid": self.kid} | header).items() if value is not None}
        return jwt.encode(claims, self._private, algorithm="RS256", headers=members)

    def jwk(self, **more: Any) -> dict[str, Any]:
        numbers = self._private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": _base64url(numbers.n),
            "e": _base64url(numbers.e),
            **more,
        }

    def verified(self, token: str) -> dict[str, Any] | None:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._private.public_key(), algorithms=["RS256"], options={"verify_aud": False}
            )
        except jwt.PyJWTError:
            return None
        return claims


class Entra:
    def __init__(self, public_url: str) -> None:
        self.public_url = public_url
        self.users = SigningKey()
        self.channel = SigningKey()
        self.roles: tuple[str, ...] = ()
        """Application permissions with the consent of the tenant's administrator."""
        self.secret_expired = False

    def sso_token(self, object_id: str, audience: str, seconds: int = TOKEN_SECONDS) -> str:
        """Create the token that `authentication.getAuthToken` returns to a tab."""
        person, now = by_object_id(object_id), int(time.time())
        return self.users.sign(
            {
                "aud": audience,
                "iss": f"{self.public_url}/{TENANT_ID}/v2.0",
                "iat": now,
                "nbf": now,
                "exp": now + seconds,
                "azp": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
                "azpacr": "0",
                "name": person.name,
                "oid": person.object_id,
                "preferred_username": person.email,
                # Requested by infra/azure/register-app.sh. Microsoft documents that they are in the access token
                # (optional claims reference; `wids` by groupMembershipClaims); that verified_primary_email is a
                # list and xms_edov a boolean is assumed from published tokens.
                "acct": 0,
                "email": person.email,
                "verified_primary_email": [person.email],
                "wids": list(person.directory_roles),
                "xms_edov": True,
                "scp": "access_as_user",
                "sub": secrets.token_urlsafe(32),
                "tid": TENANT_ID,
                "uti": secrets.token_urlsafe(16),
                "ver": "2.0",
            }
        )

    def channel_token(self, audience: str, service_url: str) -> str:
        """Create the token with which the channel service signs an activity for a bot."""
        now = int(time.time())
        return self.channel.sign(
            {
                "serviceurl": service_url,
                "iss": CHANNEL_ISSUER,
                "aud": audience,
                "nbf": now,
                "exp": now + TOKEN_SECONDS,
            }
        )

    def app_token(self, app_id: str, audience: str) -> str:
        now = int(time.time())
        roles = {"roles": list(self.roles)} if audience.endswith("/graph") and self.roles else {}
        return self.users.sign(
            roles
            | {
                "aud": audience,
                "iss": f"{self.public_url}/{TENANT_ID}/v2.0",
                "iat": now,
                "nbf": now,
                "exp": now + TOKEN_SECONDS,
                "appid": app_id,
                "azp": app_id,
                "idtyp": "app",
                "tid": TENANT_ID,
                "ver": "2.0",
            }
        )


def create(public_url: str) -> web.Application:
    entra = Entra(public_url)

    async def metadata(request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        base = f"{public_url}/{tenant}"
        issuer_tenant = "{tenantid}" if tenant in ("common", "organizations") else tenant
        return web.json_response(
            {
                "issuer": f"{public_url}/{issuer_tenant}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code", "id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def keys(_request: web.Request) -> web.Response:
        issuer = f"{public_url}/{{tenantid}}/v2.0"
        return web.json_response({"keys": [entra.users.jwk(issuer=issuer)]})

    async def channel_metadata(_request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": CHANNEL_ISSUER,
                "jwks_uri": f"{public_url}/botframework/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def channel_keys(_request: web.Request) -> web.Response:
        return web.json_response({"keys": [entra.channel.jwk(endorsements=ENDORSED)]})

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        if entra.secret_expired:
            return _error(401, "invalid_client", _EXPIRED)
        if (form.get("client_id"), form.get("client_secret")) != _client(request, form):
            return _error(401, "invalid_client")
        scope = str(form.get("scope", ""))
        match form.get("grant_type"):
            case "client_credentials":
                audience = scope.split(" ", maxsplit=1)[0].removesuffix("/.default")
                return _token(entra.app_token(APP_ID, audience), scope)
            case grant if grant == _ON_BEHALF_OF:
                claims = entra.users.verified(str(form.get("assertion", "")))
                if claims is None or "oid" not in claims:
                    return _error(400, "invalid_grant")
                now = int(time.time())
                onward = claims | {
                    "aud": "https://graph.microsoft.com",
                    "scp": scope,
                    "exp": now + TOKEN_SECONDS,
                }
                return _token(entra.users.sign(onward), scope)
        return _error(400, "unsupported_grant_type")

    async def managed_identity(request: web.Request) -> web.Response:
        """Serve the endpoint that App Service and Container Apps offer to a managed identity."""
        if request.headers.get("X-IDENTITY-HEADER") != APP_SECRET:
            return _error(401, "invalid_request")
        audience = request.query.get("resource", "")
        expires = int(time.time()) + TOKEN_SECONDS
        return web.json_response(
            {
                "access_token": entra.app_token(request.query.get("client_id", ""), audience),
                "expires_on": str(expires),
                "resource": audience,
                "token_type": "Bearer",
            }
        )

    async def sso(request: web.Request) -> web.Response:
        body = await request.json()
        audience = body.get("audience", APP_ID)
        return web.json_response(
            {"token": entra.sso_token(body["objectId"], audience, int(body.get("seconds", TOKEN_SECONDS)))}
        )

    async def sign(request: web.Request) -> web.Response:
        """Sign any claims with the users' key or the channel's key, to create invalid tokens."""
        body = await request.json()
        key = entra.channel if body.get("key") == "channel" else entra.users
        return web.json_response(
            {"token": key.sign(body["claims"], **body.get("header", {})), "kid": key.kid}
        )

    async def sign_channel(request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response(
            {"token": entra.channel_token(body.get("audience", APP_ID), body["serviceUrl"])}
        )

    async def index(_request: web.Request) -> web.Response:
        return web.json_response({"tenant": TENANT_ID, "people": [person.name for person in PEOPLE]})

    app = web.Application()
    graph.add_routes(app, entra)
    app.router.add_get("/", index)
    app.router.add_get("/botframework/.well-known/openidconfiguration", channel_metadata)
    app.router.add_get("/botframework/keys", channel_keys)
    app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", metadata)
    app.router.add_get("/{tenant}/discovery/v2.0/keys", keys)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", token)
    app.router.add_get("/msi/token", managed_identity)

    async def set_secret(request: web.Request) -> web.Response:
        """`{"expired": true}`: treat the app's client secret as expired from now on."""
        entra.secret_expired = bool((await request.json())["expired"])
        return web.json_response({})

    app.router.add_put("/control/secret", set_secret)
    app.router.add_post("/control/sso", sso)
    app.router.add_post("/control/channel-token", sign_channel)
    app.router.add_post("/control/sign", sign)
    return app


def _client(request: web.Request, form: Any) -> tuple[str, str]:
    """Authenticate the registered client by form or by HTTP Basic; Entra accepts both."""
    header = request.headers.get("Authorization", "")
    if header.startswith("Basic "):
        basic = base64.b64decode(header[6:]).decode()
        if basic == f"{APP_ID}:{APP_SECRET}":
            return form.get("client_id"), form.get("client_secret")
    return APP_ID, APP_SECRET


def _token(token: str, scope: str) -> web.Response:
    return web.json_response(
        {"token_type": "Bearer", "scope": scope, "expires_in": TOKEN_SECONDS, "access_token": token}
    )


_EXPIRED: Final = (
    f"AADSTS7000222: The provided client secret keys for app '{APP_ID}' are expired. Create new keys for your app in"
    " Azure Portal, or consider using certificate credentials for added security."
)


def _error(status: int, code: str, description: str = "") -> web.Response:
    return web.json_response({"error": code, "error_description": description or code}, status=status)


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
