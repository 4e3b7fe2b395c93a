"""What service accounts may ask of the API, beside what they did ask, by its audit log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_FORBIDDEN = 403
_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One verb of one resource (``pods/log`` for a subresource); an empty name or namespace is any."""

    account: str
    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        named = f" '{self.name}'" if self.name else ""
        return f"{self.account}: {self.verb} {kind}{named} in {self.namespace or 'all namespaces'}"


@dataclass(frozen=True, slots=True)
class Request:
    """One that was answered. ``account`` is ``namespace:name``; ``resource`` is empty for a path such as /healthz."""

    account: str
    verb: str
    group: str
    resource: str
    name: str
    namespace: str
    code: int
    at: datetime
    message: str

    @property
    def verbs(self) -> set[str]:
        """What had to be allowed: an apply of what is not there yet is a creation too."""
        return {self.verb, "create"} if self.verb == "patch" and self.code == 201 else {self.verb}

    @property
    def refused(self) -> bool:
        """By rights or by admission."""
        return self.code == _FORBIDDEN

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.account}: {self.verb} {self.resource} '{self.name}': {self.message}"


class Incomplete(Exception):
    """The log does not have everything that was asked."""


def grants(objects: Iterable[Mapping[str, Any]]) -> set[Grant]:
    """What Roles and ClusterRoles give to service accounts by their bindings, of all objects of ours.

    Bindings to roles that are not among the objects are left out. Raises ValueError for a rule that says ``*``.
    """
    known = list(objects)
    roles = {_key(item["kind"], item["metadata"]): item for item in known if item["kind"] in ("Role", "ClusterRole")}
    found: set[Grant] = set()
    for binding in known:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        place = str(binding["metadata"].get("namespace", ""))
        reference = binding["roleRef"]
        role = roles.get(_key(reference["kind"], {"name": reference["name"], "namespace": place}))
        for subject in binding.get("subjects") or ():
            if role is not None and subject["kind"] == "ServiceAccount":
                account = f"{subject['namespace']}:{subject['name']}"
                found |= {grant for rule in role["rules"] for grant in _of_rule(account, rule, place)}
    return found


def _key(kind: str, metadata: Mapping[str, str]) -> tuple[str, str, str]:
    return kind, metadata.get("namespace", "") if kind == "Role" else "", metadata["name"]


def _of_rule(account: str, rule: Mapping[str, Any], namespace: str) -> Iterator[Grant]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for name in rule.get("resourceNames") or ("",):
                for verb in rule["verbs"]:
                    if "*" in (group, resource, verb):
                        raise ValueError(f"{account} is given '*': say what it needs")
                    yield Grant(account, verb, group, resource, name, namespace)


def read(log: Path, since: datetime) -> list[Request]:
    """What service accounts have asked since then. Raises Incomplete where the log does not reach so far back."""
    if not log.exists():
        raise Incomplete(f"there is no {log}")
    with log.open() as lines:
        first = next(lines, "")
        begins = _time(_event(first, 1)) if first.endswith("\n") else None
        if begins is None or begins > since:
            rotated = sorted(path.name for path in log.parent.glob(f"{log.stem}-*{log.suffix}"))
            what = f"it was rotated ({', '.join(rotated)})" if rotated else "it was truncated"
            raise Incomplete(f"{log} begins at {begins}, and what was asked since {since} is wanted: {what}")
        found = []
        for number, line in enumerate(lines, 2):
            if line.endswith("\n"):  # the last one is being written
                request = _request(_event(line, number))
                if request is not None and request.at >= since:
                    found.append(request)
    return found


def _event(line: str, number: int) -> Mapping[str, Any]:
    try:
        event: Mapping[str, Any] = json.loads(line)
    except ValueError:
        raise Incomplete(f"line {number} of the audit log is broken: {line[:100]!r}") from None
    return event


def _time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["requestReceivedTimestamp"])


def _request(event: Mapping[str, Any]) -> Request | None:
    """None of who is no service account."""
    user: str = event["user"]["username"]
    if not user.startswith(_PREFIX):
        return None
    about, status = event.get("objectRef") or {}, event.get("responseStatus") or {}
    resource = "/".join(filter(None, (about.get("resource", ""), about.get("subresource", ""))))
    return Request(
        user.removeprefix(_PREFIX), event["verb"], about.get("apiGroup", ""), resource, about.get("name", ""),
        about.get("namespace", ""), status.get("code", 0), _time(event), status.get("message", ""),
    )  # fmt: skip


def unused(granted: Iterable[Grant], asked: Iterable[Request]) -> set[Grant]:
    """What no request needed that was let through."""
    left = set(granted)
    for request in asked:
        if not request.refused:
            left -= {grant for grant in left if _needs(request, grant)}
    return left


def _needs(request: Request, grant: Grant) -> bool:
    return (
        (grant.account, grant.group, grant.resource) == (request.account, request.group, request.resource)
        and grant.verb in request.verbs
        and grant.name in ("", request.name)
        and grant.namespace in ("", request.namespace)
    )
