"""The generated CRDs are up to date, structural, and say what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from voicehelper_crds import KINDS
from voicehelper_crds.generate import CHART, TARGET, crd, generate, generate_chart
from voicehelper_crds.meta import Model

ALLOWED = {
    "type", "description", "properties", "required", "items", "default", "enum", "pattern", "minLength", "maxLength",
    "minimum", "maximum", "format", "x-kubernetes-validations", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-preserve-unknown-fields", "additionalProperties", "maxItems",
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind_name)


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from schemas(below, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def root(kind: Any) -> dict[str, Any]:
    schema: dict[str, Any] = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def test_the_files_are_what_the_models_give(tmp_path):
    fresh = {path.name: path.read_text() for path in generate(tmp_path)}
    committed = {path.name: path.read_text() for path in TARGET.glob("*.yaml")}
    assert committed == fresh, "run 'make crds-yaml'"


def test_the_chart_has_the_same_and_keeps_them(tmp_path):
    fresh = {path.name: path.read_text() for path in generate_chart(tmp_path)}
    committed = {path.name: path.read_text() for path in CHART.glob("*.yaml")}
    assert committed == fresh, "run 'make crds-yaml'"
    for text in committed.values():
        assert "{{" not in text, "Helm would take it for a template"
        document = yaml.safe_load(text)
        assert document["metadata"].pop("annotations")["helm.sh/resource-policy"] == "keep"
        assert document == yaml.safe_load((TARGET / f"{document['spec']['names']['plural']}.yaml").read_text())


@kinds
def test_yaml_is_read_back_as_it_was_meant(kind):
    assert yaml.safe_load((TARGET / f"{kind.plural}.yaml").read_text()) == crd(kind)


@kinds
def test_the_schema_is_structural_and_documented(kind):
    for path, schema in schemas(root(kind)):
        assert set(schema) <= ALLOWED, path
        assert schema["type"] in {"object", "array", "string", "integer", "number", "boolean"}, path
        assert set(schema.get("required", ())) <= set(schema.get("properties", {})), path
        if schema["type"] == "array":
            assert "items" in schema, path
        elif schema["type"] == "object":
            known = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}
            assert known & set(schema), path
        if path not in (".metadata",) and not path.endswith("[]"):
            assert schema["description"].strip(), path
        for key in schema.get("x-kubernetes-list-map-keys", ()):
            assert key in schema["items"]["required"], path


@kinds
def test_every_field_is_there(kind):
    def check(model: type[Model], schema: dict[str, Any]) -> None:
        assert set(schema["properties"]) == {field.alias for field in model.model_fields.values()}

    check(kind.model_fields["spec"].annotation, root(kind)["properties"]["spec"])


@kinds
def test_what_an_empty_spec_gets_from_the_api_server_is_what_the_model_gives(kind):
    def filled(schema: dict[str, Any], value: Any) -> Any:
        """Defaulting as the API server does it."""
        if schema["type"] == "object" and isinstance(value, dict):
            for name, below in schema.get("properties", {}).items():
                if name not in value and "default" in below:
                    value[name] = yaml.safe_load(yaml.safe_dump(below["default"]))
                if name in value:
                    value[name] = filled(below, value[name])
        return value

    needed = {
        "Tenant": {"planRef": "team", "admin": {"email": "a@b.example"}},
        "CellRelease": {"release": "r2"},
        "TenantMove": {"tenant": "acme"},
    }
    spec = needed.get(kind.kind_name, {})
    model = kind.model_fields["spec"].annotation
    by_model = model.model_validate(spec).model_dump(mode="json", by_alias=True, exclude_none=True)
    by_server = filled(root(kind)["properties"]["spec"], dict(spec))
    if kind.kind_name == "Cell":  # depends on the tenancy, which a default in a schema cannot
        assert by_model.pop("capacity") == 100
    assert by_server == by_model


@kinds
def test_names_are_bounded_and_status_is_a_subresource(kind):
    document = crd(kind)
    assert document["spec"]["scope"] == "Cluster"
    assert document["spec"]["names"]["shortNames"]
    assert document["metadata"]["name"] == f"{kind.plural}.voicehelper.io"
    assert document["spec"]["versions"][0]["subresources"] == {"status": {}}
    assert root(kind)["properties"]["metadata"]["properties"]["name"]["maxLength"] == 40
    for column in document["spec"]["versions"][0]["additionalPrinterColumns"]:
        assert column["jsonPath"].startswith((".spec.", ".status.", ".metadata.creationTimestamp"))


@kinds
def test_columns_show_fields_that_exist(kind):
    known = {path for path, _ in schemas(root(kind))}
    for column in crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"].split("[?")[0]
        assert path in known or path == ".metadata.creationTimestamp"


def test_rules_and_immutable_fields_become_cel():
    spec = root(KINDS["Cell"])["properties"]["spec"]
    assert spec["properties"]["tenancy"]["x-kubernetes-validations"][0]["rule"] == "self == oldSelf"
    assert {rule["fieldPath"] for rule in spec["x-kubernetes-validations"]} == {".capacity"}
    tenant = root(KINDS["Tenant"])["properties"]["spec"]["x-kubernetes-validations"]
    assert {rule["fieldPath"] for rule in tenant} == {".placement.region", ".placement.group"}
