"""Validates activities of the channel before the SDK sees them, and rebuilds them from the members that the bot reads.

Other members are dropped, and an unusable optional member counts as missing. So no content reaches the SDK's own parsers
that could make them fail. Schema:
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#activity-object
"""

import re
from typing import Annotated, Any, Final, Literal

from botbuilder.schema import Activity, ActivityTypes, ChannelAccount, ConversationAccount
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    computed_field,
)
from pydantic.alias_generators import to_camel

from bot.commands import MAX_TEXT
from bot.numbers_in_text import MAX_TEXT as MAX_MESSAGE
from wire import safejson
from wire.bounds import clean_line
from wire.faults import faults_of

_TIME_ZONE: Final = re.compile(r"[A-Za-z0-9_+/-]{1,64}")
_LOCALE: Final = re.compile(r"[A-Za-z0-9-]{1,20}")


class ActivityRejectedError(Exception):
    """The body is not a valid activity. The message says what is wrong without quoting the content."""


def _text(longest: int) -> BeforeValidator:
    return BeforeValidator(
        lambda value: clean_line(value[:longest], longest) if isinstance(value, str) else ""
    )


def _matching(pattern: re.Pattern[str]) -> BeforeValidator:
    def text_or_nothing(value: object) -> str:
        return value if isinstance(value, str) and pattern.fullmatch(value) else ""

    return BeforeValidator(text_or_nothing)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID and clean_line(value, MAX_ID) == value


def _part_of_an_address(value: str) -> str:
    if value in (".", "..") or not _is_id(value):
        raise ValueError("no id")
    return value


FIND_NUMBERS, OPEN_ACTION = "composeExtension/query", "composeExtension/fetchTask"
SUBMIT_ACTION: Final = "composeExtension/submitAction"
"""`FIND_NUMBERS`, `OPEN_ACTION` and `SUBMIT_ACTION` are the invokes of the message extension (`bot.extension`)."""
MAX_ID: Final = 500
Id = Annotated[str, AfterValidator(_part_of_an_address)]
OptionalId = Annotated[str, BeforeValidator(lambda value: value if _is_id(value) else "")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]
ObjectOrNothing = BeforeValidator(lambda value: value if isinstance(value, dict) else {})


def _few_objects(value: object) -> object:
    return [one for one in value[:5] if isinstance(one, dict)] if isinstance(value, list) else []


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


class _Sender(_Model):
    id: Id
    name: Annotated[str, _text(200)] = ""
    aad_object_id: Annotated[str, _text(100)] = ""


class _Recipient(_Model):
    id: Id


class _Chat(_Model):
    id: Id
    conversation_type: Annotated[str, _text(30)] = ""
    is_group: Annotated[bool, BeforeValidator(lambda value: value is True)] = False
    tenant_id: Annotated[str, _text(100)] = ""


class _Tenant(_Model):
    id: Annotated[str, _text(100)] = ""


class _ChannelData(_Model):
    tenant: Annotated[_Tenant, ObjectOrNothing] = _Tenant()


class _Activity(_Model):
    type: Name
    id: OptionalId = ""
    channel_id: Name
    service_url: Name
    sender: Annotated[_Sender, Field(alias="from")]
    recipient: _Recipient
    conversation: _Chat
    channel_data: Annotated[_ChannelData, ObjectOrNothing] = _ChannelData()
    text: Annotated[str, _text(MAX_TEXT)] = ""
    name: Annotated[str, _text(100)] = ""
    action: Annotated[str, _text(30)] = ""
    locale: Annotated[str, _matching(_LOCALE)] = ""
    local_timezone: Annotated[str, _matching(_TIME_ZONE)] = ""
    reply_to_id: OptionalId = ""
    """For an invoke: the message that contains the button."""
    value: Any = None


class _Submitted(_Model):
    """The value of a message that a button sent in the person's name."""

    command: Annotated[str, _text(100)] = ""
    language: Annotated[str, _text(10)] = ""


class _Execute(_Model):
    type: Literal["Action.Execute"]
    verb: Annotated[str, StringConstraints(max_length=100)]
    data: dict[str, Any] | None = None
    """Data of the button and inputs of the card; not trusted."""


class _CardAction(_Model):
    action: _Execute


class _TaskRequest(_Model):
    data: dict[str, Any] | None = None


class _Parameter(_Model):
    value: Annotated[str, _text(100)] = ""


class _Search(_Model):
    """A search of the message extension, which has one parameter."""

    command_id: Annotated[str, _text(64)] = ""
    parameters: Annotated[list[_Parameter], BeforeValidator(_few_objects)] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def search(self) -> str:
        return self.parameters[0].value if self.parameters else ""


class _MessageBody(_Model):
    content: Annotated[str, _text(MAX_MESSAGE)] = ""


class _MessagePayload(_Model):
    body: Annotated[_MessageBody, ObjectOrNothing] = _MessageBody()


class _MessageAction(_Model):
    """Opens a command of the message extension for a message."""

    command_id: Annotated[str, _text(64)] = ""
    message_payload: Annotated[_MessagePayload, ObjectOrNothing] = _MessagePayload()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def content(self) -> str:
        return self.message_payload.body.content


class _SubmittedAction(_Model):
    command_id: Annotated[str, _text(64)] = ""
    data: Annotated[dict[str, Any], ObjectOrNothing] = {}


_INVOKES: Final[dict[str, type[_Model]]] = {
    FIND_NUMBERS: _Search,
    OPEN_ACTION: _MessageAction,
    SUBMIT_ACTION: _SubmittedAction,
    "adaptiveCard/action": _CardAction,
    "task/fetch": _TaskRequest,
    "task/submit": _TaskRequest,
}


def parse(body: bytes) -> Activity:
    """Return the activity in a request body. Raises `ActivityRejectedError`."""
    try:
        content = safejson.parse(body)
    except ValueError as fault:
        raise ActivityRejectedError(str(fault)) from fault
    try:
        activity = _Activity.model_validate(content)
        value = _value_of(activity)
    except ValidationError as invalid:
        faults = faults_of(invalid)
        where = ".".join(str(part) for part in faults[0]["loc"]) if faults else ""
        raise ActivityRejectedError(f"{where[:100] or 'the body'} is missing or not right") from invalid
    return Activity(
        type=activity.type,
        id=activity.id or None,
        channel_id=activity.channel_id,
        service_url=activity.service_url,
        from_property=ChannelAccount(
            id=activity.sender.id, name=activity.sender.name, aad_object_id=activity.sender.aad_object_id
        ),
        recipient=ChannelAccount(id=activity.recipient.id),
        conversation=ConversationAccount(
            id=activity.conversation.id,
            conversation_type=activity.conversation.conversation_type,
            is_group=activity.conversation.is_group,
            tenant_id=activity.conversation.tenant_id,
        ),
        channel_data={"tenant": {"id": activity.channel_data.tenant.id}},
        text=activity.text,
        name=activity.name,
        action=activity.action,
        locale=activity.locale,
        local_timezone=activity.local_timezone,
        reply_to_id=activity.reply_to_id or None,
        value=value,
    )


def _value_of(activity: _Activity) -> dict[str, Any]:
    if activity.type != ActivityTypes.invoke:
        submitted = activity.value if isinstance(activity.value, dict) else {}
        return _Submitted.model_validate(submitted).model_dump()
    model = _INVOKES.get(activity.name)
    if model is None:
        raise ActivityRejectedError("an invoke that this bot does not know")
    return model.model_validate({} if activity.value is None else activity.value).model_dump()
