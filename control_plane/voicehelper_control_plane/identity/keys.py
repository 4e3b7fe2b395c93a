"""The key that signs tokens."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from voicehelper_core.auth import AUDIENCE, ISSUER, REGISTRY


class Signer:
    """Signs access tokens with Ed25519; the key id is the key's thumbprint."""

    def __init__(self, file: Path) -> None:
        self._key = _load(file)
        self._kid = self._key.thumbprint()

    def public(self) -> dict[str, Any]:
        """The key set that verifiers fetch."""
        key = {**self._key.as_dict(private=False), "kid": self._kid, "alg": "EdDSA", "use": "sig"}
        return {"keys": [key]}

    def keys(self) -> KeySet:
        """The same, for this process's own verifier."""
        return KeySet.import_key_set(self.public())  # type: ignore[arg-type]

    def sign(self, *, seconds: int, subject: str, tenant: str, tenant_id: str | None, **claims: Any) -> tuple[str, int]:
        """A token and when it ends (seconds since 1970)."""
        now = int(time.time())
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
        header = {"alg": "EdDSA", "kid": self._kid, "typ": "JWT"}
        return jwt.encode(header, body, self._key, registry=REGISTRY), now + seconds


def _load(file: Path) -> OKPKey:
    try:
        return OKPKey.import_key(json.loads(file.read_text()))
    except FileNotFoundError:
        pass
    key = OKPKey.generate_key("Ed25519", private=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(key.as_dict(private=True), stream)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(temporary, file)  # fails where another process was first; then that key holds
    except FileExistsError:
        return _load(file)
    finally:
        temporary.unlink()
    return key
