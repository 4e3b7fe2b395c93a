"""Names of everything that belongs to a cell or a tenant, built in one place from their ids.

Ids (12 characters of [a-z0-9], a letter first) come from ``new_id``; they are made once, kept in status
and never reused, so that a recreated tenant of the same name never meets old data.
"""

from __future__ import annotations

import re
import secrets
import string
from typing import Literal

Account = Literal["a", "b"]
"""A cell has one account in each store; while its passwords are rotated, another one beside it."""
ACCOUNTS: tuple[Account, ...] = ("a", "b")
ID = re.compile(r"^[a-z][a-z0-9]{11}$")
SERVICES = ("conversation", "knowledge")
"""Services of a cell that own a Postgres schema."""
DEAD_LETTERS = "dead.letters"
"""Topic of a cell for events that could not be handled."""
TOPICS: dict[str, int] = {
    "conversation.events": 6,
    "document.events": 3,
    "ai.tasks": 12,
    "ai.results": 6,
    "notification.requests": 3,
    DEAD_LETTERS: 1,
}
"""Topics of a cell and their partitions."""
CONTENT_COLUMNS = ("content", "citations", "text", "title", "external_id", "error", "events")
"""Columns of a service's tables that change data capture leaves out: they never leave Postgres as rows."""
PUBLIC_TENANT = "_public"
"""The tenant name of platform tokens and of requests without a tenant header."""


def new_id() -> str:
    """A fresh id; 26 * 36**11 of them make a clash a non-event."""
    rest = string.ascii_lowercase + string.digits
    return secrets.choice(string.ascii_lowercase) + "".join(secrets.choice(rest) for _ in range(11))


def checked(identifier: str) -> str:
    """The id itself. Raises ValueError for anything else, so that no name is ever built from a stranger."""
    if not ID.fullmatch(identifier):
        raise ValueError(f"not an id: {identifier!r}")
    return identifier


def _account(name: str, account: Account) -> str:
    """The first account is the one that cells had before there were two."""
    return name if account == "a" else f"{name}_{account}"


def schema(cell_id: str, service: str) -> str:
    """Postgres schema of a service."""
    return f"{checked(cell_id)}_{service}"


def placement_schema(cell_id: str) -> str:
    """Postgres schema that lists the tenants placed in a cell; the operator writes it, the cell reads it."""
    return f"{checked(cell_id)}_placement"


def owner_role(cell_id: str, service: str) -> str:
    """NOLOGIN role that owns the schema and runs its migrations."""
    return f"{checked(cell_id)}_{service}_owner"


def service_role(cell_id: str, service: str) -> str:
    """NOLOGIN role without DDL that the workload takes with SET LOCAL ROLE."""
    return f"{checked(cell_id)}_{service}_rw"


def login_role(cell_id: str, account: Account = "a") -> str:
    """LOGIN NOINHERIT role of the cell's compact workload; owns nothing."""
    return _account(checked(cell_id), account)


def service_login(cell_id: str, service: str, account: Account = "a") -> str:
    """LOGIN NOINHERIT role of one service of an expanded cell; may become its own service's role only."""
    return _account(f"{checked(cell_id)}_{service}_login", account)


def migrator_role(cell_id: str) -> str:
    """LOGIN role of migrations; may become the owners."""
    return f"{checked(cell_id)}_migrator"


def spiffe_id(cell_id: str, service: str) -> str:
    """Who a service of an expanded cell is, in its certificate."""
    return f"spiffe://voicehelper/cell/{checked(cell_id)}/{service}"


def tls_name(cell_id: str, service: str) -> str:
    """The name that callers expect in the certificate of a service, whatever address leads there."""
    return f"{service.replace('_', '-')}.{checked(cell_id)}.cell.voicehelper.internal"


def cell_certificates(cell_id: str) -> str:
    """Name of the secret that holds a cell's authority and the certificates of its services."""
    return f"cell-{checked(cell_id)}-certificates"


def topic(cell_id: str, name: str) -> str:
    """Kafka topic of a cell."""
    return f"{checked(cell_id)}.{name}"


def kafka_user(cell_id: str, account: Account = "a") -> str:
    """SCRAM user of a cell, allowed ``<cell>.`` and nothing else."""
    return _account(checked(cell_id), account)


def consumer_group(cell_id: str, service: str) -> str:
    """Kafka consumer group of a service."""
    return f"{checked(cell_id)}.{service}"


def collection(cell_id: str) -> str:
    """Milvus collection of a cell."""
    return f"{checked(cell_id)}_document_chunks"


def partition(tenant_id: str) -> str:
    """Milvus partition of a tenant."""
    return checked(tenant_id)


def bucket(cell_id: str) -> str:
    """S3 bucket of a cell; a server's buckets share one space of names with those of others."""
    return f"voicehelper-{checked(cell_id)}"


def objects_user(cell_id: str, account: Account = "a") -> str:
    """Access key of a cell on an S3 server; reaches its bucket and nothing else."""
    return _account(checked(cell_id), account)


def os_user(cell_id: str) -> str:
    """Operating-system user of a cell's processes, where root runs the platform."""
    return f"vh-{checked(cell_id)}"


def admin_secret(tenant_id: str) -> str:
    """Name of the secret with the login of a tenant's first admin."""
    return f"tenant-{checked(tenant_id)}-admin"


def cell_secret(cell_id: str) -> str:
    """Name of the secret that holds a cell's credentials."""
    return f"cell-{checked(cell_id)}"
