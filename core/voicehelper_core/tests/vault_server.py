"""A stand-in for HashiCorp Vault that speaks its HTTP API over a socket, as far as we use it.

Written after Vault's API documentation: paths, methods, headers, status codes and bodies. It checks tokens and their
leases, the policies of a token (exact paths and a ``*`` at the end), check-and-set, and namespaces. Service account
tokens are the texts ``NAMESPACE/NAME``; a real Vault asks the API server about them.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Body = dict[str, Any]
_PAGE = Path(__file__).parents[3] / "docs" / "vault.md"
OPERATOR_POLICY = _PAGE.read_text().split("<<'POLICY'\n")[1].split("POLICY\n")[0]
"""As the page tells people to set it up: a right that is missing there fails the tests."""
OPERATOR_ROLE = {
    "bound_service_account_names": ["operator"],
    "bound_service_account_namespaces": ["voicehelper-prod"],
    "token_policies": ["voicehelper-operator"],
    "token_ttl": 3600,
}
_RULE = re.compile(r'path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}')
_TIME = "2026-01-01T00:00:00.000000000Z"


@dataclass
class Secret:
    """Versions of one path, from 1 on; None for a deleted one."""

    versions: list[dict[str, str] | None] = field(default_factory=list)


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    token: str | None
    namespace: str | None
    body: Body | None


class Refusal(Exception):
    """An answer that is none."""

    def __init__(self, code: int, *errors: str, body: Body | None = None) -> None:
        super().__init__(code)
        self.code, self.body = code, body or {"errors": list(errors)}


class VaultServer:
    """Its state, and what is wrong with it."""

    def __init__(self, *, namespace: str = "", tls: tuple[Path, Path] | None = None) -> None:
        self.namespace = namespace
        self.version, self.sealed, self.limited = "1.15.6", False, False
        self.secrets: dict[str, Secret] = {}
        self.policies = {"voicehelper-operator": OPERATOR_POLICY}
        self.roles: dict[str, Body] = {"voicehelper-operator": dict(OPERATOR_ROLE)}
        self.tokens: dict[str, tuple[list[str], float]] = {}
        self.requests: list[Request] = []
        self.logins = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Nobody answers any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def expire(self) -> None:
        """All leases end now."""
        self.tokens = {token: (policies, 0.0) for token, (policies, _) in self.tokens.items()}

    def answer(self, request: Request) -> tuple[int, Body | None]:
        """Raises Refusal."""
        with self._lock:
            self.requests.append(request)
            path = request.path.partition("?")[0].removeprefix("/v1/")
            if path == "sys/health":
                return self._health()
            if self.sealed:
                raise Refusal(503, "Vault is sealed")
            if self.limited:
                raise Refusal(429, 'request path "secret/": rate limit quota exceeded')
            if (request.namespace or "") != self.namespace:
                raise Refusal(403, "permission denied")
            if (request.method, path) == ("POST", "auth/kubernetes/login"):
                return 200, self._login(request.body or {})
            self._allow(request, path)
            kind, _, rest = path.partition("/")
            if kind == "secret":
                return self._secret(request, *rest.split("/", 1))
            if path.startswith("sys/policies/acl/"):
                return self._policy(request, path.removeprefix("sys/policies/acl/"))
            if path.startswith("auth/kubernetes/role/"):
                return self._role(request, path.removeprefix("auth/kubernetes/role/"))
            raise Refusal(404, f'no handler for route "{path}". route entry not found.')

    def _health(self) -> tuple[int, Body]:
        code = 503 if self.sealed else 200
        return code, {"initialized": True, "sealed": self.sealed, "standby": False, "version": self.version}

    def _login(self, body: Body) -> Body:
        self.logins += 1
        role = self.roles.get(body["role"])
        if role is None:
            raise Refusal(400, f'invalid role name "{body["role"]}"')
        namespace, _, name = body["jwt"].partition("/")
        if namespace not in role["bound_service_account_namespaces"] or name not in role["bound_service_account_names"]:
            raise Refusal(403, "service account name not authorized")
        token, policies, ttl = f"hvs.{self.logins}", ["default", *role["token_policies"]], role["token_ttl"]
        self.tokens[token] = (policies, time.monotonic() + ttl)
        auth = {
            "client_token": token, "accessor": "a", "policies": policies, "token_policies": policies,
            "metadata": {"role": body["role"]}, "lease_duration": ttl, "renewable": True, "entity_id": "",
            "token_type": "service", "orphan": True,
        }  # fmt: skip
        return _envelope(None, auth=auth)

    def _allow(self, request: Request, path: str) -> None:
        if not request.token:
            raise Refusal(400, "missing client token")
        policies, until = self.tokens.get(request.token, ([], 0.0))
        if time.monotonic() >= until:
            raise Refusal(403, "permission denied")
        needed = {"GET": "read", "LIST": "list", "DELETE": "delete"}.get(request.method)
        if needed is None:
            needed = "update" if self._exists(path) else "create"
        rules = [rule for policy in policies for rule in _RULE.findall(self.policies.get(policy, ""))]
        matching = [rule for rule in rules if rule[0] == path or (rule[0][-1] == "*" and path.startswith(rule[0][:-1]))]
        if not matching:
            raise Refusal(403, "1 error occurred:\n\t* permission denied\n\n")
        longest = max(matching, key=lambda rule: (rule[0] == path, len(rule[0])))
        if f'"{needed}"' not in longest[1]:
            raise Refusal(403, "1 error occurred:\n\t* permission denied\n\n")

    def _exists(self, path: str) -> bool:
        """Policies have no check of existence: writing one always is an update."""
        role = path.removeprefix("auth/kubernetes/role/")
        return path.startswith("sys/") or path.removeprefix("secret/data/") in self.secrets or role in self.roles

    def _secret(self, request: Request, kind: str, path: str) -> tuple[int, Body | None]:
        secret = self.secrets.get(path)
        match request.method, kind:
            case ("GET", "data"):
                if secret is None:
                    raise Refusal(404)
                return self._version(secret)
            case ("POST" | "PUT", "data"):
                assert request.body is not None
                wanted, now = request.body.get("options", {}).get("cas"), len(secret.versions) if secret else 0
                if wanted is not None and wanted != now:
                    raise Refusal(400, "check-and-set parameter did not match the current version")
                self.secrets.setdefault(path, Secret()).versions.append(request.body["data"])
                return 200, _envelope(_metadata(now + 1))
            case ("DELETE", "data"):
                if secret:
                    secret.versions[-1] = None
                return 204, None
            case ("DELETE", "metadata"):
                self.secrets.pop(path, None)
                return 204, None
            case ("LIST", "metadata"):
                folder = path.rstrip("/") + "/"
                below = {name.removeprefix(folder).partition("/") for name in self.secrets if name.startswith(folder)}
                if not below:
                    raise Refusal(404)
                return 200, _envelope({"keys": sorted(name + slash for name, slash, _ in below)})
        raise Refusal(405, "unsupported operation")

    def _version(self, secret: Secret) -> tuple[int, Body]:
        number, data = len(secret.versions), secret.versions[-1]
        if data is None:
            deleted = {"data": None, "metadata": {**_metadata(number), "deletion_time": _TIME}}
            raise Refusal(404, body=_envelope(deleted))
        return 200, _envelope({"data": data, "metadata": _metadata(number)})

    def _policy(self, request: Request, name: str) -> tuple[int, Body | None]:
        return self._kept(
            request, name, self.policies, lambda body: body["policy"], lambda text: {"name": name, "policy": text}
        )

    def _role(self, request: Request, name: str) -> tuple[int, Body | None]:
        always = {"alias_name_source": "serviceaccount_uid", "token_type": "default", "token_max_ttl": 0}
        return self._kept(request, name, self.roles, dict, lambda role: {**always, **role})

    @staticmethod
    def _kept(request: Request, name: str, kept: dict[str, Any], take: Any, give: Any) -> tuple[int, Body | None]:
        match request.method:
            case "GET":
                if name not in kept:
                    raise Refusal(404)
                return 200, _envelope(give(kept[name]))
            case "POST" | "PUT":
                kept[name] = take(request.body)
            case "DELETE":
                kept.pop(name, None)
        return 204, None


def _metadata(version: int) -> Body:
    return {"created_time": _TIME, "custom_metadata": None, "deletion_time": "", "destroyed": False, "version": version}


def _envelope(data: Body | None, **more: Any) -> Body:
    empty = {
        "request_id": "r",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "wrap_info": None,
        "warnings": None,
    }
    return {**empty, "data": data, "auth": None, **more}


def _handler(server: VaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(
                self.command, self.path, self.headers.get("X-Vault-Token"), self.headers.get("X-Vault-Namespace"),
                json.loads(raw) if raw else None,
            )  # fmt: skip
            try:
                code, body = server.answer(request)
            except Refusal as refusal:
                code, body = refusal.code, refusal.body
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the tests' output."""

    return Handler
