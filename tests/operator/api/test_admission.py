"""Admission policies on a real API server: nobody has done by the operator what they may not do themselves."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import Field

from headrace_operator.api import admission, crd
from headrace_operator.api.kind import NO_DOTS, Kind
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.properties import CONNECTOR_SECRETS, WORKER_SECRETS
from headrace_operator.api.schema import API_VERSION, Credentials, Model, Status
from headrace_operator.api.secrets import named, slots
from tests.charts.rendering import CHARTS, of, render
from tests.cluster import build, fast
from tests.cluster.client import Refused, refusal
from tests.operator import worlds
from tests.operator.operator_process import await_kinds, kubectl
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.case("clusters-15")

VICTIM = "victim"
POSTGRES = {**worlds.CONNECTOR.spec["postgres"], "credentials": {"secret": "shop-db"}}
CONNECTOR = {**worlds.CONNECTOR.spec, "postgres": POSTGRES}
REDIS = {"url": "redis://redis:6379", "credentials": {"secret": "redis"}}
HTTP = {"http": {"url": "http://billing/events"}}
CONSUMER = {"from": {"kafka": "kafka", "topics": ["orders"]}, "handler": HTTP}
WORKERS = {"kafka": "kafka", "workers": {"image": "a"}}
TLS = {"secret": "redis"}
EXTERNAL: dict[str, Any] = {"url": "https://connect.example", "secretReference": "${file:/{name}:{key}}"}
SASL = {"mechanism": "PLAIN", "credentials": {"secret": "kafka-login"}}


def remembering(**redis: Any) -> dict[str, Any]:
    """Return the spec of a Consumer with a store."""
    return {**CONSUMER, "delivery": {"deduplication": {"redis": {**REDIS, "url": "rediss://redis:6379", **redis}}}}


RELAY: dict[str, Any] = {
    "kafka": "kafka",
    "table": "outbox",
    "mariadb": {"host": "d", "database": "d", "credentials": TLS},
}


def relaying(database: str, path: str) -> dict[str, Any]:
    """Return the spec of an OutboxRelay whose database names the victim at a path."""
    named: Any = {"secret": VICTIM, "key": "a"} if path == "tls.ca" else {"secret": VICTIM}
    for part in reversed(path.split(".")):
        named = {part: named}
    rest = {name: part for name, part in RELAY.items() if name != "mariadb"}
    return {**rest, database: {**RELAY["mariadb"], **named}}


VARIABLE = {"name": "A", "valueFrom": {"secretKeyRef": {"name": VICTIM, "key": "a"}}}


def volume(**source: Any) -> dict[str, Any]:
    """Return a template with one volume."""
    return {"volumes": [{"name": "a", **source}]}


FIRST = {"name": "first", "image": "a"}
TEMPLATES: dict[str, dict[str, Any]] = {
    "env[].valueFrom.secretKeyRef.name": {"env": [VARIABLE]},
    "envFrom[].secretRef.name": {"envFrom": [{"secretRef": {"name": VICTIM}}]},
    "volumes[].secret.secretName": volume(secret={"secretName": VICTIM}),
    "volumes[].projected.sources[].secret.name": volume(
        projected={"sources": [{"secret": {"name": "redis"}}, {"secret": {"name": VICTIM}}]}
    ),
    "volumes[].csi.nodePublishSecretRef.name": volume(
        csi={"driver": "a.example", "nodePublishSecretRef": {"name": VICTIM}}
    ),
    "initContainers[].env[].valueFrom.secretKeyRef.name": {"initContainers": [{**FIRST, "env": [VARIABLE]}]},
    "initContainers[].envFrom[].secretRef.name": {
        "initContainers": [{**FIRST, "envFrom": [{"secretRef": {"name": VICTIM}}]}]
    },
    "imagePullSecrets[].name": {"imagePullSecrets": [{"name": VICTIM}]},
}
NAMING: dict[tuple[str, str], dict[str, Any]] = {
    ("KafkaConnection", "tls.ca.secret"): {"bootstrapServers": "k:9092", "tls": {"ca": {"secret": VICTIM, "key": "a"}}},
    ("KafkaConnection", "tls.certificate.secret"): {
        "bootstrapServers": "k:9092", "tls": {"certificate": {"secret": VICTIM}},
    },
    ("KafkaConnection", "sasl.oauth.ca.secret"): {
        "bootstrapServers": "k:9092",
        "sasl": {
            **SASL, "mechanism": "OAUTHBEARER",
            "oauth": {"tokenEndpoint": "https://id/token", "ca": {"secret": VICTIM, "key": "a"}},
        },
    },
    ("KafkaConnection", "sasl.credentials.secret"): {
        "bootstrapServers": "k:9092", "sasl": {**SASL, "credentials": {"secret": VICTIM}},
    },
    ("Connector", "postgres.credentials.secret"): {
        **CONNECTOR, "postgres": {**POSTGRES, "credentials": {"secret": VICTIM}},
    },
    **{
        ("OutboxRelay", f"{one}.{path}.secret"): relaying(one, path)
        for one in ("postgres", "mysql", "mariadb")
        for path in ("credentials", "tls.ca", "tls.certificate")
    },
    ("Consumer", "delivery.deduplication.redis.credentials.secret"): remembering(credentials={"secret": VICTIM}),
    ("Consumer", "delivery.deduplication.redis.ca.secret"): remembering(ca={"secret": VICTIM, "key": "ca.crt"}),
    ("ConnectCluster", "rest.tls.secret"): {"kafka": "kafka", "workers": {}, "rest": {"tls": {"secret": VICTIM}}},
    ("ConnectCluster", "rest.auth.credentials.secret"): {
        "kafka": "kafka", "workers": {}, "rest": {"tls": TLS, "auth": {"credentials": {"secret": VICTIM}}},
    },
    **{
        ("ConnectCluster", f"external.{path}.secret"): {"kafka": "kafka", "external": {**EXTERNAL, **one}}
        for path, one in (
            ("tls.ca", {"tls": {"ca": {"secret": VICTIM, "key": "a"}}}),
            ("tls.certificate", {"tls": {"certificate": {"secret": VICTIM}}}),
            ("auth.credentials", {"auth": {"credentials": {"secret": VICTIM}}}),
        )
    },
    **{("Consumer", f"template.{path}"): {**CONSUMER, "template": one} for path, one in TEMPLATES.items()},
    **{("OutboxRelay", f"template.{path}"): {**RELAY, "template": one} for path, one in TEMPLATES.items()},
    **{
        ("ConnectCluster", f"workers.template.{path}"): {"kafka": "kafka", "workers": {"template": one}}
        for path, one in TEMPLATES.items()
    },
    **{
        ("ConnectCluster", f"agent.template.{path}"): {"kafka": "kafka", "workers": {}, "agent": {"template": one}}
        for path, one in TEMPLATES.items()
    },
}  # fmt: skip
"""For each place where a Secret is named, a spec that names one there."""

RAW = [
    *(("Connector", {**CONNECTOR, "config": {one: "${secrets:shop/victim:password}"}}) for one in CONNECTOR_SECRETS),
    *(
        ("ConnectCluster", {"kafka": "kafka", "workers": {"config": {one: "${secrets:shop/victim:a}"}}})
        for one in WORKER_SECRETS[:2]
    ),
]


class Sample(Model):
    """A spec that names Secrets in lists, and in lists of lists, as templates of pods do."""

    class Template(Model):
        class Ref(Model):
            name: str = Field(max_length=63, description="Name of the Secret here.")

        class Volume(Model):
            class Source(Model):
                secret: Sample.Template.Ref | None = Field(None, description="A Secret as a part.")

            sources: tuple[Source, ...] = Field(max_length=20, description="What a volume has.")

        pull_secrets: tuple[Ref, ...] | None = Field(None, max_length=40, description="Secrets for the images.")
        volumes: tuple[Volume, ...] | None = Field(None, max_length=10, description="Volumes of the pod.")
        login: Credentials | None = Field(None, description="A login by the way.")

    template: Template | None = Field(None, description="What pods are given.")
    replicas: int | None = Field(None, description="How many there are.")


LOGIN = {"template": {"login": {"secret": VICTIM}}}
SAMPLE = Kind(
    name="Sample", plural="samples", short="smp", longest_name=50, naming=NO_DOTS, description="Sample is a kind here.",
    spec=Sample, status=Status, columns=(), rules={},
)  # fmt: skip


def pulling(numbers: Iterable[int]) -> dict[str, Any]:
    """Return the spec of a Sample that names Secrets of these numbers."""
    return {"template": {"pullSecrets": [{"name": f"s{number}"} for number in numbers]}}


def sample() -> list[dict[str, Any]]:
    """Return the definition and the policy of a Sample."""
    with pytest.MonkeyPatch.context() as patch:
        for table in (admission.JUDGED, admission.CODE):
            patch.setitem(table, "Sample", ("template",))
        for module in (admission, crd):
            patch.setattr(module, "KINDS", (SAMPLE,))
        return [*crd.manifests(), *admission.policies()]


@pytest.fixture(scope="module")
def server() -> Iterator[fast.ApiServer]:
    """Run an API server with the chart of the kinds, with its policies in force, and one kind more."""
    with fast.apiserver() as running:
        helm = [str(build.folder() / "helm"), f"--kubeconfig={running.kubeconfig}", "install", "headrace-crds"]
        subprocess.run([*helm, str(CHARTS / "headrace-crds")], check=True, capture_output=True, timeout=PATIENCE)
        running.client.apply(sample())
        await_kinds(running)
        running.client.create_namespace("shop")
        nobody = user(running)
        for kind, spec in (*((kind, spec) for (kind, _), spec in NAMING.items()), RAW[-1], ("Sample", LOGIN)):
            until(f"the policy of {kind}", partial(_is_judged, running, nobody, kind, spec))
        yield running


numbers = itertools.count()


def user(server: fast.ApiServer, *rights: tuple[str, str, str, str], writes: str = "*") -> str:
    """Make someone who ``writes`` every kind and has these rights: group, resource, name (or none) and verb."""
    name = f"dev-{next(numbers)}"
    rules = [{"apiGroups": ["headrace.dev"], "resources": [writes], "verbs": ["create", "update", "patch", "get"]}]
    for group, resource, called, verb in rights:
        rules.append(
            {
                "apiGroups": [group],
                "resources": [resource],
                "verbs": [verb],
                **({"resourceNames": [called]} if called else {}),
            }
        )
    made = {"apiVersion": f"{admission.RBAC}/v1", "metadata": {"name": name}}
    subject = {"kind": "User", "name": name, "apiGroup": admission.RBAC}
    bound = {"roleRef": {"kind": "Role", "name": name, "apiGroup": admission.RBAC}, "subjects": [subject]}
    both = [{**made, "kind": "Role", "rules": rules}, {**made, "kind": "RoleBinding", **bound}]
    server.client.apply(both, "shop")
    return name


def refused(server: fast.ApiServer, who: str, kind: str, spec: dict[str, Any]) -> str:
    """Return what the API server has against it that ``who`` applies a resource; nothing is kept, and all is judged."""
    manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    return refusal(partial(server.client.apply, manifest, "shop", who=who, dry=True))


USES = ("kafkaconnections", "connectclusters", "connectors", "externalconnects")
ALL = (
    *(("headrace.dev", plural, "", "use") for plural in USES), ("", "pods", "", "create"), ("", "secrets", "", "get"),
)  # fmt: skip
BUT_SECRETS, BUT_PODS = ALL[:-1], (*ALL[:4], ALL[5])


def judged(server: fast.ApiServer, who: str, kind: str, spec: dict[str, Any]) -> str | None:
    """Return why ``who`` may not write it, None if they may: once their Role, all of it at a time, is in force."""

    def answered() -> tuple[str] | None:
        said = refused(server, who, kind, spec)
        return None if "cannot" in said else (said,)

    (said,) = until(f"the rights of {who}", answered)
    return said or None


def _is_judged(server: fast.ApiServer, who: str, kind: str, spec: dict[str, Any]) -> bool:
    return "denied request: you " in refused(server, who, kind, spec)


def test_every_place_that_names_a_secret_has_an_example() -> None:
    found = {(kind.name, path) for kind in KINDS for path in slots(crd.schema(kind)["properties"]["spec"])}

    assert found == set(NAMING)
    for (kind, path), spec in NAMING.items():
        assert VICTIM in named(spec), (kind, path)
    assert set(admission.RAW) == {kind for kind, _ in RAW}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_names_something_is_judged_when_it_changes(kind: Kind) -> None:
    """Each Secret, each use, all code and all raw properties, lie in what a change of is judged."""
    spec = crd.schema(kind)["properties"]["spec"]
    named = [
        *slots(spec),
        *(path for path, _ in admission.USED.get(kind.name, ())),
        *admission.CODE.get(kind.name, ()),
        *(path for _, path, _ in admission.ADDRESSES.get(kind.name, ())),
    ]
    raw = admission.RAW.get(kind.name)

    for path in [*named, *([raw] if raw else [])]:
        assert any(f"{path}.".startswith(f"{part}.") for part in admission.JUDGED[kind.name]), path


@pytest.mark.parametrize("policy", admission.policies()[::2], ids=lambda policy: policy["metadata"]["name"])
def test_the_questions_stay_within_the_budget(policy: dict[str, Any]) -> None:
    """What Kubernetes allows an expression and a policy, of which a question to the authorizer costs 350,000."""
    questions = [one["expression"].count(".check(") for one in policy["spec"]["validations"]]

    assert max(questions) * 350_000 < 1_000_000
    assert sum(questions) * 350_000 < 9_000_000


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "spec"), [*((kind, spec) for (kind, _), spec in NAMING.items()), *RAW])
def test_who_may_not_get_a_secret_names_none(server: fast.ApiServer, kind: str, spec: dict[str, Any]) -> None:
    """Wherever a spec names one; a right to it alone lets it through."""
    others = (*BUT_SECRETS, *(("", "secrets", name, "get") for name in ("shop-db", "redis", "kafka-login")))

    refused = judged(server, user(server, *others), kind, spec)
    assert "you name the Secret victim and may not get it in namespace shop: name one" in str(refused)
    assert judged(server, user(server, *others, ("", "secrets", VICTIM, "get")), kind, spec) is None


@pytest.mark.apiserver
@pytest.mark.parametrize(
    ("kind", "plural", "spec"),
    [
        ("ConnectCluster", "kafkaconnections", {"kafka": "a", "workers": {}}),
        ("Connector", "connectclusters", {**CONNECTOR, "connect": "a"}),
        ("Consumer", "kafkaconnections", {**CONSUMER, "from": {"kafka": "a", "topics": ["b"]}}),
        ("Consumer", "connectors", {**CONSUMER, "from": {"connector": "a", "routes": ["b"]}}),
        ("OutboxRelay", "kafkaconnections", {**RELAY, "kafka": "a"}),
    ],
)
def test_who_may_not_use_a_resource_refers_to_none(
    server: fast.ApiServer, kind: str, plural: str, spec: dict[str, Any]
) -> None:
    others = tuple(one for one in ALL if one[1] != plural)

    refused = judged(server, user(server, *others, ("headrace.dev", plural, "b", "use")), kind, spec)
    assert f" a and may not use it in namespace shop: ask for a Role with the verb use on {plural}" in str(refused)
    assert judged(server, user(server, *others, ("headrace.dev", plural, "a", "use")), kind, spec) is None


@pytest.mark.apiserver
def test_who_may_not_update_a_connector_has_it_take_no_snapshot(server: fast.ApiServer) -> None:
    """Its filter is SQL that runs with the Connector's login; who only reads its topics may use it, and no more."""
    spec = {"connector": "a", "tables": ["public.orders"], "filter": [{"table": "public.orders", "where": "true"}]}
    wrong = (*ALL, ("headrace.dev", "connectors", "b", "update"))

    refused = str(judged(server, user(server, *wrong, writes="snapshots"), "Snapshot", spec))
    assert "you have the Connector a do something and may not update it in namespace shop" in refused
    assert "ask for a Role with the verb update on connectors.headrace.dev" in refused
    right = ("headrace.dev", "connectors", "a", "update")
    assert judged(server, user(server, right, writes="snapshots"), "Snapshot", spec) is None


