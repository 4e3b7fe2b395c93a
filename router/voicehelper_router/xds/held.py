"""The route configuration in which requests wait for a cell: asleep, or awake and not running yet.

It has the routes of the cell itself, so that a request that waited is treated like one that did not, whichever of the
two it ends in: a cell may fall asleep again between the word to go on and Envoy's look at the scope. ``filters.hold``
makes requests wait; it is on for these routes only.
"""

from __future__ import annotations

from functools import lru_cache

from envoy.config.route.v3 import route_components_pb2 as _filter_config  # noqa: F401 (FilterConfig, by its type URL)
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as _registered  # noqa: F401 (the same)

from voicehelper_router.filters import hold, paths, problems
from voicehelper_router.xds import routes
from voicehelper_router.xds.facts import CellFacts
from voicehelper_router.xds.resource import Rendered

MOVING = "_hold"
"""Route configuration of requests that wait while their tenant moves: wherever it lives then, its scope says so."""
_MOVES = "the tenant moves to another cell: try again in a moment"
_PROBE = "the cell sleeps, or has not woken yet: a probe neither wakes it nor waits"


@lru_cache(65536)  # one string for all tenants of a cell
def name(cell_id: str) -> str:
    """Route configuration of requests that wait for a cell."""
    return f"held-{cell_id}"


def is_held(configuration: str) -> bool:
    """Whether requests wait in the route configuration of this name."""
    return configuration == MOVING or configuration.startswith("held-")


def of_cell(cell: CellFacts) -> Rendered:
    """Everything waits but identity and the operator's probe."""
    probe = {**routes.direct({"path": paths.PROBE}, 503, _PROBE), "name": problems.ASLEEP_ROUTE}
    waiting = [{**route, "typed_per_filter_config": hold.enabled()} for route in routes.requests(cell)]
    return routes.configuration(name(cell.cell_id), [probe, *waiting])


def moving() -> Rendered:
    """Everything waits but identity and the operator's probe; 503 for whoever is held again before it could go on."""
    probe = routes.direct({"path": paths.PROBE}, 503, _MOVES)
    waiting = {**routes.direct({"prefix": "/"}, 503, _MOVES), "typed_per_filter_config": hold.enabled()}
    return routes.configuration(MOVING, [probe, waiting])
