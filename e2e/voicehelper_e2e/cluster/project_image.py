"""The project's image: Python from Debian packages, the locked environment, the code on top.

Each layer is kept by what it is made of, so a change of the code makes one small layer anew. What is in it comes from
this machine's own ``.venv``: the distributions that the rooms of a cluster need, and no others.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from voicehelper_cli.failures import Failure

from voicehelper_e2e.cluster import images
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.home import cache

ROOT = Path(__file__).resolve().parents[3]
NAME = "localhost/voicehelper/voicehelper"
ROOMS = ("crds", "core", "operator", "control_plane", "router", "cell", "analytics", "cli")
EXTRAS = ("analytics", "cell", "cli", "control-plane", "inference", "kubernetes", "operator", "router", "vault")
PACKAGES = ("ca-certificates", "libpython3.11-stdlib", "python3.11-minimal", "libstdc++6", "tzdata")
_NOT_NEEDED = (
    "debconf", "dpkg", "install-info", "mailcap", "media-types", "mime-support", "openssl", "readline-common",
)  # fmt: skip
"""What only serves to install packages, or for people."""
_LINKS = ("bin", "sbin", "lib", "lib64")
_WITHOUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug")
Entries = list[tuple[Path, str]]
_LIBRARIES, _CODE = "opt/voicehelper/lib", "opt/voicehelper/code"


def built(say: Callable[[str], None]) -> images.Image:
    """The image; its tag is a digest of all that is in it. Raises Failure."""
    folder = cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    layers = [_base(folder, say), _environment(folder, say), _code(folder)]
    return described(layers, hashlib.sha256("".join(path.name for path in layers).encode()).hexdigest()[:12])


def described(layers: Sequence[Path], tag: str) -> images.Image:
    """How it is run and what it says of itself; the Containerfile says the same."""
    code = ":".join(f"/{_CODE}/{room}" for room in ROOMS)
    return images.Image(
        f"{NAME}:{tag}",
        layers,
        entrypoint=["/usr/bin/python3.11"],
        environment={
            "PATH": f"/{_LIBRARIES}/bin:/usr/bin",
            "PYTHONPATH": f"{code}:/{_LIBRARIES}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        labels={
            "org.opencontainers.image.title": "voicehelper",
            "org.opencontainers.image.description": "An AI assistant platform in which every tenant has a cell",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.version": tag,
        },
    )


def _base(folder: Path, say: Callable[[str], None]) -> Path:
    """Python and the libraries that it needs, from Debian."""
    wanted = sorted(_closure())
    listed = run("apt-get", "download", "--print-uris", *wanted)
    files = sorted(line.split()[1] for line in listed.splitlines() if line.strip())
    with tempfile.TemporaryDirectory(dir=folder, prefix="work-") as work:
        return _kept(folder, "base", _digest(files), lambda: _unpacked(Path(work), wanted, say))


def _unpacked(work: Path, wanted: list[str], say: Callable[[str], None]) -> Entries:
    """The packages' files, below ``work``."""
    say(f"the image's base: {len(wanted)} Debian packages")
    packages, root = work / "packages", work / "root"
    packages.mkdir()
    run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *wanted, folder=packages)
    for name in _LINKS:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted(packages.glob("*.deb")):
        run("dpkg-deb", "-x", str(package), str(root))
    _authorities(root)
    for name in _WITHOUT:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "tmp").mkdir(mode=0o1777, exist_ok=True)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text(
        "root:x:0:0::/root:/sbin/nologin\nvoicehelper:x:65532:65532::/tmp:/sbin/nologin\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\nvoicehelper:x:65532:\n")
    return [(path, path.name) for path in sorted(root.iterdir())]


def _authorities(root: Path) -> None:
    """One file of all certificates, which the package's own script would make."""
    known = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    target = root / "etc/ssl/certs/ca-certificates.crt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(path.read_text() for path in known))


def _closure() -> set[str]:
    """The packages and what they depend on; of alternatives the first."""
    found: set[str] = set()
    following = set(PACKAGES)
    while following:
        found |= following
        listed = run("apt-cache", "depends", "--important", *sorted(following))
        following = set()
        alternative = False
        for line in listed.splitlines():
            kind, _, name = line.strip().partition(": ")
            if kind.lstrip("|") in ("Depends", "PreDepends"):
                if not alternative and name not in _NOT_NEEDED and not name.startswith("<"):
                    following.add(name)
                alternative = kind.startswith("|")
        following -= found
    return found


def _environment(folder: Path, say: Callable[[str], None]) -> Path:
    """The distributions of the extras, with all that they require."""
    wanted = {found.metadata["Name"]: found for found in distributions()}
    digest = _digest(f"{name} {wanted[name].version}" for name in sorted(wanted))

    def entries() -> Entries:
        say(f"the image's environment: {len(wanted)} distributions")
        found = [
            (Path(str(file.locate())), f"{_LIBRARIES}/{file}")
            for distribution in wanted.values()
            for file in distribution.files or ()
            if ".." not in file.parts and "__pycache__" not in file.parts
        ]
        return sorted(found, key=lambda entry: entry[1])

    return _kept(folder, "environment", digest, entries)


def distributions() -> Iterator[metadata.Distribution]:
    """Of this machine's environment, what the extras need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(line for name in EXTRAS for line in project["optional-dependencies"][name])]
    queue = [Requirement(line) for line in wanted]
    seen: set[tuple[str, str]] = set()
    while queue:
        requirement = queue.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in seen:
                continue
            seen.add(key)
            try:
                found = metadata.distribution(requirement.name)
            except metadata.PackageNotFoundError:
                continue  # left out of the lock on purpose: see pyproject.toml
            if not extra:
                yield found
            below = [Requirement(line) for line in found.requires or ()]
            queue += [one for one in below if one.marker is None or one.marker.evaluate({"extra": extra})]


def _code(folder: Path) -> Path:
    """The rooms' packages, without their tests."""
    files = sorted(
        path
        for room in ROOMS
        for path in (ROOT / room / f"voicehelper_{room}").rglob("*")
        if path.is_file() and not {"tests", "__pycache__"} & set(path.parts)
    )
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    entries = [(path, f"{_CODE}/{path.relative_to(ROOT)}") for path in files]
    return _kept(folder, "code", digest.hexdigest()[:12], lambda: entries)


def changed(image: images.Image, tag: str, file: str, change: Callable[[str], str]) -> images.Image:
    """The image with another text in one file, named from the root of the repository. Raises Failure."""
    before = (ROOT / file).read_text()
    text = change(before)
    if text == before:
        raise Failure(f"nothing of {file} is changed")
    folder, digest = cache() / "images", _digest([file, text])

    def entries() -> Entries:
        path = folder / f"changed-{digest}.text"
        path.write_text(text)
        path.chmod(0o644)
        return [(path, f"{_CODE}/{file}")]

    layers = [*image.layers, _kept(folder, "changed", digest, entries)]
    return replace(image, name=f"{image.name.rpartition(':')[0]}:{tag}-{digest}", layers=layers)


def _kept(folder: Path, kind: str, digest: str, entries: Callable[[], Entries]) -> Path:
    """The layer of that digest, made where it is not there; it takes the place of older ones of its kind."""
    target = folder / f"{kind}-{digest}.layer"
    if not target.exists():
        for old in folder.glob(f"{kind}-*"):
            old.unlink()
        images.layer(target, entries())
    return target


def _digest(parts: Iterator[str] | list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
