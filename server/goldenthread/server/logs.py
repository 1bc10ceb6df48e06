"""Write structured logs that hold no personal data.

Only the keys named here are ever written: a key that is not, is dropped, so that a value can't slip in under a new name. Of
other libraries' records, the logger, the level, the unformatted first line and the error's type are kept, because arguments and
error texts may quote what they failed on.
"""

from __future__ import annotations

import logging
import sys
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from goldenthread.server.config import Config

__all__ = ["LOGGED_KEYS", "configure_logs", "logger"]

LOGGED_KEYS: Final = frozenset(
    {
        "auth",
        "call",
        "code",
        "count",
        "duration_ms",
        "error",
        "event",
        "incident",
        "level",
        "listen",
        "part",
        "metrics",
        "problem",
        "reason",
        "records",
        "revision",
        "seconds",
        "service",
        "setting",
        "signal",
        "store",
        "tenant",
        "timestamp",
        "tls",
        "version",
        "where",
    }
)
"""Every key that may be written."""

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def logger(name: str = "goldenthread.server") -> FilteringBoundLogger:
    """Get the logger of a part of the service."""
    bound: FilteringBoundLogger = structlog.get_logger(part=name)
    return bound


def configure_logs(config: Config, stream: TextIO | None = None) -> None:
    """Send the process's logs to a stream (standard error if None) in the configured form, from the configured level."""
    target = sys.stderr if stream is None else stream
    as_text = config.log_format == "text" or (config.log_format == "auto" and target.isatty())
    last: Processor = structlog.dev.ConsoleRenderer(colors=target.isatty()) if as_text else structlog.processors.JSONRenderer()
    level = _LEVELS[config.log_level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_unknown_keys,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_ForeignRecords()], level=max(level, logging.WARNING), force=True)


def drop_unknown_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep only the keys of LOGGED_KEYS."""
    return {key: value for key, value in event.items() if key in LOGGED_KEYS}


class _ForeignRecords(logging.Handler):
    """Pass the safe part of other libraries' log records on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[0].__qualname__ if record.exc_info and record.exc_info[0] else None
        lines = str(record.msg).splitlines()
        facts = {"error": error} if error else {}
        logger(record.name).log(record.levelno, lines[0] if lines else "", **facts)
