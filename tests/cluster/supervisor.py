"""The node's first process: starts the components in order, restarts what ends, collects orphans, stops all.

Run by `lifecycle` in new PID and mount namespaces as ``python -m tests.cluster.supervisor BINARIES``. When it ends, in
whatever way, the kernel ends every process of the node with it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from tests.cluster import cgroups, components, isolation, kubeconfig, places, ready, state
from tests.cluster.components import Component
from tests.cluster.failure import ClusterError
from tests.cluster.state import ComponentState, NodeState

TICK_SECONDS = 0.1
RESTART_SECONDS = 1.0
STOP_SECONDS = 4.0


class Supervisor:
    """Brings components to readiness and keeps them there; `run` returns when a signal asked to stop."""

    def __init__(self, wanted: Iterable[Component], node: NodeState, listener: socket.socket) -> None:
        self.wanted = {component.name: component for component in wanted}
        self.node = node
        self.listener = listener
        self.states = {name: ComponentState(name=name) for name in self.wanted}
        self.node.components = list(self.states.values())
        self.begun: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.stopping = False

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT, or until a component fails while the node starts."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        while not self.stopping and self.node.phase != "failed":
            self._collect()
            for component in self.wanted.values():
                self._advance(component)
            if self.node.phase == "starting" and all(one.ready for one in self.states.values()):
                self.node.phase = "ready"
            state.write(places.STATE, self.node)
            time.sleep(TICK_SECONDS if self.node.phase == "starting" else RESTART_SECONDS)
        self._stop_all()

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _advance(self, component: Component) -> None:
        """Take one component one step further: start it when it may, look whether a started one is ready."""
        seen = self.states[component.name]
        if not seen.pid and not (component.once and seen.ready):
            self._start_when_possible(component, seen)
        elif seen.pid and not seen.ready and not component.once:
            seen.why = ready.why_not(component.ready)
            seen.ready = not seen.why
            seen.seconds = round(time.monotonic() - self.begun[component.name], 1)

    def _start_when_possible(self, component: Component, seen: ComponentState) -> None:
        awaited = [name for name in component.after if not self.states[name].ready]
        if awaited:
            seen.why = f"waits for {', '.join(awaited)}"
        elif time.monotonic() - self.ended.get(component.name, -RESTART_SECONDS) >= RESTART_SECONDS:
            self._start(component, seen)

    def _start(self, component: Component, seen: ComponentState) -> None:
        handed = (self.listener.fileno(),) if component.name == "relay" else ()
        with (places.LOG / f"{component.name}.log").open("ab") as log:
            process = subprocess.Popen(
                component.argv,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=handed,
                start_new_session=True,
            )
        process.returncode = 0  # this process collects all children itself; Popen must not wait for this one
        seen.pid, seen.why = process.pid, "started"
        self.begun[component.name] = time.monotonic()

    def _collect(self) -> None:
        """Collect every ended child, orphans of containerd's shims included, and note which were components."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for component in self.wanted.values():
                if self.states[component.name].pid == pid:
                    self._note_end(component, os.waitstatus_to_exitcode(status))

    def _note_end(self, component: Component, code: int) -> None:
        seen = self.states[component.name]
        seen.pid, seen.ready = 0, component.once and code == 0
        seen.seconds = round(time.monotonic() - self.begun[component.name], 1)
        seen.why = "" if seen.ready else f"ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"
        self.ended[component.name] = time.monotonic()
        if seen.ready:
            return
        seen.restarts += 1
        if self.node.phase == "starting" and seen.restarts > (5 if component.once else 1):
            self.node.phase, self.node.error = "failed", component.name

    def _stop_all(self) -> None:
        """Ask all to stop, last started first, and wait a little: what is slower ends with this process."""
        failed = self.node.phase == "failed"
        self.node.phase = "failed" if failed else "stopping"
        state.write(places.STATE, self.node)
        for seen in reversed(self.states.values()):
            if seen.pid:
                os.kill(seen.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and any(seen.pid for seen in self.states.values()):
            self._collect()
            time.sleep(TICK_SECONDS)


def main() -> None:
    """Make this process the node and supervise it; the node's state file says how it goes."""
    pid = int(os.readlink("/proc/self"))  # /proc is still the machine's: this is the number others know us by
    ticks = state.start_ticks(pid)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = int(listener.getsockname()[1])
    node = NodeState(pid=pid, ticks=ticks or 0, port=port)
    state.write(places.STATE, node)
    try:
        isolation.own_mounts()
        isolation.own_network()
        cgroups.create()
        kubeconfig.write(
            places.KUBECONFIG,
            server=f"https://127.0.0.1:{port}",
            pki=places.PKI,
            client="admin",
            context=places.CONTEXT,
        )
    except (ClusterError, OSError) as error:
        node.phase, node.error = "failed", f"node: {error}"
        state.write(places.STATE, node)
        sys.exit(f"the node cannot be set up: {error}")
    wanted = components.node(Path(sys.argv[1]), python=sys.executable, listener=listener.fileno())
    Supervisor(wanted, node, listener).run()


if __name__ == "__main__":
    main()
