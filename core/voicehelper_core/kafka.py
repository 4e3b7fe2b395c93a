"""How our users log in to Kafka."""

from __future__ import annotations


def scram(bootstrap: str, user: str, password: str) -> dict[str, str]:
    """Arguments of every aiokafka client: ``bootstrap`` is ``host:port``, by commas."""
    return {
        "bootstrap_servers": bootstrap,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }
