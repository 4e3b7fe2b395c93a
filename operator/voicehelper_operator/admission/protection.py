"""``spec.deletion.protect``, which is judged by the object itself."""

from __future__ import annotations

from voicehelper_core.resource_rules import protection

from voicehelper_operator.admission.request import Body, Refusal


def protected(kind: str, stored: Body) -> Refusal | None:
    """The refusal to delete it, in the words of the resource stores."""
    if not stored.get("spec", {}).get("deletion", {}).get("protect"):
        return None
    return Refusal(protection(kind, stored["metadata"]["name"]).detail, 403, seen=False)
