"""How each contestant is started, and what it must be told. Starts nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headrace import config as contract
from headrace import names
from tests.bench.consumer import environments
from tests.cluster.places import ROOT

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one contestant: the topic, what to count, and where the result is expected.

    On ``port`` Headrace tells its metrics; ``parks`` keys are parked before its memory is read.
    """

    bootstrap: str
    topic: str
    records: int
    events: int
    name: str
    folder: Path
    server: str = ""
    port: int = 0
    parks: int = 0

    @property
    def result(self) -> Path:
        """The file that a measured process writes."""
        return self.folder / f"{self.name}.json"

    def environment(self, contestant: Contestant) -> dict[str, str]:
        """Return what a measured process is told."""
        return {
            "PYTHONPATH": str(ROOT),
            "BENCH_BOOTSTRAP": self.bootstrap,
            "BENCH_TOPIC": self.topic,
            "BENCH_GROUP": self.name,
            "BENCH_RECORDS": str(self.records),
            "BENCH_EVENTS": str(self.events),
            "BENCH_CONCURRENCY": str(contestant.concurrency),
            "BENCH_RESULT": str(self.result),
            "BENCH_URL": f"http://{self.server}/record",
            **contestant.variables,
        }


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Who is measured: ``kind`` says how it is started with ``work``, ``ordered`` whether it keeps order by key.

    ``passes`` is how often it handles the topic, of which the last is measured; ``processes`` share its group;
    ``keys`` other than 0 are those of a topic of its own.
    """

    name: str
    kind: Literal["headrace", "bare", "faststream", "quix", "jvm"]
    work: str
    ordered: bool = False
    concurrency: int = 1
    passes: int = 1
    processes: int = 1
    keys: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """Return the command."""
        match self.kind:
            case "headrace":
                return [str(environments.python("headrace")), "-c", "from headrace.cli import app; app()", "run"]
            case "jvm":
                return ["java", "-cp", f"{environments.jars()}/libs/*", str(FOLDER / "jvm" / "Bench.java"), self.work]
            case _:
                script = {"quix": "quix", "faststream": "fast"}.get(self.kind, self.work.partition(":")[0])
                module = f"tests.bench.consumer.peers.{script}"
                return [str(environments.python(self.kind)), "-m", module, self.work.partition(":")[2]]

    def config(self, run: Run) -> contract.Config:
        """Return the contract of Headrace: everything on that is on by default."""
        python = {"function": f"tests.bench.consumer.handlers:{self.work}", **self.settings}
        http = {"url": f"http://{run.server}/record"}
        return contract.Config(
            namespace="bench",
            consumer=run.name,
            pipeline="bench",
            group=run.name,
            kafka=contract.Kafka(bootstrap_servers=run.bootstrap),
            topics=contract.Topics(
                sources=(run.topic,),
                retry=names.retry_topic("bench", run.name),
                dead_letters=names.dead_letter_topic("bench", run.name),
                resolutions=names.resolutions_topic("bench", run.name),
            ),
            handler=contract.Handler.model_validate({"http": http} if self.work == "posts" else {"python": python}),
            delivery=contract.Delivery(concurrency=self.concurrency),
        )


def headrace(work: str, concurrency: int, name: str = "Headrace", **more: Any) -> Contestant:
    """Return Headrace with one of the functions in `handlers`, or ``posts``."""
    return Contestant(name=name, kind="headrace", work=work, ordered=True, concurrency=concurrency, **more)


def parallel_consumer(work: str, concurrency: int) -> Contestant:
    """Return the JVM's Parallel Consumer by order of key, on a warm JVM."""
    name = f"Parallel Consumer, {concurrency} at once, warm JVM"
    return Contestant(name=name, kind="jvm", work=work, ordered=True, concurrency=concurrency, passes=2)


def naive(work: str, concurrency: int) -> Contestant:
    """Return a window of tasks on uvloop, without order."""
    name = f"naive window of {concurrency}, uvloop, no order"
    return Contestant(name=name, kind="bare", work=f"naive:{work}", concurrency=concurrency)
