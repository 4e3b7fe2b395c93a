"""What every resource store refuses, whichever substrate keeps the resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from voicehelper_crds import PAUSED, Resource
from voicehelper_crds.validation import ValidationFailed, validate, validate_update

from voicehelper_core import errors


def dump(model: Any) -> dict[str, Any]:
    """A part of a resource as it is stored: camel case, without nulls."""
    if isinstance(model, BaseModel):
        return model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dict(model or {})


def storable(value: Any) -> Any:
    """A value of JSON without the characters that stores refuse (NUL, lone surrogates)."""
    text = json.dumps(value)
    return _clean(value) if "\\u0000" in text or "\\ud" in text else value


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def validated(manifest: Mapping[str, Any]) -> tuple[Resource, Mapping[str, Any]]:
    """The resource, and the metadata as it was given (what is absent there is left as it is).

    Raises InvalidArgument with ``errors=[{path, reason}]``.
    """
    try:
        return validate(manifest), manifest["metadata"]
    except ValidationFailed as failed:
        raise _invalid(failed) from None


def refuse_replacement(current: Resource, wanted: Resource) -> None:
    """Raises Conflict where the one cannot take the other's place now, InvalidArgument where it never can."""
    shown, meta, now = f"{wanted.kind_name} '{wanted.metadata.name}'", wanted.metadata, current.metadata
    if now.deletion_timestamp and not _only_paused(current, wanted):
        raise errors.Conflict(f"{shown} is being deleted: wait until it is gone, then apply again")
    if meta.resource_version not in (None, now.resource_version):
        raise errors.Conflict(
            f"{shown} has changed (resourceVersion {now.resource_version}, not {meta.resource_version}): read it again"
        )
    if meta.uid not in (None, now.uid):
        raise errors.Conflict(f"{shown} is another one now (uid {now.uid}, not {meta.uid})")
    try:
        validate_update(current, wanted)
    except ValidationFailed as failed:
        raise _invalid(failed) from None


def _only_paused(current: Resource, wanted: Resource) -> bool:
    """Whether a manifest pauses or resumes what is there and says nothing else."""
    before, after = dump(current.spec), dump(wanted.spec)  # type: ignore[attr-defined]
    others = [
        {key: value for key, value in item.metadata.annotations.items() if key != PAUSED} for item in (current, wanted)
    ]
    unchanged = before == after and current.metadata.labels == wanted.metadata.labels and others[0] == others[1]
    return unchanged and is_paused(current) is not is_paused(wanted)


def is_paused(resource: Resource) -> bool:
    """Whether somebody asked that nothing is changed for it."""
    return resource.metadata.annotations.get(PAUSED) == "true"


def same(current: Resource, wanted: Resource, given: Mapping[str, Any]) -> bool:
    """Whether there is nothing to write. ``given`` is the metadata as the manifest has it."""
    meta, now = wanted.metadata, current.metadata
    owners = meta.owner_references if "ownerReferences" in given else now.owner_references
    before, after = dump(current.spec), dump(wanted.spec)  # type: ignore[attr-defined]
    return (before, now.labels, now.annotations, now.owner_references) == (after, meta.labels, meta.annotations, owners)


def refuse_creation(wanted: Resource) -> None:
    """Raises Conflict where the manifest speaks of a resource that was there before."""
    if wanted.metadata.resource_version is not None:
        raise errors.Conflict(
            f"{wanted.kind_name} '{wanted.metadata.name}' does not exist (any more):"
            " leave out metadata.resourceVersion to make it"
        )


def refuse_finalizers(current: Resource, finalizers: list[str]) -> None:
    """Raises Conflict where some are new and the resource is being deleted already."""
    added = sorted(set(finalizers) - set(current.metadata.finalizers))
    if current.metadata.deletion_timestamp and added:
        raise errors.Conflict(
            f"{current.kind_name} '{current.metadata.name}' is being deleted: no finalizer can be added ({added})"
        )


def is_protected(resource: Resource) -> bool:
    """Whether ``spec.deletion.protect`` holds."""
    deletion = getattr(getattr(resource, "spec", None), "deletion", None)
    return bool(getattr(deletion, "protect", False))


def protection(kind: str, name: str) -> errors.PermissionDenied:
    """The refusal to delete what is protected."""
    return errors.PermissionDenied(f"{kind} '{name}' is protected: set spec.deletion.protect to false first")


def _invalid(failed: ValidationFailed) -> errors.InvalidArgument:
    return errors.InvalidArgument(str(failed), errors=failed.errors)
