"""The platform's main job, done on real input and shown at the end of ``up``; only through public APIs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
from voicehelper_cli import ingest, manifests
from voicehelper_cli.client import RouterClient, platform_credentials, tenant_client, tenant_credentials
from voicehelper_cli.context import Home as CliHome
from voicehelper_cli.documents import collect
from voicehelper_cli.failures import Failure
from voicehelper_cli.kinds import kind_of
from voicehelper_cli.resources import apply_all, open_resources, wait_condition

from voicehelper_embedded import files
from voicehelper_embedded.home import Home
from voicehelper_embedded.progress import Progress
from voicehelper_embedded.release import ROOT

TENANTS = ("acme", "globex")
QUESTION = "What does a dedicated cell hold?"
_READY_SECONDS = 120.0
_IDLE_SECONDS = 60.0
_USAGE_SECONDS = 30


def run(home: Home, progress: Progress) -> None:
    """Run all steps. Raises Failure where one does not do what it should."""
    asyncio.run(_run(home, progress, CliHome(home.folder)))


async def _run(home: Home, progress: Progress, cli: CliHome) -> None:
    checkout = ROOT.parent if not (ROOT / "examples").is_dir() else ROOT
    with progress.stage("tenants acme and globex are Ready"):
        await _tenants(cli, checkout / "examples", progress)
    async with tenant_client(cli, "acme") as acme, tenant_client(cli, "globex") as globex:
        with progress.stage("docs/ ingested into acme's knowledge base"):
            await _knowledge(acme, checkout / "docs")
        with progress.stage("question answered"):
            await _ask(acme, "acme", progress, cited=True)
            await _ask(globex, "globex", progress, cited=False)
        await _refused(acme, cli.router_url(), progress)
        with progress.stage("usage read back from ClickHouse"):
            await _usage(acme, progress)
    await _summary(home, cli, progress)


async def _tenants(cli: CliHome, examples: Path, progress: Progress) -> None:
    found = [item for path in sorted(examples.glob("*.yaml")) for item in manifests.load(str(path))]
    async with open_resources(cli) as resources:
        async for outcome in apply_all(resources.store, found):
            if isinstance(outcome, Failure):
                raise outcome
            progress.now(f"{outcome[0].title} {outcome[2]}")
        tenant = kind_of("tenant")
        await asyncio.gather(
            *(wait_condition(resources.store, tenant, name, "Ready", timeout=_READY_SECONDS) for name in TENANTS)
        )


async def _knowledge(acme: RouterClient, docs: Path) -> None:
    report = await ingest.ingest(acme, collect([str(docs)]), idle_timeout=_IDLE_SECONDS)
    if report.failed:
        path, reason = next(iter(report.failed.items()))
        raise Failure(f"{len(report.failed)} of {report.total} documents failed; the first: {path}: {reason}")


async def _ask(client: RouterClient, tenant: str, progress: Progress, *, cited: bool) -> None:
    conversation = await client.request("POST", "/api/v1/conversations", json={"title": "Demonstration"})
    answer, citations = "", []
    path = f"/api/v1/conversations/{conversation['id']}/messages"
    async for event in client.stream("POST", path, {"content": QUESTION}):
        data = json.loads(event.data) if event.data else {}
        if event.event == "delta":
            answer += data["delta"]
            progress.now(answer)
        elif event.event == "citation":
            citations.append(data)
        elif event.event == "error":
            raise Failure(f"{tenant}: {data.get('detail') or data}")
    progress.say(f"{tenant} asks: {QUESTION}")
    progress.say(f"  {answer.strip()}")
    for item in citations:
        content = await client.request("GET", f"/api/v1/knowledge/documents/{item['document_id']}/content")
        if content["text"][item["start"] : item["end"]] != item["text"]:
            raise Failure(f"the citation of {item['title']} does not open at its place")
        progress.say(f"  cites {item['title']} [{item['start']}:{item['end']}]")
    if bool(citations) is not cited:
        raise Failure(f"{tenant}: {'no citation' if cited else 'a citation'} in the answer")


async def _refused(acme: RouterClient, url: str, progress: Progress) -> None:
    headers = {"Authorization": f"Bearer {await acme.token()}", "X-Tenant-ID": "globex"}
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.get("/api/v1/conversations", headers=headers)
    if answer.status_code != 403:
        raise Failure(f"acme's token with X-Tenant-ID: globex was answered with {answer.status_code}, not 403")
    progress.say(f"acme's token with X-Tenant-ID: globex is answered with 403: {answer.json()['detail']}")


async def _usage(acme: RouterClient, progress: Progress) -> None:
    for _ in range(_USAGE_SECONDS * 5):
        usage = await acme.request("GET", "/api/v1/usage")
        totals = usage["totals"]
        if totals["message_count"] >= 2:
            progress.say(
                f"acme used {totals['message_count']} messages and {totals['total_tokens']} tokens in the last hour"
                f" (${totals['total_cost']})"
            )
            return
        await asyncio.sleep(0.2)
    raise Failure(f"ClickHouse shows no usage of acme after {_USAGE_SECONDS} s")


async def _summary(home: Home, cli: CliHome, progress: Progress) -> None:
    url = cli.router_url()
    progress.say(f"router: {url}    API descriptions: {url}/api/v1/identity/openapi.json")
    mark, path = home.state / "logins-shown.json", home.secrets / "logins.txt"
    if not mark.exists():
        lines = []
        for label, who in (
            ("platform admin", await platform_credentials(cli)),
            ("admin of acme", await tenant_credentials(cli, "acme")),
        ):
            lines.append(f"{label}: tenant {who.tenant}, {who.email}, password {who.password}")
        files.write(path, "\n".join(lines) + "\n")
        files.write_json(mark, {})
        for line in lines:
            progress.say(line)
        progress.say(f"(shown this once; kept in {path})")
    else:
        progress.say(f"logins: {path}")
    progress.say("try next:")
    for command in (
        'voicehelper chat --tenant acme "Which store keeps the vectors?"',
        'voicehelper knowledge search --tenant acme "isolation" --top-k 3',
        "voicehelper get tenants -o wide",
    ):
        progress.say(f"  .venv/bin/{command}")
