"""The keys that sign tokens, as the file holds them just now."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet
from prometheus_client import Gauge
from voicehelper_core import key_rotation, signing_key_file
from voicehelper_core.auth import AUDIENCE, ISSUER, REGISTRY
from voicehelper_core.log import get_logger
from voicehelper_core.signing_keys import KeyRing, SigningKey

log = get_logger(__name__)
AGE = Gauge("identity_signing_key_age_seconds", "How long the key has signed that signs tokens")
_LOOK_SECONDS = 1.0
_REMIND_SECONDS = 86_400.0


class Signer:
    """Signs access tokens with Ed25519; the key id is the key's thumbprint.

    Whoever asks for a key makes it look at the file, once a second at most. A file that cannot be read changes nothing.
    """

    def __init__(self, file: Path) -> None:
        """Makes the file where it is missing. Raises OSError, and ValueError for a file that is none of keys."""
        self._file = file
        if not file.exists():
            signing_key_file.make(file, KeyRing.fresh(time.time()))
        self._stamp = self._stamped()  # before the content: what changes in between is seen as a change
        self._ring = signing_key_file.read(file)
        self._look_at, self._remind_at = time.monotonic() + _LOOK_SECONDS, 0.0
        self._shown: tuple[SigningKey, ...] = ()
        self._set = KeySet([])
        AGE.set_function(self.age)

    def public(self) -> dict[str, Any]:
        """The key set that verifiers fetch."""
        return self._current().public(time.time())

    def keys(self) -> KeySet:
        """The same, for this process's own verifier; one object while the keys are the same."""
        shown = self._current().shown(time.time())
        if shown != self._shown:
            self._shown = shown
            self._set = KeySet.import_key_set({"keys": [key.public() for key in shown]})
        return self._set

    def sign(self, *, seconds: int, subject: str, tenant: str, tenant_id: str | None, **claims: Any) -> tuple[str, int]:
        """A token and when it ends (seconds since 1970)."""
        ring, now = self._current(), int(time.time())
        key = ring.signer(now)
        body = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "tenant": tenant,
            **({"tid": tenant_id} if tenant_id else {}),
            **claims,
            "iat": now,
            "exp": now + seconds,
            "jti": uuid.uuid4().hex,
        }
        header = {"alg": "EdDSA", "kid": key.kid, "typ": "JWT"}
        return jwt.encode(header, body, key.private, registry=REGISTRY), now + seconds

    def age(self) -> float:
        """Seconds for which the key has signed that signs now; of a key without a date, since the file was written."""
        now = time.time()
        return max(0.0, now - key_rotation.signs_since(self._current(), now, self._changed()))

    def _current(self) -> KeyRing:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._look()
        if now >= self._remind_at:
            self._remind_at = now + _REMIND_SECONDS
            if reason := key_rotation.due(self._ring, time.time(), self._changed()):
                log.warning("the signing key is due", reason=reason)
        return self._ring

    def _look(self) -> None:
        stamp = self._stamped()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._ring = signing_key_file.read(self._file)
        except (OSError, ValueError) as error:
            log.error("the signing keys cannot be read, those of before stay", path=str(self._file), reason=str(error))
            return
        now = time.time()
        kids = [key.kid for key in self._ring.shown(now)]
        log.info("signing keys were read again", signs=self._ring.signer(now).kid, kids=kids)

    def _stamped(self) -> tuple[int, ...]:
        """What is another when the file is; nothing where there is none."""
        try:
            found = self._file.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size

    def _changed(self) -> float:
        return self._stamp[0] / 1e9 if self._stamp else time.time()
