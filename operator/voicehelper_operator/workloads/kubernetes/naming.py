"""Names and labels of a cell's objects."""

from __future__ import annotations

from voicehelper_core import names

MANAGER = "voicehelper-operator"
"""Field manager of everything that the operator writes."""
CELL, PART_OF = "voicehelper.io/cell", "app.kubernetes.io/part-of"
CELL_NAME, COMPONENT, MANAGED_BY = (
    "voicehelper.io/cell-name",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
)
OWNED = f"{MANAGED_BY}={MANAGER}"
"""Selector of all that the operator made."""
CREDENTIALS, STEP = "voicehelper-cell", "voicehelper-step"
"""Secrets of a cell. Each cell's have the same names: so the operator's role can be limited to these names, for lists
and watches over all namespaces too."""
ACCOUNT = "voicehelper-cell"
STEP_COMPONENT = "step"
"""Component of the pods of steps."""
CONFIG = "voicehelper.io/config"
"""Annotation of pods: the checksum of what they were told."""


def namespace(cell_id: str) -> str:
    """Namespace of a cell."""
    return f"cell-{names.checked(cell_id)}"


def labels(cell_id: str, cell: str = "", component: str = "") -> dict[str, str]:
    """Of an object of a cell."""
    found = {MANAGED_BY: MANAGER, PART_OF: "voicehelper", CELL: names.checked(cell_id)}
    if cell:
        found[CELL_NAME] = cell
    if component:
        found[COMPONENT] = component
    return found


def selector(cell_id: str, component: str) -> dict[str, str]:
    """Labels that choose the pods of a component; they never change."""
    return {CELL: names.checked(cell_id), COMPONENT: component}
