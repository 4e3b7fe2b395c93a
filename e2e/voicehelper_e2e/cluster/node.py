"""containerd, kubelet and kube-proxy: what runs pods."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import yaml
from voicehelper_cli.failures import Failure
from voicehelper_embedded import preflight

from voicehelper_e2e.cluster import images
from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.daemons import Daemons, all_ended
from voicehelper_e2e.cluster.home import BRIDGE, DNS_SERVICE, NODE, NODE_ADDRESS, POD_CIDR, Home

PAUSE_IMAGE = "localhost/voicehelper/pause:1"
_CGROUP = "voicehelper-kube"
_CGROUPS = Path("/sys/fs/cgroup")
_STOP_SECONDS = 20.0


class Node:
    """Of a home; its processes are ``daemons``'."""

    def __init__(self, home: Home, daemons: Daemons) -> None:
        self._home, self._daemons = home, daemons

    def start_containerd(self) -> None:
        """Until it answers."""
        folder = self._home.node
        for name in ("cni", "containerd", "kubelet", "volume-plugins", "pod-logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(self._cni()))
        (folder / "containerd.toml").write_text(self._containerd())
        self._daemons.start("containerd", ["containerd", "--config", str(folder / "containerd.toml")])
        end = time.monotonic() + 30
        while not self._answers():
            self._daemons.expect("containerd")
            if time.monotonic() > end:
                raise Failure(f"containerd does not answer:\n{self._daemons.tail('containerd')}")
            time.sleep(0.1)

    def start(self, kube: Path) -> None:
        """kubelet and kube-proxy; the node is not ready yet then."""
        folder = self._home.node
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (folder / "kubelet.yaml").write_text(yaml.safe_dump(self._kubelet()))
        proxy, text = folder / "proxy.yaml", yaml.safe_dump(self._proxy())
        if not proxy.exists() or proxy.read_text() != text:  # kube-proxy ends when somebody writes it
            proxy.write_text(text)
        _make_cgroups()
        self._daemons.start(
            "kubelet",
            [
                str(kube), "kubelet", f"--config={folder / 'kubelet.yaml'}",
                f"--kubeconfig={self._home.pki / 'kubelet.kubeconfig'}", f"--hostname-override={NODE}",
                f"--node-ip={NODE_ADDRESS}", f"--root-dir={folder / 'kubelet'}",
            ],
        )  # fmt: skip
        self._daemons.start("kube-proxy", [str(kube), "kube-proxy", f"--config={folder / 'proxy.yaml'}"])

    def stop(self) -> None:
        """All pods, what runs them, and what they had mounted."""
        for name in ("kube-proxy", "kubelet"):
            self._daemons.stop(name)
        _kill(_members())
        _kill(self._shims())
        self._daemons.stop("containerd")
        _unmount(self._home.root)
        _remove_cgroups()

    def load(self, image: images.Image) -> None:
        """Give containerd what it lacks of an image. Raises Failure."""
        if image.name in self.ctr("images", "list", "--quiet").split():
            return
        there = set(self.ctr("content", "list", "--quiet").split())
        with subprocess.Popen(
            [*self._ctr(), "images", "import", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as importing:
            assert importing.stdin is not None
            assert importing.stderr is not None
            with contextlib.suppress(BrokenPipeError):  # what it says is why
                images.write(importing.stdin, image, omit=there)
                importing.stdin.close()
            said = importing.stderr.read().decode(errors="replace").strip()
        if importing.returncode != 0:
            raise Failure(f"containerd does not take the image {image.name}: {said}")

    def _answers(self) -> bool:
        try:
            self.ctr("version")
        except Failure:
            return False
        return True

    def _ctr(self) -> list[str]:
        """containerd's own command, in kubelet's namespace."""
        return ["ctr", "--address", str(self._home.socket), "--namespace", "k8s.io"]

    def ctr(self, *arguments: str) -> str:
        """What containerd says. Raises Failure."""
        return run(*self._ctr(), *arguments)

    def _shims(self) -> list[psutil.Process]:
        """They outlive containerd; each names its socket."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if words and Path(words[0]).name.startswith("containerd-shim") and str(self._home.socket) in words:
                found.append(process)
        return found

    def _cni(self) -> dict[str, Any]:
        ranges = [[{"subnet": POD_CIDR}]]
        routes = [{"dst": "0.0.0.0/0"}]
        ipam = {"type": "host-local", "dataDir": str(self._home.node / "ipam"), "ranges": ranges, "routes": routes}
        bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": ipam}
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}

    def _containerd(self) -> str:
        """Root here may lack CAP_SYS_RESOURCE: without ``restrict_oom_score_adj`` no sandbox would start."""
        folder = self._home.node
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        return f"""\
version = 2
root = "{folder / "containerd"}"
state = "{self._home.run / "containerd"}"
disabled_plugins = [{
            ", ".join(
                f'"io.containerd.{name}"'
                for name in (
                    "internal.v1.opt",
                    "snapshotter.v1.btrfs",
                    "snapshotter.v1.zfs",
                    "snapshotter.v1.devmapper",
                    "snapshotter.v1.aufs",
                )
            )
        }]
[grpc]
  address = "{self._home.socket}"
[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[{cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder / "cni"}"
[{cri}.containerd]
  snapshotter = "overlayfs"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""

    def _kubelet(self) -> dict[str, Any]:
        folder, pki = self._home.node, self._home.pki
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{_CGROUP}",
            "containerRuntimeEndpoint": f"unix://{self._home.socket}",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": "cluster.local",
            "resolvConf": str(folder / "resolv.conf"),
            "failSwapOn": False,
            "podLogsDir": str(folder / "pod-logs"),
            "volumePluginDir": str(folder / "volume-plugins"),
            "nodeStatusUpdateFrequency": "5s",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": False,
        }

    def _proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self._home.pki / "proxy.kubeconfig")},
            "mode": "nftables",
            "clusterCIDR": POD_CIDR,
            "hostnameOverride": NODE,
            "conntrack": {"maxPerCore": 0, "min": 0},
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
        }


def _hierarchies() -> list[Path]:
    """Roots of the cgroup hierarchies: one in version 2, one a controller in version 1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _make_cgroups() -> None:
    for root in _hierarchies():
        folder = root / _CGROUP
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 does not inherit them
            if (folder / name).exists() and (root / name).exists():
                (folder / name).write_text((root / name).read_text())


def _members() -> list[psutil.Process]:
    found = set()
    for root in _hierarchies():
        for path in (root / _CGROUP).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in path.read_text().split()}
    processes = []
    for pid in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    return processes


def _remove_cgroups() -> None:
    for root in _hierarchies():
        for path in sorted((root / _CGROUP).rglob("*/"), key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        if (root / _CGROUP).exists():
            (root / _CGROUP).rmdir()


def _kill(processes: Iterable[psutil.Process]) -> None:
    listed = list(processes)
    for process in listed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    all_ended(listed, _STOP_SECONDS)


def _unmount(root: Path) -> None:
    """Everything below a folder, the deepest first."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    below = [point for point in points if point.startswith(f"{root}/")]
    for point in sorted(below, key=len, reverse=True):
        subprocess.run(["umount", point.replace("\\040", " ")], capture_output=True, check=False)


def needs() -> list[preflight.Need]:
    """Programs of others, by their Debian packages."""
    cni = "/usr/lib/cni/bridge"
    found = {
        "containerd": shutil.which("containerd"),
        "runc": shutil.which("runc"),
        "containernetworking-plugins": cni if os.access(cni, os.X_OK) else None,
        "nftables": shutil.which("nft"),
        "iproute2": shutil.which("ip"),
    }
    return [preflight.Need(package, package, path, "a bare node") for package, path in found.items()]
