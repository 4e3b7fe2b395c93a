"""Archives: what is written is read, and whatever is not a whole and unaltered archive is refused with the reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voicehelper_core.archive import ArchiveError, ArchiveWriter, Manifest, Table, members, verify
from voicehelper_core.archive.manifest import HEADER, INDEXED, MANIFEST

ROWS = [b"1\ta\n2\tb\n", b"3\t\\N\n"]


def written(
    rows: list[bytes] | None = None, objects: dict[str, bytes] | None = None, users: bytes = b'{"id": "u"}\n'
) -> bytes:
    """A whole archive."""
    rows = ROWS if rows is None else rows
    writer = ArchiveWriter()
    pieces = [writer.start(), writer.part("users/000001.jsonl", users, users.count(b"\n"))]
    for number, content in enumerate(rows, 1):
        path = f"rows/knowledge/documents/{number:06d}.copy"
        pieces.append(writer.part(path, content, content.count(b"\n")))
    for key, content in (objects if objects is not None else {"documents/d/1": b"bytes" * 1000}).items():
        pieces.append(writer.begin_object(key, len(content)))
        pieces += [writer.object_data(content[at : at + 700]) for at in range(0, len(content), 700)]
        pieces.append(writer.end_object())
    pieces.append(writer.index())
    whole = b"".join(rows)
    table = Table(
        service="knowledge",
        name="documents",
        columns=["id", "title"],
        rows=whole.count(b"\n"),
        sha256=hashlib.sha256(whole).hexdigest(),
    )
    manifest = Manifest(
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        tenant="acme", tenant_id="t00000000001", plan="team", cell="shared-1", cell_id="c00000000001",
        resource={}, schemas={"knowledge": "0005"}, tables=[table], users=1,
        objects=writer.objects, object_bytes=writer.object_bytes, parts=writer.parts,
    )  # fmt: skip
    return b"".join([*pieces, writer.manifest(manifest)])


def altered(archive: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The archive with members changed, or left out for None."""
    target = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as source,
        tarfile.open(fileobj=target, mode="w:gz", format=tarfile.PAX_FORMAT) as out,
    ):
        for info in source:
            file = source.extractfile(info)
            assert file is not None
            content = change(info.name, file.read())
            if content is not None:
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
    return target.getvalue()


def refusal(archive: bytes) -> str:
    with pytest.raises(ArchiveError) as error:
        verify(io.BytesIO(archive))
    return error.value.detail


def read(archive: bytes) -> dict[str, bytes]:
    return {member.path: member.content() for member in members(io.BytesIO(archive))}


ROW = st.binary(max_size=60).map(lambda value: value.replace(b"\n", b"\\n") + b"\n")


