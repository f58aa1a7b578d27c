"""The bot's settings.

The app type is an enum here, because the SDK treats a misspelt type as MultiTenant and an empty app id as "no
authentication".
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
    """For instance `https://login.microsoftonline.com`, without a trailing slash."""
    oauth_scope: str
    tab_url: str
    """URL of the tab, ending in `/tab/`."""
    teams_app_id: str
    allowed_tenants: frozenset[str] = frozenset()
    """Microsoft tenants whose members the bot answers; empty for any."""
    channel_hosts: frozenset[str] = frozenset()
    """Hosts that the bot may send its token to, in addition to Microsoft's known ones (`bot.channel.ChannelHosts`)."""
