"""``python -m voicehelper_e2e.network_policies enforce``: enforce NetworkPolicies on the bare node, for tests.

It runs until it is stopped, and removes its rules then. ``make cluster`` starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

from kubernetes.aio import client, config
from voicehelper_cli.failures import Failure

from voicehelper_e2e.cluster.home import BRIDGE, NAMESPACE, POD_CIDR, Home
from voicehelper_e2e.network_policies.enforcer import Enforcer
from voicehelper_e2e.network_policies.mirror import Mirror
from voicehelper_e2e.network_policies.nft import Nft


def main() -> int:
    """Status 0 when it was stopped, or 1 with what to do."""
    parser = argparse.ArgumentParser(prog="python -m voicehelper_e2e.network_policies", description=__doc__)
    parser.add_argument("command", choices=("enforce",))
    parser.add_argument("--kubeconfig", type=Path, default=Home.default().kubeconfig)
    parser.add_argument("--namespace", default=NAMESPACE, help="network namespace of the node")
    arguments = parser.parse_args()
    nft = Nft(arguments.namespace)
    try:
        nft.expect_bridged()
        asyncio.run(_enforce(arguments.kubeconfig, nft))
        nft.remove()
    except (Failure, config.ConfigException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


async def _enforce(kubeconfig: Path, nft: Nft) -> None:
    """Until SIGTERM or SIGINT."""
    settings = client.Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
    async with client.ApiClient(settings) as api:
        core, networking = client.CoreV1Api(api), client.NetworkingV1Api(api)
        enforcer = Enforcer(nft.apply, _say, POD_CIDR, BRIDGE)
        pods, namespaces, policies = (
            Mirror(listing, enforcer.change, lambda error: _say(f"the API server does not answer: {error!r}"))
            for listing in (
                core.list_pod_for_all_namespaces_without_preload_content,
                core.list_namespace_without_preload_content,
                networking.list_network_policy_for_all_namespaces_without_preload_content,
            )
        )
        running = asyncio.ensure_future(enforcer.run(pods, namespaces, policies))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
