"""A real Kafka Connect worker with Debezium on a random port of loopback, from the image's own jars, for tests.

It runs with the properties that the operator writes, save where Secrets come from: here each key is a file
``NAMESPACE/NAME/KEY`` below the worker's own folder. It ends with its parent and leaves nothing behind.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.observed.kube import Resource
from headrace_operator.plan import workers
from tests import class_archive
from tests.cluster.fast import END_WITH_PARENT
from tests.cluster.images import catalog, ingredients
from tests.cluster.images.catalog import Image
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.ports import free_port
from tests.waiting import PATIENCE

_JAVA = ("java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+PerfDisableSharedMem")
SOURCE = "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
_CONFIG = {
    **{f"config.providers.{name}.param.source": SOURCE for name in ("secrets", "quoted")},
    "offset.flush.interval.ms": "500",
    "fetch.max.wait.ms": "5000",  # asking twice a second is a third of what it and its broker compute at rest
    "offset.flush.timeout.ms": "60000",  # what was not flushed in time would be captured again after a stop
}


@dataclass(frozen=True, kw_only=True)
class ConnectWorker:
    """A running worker at ``url``; Secrets are files below ``folder``."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def write_secret(self, namespace: str, name: str, **keys: str) -> None:
        """Make or change a Secret."""
        write_secret(self.folder, namespace, name, keys)

    @property
    def log(self) -> str:
        """Return all that the worker wrote to its log."""
        return (self.folder / "worker.log").read_text()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let the worker accept connections and answer nothing: its process is stopped meanwhile."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)
            _await_answer(self)


@pytest.fixture(scope="session")
def connect_worker(kafka_broker: KafkaBroker) -> Iterator[ConnectWorker]:
    """Run a worker for this session of tests."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-connect-"))
    plain = KafkaConnectionSpec.model_validate({"bootstrapServers": kafka_broker.bootstrap_servers})
    try:
        with working(folder, worlds.CONNECT, plain) as worker:
            yield worker
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_secret(folder: Path, namespace: str, name: str, keys: Mapping[str, str]) -> None:
    """Make or change a Secret of a worker that runs, or will run, in ``folder``."""
    place = folder / namespace / name
    place.mkdir(parents=True, exist_ok=True)
    for key, value in keys.items():
        (place / key).write_text(value)


@contextmanager
def working(
    folder: Path,
    resource: Resource,
    kafka: KafkaConnectionSpec,
    host: str = "127.0.0.1",
    listens: str | None = None,
    config: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[ConnectWorker]:
    """Run the worker of a ConnectCluster in ``folder`` until the end of the block; ``config`` are more properties.

    It is known as ``host``, and listens there, or where ``listens`` says: "" is everywhere, as it does in its pod.
    """
    port, oauth = free_port(), kafka.sasl.oauth if kafka.sasl else None
    allowed = [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={oauth.token_endpoint}"] if oauth else []
    at = {"listeners": f"HTTP://{host if listens is None else listens}:{port}", "rest.advertised.host.name": host}
    text, url = _properties(resource, kafka, plugins(), at | dict(config)), f"http://{host}:{port}"

    def run_once(option: str) -> None:
        with _serving(folder, url, text, *allowed, option) as worker:
            worker.process.terminate()
            worker.process.wait(PATIENCE)

    mapping = class_archive.mapping(ingredients.jars(_image()).parent / "worker.jsa", run_once)
    with _serving(folder, url, text, *allowed, mapping) as worker:
        yield worker


@contextmanager
def _serving(folder: Path, url: str, text: str, *options: str) -> Iterator[ConnectWorker]:
    process = launch(folder, text, *options)
    worker = ConnectWorker(url=url, folder=folder, process=process)
    try:
        _await_answer(worker)
        yield worker
    finally:
        process.kill()
        process.wait(PATIENCE)


def plugins() -> Path:
    """Return the folder of the image's plug-ins."""
    return ingredients.jars(_image()) / "plugins"


def launch(folder: Path, text: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a worker with the properties of ``text``, its files in ``folder``, and more options of the JVM."""
    image, properties = _image(), folder / "worker.properties"
    properties.write_text(text)
    log4j = (
        f"-Dheadrace.connect.home={image.folder}",
        f"-Dlog4j2.configurationFile=file:{image.folder}/log4j2.properties",
    )
    main = ("org.apache.kafka.connect.cli.ConnectDistributed", str(properties))
    words = (*END_WITH_PARENT, *_JAVA, *log4j, *options, "-cp", f"{ingredients.jars(image)}/worker/*", *main)
    with (folder / "worker.log").open("wb") as log:
        return subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)


def _image() -> Image:
    return next(image for image in catalog.IMAGES if image.name == "connect")


def _properties(resource: Resource, kafka: KafkaConnectionSpec, plugins: Path, at: Mapping[str, str]) -> str:
    """Return the operator's own properties; what a user may add wins over them, and so do ours."""
    config = {**_CONFIG, "plugin.path": str(plugins), **at}
    spec = ConnectClusterSpec.model_validate({"kafka": "kafka", "workers": {"config": config}})
    return workers.worker_properties(resource, spec, kafka)


def _await_answer(worker: ConnectWorker) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and worker.process.poll() is None:
        try:
            urllib.request.urlopen(f"{worker.url}/connectors", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"Kafka Connect did not answer; it said last:\n{worker.log[-3000:]}")
