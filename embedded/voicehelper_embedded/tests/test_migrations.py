"""Migrations only expand, so that a cell can go back; their names are in order, so that a release can tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import voicehelper_analytics
import voicehelper_cell
import voicehelper_control_plane
from alembic.script import Script
from voicehelper_embedded.tests.expanding import broken, revisions, sql

FOLDERS = [
    env.parent
    for package in (voicehelper_analytics, voicehelper_cell, voicehelper_control_plane)
    for env in sorted(Path(package.__path__[0]).rglob("migrations/env.py"))
]
CELL = {"cell_id": "ctest0000001", "schema": "ctest0000001_service"}
FILES = [
    pytest.param(folder, script, id=f"{folder.parent.name}-{script.revision}")
    for folder in FOLDERS
    for script in revisions(folder)
]


def test_all_are_found() -> None:
    assert {folder.parent.name for folder in FOLDERS} == {
        "schema", "conversation", "knowledge", "voicehelper_control_plane"
    }  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_each_is_named_by_its_place(folder: Path) -> None:
    found = [(script.revision, script.down_revision) for script in revisions(folder)]
    places = [f"{place:04d}" for place in range(1, len(found) + 1)]
    assert found == [*zip(places, [None, *places[:-1]], strict=True)]


@pytest.mark.parametrize(("folder", "script"), FILES)
def test_each_expands_or_says_which_release_it_follows(folder: Path, script: Script) -> None:
    if getattr(script.module, "contract", False):
        assert script.module.follows in {item.revision for item in revisions(folder) if item.revision < script.revision}
        return
    text = sql(folder, script, CELL)
    assert "alembic_version" in text
    assert not [*broken(text)], "expand only, or say contract = True and follows = '<revision>' (docs/upgrades.md)"


@pytest.mark.parametrize(
    "statement",
    [
        "drop table a.documents",
        "DROP TABLE IF EXISTS a.documents CASCADE",
        "drop type a.mood",
        "truncate a.documents",
        "alter table a.documents rename column title to name",
        "alter table a.documents rename to papers",
        "alter table only a.documents drop column title",
        "alter table a.documents add column name text, drop title",
        "alter table a.documents alter column size type integer",
        'alter table a.documents alter "size" set data type smallint',
        "alter table a.documents\n  alter column title set not null",
        "alter table a.documents add column name text not null",
        "alter table a.documents add name text not null, add constraint b check (size > 0)",
    ],
)
def test_what_breaks_older_code_is_seen(statement: str) -> None:
    assert [*broken(f"BEGIN;\n{statement};\nCOMMIT;")]


@pytest.mark.parametrize(
    "statement",
    [
        "create table a.papers (id uuid not null, name text)",
        "alter table a.documents add column name text",
        "alter table a.documents add column if not exists name text not null default ''",
        "alter table a.documents alter column title drop not null",
        "alter table a.documents drop constraint b, add constraint b check (size > 0)",
        "alter table a.documents alter column title set default ''; alter table a.documents alter title set not null",
        "create function a.b() returns trigger language plpgsql as $$ begin drop table c; end $$",
        "comment on table a.documents is 'drop; drop table a'",
        "-- drop table a\ncreate index b on a.documents (title)",
    ],
)
def test_what_expands_is_let_through(statement: str) -> None:
    assert not [*broken(statement)]
