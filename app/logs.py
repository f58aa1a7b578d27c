"""JSON logs on standard error: a line an event, with the request's id, and no secret in any of them."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

from core.request import REQUEST_ID

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# A safety net under code that should never log these: JWTs, PBX keys, bearer headers, PBX login secrets.
_SECRETS: Final = re.compile(
    # With or without a dot behind it: looking for one from each "eyJ" of a long text would take quadratic time.
    r"eyJ[\w-]{8,}(?:\.[\w-]+)*"
    r"|\b(?:[A-Z2-7]{4}-){8}[A-Z2-7]{4}\b|\b[A-Z2-7]{36}\b"
    r"|(?i:bearer\s+)[\w.~+/=-]+"
    r"|\b[0-9a-f]{64,128}\b"
)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": str(REQUEST_ID.get()),
        }
        entry.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _SECRETS.sub("[secret]", json.dumps(entry, default=str, ensure_ascii=False))


def set_up(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These say at INFO what is ours to say, or print addresses with secrets in them.
    for noisy in ("aiohttp.access", "azure", "msal", "msrest", "urllib3", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
