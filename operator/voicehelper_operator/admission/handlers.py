"""The handlers that kopf calls, one a kind, and what kopf needs to know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import kopf
from voicehelper_core.kubernetes_api.client import Api
from voicehelper_core.log import get_logger
from voicehelper_crds import GROUP, KINDS, VERSION

from voicehelper_operator.admission import metrics
from voicehelper_operator.admission.request import Operation, Refusal, Request, Trust
from voicehelper_operator.admission.review import review
from voicehelper_operator.admission.world import Reader, look

log = get_logger(__name__)


class Reviewer:
    """Looks at what the watch has told; what that would refuse is looked at anew, since the watch is a moment behind.

    Who applies a plan and a tenant of it in one go would be refused otherwise.
    """

    def __init__(self, known: Reader, live: Reader, trust: Trust) -> None:
        self._known, self._live, self._trust = known, live, trust

    async def judge(self, request: Request) -> Refusal | None:
        """Why not. Raises what the readers do."""
        try:
            found = review(request, await look(self._known, request), self._trust)
            if found is not None and found.seen:
                found = review(request, await look(self._live, request), self._trust)
        except ValueError as error:  # stored by another release, say
            found = Refusal(f"{request.shown} cannot be read: {error}", 422)
        return found


def registry(reviewer: Reviewer, api: Api) -> kopf.OperatorRegistry:
    """Validating handlers and a login: with any other handler kopf would begin to watch."""
    found = kopf.OperatorRegistry()

    async def connection(**_: Any) -> kopf.ConnectionInfo:
        where = await api.endpoint()
        scheme, space, token = (where.authorization or "").partition(" ")
        return kopf.ConnectionInfo(
            server=where.server, ca_path=where.ca, certificate_path=where.certificate, private_key_path=where.key,
            scheme=scheme if space else None, token=token or None,
        )  # fmt: skip

    kopf.on.login(registry=found)(connection)
    for kind in KINDS.values():
        name = kind.kind_name
        kopf.on.validate(GROUP, VERSION, kind.plural, id=name.lower(), registry=found)(_handler(reviewer, name))
    return found


def _handler(reviewer: Reviewer, kind: str) -> Any:
    async def validate(
        operation: Operation, old: kopf.Body | None, new: kopf.Body | None, userinfo: kopf.UserInfo, **_: Any
    ) -> None:
        request = Request(
            operation,
            kind,
            dict(old) if old is not None else None,
            dict(new) if new is not None else None,
            str(userinfo.get("username", "")),
            frozenset(userinfo.get("groups") or ()),
        )
        began, result = time.perf_counter(), "failed"
        try:
            refusal = await reviewer.judge(request)
            result = "refused" if refusal else "allowed"
        finally:
            metrics.SECONDS.observe(time.perf_counter() - began)
            metrics.REQUESTS.labels(kind, operation, result).inc()
        if refusal:
            log.info("refused", kind=kind, name=request.name, operation=operation, by=request.user, why=refusal.message)
            raise kopf.AdmissionError(refusal.message, code=refusal.code)

    return validate


def settings(server: kopf.WebhookServerProtocol) -> kopf.OperatorSettings:
    """kopf is the admission server and nothing else: it writes nothing to the cluster, and watches nothing."""
    found = kopf.OperatorSettings()
    found.admission.server = server
    found.admission.managed = None  # kopf would empty the configuration when it ends, and so fail open
    found.scanning.disabled = True
    found.posting.enabled = False
    found.peering.standalone = True
    found.process.ultimate_exiting_timeout = None
    return found


class NoMemories:
    """In the place of kopf's, which keeps a record of each object that was changed until its watch tells of the end."""

    async def recall_memo(self, raw_body: kopf.RawBody, *, memobase: Any = None, ephemeral: bool = False) -> Any:
        """What handlers would share; ours have nothing to share."""
        return memobase

    def iter_all_daemon_memories(self) -> Iterator[Any]:
        """There are no daemons."""
        return iter(())

    @classmethod
    def for_kopf(cls) -> Any:
        """kopf's class is not public."""
        return cast(Any, cls())
