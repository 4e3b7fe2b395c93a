"""What each service is built from is what the call graph says: the operator opens networks and logins by it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from voicehelper_cell import expanded
from voicehelper_cell.database import Database
from voicehelper_cell.parts import PARTS, Part
from voicehelper_cell.resources import Resources
from voicehelper_cell.settings import CellSettings
from voicehelper_core.call_graph import CALLERS, CONTRACTS, SERVICES, Need, callees

CELL = "ctest0000001"
OF_SETTINGS = {
    "postgres_dsn": Need.POSTGRES,
    "jwks_url": Need.IDENTITY,
    "kafka_bootstrap": Need.KAFKA,
    "milvus_uri": Need.MILVUS,
    "objects_root": Need.OBJECTS,
    "inference_address": Need.INFERENCE,
    "analytics_address": Need.ANALYTICS,
    "model_base_url": Need.PROVIDER,
}
"""The setting with the address of each need."""


class Watched:
    """Settings that remember which of them were read."""

    def __init__(self, settings: CellSettings) -> None:
        self._settings, self.read = settings, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._settings, name)

    @property
    def needs(self) -> set[Need]:
        return {need for setting, need in OF_SETTINGS.items() if setting in self.read}


class Channel:
    """Remembers which contracts stubs are made for."""

    def __init__(self) -> None:
        self.contracts: set[str] = set()

    def _made(self, method: str, *_: Any, **__: Any) -> None:
        self.contracts.add(method.split("/")[1])

    unary_unary = unary_stream = stream_unary = stream_stream = _made

    async def close(self) -> None:
        """Nothing is open."""


class Built:
    """One service, built from watched things."""

    def __init__(self, name: str) -> None:
        self.name, self.schemas = name, set[str]()
        addresses = dict.fromkeys(callees(name), "127.0.0.1:1")
        settings = CellSettings(cell_id=CELL, grpc_port=0, model_base_url="http://127.0.0.1:1/v1", services=addresses)
        self.settings, self.channel = Watched(settings), Channel()
        self.resources = Resources(self.settings, self.channel, alone=False)  # type: ignore[arg-type]

    async def build(self, monkeypatch: pytest.MonkeyPatch) -> Part | None:
        init = Database.__init__

        def opened(database: Database, pool: Any, cell_id: str, schema: str) -> None:
            self.schemas.add(schema)
            init(database, pool, cell_id, schema)

        monkeypatch.setattr(Database, "__init__", opened)
        monkeypatch.setattr(expanded, "RemoteChannel", lambda *_, **__: self.channel)
        monkeypatch.setattr(expanded, "Resources", lambda *_, **__: self.resources)
        _, parts, _, _, self.servers = await expanded.assemble(self.settings, self.name)  # type: ignore[arg-type]
        self.resources.verifier  # noqa: B018
        part = parts.get(self.name)
        for job in part.tasks.values() if part else ():
            job().close()  # made, not run
        return part


@pytest.fixture(params=SERVICES)
async def built(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Built]:
    made = Built(request.param)
    part = await made.build(monkeypatch)
    yield made
    if part is not None:
        await part.close()
    for server in made.servers:
        await server.stop(None)
    await made.resources.close()


async def test_a_service_reads_the_addresses_of_what_it_needs_and_no_other(built: Built) -> None:
    needs = built.settings.needs
    if built.name == "model_router":
        needs -= {Need.PROVIDER}  # it asks only whether there is one
    if built.name == "indexing":
        needs |= {Need.KAFKA}  # read when its consumer connects, see below
    assert needs == SERVICES[built.name].needs


async def test_a_service_opens_its_own_schema_and_no_other(built: Built) -> None:
    assert built.schemas == {SERVICES[built.name].schema} - {None}


async def test_a_service_makes_stubs_of_those_whom_it_may_call_and_no_other(built: Built) -> None:
    reserved = {("knowledge", "indexing")}  # by SPEC, and called by nobody yet
    wanted = {callee for callee in callees(built.name) if (built.name, callee) not in reserved}
    assert {CONTRACTS[contract] for contract in built.channel.contracts} == wanted


def test_only_indexing_speaks_to_kafka() -> None:
    root = Path(expanded.__file__).parent
    users = {path.stem for path in root.rglob("*.py") if "kafka_bootstrap" in path.read_text()} - {"test_parts"}
    assert users == {"settings", "consumer", "dead_letters"}
    assert "EventConsumer" in (root / "parts.py").read_text().split("async def _indexing")[1].split("\nasync def ")[0]


def test_services_state_their_own_names() -> None:
    root = Path(expanded.__file__).parent
    for name in SERVICES:
        for path in (root / name).glob("*.py"):
            for stated in re.findall(r'outgoing_metadata\("(\w+)"\)', path.read_text()):
                assert stated == name, path


def test_every_service_has_a_part_and_a_rule() -> None:
    assert set(PARTS) == SERVICES.keys() - {"web"}
    assert {SERVICES[name].contract for name in PARTS} == set(CALLERS)


async def test_plain_services_stay_on_the_machine() -> None:
    settings = CellSettings(cell_id=CELL, grpc_host="0.0.0.0", grpc_port=0)
    with pytest.raises(SystemExit, match="set the tls files"):
        await expanded.serve(settings, "model_adapter")
    settings = CellSettings(cell_id=CELL, grpc_port=0, services={"rag": "rag:9090"})
    with pytest.raises(SystemExit, match="set the tls files"):
        await expanded.serve(settings, "orchestrator")
    with pytest.raises(SystemExit, match="address of rag is missing"):
        await expanded.serve(CellSettings(cell_id=CELL, grpc_port=0), "orchestrator")
