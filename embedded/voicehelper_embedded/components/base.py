"""What the components have in common."""

from __future__ import annotations

from voicehelper_embedded.context import Context


class BaseComponent:
    """A component with nothing to set up."""

    name = ""
    requires: tuple[str, ...] = ()
    start_seconds = 60.0
    port_name = ""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def port(self) -> int:
        """The port that ``status`` shows."""
        return self.context.ports[self.port_name]

    async def probe(self) -> str | None:
        """None when ``/readyz`` on its port says so."""
        return await self.context.http_ready(self.port_name)

    async def setup(self) -> None:
        """Nothing."""
