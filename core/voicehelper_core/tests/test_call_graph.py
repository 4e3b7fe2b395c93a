"""The call graph and the table of needs agree with themselves and with the names of other places."""

from __future__ import annotations

from voicehelper_core import names
from voicehelper_core.call_graph import CALLERS, CONTRACTS, PUBLIC, SERVICES, Need, callees, callers


def test_every_contract_has_callers_and_every_service_a_contract():
    assert set(CONTRACTS) == set(CALLERS)
    assert [name for name, service in SERVICES.items() if service.contract is None] == ["web"]
    assert set(CALLERS) >= PUBLIC
    assert all("web" in CALLERS[contract] for contract in PUBLIC), "the web BFF hands on what is public"


def test_both_directions_say_the_same():
    for service in SERVICES:
        assert all(service in callers(callee) for callee in callees(service))
        assert all(service in callees(caller) for caller in callers(service))
    assert callees("web") == {"conversation", "knowledge"}
    assert callers("web") == frozenset()
    assert callers("orchestrator") == {"conversation"}, "and the mobile BFF, which is not there yet"


def test_nobody_calls_itself_or_in_a_circle():
    def below(service, path=()):
        assert service not in path, path
        for callee in callees(service):
            below(callee, (*path, service))

    for service in SERVICES:
        below(service)


def test_schemas_are_those_that_there_are():
    assert {service.schema for service in SERVICES.values()} - {None} == set(names.SERVICES)
    assert all(name in SERVICES for name in names.SERVICES)
    assert all({Need.POSTGRES, Need.IDENTITY} <= service.needs for service in SERVICES.values())
