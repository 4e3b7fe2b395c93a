"""CRD YAML from the models: ``python -m voicehelper_crds.generate [FOLDER]``. Tests fail when it is stale.

Without a folder it is written twice: as it is, and as templates of the chart that installs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from voicehelper_crds import GROUP, KINDS, VERSION
from voicehelper_crds.meta import NAME_MAX_LENGTH, NAME_PATTERN, Model
from voicehelper_crds.models import Resource
from voicehelper_crds.validation import immutable_reason

TARGET = Path(__file__).resolve().parents[1] / "generated"
CHART = Path(__file__).resolve().parents[2] / "charts" / "voicehelper-crds" / "templates"
_KEEP = {"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}
"""Neither uninstalling the chart nor pruning may delete a CRD: every tenant would go with it."""
HEADER = "# Generated from voicehelper_crds.models by `make crds-yaml`; do not edit.\n"

_KEYS = {"conditions": "type", "slices": "store", "workloads": "name", "waves": "name"}
"""Lists that are maps, and the field that tells their entries apart."""

_KEPT = ("type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "format")
"""What a structural schema and a JSON schema of pydantic have in common."""

_COLUMNS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Tenant": (
        ("Plan", "string", ".spec.planRef"),
        ("Cell", "string", ".status.cell"),
        ("Phase", "string", ".status.phase"),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
    ),
    "TenantPlan": (
        ("Isolation", "string", ".spec.isolation"),
        ("Class", "string", ".spec.cellClass"),
        ("Users", "integer", ".spec.quota.users"),
    ),
    "Cell": (
        ("Tenancy", "string", ".spec.tenancy"),
        ("Tenants", "integer", ".status.tenants"),
        ("Release", "string", ".status.release"),
        ("Phase", "string", ".status.phase"),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
    ),
    "CellRelease": (
        ("Release", "string", ".spec.release"),
        ("State", "string", ".spec.state"),
        ("Phase", "string", ".status.phase"),
        ("Progress", "string", '.status.conditions[?(@.type=="Progressing")].message'),
    ),
    "TenantMove": (
        ("Tenant", "string", ".spec.tenant"),
        ("From", "string", ".status.source.cell"),
        ("To", "string", ".status.target.cell"),
        ("Phase", "string", ".status.phase"),
        ("Message", "string", ".status.message"),
    ),
    "CellReleaseStrategy": (
        ("On failure", "string", ".spec.failurePolicy.onFailure"),
        ("Scope", "string", ".spec.failurePolicy.scope"),
        ("Max failed", "integer", ".spec.failurePolicy.maxFailedCells"),
    ),
    "CellClass": (
        ("CPU", "string", ".spec.cpu"),
        ("Memory", "string", ".spec.memory"),
        ("Replicas", "integer", ".spec.replicas"),
    ),
}


def crd(kind: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    columns = [*_COLUMNS[kind.kind_name], ("Age", "date", ".metadata.creationTimestamp")]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind.kind_name,
                "listKind": f"{kind.kind_name}List",
                "plural": kind.plural,
                "singular": kind.kind_name.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["voicehelper"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": type_, "jsonPath": path} for name, type_, path in columns
                    ],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def _root(kind: type[Resource]) -> dict[str, Any]:
    fields = kind.model_fields
    definitions = kind.model_json_schema(by_alias=True).get("$defs", {})
    name = {
        "type": "string",
        "description": "Name of the resource.",
        "pattern": NAME_PATTERN,
        "maxLength": NAME_MAX_LENGTH,
    }
    schema: dict[str, Any] = {
        "type": "object",
        "description": _one_line(kind.__doc__),
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "apiVersion": {"type": "string", "description": _one_line(fields["api_version"].description)},
            "kind": {"type": "string", "description": _one_line(fields["kind"].description)},
            "metadata": {"type": "object", "properties": {"name": name}},  # nothing else is allowed here
        },
    }
    for part in ("spec", "status"):
        model = fields[part].annotation
        schema["properties"][part] = {"description": _one_line(fields[part].description)} | (
            _object(model, definitions, defaults=part == "spec")
            if isinstance(model, type) and issubclass(model, Model)
            else {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        )
    if fields["spec"].is_required():
        schema["required"].append("spec")
    else:
        schema["properties"]["spec"]["default"] = {}
    return schema


def _object(model: type[Model], definitions: dict[str, Any], *, defaults: bool) -> dict[str, Any]:
    """The structural schema of a model; its ``rules`` become CEL."""
    shown = definitions[model.__name__]["properties"]
    schema: dict[str, Any] = {"type": "object"}
    required = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    if required:
        schema["required"] = required
    schema["properties"] = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        schema["properties"][alias] = _property(alias, field, shown[alias], definitions, defaults=defaults)
    if model.rules:
        schema["x-kubernetes-validations"] = [
            {"rule": rule.cel, "message": rule.message, "fieldPath": rule.path} for rule in model.rules
        ]
    return schema


def _property(
    alias: str, field: FieldInfo, shown: dict[str, Any], definitions: dict[str, Any], *, defaults: bool
) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": _one_line(field.description)}
    schema |= _value(field.annotation, _not_null(shown), definitions, defaults=defaults)
    if alias in _KEYS:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [_KEYS[alias]]}
    if defaults and (default := _default(field)) is not None:
        schema["default"] = default
    if reason := immutable_reason(field):
        schema["x-kubernetes-validations"] = [{"rule": "self == oldSelf", "message": f"cannot be changed: {reason}"}]
    return schema


def _value(annotation: Any, shown: dict[str, Any], definitions: dict[str, Any], *, defaults: bool) -> dict[str, Any]:
    """The schema of a value: a model, a list, a map of scalars, or a scalar with its bounds."""
    model = _model(annotation)
    if isinstance(below := shown.get("additionalProperties"), dict):
        return {"type": "object", "additionalProperties": _value(annotation, below, definitions, defaults=defaults)}
    if shown.get("type") == "array":
        items = _not_null(shown["items"])
        bound = {"maxItems": shown["maxItems"]} if "maxItems" in shown else {}
        return {"type": "array", **bound, "items": _value(annotation, items, definitions, defaults=defaults)}
    if model is not None:
        return _object(model, definitions, defaults=defaults)
    kept = {key: shown[key] for key in _KEPT if key in shown}
    if kept["type"] == "integer":
        kept["format"] = "int64"
    return kept


def _model(annotation: Any) -> type[Model] | None:
    """The model in an annotation: itself, or the parameter of an Optional or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if issubclass(annotation, Model) else None
    return next((found for part in get_args(annotation) if (found := _model(part))), None)


