"""Which schemas of other releases a release takes as they are, which it changes, and which it refuses."""

from __future__ import annotations

import pytest
from voicehelper_core.errors import Unprocessable
from voicehelper_core.revisions import ahead

KNOWN: dict[str, str | None] = {"0001": None, "0002": None, "0003": None}
CONTRACTING = {**KNOWN, "0004": "0003"}


@pytest.mark.parametrize("found", KNOWN)
def test_what_it_knows_is_brought_to_its_own(found: str) -> None:
    assert not ahead("knowledge", found, KNOWN, None)


@pytest.mark.parametrize("needed", [None, "0002", "0003"])
def test_what_a_newer_release_has_expanded_is_left(needed: str | None) -> None:
    assert ahead("knowledge", "0004", KNOWN, needed)


def test_what_was_contracted_since_is_refused() -> None:
    with pytest.raises(Unprocessable, match="a release at revision 0004 or later"):
        ahead("knowledge", "0005", KNOWN, "0004")


@pytest.mark.parametrize("found", ["0000", "ae1027a6acf", "10000"])
def test_what_is_older_or_of_another_line_is_refused(found: str) -> None:
    with pytest.raises(Unprocessable, match=r"schema of knowledge is at revision .* go to the release"):
        ahead("knowledge", found, KNOWN, None)


def test_what_contracts_may_not_skip_the_release_it_follows() -> None:
    assert not ahead("knowledge", "0003", CONTRACTING, None)
    with pytest.raises(Unprocessable, match="go by a release at revision 0003"):
        ahead("knowledge", "0002", CONTRACTING, None)
