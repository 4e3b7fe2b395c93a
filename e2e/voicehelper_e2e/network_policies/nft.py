"""The table of nftables in the node's network namespace."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from voicehelper_cli.failures import Failure

from voicehelper_e2e.network_policies.rules import TABLE


class Nft:
    """Of a network namespace. It is entered even by who is in it, so that no other one can be meant by mistake."""

    def __init__(self, namespace: str) -> None:
        self._enter = ["nsenter", f"--net=/run/netns/{namespace}", "--"]

    def expect_bridged(self) -> None:
        """Raises Failure where packets between pods of one bridge pass by nftables: no rule would stop them."""
        said = self._done(["cat", "/proc/sys/net/bridge/bridge-nf-call-iptables"]).stdout.strip()
        if said != "1":
            raise Failure("rules do not see what pods send each other: modprobe br_netfilter")

    def apply(self, ruleset: str) -> None:
        """All of it or, raising Failure, nothing."""
        self._run(ruleset)

    def remove(self) -> None:
        """The table, if it is there. Raises Failure."""
        self._run(f"table {TABLE}\ndelete table {TABLE}\n")

    def there(self) -> bool:
        """Whether the table is."""
        return self._done(["nft", "list", "table", *TABLE.split()]).returncode == 0

    def _run(self, given: str) -> None:
        done = self._done(["nft", "-f", "-"], given)
        if done.returncode != 0:
            raise Failure(f"nftables does not take the rules: {done.stderr.strip()[-1500:]}")

    def _done(self, command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._enter, *command], input=given, capture_output=True, text=True, check=False)
