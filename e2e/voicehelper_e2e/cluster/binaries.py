"""Kubernetes, CoreDNS, Helm, an S3 server and the rest, built from Go modules with checksums in the tree, and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voicehelper_cli.failures import Failure

from voicehelper_e2e.cluster.home import cache

SOURCES = Path(__file__).resolve().parents[2] / "go"
KUBERNETES = "1.35.4"
HELM_VERSION = "4.1.4"
_SAY_SECONDS = 60
_VERSIONS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


@dataclass(frozen=True, slots=True)
class Binary:
    """A program: its module below ``go/``, its package, and what the linker is told."""

    name: str
    module: str
    package: str
    link: str = "-s -w"


def _kube_link() -> str:
    """Without its version Kubernetes takes itself for 0.0.0 and refuses what it calls newer."""
    major, minor, _ = KUBERNETES.split(".")
    facts = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = [f"-X {package}.{key}={value}" for package in _VERSIONS for key, value in facts.items()]
    return " ".join(["-s -w", *stamps])


KUBE = Binary("kube", "kube", "./all", _kube_link())
PAUSE = Binary("pause", "kube", "./pause")
COREDNS = Binary("coredns", "coredns", ".")
VERSITYGW = Binary("versitygw", "versitygw", "github.com/versity/versitygw/cmd/versitygw")
HELM = Binary(
    "helm", "helm", "helm.sh/helm/v4/cmd/helm", f"-s -w -X helm.sh/helm/v4/internal/version.version=v{HELM_VERSION}"
)
KUBECONFORM = Binary("kubeconform", "kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform")


def go() -> str:
    """The Go command. Raises Failure where there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise Failure("building it needs Go 1.26 or newer: install it, or put it on the PATH")
    return found


def built(binary: Binary, say: Callable[[str], None], now: Callable[[str], None]) -> Path:
    """Path of the program; it is built where it is not there yet. Raises Failure with the compiler's last words."""
    command = go()
    module = SOURCES / binary.module
    version = subprocess.run([command, "env", "GOVERSION"], cwd=module, capture_output=True, text=True, check=True)
    target = cache() / "bin" / f"{binary.name}-{_digest(binary, version.stdout)}"
    if target.exists():
        return target
    say(f"building {binary.name} from its Go modules (once; kept in {target.parent})")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    last: list[str] = []
    said = time.monotonic()
    for line in _build(command, module, binary, part):
        last = [*last[-20:], line]
        now(f"{binary.name}: {line}")
        if time.monotonic() - said > _SAY_SECONDS:  # where no terminal shows what happens now
            said = time.monotonic()
            say(f"{binary.name}: {line}")
    if not part.exists():
        raise Failure(f"building {binary.name} failed:\n" + "\n".join(last))
    part.rename(target)
    return target


def _build(command: str, module: Path, binary: Binary, target: Path) -> Iterator[str]:
    """Lines to show meanwhile, the last ones being the compiler's."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath"}
    yield "fetching modules"
    listing = subprocess.run(
        [command, "list", "-deps", binary.package],
        cwd=module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        yield from listing.stderr.splitlines()
        return
    total, done = len(listing.stdout.splitlines()), 0
    build = [command, "build", "-v", "-ldflags", binary.link, "-o", str(target), binary.package]
    with subprocess.Popen(build, cwd=module, env=environment, stderr=subprocess.PIPE, text=True) as compiling:
        assert compiling.stderr is not None
        for line in compiling.stderr:
            done += 1
            yield f"{done} of at most {total} packages, {line.strip()}"


def _digest(binary: Binary, go_version: str) -> str:
    found = hashlib.sha256(f"{binary}{go_version}".encode())
    for path in sorted((SOURCES / binary.module).rglob("*")):
        if path.is_file():
            found.update(f"{path.name}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]
