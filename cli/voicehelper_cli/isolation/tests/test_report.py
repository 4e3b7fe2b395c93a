"""Verdicts, exit statuses, the page, and a signature that a changed report loses."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey
from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation.model import Attempt, Outcome
from voicehelper_cli.isolation.report import AttackResult, Report, markdown, summary
from voicehelper_cli.isolation.sign import sign, verify
from voicehelper_core.auth import decode
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.errors import Unauthenticated
from voicehelper_core.signing_keys import KeyRing


def _report(*outcomes: Outcome) -> Report:
    attempts = tuple(
        Attempt("a.b", "http", "GET /x|y <b>", "nobody", "answer", outcome, f"guard.{outcome}", "why")
        for outcome in outcomes
    )
    return Report("1", "2026-01-01T00:00:00+00:00", results=[AttackResult("a.b", "An attack", 0.1, attempts)])


@pytest.mark.parametrize(
    ("outcomes", "code", "word"),
    [
        ([Outcome.held, Outcome.not_isolated, Outcome.not_run], 0, "HOLDS"),
        ([Outcome.held, Outcome.leaked], 1, "guard.leaked"),
        ([Outcome.weakened, Outcome.error], 1, "guard.weakened"),
        ([Outcome.held, Outcome.error], 3, "INCONCLUSIVE"),
        ([], 3, "INCONCLUSIVE"),
    ],
)
def test_verdict(outcomes: list[Outcome], code: int, word: str) -> None:
    report = _report(*outcomes)
    assert report.exit_code == code
    assert word in report.verdict
    assert report.verdict in summary(report)
    assert report.document()["exit_code"] == code


def test_the_page_names_what_got_through_and_stays_a_table() -> None:
    page = markdown(_report(Outcome.leaked, Outcome.not_isolated))
    assert "## What got through" in page
    assert "## What this edition cannot isolate" in page
    assert r"GET /x\|y \<b\>" in page


@pytest.fixture
async def signed(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A signed file, the key set, the page."""
    key = OKPKey.generate_key("Ed25519")
    secrets = FileSecretStore(tmp_path / "secrets")
    await secrets.put("signing-key", {name: str(value) for name, value in key.as_dict(private=True).items()})
    report = _report(*[Outcome.held] * 3000)  # as long as a real one
    page = markdown(report)
    keys = {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint(), "alg": "EdDSA", "use": "sig"}]}
    return await sign(report.document(), page, secrets), keys, page


async def test_a_signed_report_is_genuine(signed: tuple[dict[str, Any], dict[str, Any], str]) -> None:
    file, keys, page = signed
    assert verify(file, keys, page)["exit_code"] == 0


async def test_a_changed_report_is_not(signed: tuple[dict[str, Any], dict[str, Any], str]) -> None:
    file, keys, page = signed
    changed = copy.deepcopy(file)
    changed["report"]["verdict"] = "ISOLATION HOLDS"
    other = OKPKey.generate_key("Ed25519")
    others = {"keys": [{**other.as_dict(private=False), "kid": keys["keys"][0]["kid"]}]}
    for bad, known, text in (
        (changed, keys, page),
        (file, others, page),
        (file, keys, page + "x"),
        ({**file, "signature": None}, keys, page),
        ({"report": {}}, keys, page),
        ([], keys, None),
    ):
        with pytest.raises(Failure):
            verify(bad, known, text)


async def test_a_signature_is_no_access_token(signed: tuple[dict[str, Any], dict[str, Any], str]) -> None:
    from joserfc.jwk import KeySet
    from voicehelper_cli.isolation.attacks.forge import b64
    from voicehelper_cli.isolation.sign import digest

    file, keys, _ = signed
    head, _, tail = file["signature"].split(".")
    with pytest.raises(Unauthenticated):
        decode(f"{head}.{b64(digest(file['report']))}.{tail}", KeySet.import_key_set(keys))  # type: ignore[arg-type]


async def test_the_key_that_signs_tokens_signs_reports(tmp_path: Path) -> None:
    """Of several in the file, while one follows another."""
    now = time.time()
    ring = KeyRing.fresh(now - 1000).rotated(now - 900, 100).rotated(now)
    (tmp_path / "signing-key.json").write_text(json.dumps(ring.document()))
    file = await sign(_report(Outcome.held).document(), "", FileSecretStore(tmp_path))
    assert verify(file, ring.public(now))["exit_code"] == 0
    with pytest.raises(Failure, match="withdrawn since"):
        verify(file, {"keys": [ring.keys[0].public(), ring.keys[2].public()]})


async def test_without_the_key_a_report_is_not_signed(tmp_path: Path) -> None:
    file = await sign(_report(Outcome.held).document(), "", FileSecretStore(tmp_path))
    assert file["signature"] is None
