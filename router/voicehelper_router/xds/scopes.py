"""Scopes: the tenant header's value names a route configuration.

A scope that names a configuration which Envoy does not hold yet answers 404. So each configuration is held by a scope
of its own, whose key no tenant can have (names begin with a letter), and tenants' scopes come after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from envoy.config.route.v3 import scoped_route_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from voicehelper_core.names import PUBLIC_TENANT

from voicehelper_router import types
from voicehelper_router.xds import held, routes
from voicehelper_router.xds.facts import TenantFacts
from voicehelper_router.xds.resource import digest

_TENANT, _HOLD = "tenant:", "hold:"


@dataclass(frozen=True, slots=True)
class Scope:
    """A ``Resource`` of which there is one a tenant: it keeps three strings, the rest is made when it is asked for."""

    kind: ClassVar[type[scoped_route_pb2.ScopedRouteConfiguration]] = scoped_route_pb2.ScopedRouteConfiguration

    name: str
    key: str
    configuration: str

    @property
    def content(self) -> dict[str, Any]:
        """The message as JSON has it."""
        return {
            "name": self.name,
            "key": {"fragments": [{"string_key": self.key}]},
            "route_configuration_name": self.configuration,
        }

    @property
    def version(self) -> str:
        """Name and key never change, so it follows from the configuration (and from how scopes are written)."""
        return version_of(self.configuration)

    @property
    def message(self) -> AnyMessage:
        """The packed message."""
        scope = self.kind(name=self.name, route_configuration_name=self.configuration)
        scope.key.fragments.add(string_key=self.key)
        return AnyMessage(type_url=types.SCOPE, value=scope.SerializeToString(deterministic=True))


@lru_cache(65536)
def version_of(configuration: str) -> str:
    """Version of all scopes that name this configuration."""
    return digest(Scope("", "", configuration).content)


def hold(configuration: str) -> Scope:
    """Keeps a route configuration in Envoy whether a tenant uses it or not."""
    return Scope(f"{_HOLD}{configuration}", f"__{configuration}", configuration)


def public() -> Scope:
    """Requests without a tenant."""
    return of_name(PUBLIC_TENANT, routes.PUBLIC)


def name_of(tenant: str) -> str:
    """Name of a tenant's scope."""
    return f"{_TENANT}{tenant}"


def of_name(tenant: str, configuration: str) -> Scope:
    """A tenant's scope."""
    return Scope(name_of(tenant), tenant, configuration)


def is_hold(name: str) -> bool:
    """Whether the scope of this name is a keep-alive scope."""
    return name.startswith(_HOLD)


def configuration_of(tenant: TenantFacts, cells: Mapping[str, str]) -> str:
    """The route configuration that a tenant's requests meet, given those that cells' requests meet."""
    if tenant.state == "suspended":
        return routes.SUSPENDED
    if tenant.state == "held":
        return held.MOVING
    of_cell = cells.get(tenant.cell_id or "")
    if of_cell and (tenant.state == "routable" or of_cell == routes.ASLEEP):
        return of_cell
    return routes.UNAVAILABLE
