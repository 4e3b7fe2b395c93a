"""Whose field it is: what somebody edited is drift and set right, what somebody applies is theirs and reported."""

from __future__ import annotations

import re

from voicehelper_core import errors
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.client import Object
from voicehelper_core.kubernetes_api.kinds import kind_of

from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.manifests import Manifest

_MANAGER = re.compile(r'conflicts? with "((?:[^"\\]|\\.)*)"')
"""As the API server names the manager of a field in a conflict."""


async def applied(api: Api, manifest: Manifest) -> Object:
    """The object, as the manifest says.

    Raises Conflict, with ``extra["fields"]``, where another server-side applier wants something else: whoever applies
    declares what should hold, and two of them would fight for ever. An edit, a patch or a scale declares nothing.
    """
    try:
        return await api.apply(manifest, manager=naming.MANAGER)
    except errors.Conflict as conflict:
        if "fields" not in conflict.extra:
            raise
        meta = manifest["metadata"]
        found = await api.get(kind_of(manifest), meta["name"], meta.get("namespace"))
        if _appliers(found) & set(_MANAGER.findall(conflict.detail)):
            raise
        return await api.apply(manifest, manager=naming.MANAGER, force=True)


def _appliers(found: Object) -> set[str]:
    fields = found["metadata"].get("managedFields") or ()
    return {entry["manager"] for entry in fields if entry["operation"] == "Apply"} - {naming.MANAGER}
