"""What the services of an expanded cell are told: each only what it needs, and who it is by a certificate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voicehelper_core import cell_bundle, certificates, names
from voicehelper_core.call_graph import SERVICES, Need
from voicehelper_core.certificates import Certificates

from voicehelper_operator.cells.observe import Observation
from voicehelper_operator.slices.credentials import CellCredentials, service_password
from voicehelper_operator.slices.postgres.logins import pool_size
from voicehelper_operator.workloads.interface import ServiceConfig

_PREFIXES: Mapping[Need, tuple[str, ...]] = {
    Need.POSTGRES: (),  # a login of its own
    Need.KAFKA: ("kafka_",),
    Need.MILVUS: ("milvus_",),
    Need.OBJECTS: ("objects_",),
    Need.INFERENCE: ("inference_",),
    Need.IDENTITY: ("identity_", "jwks_"),
    Need.ANALYTICS: ("analytics_",),
    Need.PROVIDER: ("model_api_key", "model_base_url"),
}
"""Beginnings of the settings that belong to a need; whoever has not the need is not told them."""
_BELONGING = (*(prefix for prefixes in _PREFIXES.values() for prefix in prefixes), "postgres_")


async def services(
    seen: Observation, config: Mapping[str, Any], credentials: CellCredentials, dsn: Callable[[str, str], str]
) -> dict[str, ServiceConfig]:
    """By name. ``dsn`` makes one of a role and its password."""
    cell_id = seen.ref.cell_id
    bundle = await credentials.of(cell_id, SERVICES)
    account = cell_bundle.current(bundle)
    known = await credentials.certificates(cell_id)
    present = Certificates.of_secret(known) if known else None
    wanted = certificates.renewed(present, cell_id, SERVICES)
    if wanted != present:
        await credentials.keep_certificates(cell_id, wanted.secret())
    return {
        service: ServiceConfig(
            {
                **_told(service, config),
                "alone": False,
                "postgres_dsn": dsn(
                    names.service_login(cell_id, service, account),
                    cell_bundle.password(bundle, service_password(service)),
                ),
                "postgres_pool_size": pool_size(seen.ref.postgres_connections, service, seen.size.most_replicas),
            },
            wanted.files(service),
        )
        for service in SERVICES
    }


def _told(service: str, config: Mapping[str, Any]) -> dict[str, Any]:
    needed = tuple(prefix for need in SERVICES[service].needs for prefix in _PREFIXES[need])
    return {key: value for key, value in config.items() if key.startswith(needed) or not key.startswith(_BELONGING)}
