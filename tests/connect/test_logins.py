"""One Secret, three readers: Kafka Connect, consumers and the operator log in alike, whatever the password is."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from headrace import config
from headrace.kafka import connection
from headrace_operator.api.connectcluster import ConnectClusterSpec
from headrace_operator.api.kafkaconnection import KafkaConnectionSpec
from headrace_operator.clients.kafka_connections import Kafkas
from headrace_operator.clients.kube import Kube
from headrace_operator.plan import workers
from tests.cluster.images import catalog, ingredients
from tests.kafka_broker import KafkaBroker
from tests.operator import worlds
from tests.operator.asking import answered
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.case("databases-14")]

SOURCE = "org.apache.kafka.common.config.provider.DirectoryConfigProvider"
SAYS = "login: "
LOGIN = Path(__file__).parent / "login" / "Login.java"
PASSWORDS = ('pa"ss', "pa\\ss", "pä$s{x}", "a${b}c", "a;b'c =", '\\"', "in\nthe middle")
FILES = {**{text: text for text in PASSWORDS}, "of an editor\n": "of an editor", "of Windows\r\n": "of Windows"}
"""What the Secret holds, and what Kafka was told."""


class Shelf(Kube):
    """A Secret that is there; nothing else is asked."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values = values

    async def secret_values(self, namespace: str, name: str, address: str) -> Mapping[str, bytes]:
        return self._values


def spec(broker: KafkaBroker) -> KafkaConnectionSpec:
    login = {"mechanism": "SCRAM-SHA-512", "credentials": {"secret": "login"}}
    return KafkaConnectionSpec.model_validate({"bootstrapServers": broker.sasl_servers, "sasl": login})


def written(folder: Path, number: int, broker: KafkaBroker, user: str, password: str) -> Path:
    """Write the Secret and the worker's properties that name it, and return the file of properties."""
    namespace = f"n{number}"
    keys = folder / namespace / "login"
    keys.mkdir(parents=True)
    (keys / "username").write_bytes(user.encode())
    (keys / "password").write_bytes(password.encode())
    sources = {f"config.providers.{name}.param.source": SOURCE for name in ("secrets", "quoted")}
    cluster = ConnectClusterSpec.model_validate({"kafka": "kafka", "workers": {"config": sources}})
    resource = worlds.resource("ConnectCluster", "main", {}, namespace=namespace)
    file = folder / f"{number}.properties"
    file.write_text(workers.worker_properties(resource, cluster, spec(broker)))
    return file


def java(folder: Path, *files: Path) -> list[str]:
    """Log in with each file as a worker does, and return what came of each."""
    jars = ingredients.jars(next(image for image in catalog.IMAGES if image.name == "connect"))
    words = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/worker/*", str(LOGIN), *map(str, files)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return [line.removeprefix(SAYS) for line in done.stdout.splitlines() if line.startswith(SAYS)]


def cluster_id(properties: Mapping[str, str]) -> str:
    client = AdminClient(dict(properties))
    return str(client.describe_cluster(request_timeout=PATIENCE).result().cluster_id)


def test_a_worker_logs_in_with_any_password(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    """Also with a user name that holds a quotation mark."""
    files = []
    for number, (held, told) in enumerate(FILES.items()):
        kafka_broker.add_user(f'us"er{number}', told)
        files.append(written(tmp_path, number, kafka_broker, f'us"er{number}\n', held))
    files.append(written(tmp_path, len(files), kafka_broker, 'us"er0', "another"))

    *well, refused = java(tmp_path, *files)

    assert dict(zip(FILES, well, strict=True)) == dict.fromkeys(FILES, "in")
    assert "SaslAuthenticationException" in refused


@pytest.mark.parametrize("held", FILES)
async def test_consumers_and_the_operator_log_in_with_the_same(
    kafka_broker: KafkaBroker, tmp_path: Path, held: str
) -> None:
    kafka_broker.add_user("both", FILES[held])
    (tmp_path / "username").write_bytes(b"both\n")
    (tmp_path / "password").write_bytes(held.encode())
    files = {f"{name}_file": str(tmp_path / name) for name in ("username", "password")}
    contract = config.Kafka.model_validate(
        {"bootstrap_servers": kafka_broker.sasl_servers, "sasl": {"mechanism": "SCRAM-SHA-512", **files}}
    )
    kafkas = Kafkas(Shelf({"username": b"both\n", "password": held.encode()}))
    accepted = {"spec": spec(kafka_broker).model_dump(mode="json", by_alias=True, exclude_none=True)}

    assert cluster_id(connection.properties(contract))
    kafka = await kafkas.open(worlds.resource("KafkaConnection", "kafka", {}, status={"accepted": accepted}))
    assert (await answered(kafka.cluster)).cluster_id
    kafkas.close()


def test_a_password_that_is_no_text_is_said_without_it(tmp_path: Path) -> None:
    for name in ("username", "password"):
        (tmp_path / name).write_bytes(b"\xff\xfes3cret")
    files = {f"{name}_file": str(tmp_path / name) for name in ("username", "password")}
    contract = config.Kafka.model_validate(
        {"bootstrap_servers": "nowhere:9092", "sasl": {"mechanism": "PLAIN", **files}}
    )

    with pytest.raises(OSError, match="is not text: name the key of the Secret that holds text") as refused:
        connection.properties(contract)

    assert "s3cret" not in repr(refused.value)
