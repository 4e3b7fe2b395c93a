"""Whether an object has what its manifest says. Pure."""

from __future__ import annotations

from typing import Any

_WHOLE = {"selector", "podSelector", "namespaceSelector", "labelSelector", "matchLabels", "nodeSelector"}
"""Fields that the API treats as one value: one label more chooses other pods."""


def lacking(wanted: Any, found: Any, path: str = "") -> str | None:
    """The first field that is not as wanted, None where all are. More than what is wanted is nobody's concern here.

    Manifests are written as the API server writes them (quantities, no empty parts), so that values can be compared.
    Entries of a list that have a name are found by it: others may have added theirs. Other lists, and what chooses
    pods, have to be the same as a whole.
    """
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return path or "."
        for key, value in wanted.items():
            if key in _WHOLE and value != found.get(key):
                return f"{path}.{key}"
            if (problem := lacking(value, found.get(key), f"{path}.{key}")) is not None:
                return problem
        return None
    if isinstance(wanted, list):
        return _lacking_entry(wanted, found, path)
    return None if wanted == found else path or "."


def _lacking_entry(wanted: list[Any], found: Any, path: str) -> str | None:
    if not isinstance(found, list):
        return path if wanted else None
    if not all(isinstance(item, dict) and "name" in item for item in wanted):
        return None if wanted == found else path
    named = {item.get("name"): item for item in found if isinstance(item, dict)}
    for item in wanted:
        if (problem := lacking(item, named.get(item["name"]), f"{path}[{item['name']}]")) is not None:
            return problem
    return None
