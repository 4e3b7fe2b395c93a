"""A cell whose services run alone: who may call whom is proven, what dies comes back, and clients notice little."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from voicehelper_cell.tests.test_chat import CONVERSATIONS, DOCUMENTS, STREAM, ask, begin, events
from voicehelper_core import names
from voicehelper_core.call_graph import CALLERS, CONTRACTS, PUBLIC, SERVICES
from voicehelper_core.certificates import Certificates, renewed
from voicehelper_core.gen.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voicehelper_core.gen.knowledge.v1 import knowledge_pb2, knowledge_pb2_grpc
from voicehelper_embedded.tests.expanded_calls import METHODS, code, found_again, indexed, said, secure, upload
from voicehelper_embedded.tests.expanded_cell import ExpandedCell, expanded_cell
from voicehelper_embedded.throwaway import Platform

pytestmark = pytest.mark.integration
REFUSED = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE)


@pytest.fixture(scope="module")
def cell(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExpandedCell]:
    with expanded_cell(platform, tmp_path_factory.mktemp("expanded")) as cell:
        yield cell


@pytest.fixture
def acme(cell: ExpandedCell) -> Iterator[httpx.Client]:
    with cell.client("acme") as client:
        yield client


@pytest.mark.parametrize("target", sorted(CONTRACTS.values()))
async def test_a_certificate_opens_what_the_call_graph_says_and_nothing_else(cell: ExpandedCell, target: str) -> None:
    token, allowed = cell.token("acme"), CALLERS[str(SERVICES[target].contract)]
    for caller in SERVICES:
        stated = next(iter(allowed & SERVICES.keys()))  # a liar
        files = cell.certificates.files(caller)
        found = await code(secure(cell, target, files), target, said(token, stated))
        if caller in allowed:
            assert found not in REFUSED, (caller, target, found)
            assert await code(secure(cell, target, files), target, said(None)) is grpc.StatusCode.UNAUTHENTICATED
        else:
            assert found is grpc.StatusCode.PERMISSION_DENIED, (caller, target, found)


@pytest.mark.parametrize("target", sorted(CONTRACTS.values()))
async def test_without_a_certificate_of_the_cell_nothing_is_heard(cell: ExpandedCell, target: str) -> None:
    metadata, gone = said(cell.token("acme"), "web"), grpc.StatusCode.UNAVAILABLE
    assert await code(secure(cell, target, None), target, metadata) is gone
    assert await code(grpc.aio.insecure_channel(cell.processes[target].grpc), target, metadata) is gone
    neighbour = renewed(None, names.new_id(), SERVICES)
    for caller in CALLERS[str(SERVICES[target].contract)] & SERVICES.keys():
        assert await code(secure(cell, target, neighbour.files(caller)), target, metadata) is gone


async def test_a_token_of_a_tenant_that_is_not_placed_here_is_refused_by_every_service(cell: ExpandedCell) -> None:
    token = cell.token("globex")
    await cell.place("globex", placed=False)
    try:
        await asyncio.sleep(1)
        for target in CONTRACTS.values():
            caller = next(iter(CALLERS[str(SERVICES[target].contract)] & SERVICES.keys()))
            files = cell.certificates.files(caller)
            found = await code(secure(cell, target, files), target, said(token))
            assert found is grpc.StatusCode.PERMISSION_DENIED, target
        with cell.client("globex") as globex:
            assert globex.get(CONVERSATIONS).status_code == 403
    finally:
        await cell.place("globex", placed=True)
    with cell.client("globex") as globex:
        assert globex.get(CONVERSATIONS).status_code == 200, "the list is read again at once"


async def test_a_user_calls_the_public_services_over_grpc(cell: ExpandedCell) -> None:
    user, address = said(cell.token("acme")), cell.processes["web"].grpc
    async with grpc.aio.insecure_channel(address) as channel:
        talk = conversation_pb2_grpc.ConversationServiceStub(channel)
        made = await talk.CreateConversation(
            conversation_pb2.CreateConversationRequest(title="Over gRPC"), metadata=user, timeout=20
        )
        question = conversation_pb2.SendMessageRequest(conversation_id=made.id, content="What is a quillon?")
        kinds = [event.type async for event in talk.SendMessage(question, metadata=user, timeout=60)]
        assert (kinds[0], kinds[-1]) == ("message.started", "message.completed")
        call = talk.SendMessage(question, metadata=user)
        first = await call.read()
        call.cancel()  # the answer goes on without its listener
        follow = conversation_pb2.FollowMessageRequest(
            conversation_id=made.id, message_id=first.message.id, after=first.id
        )
        rest = [event async for event in talk.FollowMessage(follow, metadata=user, timeout=60)]
        assert [event.id for event in rest] == list(range(2, len(rest) + 2))
        assert rest[-1].type == "message.completed"
        documents = knowledge_pb2_grpc.KnowledgeServiceStub(channel)
        await documents.ListDocuments(knowledge_pb2.ListDocumentsRequest(), metadata=user, timeout=20)
        for metadata, wanted in (
            (said(None), grpc.StatusCode.UNAUTHENTICATED),
            (said("x.y.z", "web"), grpc.StatusCode.UNAUTHENTICATED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await documents.ListDocuments(knowledge_pb2.ListDocumentsRequest(), metadata=metadata, timeout=20)
            assert caught.value.code() is wanted
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await talk.GetConversation(
                conversation_pb2.GetConversationRequest(id=str(uuid.uuid4())), metadata=user, timeout=20
            )
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await talk.CreateConversation(
                conversation_pb2.CreateConversationRequest(title="Late"), metadata=user, timeout=0.0001
            )
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        for contract in CONTRACTS.keys() - PUBLIC:
            call = channel.unary_stream(f"/{contract}/{METHODS[contract]}")(b"", metadata=user, timeout=20)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, contract


async def test_probes_need_no_certificate_and_find_health_only(cell: ExpandedCell) -> None:
    for name, process in cell.processes.items():
        if process.running is None:
            continue
        async with grpc.aio.insecure_channel(f"127.0.0.1:{process.config['probe_port']}") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
            if name != "web":
                contract = str(SERVICES[name].contract)
                call = channel.unary_stream(f"/{contract}/{METHODS[contract]}")(b"", timeout=10)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call.read()
                assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    async with secure(cell, "rag", cell.certificates.files("retrieval")) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="rag.v1.RagService"), timeout=10
        )
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("service", ["rag", "retrieval", "model_adapter", "model_router", "orchestrator", "knowledge"])
def test_a_service_that_is_killed_is_missed_and_comes_back(
    cell: ExpandedCell, acme: httpx.Client, service: str
) -> None:
    process, path = cell.processes[service], begin(acme)
    process.end(signal.SIGKILL)

    def use() -> httpx.Response:
        return acme.get(DOCUMENTS) if service == "knowledge" else acme.post(path, json={"content": "What is it?"})

    answer = use()
    assert answer.status_code == 503, answer.text
    assert "127.0.0.1" not in answer.text
    process.start()
    process.wait()
    until = time.monotonic() + 15
    while time.monotonic() < until:
        answer = use()
        if answer.status_code == 200:
            return
        assert answer.status_code == 503, answer.text
        time.sleep(0.2)
    raise AssertionError(f"without {service} for good: {answer.text}")


def test_an_answer_whose_process_is_killed_ends_and_is_answered_anew(cell: ExpandedCell, acme: httpx.Client) -> None:
    process, path, key = cell.processes["conversation"], begin(acme), {"Idempotency-Key": uuid.uuid4().hex}
    process.end()
    process.start(VOICEHELPER_FAULT_POINTS="conversation.answer.effect=kill")
    process.wait()
    found_again(acme)
    question = {"content": "What is a quillon?"}
    seen: list[dict[str, Any]] = []
    with acme.stream("POST", path, json=question, headers={**STREAM, **key}) as response:
        for event in events(response):
            seen.append(event)
    assert seen[0]["event"] == "message.started"
    assert seen[-1]["event"] == "error", "the stream breaks, without an id"
    assert "id" not in seen[-1]
    assert process.running is not None
    assert process.running.wait(30) == -signal.SIGKILL
    process.start()
    process.wait()
    found_again(acme)
    answer = seen[0]["data"]["id"]
    with acme.stream("GET", f"{path}/{answer}/events", headers={"Last-Event-ID": "1"}, timeout=60) as response:
        rest = list(events(response))
    assert rest[-1]["event"] == "error"
    assert rest[-1]["data"]["code"] == "interrupted"
    assert ask(acme, path, question["content"], **key)["id"] == answer
    assert [item["status"] for item in acme.get(path).json()["items"]] == ["completed", "completed"]


def test_of_two_processes_of_indexing_one_may_die(cell: ExpandedCell, acme: httpx.Client) -> None:
    first, second = cell.processes["indexing"], cell.processes["indexing-2"]
    second.start()
    second.wait()
    try:
        for document in [upload(acme, f"A quillon of kind {number} is oiled.") for number in range(8)]:
            indexed(acme, document)
        first.end(signal.SIGKILL)
        for document in [upload(acme, f"A quillon of sort {number} is oiled.") for number in range(8)]:
            indexed(acme, document)
    finally:
        first.start()
        first.wait()
        assert second.end() == 0
        second.running = None
    found = acme.post("/api/v1/knowledge/search", json={"query": "quillon sort", "top_k": 50}).json()["hits"]
    chunks = [hit["chunk_id"] for hit in found]
    assert len(chunks) == len(set(chunks)) >= 16


def test_two_processes_of_conversation_answer_as_one(cell: ExpandedCell, acme: httpx.Client) -> None:
    """Calls go to both in turn: who follows an answer is often not where it is made; then one of them is killed."""
    web, second = cell.processes["web"], cell.processes["conversation-2"]
    second.start()
    second.wait()
    alone = web.config["services"]["conversation"]
    web.end()
    web.config["services"]["conversation"] = f"ipv4:{alone},{second.grpc}"
    web.start()
    web.wait()
    try:
        for _ in range(3):
            path = begin(acme)
            with acme.stream("POST", path, json={"content": "What is a quillon?"}, headers=STREAM) as response:
                seen = list(events(response))
            assert seen[-1]["event"] == "message.completed"
            for cut in range(len(seen)):
                headers = {"Last-Event-ID": str(cut)}
                with acme.stream("GET", f"{path}/{seen[0]['data']['id']}/events", headers=headers) as response:
                    assert list(events(response)) == seen[cut:]
        second.end(signal.SIGKILL)
        statuses = [acme.post(begin(acme), json={"content": "What is it?"}).status_code for _ in range(10)]
        assert statuses[2:] == [200] * 8, "the other one takes all"
    finally:
        web.end()
        web.config["services"]["conversation"] = alone
        web.start()
        web.wait()


def test_an_answer_ends_before_its_process_does(cell: ExpandedCell, acme: httpx.Client) -> None:
    """As when replicas are replaced: no answer of theirs is lost."""
    process = cell.processes["conversation"]
    process.end()
    process.start(VOICEHELPER_FAULT_POINTS="conversation.answer.before=sleep:3000")
    process.wait()
    found_again(acme)
    path = begin(acme)
    with acme.stream("POST", path, json={"content": "What is a quillon?"}, headers=STREAM) as response:
        stream = events(response)
        assert next(stream)["event"] == "message.started"
        assert process.running is not None
        process.running.terminate()
        time.sleep(0.3)
        with grpc.insecure_channel(f"127.0.0.1:{process.config['probe_port']}") as probe:
            health = health_pb2_grpc.HealthStub(probe).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
        rest = list(stream)
    assert rest[-1]["event"] == "message.completed"
    assert process.running.wait(30) == 0
    process.start()
    process.wait()
    found_again(acme)


def test_certificates_are_replaced_under_way(cell: ExpandedCell, acme: httpx.Client) -> None:
    """Services get their new files one after the other; calls go on all the time."""
    later = renewed(cell.certificates, cell.cell_id, SERVICES)
    assert later == cell.certificates, "nothing is due"
    fresh = renewed(Certificates(later.authorities, {}), cell.cell_id, SERVICES)
    path = begin(acme)
    for service in SERVICES:
        config = cell.processes[service].config
        for setting, text in zip(("tls_certificate_file", "tls_key_file"), ("tls.crt", "tls.key"), strict=True):
            Path(config[setting]).write_text(fresh.files(service)[text])
        assert acme.post(path, json={"content": "What is a quillon?"}).status_code == 200
    assert "certificates were read again" in cell.processes["web"].log.read_text()


def test_every_service_ends_when_it_is_told(cell: ExpandedCell) -> None:
    """The last test of the module: services go one after the other, callers first."""
    for service in SERVICES:
        process = cell.processes[service]
        started = time.monotonic()
        assert process.end() == 0, process.log.read_text()[-2000:]
        assert time.monotonic() - started < 25