def _not_null(shown: dict[str, Any]) -> dict[str, Any]:
    """Optional fields are left out rather than null."""
    options = [option for option in shown.get("anyOf", ()) if option.get("type") != "null"]
    return options[0] if options else shown


def _default(field: FieldInfo) -> Any:
    """The default, None where there is none; an empty object lets the defaults of its fields apply."""
    extra = field.json_schema_extra
    if field.is_required() or (isinstance(extra, dict) and extra.get("omit_default")):
        return None
    value = field.get_default(call_default_factory=True)
    return {} if isinstance(value, BaseModel) else value


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def generate(target: Path = TARGET) -> list[Path]:
    """Write one file a kind."""
    return _write({kind.plural: crd(kind) for kind in KINDS.values()}, target)


def generate_chart(target: Path = CHART) -> list[Path]:
    """Write one template a kind: the same, kept whatever becomes of the chart's release."""
    found = {kind.plural: crd(kind) for kind in KINDS.values()}
    for document in found.values():
        document["metadata"]["annotations"] = dict(_KEEP)
    return _write(found, target)


def _write(documents: dict[str, dict[str, Any]], target: Path) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in documents.items():
        path = target / f"{name}.yaml"
        path.write_text(HEADER + yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True))
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) > 1:
        generate(Path(sys.argv[1]))
    else:
        generate()
        generate_chart()
