"""Log lines, trace context and settings."""

from __future__ import annotations

import io
import json
import logging
import uuid

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_core import context, log, trace
from voicehelper_core.context import TenantContext
from voicehelper_core.settings import BaseAppSettings


@pytest.fixture
def lines():
    """Reads what was logged."""
    root, written = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    log.setup("tester", BaseAppSettings(environment="test", region="eu", service_version="1.2", log_level="DEBUG"))
    root.handlers[0].setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_has_the_standard_fields(lines):
    who = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk")
    with trace.use(trace.child_of(None)) as span, context.use(who):
        log.get_logger("x").info("answered", conversation_id="c1", mode="chat", duration_ms=3.5, tokens_used=7)
    (line,) = lines()
    assert list(line)[:8] == [
        "timestamp", "level", "service", "version", "trace_id", "span_id", "user_id", "tenant_id",
    ]  # fmt: skip
    assert line["trace_id"] == span.trace_id
    assert (line["service"], line["version"], line["level"], line["message"]) == ("tester", "1.2", "INFO", "answered")
    assert (line["user_id"], line["tenant_id"], line["tokens_used"]) == ("u1", "tabcdefghijk", 7)
    assert line["tags"] == {"environment": "test", "region": "eu"}


def test_levels_have_the_names_of_the_product(lines):
    logger = log.get_logger("x")
    logger.debug("a")
    logger.warning("b")
    logger.error("c")
    logger.critical("d")
    assert [line["level"] for line in lines()] == ["DEBUG", "WARN", "ERROR", "FATAL"]


def test_the_standard_library_logs_the_same(lines):
    logging.getLogger("uvicorn.error").warning("port %s is taken", 80)
    (line,) = lines()
    assert (line["message"], line["level"], line["tenant_id"]) == ("port 80 is taken", "WARN", None)
    assert line["timestamp"].endswith("Z")


def test_errors_carry_their_traceback_on_one_line(lines):
    try:
        raise ValueError("broken\nin two")
    except ValueError as error:
        log.get_logger("x").error("failed", exc_info=error)
    (line,) = lines()
    assert "broken\nin two" in line["exception"]


@pytest.mark.parametrize(
    "key", ["password", "admin_password", "Authorization", "access_token", "api_key", "client_secret", "postgres_dsn"]
)
def test_secrets_are_not_logged(lines, key):
    log.get_logger("x").info("made", **{key: "hunter2"}, nested={"deeper": {key: "hunter2"}, "kept": 1})
    (line,) = lines()
    assert "hunter2" not in json.dumps(line)
    assert line["nested"]["kept"] == 1


def test_trace_context_is_taken_over():
    parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    span = trace.child_of(parent)
    assert (span.trace_id, span.parent_id, span.flags) == ("a" * 32, "b" * 16, "01")
    assert span.span_id != "b" * 16
    with trace.use(span):
        assert trace.inject() == span.traceparent
        assert trace.child_of(trace.inject()).trace_id == "a" * 32
    assert trace.current() is None


@given(st.text() | st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\n?") | st.none())
def test_whatever_comes_in_a_valid_header_goes_out(header):
    made = trace.child_of(header).traceparent
    assert trace._TRACEPARENT.fullmatch(made)
    assert set(made.split("-")[1]) != {"0"}


def test_settings_environment_over_file_over_default(tmp_path, monkeypatch):
    class Settings(BaseAppSettings):
        port: int = 1
        name: str = "default"
        size: int = 5

    file = tmp_path / "config.json"
    file.write_text(json.dumps({"port": 2, "name": "file", "unknown": 1, "environment": "staging"}))
    monkeypatch.delenv("VOICEHELPER_CONFIG", raising=False)
    assert Settings().name == "default"
    monkeypatch.setenv("VOICEHELPER_CONFIG", str(file))
    monkeypatch.setenv("VOICEHELPER_PORT", "3")
    made = Settings(size=9)
    assert (made.port, made.name, made.size, made.environment) == (3, "file", 9, "staging")


def test_a_context_is_needed():
    with pytest.raises(LookupError, match="verified call"):
        context.current()
    who = TenantContext("tabcdefghijk", "acme", "u1", "cabcdefghijk")
    with context.use(who):
        assert context.current() is who
    assert context.current_or_none() is None
    assert uuid.UUID(who.request_id)
