"""Events for people, and leases."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

from voicehelper_crds import API_VERSION, Resource

from voicehelper_core import errors
from voicehelper_core.kubernetes_api.client import Api, Object
from voicehelper_core.kubernetes_api.kinds import EVENT, LEASE
from voicehelper_core.log import get_logger
from voicehelper_core.ports import Event

log = get_logger(__name__)
_CLUSTER_EVENTS = "default"
"""Events about cluster-scoped objects live in this namespace; ``kubectl describe`` looks there."""
_MAX_NOTE = 1024
_LANES, _WAITING = 4, 250
"""So many are sent at once, and so many wait for each."""
_CLOSE_SECONDS = 3.0
_MICRO = "%Y-%m-%dT%H:%M:%S.%fZ"


class KubernetesEventRecorder:
    """``ports.EventRecorder`` by the API ``events.k8s.io/v1``; the API server forgets them after an hour, as a rule.

    As client-go does it, events are sent beside the work that they tell of, which does not wait for them; those of one
    resource in order. Where the API server falls behind, new ones are lost.
    """

    def __init__(self, api: Api, *, controller: str = "voicehelper.io/operator", instance: str = "operator") -> None:
        self._api, self._controller, self._instance = api, controller, instance
        self._lanes: list[asyncio.Queue[Object]] = []
        self._senders: list[asyncio.Task[None]] = []

    async def record(self, resource: Resource, reason: str, message: str, *, warning: bool = False) -> None:
        """Never fails: an event that could not be told must not undo what it tells of."""
        meta, kind, note = resource.metadata, "Warning" if warning else "Normal", message.replace("\0", "")[:_MAX_NOTE]
        key = hashlib.sha256(f"{meta.uid}/{kind}/{reason}/{note}".encode()).hexdigest()[:16]
        event: Object = {
            "apiVersion": EVENT.api_version,
            "kind": "Event",
            "metadata": {"name": f"{meta.name}.{key}", "namespace": _CLUSTER_EVENTS},
            "eventTime": datetime.now(UTC).strftime(_MICRO),
            "type": kind,
            "reason": reason,
            "action": reason,
            "note": note,
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": API_VERSION, "kind": resource.kind_name, "name": meta.name, "uid": meta.uid,
            },
        }  # fmt: skip
        if not self._lanes:
            self._lanes = [asyncio.Queue(_WAITING) for _ in range(_LANES)]
            self._senders = [asyncio.create_task(self._send(lane), name="events") for lane in self._lanes]
        with contextlib.suppress(asyncio.QueueFull):
            self._lanes[hash(meta.uid) % _LANES].put_nowait(event)

    async def sent(self) -> None:
        """Wait until all that was recorded is told, or could not be."""
        await asyncio.gather(*(lane.join() for lane in self._lanes))

    async def close(self) -> None:
        """Send what waits, for a moment, and end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.sent(), _CLOSE_SECONDS)
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        self._lanes, self._senders = [], []

    async def _send(self, lane: asyncio.Queue[Object]) -> None:
        while True:
            event = await lane.get()
            try:
                await self._api.create(event, manager="voicehelper")
            except errors.Conflict:
                await self._count(event["metadata"]["name"], event["eventTime"])
            except Exception as error:  # nothing that is wrong with one may keep the others
                log.warning("an event was not told", reason=event["reason"], error=str(error)[:300])
            finally:
                lane.task_done()

    async def _count(self, name: str, now: str) -> None:
        try:
            known = await self._api.get(EVENT, name, _CLUSTER_EVENTS)
            count = (known.get("series") or {}).get("count", 1) + 1
            change = {"series": {"count": count, "lastObservedTime": now}}
            await self._api.merge(EVENT, name, change, manager="voicehelper", namespace=_CLUSTER_EVENTS)
        except errors.AppError:
            return

    async def events(self, kind: str, name: str) -> list[Event]:
        """Oldest first."""
        await self.sent()
        items, _ = await self._api.list(EVENT, _CLUSTER_EVENTS, fields=f"regarding.kind={kind},regarding.name={name}")
        found = [
            Event(
                kind,
                name,
                "Warning" if item.get("type") == "Warning" else "Normal",
                item.get("reason", ""),
                item.get("note", ""),
                (item.get("series") or {}).get("count", 1),
                (item.get("series") or {}).get("lastObservedTime") or item.get("eventTime") or "",
            )
            for item in items
        ]
        return sorted(found, key=lambda event: event.last_seen)


class KubernetesLease:
    """``ports.Lease`` by ``coordination.k8s.io/v1``.

    As client-go does it, times on the lease are only told to people: a holder is taken for dead when its lease has
    not changed for its duration by the clock of the one who watches it, so that no two clocks have to agree.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._seen: dict[str, tuple[str, float]] = {}

    async def acquire(self, name: str, holder: str, duration: timedelta) -> bool:
        seconds, now = max(1, round(duration.total_seconds())), datetime.now(UTC).strftime(_MICRO)
        spec: Object = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now}
        manifest: Object = {
            "apiVersion": LEASE.api_version,
            "kind": "Lease",
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": spec,
        }
        try:
            known = await self._api.get(LEASE, name, self._namespace)
        except errors.NotFound:
            spec |= {"acquireTime": now, "leaseTransitions": 0}
            return await self._written(self._api.create(manifest, manager="voicehelper"))
        before, meta = known.get("spec", {}), known["metadata"]
        mine = before.get("holderIdentity") == holder
        if not mine and before.get("holderIdentity") and not self._expired(name, meta["resourceVersion"], before):
            return False
        spec |= {
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (not mine),
        }
        manifest["metadata"]["resourceVersion"] = meta["resourceVersion"]
        return await self._written(self._api.replace(manifest, manager="voicehelper"))

    async def release(self, name: str, holder: str) -> None:
        try:
            known = await self._api.get(LEASE, name, self._namespace)
            if known.get("spec", {}).get("holderIdentity") == holder:
                known["spec"]["holderIdentity"] = ""
                await self._api.replace(known, manager="voicehelper")
        except (errors.NotFound, errors.Conflict):
            return

    def _expired(self, name: str, version: str, spec: Object) -> bool:
        now = time.monotonic()
        seen, since = self._seen.get(name, ("", now))
        if seen != version:
            self._seen[name] = (version, now)
            return False
        return now - since > float(spec.get("leaseDurationSeconds", 15))

    @staticmethod
    async def _written(write: Awaitable[Object]) -> bool:
        try:
            await write
        except errors.Conflict:  # somebody else was quicker
            return False
        return True
