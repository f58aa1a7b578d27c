"""Settings of a service."""

from typing import Any

from app.settings import Settings
from simulator.people import APP_ID, TEAMS_APP_ID, TENANT_ID


def make_settings(public_url: str, **changes: Any) -> Settings:
    """Return settings without a database or a network."""
    given: dict[str, Any] = {
        "public_url": public_url, "key_pepper": "x" * 32, "app_id": APP_ID, "app_tenant_id": TENANT_ID,
        "app_password": "secret", "teams_app_id": TEAMS_APP_ID,
    }  # fmt: skip
    return Settings(**given, **changes)
