"""What a cell's workload is told: which code, with which settings and credentials, and what runs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from voicehelper_core import cell_bundle, names

from voicehelper_operator.cells import expanded
from voicehelper_operator.cells.observe import Observation
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.workloads.interface import ServiceConfig, WorkloadSpec


@dataclass(frozen=True, slots=True)
class Specs:
    """Makes the specs of workloads."""

    settings: OperatorSettings
    credentials: CellCredentials

    async def wanted(self, seen: Observation) -> WorkloadSpec:
        """Of what should run, with the release that is tried beside it, or was and may still have requests."""
        if seen.beside:
            return replace(await self.serving(seen), tried=await self._of(seen, seen.release))
        spec = await self._of(seen, seen.release)
        if seen.lingers is None:
            return spec
        return replace(spec, leaving=await self._of(seen, seen.lingers))

    async def serving(self, seen: Observation) -> WorkloadSpec:
        """Of what should serve."""
        return await self._of(seen, str(seen.cell.status.release) if seen.beside else seen.release)

    async def migration(self, seen: Observation) -> WorkloadSpec:
        """Of the step that brings the schemas to the release, with a password that is good for it only."""
        cell_id = seen.ref.cell_id
        password = await self.credentials.renew_migrator(cell_id)
        config = {"cell_id": cell_id, "postgres_dsn": self._dsn(names.migrator_role(cell_id), password)}
        return _spec(seen, seen.release, config)

    async def _of(self, seen: Observation, release: str) -> WorkloadSpec:
        config = await self._config(seen, release)
        if seen.cell.spec.topology == "compact":
            return _spec(seen, release, config)
        return _spec(seen, release, {}, await expanded.services(seen, config, self.credentials, self._dsn))

    async def _config(self, seen: Observation, release: str) -> dict[str, Any]:
        settings, cell_id = self.settings, seen.ref.cell_id
        bundle = await self.credentials.of(cell_id)
        account = cell_bundle.current(bundle)
        login = names.login_role(cell_id, account)
        return {
            "environment": settings.environment,
            "region": seen.cell.spec.region,
            "cell_id": cell_id,
            "release": release,
            "postgres_dsn": self._dsn(login, cell_bundle.password(bundle, cell_bundle.POSTGRES)),
            "postgres_pool_size": seen.ref.postgres_connections,
            "kafka_bootstrap": settings.kafka_bootstrap,
            "kafka_user": names.kafka_user(cell_id, account),
            "kafka_password": cell_bundle.password(bundle, cell_bundle.KAFKA),
            "milvus_uri": settings.milvus_uri,
            **objects_config(settings, bundle, cell_id),
            "inference_address": settings.inference_address,
            "identity_address": settings.identity_address,
            "analytics_address": settings.analytics_address,
            "jwks_url": settings.jwks_url,
            **settings.cell_settings,
        }

    def _dsn(self, role: str, password: str) -> str:
        place = f"{self.settings.postgres_host}:{self.settings.postgres_port}/{self.settings.postgres_database}"
        return f"postgresql://{role}:{password}@{place}"


def _spec(
    seen: Observation, release: str, config: Mapping[str, Any], services: Mapping[str, ServiceConfig] | None = None
) -> WorkloadSpec:
    return WorkloadSpec(
        seen.ref.cell_id,
        release,
        config,
        cell=seen.cell.metadata.name,
        topology=seen.cell.spec.topology,
        size=seen.size,
        services=services or {},
    )


def objects_config(settings: OperatorSettings, bundle: Mapping[str, str], cell_id: str) -> dict[str, str]:
    """What a cell is told of its objects. A change of it starts the cell again."""
    if not settings.objects_endpoint:
        return {"objects_root": settings.objects_root}
    return {
        "objects_endpoint": settings.objects_endpoint,
        "objects_region": settings.objects_region,
        "objects_access_key": names.objects_user(cell_id, cell_bundle.current(bundle)),
        "objects_secret_key": cell_bundle.password(bundle, cell_bundle.OBJECTS),
    }
