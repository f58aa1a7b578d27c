"""JSON logs on standard error: one line for each event, with the id of the request and without secrets."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

from core.request import REQUEST_ID

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# A safety net: no code should log JWTs, PBX keys, bearer headers or PBX login secrets.
_SECRETS: Final = re.compile(
    # The dots of a JWT are optional here, because searching for one after each "eyJ" would take quadratic time.
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
    """Send all log records of at least this level to standard error, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # At INFO these repeat what the service logs itself, or print URLs that contain secrets.
    for noisy in ("aiohttp.access", "azure", "msal", "msrest", "urllib3", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
