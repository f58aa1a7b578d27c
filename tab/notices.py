"""The operations of the tab API about the bot's messages: which ones a user wants, and their quiet hours."""

from typing import Final

from core.signin.preferences import Topic
from tab.operation import Call, Operation
from wire.tab import NoticeSettings, NoticeSettingsState, UnreachableReason


async def get_notices(call: Call) -> NoticeSettingsState:
    preferences = await call.services.preferences.get(call.user.key)
    reason = await unreachable_reason(call)
    return NoticeSettingsState(
        muted=sorted(topic.value for topic in preferences.muted),
        quiet=preferences.quiet,
        quiet_from=preferences.quiet_from,
        quiet_until=preferences.quiet_until,
        time_zone=preferences.time_zone,
        reachable=reason is None,
        unreachable_reason=reason,
    )


async def unreachable_reason(call: Call) -> UnreachableReason | None:
    """Return why the bot cannot write to this person, or None if it can."""
    conversation = await call.services.conversations.get(*call.user.key)
    if conversation is None:
        return "no-chat"
    if conversation.closed is not None:
        return conversation.closed.value
    return None if call.services.bot_can_write() else "service"


async def put_notices(call: Call) -> NoticeSettingsState:
    body = call.body
    await call.services.preferences.put_notices(
        call.user.key,
        frozenset(map(Topic, body.muted)),
        quiet=body.quiet,
        hours=(body.quiet_from, body.quiet_until),
    )
    return await get_notices(call)


NOTICE_OPERATIONS: Final = (
    Operation(
        id="getNotices",
        method="GET",
        path="/api/v1/notices",
        summary="Get which notices the bot sends me, and my quiet hours",
        run=get_notices,
        answer=NoticeSettingsState,
    ),
    Operation(
        id="putNotices",
        method="PUT",
        path="/api/v1/notices",
        summary="Set which notices the bot sends me, and my quiet hours",
        run=put_notices,
        answer=NoticeSettingsState,
        body=NoticeSettings,
    ),
)
