"""Metrics that more than one service has, under the names of the product's dashboards."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter("http_requests", "HTTP requests", ["service", "method", "route", "status"])
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "HTTP request duration",
    ["service", "method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10),
)
GRPC_REQUESTS = Counter("grpc_server_started", "gRPC calls that a handler was given", ["grpc_service", "grpc_method"])
"""Health checks and unknown methods are not counted, so its labels are those of the contracts."""
CONVERSATION_SUCCESS = Gauge("conversation_success_rate", "Answers that completed, of those begun", ["mode"])
RETRIEVAL_RELEVANCE = Histogram(
    "retrieval_relevance_score",
    "Score of the best hit",
    ["mode"],
    buckets=(0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0),
)
LLM_COST = Counter("llm_cost_dollars", "Model cost in USD", ["model", "provider"])
AGENT_SUCCESS = Gauge("agent_task_success_rate", "Agent tasks that completed, of those begun", ["task_type"])
