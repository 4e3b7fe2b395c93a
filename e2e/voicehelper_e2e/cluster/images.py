"""Container images without a registry: OCI layouts written by hand, the same bytes from the same files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_TYPE = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Image:
    """``name`` with its tag; the layers are tar files, the lowest first."""

    name: str
    layers: Sequence[Path]
    entrypoint: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = "65532:65532"


def layer(target: Path, entries: Iterable[tuple[Path, str]]) -> Path:
    """A tar of files and folders under their names in the image, sorted, of root, without times."""
    part = target.with_suffix(".part")
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
        for source, name in entries:
            paths = [source, *sorted(source.rglob("*"))] if source.is_dir() and not source.is_symlink() else [source]
            for path in paths:
                if "__pycache__" not in path.parts:
                    below = path.relative_to(source)
                    tar.add(path, str(Path(name) / below), recursive=False, filter=_plain)
    with part.open("rb") as file:
        _digest_of(target).write_text(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
    part.rename(target)
    return target


def write(stream: IO[bytes], image: Image, *, omit: Container[str] = ()) -> None:
    """The image as a tar that ``ctr images import`` and ``docker load`` take; without the layers of ``omit`` (digests),
    which the one who reads it has."""
    digests = [_digest_of(path).read_text() for path in image.layers]
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{name}={value}" for name, value in sorted(image.environment.items())],
                "Labels": dict(image.labels),
                "User": image.user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    )
    described = [
        {"mediaType": f"{_TYPE}.layer.v1.tar", "digest": digest, "size": path.stat().st_size}
        for digest, path in zip(digests, image.layers, strict=True)
    ]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}.manifest.v1+json",
            "config": _descriptor(f"{_TYPE}.config.v1+json", config),
            "layers": described,
        }
    )
    tag = image.name.rpartition(":")[2]
    names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": tag}
    index = _json(
        {
            "schemaVersion": 2,
            "manifests": [_descriptor(f"{_TYPE}.manifest.v1+json", manifest) | {"annotations": names}],
        }
    )
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", index)
        for blob in (manifest, config):
            _add(tar, _blob(_digest(blob)), blob)
        for digest, path in dict(zip(digests, image.layers, strict=True)).items():
            if digest not in omit:
                tar.add(path, _blob(digest), filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _digest_of(path: Path) -> Path:
    """Beside a layer: reading 1.3 GB takes seconds."""
    return path.with_suffix(".digest")


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
