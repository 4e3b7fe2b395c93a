"""Kafka: topics, a SCRAM user and ACLs on the cell's prefix; two users while passwords are rotated."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError as AioKafkaError
from confluent_kafka import KafkaException
from confluent_kafka import admin as kafka
from voicehelper_core import cell_bundle, faults, names
from voicehelper_core.kafka import scram
from voicehelper_core.names import ACCOUNTS, Account

from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials, Rotation
from voicehelper_operator.slices.interface import CellRef, TenantRef

_SECONDS, _LOGIN_SECONDS = 30, 15
_NEW_USER_SECONDS, _PAUSE_SECONDS = 3.0, 0.1
_SHARED_SECONDS = 1.0
"""How old a look at the brokers may be; what seems to be missing is looked at again before it is made."""
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
        self._looking = asyncio.Lock()
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it reports is in a condition
        self._seen: _Brokers | None = None

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
        bundle = await self._credentials.of(cell.cell_id)
        return _missing(cell.cell_id, Rotation.of(bundle).open, await self._look())

    async def _look(self, *, anew: bool = False) -> _Brokers:
        """What the brokers have. Cells that are looked at in the same second share one look."""
        async with self._looking:
            if anew or self._seen is None or time.monotonic() - self._seen.at > _SHARED_SECONDS:
                self._seen = await asyncio.to_thread(_look, self._admin())
            return self._seen

    async def ensure(self, cell: CellRef) -> list[str]:
        bundle = await self._credentials.of(cell.cell_id)
        accounts = Rotation.of(bundle).open
        missing = _missing(cell.cell_id, accounts, await self._look())
        if missing:
            missing = _missing(cell.cell_id, accounts, await self._look(anew=True))
        if missing:
            await faults.point("operator.kafka.before")
            try:
                await asyncio.to_thread(self._make, cell.cell_id, missing, bundle)
            finally:
                self._seen = None
            await faults.point("operator.kafka.effect")
        return missing

    def _make(self, cell_id: str, missing: list[str], bundle: Mapping[str, str]) -> None:
        """Users first: while brokers make logs of new topics they hear of nothing else, for seconds when busy."""
        admin, accounts = self._admin(), Rotation.of(bundle).open
        bindings = []
        for account in accounts:
            user = names.kafka_user(cell_id, account)
            if f"user {user}" in missing:
                self._set_password(user, bundle[cell_bundle.key(cell_bundle.KAFKA, account)])
            bindings += [_binding(cell_id, kind, user) for kind in _KINDS if _acl(cell_id, kind, user) in missing]
        if bindings:
            _settle(admin.create_acls(bindings))
        for user in _closed(cell_id, accounts):
            if _end(user) in missing:
                self._remove_user(user)
        replicas = min(_REPLICAS, len(admin.list_topics(timeout=_SECONDS).brokers))
        topics = [
            kafka.NewTopic(names.topic(cell_id, name), partitions, replicas)
            for name, partitions in names.TOPICS.items()
            if f"topic {names.topic(cell_id, name)}" in missing
        ]
        if topics:
            _settle(admin.create_topics(topics), ignore="TOPIC_ALREADY_EXISTS")

    def _set_password(self, user: str, password: str) -> None:
        info = kafka.ScramCredentialInfo(kafka.ScramMechanism.SCRAM_SHA_256, 4096)
        change = kafka.UserScramCredentialUpsertion(user, info, password.encode())
        _settle(self._admin().alter_user_scram_credentials([change]))

    async def verify(self, cell: CellRef) -> str | None:
        bundle = await self._credentials.of(cell.cell_id)
        for account in Rotation.of(bundle).open:
            user = names.kafka_user(cell.cell_id, account)
            password = bundle[cell_bundle.key(cell_bundle.KAFKA, account)]
            if problem := await self._try(cell.cell_id, user, password):
                # The kept password is the right one: set it again, and see next time.
                await asyncio.to_thread(self._set_password, user, password)
                return problem
        return None

    async def _try(self, cell_id: str, user: str, password: str) -> str | None:
        """Log in as the cell, and again for a while: brokers hear of a new user a moment after it was made."""
        end = time.monotonic() + _NEW_USER_SECONDS
        while True:
            problem = await self._once(cell_id, user, password)
            if problem is None or time.monotonic() >= end:
                return problem
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _once(self, cell_id: str, user: str, password: str) -> str | None:
        """On a connection of its own, without the threads of a confluent client."""
        client = AIOKafkaAdminClient(**scram(self._settings.kafka_bootstrap, user, password), request_timeout_ms=10_000)
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                await client.start()
                visible = await client.list_topics()
        except (AioKafkaError, OSError) as error:  # TimeoutError is one
            return f"the cell's user cannot log in: {type(error).__name__}: {error}"
        finally:
            await client.close()
        lacking = [name for name in names.TOPICS if names.topic(cell_id, name) not in visible]
        return f"the cell's user does not see {', '.join(lacking)}" if lacking else None

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        """There is nothing to migrate."""

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
        for account in ACCOUNTS:
            self._remove_user(names.kafka_user(cell_id, account))

    def _remove_user(self, user: str) -> None:
        """What it may do first: a connection that it has lives on."""
        admin = self._admin()
        everything = kafka.AclBindingFilter(
            kafka.ResourceType.ANY, None, kafka.ResourcePatternType.ANY, f"User:{user}", None,
            kafka.AclOperation.ANY, kafka.AclPermissionType.ANY,
        )  # fmt: skip
        self._seen = None
        _settle(admin.delete_acls([everything]))
        deletion = kafka.UserScramCredentialDeletion(user, kafka.ScramMechanism.SCRAM_SHA_256)
        _settle(admin.alter_user_scram_credentials([deletion]), ignore="RESOURCE_NOT_FOUND")

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        return []

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        return set()

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        """Events of the past run out by the topics' retention."""


