"""Runs one contestant once: starts its processes, waits for the result, judges it, and ends them."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from headrace import config as contract
from tests.bench.consumer import environments, machine, topics
from tests.bench.consumer.cases import CPU, HALF, MOST, PARKED, RATE, RSS, Case, Figures
from tests.bench.consumer.contestants import Contestant, Run
from tests.cluster.failure import tail
from tests.cluster.fast import END_WITH_PARENT
from tests.kafka_broker import KafkaBroker
from tests.ports import free_port
from tests.runtime.consumer_process import committed_offsets
from tests.waiting import PATIENCE, until

Processes = list[subprocess.Popen[bytes]]
PARKED_KEYS = re.compile(rb"^headrace_consumer_parked_keys\{.*\} (.*)$", re.MULTILINE)
LINE = 30
"""Bytes of a line of a log that several processes share."""

USUAL = 300_000
"""Records of the largest topic."""

TRICKLE, QUIET = 1000.0, 10.0
"""Records a second where their delay counts, and the seconds of being idle after which memory is read."""


class BenchError(Exception):
    """A run whose counts or order are wrong, or that did not end."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The broker, the address of the server that is pushed to, a folder for what runs leave, and the usual size."""

    broker: KafkaBroker
    server: str
    folder: Path
    base: int

    def measure(self, case: Case, contestant: Contestant) -> Figures:
        """Run once; raises BenchError when not all records were handled, or not in order where that is kept."""
        keys, records = self.size(case, contestant)
        name = f"b{uuid.uuid4().hex[:8]}"
        topic = self._topic(case, name, records, keys)
        own = list(topics.keys(records, keys)) if records else []
        left_out = int(contestant.variables.get("BENCH_LEFT_OUT", "0"))
        wanted = [index for index, key in enumerate(own) if key % 1000 >= left_out]
        run = Run(
            bootstrap=self.broker.bootstrap_servers,
            topic=topic,
            records=len(wanted),
            events=case.events,
            name=name,
            folder=self.folder,
            server=self.server,
            port=free_port(),
            parks=len({key for key in own if key % 1000 < left_out}) if contestant.work == "parks" else 0,
        )
        with self._started(contestant, run) as processes:
            figures = self._figures(case, contestant, run, processes)
            if case.kind != "idle":
                _judge(run, contestant, own, wanted)
            peak = sum(machine.memory(process.pid, "VmHWM") for process in processes)
            self._stop(contestant, processes, run, complete=not left_out)
        for left in self.folder.glob(f"{name}*"):
            left.unlink()
        return {RSS: peak, **figures}

    def size(self, case: Case, contestant: Contestant) -> tuple[int, int]:
        """Return how many keys and records; one record of each key at least, but in runs of a small size."""
        records = max(case.least, round(self.base * case.share))
        keys = contestant.keys or case.keys
        return (keys, max(records, contestant.keys)) if self.base >= USUAL else (min(keys, self.base), records)

    def _topic(self, case: Case, name: str, records: int, keys: int) -> str:
        """Return the topic of a run: one that all of its size share, or an empty one."""
        if case.kind in ("trickle", "idle"):
            return self.broker.create_topic(f"bench.{name}", topics.PARTITIONS)
        shared = f"bench.{self.folder.name}.{records}.{keys}"
        mark = self.folder / f"{shared}.filled"
        if not mark.exists():
            topics.fill(self.broker, shared, records, keys)
            mark.touch()
        return shared

    @contextmanager
    def _started(self, contestant: Contestant, run: Run) -> Iterator[Processes]:
        environment = {**os.environ, **run.environment(contestant)}
        if contestant.kind == "headrace":
            environment |= self._contract(contestant, run)
        words, log = [*END_WITH_PARENT, *contestant.words()], run.folder / f"{run.name}.out"
        with ExitStack() as stack, log.open("wb") as out:
            processes = [
                subprocess.Popen(words, env=environment, stdout=out, stderr=out, cwd=run.folder)
                for _ in range(contestant.processes)
            ]
            for process in processes:
                stack.callback(process.wait)
                stack.callback(process.kill)
            yield processes

    def _contract(self, contestant: Contestant, run: Run) -> dict[str, str]:
        config = contestant.config(run)
        for topic in (config.topics.retry, config.topics.dead_letters):
            self.broker.create_topic(topic, topics.PARTITIONS)
        self.broker.create_topic(config.topics.resolutions)
        file = run.folder / f"{run.name}.config"
        file.write_text(contract.dump(config))
        return {"HEADRACE_CONFIG": str(file), "HEADRACE_PORT": str(run.port)}

    def _figures(self, case: Case, contestant: Contestant, run: Run, processes: Processes) -> Figures:
        match case.kind:
            case "idle":
                return _idle(run, processes)
            case "shared":
                return _shared(run, processes)
            case "parked":
                return {**_told(run, processes, run.result), **_parked(run, processes)}
            case "push":
                result = run.result.with_suffix(".server.json")
                self._begin(contestant, run, processes[0].pid, result)
                figures = _told(run, processes, result)
                result.with_suffix(".log").rename(run.result.with_suffix(".log"))
                return figures
            case "trickle":
                words = (self.broker, run.topic, run.records, case.keys, TRICKLE)
                threading.Thread(target=topics.trickle, args=words, daemon=True).start()
        return _told(run, processes, run.result)

    def _begin(self, contestant: Contestant, run: Run, pid: int, result: Path) -> None:
        asked = f"pid={pid}&records={run.records}&passes={contestant.passes}&result={result}"
        urllib.request.urlopen(f"http://{self.server}/begin?{asked}", data=b"", timeout=PATIENCE).close()

    def _stop(self, contestant: Contestant, processes: Processes, run: Run, *, complete: bool) -> None:
        if contestant.kind != "headrace" or not complete:
            return
        for process in processes:
            process.terminate()
            if process.wait(timeout=PATIENCE) != 0:
                raise BenchError(f"{contestant.name} ended with {process.returncode}{_said(run)}")
        client = Consumer({"bootstrap.servers": run.bootstrap, "group.id": run.name})
        try:
            asked = [TopicPartition(run.topic, number) for number in range(topics.PARTITIONS)]
            ends = {one.partition: client.get_watermark_offsets(one, timeout=PATIENCE)[1] for one in asked}
            found = {one.partition: max(0, one.offset) for one in committed_offsets(client, asked)}
        finally:
            client.close()
        if found != ends:
            raise BenchError(f"{contestant.name} has committed {found} of {ends}")


