"""JSON schemas for kubeconform, from the API server's own description: nothing is fetched.

Strict: an object has no other fields than those that the description names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
LOCATION = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"
"""Name of a kind's file, as kubeconform builds it; of the core group it takes the version for the group."""
_PREFIX = "#/definitions/"


def write(openapi: str, folder: Path) -> int:
    """A file for each kind of the description (OpenAPI 2, JSON); their number."""
    definitions: dict[str, Schema] = json.loads(openapi)["definitions"]
    strict = {name: _strict(name, schema) for name, schema in definitions.items()}
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            found = {**strict[name], "definitions": {one: strict[one] for one in _reachable(name, strict)}}
            file = f"{kind['group'] or kind['version']}_{kind['version']}_{kind['kind'].lower()}.json"
            (folder / file).write_text(json.dumps(found))
            written += 1
    return written


def _strict(name: str, schema: Any) -> Any:
    """The schema without what a validator does not know, and closed."""
    if isinstance(schema, list):
        return [_strict(name, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if name.endswith(".resource.Quantity"):
        return {"type": ["number", "string"]}
    found = {
        key: value for key, value in schema.items() if not key.startswith("x-") and key not in ("format", "default")
    }
    if "properties" in found:
        found["properties"] = {key: _strict("", value) for key, value in found["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties", "allOf"):
        if key in found:
            found[key] = _strict("", found[key])
    return found


def _reachable(name: str, definitions: dict[str, Schema]) -> set[str]:
    found: set[str] = set()
    following = {name}
    while following:
        found |= following
        following = {one for item in following for one in _references(definitions[item])} - found
    return found


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*(_references(item) for item in schema)) if schema else set()
    if not isinstance(schema, dict):
        return set()
    own = schema.get("$ref")
    found = {own.removeprefix(_PREFIX)} if isinstance(own, str) else set()
    return found.union(*(_references(value) for value in schema.values()))