@given(
    rows=st.lists(st.lists(ROW, min_size=1, max_size=5).map(b"".join), max_size=5),
    objects=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
                            st.binary(max_size=3000), max_size=6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(rows: list[bytes], objects: dict[str, bytes]) -> None:
    archive = written(rows, objects)
    manifest, digest = verify(io.BytesIO(archive))
    found = read(archive)
    assert b"".join(found[f"rows/knowledge/documents/{n:06d}.copy"] for n in range(1, len(rows) + 1)) == b"".join(rows)
    keys = {m.key: m.content() for m in members(io.BytesIO(archive)) if m.key}
    assert keys == objects
    assert digest == hashlib.sha256(found[MANIFEST]).hexdigest()
    assert (manifest.objects, manifest.object_bytes) == (len(objects), sum(map(len, objects.values())))


def test_objects_are_indexed_by_the_thousand() -> None:
    archive = written(objects={f"documents/{number}": b"x" for number in range(INDEXED + 1)})
    indexes = [path for path in read(archive) if path.endswith(".index.jsonl")]
    assert indexes == ["objects/00001000.index.jsonl", "objects/00001001.index.jsonl"]
    assert verify(io.BytesIO(archive))[0].objects == INDEXED + 1


@pytest.mark.parametrize("part", range(1, 20))
def test_a_file_that_was_cut_off_is_refused(part: int) -> None:
    archive = written(objects={f"documents/{number}": bytes(range(256)) * 40 for number in range(5)})
    assert "cut off" in refusal(archive[: len(archive) * part // 20])


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_an_altered_byte_is_noticed(data: st.DataObject) -> None:
    whole = written()
    archive = bytearray(whole)
    place = data.draw(st.integers(10, len(archive) - 1))  # before: name and time of the gzip header
    archive[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        verify(io.BytesIO(bytes(archive)))
    except ArchiveError:
        return
    assert gzip.decompress(archive) == gzip.decompress(whole)  # some bits of a compressed file mean nothing


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("rows/knowledge/documents/000001.copy", b"1\ta\n2\tX\n", "000001.copy was altered"),
        ("rows/knowledge/documents/000002.copy", None, "000002.copy is missing"),
        ("users/000001.jsonl", b"", "users/000001.jsonl was altered"),
        ("objects/00000001", b"other" * 1000, "object 'documents/d/1' was altered"),
        ("objects/00000001", None, "names 1 objects, but 0"),
        ("objects/00000001.index.jsonl", b"{}\n", "cannot be read"),
        ("objects/00000001.index.jsonl", None, "objects are in no index"),
        (HEADER, None, "its first member is another"),
        (HEADER, b'{"format": "x"}', "not an archive of a tenant"),
        (MANIFEST, None, "its manifest, which comes last, is missing"),
        (MANIFEST, b"{", "manifest.json cannot be read"),
    ],
)
def test_what_was_altered_is_named(path: str, change: bytes | None, said: str) -> None:
    archive = altered(written(), lambda name, content: change if name == path else content)
    assert said in refusal(archive)


@pytest.mark.parametrize("where", [HEADER, MANIFEST])
def test_another_version_is_refused_with_what_to_do(where: str) -> None:
    def newer(name: str, content: bytes) -> bytes:
        return json.dumps({**json.loads(content), "version": 2}).encode() if name == where else content

    assert "format version 2, this release reads version 1" in refusal(altered(written(), newer))


def test_a_manifest_with_other_figures_is_refused() -> None:
    def lies(name: str, content: bytes) -> bytes:
        return json.dumps({**json.loads(content), "objects": 7}).encode() if name == MANIFEST else content

    assert "holds 1 objects, its manifest names 7" in refusal(altered(written(), lies))


def tar(*items: tuple[str, Any]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as out:
        for name, content in items:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                out.addfile(info)
    return target.getvalue()


@pytest.mark.parametrize(
    "item",
    [
        ("../../etc/passwd", b"x"),
        ("/etc/passwd", b"x"),
        ("rows/../../x/000001.copy", b"x"),
        ("objects/00000001", (tarfile.SYMTYPE, "/etc/passwd")),
        ("objects/00000001", (tarfile.LNKTYPE, "/etc/passwd")),
        ("objects/00000001", (tarfile.FIFOTYPE, "")),
        ("objects/00000001/x", b"x"),
    ],
)
def test_paths_and_links_that_lead_elsewhere_are_refused(item: tuple[str, Any]) -> None:
    header = b'{"format": "voicehelper.io/tenant-archive", "version": 1}'
    assert "which no archive of a tenant does" in refusal(tar((HEADER, header), item))


@pytest.mark.parametrize(
    "foreign",
    [b"", b"hello", gzip.compress(b"hello"), gzip.compress(bytes(2048)), tar(("readme.txt", b"hi")), bytes(4096)],
    ids=["empty", "text", "gzip", "gzip of zeros", "another tar", "zeros"],
)
def test_a_foreign_file_is_refused(foreign: bytes) -> None:
    assert "archive" in refusal(foreign)


def test_an_object_that_changes_size_while_it_is_read_is_noticed() -> None:
    writer = ArchiveWriter()
    writer.begin_object("a", 3)
    with pytest.raises(ValueError, match="larger"):
        writer.object_data(b"1234")
    writer.begin_object("a", 3)
    writer.object_data(b"12")
    with pytest.raises(ValueError, match="smaller"):
        writer.end_object()
