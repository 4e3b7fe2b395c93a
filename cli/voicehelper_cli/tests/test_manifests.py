"""Reading manifests: places, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voicehelper_cli.failures import Failure
from voicehelper_cli.manifests import load, parse


def lines(text: str) -> list[int]:
    return [manifest.line for manifest in parse(text.encode(), "file.yaml")]


def test_each_document_knows_its_line() -> None:
    assert lines("# first\nkind: A\n---\n---\n\nkind: B\n") == [2, 6]


def test_a_list_is_its_items() -> None:
    text = "kind: List\nitems:\n- {kind: Tenant, metadata: {name: a}}\n- {kind: Cell, metadata: {name: b}}\n"
    assert [manifest.title for manifest in parse(text.encode(), "x")] == ["tenant/a", "cell/b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Tenant\nspec:\n  a: [1, 2\nb: 3\n", ["file.yaml:4", "broken YAML"]),
        ("kind: Tenant\n\tspec: {}\n", ["file.yaml:2", "broken YAML"]),
        ("kind: Tenant\nkind: Cell\n", ["file.yaml:2", "'kind' is there twice"]),
        ("kind: A\n---\n- a list\n", ["file.yaml:3", "mapping"]),
        ("just words", ["file.yaml:1", "mapping"]),
        ("a: !!python/object/apply:os.system ['true']\n", ["file.yaml:1", "broken YAML"]),
        ("a: *nowhere\n", ["file.yaml:1", "broken YAML"]),
        ("kind: A\nname: \x00\n", ["file.yaml:2", "#x0000"]),
    ],
)
def test_broken_yaml_is_named_with_its_line(text: str, words: list[str]) -> None:
    with pytest.raises(Failure) as caught:
        list(parse(text.encode(), "file.yaml"))
    for word in words:
        assert word in caught.value.message


def test_other_encodings_are_refused_with_the_line() -> None:
    with pytest.raises(Failure, match=r"f:2: the file is not UTF-8"):
        list(parse(b"kind: Tenant\nname: \xe9\n", "f"))


@given(st.binary(max_size=200))
def test_no_bytes_end_in_a_traceback(data: bytes) -> None:
    try:
        for manifest in parse(data, "f"):
            assert isinstance(manifest.document, dict)
    except Failure as failure:
        assert failure.message.startswith("f")


def test_a_folder_is_its_files_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("kind: B\n")
    (tmp_path / "a.yaml").write_text("kind: A\n")
    (tmp_path / "notes.txt").write_text("not this")
    assert [manifest.document["kind"] for manifest in load(str(tmp_path))] == ["A", "B"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"nothing\.yaml: no such file"):
        load(str(tmp_path / "nothing.yaml"))
    with pytest.raises(Failure, match="holds no"):
        load(str(tmp_path))
