"""Every rule as a function of the question and of what was seen."""

from __future__ import annotations

import pytest
from voicehelper_crds import API_VERSION, KINDS

from voicehelper_operator.admission.request import GARBAGE_COLLECTORS, Request, Trust
from voicehelper_operator.admission.review import review
from voicehelper_operator.admission.world import World, kinds

OPERATOR, MASTERS = "system:serviceaccount:voicehelper-prod:operator", "system:masters"
IDENTITY = "system:serviceaccount:voicehelper-prod:identity"
TRUST = Trust(OPERATOR, IDENTITY, frozenset({MASTERS, "backup"}))
DELETING = "2026-01-01T00:00:00Z"


def body(kind, name, spec=None, *, status=None, **meta):
    found = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "uid": f"uid-{name}", **meta}}
    return found | {"spec": spec or {}} | ({"status": status} if status else {})


def tenant(name="acme", *, home=None, meta=None, **spec):
    status = {"cell": home, "cellId": "c00000000001", "tenantId": "t00000000001"} if home else None
    given = {"planRef": "team", "admin": {"email": "a@b.example"}, **spec}
    return body("Tenant", name, given, status=status, **meta or {})


def cell(name, *, meta=None, status=None, **spec):
    given = {"tenancy": "shared", "classRef": "standard", "region": "local", "capacity": 2, **spec}
    return body("Cell", name, given, status={"cellId": "c00000000001", **(status or {})}, **meta or {})


def model(manifest):
    return KINDS[manifest["kind"]].model_validate(manifest)


def world(*bodies):
    found = [model(item) for item in bodies]

    def of(kind):
        return [item for item in found if item.kind_name == kind]

    return World(
        {item.metadata.name: item for item in of("TenantPlan")},
        {item.metadata.name: item for item in of("CellClass")},
        of("Cell"),
        of("Tenant"),
        of("CellRelease"),
        {item.metadata.name: item for item in of("CellReleaseStrategy")},
    )


def asked(old, new, *, user="paula", groups=(), seen=None):
    operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
    kind = (new or old)["kind"]
    return review(Request(operation, kind, old, new, user, frozenset(groups)), seen or world(), TRUST)


TEAM, ENTERPRISE = body("TenantPlan", "team"), body("TenantPlan", "enterprise", {"isolation": "dedicated"})
STANDARD = body("CellClass", "standard")


def said(refusal):
    assert refusal is not None
    return refusal.message


