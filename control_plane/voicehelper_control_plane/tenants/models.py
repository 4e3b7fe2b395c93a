"""Bodies of the tenants API: a short form, and the manifest as it is applied."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, StringConstraints, Tag
from voicehelper_crds import API_VERSION

Name = Annotated[str, StringConstraints(max_length=253)]


class NewTenant(BaseModel):
    """What ``kubectl apply`` would be given, without the parts that are always the same."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    spec: dict[str, Any]
    labels: dict[str, str] = {}

    def manifest(self) -> dict[str, Any]:
        """What the resource store is given; it validates the rest."""
        return _manifest({"name": self.name, "labels": self.labels}, self.spec)


class ManifestMetadata(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Manifest(BaseModel):
    """The resource as a file has it."""

    model_config = ConfigDict(extra="forbid")

    apiVersion: Literal["voicehelper.io/v1alpha1"]
    kind: Literal["Tenant"]
    metadata: ManifestMetadata
    spec: dict[str, Any]

    def manifest(self) -> dict[str, Any]:
        """What the resource store is given."""
        return _manifest(self.metadata.model_dump(), self.spec)


def _manifest(metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "Tenant", "metadata": metadata, "spec": spec}


def _form(body: Any) -> str:
    return "manifest" if isinstance(body, dict) and "name" not in body and "metadata" in body else "short"


Creation = Annotated[Annotated[NewTenant, Tag("short")] | Annotated[Manifest, Tag("manifest")], Discriminator(_form)]


class Quota(BaseModel):
    """Instead of the plan's; a field that is null goes back to the plan's."""

    model_config = ConfigDict(extra="forbid")

    users: int | None = None
    documents: int | None = None
    storageBytes: int | None = None
    tokensPerDay: int | None = None
