"""A rotation of the keys that sign access tokens, and what people are told of it."""

from __future__ import annotations

from voicehelper_core.signing_keys import LEAD_SECONDS, MAX_AGE_SECONDS, KeyRing, moment

_DAY = 86_400


def rotated(ring: KeyRing, now: float, *, lead: float = LEAD_SECONDS, emergency: bool = False) -> KeyRing:
    """The keys after a rotation; in an emergency the ones of before are gone. Raises Conflict."""
    return KeyRing.fresh(now) if emergency else ring.rotated(now, lead)


def told(before: KeyRing, after: KeyRing, now: float) -> list[str]:
    """Lines that say what a rotation did."""
    new, old = after.keys[-1], before.signer(now)
    if len(after.keys) == 1:
        gone = ", ".join(key.kid for key in before.keys)
        return [
            f"key {new.kid} signs from now on; withdrawn: {gone}",
            "Every access token of before is refused as soon as the verifiers have fetched the keys. Refresh tokens are"
            " no signatures and stay good: clients get a new pair by theirs, all others log in again.",
        ]
    lines = [f"key {new.kid} begins to sign at {moment(new.signs_from)}"]
    if end := after.withdrawn_at(next(key for key in after.keys if key.kid == old.kid)):
        lines.append(f"key {old.kid} signs until then, and is withdrawn at {moment(end)}")
    if new.signs_from - now < LEAD_SECONDS - 1:
        lines.append(
            f"That is less than the {LEAD_SECONDS} s in which every verifier fetches the key: tokens may be refused"
            " at first"
        )
    return lines


def signs_since(ring: KeyRing, now: float, changed: float) -> float:
    """Since when the key has signed that signs now. ``changed`` is when the file was written, for a key without a date.

    Seconds since 1970; such a key may be older.
    """
    return float(ring.signer(now).signs_from or changed)


def due(ring: KeyRing, now: float, changed: float) -> str | None:
    """What to do where the key that signs is too old."""
    age = now - signs_since(ring, now, changed)
    if age < MAX_AGE_SECONDS or ring.coming(now):
        return None
    return f"the signing key is {int(age / _DAY)} days old, {MAX_AGE_SECONDS // _DAY} are enough: rotate it"
