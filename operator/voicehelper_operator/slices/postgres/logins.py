"""Who logs in for a cell: one role for all of a compact one, one for each service of an expanded one; of the cell's
open account, and of both while passwords are rotated.

A login may become its services' roles and has no rights of its own but to read the list of tenants. Roles of the other
topology may be there, from before a switch: they cannot log in, and sessions that they still have end with their
process. Those of a closed account cannot log in either, and have no sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voicehelper_core import cell_bundle, names
from voicehelper_core.call_graph import SERVICES
from voicehelper_core.names import ACCOUNTS, Account

from voicehelper_operator.slices.credentials import service_password
from voicehelper_operator.slices.interface import CellRef

LISTENERS = 25
"""Each process has a connection of its own for the list of tenants: 20 replicas at most, and who takes their place."""
_COMPACT_LISTENERS = 5  # a process's, and room for the probes of a restart that overlaps
_COMPACT_PROCESSES = 2  # while a release is tried beside the one that serves, or takes its place
_WEIGHTS = {"conversation": 4, "knowledge": 2, "indexing": 2, "retrieval": 2}
"""How the services that keep pools share a cell's connections."""


@dataclass(frozen=True, slots=True)
class Login:
    """A role that may log in; ``password`` is the name of its secret, ``roles`` what it may become."""

    role: str
    password: str
    connections: int
    roles: tuple[str, ...]


def share(connections: int, service: str) -> int:
    """Connections of a service's pools, those of all its replicas together; none for one without a schema.

    One at least, so that a class of fewer connections than there are such services is exceeded by that much.
    """
    weight = _WEIGHTS.get(service, 0)
    return max(1, connections * weight // sum(_WEIGHTS.values())) if weight else 0


def pool_size(connections: int, service: str, replicas: int) -> int:
    """What ``postgres_pool_size`` of one replica may be, one at least."""
    return max(1, share(connections, service) // replicas)


def wanted(cell: CellRef, accounts: Sequence[Account] = ("a",)) -> list[Login]:
    """The logins of the cell's topology, those of each account. Each has all of the connections for itself."""
    return [login for account in accounts for login in _of(cell, account)]


def _of(cell: CellRef, account: Account) -> list[Login]:
    cell_id, connections = cell.cell_id, cell.postgres_connections
    if cell.topology == "compact":
        every = tuple(names.service_role(cell_id, service) for service in names.SERVICES)
        limit = _COMPACT_PROCESSES * connections + _COMPACT_LISTENERS
        password = cell_bundle.key(cell_bundle.POSTGRES, account)
        return [Login(names.login_role(cell_id, account), password, limit, every)]
    return [
        Login(
            names.service_login(cell_id, service, account),
            cell_bundle.key(service_password(service), account),
            share(connections, service) + LISTENERS,
            (names.service_role(cell_id, about.schema),) if about.schema else (),
        )
        for service, about in SERVICES.items()
    ]


def every(cell_id: str) -> list[Login]:
    """The logins of both topologies and both accounts; their limits mean nothing."""
    return [*wanted(CellRef(cell_id), ACCOUNTS), *wanted(CellRef(cell_id, topology="expanded"), ACCOUNTS)]


def closed(cell: CellRef, accounts: Sequence[Account]) -> Iterator[str]:
    """Roles that may be there, of the other topology or account, and may not log in."""
    ours = {login.role for login in wanted(cell, accounts)}
    return (login.role for login in every(cell.cell_id) if login.role not in ours)


def former(cell: CellRef, accounts: Sequence[Account]) -> Iterator[str]:
    """Those of them that are the closed account's."""
    return (login.role for account in ACCOUNTS if account not in accounts for login in _of(cell, account))
