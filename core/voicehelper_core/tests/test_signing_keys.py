"""Whatever rotations and clocks do, tokens verify as long as they live, and no key signs that verifiers do not know."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey, RSAKey
from voicehelper_core import key_rotation
from voicehelper_core.auth import LEEWAY_SECONDS, REGISTRY
from voicehelper_core.errors import Conflict
from voicehelper_core.signing_keys import (
    LEAD_SECONDS,
    LONGEST_TOKEN_SECONDS,
    MAX_AGE_SECONDS,
    KeyRing,
    SigningKey,
)

NOW = 1_800_000_000.5
OLD = OKPKey.generate_key("Ed25519", private=True)
PUBLIC_MEMBERS = {"kty", "crv", "x", "kid", "alg", "use"}


def test_one_jwk_is_a_file_of_one_key():
    ring = KeyRing.of(OLD.as_dict(private=True))
    key = ring.signer(NOW)
    assert (key.kid, key.signs_from) == (OLD.thumbprint(), 0)
    assert ring.document() == OLD.as_dict(private=True)
    assert ring.public(NOW) == {
        "keys": [{**OLD.as_dict(private=False), "kid": OLD.thumbprint(), "alg": "EdDSA", "use": "sig"}]
    }


def test_a_rotation_from_its_begin_to_its_end():
    before = KeyRing.of(OLD.as_dict(private=True))
    ring = KeyRing.of(json.loads(json.dumps(before.rotated(NOW).document())))
    old, new = ring.keys
    begins, ends = NOW + LEAD_SECONDS, NOW + LEAD_SECONDS + LONGEST_TOKEN_SECONDS + LEEWAY_SECONDS
    assert old.kid == OLD.thumbprint()
    assert 0 <= new.signs_from - begins < 1
    for now, signs, shown in (
        (NOW, old, (old, new)),
        (begins - 1, old, (old, new)),
        (begins + 1, new, (old, new)),
        (ends - 1, new, (old, new)),
        (ends + 3, new, (new,)),
    ):
        assert ring.signer(now) == signs
        assert ring.shown(now) == shown
    with pytest.raises(Conflict, match=r"under way: the key .* begins to sign at 2027-01-15 08:10:01 UTC"):
        ring.rotated(NOW + 10)
    assert [key.kid for key in ring.rotated(begins + 1).keys][:2] == [old.kid, new.kid]
    assert old not in ring.rotated(ends + 3).keys


def test_an_emergency_leaves_nothing_of_before():
    ring = KeyRing.of(OLD.as_dict(private=True)).rotated(NOW)
    stolen = {key.kid for key in ring.keys}
    after = key_rotation.rotated(ring, NOW, emergency=True)
    assert after.shown(NOW) == (after.signer(NOW),) == after.keys
    assert after.signer(NOW).kid not in stolen
    assert all(kid in key_rotation.told(ring, after, NOW)[0] for kid in stolen)


def test_what_people_are_told():
    ring = KeyRing.of(OLD.as_dict(private=True))
    begins, withdrawn = key_rotation.told(ring, ring.rotated(NOW), NOW)
    assert begins.endswith("begins to sign at 2027-01-15 08:10:01 UTC")
    assert OLD.thumbprint() in withdrawn
    assert withdrawn.endswith("withdrawn at 2027-01-16 08:10:07 UTC")
    assert "may be refused" in key_rotation.told(ring, ring.rotated(NOW, 5), NOW)[-1]


def test_a_key_is_due_after_180_days():
    ring = KeyRing.fresh(NOW)
    assert key_rotation.due(ring, NOW + MAX_AGE_SECONDS - 1, 0) is None
    assert "180 days old" in str(key_rotation.due(ring, NOW + MAX_AGE_SECONDS, NOW))
    assert key_rotation.due(ring.rotated(NOW + MAX_AGE_SECONDS), NOW + MAX_AGE_SECONDS, NOW) is None
    undated = KeyRing.of(OLD.as_dict(private=True))
    assert key_rotation.due(undated, NOW, NOW) is None
    assert key_rotation.due(undated, NOW, NOW - MAX_AGE_SECONDS)


def test_a_clock_that_was_ahead_stops_nothing():
    ring = KeyRing.fresh(NOW + 1e9)
    assert ring.signer(NOW) == ring.keys[0]
    assert ring.coming(NOW) is None
    later = ring.rotated(NOW)
    assert later.signer(NOW + LEAD_SECONDS + 1) == later.keys[1]


PRIVATE = OLD.as_dict(private=True)


@pytest.mark.parametrize(
    "document",
    [
        None, [], "x", 7, {}, {"keys": []}, {"keys": None}, {"keys": {}}, {"keys": [None]}, {"keys": [PRIVATE, {}]},
        {"keys": [PRIVATE, {**PRIVATE, "signs_from": 5}]},
        OLD.as_dict(private=False),
        {**PRIVATE, "d": 1}, {**PRIVATE, "d": "x"}, {**PRIVATE, "signs_from": -1}, {**PRIVATE, "signs_from": "1"},
        {**PRIVATE, "signs_from": True}, {**PRIVATE, "signs_from": 1.5}, {**PRIVATE, "signs_from": None},
        {**PRIVATE, "signs_from": 1_800_000_000_000},
        OKPKey.generate_key("X25519", private=True).as_dict(private=True),
        RSAKey.generate_key(2048, private=True).as_dict(private=True),
        {"kty": "oct", "k": "c2VjcmV0"},
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_telling_it(document):
    with pytest.raises(ValueError, match="key") as refused:
        KeyRing.of(document)
    assert str(PRIVATE["d"]) not in str(refused.value)
    assert refused.value.__cause__ is None


def test_other_members_are_not_passed_on():
    odd = {**PRIVATE, "kid": "mine", "note": "x", "x": OKPKey.generate_key("Ed25519").as_dict(private=False)["x"]}
    ring = KeyRing.of({"keys": [odd, {**SigningKey.made(7).document(), "note": "x"}]})
    assert all(set(key) == PUBLIC_MEMBERS for key in ring.public(NOW)["keys"])
    assert ring.keys[0].kid == OLD.thumbprint()
    assert "note" not in json.dumps(ring.document())
    assert str(PRIVATE["d"]) not in repr(ring)


class Histories(RuleBasedStateMachine):
    """Rotations, signatures and a clock. ``known`` says since when verifiers are shown a key, and how long at least
    before it signs."""

    @initialize(document=st.sampled_from([PRIVATE, {**PRIVATE, "signs_from": 5}, {"keys": [PRIVATE]}]))
    def start(self, document):
        self.now = NOW
        self.ring = KeyRing.of(document)
        self.tokens = []
        self.known = {self.ring.keys[0].kid: (self.now, 0)}

    @rule(seconds=st.one_of(st.floats(0, 3), st.integers(0, 1000), st.integers(80_000, 90_000)))
    def wait(self, seconds):
        self.now += seconds

    @rule(before=st.sampled_from([0, 0.5, 1]))
    def wait_until_something_turns(self, before):
        turns = [key.signs_from for key in self.ring.keys] + [end + LEEWAY_SECONDS for _, end in self.tokens]
        turns += [end for key in self.ring.keys if (end := self.ring.withdrawn_at(key))]
        self.now = min((turn - before for turn in turns if turn - before > self.now), default=self.now)

    @rule(lead=st.sampled_from([0, 1, LEAD_SECONDS, 5_000, 100_000]))
    def rotate(self, lead):
        if self.ring.coming(self.now):
            with pytest.raises(Conflict):
                self.ring.rotated(self.now, lead)
            return
        self.ring = KeyRing.of(json.loads(json.dumps(self.ring.rotated(self.now, lead).document())))
        self.known[self.ring.keys[-1].kid] = (self.now, lead)

    @rule()
    def emergency(self):
        stolen, self.ring = self.ring, key_rotation.rotated(self.ring, self.now, emergency=True)
        assert not {key.kid for key in stolen.keys} & {key.kid for key in self.ring.keys}
        self.known[self.ring.keys[0].kid] = (self.now, 0)
        self.tokens = []

    @rule(life=st.sampled_from([60, 900, LONGEST_TOKEN_SECONDS]))
    def sign(self, life):
        now = int(self.now)
        key = self.ring.signer(now)
        since, lead = self.known[key.kid]
        assert self.now - since >= lead - 1e-3
        token = jwt.encode({"alg": "EdDSA", "kid": key.kid}, {"exp": now + life}, key.private, registry=REGISTRY)
        self.tokens.append((token, now + life))

    @invariant()
    def living_tokens_verify(self):
        document = self.ring.public(self.now)
        keys = KeySet.import_key_set(document)
        self.tokens = [(token, end) for token, end in self.tokens if end + LEEWAY_SECONDS >= self.now]
        for token, _ in self.tokens:
            jwt.decode(token, keys, registry=REGISTRY)
        assert all(set(key) == PUBLIC_MEMBERS for key in document["keys"])

    @invariant()
    def nothing_is_shown_for_ever(self):
        shown = self.ring.shown(self.now)
        assert self.ring.signer(self.now) in shown
        for later in shown[1:]:
            assert self.now <= later.signs_from + LONGEST_TOKEN_SECONDS + LEEWAY_SECONDS + 1


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
