"""apply, get, describe, delete and wait over a store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result
from voicehelper_core.ports import Event
from voicehelper_crds import Condition
from voicehelper_crds.models import Tenant

Cli = Callable[..., Result]
TENANT = """\
apiVersion: voicehelper.io/v1alpha1
kind: Tenant
metadata: {name: acme}
spec:
  planRef: team
  admin: {email: admin@acme.example}
"""


def condition(kind: str, status: str, generation: int = 1, **more: Any) -> Condition:
    return Condition(
        type=kind, status=status, reason="Because", observed_generation=generation,
        last_transition_time=datetime.now(UTC), **more,
    )  # fmt: skip


def test_apply_says_what_it_did(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "tenant.yaml"
    file.write_text(TENANT)
    assert cli("apply", "-f", str(file)).stdout == "tenant/acme created\n"
    assert cli("apply", "-f", str(file)).stdout == "tenant/acme unchanged\n"
    file.write_text(TENANT.replace("team", "enterprise"))
    assert cli("apply", "-f", str(file)).stdout == "tenant/acme configured\n"
    assert cli("apply", "-f", "-", stdin=TENANT).stdout == "tenant/acme configured\n"


def test_apply_takes_the_examples(cli: Cli) -> None:
    folder = Path(__file__).parents[3] / "examples"
    lines = cli("apply", "-f", str(folder)).stdout.splitlines()
    assert "tenant/acme created" in lines
    assert all(line.endswith(" created") for line in lines)


def test_a_refused_resource_names_place_field_and_reason_and_does_not_keep_the_others(cli: Cli) -> None:
    bad = TENANT.replace("planRef", "planReff").replace("name: acme", "name: globex.example")
    result = cli("apply", "-f", "-", stdin=f"{bad}---\n{TENANT}")
    assert result.exit_code == 1
    assert result.stdout == "tenant/acme created\n"
    for word in ("standard input:1", "spec.planReff", "metadata.name", "1 of 2 resources were refused"):
        assert word in result.stderr


@pytest.mark.parametrize("text", ["kind: Unheard\n", "apiVersion: v1\nkind: Tenant\n", "{}\n", "metadata: 3\n"])
def test_what_is_no_resource_of_ours_is_refused(cli: Cli, text: str) -> None:
    assert cli("apply", "-f", "-", stdin=text).exit_code == 1


def test_nothing_is_applied_when_a_later_document_is_broken(cli: Cli, store: Any) -> None:
    result = cli("apply", "-f", "-", stdin=f"{TENANT}---\na: [\n")
    assert result.exit_code == 1
    assert "broken YAML" in result.stderr
    assert not store.objects


def test_an_empty_file_is_an_error(cli: Cli) -> None:
    assert "no resource" in cli("apply", "-f", "-", stdin="\n").stderr


@pytest.mark.parametrize("kind", ["tenants", "tenant", "tn", "Tenant"])
def test_get_lists_as_kubernetes_does(cli: Cli, acme: Tenant, kind: str) -> None:
    document = json.loads(cli("get", kind, "-o", "json").stdout)
    assert document["kind"] == "TenantList"
    assert document["apiVersion"] == "voicehelper.io/v1alpha1"
    (item,) = document["items"]
    assert item["metadata"]["name"] == "acme"
    assert item["spec"]["planRef"] == "team"


@pytest.mark.parametrize("arguments", [("tenant", "acme"), ("tenant/acme",)])
def test_get_one_is_the_object_itself(cli: Cli, acme: Tenant, arguments: tuple[str, ...]) -> None:
    assert json.loads(cli("get", *arguments, "-o", "json").stdout)["metadata"]["name"] == "acme"
    assert yaml.safe_load(cli("get", *arguments, "-o", "yaml").stdout)["kind"] == "Tenant"


def test_get_prints_a_table(cli: Cli, acme: Tenant) -> None:
    acme.status.conditions = [condition("Ready", "True")]
    acme.status.cell = "shared-1"
    acme.status.tenant_id = "tabcdefghijk"
    head, row = cli("get", "tenants").stdout.splitlines()
    assert head.split()[:4] == ["NAME", "PLAN", "CELL", "READY"]
    assert row.split()[:4] == ["acme", "team", "shared-1", "True"]
    assert "tabcdefghijk" not in row
    assert "tabcdefghijk" in cli("get", "tenants", "-o", "wide").stdout


def test_get_of_nothing(cli: Cli) -> None:
    result = cli("get", "cells")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there are no cells" in result.stderr
    assert json.loads(cli("get", "cells", "-o", "json").stdout)["items"] == []
    missing = cli("get", "cell", "nowhere")
    assert missing.exit_code == 1
    assert "cell/nowhere does not exist" in missing.stderr


def test_an_unknown_kind_names_the_known_ones(cli: Cli) -> None:
    result = cli("get", "pods")
    assert result.exit_code == 1
    assert "tenants, tenantplans, cells, cellclasses" in result.stderr


def test_describe_shows_spec_conditions_and_events(cli: Cli, acme: Tenant, events: Any) -> None:
    acme.status.conditions = [condition("Placed", "False", message="no cell has room")]
    events.recorded = [Event("Tenant", "acme", "Warning", "NoRoom", "no cell has room", 3, "2026-11-24T09:00:00Z")]
    text = cli("describe", "tenant", "acme").stdout
    for word in ("planRef: team", "Conditions:", "Placed", "no cell has room", "Events:", "NoRoom", "3"):
        assert word in text


def test_delete_and_wait(cli: Cli, acme: Tenant, store: Any) -> None:
    acme.metadata.finalizers = ["voicehelper.io/tenant"]
    result = cli("delete", "tenant", "acme", "--wait", "--timeout", "0s")
    assert result.exit_code == 1
    assert "voicehelper.io/tenant" in result.stderr
    acme.metadata.finalizers = []
    assert cli("delete", "tenant/acme", "--wait").stdout == "tenant/acme deleted\n"
    assert not store.objects
    again = cli("delete", "tenant", "acme")
    assert again.exit_code == 1
    assert "does not exist" in again.stderr


def test_a_protected_resource_stays(cli: Cli, acme: Tenant, store: Any) -> None:
    acme.spec.deletion.protect = True
    result = cli("delete", "tenant", "acme")
    assert result.exit_code == 1
    assert "protect" in result.stderr
    assert store.objects


def test_wait_for_a_condition_of_the_newest_spec(cli: Cli, acme: Tenant) -> None:
    wait = ("wait", "tenant/acme", "--for", "condition=Ready", "--timeout", "0s")
    assert "no such condition" in cli(*wait).stderr
    acme.status.conditions = [condition("Ready", "True")]
    assert cli(*wait).stdout == "tenant/acme condition met\n"
    acme.metadata.generation = 2
    assert "older generation" in cli(*wait).stderr
    acme.status.conditions = [condition("Ready", "False", 2, message="the probe got 503")]
    late = cli(*wait)
    assert late.exit_code == 1
    assert "Because: the probe got 503" in late.stderr
    assert cli("wait", "tenant/acme", "--for", "condition=ready=false", "--timeout", "0s").exit_code == 0


def test_wait_for_deletion(cli: Cli, acme: Tenant) -> None:
    assert cli("wait", "tenant/acme", "--for", "delete", "--timeout", "0s").exit_code == 1
    assert cli("wait", "tenant/globex", "--for", "delete", "--timeout", "0s").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("wait", "tenant/acme", "--for", "Ready"),
        ("wait", "tenant/acme", "--for", "condition=Ready=Perhaps"),
        ("wait", "tenant/acme", "--for", "delete", "--timeout", "soon"),
        ("apply",),
        ("get",),
        ("get", "tenants", "-o", "xml"),
        ("token",),
        ("token", "--tenant", "acme", "--platform"),
        ("--context", "moon", "get", "tenants"),
        ("--context", "kube", "get", "tenants"),
    ],
)
def test_wrong_usage_ends_with_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli(*arguments).exit_code == 2


def test_a_name_is_needed_once(cli: Cli) -> None:
    assert "give a name" in cli("describe", "tenant").stderr
    assert "once" in cli("get", "tenant/acme", "globex").stderr
