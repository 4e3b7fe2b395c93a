"""Ingests a folder of documents and searches it, through the router; one JSON line per figure.

    python bench/knowledge.py --url URL --tenant acme --token "$(voicehelper token --tenant acme)" FOLDER

Documents are JSON files ``{id, title, content}``; they are replaced when they are there already.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

PARALLEL = 4
DOCUMENTS, SEARCH = "/api/v1/knowledge/documents", "/api/v1/knowledge/search"


def figure(metric: str, value: float, unit: str, runs: int) -> None:
    """One line of the report; there is no peer to compare with."""
    line = {"bench": "knowledge", "metric": metric, "value": round(value, 3), "unit": unit}
    print(json.dumps(line | {"peer": None, "ratio": None, "runs": runs}), flush=True)


def quantile(values: list[float], q: float) -> float:
    """Nearest rank."""
    return sorted(values)[min(int(q * len(values)), len(values) - 1)]


def ingest(client: httpx.Client, documents: list[dict[str, Any]]) -> None:
    """Upload all, then wait until none is waiting."""

    def upload(document: dict[str, Any]) -> float:
        body = {"title": document["title"], "content": document["content"], "external_id": document["id"]}
        started = time.perf_counter()
        client.post(DOCUMENTS, json=body).raise_for_status()
        return time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(PARALLEL) as pool:
        seconds = list(pool.map(upload, documents))
    figure("upload_p50", 1e3 * quantile(seconds, 0.5), "ms", len(seconds))
    figure("upload_p95", 1e3 * quantile(seconds, 0.95), "ms", len(seconds))
    waiting, cursor = len(documents), ""
    while waiting:
        waiting, cursor = 0, ""
        while True:
            page = client.get(DOCUMENTS, params={"limit": 100, "cursor": cursor} if cursor else {"limit": 100}).json()
            states = [item["status"] for item in page["items"]]
            if "failed" in states:
                raise SystemExit("a document failed")
            waiting += states.count("uploaded")
            cursor = page.get("next_cursor") or ""
            if not cursor or waiting:
                break
        time.sleep(0.25)
    figure("ingest", len(documents) / (time.perf_counter() - started), "documents/s", len(documents))


def search(client: httpx.Client, documents: list[dict[str, Any]], runs: int) -> None:
    """Titles as queries: latency, and how often the document itself is among the first ten."""
    for mode in ("hybrid", "vector", "bm25"):
        seconds, found = [], 0
        for number in range(runs):
            document = documents[(number * 37) % len(documents)]
            started = time.perf_counter()
            answer = client.post(SEARCH, json={"query": document["title"], "top_k": 10, "mode": mode})
            seconds.append(time.perf_counter() - started)
            answer.raise_for_status()
            found += any(hit["external_id"] == document["id"] for hit in answer.json()["hits"])
        figure(f"search_{mode}_p50", 1e3 * quantile(seconds, 0.5), "ms", runs)
        figure(f"search_{mode}_p95", 1e3 * quantile(seconds, 0.95), "ms", runs)
        figure(f"search_{mode}_recall_at_10", found / runs, "ratio", runs)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    documents = [json.loads(path.read_text()) for path in sorted(arguments.folder.glob("*.json"))]
    headers = {"X-Tenant-ID": arguments.tenant, "Authorization": f"Bearer {arguments.token}"}
    with httpx.Client(base_url=arguments.url, headers=headers, timeout=60, trust_env=False) as client:
        ingest(client, documents)
        search(client, documents, arguments.runs)


if __name__ == "__main__":
    main()