class TestTenants:
    def test_the_plan_has_to_be_there(self):
        found = asked(None, tenant(), seen=world(ENTERPRISE))
        assert found.code == 422
        assert said(found) == (
            "spec.planRef: there is no TenantPlan 'team': apply it first, or name another one (enterprise)"
        )
        assert asked(None, tenant(), seen=world(TEAM)) is None

    def test_of_many_plans_five_are_named(self):
        plans = [body("TenantPlan", f"p{number}") for number in range(9)]
        assert said(asked(None, tenant(), seen=world(*plans))).endswith("(p0, p1, p2, p3, p4, ...)")

    def test_what_has_lost_its_plan_can_still_be_changed_but_not_to_another_that_is_not_there(self):
        assert asked(tenant(), tenant(suspended=True)) is None
        assert "other" in said(asked(tenant(), tenant(planRef="other")))

    @pytest.mark.parametrize(
        ("spec", "cells", "message"),
        [
            ({}, [], "there is no shared cell 'c1'"),
            ({}, [cell("c1", tenancy="dedicated", capacity=1)], "there is no shared cell 'c1'"),
            ({"isolation": "dedicated"}, [], "there is no cell 'c1'"),
            ({"isolation": "dedicated"}, [cell("c1")], "'c1' is not a free dedicated cell"),
            ({"region": "eu"}, [cell("c1")], "'c1' is in region 'local', not 'eu'"),
            ({}, [cell("c1", meta={"deletionTimestamp": DELETING})], "'c1' is being deleted"),
            ({}, [cell("c1", capacity=1), tenant("other", home="c1")], "'c1' is full (1 of 1 tenants)"),
        ],
    )
    def test_a_pinned_cell_has_to_be_able_to_take_the_tenant(self, spec, cells, message):
        seen = world(TEAM, *cells)
        found = asked(None, tenant(placement={"cell": "c1", **spec}), seen=seen)
        assert found.code == 422
        assert said(found).startswith("spec.placement.cell: ")
        assert message in said(found)
        assert said(found).endswith("name another cell, or leave it to the operator")

    def test_a_pinned_cell_with_room_is_taken_though_it_is_cordoned(self):
        seen = world(TEAM, cell("c1", cordoned=True))
        assert asked(None, tenant(placement={"cell": "c1"}), seen=seen) is None

    def test_a_pin_that_was_there_is_not_judged_again(self):
        pinned = {"cell": "gone"}
        before, after = tenant(placement=pinned), tenant(placement=pinned, suspended=True)
        assert asked(before, after, seen=world(TEAM)) is None
        assert asked(tenant(), after, seen=world(TEAM)) is not None

    @pytest.mark.parametrize(
        ("spec", "field", "advice"),
        [
            (
                {"placement": {"isolation": "dedicated"}},
                "spec.placement.isolation",
                "set spec.placement.isolation to shared",
            ),
            ({"planRef": "enterprise"}, "spec.planRef", "set spec.placement.isolation to shared"),
            ({"placement": {"cell": "c2"}}, "spec.placement.cell", "leave it out, or name 'c1'"),
            ({"residency": "eu"}, "spec.residency", "leave it as it was"),
            ({"placement": {"region": "eu"}}, "spec.placement.region", "leave it as it was"),
        ],
    )
    def test_a_placed_tenant_is_not_asked_to_move(self, spec, field, advice):
        seen = world(TEAM, ENTERPRISE, cell("c1"), cell("c2"))
        found = asked(tenant(home="c1"), tenant(home="c1", **spec), seen=seen)
        assert found.code == 422
        assert said(found).startswith(f"{field}: tenant 'acme' lives in cell 'c1'")
        assert said(found).endswith(f"nothing is moved by itself: {advice}")

    @pytest.mark.parametrize(
        "spec",
        [
            {"planRef": "enterprise", "placement": {"isolation": "shared"}},
            {"placement": {"cell": "c1"}},
            {"residency": "local"},
            {"placement": {"group": "g1"}},
            {"suspended": True},
        ],
    )
    def test_a_placed_tenant_may_say_what_holds_already(self, spec):
        seen = world(TEAM, ENTERPRISE, cell("c1"))
        assert asked(tenant(home="c1"), tenant(home="c1", **spec), seen=seen) is None

    def test_a_contradiction_that_was_there_before_blocks_nothing(self):
        wish = {"placement": {"isolation": "dedicated", "region": "eu", "cell": "c9"}}
        seen = world(TEAM, cell("c1"))
        assert asked(tenant(home="c1", **wish), tenant(home="c1", suspended=True, **wish), seen=seen) is None

    def test_protection(self):
        found = asked(tenant(deletion={"protect": True}), None)
        assert (found.code, found.message) == (
            403,
            "Tenant 'acme' is protected: set spec.deletion.protect to false first",
        )
        assert asked(tenant(), None) is None

    def test_protection_of_the_tenants_own_cell(self):
        owner = {"apiVersion": API_VERSION, "kind": "Tenant", "name": "acme", "uid": "uid-acme"}
        mine = cell("acme", deletion={"protect": True}, meta={"ownerReferences": [_known(owner)]})
        assert "Cell 'acme', which goes with Tenant 'acme', is protected" in said(
            asked(tenant(), None, seen=world(mine))
        )
        assert asked(tenant("other"), None, seen=world(mine)) is None


