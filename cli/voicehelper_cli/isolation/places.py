"""Where the parts of a running platform listen, and where it keeps what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from voicehelper_cli.context import Home


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses are ``host:port`` or URLs; folders are None where they are not this machine's."""

    router_url: str
    identity_url: str
    identity_grpc: str
    analytics_grpc: str
    inference_grpc: str
    connect_url: str
    ports: dict[str, str]
    """Every port of the platform's own processes, by name; ``host:port``."""
    postgres: str
    postgres_database: str
    kafka: str
    milvus_uri: str
    objects_root: Path | None
    home: Path | None
    logs: Path | None
    supervisor_socket: Path | None

    @classmethod
    async def embedded(cls, home: Home) -> Places:
        """Of the platform on this machine. Raises NotRunning."""
        ports = home.ports()

        def at(name: str) -> str:
            return f"127.0.0.1:{ports[name]}"

        def url(name: str) -> str:
            return f"http://{at(name)}"

        dsn = urlsplit(await home.control_plane_dsn())
        return cls(
            router_url=home.router_url(),
            identity_url=url("api"),
            identity_grpc=at("identity-grpc"),
            analytics_grpc=at("analytics-grpc"),
            inference_grpc=at("inference-grpc"),
            connect_url=url("connect"),
            ports={name: at(name) for name in ports},
            postgres=f"{dsn.hostname}:{dsn.port}",
            postgres_database=dsn.path.lstrip("/"),
            kafka=at("kafka"),
            milvus_uri=url("milvus"),
            objects_root=home.folder / "data" / "objects",
            home=home.folder,
            logs=home.folder / "logs",
            supervisor_socket=home.folder / "run" / "supervisor.sock",
        )
