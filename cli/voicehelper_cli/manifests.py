"""Manifests from files, folders and standard input, each with the place that it came from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voicehelper_cli.failures import Failure

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document."""

    source: str
    line: int
    document: dict[str, Any]

    @property
    def place(self) -> str:
        """File and line, as editors understand them."""
        return f"{self.source}:{self.line}"

    @property
    def title(self) -> str:
        """``tenant/acme``, as far as the document says."""
        metadata = self.document.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return f"{str(self.document.get('kind') or 'resource').lower()}/{name or '?'}"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice: YAML would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:str":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(path: str) -> list[Manifest]:
    """All documents of a file, of a folder's files (by name), or of standard input for ``-``. Raises Failure."""
    if path == "-":
        return list(parse(sys.stdin.buffer.read(), "standard input"))
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        if not files:
            raise Failure(f"{path}: the folder holds no {', '.join(SUFFIXES)} file")
    else:
        files = [place]
    return [manifest for file in files for manifest in parse(_read(file), str(file))]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Failure(f"{file}: {(error.strerror or str(error)).lower()}") from None


def parse(data: bytes, source: str) -> Iterator[Manifest]:
    """The documents of a YAML stream; the items of a List one by one. Raises Failure with the line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Failure(f"{source}:{line}: the file is not UTF-8") from None
    try:
        loader = _Loader(text)
        while loader.check_node() and (node := loader.get_node()) is not None:
            line = node.start_mark.line + 1
            yield from _manifests(loader.construct_document(node), source, line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise Failure(f"{source}{where}: broken YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise Failure(f"{source}:{line}: broken YAML: the character #x{error.character:04x} is not allowed") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Failure(f"{source}: broken YAML: {str(error) or type(error).__name__}") from None


def _manifests(document: Any, source: str, line: int) -> Iterator[Manifest]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise Failure(f"{source}:{line}: a resource is a mapping with apiVersion, kind, metadata and spec")
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            yield from _manifests(item, source, line)
        return
    yield Manifest(source, line, document)
