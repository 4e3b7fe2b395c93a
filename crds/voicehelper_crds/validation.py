"""Manifests in, resources out; or every problem with the path of its field and the reason.

As strict as the API server is with the generated CRDs: no unknown fields, no numbers in quotes, nothing of the status.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from voicehelper_crds.meta import NAME_MAX_LENGTH
from voicehelper_crds.models import KINDS, Resource

API_VERSION = "voicehelper.io/v1alpha1"
MAX_BYTES = 256 * 1024
_NAME_HELP = (
    f"a name has at most {NAME_MAX_LENGTH} characters: lower-case letters, digits and '-', no dots; it begins with a"
    " letter and ends with a letter or a digit, for example 'acme-2'"
)


class ValidationFailed(ValueError):
    """A manifest that is refused. ``errors`` is a list of ``{"path", "reason"}``."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{item['path']}: {item['reason']}" for item in errors))
        self.errors = errors


def validate(manifest: object) -> Resource:
    """The resource that a manifest asks for, defaults filled in, without its status. Raises ValidationFailed."""
    if not isinstance(manifest, Mapping):
        raise _refused("", f"a resource is a mapping with apiVersion, kind, metadata and spec, not {_named(manifest)}")
    version, kind = manifest.get("apiVersion"), manifest.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    problems = []
    if version != API_VERSION:
        problems.append({"path": "apiVersion", "reason": f"has to be '{API_VERSION}', not {_shown(version)}"})
    if model is None:
        known = ", ".join(sorted(KINDS))
        problems.append({"path": "kind", "reason": f"{_shown(kind)} is not known; the kinds are {known}"})
    if model is None or problems:
        raise ValidationFailed(problems)
    wanted = {key: value for key, value in manifest.items() if key != "status"}
    try:
        return model.model_validate_json(_json(wanted), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ValidationFailed([_problem(model, dict(item)) for item in error.errors(include_url=False)]) from None


def validate_update(old: Resource, new: Resource) -> None:
    """Check what may not change. Raises ValidationFailed."""
    before, after = getattr(old, "spec", None), getattr(new, "spec", None)
    if isinstance(before, BaseModel) and isinstance(after, BaseModel):
        problems = [
            {"path": path, "reason": f"cannot be changed: {reason}"} for path, reason in _changed(before, after, "spec")
        ]
        if problems:
            raise ValidationFailed(problems)


def immutable_reason(field: FieldInfo) -> str | None:
    """Why the field keeps its first value; None where it need not."""
    extra = field.json_schema_extra
    reason = extra.get("immutable") if isinstance(extra, dict) else None
    return str(reason) if reason else None


def _changed(before: BaseModel, after: BaseModel, path: str) -> Iterator[tuple[str, str]]:
    for name, field in type(before).model_fields.items():
        one, other = getattr(before, name), getattr(after, name)
        below = f"{path}.{field.alias or name}"
        if (reason := immutable_reason(field)) and one != other:
            yield below, reason
        elif isinstance(one, BaseModel) and isinstance(other, BaseModel):
            yield from _changed(one, other, below)


def _refused(path: str, reason: str) -> ValidationFailed:
    return ValidationFailed([{"path": path or "(document)", "reason": reason}])


def _json(manifest: Mapping[str, Any]) -> str:
    """The manifest as JSON. Raises ValidationFailed for what JSON or the store cannot hold."""
    try:
        text = json.dumps(manifest, default=_date, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _refused("", f"cannot be written as JSON: {error}") from None
    if len(text) > MAX_BYTES:
        raise _refused("", f"has {len(text)} bytes; a resource has at most {MAX_BYTES}")
    if "\\u0000" in text.replace("\\\\", ""):
        raise _refused("", "contains a NUL character")
    return text


def _date(value: object) -> str:
    if hasattr(value, "isoformat"):  # YAML turns what looks like a date into one
        return str(value.isoformat())
    raise TypeError(f"a {type(value).__name__} has no place in a resource")


def _problem(model: type[BaseModel], item: dict[str, Any]) -> dict[str, str]:
    location, context = tuple(item["loc"]), item.get("ctx") or {}
    path = re.sub(r"\.?\[", "[", ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in location))
    reason = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "rule":
        path += context["path"]
    elif location[:2] == ("metadata", "name") and item["type"].startswith("string_"):
        length = f"has {len(item['input'])} characters; " if item["type"] == "string_too_long" else ""
        reason = f"{length}{_shown(item['input'])} is not a name: {_NAME_HELP}"
    elif item["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(location[-1]), _fields(model, location[:-1]), n=1)
        reason = "unknown field" + (f"; did you mean '{close[0]}'?" if close else "")
    elif item["type"] == "missing":
        reason = "is required"
    elif item["type"] == "string_pattern_mismatch":
        reason = f"{_shown(item['input'])} does not match {context['pattern']}"
    return {"path": path or "(document)", "reason": reason}


def _fields(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields of the model at ``location``."""
    for part in location:
        found = next((field for name, field in model.model_fields.items() if part in (field.alias, name)), None)
        below = found.annotation if found else None
        if not (isinstance(below, type) and issubclass(below, BaseModel)):
            return []
        model = below
    return [field.alias or name for name, field in model.model_fields.items()]


def _shown(value: object) -> str:
    text = "nothing" if value is None else f"'{value}'"
    return text if len(text) <= 90 else text[:86] + "...'"


def _named(value: object) -> str:
    names = {str: "text", list: "a list", int: "a number", float: "a number", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)
