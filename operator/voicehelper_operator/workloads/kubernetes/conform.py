"""Whether an object has what its manifest says. Pure."""

from __future__ import annotations

from typing import Any


def lacking(wanted: Any, found: Any, path: str = "") -> str | None:
    """The first field that is not as wanted, None where all are. More than what is wanted is nobody's concern here.

    Manifests are written as the API server writes them (quantities, no empty parts), so that values can be compared.
    Entries of a list that have a name are found by it: others may have added theirs.
    """
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return path or "."
        for key, value in wanted.items():
            if (problem := lacking(value, found.get(key), f"{path}.{key}")) is not None:
                return problem
        return None
    if isinstance(wanted, list):
        return _lacking_entry(wanted, found, path)
    return None if wanted == found else path or "."


def _lacking_entry(wanted: list[Any], found: Any, path: str) -> str | None:
    if not isinstance(found, list):
        return path if wanted else None
    if wanted and all(isinstance(item, dict) and "name" in item for item in wanted):
        named = {item.get("name"): item for item in found if isinstance(item, dict)}
        pairs = [(item, named.get(item["name"]), item["name"]) for item in wanted]
    else:
        if len(wanted) != len(found):
            return path
        pairs = [(one, other, index) for index, (one, other) in enumerate(zip(wanted, found, strict=True))]
    for one, other, key in pairs:
        if (problem := lacking(one, other, f"{path}[{key}]")) is not None:
            return problem
    return None
