"""Canaries are found in every form, and never shown; attacks are chosen by name."""

from __future__ import annotations

import base64
import json

import pytest
from voicehelper_cli.isolation.attack import Recorder, all_attacks, attack, chosen
from voicehelper_cli.isolation.model import NEIGHBOUR, Canaries, Outcome


@pytest.fixture
def canaries() -> Canaries:
    found = Canaries()
    found.plant("message")
    found.plant("document id", "6f1c0f3e-0000-4000-8000-1234567890ab")
    return found


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_a_canary_is_seen_in_every_form(canaries: Canaries, before: str) -> None:
    for canary in canaries.planted:
        text = f"{before}{canary.secret} and more"
        for form in (text, text.encode(), base64.b64encode(text.encode()), base64.urlsafe_b64encode(text.encode()),
                     text.encode().hex(), text.encode("utf-16-le"), [{"row": text}], ValueError(text)):  # fmt: skip
            assert canaries.seen(form) == [canary], form


def test_what_the_attacker_said_itself_is_no_leak(canaries: Canaries) -> None:
    secret = canaries.of("message").secret
    assert canaries.seen(f"not found: {secret}", sent=["/x", secret]) == []
    assert canaries.seen("nothing at all") == []


def test_a_report_shows_neither_canaries_nor_credentials(canaries: Canaries) -> None:
    canaries.hide("hunter2-hunter2")
    shown = canaries.shown(f"{canaries.of('message').secret}\n hunter2-hunter2 \0 {'x' * 500}")
    assert shown.startswith("<message> <credential> ")
    assert len(shown) <= 240
    assert "\n" not in shown


def test_a_recorder_judges_by_what_is_seen(canaries: Canaries) -> None:
    tried, secret = Recorder("a.b", "http", canaries), canaries.of("message").secret
    assert tried.judge("x", secret, by=NEIGHBOUR, finding="f") is Outcome.leaked
    assert tried.judge("x", secret, by=NEIGHBOUR, finding="f", sent=secret) is Outcome.held
    assert tried.expect(True, "x", secret, by=NEIGHBOUR, finding="f", reason="r") is Outcome.leaked
    assert tried.expect(False, "x", "", by=NEIGHBOUR, finding="f", reason="r") is Outcome.leaked
    assert secret not in json.dumps([repr(item) for item in tried.attempts])


def test_attacks_are_chosen_by_name_group_and_pattern() -> None:
    assert [item.name for item in chosen(["tokens.forged"])] == ["tokens.forged"]
    assert {item.name for item in chosen(["tokens"])} == {item.name for item in chosen(["tokens.*"])} != set()
    assert chosen(["nothing"]) == []
    assert len(chosen([])) == len({item.name for item in all_attacks()})


def test_two_attacks_cannot_share_a_name() -> None:
    name = all_attacks()[0].name
    with pytest.raises(ValueError, match=name):
        attack(name, surface="x")(test_two_attacks_cannot_share_a_name)  # type: ignore[arg-type]
