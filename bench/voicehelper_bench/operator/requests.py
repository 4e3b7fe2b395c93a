"""What the API server was asked, as it counts itself: the same for every kind of client."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.kinds import SECRET

_OURS = frozenset({"tenants", "cells", "tenantplans", "cellclasses", "secrets", "events"})
"""Leases are heartbeats, and the API server writes some things itself."""
_READS = frozenset({"GET", "LIST"})
_WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests by verb and resource since the API server began."""

    by_kind: Counter[str]

    def since(self, before: Asked) -> Asked:
        """What was asked in between."""
        return Asked(self.by_kind - before.by_kind)

    @property
    def writes(self) -> int:
        """All that would have changed something."""
        return self._sum(_WRITES)

    @property
    def reads(self) -> int:
        """Without watches."""
        return self._sum(_READS)

    def _sum(self, verbs: frozenset[str]) -> int:
        return sum(count for kind, count in self.by_kind.items() if kind.partition(" ")[0] in verbs)

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in sorted(self.by_kind.items())) or "nothing"


async def asked(api: Api) -> Asked:
    """Until now."""
    found: Counter[str] = Counter()
    text = await api.text(SECRET, "/metrics")
    lines = "\n".join(line for line in text.splitlines() if line.startswith("apiserver_request_total"))
    for family in text_string_to_metric_families(lines + "\n"):
        for sample in family.samples:
            labels = sample.labels
            verb, resource = labels.get("verb", ""), labels.get("resource", "")
            if resource in _OURS and verb in _READS | _WRITES:
                part = f"/{labels['subresource']}" if labels.get("subresource") else ""
                found[f"{verb} {resource}{part}"] += int(sample.value)
    return Asked(found)
