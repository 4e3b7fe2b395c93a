"""The copy of the public keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from voicehelper_router.jwks import KeyCopy, public_only

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "k", "alg": "EdDSA", "use": "sig"}
OTHER = {**KEY, "kid": "other"}


def test_private_members_and_symmetric_keys_stay_behind() -> None:
    document = {"keys": [{**KEY, "d": "secret"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}, "x", {"kty": "?"}]}
    assert public_only(document) == {"keys": [KEY]}


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": []}, {"keys": [{"kty": "oct"}]}])
def test_no_key_is_an_error(document: Any) -> None:
    with pytest.raises(ValueError, match="public key"):
        public_only(document)


def source(*answers: Any) -> httpx.AsyncClient:
    waiting = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        now = waiting.pop(0)
        if isinstance(now, Exception):
            raise now
        return httpx.Response(200, json=now) if not isinstance(now, int) else httpx.Response(now)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


async def test_the_last_keys_stay_when_identity_does_not_answer(tmp_path: Path) -> None:
    keys = KeyCopy("http://identity/keys", tmp_path / "jwks.json")
    async with source({"keys": [KEY]}, httpx.ConnectError("down"), 503, {"keys": []}, {"keys": [KEY, OTHER]}) as client:
        assert await keys.fetch(client)
        for _ in range(3):
            assert not await keys.fetch(client)
            assert keys.document == {"keys": [KEY]}
            assert keys.reason
        assert await keys.fetch(client)
    assert keys.reason is None
    assert json.loads((tmp_path / "jwks.json").read_text()) == {"keys": [KEY, OTHER]}


def test_copy_on_disk(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [KEY]}))
    keys = KeyCopy("http://identity/keys", tmp_path / "jwks.json")
    keys.restore()
    assert keys.document == {"keys": [KEY]}


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_broken_copy_on_disk(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwks.json").write_text(content)
    keys = KeyCopy("http://identity/keys", tmp_path / "jwks.json")
    keys.restore()
    assert keys.document is None
