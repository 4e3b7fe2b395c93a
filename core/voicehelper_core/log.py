"""One JSON object a line, with the fields that operators search for; no secrets, no contents."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from voicehelper_core import context, trace
from voicehelper_core.settings import BaseAppSettings

_SECRET = re.compile(r"password|secret|token(?!s_)|authorization|api_key|dsn", re.IGNORECASE)
_LEVELS = {"warning": "WARN", "critical": "FATAL", "exception": "ERROR"}


def _level(name: str) -> str:
    return _LEVELS.get(name, name.upper())


def _standard_fields(service: str, settings: BaseAppSettings) -> structlog.types.Processor:
    tags = {"environment": settings.environment, "region": settings.region}

    def add(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        span, who = trace.current(), context.current_or_none()
        line: dict[str, Any] = {
            "timestamp": event.pop("timestamp"),
            "level": _level(str(event.pop("level", method))),
            "service": service,
            "version": settings.service_version,
            "trace_id": span.trace_id if span else None,
            "span_id": span.span_id if span else None,
            "user_id": who.user_id if who else None,
            "tenant_id": who.tenant_id if who else None,
            "message": event.pop("event", ""),
        }
        line.update(event)
        line["tags"] = tags
        return line

    return add


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key != "event":
            event[key] = _redacted(key, value)
    return event


def _redacted(key: object, value: Any) -> Any:
    if _SECRET.search(str(key)):
        return "***"
    return {name: _redacted(name, item) for name, item in value.items()} if isinstance(value, dict) else value


def setup(service: str, settings: BaseAppSettings | None = None) -> None:
    """Send structlog and the standard library's logging to stderr in the product's format."""
    settings = settings or BaseAppSettings()
    level = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(settings.log_level.upper(), settings.log_level.upper())
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
        structlog.processors.format_exc_info,
        _standard_fields(service, settings),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                *shared[:1],
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *shared[1:],
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "aiokafka", "uvicorn.access", "asyncio", "pymilvus"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; pass facts as keywords, never in the text."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
