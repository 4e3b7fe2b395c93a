"""Images: valid OCI layouts, the same bytes from the same files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from voicehelper_e2e.cluster import images


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "below" / "__pycache__").mkdir(parents=True)
    (folder / "b").write_text("b")
    (folder / "below" / "a").write_text("a")
    (folder / "below" / "__pycache__" / "x.pyc").write_text("x")
    (folder / "link").symlink_to("b")
    return folder


def _image(folder: Path, files: Path) -> Path:
    folder.mkdir()
    only = images.layer(folder / "one.layer", [(files, "opt")])
    image = images.Image("localhost/a/b:7", [only], ["/opt/b"], {"A": "1"}, {"title": "t"})
    with (folder / "image.tar").open("wb") as archive:
        images.write(archive, image)
    return folder / "image.tar"


def test_the_same_files_are_the_same_image(tmp_path: Path, files: Path) -> None:
    first = _image(tmp_path / "first", files).read_bytes()
    for path in files.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert _image(tmp_path / "second", files).read_bytes() == first


def test_every_blob_is_what_its_name_says(tmp_path: Path, files: Path) -> None:
    blobs: dict[str, bytes] = {}
    with tarfile.open(_image(tmp_path / "image", files)) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            blobs[entry.name] = file.read()

    def blob(descriptor: dict[str, Any]) -> bytes:
        kind, digest = descriptor["digest"].split(":")
        data = blobs[f"blobs/{kind}/{digest}"]
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, descriptor["size"])
        return data

    (described,) = json.loads(blobs["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "localhost/a/b:7"
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Env"] == ["A=1"]
    assert config["rootfs"]["diff_ids"] == [item["digest"] for item in manifest["layers"]]
    blob(manifest["layers"][0])


def test_a_layer_has_files_of_root_and_no_caches(tmp_path: Path, files: Path) -> None:
    with tarfile.open(images.layer(tmp_path / "layer", [(files, "opt")])) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == ["opt", "opt/b", "opt/below", "opt/below/a", "opt/link"]
    assert {(entry.uid, entry.gid, entry.mtime, entry.uname) for entry in entries} == {(0, 0, 0, "")}
    assert entries[-1].issym()


def test_layers_that_the_reader_has_are_left_out(tmp_path: Path, files: Path) -> None:
    lower = images.layer(tmp_path / "lower.layer", [(files, "lower")])
    upper = images.layer(tmp_path / "upper.layer", [(files, "upper")])
    digest = f"sha256:{hashlib.sha256(lower.read_bytes()).hexdigest()}"
    stream = io.BytesIO()
    images.write(stream, images.Image("a:1", [lower, upper], []), omit={digest})
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        blobs = [name for name in tar.getnames() if name.startswith("blobs/")]
        assert len(blobs) == 3  # the manifest, the configuration, the upper layer
        assert f"blobs/{digest.replace(':', '/')}" not in blobs
