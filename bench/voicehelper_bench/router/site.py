"""Everything that the benchmark's parts run against, built up once: stores, control planes, Envoys, tokens."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voicehelper_router.bootstrap import render
from voicehelper_router.settings import BootstrapSettings

from voicehelper_bench.figures import Report
from voicehelper_bench.router import database, envoys, tokens
from voicehelper_bench.router.control import Control, control_plane, keys_server
from voicehelper_bench.router.processes import Running, cores, free_port


@dataclass(frozen=True)
class Front:
    """A router's Envoy."""

    process: Running
    port: int
    admin_port: int
    plane: Control


class Site:
    """``close`` ends everything that was started, in the opposite order."""

    def __init__(self, report: Report, most: int) -> None:
        self.report, self.most = report, most
        self.own, self.others = cores()
        self.servers = {"a": free_port(), "b": free_port()}
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vhb-")))
        self.folder.chmod(0o755)  # Postgres runs as another user
        self.tokens = self.folder / "tokens"

    def __enter__(self) -> Site:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.report.note(f"signs {self.most} tokens")
        issuer = tokens.Issuer()
        tokens.write(issuer, map(database.tenant_name, range(self.most)), self.tokens)
        home = self.folder / "postgres"
        home.mkdir()
        self._dsn = self._stack.enter_context(database.postgres(home))
        self.keys_url = self._stack.enter_context(keys_server(issuer.key_set()))
        self.upstream = self.envoy("upstream", envoys.upstream(self.servers), self.servers["a"], self.others)
        self.bare_port = free_port()
        self.bare = self.envoy("bare", envoys.bare(self.bare_port, self.servers["a"]), self.bare_port, self.own)

    def envoy(self, name: str, document: dict[str, Any], port: int, on: set[int]) -> Running:
        """An Envoy until the end."""
        return self._stack.enter_context(envoys.running(name, document, self.folder, on, port))

    def store(self, name: str, tenants: int, cells: int) -> str:
        """DSN of a store of its own with so many tenants."""
        self.report.note(f"fills a store with {tenants} tenants in {cells} cells")
        return asyncio.run(database.fill(self._dsn, name, tenants, cells, tuple(self.servers.values())))

    def control(self, dsn: str, name: str, **settings: Any) -> Control:
        """The control plane of a store until the end."""
        return self._stack.enter_context(self.passing_control(dsn, name, **settings))

    def passing_control(self, dsn: str, name: str, **settings: Any) -> AbstractContextManager[Control]:
        """The same as a context manager of its own."""
        return control_plane(dsn, self.keys_url, self.folder, self.others, name, **settings)

    def bootstrap(self, xds_port: int, jwks_port: int) -> tuple[dict[str, Any], int, int]:
        """The product's bootstrap of an Envoy, its port and that of its statistics."""
        port, admin = free_port(), free_port()
        settings = BootstrapSettings(
            listen_port=port, admin_port=admin, xds_port=xds_port, jwks_port=jwks_port,
            identity_port=self.servers["a"],
        )  # fmt: skip
        return render(settings), port, admin

    def front(
        self, name: str, plane: Control, *, only: Literal["", "routes", "filters"] = "", xds_port: int = 0
    ) -> Front:
        """The router as it is delivered, or only its routes (and its filters), until the end."""
        document, port, admin = self.bootstrap(xds_port or plane.xds_port, plane.http_port)
        if only:
            document = envoys.reduced(document, filters=only == "filters")
        self.report.note(f"starts {name}")
        return Front(self.envoy(name, document, port, self.own), port, admin, plane)

    def token(self, number: int) -> str:
        """The token of a tenant."""
        with self.tokens.open() as file:
            for line_number, line in enumerate(file):
                if line_number == number:
                    return line.split()[1]
        raise IndexError(number)
