"""What is accepted, what is refused, and what the refusal says."""

from __future__ import annotations

import copy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_crds import Cell, Tenant
from voicehelper_crds.validation import ValidationFailed, validate, validate_update

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def release(*waves):
    spec = {"release": "r2", "strategy": {"waves": [*waves]}}
    return {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "CellRelease",
        "metadata": {"name": "spring"},
        "spec": spec,
    }


def tenant(**paths: Any) -> dict[str, Any]:
    """A valid Tenant, with values set at ``a__b``."""
    manifest: dict[str, Any] = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": "acme"},
        "spec": {"planRef": "team", "admin": {"email": "admin@acme.example"}},
    }
    for path, value in paths.items():
        *above, last = path.split("__")
        at = manifest
        for part in above:
            at = at.setdefault(part, {})
        at[last] = value
    return manifest


def cell(**spec: Any) -> Cell:
    made = validate({"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": {"name": "c"}, "spec": spec})
    assert isinstance(made, Cell)
    return made


def problems(manifest: object) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as failed:
        validate(manifest)
    for item in failed.value.errors:
        assert item["path"] in str(failed.value)
    return {item["path"]: item["reason"] for item in failed.value.errors}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_examples_are_valid_and_survive_a_round_trip(path):
    for document in yaml.safe_load_all(path.read_text()):
        resource = validate(document)
        assert validate(resource.model_dump(mode="json", by_alias=True, exclude_none=True)) == resource


@pytest.mark.parametrize(
    ("manifest", "path", "reason"),
    [
        (tenant(metadata__name="a" * 70), "metadata.name", "has 70 characters"),
        (tenant(metadata__name="acme.prod"), "metadata.name", "no dots"),
        (tenant(metadata__name="Acme"), "metadata.name", "lower-case"),
        (tenant(metadata__name="acme\n"), "metadata.name", "not a name"),
        (tenant(metadata__name=5), "metadata.name", "for example 'acme-2'"),
        (tenant(metadata={}), "metadata.name", "is required"),
        (tenant(metadata=None), "metadata", "object"),
        (tenant(kind="Tenent"), "kind", "the kinds are Cell, CellClass, CellRelease, CellReleaseStrategy"),
        (tenant(kind=["Tenant"]), "kind", "not known"),
        (tenant(apiVersion="v1"), "apiVersion", "'voicehelper.io/v1alpha1', not 'v1'"),
        (tenant(spec__planref="team"), "spec.planref", "did you mean 'planRef'?"),
        (tenant(spec__plan_ref="team"), "spec.plan_ref", "did you mean 'planRef'?"),
        (tenant(spec__quota__usrs=5), "spec.quota.usrs", "did you mean 'users'?"),
        (tenant(spec__zzz=1), "spec.zzz", "unknown field"),
        (tenant(zzz=1), "zzz", "unknown field"),
        (tenant(spec__quota__users="5"), "spec.quota.users", "valid integer"),
        (tenant(spec__quota__users=0), "spec.quota.users", "greater than or equal to 1"),
        (tenant(spec__suspended="yes"), "spec.suspended", "valid boolean"),
        (tenant(spec__admin__email="nobody"), "spec.admin.email", "does not match"),
        (tenant(spec__deletion__policy="Burn"), "spec.deletion.policy", "'Retain', 'Archive' or 'Delete'"),
        (tenant(spec=None), "spec", "object"),
        (tenant(metadata__labels={"a": 1}), "metadata.labels.a", "valid string"),
        (tenant(metadata__labels={"a": "b c"}), "metadata.labels.a", "does not match"),
        (tenant(spec__displayName="a\0b"), "(document)", "NUL"),
        (tenant(spec__displayName="\ud800"), "(document)", "JSON"),
        (tenant(spec__displayName=float("nan")), "(document)", "JSON"),
        (tenant(spec__displayName={1, 2}), "(document)", "JSON"),
        (tenant(metadata__annotations={"a": "x" * 300_000}), "(document)", "at most 262144"),
        (release({"name": "a"}, {"name": "a"}), "spec.strategy.waves", "different names"),
        (release({"name": "a", "percent": 0}), "spec.strategy.waves[0].percent", "1"),
        (
            {**release({"name": "a"}), "spec": {**release({"name": "a"})["spec"], "strategyRef": "careful"}},
            "spec.strategyRef",
            "not given both",
        ),
        ("text", "(document)", "mapping"),
        ([tenant()], "(document)", "a list"),
        (None, "(document)", "nothing"),
        ({}, "kind", "nothing is not known"),
    ],
)
def test_refusals_name_the_field_and_the_reason(manifest, path, reason):
    assert reason in problems(manifest)[path]


def test_every_problem_is_told():
    told = problems(tenant(metadata__name="a.b", spec__quota__users=0, spec__zzz=1))
    assert set(told) == {"metadata.name", "spec.quota.users", "spec.zzz"}


def test_a_manifest_that_contains_itself_is_refused():
    manifest = tenant()
    manifest["metadata"]["annotations"] = {"self": manifest}
    assert "JSON" in problems(manifest)["(document)"]


def test_fields_that_contradict_each_other():
    told = problems(tenant(spec__residency="eu", spec__placement={"region": "us"}))
    assert told == {"spec.placement.region": "the region is outside of the tenant's residency"}
    assert "spec.placement.group" in problems(tenant(spec__placement={"isolation": "dedicated", "group": "g"}))
    with pytest.raises(ValidationFailed, match=r"spec\.capacity: .* is 1"):
        cell(tenancy="dedicated", capacity=2)


def test_a_dedicated_cell_holds_one_tenant_by_default():
    assert cell(tenancy="dedicated").spec.capacity == 1
    assert cell().spec.capacity == 100


def test_status_and_what_the_store_keeps_are_no_reason_to_refuse():
    manifest = tenant(
        status={"phase": "Ready", "zzz": 1},
        metadata__uid="u",
        metadata__resourceVersion="7",
        metadata__creationTimestamp="2026-01-01T00:00:00Z",
    )
    resource = validate(manifest)
    assert isinstance(resource, Tenant)
    assert resource.status.phase == ""


def test_what_yaml_takes_for_a_date_is_text():
    resource = validate(tenant(spec__displayName=date(2026, 1, 1)))
    assert isinstance(resource, Tenant)
    assert resource.spec.display_name == "2026-01-01"


def test_what_may_not_change():
    with pytest.raises(ValidationFailed) as failed:
        validate_update(cell(), cell(tenancy="dedicated", region="eu", stores={"kafka": "own"}, capacity=1))
    assert [item["path"] for item in failed.value.errors] == ["spec.tenancy", "spec.region", "spec.stores"]
    validate_update(cell(), cell(capacity=7, cordoned=True, hibernate=True))
    validate_update(validate(tenant()), validate(tenant(spec__admin__email="other@acme.example")))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["metadata", "spec", "kind", "apiVersion", "status", "new"]), json_values)
def test_nothing_but_a_refusal_comes_of_nonsense(key, value):
    manifest = copy.deepcopy(tenant()) | {key: value}
    try:
        validate(manifest)
    except ValidationFailed as failed:
        assert failed.errors
        assert all(item["path"] and item["reason"] for item in failed.errors)
