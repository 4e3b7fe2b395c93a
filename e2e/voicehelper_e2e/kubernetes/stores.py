"""Stores on the machine, beside the node: Postgres, Kafka with Debezium, Milvus and S3, on the address of its link."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
from confluent_kafka import admin as kafka
from voicehelper_cli.failures import Failure
from voicehelper_control_plane.identity.keys import Signer
from voicehelper_embedded.context import DATABASE, kafka_admin
from voicehelper_embedded.throwaway import Platform, environment_of

from voicehelper_e2e import s3_server
from voicehelper_e2e.cluster.daemons import Daemons
from voicehelper_e2e.cluster.home import HOST_ADDRESS, POD_CIDR

HOME = Path("/var/lib/voicehelper-stores")
_UP_SECONDS = 420
_S3_PORT, _S3_SECONDS = 27443, 30
_COMPONENTS = "postgres,kafka,connect,milvus"


@dataclass(frozen=True)
class Stores:
    """Those of a home below ``folder``; the same embedded components as ``voicehelper up`` starts, without the rest."""

    folder: Path = HOME
    host: str = HOST_ADDRESS

    @cached_property
    def platform(self) -> Platform:
        """The embedded command, told to start stores only."""
        return Platform(
            self.folder / "embedded",
            environment_of(self.folder / "embedded")
            | {
                "VOICEHELPER_BIND": self.host,
                "VOICEHELPER_CLIENTS": POD_CIDR,
                "VOICEHELPER_COMPONENTS": _COMPONENTS,
            },
        )

    @property
    def _daemons(self) -> Daemons:
        return Daemons(self.folder / "run", self.folder / "logs")

    def up(self, say: Callable[[str], None]) -> None:
        """Start what does not run. Raises AssertionError or Failure."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.platform.cli("up", "--no-demo", timeout=_UP_SECONDS)
        self._s3_up(say)

    def down(self) -> None:
        """Stop everything and remove its data."""
        self._daemons.stop("s3")
        self.platform.cli("clean", check=False)
        shutil.rmtree(self.folder)

    def _s3_up(self, say: Callable[[str], None]) -> None:
        command = s3_server.command(self.folder / "s3", f"{self.host}:{_S3_PORT}", say)
        self._daemons.start("s3", command, s3_server.administrator(*self._s3_key))
        end = time.monotonic() + _S3_SECONDS
        while time.monotonic() < end:
            self._daemons.expect("s3")
            if s3_server.answers(self.s3_endpoint):
                return
            time.sleep(0.1)
        raise Failure(f"the S3 server does not answer:\n{self._daemons.tail('s3')}")

    @property
    def s3_endpoint(self) -> str:
        """URL of the S3 server."""
        return f"http://{self.host}:{_S3_PORT}"

    @cached_property
    def _s3_key(self) -> tuple[str, str]:
        file = self.folder / "s3-key.json"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(json.dumps(["administrator", secrets.token_urlsafe(24)]))
        access, secret = json.loads(file.read_text())
        return access, secret

    def traces(self, cell_id: str) -> list[str]:
        """What the stores still have of a cell: roles and schemas, topics and users, buckets."""
        found = asyncio.run(self._postgres_traces(cell_id))
        client = kafka.AdminClient(self._kafka_admin)
        found += [f"topic {name}" for name in client.list_topics(timeout=10).topics if name.startswith(f"{cell_id}.")]
        users = client.describe_user_scram_credentials().result(10)
        found += [f"user {name}" for name in users if name.startswith(cell_id)]
        buckets = self.folder / "s3" / "data"
        return found + [f"bucket {path.name}" for path in buckets.iterdir() if cell_id in path.name]

    @property
    def archives(self) -> list[Path]:
        """What the S3 server keeps in the bucket of archives."""
        return sorted(path for path in (self.folder / "s3" / "data" / "archives").rglob("*.tar.gz") if path.is_file())

    async def _postgres_traces(self, cell_id: str) -> list[str]:
        connection = await asyncpg.connect(self._role("postgres"))
        try:
            rows = await connection.fetch(
                "SELECT 'role ' || rolname FROM pg_roles WHERE starts_with(rolname, $1)"
                " UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE starts_with(nspname, $1)",
                cell_id,
            )
        finally:
            await connection.close()
        return [row[0] for row in rows]

    @property
    def _kafka_admin(self) -> dict[str, Any]:
        return kafka_admin(f"{self.host}:{self.platform.ports['kafka']}", self.platform.secrets)

    def _role(self, name: str) -> str:
        """Postgres as one of the platform's roles."""
        place = f"{self.host}:{self.platform.ports['postgres']}/{DATABASE}"
        return f"postgresql://{name}:{self.platform.secrets[f'{name}_password']}@{place}"

    def values(self) -> dict[str, Any]:
        """``stores`` of the chart's values."""
        ports, cidr = self.platform.ports, f"{self.host}/32"

        def peers(port: int) -> list[dict[str, Any]]:
            return [{"cidr": cidr, "ports": [port]}]

        return {
            "postgres": {"host": self.host, "port": ports["postgres"], "peers": peers(ports["postgres"])},
            "kafka": {"bootstrap": f"{self.host}:{ports['kafka']}", "peers": peers(ports["kafka"])},
            "milvus": {"uri": f"http://{self.host}:{ports['milvus']}", "peers": peers(ports["milvus"])},
            "objects": {"endpoint": self.s3_endpoint, "peers": peers(_S3_PORT)},
        }

    def secret(self) -> dict[str, str]:
        """Files of the chart's Secret."""
        known, access = self.platform.secrets, self._s3_key
        key = self.folder / "signing-key.json"
        Signer(key)
        parts: dict[str, dict[str, Any]] = {
            "operator.json": {
                "postgres_admin_dsn": self._role("postgres"),
                "kafka_admin_password": known["kafka_admin_password"],
                "provisioning_key": known["provisioning_key"],
                "objects_admin_access_key": access[0],
                "objects_admin_secret_key": access[1],
            },
            "identity.json": {
                "postgres_dsn": self._role("control_plane"),
                "provisioning_key": known["provisioning_key"],
                "platform_admin_email": known["platform_admin_email"],
                "platform_admin_password": known["platform_admin_password"],
            },
            "analytics.json": {
                "postgres_dsn": self._role("analytics"),
                "kafka_password": known["kafka_analytics_password"],
            },
        }
        return {**{name: json.dumps(part) for name, part in parts.items()}, "signing-key.json": key.read_text()}
