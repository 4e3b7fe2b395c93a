"""Who calls is proven by the certificate; who has none gets no connection; new files are used without a restart."""

from __future__ import annotations

import os
import time

import grpc
import grpc.aio
import pytest
from joserfc.jwk import KeySet, OKPKey
from voicehelper_core.auth import TokenVerifier
from voicehelper_core.certificates import Certificates, renewed
from voicehelper_core.gen.conversation.v1 import conversation_pb2_grpc as api
from voicehelper_core.grpc_caller import certified
from voicehelper_core.grpc_health import HealthServicer
from voicehelper_core.grpc_service import OPTIONS, ContextInterceptor
from voicehelper_core.rpc.remote import RemoteChannel, is_loopback
from voicehelper_core.tests.rpc_harness import CELL, CONTRACTS, Conversations, create, failure, write_certificates
from voicehelper_core.tests.test_rpc_interceptors import KEY, admit, said
from voicehelper_core.tls import TlsFiles, server_credentials

CONVERSATION = "conversation.v1.ConversationService"
SERVICES = ("conversation", "web", "rag", "retrieval")


class Served:
    """The conversation service of a cell on a port of its own, and callers of all kinds."""

    def __init__(self, folder):
        self.folder = folder
        self.made = renewed(None, CELL, SERVICES)
        self.files = write_certificates(folder, self.made, "conversation")
        verifier = TokenVerifier(keys=KeySet([OKPKey.import_key(KEY.as_dict(private=False))]))
        rules = {CONVERSATION: frozenset({"web"})}
        interceptor = ContextInterceptor(verifier, admit, rules, identify=certified(CELL))
        self.server = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
        api.add_ConversationServiceServicer_to_server(Conversations(), self.server)
        self.reason = None
        HealthServicer(self.ready, [CONVERSATION]).add_to(self.server)
        self.port = self.server.add_secure_port("127.0.0.1:0", server_credentials(self.files))

    async def ready(self):
        return self.reason

    def channel(self, service, made=None, *, name="conversation"):
        folder = self.folder / os.urandom(4).hex()
        folder.mkdir()
        files = write_certificates(folder, made or self.made, service)
        contracts = dict.fromkeys(CONTRACTS, name)
        return RemoteChannel({name: f"127.0.0.1:{self.port}"}, contracts, cell_id=CELL, tls=files)

    async def code(self, channel):
        async with channel:
            call = api.ConversationServiceStub(channel).CreateConversation(create("who"), metadata=said(), timeout=10)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"


@pytest.fixture
async def served(tmp_path):
    served = Served(tmp_path)
    await served.server.start()
    yield served
    await served.server.stop(None)


async def test_the_certificate_says_who_calls(served):
    assert await served.code(served.channel("web")) == "OK"
    for other in ("rag", "retrieval", "conversation"):
        assert await served.code(served.channel(other)) == "PERMISSION_DENIED", "said() states to be web"


async def test_without_a_certificate_of_the_cell_there_is_no_connection(served):
    other = renewed(None, "ctest0000002", SERVICES)
    mixed = Certificates((*served.made.authorities, *other.authorities), other.leaves)
    assert await served.code(served.channel("web", mixed)) == "UNAVAILABLE", "signed by another cell's authority"
    root = grpc.ssl_channel_credentials(served.made.files("web")["ca.crt"].encode())
    name = (("grpc.ssl_target_name_override", "conversation.ctest0000001.cell.voicehelper.internal"),)
    address = f"127.0.0.1:{served.port}"
    assert await served.code(grpc.aio.secure_channel(address, root, options=name)) == "UNAVAILABLE"
    assert await served.code(grpc.aio.insecure_channel(address)) == "UNAVAILABLE"


async def test_a_certificate_of_this_authority_for_another_cell_is_nobody(served):
    """As one would be where an authority had signed for two cells."""
    signed = served.made.authorities[0]
    other = renewed(Certificates((signed,), {}), "ctest0000002", ("web",))
    assert await served.code(served.channel("web", other)) == "PERMISSION_DENIED"


