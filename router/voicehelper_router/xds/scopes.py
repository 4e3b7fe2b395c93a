"""Scopes: the tenant header's value names a route configuration.

A scope that names a configuration which Envoy does not hold yet answers 404. So each configuration is held by a scope
of its own, whose key no tenant can have (names begin with a letter), and tenants' scopes come after it.
"""

from __future__ import annotations

from collections.abc import Collection

from envoy.config.route.v3 import scoped_route_pb2
from voicehelper_core.names import PUBLIC_TENANT

from voicehelper_router.xds import routes
from voicehelper_router.xds.facts import TenantFacts
from voicehelper_router.xds.resource import Resource

_TENANT, _HOLD = "tenant:", "hold:"


def _scope(name: str, key: str, configuration: str) -> Resource:
    content = {
        "name": name,
        "key": {"fragments": [{"string_key": key}]},
        "route_configuration_name": configuration,
    }
    return Resource(scoped_route_pb2.ScopedRouteConfiguration, name, content)


def hold(configuration: str) -> Resource:
    """Keeps a route configuration in Envoy whether a tenant uses it or not."""
    return _scope(f"{_HOLD}{configuration}", f"__{configuration}", configuration)


def public() -> Resource:
    """Requests without a tenant."""
    return of_name(PUBLIC_TENANT, routes.PUBLIC)


def of_name(tenant: str, configuration: str) -> Resource:
    """A tenant's scope."""
    return _scope(f"{_TENANT}{tenant}", tenant, configuration)


def is_hold(name: str) -> bool:
    """Whether the scope of this name is a keep-alive scope."""
    return name.startswith(_HOLD)


def target(scope: Resource) -> str:
    """The route configuration that a scope names."""
    return str(scope.content["route_configuration_name"])


def key(scope: Resource) -> str:
    """The header value that selects a scope."""
    return str(scope.content["key"]["fragments"][0]["string_key"])


def configuration_of(tenant: TenantFacts, cells: Collection[str]) -> str:
    """The route configuration that a tenant's requests meet, given the ids of the cells that can be routed to."""
    if tenant.state == "suspended":
        return routes.SUSPENDED
    if tenant.state == "routable" and tenant.cell_id and tenant.cell_id in cells:
        return routes.cell_name(tenant.cell_id)
    return routes.UNAVAILABLE