def _told(run: Run, processes: Processes, result: Path) -> Figures:
    _await(run, processes, result.exists)
    told = json.loads(result.read_text())
    used = {CPU: told["cpu"] / run.records * 1e6}
    if not told["delays"]:
        return {RATE: run.records / told["seconds"], **used}
    late = sorted(told["delays"][run.records // 2 :])
    return {HALF: statistics.median(late) / 1e6, MOST: late[len(late) * 99 // 100] / 1e6, **used}


def _shared(run: Run, processes: Processes) -> Figures:
    lines = run.result.with_suffix(".lines")
    wanted = run.records * run.events * LINE
    _await(run, processes, lambda: lines.exists() and lines.stat().st_size >= wanted)
    noted = [line.split() for line in lines.read_bytes().splitlines()]
    run.result.with_suffix(".log").write_bytes(b"".join(index for index, _ in noted))
    times = [int(at) for _, at in noted]
    return {RATE: run.records / (max(times) - min(times)) * 1e9}


def _idle(run: Run, processes: Processes) -> Figures:
    log = run.folder / f"{run.name}.out"
    _await(run, processes, lambda: b"assigned" in log.read_bytes())
    time.sleep(QUIET)
    return {RSS: machine.memory(processes[0].pid, "VmRSS")}


def _parked(run: Run, processes: Processes) -> Figures:
    """Return the memory once all keys that fail are parked."""

    def found() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/metrics", timeout=PATIENCE) as answer:
            told = PARKED_KEYS.search(answer.read())
        return int(float(told[1])) if told else -1

    _await(run, processes, lambda: found() == run.parks)
    return {PARKED: run.parks, RSS: machine.memory(processes[0].pid, "VmRSS")}


def _await(run: Run, processes: Processes, holds: Callable[[], bool]) -> None:
    def came() -> bool:
        ended = any(process.poll() is not None for process in processes)
        if not holds() and ended:
            raise BenchError(f"a process of {run.name} ended early{_said(run)}")
        return holds()

    until(f"the result of {run.name}", came, every=0.05)


def _said(run: Run) -> str:
    return tail(run.folder / f"{run.name}.out")


def _judge(run: Run, contestant: Contestant, own: list[int], wanted: list[int]) -> None:
    """Raise BenchError when what was handled is not what was sent, or a key's records not in their order."""
    noted = topics.indices(run.result.with_suffix(".log").read_bytes())
    if len(noted) < run.records * run.events or set(noted) != set(wanted):
        raise BenchError(f"{contestant.name} handled {len(set(noted))} of {run.records} records")
    events = 1 if run.server and contestant.work.endswith("posts") else run.events
    if contestant.ordered and (wrong := topics.disorder(noted, events, own)):
        raise BenchError(f"{contestant.name} handled {wrong} records before one of their key was done")


@contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the server that records are pushed to; gives its address."""
    words = [*END_WITH_PARENT, str(environments.server())]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait()


def clear(folder: Path) -> None:
    """Remove what runs have left."""
    shutil.rmtree(folder, ignore_errors=True)
