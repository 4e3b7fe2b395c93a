"""The Envoys of the benchmark: what requests go to, the bare one they are compared with, and the router's."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voicehelper_router import envoy, types
from voicehelper_router.bootstrap import address
from voicehelper_router.xds.clusters import defaults

from voicehelper_bench.router.processes import Running, free_port, started

_ANSWER = '{"items": [], "next_cursor": null, "server": "%s"}'


def _manager(routes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The least that a connection manager needs."""
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": types.ROUTER}}
    manager = {"@type": types.CONNECTION_MANAGER, "stat_prefix": "bare", "http_filters": [router]}
    return manager | ({"route_config": routes} if routes else {})


def _listener(port: int, manager: dict[str, Any]) -> dict[str, Any]:
    name = "envoy.filters.network.http_connection_manager"
    return {
        "name": f"on-{port}",
        "address": address("127.0.0.1", port),
        "filter_chains": [{"filters": [{"name": name, "typed_config": manager}]}],
    }


def _routes(route: dict[str, Any]) -> dict[str, Any]:
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}
    return {"name": "static", "virtual_hosts": [host]}


def upstream(ports: dict[str, int]) -> dict[str, Any]:
    """Answers every request at once, naming the server whose port it came to."""
    listeners = []
    for name, port in ports.items():
        answer = {"direct_response": {"status": 200, "body": {"inline_string": _ANSWER % name}}}
        listeners.append(_listener(port, _manager(_routes(answer))))
    return {"static_resources": {"listeners": listeners}}


def bare(port: int, upstream_port: int, clusters: int = 1) -> dict[str, Any]:
    """One route to one cluster and nothing else: the peer. With several clusters each request goes to a random one."""
    names = [f"upstream-{number}" for number in range(clusters)]
    documents = [
        {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address("127.0.0.1", upstream_port)}}]}],
            },
            **defaults(),
        }
        for name in names
    ]
    weighted = {"weighted_clusters": {"clusters": [{"name": name, "weight": 1} for name in names]}}
    route = {"cluster": names[0]} if clusters == 1 else weighted
    return {
        "static_resources": {"listeners": [_listener(port, _manager(_routes({"route": route})))], "clusters": documents}
    }


def reduced(bootstrap: dict[str, Any], *, filters: bool) -> dict[str, Any]:
    """The router's bootstrap with its scoped routes, with or without its filters, and otherwise as bare as ``bare``."""
    document = copy.deepcopy(bootstrap)
    chain = document["static_resources"]["listeners"][0]["filter_chains"][0]
    whole = chain["filters"][0]["typed_config"]
    kept = {"scoped_routes": whole["scoped_routes"]}
    if filters:
        kept["http_filters"] = whole["http_filters"]
    chain["filters"][0]["typed_config"] = _manager() | kept
    return document


@contextmanager
def running(name: str, document: dict[str, Any], folder: Path, on: set[int], port: int) -> Iterator[Running]:
    """An Envoy with this configuration, once it listens on ``port``."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    with started(name, envoy.command(path, base_id=free_port()), folder, on) as process:
        process.wait_listening(port)
        yield process
