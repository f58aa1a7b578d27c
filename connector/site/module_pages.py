"""The module page of a running connector, as the vendor's module configuration."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from connector.config import Config
from connector.config_file import Changes
from connector.errors import ConnectorError
from connector.running import Connector
from connector.setup.steps import licence_of
from connector.site.pages import LANGUAGE, check_rows, render, text, text_or_value
from connector.site.security import Session
from connector.site.server import Site, form_texts, see_other
from connector.site.setup_pages import key_file_response, licence_line
from connector.trust import KnownTrust, TrustState
from core.language import Language, format_time
from wire.deep_link import deep_link
from wire.doctor import DoctorStep
from wire.pasted import token
from wire.pbxkey import grouped

logger = logging.getLogger(__name__)

MAX_HOURS: Final = 2160


class ModulePages:
    """The pages of one running connector."""

    def __init__(self, site: Site, connector: Connector) -> None:
        self._connector = connector
        site.get("", self._show)
        site.get("act", self._show)  # the switch of the language on an answer
        site.post("act", self._act)
        site.post("key-file", self._key_file)
        site.post("support-file", self._support_file)

    async def _show(self, request: web.Request, session: Session) -> web.StreamResponse:
        return await self._page(request, session, is_done="done" in request.query)

    async def _act(self, request: web.Request, session: Session) -> web.StreamResponse:
        form = await form_texts(request)
        action = form.get("action", "")
        connector, language = self._connector, request[LANGUAGE]
        logger.info("audit: an act on the module page", extra={"act": action[:40]})
        try:
            if action == "key":
                return await self._page(request, session, key=grouped(connector.state.pbx_key()))
            if action == "doctor":
                report = await connector.examine()
                return await self._page(request, session, steps=report.steps)
            if action == "log":
                return await self._page(request, session, log=await asyncio.to_thread(connector.log))
            if action == "new-key":
                hours = form.get("hours", "")
                if not hours.isascii() or not hours.isdigit() or len(hours) > 4 or int(hours) > MAX_HOURS:
                    return await self._page(request, session, problem=text(language, "module.hours-wrong"))
                key = connector.new_key(timedelta(hours=int(hours)))
                return await self._page(request, session, key=grouped(key))
            if action in ("active", "inactive"):
                await connector.change({"active": action == "active"})
            elif action in ("uci-on", "uci-off"):
                await connector.change({"uci.enabled": action == "uci-on"})
            elif action == "uci-restart":
                await connector.restart_uci()
            elif action == "add-licence":
                key_text = token(form.get("licence", ""))
                licence_of(key_text)
                await self._change_licences(lambda keys: [*keys, key_text])
            elif action == "remove-licence":
                removed = form.get("key", "")
                await self._change_licences(lambda keys: [one for one in keys if _id_of(one) != removed])
        except ConnectorError as fault:
            return await self._page(request, session, problem=str(fault))
        except ValueError:
            return await self._page(request, session, problem=text(language, "field.licences.keys.wrong"))
        return see_other(session, "?done")

    def _keys(self) -> Sequence[str]:
        return self._connector.config.licences.keys

    async def _change_licences(self, change: Callable[[Sequence[str]], list[str]]) -> None:
        def changes(config: Config) -> Changes:
            before = list(config.licences.keys)
            keys = list(dict.fromkeys(change(before)))
            return {"licences.keys": keys} if keys != before else {}

        await self._connector.change(changes)

    async def _page(
        self,
        request: web.Request,
        session: Session,
        *,
        key: str = "",
        problem: str | None = None,
        is_done: bool = False,
        steps: Sequence[DoctorStep] = (),
        log: str | None = None,
    ) -> web.Response:
        language = request[LANGUAGE]
        status = self._connector.status()
        until = status.old_key_until
        known = await self._connector.link.trust.read()
        return render(
            request,
            "module.html",
            session,
            pbx_name=status.pbx_name,
            problem=problem,
            is_done=is_done,
            fault=status.configuration.fault if status.configuration is not None else None,
            active=self._connector.config.active,
            uci_enabled=self._connector.config.uci.enabled,
            rows=self._rows(language),
            key=key,
            old_until=format_time(language, until) if until is not None else "",
            licences=self._licences(language),
            trust=_trust(known, language),
            checks=check_rows(list(steps), language),
            log=log,
        )

    def _rows(self, language: Language) -> list[tuple[str, str]]:
        status = self._connector.status()
        link = text(language, "module.open" if status.linked else "module.closed")
        if status.linked and status.linked_since is not None:
            since = format_time(language, status.linked_since)
            link = text(language, "module.since", state=link, since=since)
        pbx = status.pbx
        rows = [
            (text(language, "module.link"), link),
            (
                text(language, "module.pbx"),
                text(
                    language,
                    "module.version",
                    state=text_or_value(language, "module.rest-state", pbx.rest),
                    version=pbx.pbx_version or "?",
                ),
            ),
            (text(language, "module.uci"), text_or_value(language, "module.uci-state", pbx.uci)),
            (text(language, "module.connector"), status.connector_version),
            (text(language, "module.identity"), status.identity),
        ]
        for part in status.parts:
            said = "module.runs" if part.running else "module.waits"
            name = text_or_value(language, "module.part-name", part.name)
            rows.append((text(language, "module.part", name=name), text(language, said, count=part.restarts)))
        if status.last_fault and not status.linked:
            rows.append((text(language, "module.fault"), status.last_fault))
        return rows

    def _licences(self, language: Language) -> list[dict[str, Any]]:
        verdicts = {one.serial: one for one in self._connector.link.licence_keys or () if one.serial}
        found = []
        for index, key in enumerate(self._keys()):
            try:
                shown = licence_of(key)
            except ValueError:
                line, verdict = f"#{index + 1}", text(language, "field.licences.keys.wrong")
            else:
                line = licence_line(language, shown)
                state = verdicts.get(shown.serial)
                if state is None:
                    verdict = text(language, "module.pending")
                elif state.accepted:
                    verdict = text(language, "module.accepted")
                else:
                    reason = text_or_value(language, "module.reason", state.reason or "?")
                    verdict = text(language, "module.refused", reason=reason)
            found.append({"id": _id_of(key), "line": line, "verdict": verdict})
        return found

    async def _key_file(self, _request: web.Request, _session: Session) -> web.StreamResponse:
        logger.info("audit: the key file was downloaded")
        content = self._connector.key_file().model_dump_json(by_alias=True, indent=2)
        return key_file_response(self._connector.config.pbx.name, content)

    async def _support_file(self, _request: web.Request, _session: Session) -> web.StreamResponse:
        logger.info("audit: the support file was downloaded")
        return web.Response(
            body=await self._connector.support_file(),
            content_type="application/zip",
            headers={"Content-Disposition": 'attachment; filename="pbx-connector-support.zip"'},
        )


def _trust(known: KnownTrust, language: Language) -> dict[str, Any]:
    """Return for the template what the service says about the tenants that the PBX trusts."""
    trust, at = known.trust, known.at
    if trust is None or at is None:
        return {"note": text(language, f"module.trust.{known.state}"), "tenants": None}
    is_current = known.state is TrustState.CURRENT
    tenants = [
        {
            "id": one.tenant_id,
            "is_primary": one.is_primary,
            "is_approved": one.is_approved,
            "entry": text_or_value(language, "module.trust.entry", one.entry),
            "since": format_time(language, one.since),
        }
        for one in trust.tenants
    ]
    return {
        "note": "" if is_current else text(language, "module.trust.earlier", at=format_time(language, at)),
        "tenants": tenants,
        "more": _more(language, trust.total - len(tenants)),
        "link": deep_link(trust.teams_app_id, "security"),
    }


def _more(language: Language, count: int) -> str:
    """Return the text for tenants that are not listed; empty if there are none."""
    return (
        text(language, f"module.trust.more.{'one' if count == 1 else 'other'}", count=count)
        if count > 0
        else ""
    )


def _id_of(licence_key: str) -> str:
    """Return what names a licence key in a form: it stays the same when another key is removed, and reveals nothing."""
    return hashlib.sha256(licence_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
