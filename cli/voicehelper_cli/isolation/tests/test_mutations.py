"""The proof is proven: each guard is taken away once, and the proof must fail with the finding that names it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from voicehelper_cell.conversation import repository as conversations
from voicehelper_cell.placements import Placement, Placements
from voicehelper_cell.web import caller
from voicehelper_cell.web import private as private_paths
from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Attack, Recorder
from voicehelper_cli.isolation.model import NEIGHBOUR
from voicehelper_cli.isolation.runner import attack_all
from voicehelper_cli.isolation.tests import mutants
from voicehelper_cli.isolation.tests.mutants import Change, manager, proof, provider, without
from voicehelper_control_plane.identity import repository as users
from voicehelper_core import auth
from voicehelper_core.auth import Claims, bearer
from voicehelper_core.context import TenantContext
from voicehelper_embedded.throwaway import Platform

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Patch = pytest.MonkeyPatch


def _drop(name: str) -> Change:
    return lambda config: provider(config).pop(name)


def _set(key: str, value: Any) -> Change:
    return lambda config: manager(config).__setitem__(key, value)


def _any_token(config: dict[str, Any]) -> None:
    """Whoever has no token passes; the header has nothing to agree with then."""
    jwt = next(item for item in manager(config)["http_filters"] if item["name"].endswith("jwt_authn"))
    jwt["typed_config"]["rules"] = []
    without("rbac")(config)


def _unchanged(_: dict[str, Any]) -> None:
    """The control: nothing is taken away."""


def _believed(config: dict[str, Any]) -> None:
    """Headers of clients stay, as a pair: the filter for tokens would replace those that it sets itself."""
    provider(config).pop("claim_to_headers")
    mutations = manager(config)["early_header_mutation_extensions"][0]["typed_config"]["mutations"]
    mutations[:] = [item for item in mutations if "append" in item]


def _raw_paths(config: dict[str, Any]) -> None:
    for key in ("normalize_path", "merge_slashes"):
        manager(config)[key] = False
    manager(config)["path_with_escaped_slashes_action"] = "KEEP_UNCHANGED"


ROUTER: list[tuple[str, Change, tuple[str, ...], str | None]] = [
    ("nothing", _unchanged, ("router", "tokens.forged", "tokens.misused", "http.logins"), None),
    ("agreement of header and token", without("rbac"), ("router.tenant-header",), "router.agreement"),
    ("verification of tokens", _any_token, ("tokens.forged",), "router.token.signature"),
    ("issuer", _drop("issuer"), ("tokens.misused",), "router.token.issuer"),
    ("audience", _drop("audiences"), ("tokens.misused",), "router.token.audience"),
    ("expiry", _drop("require_expiration"), ("tokens.misused",), "router.token.expiry"),
    ("removal of identity headers", _believed, ("router.identity-headers",), "router.identity-headers"),
    ("normalisation of paths", _raw_paths, ("router.paths",), "router.paths"),
    ("public scope of open paths", without("lua"), ("http.logins",), "identity.existence"),
]


@pytest.mark.parametrize(("name", "change", "attacks", "finding"), ROUTER, ids=[item[0] for item in ROUTER])
async def test_router_without(
    field: Arena, tmp_path: Path, name: str, change: Change, attacks: tuple[str, ...], finding: str | None
) -> None:
    async with mutants.router(field, tmp_path, change) as changed:
        report = await proof(changed, *attacks)
    assert (finding in report.findings) if finding else not report.findings, report.verdict
    assert report.exit_code == (1 if finding else 0), report.verdict


def _no_header_check(patch: Patch) -> None:
    async def verified(request: Any) -> tuple[Claims, str]:
        token = bearer(request.headers.get("authorization"))
        return await request.app.state.verifier.verify(token), token

    patch.setattr(caller, "_verified", verified)


def _admitted(self: Placements, claims: Claims, *, known: Callable[[Claims], Placement | None]) -> TenantContext:
    found = known(claims) or Placement(claims.tid or "", claims.tenant, False, {})
    return TenantContext(found.tenant_id, found.name, claims.sub, self._cell_id, frozenset(claims.roles))


def _no_placement_check(patch: Patch) -> None:
    patch.setattr(Placements, "admit_known", lambda self, claims: _admitted(self, claims, known=lambda _: None))


def _no_name_check(patch: Patch) -> None:
    """The id alone is believed."""
    patch.setattr(
        Placements,
        "admit_known",
        lambda self, claims: _admitted(self, claims, known=lambda who: self._placed(who.tid or "")),
    )


def _no_service_check(patch: Patch) -> None:
    patch.setattr(caller, "refuse_service_token", lambda claims: None)


def _no_claim_check(claim: str) -> Callable[[Patch], None]:
    def change(patch: Patch) -> None:
        original = auth.jwt.JWTClaimsRegistry

        def registry(**options: Any) -> Any:
            return original(**{name: value for name, value in options.items() if name != claim})

        patch.setattr(auth.jwt, "JWTClaimsRegistry", registry)
        if claim in ("iss", "aud", "exp"):  # the model wants them too
            patch.setattr(auth, "Claims", _lenient())

    return change


@functools.cache
def _lenient() -> type[Claims]:
    class Lenient(Claims):
        iss: str = ""
        aud: str | list[str] = ""
        exp: int = 2**40

    return Lenient


def _no_signature_check(patch: Patch) -> None:
    import base64
    import json

    def decode(token: str, keys: Any, **_: Any) -> Claims:
        body = token.split(".")[1]
        return Claims.model_validate(json.loads(base64.urlsafe_b64decode(body + "==")))

    patch.setattr(auth, "decode", decode)


def _no_private_paths(patch: Patch) -> None:
    patch.setattr(private_paths, "PATHS", frozenset[str]())


CELL: list[tuple[str, Callable[[Patch], None], str, str | None]] = [
    ("nothing", lambda patch: None, "cell.direct", None),
    ("tenant header", _no_header_check, "cell.direct", "cell.tenant-header"),
    ("placement", _no_placement_check, "cell.direct", "cell.placement"),
    ("name of the token's tenant", _no_name_check, "tokens.mixed", "cell.tid"),
    ("refusal of service tokens", _no_service_check, "tokens.mixed", "cell.service-token"),
    ("signature", _no_signature_check, "tokens.forged", "cell.token.signature"),
    ("issuer", _no_claim_check("iss"), "tokens.misused", "cell.token.issuer"),
    ("audience", _no_claim_check("aud"), "tokens.misused", "cell.token.audience"),
    ("expiry", _no_claim_check("exp"), "tokens.misused", "cell.token.expiry"),
    ("refusal of private paths", _no_private_paths, "cell.private", "cell.private"),
]


@pytest.mark.parametrize(("name", "change", "only", "finding"), CELL, ids=[item[0] for item in CELL])
async def test_cell_without(
    field: Arena, monkeypatch: Patch, name: str, change: Callable[[Patch], None], only: str, finding: str | None
) -> None:
    change(monkeypatch)
    async with mutants.cell(field) as changed:
        report = await proof(changed, only)
    assert (finding in report.findings) if finding else not report.findings, report.verdict
    assert report.exit_code == (1 if finding else 0), report.verdict


async def test_identity_without_the_tenant_of_users(field: Arena, monkeypatch: Patch) -> None:
    original = users.by_id

    async def anybody(connection: Any, user_id: str, tenant_id: str | None) -> Any:
        return await original(connection, user_id, None)

    monkeypatch.setattr(users, "by_id", anybody)
    monkeypatch.setattr("voicehelper_control_plane.principal.Principal.require_admin_of", lambda self, tenant_id: None)
    async with mutants.identity(field) as changed:
        report = await proof(changed, "grpc.platform")
    assert "grpc.identity.identity.v1.IdentityService" in report.findings, report.verdict


async def test_files_that_others_may_read(field: Arena) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, which may become others")
    assert field.places.home
    secrets = field.places.home / "secrets"
    mode = secrets.stat().st_mode & 0o777
    secrets.chmod(0o755)
    try:
        report = await proof(field, "platform.files")
    finally:
        secrets.chmod(mode)
    assert report.findings == ["platform.files"], report.verdict


async def test_router_whose_statistics_have_a_port(field: Arena, tmp_path: Path) -> None:
    from dataclasses import replace

    admin = mutants.free_port()

    def change(config: dict[str, Any]) -> None:
        config["admin"]["address"]["socket_address"]["port_value"] = admin

    async with mutants.router(field, tmp_path, change) as changed:
        ports = {"router-admin": f"127.0.0.1:{admin}"}
        report = await proof(replace(changed, places=replace(changed.places, ports=ports)), "platform.ports")
    assert "platform.router-admin" in report.findings, report.verdict


async def test_idempotency_keys_without_an_owner(field: Arena, platform: Platform, monkeypatch: Patch) -> None:
    """Two guards, taken away as a pair: the table's policy and the owner in the statement."""

    others = "SELECT fingerprint, result_id FROM idempotency WHERE key = $1 ORDER BY tenant_id = $2 LIMIT 1"

    async def claimed(connection: Any, who: Any, *, route: str, key: str, fingerprint: bytes, **_: Any) -> Any:
        row = await connection.fetchrow(others, key, who.tenant_id)
        return (row["fingerprint"], row["result_id"]) if row else None

    monkeypatch.setattr(conversations, "claim_key", claimed)
    async with (
        mutants.without_rows_policy(field, platform.postgres_dsn, "conversation", "idempotency"),
        mutants.cell(field) as changed,
    ):
        report = await proof(changed, "http.keys")
    assert "http.idempotency.conversations" in report.findings, report.verdict


async def test_documents_without_a_policy(field: Arena, platform: Platform) -> None:
    """The last one but one: what an attacker may delete now is gone."""
    async with mutants.without_rows_policy(field, platform.postgres_dsn, "knowledge", "documents", "chunks"):
        report = await proof(field, "http.routes")
    assert "http.ids.knowledge" in report.findings, report.verdict


async def test_a_write_that_nobody_saw(field: Arena) -> None:
    """No answer shows it, but the victim's state is another one."""

    async def write(arena: Arena, tried: Recorder) -> None:
        await arena.victim.call("POST", "/api/v1/conversations", json={"title": "not by the victim"})
        tried.held("a write", "refused", by=NEIGHBOUR, finding="http.ids.conversations")

    report = await attack_all(field, [Attack("test.write", "http", write, frozenset(), 30)])
    assert report.findings == ["integrity.victim"], report.verdict
