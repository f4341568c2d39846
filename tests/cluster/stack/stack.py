"""Apply the stack's manifests and wait until their pods are ready. Knows kubectl and the images' names only."""

import json
import os
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.cluster import authority, node, places
from tests.cluster.failure import ClusterError
from tests.cluster.images import store
from tests.cluster.passing import SAYS
from tests.cluster.progress import Steps, run_logged
from tests.waiting import PATIENCE, SELDOM

HERE = Path(__file__).resolve().parent
LOG = places.CACHE / "log" / "stack.log"
FILLED = places.CACHE / "stack"
"""Where manifests are kept as they are applied: with their $names filled in, and what goes with them."""

RULES = places.ROOT / "dashboards" / "rules" / "headrace.yaml"
READY = f"{PATIENCE:.0f}s"
NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: $namespace, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
"""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the stack: the file it comes from, its manifest filled in, and what must be ready afterwards."""

    title: str
    namespace: str
    source: str
    manifest: str
    awaited: tuple[str, ...]


def kafka(namespace: str = "kafka", *, certificates: Path | None = None) -> Part:
    """One broker: kafka.NAMESPACE.svc:9092 for anybody, :9094 with a password.

    With a folder for ``certificates``, :9094 speaks TLS, and the Secret kafka-ca has its authority as ca.crt.
    """
    protocol = "SASL_SSL" if certificates else "SASL_PLAINTEXT"
    manifest = _filled("kafka.yaml", namespace=namespace, protocol=protocol)
    if certificates:
        manifest += f"---\n{_tls(namespace, certificates)}\n"
    return Part(
        title="Kafka", namespace=namespace, source="kafka.yaml", manifest=manifest, awaited=("statefulset/kafka",)
    )


def _tls(namespace: str, folder: Path) -> str:
    server = authority.Certificate(file="kafka", user="kafka", serves=(f"kafka.{namespace}.svc",))
    authority.issue(folder, [server])
    key, certificate = authority.pkcs8(folder / "kafka.key"), (folder / "kafka.crt").read_text()
    secrets = {"kafka-tls": {"server.pem": key + certificate}, "kafka-ca": {"ca.crt": (folder / "ca.crt").read_text()}}
    items = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}
        for name, data in secrets.items()
    ]
    return "\n---\n".join(map(json.dumps, items))


def monitoring() -> Part:
    """Prometheus and Alertmanager, watching the pods of all namespaces, with the alerts that Headrace ships."""
    awaited = ("deployment/prometheus", "deployment/alertmanager")
    namespace = Template(NAMESPACE).substitute(namespace="monitoring")
    manifest = f"{namespace}{_rules()}\n---\n{_filled('monitoring.yaml')}"  # read once, by a pod that may begin at once
    return Part(
        title="Prometheus", namespace="monitoring", source="monitoring.yaml", manifest=manifest, awaited=awaited
    )


def _rules() -> str:
    rules = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "headrace-rules", "namespace": "monitoring"},
        "data": {"headrace.yaml": RULES.read_text()},
    }
    return json.dumps(rules)


def postgres(namespace: str, name: str) -> Part:
    """A PostgreSQL called `name`; its database and user are its first word (`shop-db`: shop)."""
    word = name.partition("-")[0]
    values = {"namespace": namespace, "name": name, "database": word, "user": word, "password": f"{word}-secret"}
    manifest = Template(NAMESPACE).substitute(values) + _filled("postgres.yaml", **values)
    awaited = (f"statefulset/{name}",)
    return Part(
        title=f"PostgreSQL {name}", namespace=namespace, source="postgres.yaml", manifest=manifest, awaited=awaited
    )


def up(parts: list[Part], *, current: bool = False) -> None:
    """Apply these parts, then wait for all of them; `current` means the cluster of the current kubectl context.

    Each command is printed as a person would type it. Raises ClusterError with kubectl's words when one cannot be
    applied or does not become ready.
    """
    kubectl = _kubectl(current)
    steps = Steps(len(parts) * 2)
    for part in parts:
        with steps.step(f"{part.title}: apply"):
            _apply(kubectl, part)
    for part in parts:
        with steps.step(f"{part.title}: ready"):
            _await(kubectl, part)


def _apply(kubectl: list[str], part: Part) -> None:
    file = FILLED / f"{part.title.replace(' ', '-').lower()}.{part.namespace}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(part.manifest)
    source = (HERE / part.source).relative_to(places.ROOT)
    advice = f"mend what kubectl says of {source}; `kubectl get nodes` tells whether the cluster answers"
    _run(kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(file), advice=advice)
    print(f"    (that file is {source} with its $names filled in)", flush=True)


def _await(kubectl: list[str], part: Part) -> None:
    for workload in part.awaited:
        words = ("-n", part.namespace, "rollout", "status", workload, f"--timeout={READY}")
        _run(kubectl, *words, advice=f"see `kubectl -n {part.namespace} describe pods`")


def _run(kubectl: list[str], *words: str, advice: str) -> None:
    print(f"  $ kubectl {shlex.join(words)}", flush=True)
    end = time.monotonic() + PATIENCE
    while True:
        begun = LOG.stat().st_size if LOG.exists() else 0
        try:
            return run_logged([*kubectl, *words], log=LOG, advice=advice)
        except ClusterError:
            said = LOG.read_bytes()[begun:].decode(errors="replace")
            if not SAYS.search(said) or time.monotonic() > end:
                raise
        time.sleep(SELDOM)


def _filled(file: str, **values: str) -> str:
    made = store.references()
    wanted = {"kafka", "postgres", "prometheus"}
    if absent := sorted(wanted - made.keys()):
        raise ClusterError(f"no image yet: {', '.join(absent)}", advice="run `make images`")
    return Template((HERE / file).read_text()).substitute({**made, **values})


def _kubectl(current: bool) -> list[str]:
    if not current:
        return node.kubectl()
    found = shutil.which("kubectl", path=os.environ.get("PATH"))
    if found is None:
        raise ClusterError("kubectl is not on the PATH", advice="install kubectl, or leave CLUSTER=current out")
    return [found]
