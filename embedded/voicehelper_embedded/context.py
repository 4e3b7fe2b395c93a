"""What components are made from: folders, ports, secrets and the release."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicehelper_core.log import get_logger

from voicehelper_embedded import files, ports, probes
from voicehelper_embedded.home import Home
from voicehelper_embedded.release import Release
from voicehelper_embedded.supervisor.process import Launch

log = get_logger(__name__)
HOST = os.environ.get("VOICEHELPER_BIND", "127.0.0.1")
"""Address that every process listens on. Another one than loopback is for tests that use the stores from outside."""
CLIENTS = tuple(filter(None, os.environ.get("VOICEHELPER_CLIENTS", "").split(",")))
"""Networks besides that address whose clients Postgres lets in, with a password."""
DATABASE = "voicehelper"
TEST_VARIABLES = ("VOICEHELPER_BIND", "VOICEHELPER_CLIENTS", "VOICEHELPER_COMPONENTS")
FAULT_VARIABLES = ("VOICEHELPER_FAULT_POINTS", "VOICEHELPER_FAULT_FOLDER")


def kafka_admin(brokers: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Settings of a Kafka client that may do everything; ``secrets`` are the platform's."""
    return {
        "bootstrap.servers": brokers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "admin",
        "sasl.password": secrets["kafka_admin_password"],
        "log_level": 0,
    }


@dataclass(frozen=True, slots=True)
class Context:
    """Read by the supervisor at its start; ``up`` writes what it consists of."""

    home: Home
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    release: Release

    @classmethod
    def load(cls, home: Home) -> Context:
        """From the files that ``up`` wrote."""
        release = files.read_json(home.state / "release.json", {})
        return cls(
            home,
            ports.load(home),
            json.loads((home.secrets / "platform.json").read_text()),
            Release(release["id"], Path(release["path"]), Path(release["python"])),
        )

    def dsn(self, role: str, secret: str | None = None) -> str:
        """Postgres DSN of a platform role."""
        password = self.secrets[f"{secret or role}_password"]
        return f"postgresql://{role}:{password}@{HOST}:{self.ports['postgres']}/{DATABASE}"

    def url(self, port: str) -> str:
        """Base URL of a port by its name."""
        return f"http://{HOST}:{self.ports[port]}"

    def at(self, port: str) -> str:
        """host:port of a port by its name."""
        return f"{HOST}:{self.ports[port]}"

    def kafka_admin(self) -> dict[str, Any]:
        """Settings of a Kafka client that may do everything."""
        return kafka_admin(self.at("kafka"), self.secrets)

    def fault_environment(self) -> dict[str, str]:
        """Fault points that a test asked for, passed on to every process."""
        return {name: os.environ[name] for name in FAULT_VARIABLES if name in os.environ}

    def write(self, name: str, text: str) -> Path:
        """A file below ``run/`` that only the platform's user reads."""
        path = self.home.run / name
        files.write(path, text, owner=self.home.user)
        return path

    def python(self, module: str, *arguments: str, config: Mapping[str, Any], name: str) -> Launch:
        """A Python process of the release with its configuration file."""
        own = {
            key: {**config[key], **value} if isinstance(value, dict) and isinstance(config.get(key), dict) else value
            for key, value in self.overrides(name).items()
        }
        text = json.dumps({**config, **own}, indent=2, default=str)
        data = self.own_data(name.removesuffix("-migrate"))
        temporary = self.own(data / "tmp")
        path = self.write(f"{name}.json", text)
        return Launch(
            argv=[str(self.release.python), "-m", module, *arguments],
            environment={
                **self.release.environment(),
                "VOICEHELPER_CONFIG": str(path),
                "HOME": str(data),
                "TMPDIR": str(temporary),  # a killed process leaves nothing elsewhere
                **self.fault_environment(),
            },
            user=self.home.user,
            files={"config": text},
        )

    def overrides(self, name: str) -> dict[str, Any]:
        """Settings that people put into ``settings.json`` of the home, by process; ``cells`` for all cells."""
        overrides: dict[str, Any] = files.read_json(self.home.folder / "settings.json", {}).get(name, {})
        return overrides

    def own_data(self, name: str) -> Path:
        """The component's data folder, private to the platform's user."""
        return self.own(self.home.data(name))

    def own(self, folder: Path) -> Path:
        """A folder that only the platform's user enters."""
        import pwd

        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if self.home.user:
            account = pwd.getpwnam(self.home.user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        return folder

    async def http_ready(self, port: int | str) -> str | None:
        """None when ``/readyz`` there says so, or what it says is missing."""
        number = self.ports[port] if isinstance(port, str) else port
        status, body = await probes.get(HOST, number, "/readyz")
        if status == 200:
            return None
        try:
            return str(json.loads(body)["detail"])
        except (ValueError, KeyError, TypeError):
            return body[:200] or f"/readyz answers {status}"

    async def run_once(self, launch: Launch, *, input: bytes | None = None, timeout: float = 120) -> str:
        """Run a step to its end as its user; its output. Raises RuntimeError."""
        import pwd

        account = pwd.getpwnam(launch.user) if launch.user else None
        process = await asyncio.create_subprocess_exec(
            *launch.argv,
            env=dict(launch.environment),
            cwd=launch.folder,
            stdin=asyncio.subprocess.PIPE if input else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            umask=launch.umask,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
        try:
            async with asyncio.timeout(timeout):
                output, _ = await process.communicate(input)
        except TimeoutError:
            raise RuntimeError(f"{launch.argv[0]} was not done after {timeout:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            text = output.decode(errors="replace").strip()
            step = " ".join(Path(part).name for part in launch.argv[:4])
            log.error("a step failed", step=step, status=process.returncode, output=text[-4000:])
            raise RuntimeError(f"{step} ended with {process.returncode}: {text.rpartition(chr(10))[2][:500]}")
        return output.decode(errors="replace")
