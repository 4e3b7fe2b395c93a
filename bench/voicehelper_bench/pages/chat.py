"""Through the router, with a token, by `wrk` in a closed loop: every client sends its next request when it has its answer,
so 64 clients measure a platform that is saturated, and the times are 64 / throughput. *create* begins a conversation,
*list* reads the newest 20, *send* stores a message and waits for its whole answer, retrieval included; the model is a
local socket that speaks OpenAI's protocol and answers at once. The **peer** is a bare application on the same server
(uvicorn, httptools, uvloop), asked directly, that answers as many bytes: what the client and the server alone can do
(ours: [[create.64.rate:ratio]] of its rate for *create*). **Paced** are 64 clients that pause as people do (a *create*
or *list* a second, a *send* each five), timed from the moment in which a request was due.

Where the time goes with 64 clients, CPU for one *create*: cell [[create.64.cpu.cell]], router [[create.64.cpu.router]],
Postgres [[create.64.cpu.postgres]], Connect [[create.64.cpu.connect]], Kafka [[create.64.cpu.kafka]], client
[[create.64.cpu.client]]. For one *send*: cell [[send.64.cpu.cell]], Postgres [[send.64.cpu.postgres]], inference
[[send.64.cpu.inference]], Connect [[send.64.cpu.connect]], Kafka [[send.64.cpu.kafka]], analytics
[[send.64.cpu.analytics]].

A **stream held** is an open stream of events through the router that waits. A listener of an answer costs the cell
[[streams.listener.cell]] and the router [[streams.listener.router]]; an answer in the making (its run, its call of the
model, its listener) costs [[streams.answer.cell]] and [[streams.answer.router]].
"""

from __future__ import annotations

from voicehelper_bench.goals import Goal
from voicehelper_bench.plots import Plot

TITLE = "Chat"
_CLOSED = (
    "64 clients without a pause ask for 64 / 60 ms = 1,067 requests a second, of two cores that client, router, cell, "
    "Postgres, Connect and Kafka share; the CPU of one request, by process, is in the text"
)
_WHOLE = (
    "the time is that of the whole answer: a question is embedded, passages are sought in Milvus and Postgres, the "
    "model's words are read, and each of three transactions that write is synchronised ([[send.1.p50]] with one client); "
    "those that come at once wait for the same two cores"
)
GOALS: tuple[Goal, ...] = (
    *(
        Goal(f"{call} with 64 clients, P95", f"{call}.64.p95", "<=", 60, why=_CLOSED)
        for call in ("create", "send", "list")
    ),
    *(
        Goal(f"{call} with 64 clients that send one each {pause}, P95", f"{call}.64.paced.p95", "<=", 60, why=_WHOLE)
        for call, pause in (("create", "second"), ("list", "second"), ("send", "five seconds"))
    ),
    Goal(
        "first byte of a stream, P95", "sse.first_byte.p95", "<=", 30,
        why="the first event is written with the question, in one transaction of four round trips and one fsync",
    ),
)  # fmt: skip
PLOTS: tuple[Plot, ...] = (
    Plot(
        "chat-p95",
        "Answer through the router, P95",
        "ms",
        ("1", "16", "64"),
        {call: tuple(f"{call}.{clients}.p95" for clients in (1, 16, 64)) for call in ("create", "list", "send")},
        x_label="clients",
    ),
)