@pytest.mark.apiserver
def test_who_may_not_use_an_address_has_the_operator_ask_none(server: fast.ApiServer) -> None:
    """It reaches workers of other namespaces, which let in nobody else."""
    others = tuple(one for one in ALL if one[1] != "externalconnects")
    theirs = {"kafka": "kafka", "external": {"url": "http://main-connect.victim.svc:8083"}}
    right = ("headrace.dev", "externalconnects", EXTERNAL["url"], "use")

    refused = judged(server, user(server, *others, right), "ConnectCluster", theirs)
    assert "you name the address http://main-connect.victim.svc:8083" in str(refused)
    assert "ask for a Role with the verb use on externalconnects" in str(refused)
    own = {"kafka": "kafka", "external": EXTERNAL}
    assert judged(server, user(server, *others, right), "ConnectCluster", own) is None


@pytest.mark.apiserver
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ConnectCluster", {"kafka": "kafka", "workers": {"image": "registry.example/evil:1"}}),
        ("Consumer", {**CONSUMER, "handler": {"python": {"function": "os:system"}}}),
        ("Consumer", {**CONSUMER, "handler": {"python": {"function": "a:b", "source": {"configMap": "a"}}}}),
        ("OutboxRelay", {**RELAY, "template": {"initContainers": [FIRST]}}),
        ("Sample", {"template": {}}),
    ],
)
def test_who_may_not_create_pods_brings_no_code(server: fast.ApiServer, kind: str, spec: dict[str, Any]) -> None:
    refused = judged(server, user(server, *BUT_PODS), kind, spec)

    assert "says what runs in pods, and you may not create pods in namespace shop" in str(refused)
    assert judged(server, user(server, *ALL), kind, spec) is None


