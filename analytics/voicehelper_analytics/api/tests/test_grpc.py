"""Whose usage a token may read."""

from __future__ import annotations

import pytest
from voicehelper_analytics.api.grpc import CALLERS, SERVICE, admit
from voicehelper_core.auth import Claims
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.gen.analytics.v1 import usage_pb2


def claims(**changes: object) -> Claims:
    base = {
        "iss": "voicehelper", "aud": "voicehelper-api", "sub": "u1", "tenant": "acme", "tid": "tabcdefghijk",
        "roles": ["tenant-admin"], "iat": 1, "exp": 2, "jti": "j",
    }  # fmt: skip
    return Claims.model_validate(base | changes)


def test_the_tenant_is_that_of_the_token() -> None:
    who = admit(claims())
    assert (who.tenant_id, who.tenant, who.user_id) == ("tabcdefghijk", "acme", "u1")


@pytest.mark.parametrize("changes", [{"tid": None, "tenant": "_public"}, {"roles": ["service"], "scopes": ["probe"]}])
def test_platform_and_service_tokens_have_no_usage(changes: dict[str, object]) -> None:
    with pytest.raises(PermissionDenied):
        admit(claims(**changes))


def test_only_the_web_bff_may_ask_and_the_name_is_that_of_the_contract() -> None:
    service = usage_pb2.DESCRIPTOR.services_by_name["UsageService"]
    assert service.full_name == SERVICE
    assert CALLERS[SERVICE] == frozenset({"web"})
