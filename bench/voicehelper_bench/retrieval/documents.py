"""The documents and questions of ``../shared/data`` (see its README for sources and licences)."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Document:
    """``key`` is its id in the data."""

    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the only document that is right."""

    text: str
    gold: str


def identity(key: str) -> uuid.UUID:
    """An id that is the same in every run."""
    return uuid.uuid5(uuid.NAMESPACE_URL, key)


def banking() -> list[Document]:
    """English: 698 documents of a bank. Raises FileNotFoundError with the folder that is missing."""
    folder = DATA / "tau3-banking" / "documents"
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing: it holds the documents of the benchmark")
    read = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [Document(item["id"], item["title"], item["content"]) for item in read]


def banking_questions() -> list[Question]:
    """Titles, which the indexed documents do not carry."""
    return [Question(document.title, document.key) for document in banking()]


def cmrc() -> tuple[list[Document], list[Question]]:
    """Chinese: 848 paragraphs, 3,219 questions about them. Raises FileNotFoundError."""
    paragraphs = [
        paragraph
        for item in json.loads((DATA / "cmrc2018" / "dev.json").read_text())["data"]
        for paragraph in item["paragraphs"]
    ]
    return (
        [Document(paragraph["id"], "", paragraph["context"]) for paragraph in paragraphs],
        [Question(qa["question"], paragraph["id"]) for paragraph in paragraphs for qa in paragraph["qas"]],
    )
