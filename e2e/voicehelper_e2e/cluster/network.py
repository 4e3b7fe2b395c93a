"""The node's network: a namespace, a link to the machine, routes. Pods reach the machine under their own addresses."""

from __future__ import annotations

from pathlib import Path

from voicehelper_e2e.cluster.commands import run
from voicehelper_e2e.cluster.home import HOST_ADDRESS, LINK_PREFIX, NAMESPACE, NODE_ADDRESS, POD_CIDR

_HOST_END, _NODE_END = "vh-kube0", "eth0"


def up() -> None:
    """Make what is missing."""
    if not Path("/run/netns", NAMESPACE).exists():
        run("ip", "netns", "add", NAMESPACE)
    if not Path("/sys/class/net", _HOST_END).exists():
        run("ip", "link", "add", _HOST_END, "type", "veth", "peer", "name", _NODE_END, "netns", NAMESPACE)
        run("ip", "address", "add", f"{HOST_ADDRESS}/{LINK_PREFIX}", "dev", _HOST_END)
        run("ip", "link", "set", _HOST_END, "up")
        run("ip", "route", "replace", POD_CIDR, "via", NODE_ADDRESS)
        _inside("address", "add", f"{NODE_ADDRESS}/{LINK_PREFIX}", "dev", _NODE_END)
        _inside("link", "set", _NODE_END, "up")
        _inside("link", "set", "lo", "up")
        _inside("route", "add", "default", "via", HOST_ADDRESS)
        _enter("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")


def down() -> None:
    """Remove both; the routes go with the link."""
    if Path("/sys/class/net", _HOST_END).exists():
        run("ip", "link", "delete", _HOST_END)
    if Path("/run/netns", NAMESPACE).exists():
        run("ip", "netns", "delete", NAMESPACE)


def _enter(*command: str) -> str:
    return run("nsenter", f"--net=/run/netns/{NAMESPACE}", "--", *command)


def _inside(*arguments: str) -> str:
    return _enter("ip", *arguments)
