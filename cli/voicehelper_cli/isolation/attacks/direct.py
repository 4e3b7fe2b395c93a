"""The cell's own port, without the router before it."""

from __future__ import annotations

from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.attacks.routes import described
from voicehelper_cli.isolation.attacks.values import Values
from voicehelper_cli.isolation.model import NEIGHBOUR, NOBODY, STRANGER
from voicehelper_cli.isolation.plant import CONVERSATIONS


@attack("cell.direct", surface="cell", needs=("neighbour", "stranger"))
async def direct(arena: Arena, tried: Recorder) -> None:
    """The cell checks token, tenant header and placement again for whoever reaches its port."""
    url, theirs = f"http://{arena.victim.cell_http}", arena.victim.name
    mine, far = arena.neighbour, arena.stranger
    token = ("Authorization", f"Bearer {await mine.token()}")
    other = ("Authorization", f"Bearer {await far.token()}")
    cases = (
        ("another tenant's token, the victim's header", NEIGHBOUR, "cell.tenant-header",
         [("X-Tenant-ID", theirs), token]),
        ("two headers, own first", NEIGHBOUR, "cell.tenant-header",
         [("X-Tenant-ID", mine.name), ("X-Tenant-ID", theirs), token]),
        ("two headers, own last", NEIGHBOUR, "cell.tenant-header",
         [("X-Tenant-ID", theirs), ("X-Tenant-ID", mine.name), token]),
        ("a header with a comma", NEIGHBOUR, "cell.tenant-header", [("X-Tenant-ID", f"{mine.name},{theirs}"), token]),
        ("a token of another cell", STRANGER, "cell.placement", [other]),
        ("a token of another cell and its header", STRANGER, "cell.placement", [("X-Tenant-ID", far.name), other]),
        ("a token of another cell, the victim's header", STRANGER, "cell.placement", [("X-Tenant-ID", theirs), other]),
        ("identity headers and no token", NOBODY, "cell.token",
         [("X-Tenant-ID", theirs), ("X-Token-Tenant", theirs), ("X-User-Id", arena.facts["user_id"])]),
    )  # fmt: skip
    for name, by, finding, headers in cases:
        for path in (f"{CONVERSATIONS}?limit=100", f"{CONVERSATIONS}/{arena.facts['conversation_id']}/messages"):
            answer = await wire.exchange(url, wire.request("GET", path, [*headers, ("Connection", "close")]))
            tried.expect(
                answer.status in (400, 401, 403), f"GET {path} at the cell's port with {name}", answer.text, by=by,
                finding=finding, reason=f"it was answered with {answer.status}", sent=[theirs, path],
            )  # fmt: skip
    answer = await wire.exchange(
        url, wire.request("GET", CONVERSATIONS, [token, ("X-User-Id", arena.facts["user_id"]), ("Connection", "close")])
    )
    tried.judge(
        "one's own list at the cell's port with X-User-Id of the victim", answer.text, by=NEIGHBOUR, finding="cell.user"
    )


@attack("cell.no-token", surface="cell")
async def no_token(arena: Arena, tried: Recorder) -> None:
    """No route of the cell or of identity answers without a token, at the router or at their own ports."""
    values = Values.of_victim(arena, "routes")
    for route in await described(arena.neighbour):
        if not route.operation or route.path.endswith(("/login", "/refresh", "/logout")):
            continue
        path = route.path
        for name in ("conversation_id", "message_id", "document_id", "user_id", "name"):
            path = path.replace(f"{{{name}}}", values.parameter(name, route.path))
        if path.startswith("/.well-known/"):
            continue
        identity = path.startswith("/api/v1/identity/")
        own = arena.places.identity_url if identity else f"http://{arena.victim.cell_http}"
        for door, url in (("router", arena.places.router_url), ("identity" if identity else "cell", own)):
            headers = [
                ("X-Tenant-ID", arena.victim.name),
                ("Content-Length", "2"),
                ("Content-Type", "application/json"),
            ]
            data = wire.request(route.method, path, [*headers, ("Connection", "close")], b"{}")
            answer = await wire.exchange(url, data)
            tried.expect(
                answer.status == 401, f"{route.method} {path} without a token, at the {door}", answer.text, by=NOBODY,
                finding=f"{door}.token", reason=f"it was answered with {answer.status}", sent=[path, arena.victim.name],
            )  # fmt: skip


@attack("cell.private", surface="cell")
async def private(arena: Arena, tried: Recorder) -> None:
    """Health and metrics of a cell are not found by what comes through a router, which always names a tenant."""
    token = ("Authorization", f"Bearer {await arena.neighbour.token()}")
    for path in ("/metrics", "/readyz", "/healthz"):
        headers = [("X-Tenant-ID", arena.neighbour.name), token, ("Connection", "close")]
        answer = await wire.exchange(f"http://{arena.victim.cell_http}", wire.request("GET", path, headers))
        tried.expect(
            answer.status == 404, f"GET {path} as the router passes it on", answer.text, by=NEIGHBOUR,
            finding="cell.private", reason=f"it was answered with {answer.status}",
        )  # fmt: skip
