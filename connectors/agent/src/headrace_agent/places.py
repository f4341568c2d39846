"""Where the agent's pod finds things and answers: names that the operator writes and the agent reads. Data only."""

from __future__ import annotations

DECLARATION = "/etc/headrace/agent/sources.json"
"""Where the pod finds what is declared; the environment variable `DECLARATION_VARIABLE` names another place."""

DECLARATION_VARIABLE = "HEADRACE_AGENT_DECLARATION"

SECRETS = "/etc/headrace/secrets"
"""Where the Secrets of sources are mounted, each in a folder of its name, by its keys; each mount is optional.

A private key must be readable by its owner and group alone (mode 0440), or PostgreSQL's client refuses it.
"""

PORT = 8080
"""The port that answers `SOURCES` and `HEALTH`; the environment variable `PORT_VARIABLE` names another one."""

PORT_VARIABLE = "HEADRACE_AGENT_PORT"

METRICS_PORT = 8081
"""The port that answers `METRICS`, for whoever scrapes the pod; `METRICS_VARIABLE` names another one."""

METRICS_VARIABLE = "HEADRACE_AGENT_METRICS_PORT"

SOURCES = "/sources"
"""What was seen of each source, as `headrace_agent.told.Told`."""

HEALTH = "/health"
"""200 while the agent looks at each of its sources, or waits for one within its deadlines; else 503."""

METRICS = "/metrics"
"""What was seen of each source, as Prometheus reads it."""


def secret_file(secret: str, key: str) -> str:
    """Return where the pod finds ``key`` of the Secret ``secret``."""
    return f"{SECRETS}/{secret}/{key}"
