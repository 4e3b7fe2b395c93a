"""Names are built from ids only, stay within every store's bounds and never meet another cell's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_core import names

ids = st.from_regex(r"\A[a-z][a-z0-9]{11}\Z")
services = st.sampled_from(names.SERVICES)


def of_cell(cell, service):
    return [
        names.schema(cell, service),
        names.placement_schema(cell),
        names.owner_role(cell, service),
        names.service_role(cell, service),
        *(names.login_role(cell, account) for account in names.ACCOUNTS),
        *(names.service_login(cell, service, account) for account in names.ACCOUNTS),
        names.migrator_role(cell),
        *(names.topic(cell, topic) for topic in names.TOPICS),
        *(names.kafka_user(cell, account) for account in names.ACCOUNTS),
        *(names.objects_user(cell, account) for account in names.ACCOUNTS),
        names.consumer_group(cell, service),
        names.collection(cell),
        names.os_user(cell),
        names.cell_secret(cell),
    ]


@given(ids, services)
def test_names_fit(cell, service):
    for name in of_cell(cell, service):
        assert len(name) <= 63
        assert re.fullmatch(r"[a-z][-a-z0-9_.]*", name)
    assert len(names.os_user(cell)) <= 32


@given(ids, ids, services, services)
def test_cells_share_nothing(one, other, service, second):
    if one != other:
        assert not set(of_cell(one, service)) & set(of_cell(other, second))
        assert not names.topic(one, "ai.tasks").startswith(f"{other}.")


def test_the_first_account_is_called_as_before_there_were_two():
    cell = "cabcdefghij1"
    assert names.login_role(cell) == names.kafka_user(cell) == names.objects_user(cell) == cell
    assert names.service_login(cell, "web") == f"{cell}_web_login"
    assert names.login_role(cell, "b") == names.kafka_user(cell, "b") == names.objects_user(cell, "b") == f"{cell}_b"
    assert names.service_login(cell, "web", "b") == f"{cell}_web_login_b"


@given(st.text())
def test_nothing_is_built_from_strangers(text):
    if not re.fullmatch(r"[a-z][a-z0-9]{11}", text):
        for build in (names.login_role, names.partition, names.collection, names.os_user, names.cell_secret):
            with pytest.raises(ValueError, match="not an id"):
                build(text)


@pytest.mark.parametrize("text", ["abcdefghijkl\n", 'abcdefghij"; --', "Abcdefghijkl", "1bcdefghijkl", "abcdefghijklm"])
def test_near_misses(text):
    with pytest.raises(ValueError, match="not an id"):
        names.schema(text, "conversation")


def test_new_ids_are_ids_and_differ():
    made = [names.new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(names.checked(item) for item in made)