def _known(owner):
    return {key: owner[key] for key in ("kind", "name", "uid")}


class TestCells:
    def test_the_class_has_to_be_there(self):
        found = asked(None, cell("c1", classRef="large"), seen=world(STANDARD))
        assert (found.code, found.message) == (
            422,
            "spec.classRef: there is no CellClass 'large': apply it first, or name another one (standard)",
        )
        assert asked(None, cell("c1"), seen=world(STANDARD)) is None

    def test_a_cell_whose_class_has_gone_can_be_changed(self):
        assert asked(cell("c1"), cell("c1", cordoned=True)) is None
        assert asked(cell("c1"), cell("c1", classRef="large")) is not None

    def test_protection_is_all_that_refuses_a_deletion(self):
        assert asked(cell("c1", deletion={"protect": True}), None).code == 403
        assert asked(cell("c1"), None, seen=world(tenant(home="c1"))) is None


class TestPlansAndClasses:
    def test_a_plan_in_use_stays_and_names_five_users(self):
        users = [tenant(f"t{number}") for number in range(7)]
        found = asked(TEAM, None, seen=world(*users))
        assert found.code == 409
        assert said(found) == (
            "TenantPlan 'team' is in use by tenant/t0, tenant/t1, tenant/t2, tenant/t3, tenant/t4 and 2 more:"
            " name another plan in their spec.planRef, or delete them first"
        )

    def test_a_class_in_use_stays(self):
        plan = body("TenantPlan", "team", {"cellClass": "standard"})
        found = asked(STANDARD, None, seen=world(cell("c1"), plan))
        assert "in use by cell/c1, tenantplan/team:" in said(found)

    def test_what_nobody_or_only_those_who_leave_refer_to_goes(self):
        leaving = tenant(meta={"deletionTimestamp": DELETING})
        assert asked(TEAM, None, seen=world(leaving, tenant("other", planRef="enterprise"))) is None
        assert asked(STANDARD, None, seen=world(cell("c1", classRef="large"))) is None

    @pytest.mark.parametrize("kind", ["TenantPlan", "CellClass"])
    def test_they_may_be_made_and_changed(self, kind):
        assert asked(None, body(kind, "a")) is None
        assert (
            asked(body(kind, "a"), body(kind, "a", {"displayName": "A"} if kind == "TenantPlan" else {"cpu": "2"}))
            is None
        )


OWNER = {"apiVersion": API_VERSION, "kind": "Tenant", "name": "victim", "uid": "uid-victim"}
MADE = {"Tenant": tenant, "Cell": lambda meta=None: cell("c1", meta=meta)}
FINALIZER = {"Tenant": "voicehelper.io/tenant", "Cell": "voicehelper.io/cell"}


