"""Requests through the router: none makes anything answer 5xx, hang, or refuse without a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from voicehelper_e2e.fuzz import wire

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
INPUTS = int(os.environ.get("FUZZ_INPUTS", "10000"))
many = partial(
    settings,
    max_examples=INPUTS,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
DOCUMENTS = b"/api/v1/knowledge/documents"


@pytest.fixture(scope="module")
def caller(platform):
    headers = [(name.encode(), value.encode()) for name, value in platform.headers("acme").items()]
    return platform.ports["router"], headers


def borne(answer: wire.Answer, *, incomplete: bool = False) -> None:
    assert answer.status or incomplete, "closed without an answer"
    assert answer.status < 500, answer
    if answer.status >= 400 and answer.body:
        assert answer.is_problem, answer


@many()
@given(st.data())
def test_headers_methods_and_paths(caller, data):
    port, credentials = caller
    own = data.draw(st.sampled_from([credentials, credentials, credentials, credentials[:1], credentials[1:], []]))
    headers = data.draw(wire.HEADERS)
    body = data.draw(st.just(b"") | st.just(b"{}"))
    raw = wire.request(data.draw(wire.METHODS), data.draw(wire.PATHS), [*own, *headers], body)
    incomplete = any(name.lower() in wire.FRAMING for name, _ in headers)
    borne(wire.send(port, raw, incomplete=incomplete), incomplete=incomplete)


@many()
@given(kind=wire.FORM_TYPES, form=wire.FORMS)
@example(kind=b"multipart/form-data; boundary=X-boundary", form=b"--X-boundary\r\n:\r\n\r\n\r\n--X-boundary--\r\n")
def test_forms(caller, kind, form):
    port, credentials = caller
    borne(wire.send(port, wire.request(b"POST", DOCUMENTS, [*credentials, (b"Content-Type", kind)], form)))


@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/v1/identity/openapi.json"])
def test_the_descriptions_of_the_apis_hold(platform, tmp_path, path):
    """schemathesis sends what the OpenAPI allows and what it does not, and compares the answers with it."""
    headers = [part for name, value in platform.headers("acme").items() for part in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        [
            Path(sys.executable).with_name("st"), "run", platform.router + path, *headers,
            "-c", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--max-examples", "50", "--seed", "1", "--request-timeout", "20", "--no-color",
            "--generation-database", "none",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