async def test_a_caller_talks_to_the_wanted_service_only(served):
    assert await served.code(served.channel("web", name="rag")) == "UNAVAILABLE", "the address leads to another service"


async def test_older_tls_is_refused(served):
    peer = {"ssl_tls_version": [b"TLSv1.2"], "peer_spiffe_id": [f"spiffe://voicehelper/cell/{CELL}/web".encode()]}

    class Call:
        def auth_context(self):
            return peer

    with pytest.raises(Exception, match=r"TLSv1\.3"):
        certified(CELL)({}, Call())
    peer["ssl_tls_version"] = [b"TLSv1.3"]
    assert certified(CELL)({}, Call()) == "web"
    peer["peer_spiffe_id"] *= 2
    assert certified(CELL)({}, Call()) == ""


async def test_health_needs_a_certificate_and_no_token(served):
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    files = served.made.files("retrieval")
    credentials = grpc.ssl_channel_credentials(*(files[name].encode() for name in ("ca.crt", "tls.key", "tls.crt")))
    name = (("grpc.ssl_target_name_override", "conversation.ctest0000001.cell.voicehelper.internal"),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{served.port}", credentials, options=name) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", CONVERSATION):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        error = await failure(health.Check(health_pb2.HealthCheckRequest(service="rag.v1.RagService")))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        served.reason = "stopping"
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_new_files_are_used_by_both_sides_without_a_restart(served):
    """All certificates are replaced, authority too, while a channel and a server live on."""
    folder = served.folder / "web"
    folder.mkdir()
    web = write_certificates(folder, served.made, "web")
    address = {"conversation": f"127.0.0.1:{served.port}"}
    async with RemoteChannel(address, CONTRACTS, cell_id=CELL, tls=web) as channel:
        stub = api.ConversationServiceStub(channel)
        await stub.CreateConversation(create("who"), metadata=said(), timeout=10)
        time.sleep(0.01)  # the clock of the file system is coarse
        fresh = renewed(None, CELL, SERVICES)
        write_certificates(served.folder, fresh, "conversation")
        write_certificates(folder, fresh, "web")
        assert await served.code(served.channel("web", fresh)) == "OK"
        await stub.CreateConversation(create("who"), metadata=said(), timeout=10)
    assert await served.code(served.channel("web", served.made)) == "UNAVAILABLE", "the old authority is out"


def test_files_are_set_together_and_what_cannot_be_read_does_not_replace_what_was(tmp_path):
    class Settings:
        tls_ca_file = tls_certificate_file = tls_key_file = None

    settings = Settings()
    assert TlsFiles.of(settings) is None
    settings.tls_ca_file = tmp_path / "ca.crt"
    with pytest.raises(ValueError, match="or none"):
        TlsFiles.of(settings)
    files = write_certificates(tmp_path, renewed(None, CELL, ("web",)), "web")
    before = files.current()
    (tmp_path / "web-tls.key").unlink()
    assert files.current() is before


def test_plain_tcp_stays_on_the_machine():
    for address in ("127.0.0.1", "127.0.0.1:9090", "localhost:1", "::1", "[::1]:9090", "unix:/tmp/s"):
        assert is_loopback(address), address
    for address in (
        "0.0.0.0",
        "10.0.0.1:9090",
        "rag:9090",
        "rag.cell-1.svc:9090",
        "[fd00::1]:1",
        "::",
        "localhost.evil:1",
    ):
        assert not is_loopback(address), address
    with pytest.raises(ValueError, match="set the tls files"):
        RemoteChannel({"rag": "rag:9090"}, CONTRACTS, cell_id=CELL, tls=None)
    with pytest.raises(ValueError, match="address of conversation is missing"):
        api.ConversationServiceStub(RemoteChannel({"rag": "127.0.0.1:1"}, CONTRACTS, cell_id=CELL, tls=None))