@pytest.mark.parametrize("kind", ["Tenant", "Cell"])
class TestMetadata:
    def changed(self, kind, before, after, **who):
        make = MADE[kind]
        return asked(make(meta=before), make(meta=after), **who)

    def test_owners_are_set_by_the_operator_only(self, kind):
        owned = {"ownerReferences": [OWNER]}
        seen = world(TEAM, STANDARD)
        for groups in ((), (MASTERS,)):
            made = asked(None, MADE[kind](meta=owned), groups=groups, seen=seen)
            assert made.code == 403
            assert "only the operator sets metadata.ownerReferences" in said(made)
            assert self.changed(kind, {}, owned, groups=groups) is not None
            assert self.changed(kind, owned, {}, groups=groups) is not None
        assert self.changed(kind, {}, owned, user=OPERATOR) is None
        for collector in GARBAGE_COLLECTORS:
            assert self.changed(kind, owned, {}, user=collector) is None

    def test_whom_a_deletion_waits_for_is_no_matter(self, kind):
        waiting = {"ownerReferences": [{**OWNER, "blockOwnerDeletion": True}]}
        assert self.changed(kind, {"ownerReferences": [OWNER]}, waiting) is None

    @pytest.mark.parametrize("part", ["labels", "annotations"])
    @pytest.mark.parametrize("key", ["voicehelper.io/cell", "cells.voicehelper.io/x"])
    def test_labels_and_annotations_of_the_operator(self, kind, part, key):
        mine, other = {part: {key: "a"}}, {part: {key: "b", "team": "x"}}
        for before, after in (({}, mine), (mine, other), (mine, {})):
            assert said(self.changed(kind, before, after)).startswith(f"{kind} '")
            assert key in said(self.changed(kind, before, after))
            for trusted in ({"user": OPERATOR}, {"groups": [MASTERS]}, {"user": "backup"}):
                assert self.changed(kind, before, after, **trusted) is None
        assert asked(None, MADE[kind](meta=mine), seen=world(TEAM, STANDARD)) is not None

    @pytest.mark.parametrize("key", ["team", "example.com/voicehelper.io", "notvoicehelper.io/x", "voicehelper.io"])
    def test_other_labels_are_free(self, kind, key):
        assert self.changed(kind, {}, {"labels": {key: "a"}}) is None

    def test_the_mark_of_the_isolation_proof_is_free(self, kind):
        assert self.changed(kind, {}, {"labels": {"voicehelper.io/isolation-proof": "a1"}}) is None

    @pytest.mark.parametrize("name", ["rotate-credentials", "paused"])
    def test_whoever_may_change_a_resource_may_pause_it_and_ask_for_new_passwords(self, kind, name):
        asked_for = {"annotations": {f"voicehelper.io/{name}": "true"}}
        assert self.changed(kind, {}, asked_for) is None
        assert self.changed(kind, asked_for, {}) is None

    @pytest.mark.parametrize("name", ["restoring", "restored-from"])
    def test_identity_marks_tenants_that_it_makes_of_archives(self, kind, name):
        marked = {"annotations": {f"voicehelper.io/{name}": "a1b2"}}
        assert (self.changed(kind, {}, marked, user=IDENTITY) is None) is (kind == "Tenant")
        assert (self.changed(kind, marked, {}, user=IDENTITY) is None) is (kind == "Tenant")
        assert self.changed(kind, {}, marked) is not None
        assert self.changed(kind, {}, {"labels": {"voicehelper.io/cell": "x"}}, user=IDENTITY) is not None

    @pytest.mark.parametrize("leaving", [False, True])
    def test_the_operators_finalizer_is_taken_by_the_operator_and_administrators_only(self, kind, leaving):
        held = {"finalizers": [FINALIZER[kind], "other.example/x"]}
        let_go = {"finalizers": ["other.example/x"]}
        if leaving:
            held, let_go = ({**meta, "deletionTimestamp": DELETING} for meta in (held, let_go))
        found = self.changed(kind, held, let_go)
        assert found.code == 403
        assert f"only the operator takes the finalizer '{FINALIZER[kind]}'" in said(found)
        for trusted in ({"user": OPERATOR}, {"groups": [MASTERS]}):
            assert self.changed(kind, held, let_go, **trusted) is None
        assert self.changed(kind, held, {**held, "finalizers": [FINALIZER[kind]]}) is None

    def test_finalizers_that_nobody_would_take_are_not_put_there(self, kind):
        assert self.changed(kind, {}, {"finalizers": ["voicehelper.io/for-ever"]}) is not None
        assert self.changed(kind, {}, {"finalizers": [FINALIZER[kind]]}) is None


