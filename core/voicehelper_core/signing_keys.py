"""The keys that sign access tokens: which one signs now, which ones verifiers are shown, and how one follows another.

A document is one private JWK (Ed25519), or a JWK Set of them. The member ``signs_from`` of a key says when it begins to
sign, in seconds since 1970; where it is missing, the key has signed since ever. A key signs until the next one begins,
and is shown to verifiers from the first moment until no token that it signed can be alive.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from voicehelper_core.auth import LEEWAY_SECONDS
from voicehelper_core.errors import Conflict

LONGEST_TOKEN_SECONDS = 86_400
"""No setting lets a token live longer. Not what is set: a shorter life must not withdraw the key of older tokens."""
LEAD_SECONDS = 600
"""How long a key is shown before it signs. Until every verifier knows it, this may pass: 120 s until Kubernetes has
brought the changed Secret into each pod and 1 s until identity reads it; then 5 s until the router's copy is fetched
again and 5 s until Envoy fetches that, or 300 s until a ``TokenVerifier`` looks (which also looks when it meets a key
that it does not know), with 2 s for each fetch. That is seven minutes; the rest is for clocks that differ and a fetch
that fails."""
MAX_AGE_SECONDS = 180 * 86_400
"""How old a key may become."""
_CURVE: Literal["Ed25519"] = "Ed25519"
_SIGNS_FROM = "signs_from"
_FAR = 100_000_000_000  # beyond are milliseconds


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key. ``kid`` is its thumbprint; ``signs_from`` is 0 where nobody knows."""

    kid: str
    signs_from: int
    private: OKPKey = field(repr=False, compare=False)

    @classmethod
    def made(cls, signs_from: int) -> SigningKey:
        """A new one."""
        key = OKPKey.generate_key(_CURVE, private=True)
        return cls(key.thumbprint(), signs_from, key)

    @classmethod
    def of(cls, document: Any) -> SigningKey:
        """From a JWK. Raises ValueError."""
        if not isinstance(document, dict):
            raise ValueError("a key is no JSON object")
        signs_from = document.get(_SIGNS_FROM, 0)
        if not isinstance(signs_from, int) or isinstance(signs_from, bool) or not 0 <= signs_from < _FAR:
            raise ValueError(f"{_SIGNS_FROM} of a key is not a number of seconds since 1970")
        try:
            found = OKPKey.import_key(document)
            if found.curve_name != _CURVE or not found.is_private:
                raise ValueError
            key = OKPKey.import_key(found.as_pem(private=True))  # without what else the document says
        except (JoseError, ValueError, TypeError, KeyError):
            raise ValueError(f"a key is no private JWK of {_CURVE}") from None
        return cls(key.thumbprint(), signs_from, key)

    def document(self) -> dict[str, Any]:
        """The private JWK, as the file holds it."""
        begins = {_SIGNS_FROM: self.signs_from} if self.signs_from else {}
        return {**self.private.as_dict(private=True), **begins}

    def public(self) -> dict[str, Any]:
        """The public JWK, as verifiers get it."""
        return {**self.private.as_dict(private=False), "kid": self.kid, "alg": "EdDSA", "use": "sig"}


@dataclass(frozen=True, slots=True)
class KeyRing:
    """At least one key, in the order in which they sign."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def of(cls, document: Any) -> KeyRing:
        """From a JWK or a JWK Set. Raises ValueError, which says nothing of a private part."""
        several = isinstance(document, dict) and "keys" in document
        found = document["keys"] if several else [document]
        if not isinstance(found, list) or not found:
            raise ValueError("the key set holds no key")
        keys = sorted((SigningKey.of(item) for item in found), key=lambda key: key.signs_from)
        if len({key.kid for key in keys}) < len(keys):
            raise ValueError("the key set holds a key twice")
        return cls(tuple(keys))

    @classmethod
    def fresh(cls, now: float) -> KeyRing:
        """One new key, which signs at once: the first, or the one that follows stolen ones."""
        return cls((SigningKey.made(int(now)),))

    def document(self) -> dict[str, Any]:
        """As the file holds it: a JWK where there is one key, else a JWK Set."""
        documents = [key.document() for key in self.keys]
        return documents[0] if len(documents) == 1 else {"keys": documents}

    def signer(self, now: float) -> SigningKey:
        """The key that signs: the last that has begun, or the first where the clock says that none has."""
        return next((key for key in reversed(self.keys) if key.signs_from <= now), self.keys[0])

    def coming(self, now: float) -> SigningKey | None:
        """The key that is shown and does not sign yet."""
        following = self._follower(self.signer(now))
        return following if following and following.signs_from > now else None

    def withdrawn_at(self, key: SigningKey) -> int | None:
        """From when a key is not shown any more; None where no other follows it."""
        following = self._follower(key)
        return following.signs_from + LONGEST_TOKEN_SECONDS + LEEWAY_SECONDS + 1 if following else None

    def shown(self, now: float) -> tuple[SigningKey, ...]:
        """The keys that verifiers get."""
        ends = ((key, self.withdrawn_at(key)) for key in self.keys)
        return tuple(key for key, end in ends if end is None or now < end)

    def public(self, now: float) -> dict[str, Any]:
        """The same as a JWK Set."""
        return {"keys": [key.public() for key in self.shown(now)]}

    def rotated(self, now: float, lead: float = LEAD_SECONDS) -> KeyRing:
        """With a new key that signs after ``lead`` seconds, without what is withdrawn.

        Raises Conflict where a key is to follow already.
        """
        if coming := self.coming(now):
            raise Conflict(
                f"a rotation is under way: the key {coming.kid} begins to sign at {moment(coming.signs_from)}."
                " Wait for that; if a key was stolen, do not wait (--emergency)"
            )
        # A clock that was ahead once has left a beginning that is to come; the next key must follow all the same.
        kept = (replace(key, signs_from=min(key.signs_from, int(now))) for key in self.shown(now))
        return KeyRing((*kept, SigningKey.made(math.ceil(now + lead))))

    def _follower(self, key: SigningKey) -> SigningKey | None:
        place = self.keys.index(key) + 1
        return self.keys[place] if place < len(self.keys) else None


def moment(seconds: float) -> str:
    """A time for people, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
