"""A question through the router, in the cells of two tenants, on the whole platform."""

from __future__ import annotations

import concurrent.futures
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration
CONVERSATIONS, DOCUMENTS = "/api/v1/conversations", "/api/v1/knowledge/documents"
STREAM = {"Accept": "text/event-stream"}
UNKNOWN = "I do not know"


@pytest.fixture(scope="module")
def acme(platform: Any) -> Iterator[httpx.Client]:
    with platform.client("acme") as client:
        yield client


@pytest.fixture(scope="module")
def word() -> str:
    """Of a thing that no other document names."""
    return f"quillon{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def document(acme: httpx.Client, word: str) -> dict[str, Any]:
    text = (
        f"# The {word}\n\nA {word} is a tool of bookbinders. Gebrüder Maß make it 🛠.\n\n"
        f"## Care\n\nThe {word} is oiled every 45 days\nwith walnut oil. It is stored in a dry drawer."
    )
    made = acme.post(DOCUMENTS, json={"title": "Tools", "content": text, "external_id": word})
    assert made.status_code == 202, made.text
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found: dict[str, Any] = acme.get(f"{DOCUMENTS}/{made.json()['id']}").json()
        if found["status"] == "indexed":
            return found
        assert found["status"] == "uploaded", found
        time.sleep(0.1)
    raise AssertionError("the document was not indexed")


def begin(client: httpx.Client) -> str:
    """The path of a new conversation's messages."""
    made = client.post(CONVERSATIONS, json={"title": "Test"})
    assert made.status_code == 201, made.text
    return f"{CONVERSATIONS}/{made.json()['id']}/messages"


def ask(client: httpx.Client, path: str, text: str, **headers: str) -> dict[str, Any]:
    answer = client.post(path, json={"content": text}, headers=headers)
    assert answer.status_code == 200, answer.text
    message: dict[str, Any] = answer.json()
    return message


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """Events of a stream, as they come."""
    assert response.status_code == 200
    current: dict[str, Any] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if not line and current:
            yield {**current, "data": json.loads(current["data"])}
            current = {}
        elif line:
            name, _, value = line.partition(": ")
            current[name] = value


def test_an_answer_cites_its_place(acme: httpx.Client, document: dict[str, Any], word: str) -> None:
    message = ask(acme, begin(acme), f"How often is the {word} oiled?")
    assert (message["role"], message["status"]) == ("assistant", "completed")
    citation = message["citations"][0]
    assert citation["document_id"] == document["id"]
    assert citation["title"] == "Tools"
    assert citation["text"] == f"The {word} is oiled every 45 days\nwith walnut oil."
    content = acme.get(f"{DOCUMENTS}/{document['id']}/content").json()["text"]
    assert content[citation["start"] : citation["end"]] == citation["text"]
    assert "oiled every 45 days with walnut oil" in message["content"]
    assert message["tokens_used"] > 0


def test_the_same_question_elsewhere(platform: Any, document: dict[str, Any], word: str) -> None:
    with platform.client("globex") as globex:
        message = ask(globex, begin(globex), f"How often is the {word} oiled?")
    assert message["content"].startswith(UNKNOWN)
    assert message["citations"] == []


def test_what_no_document_says(acme: httpx.Client, document: dict[str, Any], word: str) -> None:
    message = ask(acme, begin(acme), f"Who invented the {word} and in which century?")
    assert message["content"].startswith(UNKNOWN), message["content"]


def test_a_stream_and_its_resumption(acme: httpx.Client, document: dict[str, Any], word: str) -> None:
    path = begin(acme)
    question = {"content": f"How often is the {word} oiled?"}
    with acme.stream("POST", path, json=question, headers=STREAM) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        seen = list(events(response))
    kinds = [event["event"] for event in seen]
    assert (kinds[0], kinds[-1]) == ("message.started", "message.completed")
    assert {"delta", "citation"} <= set(kinds)
    assert [event["id"] for event in seen] == [str(number) for number in range(1, len(seen) + 1)]
    last = seen[-1]["data"]
    assert "".join(event["data"]["delta"] for event in seen if event["event"] == "delta") == last["content"]
    assert [event["data"] for event in seen if event["event"] == "citation"] == last["citations"]
    for cut in range(len(seen) + 1):
        headers = {**STREAM, "Last-Event-ID": str(cut)}
        with acme.stream("GET", f"{path}/{last['id']}/events", headers=headers) as response:
            assert list(events(response)) == seen[cut:]


def test_a_client_that_leaves_gets_the_rest(acme: httpx.Client, document: dict[str, Any], word: str) -> None:
    path, key = begin(acme), {"Idempotency-Key": uuid.uuid4().hex}
    question = {"content": f"How often is the {word} oiled?"}
    with acme.stream("POST", path, json=question, headers={**STREAM, **key}) as response:
        first = next(events(response))
    with acme.stream("GET", f"{path}/{first['data']['id']}/events", headers={"Last-Event-ID": "1"}) as response:
        rest = list(events(response))
    assert rest[-1]["event"] == "message.completed"
    assert ask(acme, path, question["content"], **key)["id"] == first["data"]["id"]


def test_one_effect_for_a_key(acme: httpx.Client, word: str) -> None:
    path, key = begin(acme), uuid.uuid4().hex
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(acme, path, "What is it?", **{"Idempotency-Key": key}), range(6)))
    assert len({answer["id"] for answer in answers}) == 1
    assert len(acme.get(path).json()["items"]) == 2
    other = acme.post(path, json={"content": "What else?"}, headers={"Idempotency-Key": key})
    assert other.status_code == 422
    made = [
        acme.post(CONVERSATIONS, json={"title": "Once"}, headers={"Idempotency-Key": key}).json()["id"] for _ in "ab"
    ]
    assert made[0] == made[1]
    other = acme.post(CONVERSATIONS, json={"title": "Twice"}, headers={"Idempotency-Key": key})
    assert other.status_code == 422


def test_history_in_pages(acme: httpx.Client) -> None:
    path = begin(acme)
    for number in range(3):
        ask(acme, path, f"Question {number}?")
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = acme.get(path, params={"limit": 4, "cursor": cursor}).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert [item["role"] for item in found] == ["user", "assistant"] * 3
    assert [item["content"] for item in found[::2]] == [f"Question {number}?" for number in range(3)]
    assert all({"id", "role", "content", "created_at"} <= set(item) for item in found)


def test_conversations_are_listed_for_their_user_only(acme: httpx.Client, platform: Any) -> None:
    mine = [acme.post(CONVERSATIONS, json={"title": f"Listed {number}"}).json()["id"] for number in range(3)]
    listed = [item["id"] for item in acme.get(CONVERSATIONS, params={"limit": 3}).json()["items"]]
    assert listed == mine[::-1]
    with platform.client("globex") as globex:
        assert not set(mine) & {item["id"] for item in globex.get(CONVERSATIONS).json()["items"]}
        for path in (f"{CONVERSATIONS}/{mine[0]}", f"{CONVERSATIONS}/{mine[0]}/messages"):
            assert globex.get(path).status_code == 404
        assert globex.post(f"{CONVERSATIONS}/{mine[0]}/messages", json={"content": "x"}).status_code == 404