EDITS: tuple[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]], ...] = (
    ("KafkaConnection", {"bootstrapServers": "k:9092", "sasl": SASL}, {}, {"bootstrapServers": "evil:9092"}),
    ("Connector", CONNECTOR, {"state": "Paused"}, {"postgres": {"host": "evil"}}),
    ("Connector", CONNECTOR, {"topics": {"partitions": 3}}, {"config": {"database.hostname": "evil"}}),
    (
        "Consumer",
        remembering(),
        {"scale": {"max": 3}},
        {"delivery": {"deduplication": {"redis": {"url": "rediss://e"}}}},
    ),
    ("ConnectCluster", WORKERS, {"workers": {"replicas": 2}}, {"workers": {"image": "evil"}}),
    ("OutboxRelay", RELAY, {"replicas": 2, "batch": 9}, {"mariadb": {"host": "evil"}}),
)
"""A spec, an edit that is no reference, address or code, and one that is."""


@pytest.mark.apiserver
@pytest.mark.parametrize(("kind", "spec", "well", "wrong"), EDITS)
def test_an_address_is_judged_as_the_secret_that_is_sent_there(
    server: fast.ApiServer, kind: str, spec: dict[str, Any], well: dict[str, Any], wrong: dict[str, Any]
) -> None:
    """Who may do neither may still scale, pause and label what others made."""
    who, name = user(server), f"edited-{next(numbers)}"
    made = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    server.client.apply(made, "shop")
    until("the right to edit", lambda: judged(server, who, "KafkaConnection", {"bootstrapServers": "k:9092"}) is None)

    server.client.patch(kind, name, {"metadata": {"labels": {"a": "b"}}, "spec": well}, "shop", who=who)
    with pytest.raises(Refused, match=r"you may not|and may not"):
        server.client.patch(kind, name, {"spec": wrong}, "shop", who=who)


