"""What all kinds share."""

from __future__ import annotations

from typing import ClassVar, Literal

from voicehelper_crds.meta import Model, ObjectMeta

Isolation = Literal["shared", "dedicated"]


class Deletion(Model):
    policy: Literal["Retain", "Archive", "Delete"] = "Retain"
    """What happens to the data when the tenant goes: kept under its id, put into a verified archive and
    then removed, or removed from every store."""
    protect: bool = False
    """Refuse deletion while true."""


class Resource(Model):
    """What all kinds share."""

    kind_name: ClassVar[str]
    plural: ClassVar[str]
    short_names: ClassVar[tuple[str, ...]]

    api_version: Literal["voicehelper.io/v1alpha1"] = "voicehelper.io/v1alpha1"
    """Version of the API."""
    metadata: ObjectMeta
    """Name, labels and what the store keeps."""