@dataclass(frozen=True, slots=True)
class _Brokers:
    """What there is of all cells, and when that was seen."""

    at: float
    topics: frozenset[str]
    users: frozenset[str]
    allowed: frozenset[tuple[kafka.ResourceType, str, str]]
    """Kind, prefix and principal of what may be done without limits."""


def _look(admin: kafka.AdminClient) -> _Brokers:
    at = time.monotonic()
    bindings = admin.describe_acls(
        kafka.AclBindingFilter(
            kafka.ResourceType.ANY, None, _PREFIXED, None, None, kafka.AclOperation.ALL, kafka.AclPermissionType.ALLOW
        )
    ).result(_SECONDS)
    return _Brokers(
        at,
        frozenset(admin.list_topics(timeout=_SECONDS).topics),
        frozenset(_users(admin)),
        frozenset((item.restype, item.name, item.principal) for item in bindings if item.host == "*"),
    )


def _users(admin: kafka.AdminClient) -> set[str]:
    """Users that can log in by SCRAM."""
    described = admin.describe_user_scram_credentials().result(_SECONDS)
    return {name for name, user in described.items() if user.scram_credential_infos}


def _missing(cell_id: str, accounts: Sequence[Account], seen: _Brokers) -> list[str]:
    """Of topics and of the users of open accounts; and the end of what closed ones still have."""
    topics = [names.topic(cell_id, name) for name in names.TOPICS]
    missing = [f"topic {topic}" for topic in topics if topic not in seen.topics]
    for account in accounts:
        user = names.kafka_user(cell_id, account)
        if user not in seen.users:
            missing.append(f"user {user}")
        missing += [
            _acl(cell_id, kind, user) for kind in _KINDS if (kind, f"{cell_id}.", f"User:{user}") not in seen.allowed
        ]
    principals = {principal for _, _, principal in seen.allowed}
    return missing + [
        _end(user) for user in _closed(cell_id, accounts) if user in seen.users or f"User:{user}" in principals
    ]


def _closed(cell_id: str, accounts: Sequence[Account]) -> list[str]:
    return [names.kafka_user(cell_id, account) for account in ACCOUNTS if account not in accounts]


def _end(user: str) -> str:
    return f"the end of user {user}"


def _acl(cell_id: str, kind: kafka.ResourceType, user: str) -> str:
    return f"ACL of {user} on {kind.name.lower()}s {cell_id}."


def _binding(cell_id: str, kind: kafka.ResourceType, user: str) -> kafka.AclBinding:
    return kafka.AclBinding(
        kind, f"{cell_id}.", _PREFIXED, f"User:{user}", "*", kafka.AclOperation.ALL, kafka.AclPermissionType.ALLOW
    )


def _settle(futures: dict[Any, Any], ignore: str = "") -> None:
    """Wait for all. Raises KafkaException but for the error that means that it was done before."""
    for future in futures.values():
        try:
            future.result(_SECONDS)
        except KafkaException as error:
            if not ignore or error.args[0].name() != ignore:
                raise
