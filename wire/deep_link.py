"""Deep links into the tab (learn.microsoft.com, "Create deep links to a tab")."""

import json
from urllib.parse import quote


def deep_link(teams_app_id: str, page: str) -> str:
    """Return the deep link to a page of the personal tab, for instance `security`."""
    context = quote(json.dumps({"subEntityId": page}, separators=(",", ":")))
    return f"https://teams.microsoft.com/l/entity/{teams_app_id}/home?context={context}"
