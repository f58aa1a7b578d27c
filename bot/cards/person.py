"""Cards about the person who asks: status, licence, signed out, help."""

from bot.cards.parts import (
    Card,
    CardReader,
    card,
    card_time,
    execute,
    facts,
    finding,
    open_url,
    sign_in,
    text,
    warning,
)
from bot.cards.plain import Plain, plain
from bot.commands import Command
from core.audit.wording import describe_actor
from core.licensing.overview import Place
from core.licensing.rules import LicenceKind
from core.signin.signin import UserState


def status_card(state: UserState, reader: CardReader) -> Card:
    session, connection = state.session, state.connection
    if session is None or connection is None:
        return signed_out_card(state, reader)
    word = "status.connected" if connection.blocker is None else "status.not-connected"
    given = [
        (reader.t("status.pbx-user"), plain(f"{session.person.display_name} ({session.person.login})")),
        (reader.t("status.pbx"), plain(connection.pbx.name)),
        (reader.t("status.connection"), reader.t(word)),
        (reader.t("licence.kind"), reader.t(f"licence.{session.kind}")),
    ]
    found = [one for one in (connection.blocker, connection.warning) if one is not None]
    body = [
        *facts(given),
        *_ends_by(state, reader),
        *(finding(reader, one, is_administrator=session.may_administer) for one in found),
    ]
    actions = [
        execute(reader, Command.STATUS, reader.title("action.refresh")),
        execute(reader, Command.SIGN_OUT, reader.title("action.sign-out")),
        *_of_administrators(state, reader),
        open_url(reader, reader.home_url),
    ]
    return card(
        reader=reader, title=reader.title("status.title"), body=body, actions=actions, refresh=Command.STATUS
    )


def licence_card(state: UserState, reader: CardReader) -> Card:
    session = state.session
    if session is None:
        return signed_out_card(state, reader)
    given = [
        (reader.t("licence.kind"), reader.t(f"licence.{session.kind}")),
        (reader.t("licence.since"), card_time(session.licence_since)),
    ]
    if session.kind is LicenceKind.FL:
        seats = reader.t("licence.seats-value", used=state.seats_used, total=state.seats_total)
        given.append((reader.t("licence.seats"), seats))
    actions = [
        execute(reader, Command.LICENCE, reader.title("action.refresh")),
        *_of_administrators(state, reader),
        open_url(reader, reader.home_url),
    ]
    body = [*facts(given), *_ends_by(state, reader)]
    return card(
        reader=reader,
        title=reader.title("licence.title"),
        body=body,
        actions=actions,
        refresh=Command.LICENCE,
    )


def signed_out_card(state: UserState, reader: CardReader) -> Card:
    body: list[Card] = []
    if state.ending is not None:
        pbx_name, ending = state.ending
        actor = describe_actor(ending.actor, reader.language, {state.user.tenant_id})
        body.append(text(reader.t(f"notice.{ending.cause}.text", pbx_name=pbx_name, actor=actor)))
        if ending.reason:
            body.append(text(reader.t("notice.reason", reason=ending.reason)))
    if state.place is not None and state.place.joined_at is not None:
        body.append(text(_place_words(state.place, reader)))
    if state.offers:
        body.append(text(reader.t("signed-out.offer", pbx_name=state.offers[0].pbx_name)))
    else:
        body.append(text(reader.t("signed-out.text")))
    actions = [sign_in(reader), open_url(reader, reader.home_url)]
    return card(
        reader=reader,
        title=reader.title("signed-out.title"),
        body=body,
        actions=actions,
        refresh=Command.STATUS,
    )


def help_card(state: UserState, reader: CardReader, *, welcome: bool = False) -> Card:
    """Return the list of commands; with `welcome`, as the bot's first message."""
    commands = [
        *(Command.CALL, Command.HANG_UP, Command.CALLS, Command.DO_NOT_DISTURB, Command.REDIRECT),
        *(Command.MOBILES, Command.PRIMARY_PHONE, Command.VOICEMAIL),
        *(Command.STATUS, Command.LICENCE, Command.AUDIO, Command.NOTICES),
        *((Command.LICENCES,) if _is_administrator(state) else ()),
        *(Command.SIGN_IN, Command.SIGN_OUT, Command.HELP),
    ]
    given = [(reader.t(f"help.{command}.word"), reader.t(f"help.{command}.text")) for command in commands]
    title = "welcome" if welcome else "help"
    body = [text(reader.t(f"{title}.text")), *facts(given)]
    actions = [
        execute(reader, Command.STATUS, reader.title("action.status")),
        *_of_administrators(state, reader),
        *((sign_in(reader),) if state.session is None else ()),
        open_url(reader, reader.home_url),
    ]
    refresh = Command.WELCOME if welcome else Command.HELP
    return card(
        reader=reader, title=reader.title(f"{title}.title"), body=body, actions=actions, refresh=refresh
    )


def confirm_sign_out_card(reader: CardReader) -> Card:
    """Return the confirmation of a sign-out that was only probably meant, because it frees the licence for others."""
    actions = [
        execute(reader, Command.SIGN_OUT, reader.title("action.sign-out")),
        execute(reader, Command.HELP, reader.title("action.help")),
    ]
    body = [text(reader.t("sign-out.really-text"))]
    return card(
        reader=reader,
        title=reader.title("sign-out.really"),
        body=body,
        actions=actions,
        refresh=Command.STATUS,
    )


def _ends_by(state: UserState, reader: CardReader) -> list[Card]:
    if state.ends_by is None:
        return []
    return [warning(text(reader.t("licence.ends-by", at=card_time(state.ends_by))))]


def _is_administrator(state: UserState) -> bool:
    return state.session is not None and state.session.may_administer


def _of_administrators(state: UserState, reader: CardReader) -> list[Card]:
    if not _is_administrator(state):
        return []
    return [execute(reader, Command.LICENCES, reader.title("action.licences"))]


def _place_words(place: Place, reader: CardReader) -> Plain:
    if place.offered_until is not None:
        until = card_time(place.offered_until)
        return reader.t("notice.seat-offered.text", pbx_name=place.pbx_name, until=until)
    return reader.t("signed-out.waiting", pbx_name=place.pbx_name, position=place.position)
