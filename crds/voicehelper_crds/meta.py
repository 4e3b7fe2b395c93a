"""What every resource has: metadata and conditions, in the shapes of the Kubernetes API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

# A DNS label without dots: it becomes a header value, a host name and a part of longer names.
# 40 characters leave room for every prefix and suffix under Kubernetes' 63.
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_MAX_LENGTH = 40
ResourceName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=NAME_MAX_LENGTH)]

# 12 characters, a letter first, made once and never again: the key of rows, schemas, topics, partitions.
ID_PATTERN = r"^[a-z][a-z0-9]{11}$"
ResourceId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


LABEL_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
LabelValue = Annotated[str, StringConstraints(pattern=LABEL_PATTERN, max_length=63)]


@dataclass(frozen=True, slots=True)
class Rule:
    """What fields must hold together: for pydantic as ``holds``, for the API server as a CEL expression."""

    path: str
    """The field to mend, below the model, as ``.placement.region``."""
    message: str
    cel: str
    holds: Callable[[Any], bool]


def immutable(reason: str) -> dict[str, Any]:
    """``json_schema_extra`` of a field that keeps its first value; ``reason`` says why, and what to do instead."""
    return {"immutable": reason}


class Model(BaseModel):
    """Camel case outside, snake case inside; unknown fields are refused with their path."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                raise PydanticCustomError("rule", "{message}", {"message": rule.message, "path": rule.path})
        return self


class OwnerReference(Model):
    kind: str
    """Kind of the owner."""
    name: str
    """Name of the owner."""
    uid: str
    """Uid of the owner; a recreated owner of the same name is another one."""


class ObjectMeta(Model):
    name: ResourceName
    """Unique within the kind."""
    uid: str | None = None
    """Set by the store; never reused."""
    generation: int | None = None
    """Rises by one when the spec changes."""
    resource_version: str | None = None
    """Changes with every write; compare for equality only."""
    creation_timestamp: datetime | None = None
    """Set by the store."""
    deletion_timestamp: datetime | None = None
    """Set when a deletion was asked for; the resource goes when its last finalizer does."""
    labels: dict[str, LabelValue] = Field(default_factory=dict)
    """For selection."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """For people and tools."""
    finalizers: list[str] = Field(default_factory=list)
    """Who has to clean up before the resource may go."""
    owner_references: list[OwnerReference] = Field(default_factory=list)
    """Whose deletion takes this resource along."""


class Condition(Model):
    type: str
    """Name of the condition, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=1024)]
    """One CamelCase word for programs."""
    message: Annotated[str, StringConstraints(max_length=32768)] = ""
    """A sentence for people: what is wrong and what to do."""
    observed_generation: int = 0
    """The generation of the spec that the condition was judged against."""
    last_transition_time: datetime
    """When ``status`` last changed."""


def holds(conditions: Iterable[Condition], kind: str, generation: int | None = None) -> bool:
    """Whether a condition is True (for the generation, where one is given)."""
    return any(
        condition.type == kind
        and condition.status == "True"
        and (generation is None or condition.observed_generation == generation)
        for condition in conditions
    )
