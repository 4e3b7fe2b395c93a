"""The charts, their values, and what Helm makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from voicehelper_e2e.charts import tools
from voicehelper_e2e.cluster.binaries import KUBERNETES
from voicehelper_e2e.cluster.commands import run

FOLDER = Path(__file__).resolve().parents[3] / "charts"
PLATFORM, CRDS, ARGOCD = FOLDER / "voicehelper", FOLDER / "voicehelper-crds", FOLDER / "argocd"
NAMESPACE, RELEASE = "voicehelper-prod", "voicehelper"
VALUES = {
    "default": (),
    "small": (PLATFORM / "values-small.yaml",),
    "production": (PLATFORM / "values-production.yaml",),
}
"""Files of values by the name of the case."""
Object = dict[str, Any]


def arguments(case: str, *settings: str) -> list[str]:
    """Of a case, and of ``--set``."""
    files = [part for path in VALUES[case] for part in ("--values", str(path))]
    return files + [part for setting in settings for part in ("--set", setting)]


def template(chart: Path, *more: str) -> str:
    """What Helm renders, hooks too, for the same Kubernetes whatever Helm it is. Raises Failure with what Helm says."""
    place = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES)
    return run(str(tools.helm()), "template", RELEASE, str(chart), *place, *more)


def objects(text: str) -> list[Object]:
    """Of a render."""
    return [document for document in yaml.safe_load_all(text) if document]


def named(found: list[Object], kind: str, name: str) -> Object:
    """The only one. Raises ValueError."""
    (one,) = [item for item in found if item["kind"] == kind and item["metadata"]["name"] == name]
    return one
