"""Keys change under a running identity: nobody is refused, and after a theft everybody who has to be."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
import structlog
from joserfc import jws
from joserfc.jwk import OKPKey
from prometheus_client import REGISTRY
from voicehelper_control_plane.identity import keys
from voicehelper_control_plane.identity.keys import Signer
from voicehelper_core import auth, key_rotation, signing_key_file
from voicehelper_core.errors import Unauthenticated
from voicehelper_core.signing_keys import LEAD_SECONDS, LONGEST_TOKEN_SECONDS, MAX_AGE_SECONDS, KeyRing

SOON = 2  # seconds in which a change is seen


def kid(token: str) -> str:
    return str(jws.extract_compact(token.encode()).headers()["kid"])


def signed(signer: Signer, seconds: int = 900) -> str:
    return signer.sign(seconds=seconds, subject="u", tenant="acme", tenant_id="tabcdefghijk", roles=[], scopes=[])[0]


def rotate(file: Path, **options: object) -> KeyRing:
    return signing_key_file.change(file, lambda ring: key_rotation.rotated(ring, time.time(), **options))


@pytest.fixture
def clock(monkeypatch):
    """Adds to the time of day; what is monotonic goes on as it did, and files are looked at each time."""
    ahead = [0.0]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    monkeypatch.setattr(keys, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(keys, "_REMIND_SECONDS", 0.0)

    def forward(seconds: float) -> None:
        ahead[0] += seconds

    return forward


@pytest.fixture
def signer(clock, tmp_path) -> Signer:
    return Signer(tmp_path / "key.json")


def test_a_token_outlives_the_turn_of_its_key(signer, clock, tmp_path):
    first = signed(signer, 60)
    ring = rotate(tmp_path / "key.json")
    old, new = (key.kid for key in ring.keys)
    assert [key["kid"] for key in signer.public()["keys"]] == [old, new]
    assert kid(first) == kid(signed(signer)) == old
    clock(LEAD_SECONDS - 2)
    last = signed(signer, LONGEST_TOKEN_SECONDS)
    assert kid(last) == old
    clock(3)
    assert kid(signed(signer)) == new
    clock(LONGEST_TOKEN_SECONDS - 10)
    assert auth.decode(last, signer.keys()).sub == "u"
    clock(20)
    assert [key["kid"] for key in signer.public()["keys"]] == [new]
    with pytest.raises(Unauthenticated):
        auth.decode(last, signer.keys())


def test_one_object_while_the_keys_are_the_same(signer, tmp_path):
    held = signer.keys()
    assert signer.keys() is held
    rotate(tmp_path / "key.json")
    assert signer.keys() is not held
    assert signer.keys() is signer.keys()


def test_a_file_that_cannot_be_read_changes_nothing(signer, tmp_path):
    file = tmp_path / "key.json"
    held, good = signer.public(), file.read_text()
    for broken in ("", "{", json.dumps({"keys": []}), good[:-10], json.dumps(signer.public()), None):
        if broken is None:
            file.unlink()
        else:
            file.write_text(broken)
        with structlog.testing.capture_logs() as logged:
            assert signer.public() == signer.public() == held
            assert auth.decode(signed(signer), signer.keys()).sub == "u"
        assert [line["log_level"] for line in logged] == ["error"], broken  # once, not each time
        assert json.loads(good)["d"] not in str(logged)
    file.write_text(json.dumps(KeyRing.fresh(time.time()).document()))
    assert signer.public() != held


def test_a_secret_of_kubernetes_is_swapped_by_a_link(clock, tmp_path):
    """The kubelet makes a new folder and turns ``..data`` over to it; the path of the file stays a link."""
    old, new = KeyRing.fresh(time.time()), KeyRing.fresh(time.time())
    for name, ring in (("..1", old), ("..2", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "signing-key.json").write_text(signing_key_file.dump(ring))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "signing-key.json").symlink_to("..data/signing-key.json")
    signer = Signer(tmp_path / "signing-key.json")
    assert kid(signed(signer)) == old.keys[0].kid
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert kid(signed(signer)) == new.keys[0].kid


def test_an_old_key_is_warned_of(signer, clock, tmp_path):
    def warnings() -> list[str]:
        with structlog.testing.capture_logs() as logged:
            signer.public()
        return [line["reason"] for line in logged if line["log_level"] == "warning"]

    clock(MAX_AGE_SECONDS - 60)
    assert not warnings()
    clock(120)
    assert "180 days old" in warnings()[0]
    age = REGISTRY.get_sample_value("identity_signing_key_age_seconds")
    assert age == pytest.approx(MAX_AGE_SECONDS + 60, abs=30)
    rotate(tmp_path / "key.json")
    assert not warnings()
    clock(LEAD_SECONDS + 5)
    assert REGISTRY.get_sample_value("identity_signing_key_age_seconds") == pytest.approx(5, abs=30)


def test_what_is_no_key_keeps_identity_from_starting(tmp_path):
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(ValueError, match="key"):
        Signer(tmp_path / "key.json")


async def me(identity, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await identity.http.get("/api/v1/identity/me", headers=headers)).status_code


async def login(identity) -> dict[str, str]:
    answer: httpx.Response = await identity.login("acme")
    assert answer.status_code == 200, answer.text
    pair: dict[str, str] = answer.json()
    return pair


async def seen(identity, kids: set[str]) -> None:
    """The public keys are these, soon."""
    deadline = time.monotonic() + SOON
    while True:
        found = {key["kid"] for key in (await identity.http.get("/.well-known/jwks.json")).json()["keys"]}
        if found == kids:
            return
        assert time.monotonic() < deadline, (found, kids)
        time.sleep(0.05)


@pytest.mark.integration
async def test_a_rotation_under_a_running_identity(identity):
    await identity.tenant("acme")
    file = identity.app.state.settings.signing_key_file
    old = await login(identity)
    assert await me(identity, old["access_token"]) == 200
    ring = rotate(file, lead=1)
    await seen(identity, {key.kid for key in ring.keys})
    while time.time() < ring.keys[1].signs_from:
        time.sleep(0.05)
    new = await login(identity)
    assert [kid(pair["access_token"]) for pair in (old, new)] == [key.kid for key in ring.keys]
    assert [await me(identity, pair["access_token"]) for pair in (old, new)] == [200, 200]


@pytest.mark.integration
async def test_a_stolen_key_opens_nothing_and_sessions_go_on(identity):
    await identity.tenant("acme")
    file = identity.app.state.settings.signing_key_file
    stolen = OKPKey.import_key(json.loads(file.read_text()))
    before = await login(identity)
    assert await me(identity, before["access_token"]) == 200
    ring = rotate(file, emergency=True)
    await seen(identity, {ring.keys[0].kid})
    assert stolen.thumbprint() == kid(before["access_token"])
    assert await me(identity, before["access_token"]) == 401
    body = {"refresh_token": before["refresh_token"]}
    after = await identity.http.post("/api/v1/identity/refresh", json=body)
    assert after.status_code == 200, after.text
    assert await me(identity, after.json()["access_token"]) == 200
