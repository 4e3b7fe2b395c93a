"""A person changes the spec of a resource while the operator writes its status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voicehelper_core import errors
from voicehelper_core.ports import ResourceStore

from voicehelper_cli.failures import Failure
from voicehelper_cli.kinds import AnyKind
from voicehelper_cli.resources import find
from voicehelper_cli.views import document

_KEPT = ("name", "labels", "annotations", "resourceVersion")


async def changed_spec(
    store: ResourceStore, kind: AnyKind, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Replace the spec by what ``change`` makes of it. Raises Failure."""
    while True:
        wanted = document(await find(store, kind, name))
        wanted.pop("status", None)
        wanted["spec"] = change(wanted["spec"])
        meta = wanted["metadata"]
        wanted["metadata"] = {key: meta[key] for key in _KEPT if key in meta}
        if meta.get("ownerReferences"):  # of a cell that was made for a tenant
            wanted["metadata"]["ownerReferences"] = meta["ownerReferences"]
        try:
            await store.apply(wanted)
        except errors.Conflict:  # the operator has written its status meanwhile
            continue
        except errors.AppError as error:
            raise Failure(error.detail) from None
        return
