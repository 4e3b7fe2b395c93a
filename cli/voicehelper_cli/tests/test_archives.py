"""Archives as files of the command: whole or not there, and for nobody else to read."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner
from voicehelper_cli.archives import checked, download, upload
from voicehelper_cli.client import ApiError, Credentials, RouterClient
from voicehelper_cli.failures import Failure
from voicehelper_cli.main import create_app
from voicehelper_core.tests.test_archive import written

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> RouterClient:
    def routed(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/login"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 300})
        assert request.headers["authorization"] == "Bearer t"
        return answer(request)

    return RouterClient(
        "http://router", Credentials("_public", "a@b.example", "p"), transport=httpx.MockTransport(routed)
    )


async def test_an_export_is_verified_before_it_has_its_name(tmp_path: Path) -> None:
    whole, output = written(), tmp_path / "acme.tar.gz"
    async with client(lambda _: httpx.Response(200, content=whole)) as router:
        report = await download(router, "acme", output)
    assert output.read_bytes() == whole
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert (report["rows"], report["objects"], report["bytes"]) == ({"knowledge.documents": 3}, 1, len(whole))
    assert [path.name for path in tmp_path.iterdir()] == ["acme.tar.gz"]


@pytest.mark.parametrize("content", [b"", written()[:-200], b"an error page"])
async def test_half_an_export_leaves_nothing_and_the_old_one(tmp_path: Path, content: bytes) -> None:
    output = tmp_path / "acme.tar.gz"
    output.write_bytes(b"the last one")
    async with client(lambda _: httpx.Response(200, content=content)) as router:
        with pytest.raises(Failure, match="archive"):
            await download(router, "acme", output)
    assert output.read_bytes() == b"the last one"
    assert [path.name for path in tmp_path.iterdir()] == ["acme.tar.gz"]


async def test_a_refused_export_says_why(tmp_path: Path) -> None:
    problem = {"title": "Conflict", "detail": "tenant/acme is being deleted"}
    async with client(lambda _: httpx.Response(409, json=problem)) as router:
        with pytest.raises(ApiError, match="is being deleted"):
            await download(router, "acme", tmp_path / "acme.tar.gz")
    assert list(tmp_path.iterdir()) == []


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


async def test_an_import_sends_the_file_and_tells_how_far_it_is(tmp_path: Path) -> None:
    file, told = tmp_path / "acme.tar.gz", []
    file.write_bytes(written())
    restored = {"event": "restored", "tenant": "acme-2"}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/identity/tenants/import"
        assert dict(request.url.params) == {"name": "acme-2"}
        return httpx.Response(200, content=lines({"event": "progress", "stage": "rows"}, restored))

    async with client(answer) as router:
        assert await upload(router, file, {"name": "acme-2"}, told.append) == restored
    assert [event["event"] for event in told] == ["progress", "restored"]


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([{"event": "failed", "status": 409, "detail": "tenant/acme exists already"}], "exists already .HTTP 409"),
        ([{"event": "progress", "stage": "rows"}], "broke off: run the same command again"),
        ([], "broke off: run the same command again"),
    ],
)
async def test_an_import_that_fails_says_why(tmp_path: Path, events: list[dict[str, Any]], said: str) -> None:
    file = tmp_path / "acme.tar.gz"
    file.write_bytes(written())
    async with client(lambda _: httpx.Response(200, content=lines(*events))) as router:
        with pytest.raises(Failure, match=said):
            await upload(router, file, {}, lambda _: None)


def test_verify_needs_no_platform(tmp_path: Path) -> None:
    file = tmp_path / "acme.tar.gz"
    file.write_bytes(written())
    told = CliRunner().invoke(create_app(), ["tenant", "verify", str(file), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["tenant"] == "acme"
    file.write_bytes(written()[:-50])
    with pytest.raises(Failure, match="cut off"):
        checked(file)
