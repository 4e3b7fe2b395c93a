"""The list of fault points is that of the code, in both directions."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from voicehelper_core.fault_points import MOMENTS, POINTS, STEPS

ROOT = Path(__file__).parents[3]
ROOMS = ("core", "operator", "control_plane", "router", "cell", "analytics", "embedded")


def _in_code() -> Counter[str]:
    found: Counter[str] = Counter()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if "tests" in path.parts or ".venv" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "faults.point":
                    assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: a point is named literally"
                    found[node.args[0].value] += 1
    return found


def test_every_point_of_the_code_is_listed_and_every_listed_one_is_in_the_code():
    assert _in_code() == Counter(list(POINTS))


def test_a_step_has_three_moments_or_says_why_not():
    for step in STEPS:
        assert set(step.absent) <= set(MOMENTS)
        assert all(step.absent.values()), step
        assert len(step.points) + len(step.absent) == 3


def test_names_of_steps_are_unique():
    assert len({step.name for step in STEPS}) == len(STEPS)
