"""Keeps the rules of nftables equal to what the NetworkPolicies of an API server say: a test tool for the bare node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from voicehelper_cli.failures import Failure

from voicehelper_e2e.network_policies import live
from voicehelper_e2e.network_policies.mirror import Mirror
from voicehelper_e2e.network_policies.rules import ruleset

_SETTLE_SECONDS = 0.03
"""How long after a change: what changes at the same time makes one ruleset."""
_AGAIN_SECONDS = 15.0
"""How often the rules are written even where nothing changed: someone may have removed them."""


class Enforcer:
    """Of three mirrors, one of pods, one of namespaces and one of NetworkPolicies; ``apply`` takes a ruleset."""

    def __init__(self, apply: Callable[[str], None], say: Callable[[str], None], network: str, bridge: str) -> None:
        self._apply, self._say, self._network, self._bridge = apply, say, network, bridge
        self._changed = asyncio.Event()
        self._applied = ""

    def change(self) -> None:
        """Something may have to be written."""
        self._changed.set()

    async def run(self, pods: Mirror, namespaces: Mirror, policies: Mirror) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            for mirror in (pods, namespaces, policies):
                group.create_task(mirror.follow())
            group.create_task(self._keep(pods, namespaces, policies))

    async def _keep(self, pods: Mirror, namespaces: Mirror, policies: Mirror) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _AGAIN_SECONDS)
                await asyncio.sleep(_SETTLE_SECONDS)
            again = not self._changed.is_set()
            self._changed.clear()
            if pods.complete and namespaces.complete and policies.complete:
                await self._write(pods.items, namespaces.items, policies.items, again)

    async def _write(
        self,
        pods: Iterable[Mapping[str, Any]],
        namespaces: Iterable[Mapping[str, Any]],
        policies: Iterable[Mapping[str, Any]],
        again: bool,
    ) -> None:
        """Where it fails, the rules of before stay, and it is tried again with the next change or after a while."""
        try:
            cluster, listed = live.cluster(namespaces, policies), live.pods(pods)
            text = ruleset(cluster, listed, self._network, self._bridge)
            if text == self._applied and not again:
                return
            await asyncio.to_thread(self._apply, text)
        except (Failure, KeyError, ValueError) as error:
            self._say(f"the rules stay as they were: {error!r}")
            self._applied = ""
            return
        if text != self._applied:
            self._say(f"{len(cluster.policies)} policies for {len(listed)} pods")
        self._applied = text
