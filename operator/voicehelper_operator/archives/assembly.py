"""Puts the parts together that make, keep and restore archives."""

from __future__ import annotations

from fastapi import FastAPI
from voicehelper_core.ports import ResourceStore, SecretStore

from voicehelper_operator.archives import http
from voicehelper_operator.archives.depot import open_depot
from voicehelper_operator.archives.export import Sources
from voicehelper_operator.archives.keeper import BundleKeeper
from voicehelper_operator.archives.objects import BucketObjects, FolderObjects, TenantObjects
from voicehelper_operator.archives.vectors import TenantVectors
from voicehelper_operator.identity import GrpcIdentity
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.s3.client import Keys, S3Client


def tenant_objects(settings: OperatorSettings, client: S3Client | None) -> TenantObjects:
    """Objects of tenants, where the settings say."""
    return BucketObjects(client) if client else FolderObjects(settings.objects_root)


def objects_client(settings: OperatorSettings) -> S3Client | None:
    """The administrator's client; None where objects lie in folders."""
    if not settings.objects_endpoint:
        return None
    keys = Keys(settings.objects_admin_access_key, settings.objects_admin_secret_key)
    return S3Client(settings.objects_endpoint, settings.objects_region, keys)


class Archives:
    """Of one operator."""

    def __init__(self, settings: OperatorSettings, store: ResourceStore, secrets: SecretStore) -> None:
        client = objects_client(settings)
        objects = tenant_objects(settings, client)
        self._identity = GrpcIdentity(settings.identity_address, settings.provisioning_key)
        self._vectors, self._objects = TenantVectors(settings.milvus_uri), objects
        sources = Sources(settings.postgres_admin_dsn, objects, self._identity, secrets)
        self.keeper = BundleKeeper(sources, open_depot(settings, client))
        self._service = http.ArchiveService(
            store, sources, self._vectors, key=settings.provisioning_key, spool=settings.archive_spool
        )

    def serve(self, web: FastAPI) -> None:
        """Add the routes."""
        web.state.archives = self._service
        web.include_router(http.router)

    async def close(self) -> None:
        """Stop what runs and disconnect."""
        await self.keeper.close()
        for item in (self._vectors, self._objects, self._identity):
            await item.close()