class TestWhatAlwaysPasses:
    """Objects that are stored already can live and end, whatever they say."""

    def test_a_change_that_leaves_the_spec_as_it_is(self):
        lost = tenant(planRef="gone", placement={"cell": "gone"})
        assert asked(lost, lost | {"metadata": {**lost["metadata"], "labels": {"team": "x"}}}) is None

    def test_anything_of_the_operator(self):
        assert asked(None, tenant(planRef="gone"), user=OPERATOR) is None
        assert asked(cell("c1", deletion={"protect": True}), None, user=OPERATOR) is None

    def test_anything_on_what_is_being_deleted(self):
        leaving = {"deletionTimestamp": DELETING}
        before = tenant(meta=leaving, deletion={"protect": True})
        assert asked(before, tenant(meta=leaving, planRef="gone")) is None
        assert asked(before, tenant(meta={**leaving, "labels": {"voicehelper.io/a": "b"}})) is None
        assert asked(before, None) is None

    def test_an_object_whose_spec_no_release_can_read(self):
        odd = body("Tenant", "odd", {"planRef": 3})
        assert asked(odd, odd | {"metadata": {**odd["metadata"], "finalizers": ["voicehelper.io/tenant"]}}) is None


def test_only_what_a_question_is_about_is_looked_at():
    def names(old, new):
        operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
        kind = (new or old)["kind"]
        return {found.kind_name for found in kinds(Request(operation, kind, old, new, "paula"))}

    assert names(None, tenant()) == {"TenantPlan", "Cell"}
    assert names(None, tenant(placement={"cell": "c1"})) == {"TenantPlan", "Cell", "Tenant"}
    assert names(tenant(), tenant(meta={"labels": {"a": "b"}})) == set()
    assert names(tenant(), None) == {"Cell"}
    assert names(None, cell("c1")) == {"CellClass"}
    assert names(cell("c1"), None) == set()
    assert names(TEAM, None) == {"Tenant"}
    assert names(STANDARD, None) == {"Cell", "TenantPlan"}
    assert names(None, TEAM) == set()


class TestReleases:
    """One that is under way cannot be deleted; every kind has a rule."""

    @pytest.mark.parametrize(
        ("status", "refused"),
        [({}, False), ({"startedAt": DELETING}, True), ({"startedAt": DELETING, "finishedAt": DELETING}, False)],
    )
    def test_a_deletion(self, status, refused):
        old = body("CellRelease", "spring", {"release": "r2"}, status=status)
        found = review(Request("DELETE", "CellRelease", old, None, "ops"), World(), TRUST)
        assert (found is not None) is refused
        if found is not None:
            assert found.code == 409 and "spec.state" in found.message

    def test_the_strategy_has_to_be_there(self):
        named = body("CellRelease", "spring", {"release": "r2", "strategyRef": "careful"})
        found = asked(None, named, seen=world(body("CellReleaseStrategy", "bold")))
        assert found.code == 422
        assert said(found) == (
            "spec.strategyRef: there is no CellReleaseStrategy 'careful': apply it first, or name another one (bold)"
        )
        assert asked(None, named, seen=world(body("CellReleaseStrategy", "careful"))) is None
        assert asked(None, body("CellRelease", "spring", {"release": "r2"})) is None
        paused = body("CellRelease", "spring", {"release": "r2", "strategyRef": "careful", "state": "Pause"})
        assert asked(named, paused) is None, "one that has begun need not change because of it"

    @pytest.mark.parametrize(("status", "code"), [({}, 409), ({"startedAt": DELETING}, None)])
    def test_a_strategy_stays_while_a_release_waits_for_it(self, status, code):
        named = body("CellRelease", "spring", {"release": "r2", "strategyRef": "careful"}, status=status)
        found = asked(body("CellReleaseStrategy", "careful"), None, seen=world(named))
        assert (found.code if found else None) == code

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_can_be_asked_about(self, kind):
        needed = {"Tenant": {"planRef": "team", "admin": {"email": "a@b.example"}}, "CellRelease": {"release": "r2"}}
        new = body(kind, "one", needed.get(kind, {}))
        review(Request("CREATE", kind, None, new, "ops"), World(), TRUST)
        review(Request("DELETE", kind, new, None, "ops"), World(), TRUST)
