"""Parts that need no store."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from voicehelper_control_plane import pagination
from voicehelper_control_plane.audit.repository import _storable
from voicehelper_control_plane.identity import passwords as passwords_module
from voicehelper_control_plane.identity.limits import LoginLimiter
from voicehelper_control_plane.identity.passwords import Passwords
from voicehelper_control_plane.principal import Principal
from voicehelper_control_plane.tenants.models import Creation
from voicehelper_core.auth import Claims
from voicehelper_core.errors import InvalidArgument, PermissionDenied, QuotaExceeded


def refused(limiter: LoginLimiter, address: str | None, account: str) -> bool:
    try:
        limiter.attempt(address, account)
    except QuotaExceeded as error:
        assert error.extra["retry_after"] >= 1
        return True
    return False


def test_an_address_waits_after_its_failures_at_an_account_and_others_do_not():
    limiter = LoginLimiter(3, 60)
    assert [refused(limiter, "a", "acme/sam") for _ in range(5)] == [False, False, False, True, True]
    assert not refused(limiter, "b", "acme/sam")
    assert not refused(limiter, "a", "acme/kim")


def test_a_success_forgets_the_failures():
    limiter = LoginLimiter(3, 60)
    for _ in range(20):
        limiter.attempt("a", "acme/sam")
        limiter.attempt("a", "acme/sam")
        limiter.succeeded("a", "acme/sam")


def test_an_address_that_tries_many_accounts_waits():
    limiter = LoginLimiter(3, 60)
    assert [refused(limiter, "a", f"acme/{number}") for number in range(31)] == [False] * 30 + [True]
    assert not refused(limiter, "b", "acme/0")


def test_strangers_at_an_account_wait_and_its_owner_does_not():
    limiter = LoginLimiter(3, 60)
    limiter.attempt("home", "acme/sam")
    limiter.succeeded("home", "acme/sam")
    assert [refused(limiter, str(number), "acme/sam") for number in range(31)] == [False] * 30 + [True]
    assert not refused(limiter, "home", "acme/sam")


def test_services_that_name_no_client_share_no_address():
    limiter = LoginLimiter(3, 60)
    assert not any(refused(limiter, None, f"acme/{number}") for number in range(100))
    assert [refused(limiter, None, "acme/0") for _ in range(3)] == [False, False, True]


def test_failures_leave_the_window():
    limiter = LoginLimiter(1, 0)
    assert [refused(limiter, "a", "acme/sam") for _ in range(3)] == [False] * 3


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_cursors_come_back(key):
    assert pagination.decode(pagination.encode(*key), len(key)) == key


@given(st.text(), st.integers(1, 3))
def test_no_cursor_makes_decoding_fail(cursor, parts):
    try:
        key = pagination.decode(cursor, parts)
    except InvalidArgument:
        return
    assert key is None or len(key) == parts


@given(st.text(st.characters()))
def test_audit_texts_can_be_stored(text):
    stored = _storable(text)
    assert "\0" not in stored
    assert len(stored) <= 500
    stored.encode()


async def test_passwords_fit_themselves_only():
    passwords = Passwords()
    hashed = await passwords.hash("correct horse battery")
    assert hashed.startswith("$argon2id$")
    assert await passwords.verify(hashed, "correct horse battery")
    assert not await passwords.verify(hashed, "correct horse batterY")
    assert not await passwords.verify(None, "nobody has this password")
    assert not await passwords.verify("not a hash", "x")


async def test_a_flood_of_logins_is_turned_away(monkeypatch):
    monkeypatch.setattr(passwords_module, "_QUEUE", 3)
    passwords = Passwords()
    answers = await asyncio.gather(*(passwords.verify(None, "x") for _ in range(6)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool] * 3 + [QuotaExceeded] * 3
    assert await passwords.verify(None, "x") is False


def claims(**change: object) -> Claims:
    given = {"iss": "x", "aud": "x", "sub": "u", "tenant": "acme", "tid": "t", "iat": 0, "exp": 0, "jti": "j"}
    return Claims.model_validate({**given, **change})


def test_tokens_for_other_purposes_are_no_principals():
    for change in ({"roles": ["service"]}, {"scopes": ["probe"]}, {"tid": None}):
        with pytest.raises(PermissionDenied):
            Principal.of(claims(**change))
    assert not Principal.of(claims(roles=["platform-admin"])).is_platform_admin  # the role counts outside of tenants
    assert Principal.of(claims(roles=["platform-admin"], tenant="_public", tid=None)).is_platform_admin


def test_both_forms_of_a_new_tenant_give_one_manifest():
    adapter = TypeAdapter(Creation)
    spec = {"planRef": "team"}
    short = adapter.validate_python({"name": "acme", "spec": spec, "labels": {"a": "b"}})
    head = {"apiVersion": "voicehelper.io/v1alpha1", "kind": "Tenant"}
    whole = adapter.validate_python({**head, "metadata": {"name": "acme", "labels": {"a": "b"}}, "spec": spec})
    assert short.manifest() == {**head, "metadata": {"name": "acme", "labels": {"a": "b"}}, "spec": spec}
    assert whole.manifest()["metadata"] == {"name": "acme", "labels": {"a": "b"}, "annotations": {}}
    for wrong in ({**head, "kind": "Cell", "metadata": {"name": "x"}, "spec": {}}, {"metadata": {}}, {}, [], 7):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
