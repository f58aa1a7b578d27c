"""The operations of the tab API about the bot's messages: which ones a person wants, and when it is night."""

from typing import Final

from core.signin.preferences import Topic
from tab.operation import Call, Operation
from wire.tab import NoticeSettings, NoticeSettingsState


async def get_notices(call: Call) -> NoticeSettingsState:
    preferences = await call.services.preferences.of(call.user.key)
    return NoticeSettingsState(
        muted=sorted(topic.value for topic in preferences.muted),
        quiet=preferences.quiet,
        quiet_from=preferences.quiet_from,
        quiet_until=preferences.quiet_until,
        time_zone=preferences.time_zone,
        reachable=await call.services.conversations.of(*call.user.key) is not None,
    )


async def put_notices(call: Call) -> NoticeSettingsState:
    wish = call.body
    await call.services.preferences.put_notices(
        call.user.key,
        frozenset(map(Topic, wish.muted)),
        quiet=wish.quiet,
        hours=(wish.quiet_from, wish.quiet_until),
    )
    return await get_notices(call)


NOTICE_OPERATIONS: Final = (
    Operation(
        "getNotices",
        "GET",
        "/api/v1/notices",
        "Which messages the bot writes to me first, and when it is night for me",
        get_notices,
        NoticeSettingsState,
    ),
    Operation(
        "putNotices",
        "PUT",
        "/api/v1/notices",
        "Decides that",
        put_notices,
        NoticeSettingsState,
        NoticeSettings,
    ),
)