@pytest.mark.apiserver
@pytest.mark.parametrize(
    "template",
    [
        {"pullSecrets": [{"name": "redis"}, {"name": VICTIM}]},
        {"volumes": [{"sources": [{}, {"secret": {"name": "redis"}}]}, {"sources": [{"secret": {"name": VICTIM}}]}]},
        {"login": {"secret": VICTIM}, "volumes": [{"sources": []}]},
    ],
)
def test_a_secret_in_a_list_is_found(server: fast.ApiServer, template: dict[str, Any]) -> None:
    """Also in one within another, and beside others that are allowed."""
    spec = {"template": template}

    refused = judged(server, user(server, *BUT_SECRETS, ("", "secrets", "redis", "get")), "Sample", spec)
    assert "you name the Secret victim and may not get it" in str(refused)
    assert judged(server, user(server, *ALL), "Sample", spec) is None


@pytest.mark.apiserver
def test_so_many_secrets_may_be_named_and_no_more(server: fast.ApiServer) -> None:
    """One that is named often counts once, and the last one is judged as the first."""
    all_but_one = user(server, *BUT_SECRETS, *(("", "secrets", f"s{number}", "get") for number in range(19)))
    who, most = user(server, *ALL), pulling(number % 20 for number in range(40))
    workers = {one: f"${{secrets:shop/s{number}:a}}" for number, one in enumerate(WORKER_SECRETS)}

    assert judged(server, who, "Sample", most) is None
    assert "more than 20 Secrets are named" in str(judged(server, who, "Sample", pulling(range(21))))
    assert "you name the Secret s19 and may not get it" in str(judged(server, all_but_one, "Sample", most))
    assert judged(server, who, "ConnectCluster", {**WORKERS, "workers": {"image": "a", "config": workers}}) is None


