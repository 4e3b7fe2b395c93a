"""What every state and verdict here is: a resource's part that does not change once it is made."""

from __future__ import annotations

from pydantic import ConfigDict
from voicehelper_crds.meta import Model


class Frozen(Model):
    """Camel case outside, snake case inside, never changed: a new one takes its place."""

    model_config = ConfigDict(frozen=True)
