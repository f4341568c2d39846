"""What a source agent was seen to tell of its Connectors' databases: facts, each seen or unknown with its reason.

The types are those in which the agent answers: frozen, and of its own package's one door.
"""

from __future__ import annotations

from headrace_agent.told import Cause, Deed, Login, Position, Publication, Relation, Seen, Server, Slot, Table
from headrace_agent.told import Postgres as SourceSeen
from headrace_agent.told import Unknown as Unseen

__all__ = [
    "Cause", "Deed", "Login", "Position", "Publication", "Relation", "Seen", "Server", "Slot", "SourceSeen", "Table",
    "Unseen",
]  # fmt: skip