@pytest.mark.apiserver
def test_the_role_that_edit_is_made_of_lets_use(server: fast.ApiServer) -> None:
    """Whoever has it, and may get Secrets and create pods as Kubernetes' own role edit lets, may write each kind.

    An address that the operator would ask for them is none that they may use by it.
    """
    who = user(server, *ALL[4:])
    kubectl(
        server, "create", "rolebinding", f"{who}-edit", "-n", "shop", "--clusterrole=headrace-edit", f"--user={who}"
    )
    until("the role", lambda: judged(server, who, "ConnectCluster", WORKERS) is None)

    for (kind, _), spec in NAMING.items():
        refused = judged(server, who, kind, spec)
        assert ("externalconnects" in str(refused)) if "external" in spec else refused is None


def test_policies_and_roles_can_be_left_out() -> None:
    chart, off = CHARTS / "headrace-crds", "admissionPolicies=false,aggregatedRoles=false"
    every, bare = (render(*more, chart=chart, images=()) for more in ((), ("--set", off)))

    assert {one["kind"] for one in bare} == {"CustomResourceDefinition"}
    assert len(of("ValidatingAdmissionPolicy", every)) == len(KINDS)
    assert len(of("ValidatingAdmissionPolicyBinding", every)) == len(KINDS)
    edit = next(role for role in of("ClusterRole", every) if role["metadata"]["name"] == "headrace-edit")
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"


def test_the_committed_chart_is_what_the_schemas_make() -> None:
    for name, text in admission.files().items():
        assert (CHARTS / "headrace-crds/templates" / name).read_text() == text, "run make generate"
