"""Kinds as people write them: ``tenant``, ``tenants``, ``tn``, ``Tenant`` or ``tenant/acme``."""

from __future__ import annotations

from typing import Any

from voicehelper_crds import KINDS
from voicehelper_crds.models import Resource

from voicehelper_cli.failures import Failure

AnyKind = type[Any]
"""One of the models of ``KINDS``."""


def kind_of(text: str) -> AnyKind:
    """The kind of a singular, plural or short name. Raises Failure that lists the kinds."""
    wanted = text.lower()
    for kind in KINDS.values():
        short = [form for name in kind.short_names for form in (name, f"{name}s")]
        if wanted in (kind.kind_name.lower(), kind.plural, *short):
            return kind
    known = ", ".join(kind.plural for kind in KINDS.values())
    raise Failure(f"there is no kind '{text}': the kinds are {known}")


def target(kind: str, name: str | None = None) -> tuple[AnyKind, str | None]:
    """Kind and name of ``tenant acme``, ``tenant/acme`` or ``tenants``. Raises Failure."""
    if "/" in kind:
        kind, _, joined = kind.partition("/")
        if name is not None or not joined:
            raise Failure("give the name once: KIND NAME or KIND/NAME")
        name = joined
    return kind_of(kind), name


def named(kind: str, name: str | None = None) -> tuple[AnyKind, str]:
    """Like ``target``, but with a name. Raises Failure."""
    model, found = target(kind, name)
    if not found:
        raise Failure(f"give a name: {model.kind_name.lower()}/NAME")
    return model, found


def title(resource: Resource) -> str:
    """``tenant/acme``."""
    return f"{resource.kind_name.lower()}/{resource.metadata.name}"
