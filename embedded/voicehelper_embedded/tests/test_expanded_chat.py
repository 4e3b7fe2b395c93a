"""The behaviour tests of the compact cell's chat, against a cell whose services run alone (``test_chat.py``)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from voicehelper_cell.tests.test_chat import (  # the tests of that module run here too
    acme,
    document,
    test_a_client_that_leaves_gets_the_rest,
    test_a_stream_and_its_resumption,
    test_an_answer_cites_its_place,
    test_conversations_are_listed_for_their_user_only,
    test_history_in_pages,
    test_one_effect_for_a_key,
    test_the_same_question_elsewhere,
    test_what_no_document_says,
    word,
)
from voicehelper_embedded.tests.expanded_cell import ExpandedCell, expanded_cell
from voicehelper_embedded.throwaway import Platform

__all__ = [
    "acme",
    "document",
    "test_a_client_that_leaves_gets_the_rest",
    "test_a_stream_and_its_resumption",
    "test_an_answer_cites_its_place",
    "test_conversations_are_listed_for_their_user_only",
    "test_history_in_pages",
    "test_one_effect_for_a_key",
    "test_the_same_question_elsewhere",
    "test_what_no_document_says",
    "word",
]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def platform(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExpandedCell]:
    """The cell stands where the platform stands in those tests: it gives clients of the two tenants."""
    with expanded_cell(platform, tmp_path_factory.mktemp("expanded")) as cell:
        yield cell
