"""The connector's configuration, against the names that cells really have."""

from __future__ import annotations

import re

import pytest
from voicehelper_analytics.cdc import connector_config
from voicehelper_core import names
from voicehelper_core.names import CONTENT_COLUMNS


@pytest.fixture
def config() -> dict[str, str]:
    return connector_config(host="127.0.0.1", port=5432, database="voicehelper", user="debezium", password="p")


@pytest.mark.parametrize("service", names.SERVICES)
def test_schemas_of_cells_are_captured_and_nothing_else(config: dict[str, str], service: str) -> None:
    expression = config["schema.include.list"]
    assert re.fullmatch(expression, names.schema(names.new_id(), service))
    for other in ("public", "identity", "resources", "analytics", names.placement_schema(names.new_id())):
        assert not re.fullmatch(expression, other)


def test_contents_are_left_out_of_snapshots_but_the_outbox_is_whole(config: dict[str, str]) -> None:
    cell = names.new_id()
    excluded = config["column.exclude.list"]
    for column in CONTENT_COLUMNS:
        assert re.fullmatch(excluded, f"{cell}_conversation.messages.{column}")
        assert not re.fullmatch(excluded, f"{cell}_conversation.outbox.{column}")
    assert not re.fullmatch(excluded, f"{cell}_conversation.messages.id")


def test_topics_are_named_by_service_and_table_without_the_cell(config: dict[str, str]) -> None:
    name = f"cdc.{names.schema(names.new_id(), 'knowledge')}.chunks"
    replacement = config["transforms.route.replacement"].replace("$", "\\")
    assert re.sub(config["transforms.route.regex"], replacement, name) == "cdc.knowledge.chunks"


def test_the_router_sees_only_outbox_tables(config: dict[str, str]) -> None:
    pattern = config["predicates.isOutbox.pattern"]
    assert re.fullmatch(pattern, f"cdc.{names.new_id()}_conversation.outbox")
    assert not re.fullmatch(pattern, f"cdc.{names.new_id()}_conversation.messages")
    assert not re.fullmatch(pattern, "__debezium-heartbeat.cdc")


def test_values_are_strings_and_lists_of_expressions_hold_no_stray_commas(config: dict[str, str]) -> None:
    assert all(isinstance(value, str) for value in config.values())
    assert "," not in config["schema.include.list"] + config["table.include.list"] + config["column.exclude.list"]
