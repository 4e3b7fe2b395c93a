"""What a generated ruleset does with the first packet of a connection: as much of nftables as rules.py writes."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Packet:
    """The first of a connection, of version 4."""

    saddr: str
    daddr: str
    protocol: str
    port: int


class Ruleset:
    """Of a text; anything that it does not know is an error, so that no rule is passed over."""

    def __init__(self, text: str) -> None:
        first, second, *lines = text.splitlines()
        assert second == f"delete {first}"
        assert lines[0] == f"{first} {{"
        assert lines[-1] == "}"
        self.chains: dict[str, list[list[str]]] = {}
        self.sets: dict[str, list[str]] = {}
        for kind, name, body in re.findall(r"^  (chain|set|map) (\S+) \{\n((?:    .*\n)*)  \}$", text, re.M):
            rules = [line.strip() for line in body.splitlines()]
            if kind == "chain":
                self.chains[name] = [shlex.split(rule) for rule in rules if not rule.startswith("type ")]
            else:
                self.sets[name] = self._elements(rules[1]) if len(rules) > 1 else []
        assert len(re.findall(r"^  \S", text, re.M)) == 2 * (len(self.chains) + len(self.sets))

    def lets(self, packet: Packet, hook: str = "forward") -> bool:
        """Whether it passes a hook; the policy of both is to accept."""
        return self._walk(hook, packet) != "drop"

    def _walk(self, chain: str, packet: Packet) -> str:
        for rule in self.chains[chain]:
            match self._verdict(list(rule), packet):
                case "accept" | "drop" | "return" as verdict:
                    return verdict
                case ["jump", target]:
                    if (verdict := self._walk(target, packet)) != "return":
                        return verdict
        return "return"

    def _verdict(self, words: list[str], packet: Packet) -> str | Sequence[str] | None:
        """None: the rule does not match."""
        while words:
            match words:
                case ["accept" | "drop" | "return" as verdict, *rest]:
                    assert not rest or rest[0] == "comment"
                    return verdict
                case ["ct", "state", *_] | ["meta", "nfproto", "ipv6", *_] | ["iifname", *_]:
                    return None  # it is new, and of version 4
                case ["meta", "l4proto", protocol, *rest]:
                    if protocol != packet.protocol:
                        return None
                case ["ip", field, "vmap", name, *rest]:
                    assert not rest
                    found = dict(item.split(" : ") for item in self.sets[name.removeprefix("@")])
                    target = found.get(self._field(field, packet))
                    return target.split() if target else None
                case ["ip", "saddr", ".", "ip", "daddr", name, *rest]:
                    if f"{packet.saddr} . {packet.daddr}" not in self.sets[name.removeprefix("@")]:
                        return None
                case ["ip", "daddr", ".", protocol, "dport", "{", *rest]:
                    listed, rest = self._until_brace(rest)
                    if protocol != packet.protocol or f"{packet.daddr} . {packet.port}" not in listed:
                        return None
                case ["ip", field, "!=", *rest]:
                    listed, rest = self._operand(rest)
                    if _within(self._field(field, packet), listed):
                        return None
                case ["ip", field, *rest]:
                    listed, rest = self._operand(rest)
                    if not _within(self._field(field, packet), listed):
                        return None
                case ["tcp" | "udp" | "sctp" as protocol, "dport", port, *rest]:
                    first, _, last = port.partition("-")
                    if protocol != packet.protocol or not int(first) <= packet.port <= int(last or first):
                        return None
                case _:
                    raise AssertionError(f"unknown: {words}")
            words = rest
        raise AssertionError("a rule without a verdict")

    def _operand(self, words: list[str]) -> tuple[list[str], list[str]]:
        if words[0] == "{":
            return self._until_brace(words[1:])
        if words[0].startswith("@"):
            return self.sets[words[0].removeprefix("@")], words[1:]
        return [words[0]], words[1:]

    @staticmethod
    def _until_brace(words: list[str]) -> tuple[list[str], list[str]]:
        end = words.index("}")
        return " ".join(words[:end]).split(", "), words[end + 1 :]

    @staticmethod
    def _elements(line: str) -> list[str]:
        found = re.fullmatch(r"elements = \{ (.+) \}", line)
        assert found is not None
        listed = found[1].split(", ")
        assert len(set(listed)) == len(listed)
        return listed

    @staticmethod
    def _field(name: str, packet: Packet) -> str:
        return {"saddr": packet.saddr, "daddr": packet.daddr}[name]


def _within(address: str, networks: Sequence[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks)
