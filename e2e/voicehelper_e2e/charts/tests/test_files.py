"""The charts' files, without Helm."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from voicehelper_e2e.charts.render import ARGOCD, CRDS, FOLDER, PLATFORM, VALUES

EXAMPLES = FOLDER.parent / "examples"
APPLICATIONS = [ARGOCD / "root.yaml", *sorted((ARGOCD / "applications").glob("*.yaml"))]


def paths(values: Any, prefix: str = "") -> set[str]:
    """Of all mappings and scalars; lists are values."""
    if not isinstance(values, dict) or not values:
        return {prefix}
    return {prefix}.union(*(paths(value, f"{prefix}.{key}") for key, value in values.items()))


@pytest.mark.parametrize("case", VALUES)
def test_each_values_file_says_what_the_default_one_explains(case: str) -> None:
    known = paths(yaml.safe_load((PLATFORM / "values.yaml").read_text()))
    free = (".resourceQuota.hard.", ".router.service.annotations.", ".podDefaults.")
    for file in VALUES[case]:
        unknown = paths(yaml.safe_load(file.read_text())) - known
        assert [path for path in unknown if not path.startswith(free)] == []


def test_the_schema_is_strict_everywhere() -> None:
    """Every object with properties of its own refuses others."""

    def loose(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [found for item in schema for found in loose(item, path)]
        if not isinstance(schema, dict):
            return []
        own = [path] if "properties" in schema and schema.get("additionalProperties") is not False else []
        return own + [found for key, value in schema.items() for found in loose(value, f"{path}.{key}")]

    for chart in (PLATFORM, CRDS):
        assert loose(json.loads((chart / "values.schema.json").read_text()), chart.name) == []


def test_the_plans_are_those_of_the_examples() -> None:
    text = (PLATFORM / "files" / "plans.yaml").read_text()
    assert text == (EXAMPLES / "plans.yaml").read_text(), "run 'make crds-yaml'"


def test_both_charts_have_the_distributions_version() -> None:
    charts = [yaml.safe_load((chart / "Chart.yaml").read_text()) for chart in (PLATFORM, CRDS)]
    project = (FOLDER.parent / "pyproject.toml").read_text()
    for chart in charts:
        assert f'\nversion = "{chart["appVersion"]}"\n' in project
        assert chart["kubeVersion"] == ">=1.28.0-0"


@pytest.mark.parametrize("file", APPLICATIONS, ids=lambda file: file.stem)
def test_applications_have_the_founding_sync_policy(file: Any) -> None:
    application = yaml.safe_load(file.read_text())
    policy = application["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    assert policy["retry"] == {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}
    assert application["spec"]["revisionHistoryLimit"] == 10
    assert (FOLDER.parent / application["spec"]["source"]["path"]).is_dir()
    for values in application["spec"]["source"].get("helm", {}).get("valueFiles", ()):
        assert (FOLDER.parent / application["spec"]["source"]["path"] / values).is_file()


def test_crds_come_first_and_both_make_the_namespace() -> None:
    found = {file.stem: yaml.safe_load(file.read_text()) for file in APPLICATIONS[1:]}
    waves = {name: int(item["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for name, item in found.items()}
    assert waves["crds"] < waves["platform"]
    for item in found.values():
        policy = item["spec"]["syncPolicy"]
        assert "CreateNamespace=true" in policy["syncOptions"]
        assert policy["managedNamespaceMetadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
