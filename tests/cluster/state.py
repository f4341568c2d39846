"""What the node says of itself: one small file, written by its supervisor, read by everybody else."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Phase = Literal["starting", "ready", "failed", "stopping"]


@dataclass(kw_only=True)
class ComponentState:
    """One component as its supervisor sees it; `pid` is the one inside the node, 0 when it does not run."""

    name: str
    pid: int = 0
    ready: bool = False
    seconds: float = 0.0
    """From its start until it was ready."""
    restarts: int = 0
    why: str = "not started"


@dataclass(kw_only=True)
class NodeState:
    """The node: its first process as the machine numbers it, and the host's port of the API server."""

    pid: int
    ticks: int
    """Start time of that process in clock ticks since boot: with `pid`, it names the process for good."""
    port: int
    phase: Phase = "starting"
    error: str = ""
    components: list[ComponentState] = field(default_factory=list)


def write(file: Path, state: NodeState) -> None:
    """Replace the file in one step, so that no reader sees half of it."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(state), indent=1))
    os.replace(unfinished, file)


def read(file: Path) -> NodeState | None:
    """Read what the supervisor wrote last; None when there is no file or it is not one of ours."""
    try:
        data = json.loads(file.read_text())
        return parse(data)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def parse(data: Mapping[str, object]) -> NodeState:
    """Make the state from its JSON form. Raises TypeError or KeyError when it has another form."""
    fields = dict(data)
    components = fields.pop("components")
    if not isinstance(components, list):
        raise TypeError("components is not a list")
    return NodeState(**fields, components=[ComponentState(**one) for one in components])  # type: ignore[arg-type]


def start_ticks(pid: int) -> int | None:
    """Give when process `pid` started (proc(5), field 22 of stat); None when there is no such process or it is dead."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(state: NodeState | None) -> bool:
    """Tell whether the node that wrote `state` still runs."""
    return state is not None and start_ticks(state.pid) == state.ticks
