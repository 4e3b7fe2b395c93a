"""Bodies of the tenants API."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints


class NewTenant(BaseModel):
    """What ``kubectl apply`` would be given, without the parts that are always the same."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(max_length=253)]
    spec: dict[str, Any]
    labels: dict[str, str] = {}


class Quota(BaseModel):
    """Instead of the plan's; a field that is null goes back to the plan's."""

    model_config = ConfigDict(extra="forbid")

    users: int | None = None
    documents: int | None = None
    storageBytes: int | None = None
    tokensPerDay: int | None = None
