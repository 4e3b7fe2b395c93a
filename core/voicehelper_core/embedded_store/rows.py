"""Between rows of ``resources.objects`` and the models."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from voicehelper_crds import API_VERSION, Resource

from voicehelper_core.resource_rules import storable

R = TypeVar("R", bound=Resource)


def to_json(value: Any) -> str:
    """JSON that jsonb takes."""
    return json.dumps(storable(value))


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """The resource of a row as JSON has it."""
    metadata = {
        "name": row["name"],
        "uid": str(row["uid"]),
        "generation": row["generation"],
        "resourceVersion": str(row["resource_version"]),
        "creationTimestamp": row["creation_timestamp"].isoformat(),
        "labels": json.loads(row["labels"]),
        "annotations": json.loads(row["annotations"]),
        "finalizers": list(row["finalizers"]),
        "ownerReferences": json.loads(row["owner_references"]),
    }
    if row["deletion_timestamp"]:
        metadata["deletionTimestamp"] = row["deletion_timestamp"].isoformat()
    return {
        "apiVersion": API_VERSION,
        "kind": row["kind"],
        "metadata": metadata,
        "spec": json.loads(row["spec"]),
        "status": json.loads(row["status"]),
    }


def to_resource(kind: type[R], stored: Mapping[str, Any]) -> R:
    """The model. Fields that a later release wrote are ignored, so that going back one release works."""
    return kind.model_validate(stored, extra="ignore")


def owner_filter(uid: uuid.UUID | str) -> str:
    """Matches ``owner_references`` that name ``uid``."""
    return json.dumps([{"uid": str(uid)}])
