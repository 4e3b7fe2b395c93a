"""Kafka: topics, a SCRAM user and ACLs on the cell's prefix."""

from __future__ import annotations

import asyncio
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import admin as kafka
from voicehelper_core import faults, names

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials
from voicehelper_operator.slices.interface import CellRef, TenantRef

_SECONDS = 30
_REPLICAS = 3
"""Of each topic, where there are as many brokers."""
_KINDS = (kafka.ResourceType.TOPIC, kafka.ResourceType.GROUP)
_PREFIXED = kafka.ResourcePatternType.PREFIXED


class KafkaSlice:
    """A tenant has nothing of its own here: events carry the tenant, and consumers check it."""

    store = "kafka"
    isolated = True

    def __init__(self, settings: OperatorSettings, credentials: CellCredentials) -> None:
        self._settings, self._credentials = settings, credentials
        self._client: kafka.AdminClient | None = None

    def _access(self, user: str, password: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._settings.kafka_bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "SCRAM-SHA-256",
            "sasl.username": user,
            "sasl.password": password,
            "socket.timeout.ms": 10_000,
            "log_level": 0,
        }

    def _admin(self) -> kafka.AdminClient:
        if self._client is None:
            access = self._access(self._settings.kafka_admin_user, self._settings.kafka_admin_password)
            self._client = kafka.AdminClient(access)
        return self._client

    async def observe(self, cell: CellRef) -> list[str]:
        return await asyncio.to_thread(self._missing, cell.cell_id)

    async def ensure(self, cell: CellRef) -> list[str]:
        password = (await self._credentials.of(cell.cell_id))["kafka_password"]
        missing = await asyncio.to_thread(self._missing, cell.cell_id)
        if missing:
            await faults.point("operator.kafka.before")
            await asyncio.to_thread(self._make, cell.cell_id, missing, password)
            await faults.point("operator.kafka.after")
        return missing

    def _missing(self, cell_id: str) -> list[str]:
        topics = self._admin().list_topics(timeout=_SECONDS).topics
        missing = [
            f"topic {names.topic(cell_id, name)}" for name in names.TOPICS if names.topic(cell_id, name) not in topics
        ]
        if not self._user_exists(cell_id):
            missing.append(f"user {names.kafka_user(cell_id)}")
        missing += [f"ACL on {kind.name.lower()}s {cell_id}." for kind in _KINDS if not self._acls(cell_id, kind)]
        return missing

    def _user_exists(self, cell_id: str) -> bool:
        user = names.kafka_user(cell_id)
        try:
            described = self._admin().describe_user_scram_credentials([user])[user].result(_SECONDS)
        except KafkaException as error:  # a user without credentials is an error to Kafka
            if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                raise
            return False
        return bool(described.scram_credential_infos)

    def _acls(self, cell_id: str, kind: kafka.ResourceType) -> list[Any]:
        wanted = kafka.AclBindingFilter(
            kind, f"{cell_id}.", _PREFIXED, f"User:{names.kafka_user(cell_id)}", "*",
            kafka.AclOperation.ALL, kafka.AclPermissionType.ALLOW,
        )  # fmt: skip
        found: list[Any] = self._admin().describe_acls(wanted).result(_SECONDS)
        return found

    def _make(self, cell_id: str, missing: list[str], password: str) -> None:
        admin, user = self._admin(), names.kafka_user(cell_id)
        replicas = min(_REPLICAS, len(admin.list_topics(timeout=_SECONDS).brokers))
        topics = [
            kafka.NewTopic(names.topic(cell_id, name), partitions, replicas)
            for name, partitions in names.TOPICS.items()
            if f"topic {names.topic(cell_id, name)}" in missing
        ]
        if topics:
            _settle(admin.create_topics(topics), ignore="TOPIC_ALREADY_EXISTS")
        if f"user {user}" in missing:
            self._set_password(user, password)
        bindings = [
            kafka.AclBinding(
                kind,
                f"{cell_id}.",
                _PREFIXED,
                f"User:{user}",
                "*",
                kafka.AclOperation.ALL,
                kafka.AclPermissionType.ALLOW,
            )
            for kind in _KINDS
            if f"ACL on {kind.name.lower()}s {cell_id}." in missing
        ]
        if bindings:
            _settle(admin.create_acls(bindings))

    def _set_password(self, user: str, password: str) -> None:
        info = kafka.ScramCredentialInfo(kafka.ScramMechanism.SCRAM_SHA_256, 4096)
        change = kafka.UserScramCredentialUpsertion(user, info, password.encode())
        _settle(self._admin().alter_user_scram_credentials([change]))

    async def verify(self, cell: CellRef) -> str | None:
        password = (await self._credentials.of(cell.cell_id))["kafka_password"]
        problem = await asyncio.to_thread(self._try, cell.cell_id, password)
        if problem:  # the kept password is the right one: set it again, and see next time
            await asyncio.to_thread(self._set_password, names.kafka_user(cell.cell_id), password)
        return problem

    def _try(self, cell_id: str, password: str) -> str | None:
        client = kafka.AdminClient(self._access(names.kafka_user(cell_id), password))
        try:
            visible = client.list_topics(timeout=10).topics
        except KafkaException as error:
            return f"the cell's user cannot log in: {error}"
        lacking = [name for name in names.TOPICS if names.topic(cell_id, name) not in visible]
        return f"the cell's user does not see {', '.join(lacking)}" if lacking else None

    async def archive(self, cell: CellRef) -> None:
        await asyncio.to_thread(self._remove_access, cell.cell_id)

    async def remove(self, cell: CellRef) -> None:
        await asyncio.to_thread(self._remove, cell.cell_id)

    def _remove(self, cell_id: str) -> None:
        admin = self._admin()
        self._remove_access(cell_id)
        topics = [name for name in admin.list_topics(timeout=_SECONDS).topics if name.startswith(f"{cell_id}.")]
        if topics:
            _settle(admin.delete_topics(topics), ignore="UNKNOWN_TOPIC_OR_PART")
        listed = admin.list_consumer_groups().result(_SECONDS).valid
        groups = [group.group_id for group in listed if group.group_id.startswith(f"{cell_id}.")]
        if groups:
            _settle(admin.delete_consumer_groups(groups), ignore="GROUP_ID_NOT_FOUND")

    def _remove_access(self, cell_id: str) -> None:
        admin, user = self._admin(), names.kafka_user(cell_id)
        everything = kafka.AclBindingFilter(
            kafka.ResourceType.ANY, None, kafka.ResourcePatternType.ANY, f"User:{user}", None,
            kafka.AclOperation.ANY, kafka.AclPermissionType.ANY,
        )  # fmt: skip
        _settle(admin.delete_acls([everything]))
        if self._user_exists(cell_id):
            deletion = kafka.UserScramCredentialDeletion(user, kafka.ScramMechanism.SCRAM_SHA_256)
            _settle(admin.alter_user_scram_credentials([deletion]))

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        return []

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        """Events of the past run out by the topics' retention."""


def _settle(futures: dict[Any, Any], ignore: str = "") -> None:
    """Wait for all. Raises KafkaException but for the error that means that it was done before."""
    for future in futures.values():
        try:
            future.result(_SECONDS)
        except KafkaException as error:
            if not ignore or error.args[0].name() != ignore:
                raise
