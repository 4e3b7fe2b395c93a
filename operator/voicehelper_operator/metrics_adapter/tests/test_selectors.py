"""Selectors of labels as the API writes them."""

from __future__ import annotations

import pytest
from voicehelper_core.errors import InvalidArgument

from voicehelper_operator.metrics_adapter.selectors import matcher

LABELS = {"voicehelper.io/cell": "cabcdefghij1", "app": "web", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,voicehelper.io/cell=cabcdefghij1", True),
        ("app=web,voicehelper.io/cell=other", False),
        ("app!=web", False),
        ("other!=web", True),
        ("app in (api, web)", True),
        ("app in (api),empty=", False),
        ("app notin (api,rag),empty=", True),
        ("other notin (api)", True),
        ("app", True),
        ("!app", False),
        ("!other,empty", True),
    ],
)
def test_choice(selector, chosen):
    assert matcher(selector)(LABELS) is chosen


@pytest.mark.parametrize("selector", ["=web", "app=a b", "app in web", "app in (", "a,,b", "app>3", "app=web,"])
def test_what_is_none_is_refused(selector):
    with pytest.raises(InvalidArgument, match="labelSelector"):
        matcher(selector)
