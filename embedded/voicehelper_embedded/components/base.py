"""What the components have in common."""

from __future__ import annotations

from voicehelper_embedded import files
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

    async def migrate(self, module: str, role: str) -> None:
        """Bring a service's schema up to date, once a release: a step before the service starts, never part of it."""
        mark, release = self.context.home.state / f"migrated-{self.name}.json", self.context.release.id
        if files.read_json(mark, {}).get("release") == release:
            return
        config = {"postgres_dsn": self.context.dsn(role)}
        launch = self.context.python(module, "migrate", config=config, name=f"{self.name}-migrate")
        await self.context.run_once(launch)
        files.write_json(mark, {"release": release})
