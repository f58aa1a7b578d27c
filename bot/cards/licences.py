"""Cards for administrators: who holds a licence, and revoking a licence after a confirmation."""

from typing import Final

from bot.cards.parts import (
    Card,
    CardReader,
    card,
    execute,
    facts,
    finding,
    open_url,
    text,
)
from bot.cards.plain import Plain, plain
from bot.commands import Command
from core.administration.administration import LicenceView
from core.diagnosis.finding import Finding
from core.licensing.session import Session

HOLDERS_SHOWN: Final = 25
"""Number of holders in the list, so that it stays fast on a phone. The search finds the others."""


def licences_card(view: LicenceView, search: str, reader: CardReader, *notes: Card) -> Card:
    """Return the list of holders. `notes` are shown above it and say what has just happened."""
    pools = view.pools
    used, total = sum(pool.used for pool in pools), sum(pool.seats for pool in pools)
    given = [
        (reader.t("status.pbx"), plain(view.connection.pbx.name)),
        (reader.t("licence.seats"), reader.t("licence.seats-value", used=used, total=total)),
        (reader.t("licences.free"), plain(sum(pool.free for pool in pools))),
        (reader.t("licences.waiting"), plain(view.waiting)),
        (reader.t("licences.signed-in"), plain(view.page.found)),
    ]
    body = [*notes, *facts(given)]
    actions: list[Card] = []
    sessions = view.page.sessions
    if search or view.page.found > len(sessions):
        body.append(
            {
                "type": "Input.Text",
                "id": "search",
                "label": reader.title("licences.search"),
                "value": search,
                "maxLength": 100,
            }
        )
        actions.append(execute(reader, Command.LICENCES, reader.title("action.search")))
    if sessions:
        body += [
            {
                "type": "Input.ChoiceSet",
                "id": "session",
                "label": reader.title("licences.who"),
                "placeholder": reader.title("licences.choose"),
                "choices": [{"title": _holder(session, reader), "value": session.id} for session in sessions],
            },
            {
                "type": "Input.Text",
                "id": "reason",
                "label": reader.title("licences.reason"),
                "maxLength": 500,
            },
        ]
        actions.append(execute(reader, Command.REVOKE_ASK, reader.title("action.revoke-ask")))
    elif search:
        body.append(text(reader.t("licences.none-found", search=search)))
    actions += [
        execute(reader, Command.LICENCES, reader.title("action.refresh")),
        open_url(reader, reader.licences_url, "action.open-licences"),
    ]
    return card(
        reader=reader,
        title=reader.title("licences.title"),
        body=body,
        actions=actions,
        refresh=Command.LICENCES,
    )


def confirm_card(session: Session, reason: str, reader: CardReader) -> Card:
    """Return the confirmation before a licence is revoked. It shows the login, because names are not unique."""
    person = session.person
    body = [text(reader.t("licences.really-text", name=person.display_name, login=person.login))]
    if reason:
        body.append(text(reader.t("notice.reason", reason=reason)))
    data = {"session": session.id, "reason": reason}
    actions = [
        execute(
            reader=reader,
            command=Command.REVOKE,
            title=reader.title("action.revoke"),
            data=data,
            style="destructive",
        ),
        execute(reader, Command.LICENCES, reader.title("action.cancel")),
    ]
    return card(
        reader=reader,
        title=reader.title("licences.really-title"),
        body=body,
        actions=actions,
        refresh=Command.REVOKE_ASK,
        data=data,
    )


def refused_card(refusal: Finding, reader: CardReader) -> Card:
    """Return the refusal for a person without the permission, or if the PBX cannot be asked about it."""
    actions = [
        execute(reader, Command.STATUS, reader.title("action.status")),
        open_url(reader, reader.home_url),
    ]
    return card(
        reader=reader,
        title=reader.title("licences.title"),
        body=[finding(reader, refusal, is_administrator=True)],
        actions=actions,
        refresh=Command.LICENCES,
    )


def _holder(session: Session, reader: CardReader) -> Plain:
    person, kind = session.person, reader.t(f"licences.{session.kind}")
    return plain(f"{person.display_name} ({person.login}, {kind})")
