"""Who calls: in one process and on loopback what the caller says, over the network what its certificate proves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voicehelper_core import names
from voicehelper_core.call_graph import CALLERS, SERVICES
from voicehelper_core.errors import PermissionDenied
from voicehelper_core.tls import VERSION

Identify = Callable[[Mapping[str, str], Any], str]
"""Metadata and servicer context of a call to the caller's name; empty for nobody. May raise PermissionDenied."""
_KNOWN = SERVICES.keys() | {caller for callers in CALLERS.values() for caller in callers}


def stated(metadata: Mapping[str, str], _call: Any) -> str:
    """The name in ``x-caller``: enough where only the cell's own process can call."""
    return metadata.get("x-caller", "")


def certified(cell_id: str) -> Identify:
    """The service that the peer's certificate names, of this cell only; what ``x-caller`` says does not count."""
    services = {names.spiffe_id(cell_id, service): service for service in _KNOWN}

    def identify(_metadata: Mapping[str, str], call: Any) -> str:
        peer = call.auth_context()
        if _values(peer, "ssl_tls_version") != [VERSION]:
            raise PermissionDenied(f"only {VERSION} with a certificate of this cell is spoken here")
        found = _values(peer, "peer_spiffe_id")
        return services.get(found[0], "") if len(found) == 1 else ""

    return identify


def _values(peer: Mapping[str, Any], name: str) -> list[str]:
    return [value.decode("latin-1") for value in peer.get(name, ())]
