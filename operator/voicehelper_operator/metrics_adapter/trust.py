"""Who asks: the API server says it in headers, and its client certificate says that it is the API server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from starlette.datastructures import Headers
from voicehelper_core.errors import Unauthenticated, Unavailable
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.kinds import CONFIG_MAP

_NAMESPACE, _NAME = "kube-system", "extension-apiserver-authentication"


@dataclass(frozen=True, slots=True)
class Caller:
    """A user as the API server has authenticated it."""

    user: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates are believed (``authorities``, PEM; ``names``, all where there are none), and the headers."""

    authorities: str
    names: frozenset[str]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Trust:
        """Of the ConfigMap's data. Raises Unavailable where the aggregation layer is not set up."""
        authorities = data.get("requestheader-client-ca-file", "")
        if not authorities.strip():
            raise Unavailable(f"ConfigMap {_NAMESPACE}/{_NAME} has no requestheader-client-ca-file")

        def listed(key: str) -> tuple[str, ...]:
            return tuple(str(item) for item in json.loads(data.get(f"requestheader-{key}", "[]")))

        return cls(
            authorities,
            frozenset(listed("allowed-names")),
            listed("username-headers"),
            listed("group-headers"),
            listed("extra-headers-prefix"),
        )

    def caller(self, peer: str | None, headers: Headers) -> Caller:
        """``peer`` is the common name of a certificate that was verified, None without one. Raises Unauthenticated."""
        if peer is None or (self.names and peer not in self.names):
            raise Unauthenticated("only the API server's aggregation layer is answered here")
        user = next((value for name in self.user_headers if (value := headers.get(name))), "")
        if not user:
            raise Unauthenticated("the API server does not say who asks")
        groups = tuple(group for name in self.group_headers for group in headers.getlist(name))
        extra: dict[str, list[str]] = {}
        for prefix in self.extra_prefixes:
            for name, value in headers.items():
                if name.startswith(prefix.lower()):
                    extra.setdefault(unquote(name[len(prefix) :]), []).append(value)
        return Caller(user, groups, extra)


async def fetch(api: Api) -> Trust:
    """As the API server publishes it. Raises AppError."""
    found = await api.get(CONFIG_MAP, _NAME, _NAMESPACE)
    return Trust.of(found.get("data") or {})
