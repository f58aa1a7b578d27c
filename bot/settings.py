"""What the bot must be told. Both app types are checked here, because the SDK takes an empty app id for "no
authentication" and a misspelt type for MultiTenant.
"""

from dataclasses import dataclass
from enum import StrEnum


class BotAppType(StrEnum):
    SINGLE_TENANT = "SingleTenant"
    USER_ASSIGNED_MSI = "UserAssignedMSI"


@dataclass(frozen=True, slots=True)
class BotSettings:
    app_id: str
    app_type: BotAppType
    tenant_id: str
    app_password: str
    """Empty for a managed identity."""
    authority: str
    """`https://login.microsoftonline.com`, without a final slash."""
    oauth_scope: str
    tab_url: str
    """Address of the tab, ending in `/tab/`."""
    teams_app_id: str
    allowed_tenants: frozenset[str] = frozenset()
    """Microsoft tenants whose people the bot answers; empty: any."""
    channel_hosts: frozenset[str] = frozenset()
    """Hosts that the bot sends its token to, beside Microsoft's known ones (`bot.channel.ChannelHosts`)."""
