"""The chart `headrace`: what it renders, which values it refuses, which rights it gives. Helm renders; no cluster."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_operator.clients import api
from headrace_operator.observed.kube import Children
from headrace_operator.plan import connectcluster, consumer
from tests.charts.rendering import CHART, CHARTS, IMAGES, of, render, run, template
from tests.cluster.images.__main__ import values
from tests.operator import worlds

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/rights.yaml"
MONITORING = "monitoring.coreos.com/v1"
KINDS = ("-a", f"{MONITORING}/PodMonitor", "-a", f"{MONITORING}/PrometheusRule")
MAPS = ("labels", "annotations", "nodeSelector", "affinity", "podLabels", "podAnnotations")
"""Values with keys of the user's own."""

WATCH = ("--set", "watch.namespaces={shop,bakery}")
NAMES = ("operator", "runtime", "connect", "agent")


pytestmark = pytest.mark.slow


def _keys(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and key not in MAPS:
            yield from _keys(value, f"{above}{key}.")
        else:
            yield above + key


def _places(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield above + key
            yield from _places(value, f"{above}{key}.")


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for child in node.values():
            yield from _objects(child)


def _values() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return read


PLACES = tuple(_places(_values()))


@pytest.mark.parametrize("chart", ["headrace", "headrace-crds"])
def test_lint_is_clean(chart: str) -> None:
    """Helm's strict lint finds nothing."""
    done = run("lint", "--strict", "--kube-version", "1.34.0", str(CHARTS / chart))

    assert done.returncode == 0, done.stdout


def test_rights_equal_the_golden_file() -> None:
    """Whoever widens the rights edits a file that says so."""
    roles = {
        role["metadata"]["name"]: role["rules"]
        for role in of("Role", render(*WATCH))
        if role["metadata"].get("namespace") in (None, "headrace-system", "shop")
    }

    assert roles == yaml.safe_load(GOLDEN.read_text())


def test_to_watch_all_is_the_same_rights_in_all() -> None:
    """One ClusterRole with the rules of each Role, its own namespace's Lease, and no object that names another one."""
    objects = render("--set", "watch.all=true")
    (everywhere,), (bound,) = of("ClusterRole", objects), of("ClusterRoleBinding", objects)
    golden = yaml.safe_load(GOLDEN.read_text())
    rules = [{key: rule[key] for key in rule if rule[key] != ["shop"]} for rule in golden["headrace-operator"]]

    assert everywhere["rules"] == rules
    assert bound["roleRef"]["name"] == everywhere["metadata"]["name"]
    assert bound["subjects"] == of("RoleBinding", objects)[0]["subjects"]
    assert {one["metadata"]["name"]: one["rules"] for one in of("Role", objects)} == {
        "headrace-operator-lease": golden["headrace-operator-lease"]
    }
    assert {one["metadata"].get("namespace") for one in objects} <= {None, "headrace-system"}
    assert _told(objects)["HEADRACE_WATCH_NAMESPACES"] == "*"


def test_monitors_look_in_all_namespaces_where_all_are_watched() -> None:
    """And in the watched ones only where they are named."""
    everywhere, named = (of("PodMonitor", render(*KINDS, *words))[1] for words in (("--set", "watch.all=true"), WATCH))

    assert everywhere["spec"]["namespaceSelector"] == {"any": True}
    assert named["spec"]["namespaceSelector"] == {"matchNames": ["shop", "bakery"]}


def test_all_namespaces_and_some_are_not_both_watched() -> None:
    done = template("--set", "watch.all=true", *WATCH)

    assert done.returncode != 0
    assert "watch.all and watch.namespaces are both given" in done.stderr


def test_rights_are_named_and_bound_in_the_watched_namespaces_only() -> None:
    """No ClusterRole, no wildcard; Secrets are got by name and nothing more; nothing is asked of unknown kinds."""
    objects = render(*WATCH)
    rules = [rule for role in of("Role", objects) for rule in role["rules"]]
    asked = {kind.split("/")[0] for rule in rules for kind in rule["resources"]}

    assert not [one for one in objects if one["kind"].startswith("Cluster")]
    assert "*" not in str(rules)
    assert {tuple(rule["verbs"]) for rule in rules if "secrets" in rule["resources"]} == {("get",)}
    assert asked == {*api.PLURALS.values(), "namespaces"}
    bound = [one["metadata"].get("namespace") for one in of("RoleBinding", objects)]
    assert bound in ([None, "shop", "bakery"], ["headrace-system", "shop", "bakery"])


@pytest.mark.case("clusters-18")
def test_pods_are_reached_where_they_are_asked_how_they_are_and_nowhere_else() -> None:
    """The operator's and each Consumer's: a policy selects them, and lets probes and Prometheus in at their ports."""
    objects = render(*WATCH)
    made = consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW)
    pod = worlds.applied(Children(objects={}), made.actions).objects[("Deployment", "billing-consumer")]
    policies = {
        (one["metadata"].get("namespace"), one["metadata"]["name"]): one["spec"] for one in of("NetworkPolicy", objects)
    }

    assert set(policies) == {
        (None, "headrace-operator"),
        ("shop", "headrace-consumers"),
        ("bakery", "headrace-consumers"),
    }
    for policy, deployment in (
        (policies[None, "headrace-operator"], of("Deployment", objects)[0]),
        (policies["shop", "headrace-consumers"], pod),
    ):
        template = deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert policy["policyTypes"] == ["Ingress"]
        (rule,) = policy["ingress"]
        assert {one["port"] for one in rule["ports"]} == {one["name"] for one in container["ports"]}


def test_operator_meets_the_restricted_standard() -> None:
    """No privilege, no writable root, bounded memory, both probes; drains are told of it."""
    (budget,) = of("PodDisruptionBudget", render())
    (deployment,) = of("Deployment", render())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]
    assert container["livenessProbe"]
    assert container["readinessProbe"]
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]


@pytest.mark.case("clusters-1")
@pytest.mark.parametrize(("replicas", "strategy"), [(1, "Recreate"), (2, "RollingUpdate"), (3, "RollingUpdate")])
def test_others_stand_by_on_other_nodes(replicas: int, strategy: str) -> None:
    """One alone ends before the next begins; of several one goes at a time, in an upgrade as in a drain."""
    rendered = render("--set", f"replicas={replicas}")
    deployment, budget = (of(kind, rendered)[0] for kind in ("Deployment", "PodDisruptionBudget"))
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0]

    assert deployment["spec"]["replicas"] == replicas
    assert deployment["spec"]["strategy"] == {"type": strategy}
    assert budget["spec"]["maxUnavailable"] == 1
    assert spread["labelSelector"] == deployment["spec"]["selector"]


def test_monitoring_follows_the_cluster() -> None:
    """Monitors and rules come where their kinds exist, the dashboard always, and each can be turned off."""
    off = [part for one in ("podMonitors", "rules", "dashboards") for part in ("--set", f"monitoring.{one}=false")]
    bare, full = render(), render(*KINDS)
    (rules,) = of("PrometheusRule", full)
    (board,) = of("ConfigMap", bare)

    assert not [one for one in bare if one["apiVersion"] == MONITORING]
    assert len(of("PodMonitor", full)) == 2
    assert rules["spec"] == yaml.safe_load((ROOT / "dashboards/rules/headrace.yaml").read_text())
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["data"]["headrace-overview.json"].strip() == (
        (ROOT / "dashboards/headrace-overview.json").read_text().strip()
    )
    assert not [one for one in render(*KINDS, *off) if one["kind"] in ("PodMonitor", "PrometheusRule", "ConfigMap")]


def test_monitors_find_every_pod() -> None:
    """Operator, consumers and workers have the labels and exactly one of the ports that their monitor names."""
    objects = render(*KINDS, *WATCH)
    own, pipelines = (one["spec"] for one in of("PodMonitor", objects))
    planned = {
        "billing-consumer": consumer.plan(worlds.consumer_world(), worlds.SETTINGS, worlds.NOW),
        "main-connect": connectcluster.plan(worlds.connect_world(), worlds.SETTINGS, worlds.NOW),
    }

    assert _ports(own, of("Deployment", objects)[0]) == ["metrics"]
    assert pipelines["namespaceSelector"] == {"matchNames": ["shop", "bakery"]}
    for name, plan in planned.items():
        made = worlds.applied(Children(objects={}), plan.actions).objects
        assert len(_ports(pipelines, made[("Deployment", name)])) == 1


def test_runbooks_are_linked_where_they_are() -> None:
    """An alert links to the page at the address that was given."""
    (rules,) = of("PrometheusRule", render(*KINDS, "--set", "monitoring.runbooks=https://runbooks.example/headrace"))
    every = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]

    assert every
    for rule in every:
        assert rule["annotations"]["runbook_url"] == f"https://runbooks.example/headrace/{rule['alert']}.md"


@pytest.mark.parametrize("key", ["images.registry", "global.registry"])
def test_one_value_moves_every_image(key: str) -> None:
    """In an air-gapped cluster one registry holds them all."""
    images = _images("--set", f"{key}=registry.example/mirror/")

    assert images == {name: f"registry.example/mirror/{name}:0.1.0" for name in NAMES}


@pytest.mark.case("clusters-16")
@pytest.mark.parametrize("missing", [name for name in NAMES if name != "agent"])
@pytest.mark.parametrize("others", [True, False])
def test_no_image_comes_from_a_registry_that_nobody_named(missing: str, others: bool) -> None:
    """Nothing is rendered, and one sentence says what to run; so it is when only one of the three was forgotten."""
    given = [f"images.{name}=host/path/{name}:1" for name in NAMES if others and name != missing]

    done = template(*(word for one in given for word in ("--set", one)), images=())

    assert done.returncode != 0
    assert done.stdout == ""
    assert f"images.{missing if others else 'operator'} is missing and there are no published images" in done.stderr
    assert "run `make images REGISTRY=host/path > images.yaml`" in done.stderr


def test_the_agents_image_may_be_left_out() -> None:
    """Values of a release that had none still install this one."""
    given = [word for name in NAMES if name != "agent" for word in ("--set", f"images.{name}=host/path/{name}:1")]

    assert "HEADRACE_AGENT_IMAGE" not in _told(render(*given, images=()))


@pytest.mark.case("clusters-16")
def test_what_make_images_prints_is_what_the_chart_takes(tmp_path: Path) -> None:
    """References with their digests, as they are; images that are no part of the chart are comments."""
    made = {name: f"registry.example:5000/shop/{name}:7d3@sha256:{'ab' * 32}" for name in (*NAMES, "kafka")}
    (tmp_path / "images.yaml").write_text(values(made))

    assert _images("-f", str(tmp_path / "images.yaml")) == {name: made[name] for name in NAMES}


@pytest.mark.parametrize("place", PLACES)
def test_typo_below_the_root_is_refused(place: str) -> None:
    """At each depth: a value that would do nothing fails, and the failure names it."""
    done = template("--set", f"{place}.nonsense=1")

    assert done.returncode != 0
    assert "nonsense" in done.stderr


def test_schema_is_strict_everywhere() -> None:
    """But for labels and annotations, affinities, which are Kubernetes' to judge, and what parent charts give."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    open_ones = [node for node in _objects(schema) if node.get("additionalProperties") is not False]

    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    assert open_ones == [*4 * [{"type": "object"}], texts]
    assert schema["properties"]["global"] == {"type": "object"}
    assert list(schema["properties"]["affinity"]["properties"].values()) == 3 * [{"type": "object"}]


@pytest.mark.case("seeing-3")
@pytest.mark.parametrize(
    "value", ["nodeSelektor.disk=ssd", "toleration={a}", "commonLabels.team=a", "labels.a=b", "wach.namespaces={a}"]
)
def test_a_value_that_nothing_reads_is_refused_at_the_root(value: str) -> None:
    """Also where notes are not shown, as by `helm template`, Argo CD and Flux."""
    done = template("--set", value)

    assert done.returncode != 0
    assert value.split("=", maxsplit=1)[0].split(".", maxsplit=1)[0] in done.stderr


@pytest.mark.parametrize("names", ["{shop,shop}", r"{shop\,billing}", "{Shop}"])
def test_a_namespace_twice_or_that_is_no_name_is_refused(names: str) -> None:
    """It made two objects of one name, or one in a namespace that cannot be, and the install stopped amid them."""
    done = template("--set", f"watch.namespaces={names}")

    assert done.returncode != 0
    assert "/watch/namespaces" in done.stderr


def test_the_operator_is_told_the_name_of_its_cluster() -> None:
    """None unless it is given; one that names on Kafka could not have is refused."""
    given = ((), ("--set", "clusterName=east"))
    told = [_told(render(*values))["HEADRACE_CLUSTER_NAME"] for values in given]

    assert told == ["", "east"]
    for wrong in ("East", "a.b", "a-", "dlq", "x" * 31):
        done = template("--set", f"clusterName={wrong}")
        assert done.returncode != 0
        assert "clusterName" in done.stderr


def test_the_values_of_the_example_name_a_cluster() -> None:
    rendered = render("-f", str(ROOT / "operator/examples/values/shared-kafka.yaml"))

    assert _told(rendered)["HEADRACE_CLUSTER_NAME"] == "east"
    assert {one["metadata"].get("namespace") for one in of("Role", rendered)} == {None, "shop"}  # None is the release's


@pytest.mark.case("seeing-3")
def test_monitors_and_rules_have_the_label_that_a_prometheus_selects_by() -> None:
    """As kube-prometheus-stack does by `release`; what selects pods stays ours."""
    objects = render(
        *KINDS, "--set", "monitoring.labels.release=kps", "--set", r"monitoring.labels.example\.com/team=a"
    )
    found = [*of("PodMonitor", objects), *of("PrometheusRule", objects)]

    assert len(found) == 3
    for one in found:
        assert one["metadata"]["labels"]["release"] == "kps"
        assert one["metadata"]["labels"]["example.com/team"] == "a"
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "headrace"
    assert "kps" not in str([one for one in objects if one["kind"] not in ("PodMonitor", "PrometheusRule")])


@pytest.mark.case("seeing-3")
def test_the_interval_of_scrapes_is_that_of_prometheus_or_ours() -> None:
    """Of every port of every monitor."""
    asked, silent = render(*KINDS, "--set", "monitoring.interval=30s"), render(*KINDS)

    assert [one["interval"] for one in _endpoints(asked)] == ["30s"] * 3
    assert [one for one in _endpoints(silent) if "interval" in one] == []
    assert template("--set", "monitoring.interval=often").returncode != 0


@pytest.mark.case("seeing-3")
def test_dashboards_go_where_a_sidecar_looks() -> None:
    """Label, folder, further annotations and namespace; a label that is set to null is gone."""
    places = (
        "dashboards.labels.grafana_dashboard=null", "dashboards.labels.boards=yes",
        "dashboards.namespace=monitoring", "dashboards.folder=Data capture", "dashboards.annotations.owner=data",
    )  # fmt: skip
    (moved,) = of("ConfigMap", render(*(word for place in places for word in ("--set", place))))
    (plain,) = of("ConfigMap", render())

    assert moved["metadata"]["namespace"] == "monitoring"
    assert moved["metadata"]["annotations"] == {"grafana_folder": "Data capture", "owner": "data"}
    assert moved["metadata"]["labels"]["boards"] == "yes"
    assert "grafana_dashboard" not in moved["metadata"]["labels"]
    assert plain["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert not {"annotations", "namespace"} & set(plain["metadata"])


@pytest.mark.case("seeing-3")
def test_helm_template_renders_by_the_words_of_the_readme() -> None:
    """It knows no cluster, so that its version and the kinds there must be given."""
    text = (CHART / "README.md").read_text()
    words = [word for line in re.findall(r"`(--(?:kube-version|api-versions)[^`]*)`", text) for word in line.split()]
    done = run("template", "headrace", str(CHART), *IMAGES, *words)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kind: PodMonitor") == 2


def test_it_renders_as_a_part_of_another_chart(tmp_path: Path) -> None:
    """With `global` and the condition beside its own."""
    (tmp_path / "charts").mkdir()
    shutil.copytree(CHART, tmp_path / "charts/headrace")
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: parent\nversion: 0.1.0\n")
    (tmp_path / "values.yaml").write_text("global: {registry: registry.example}\nheadrace: {enabled: true}\n")

    (deployment,) = of("Deployment", render(chart=tmp_path, images=()))

    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].startswith("registry.example/")


def test_readme_names_every_value_and_no_other() -> None:
    """The table is the values, and each of them is accepted where a user sets it to what it is anyway."""
    table = [line.split("|")[1] for line in (CHART / "README.md").read_text().splitlines() if line.startswith("| `")]
    named = {key for cell in table for key in re.findall(r"`([^`]+)`", cell)}
    real = {".".join(key.split(".")[:2]) if key.startswith("resources.") else key for key in _keys(_values())}

    assert named == real
    assert render("--set-json", 'resources.limits={"cpu": 1, "memory": "1Gi"}')
    for key in named:
        value = functools.reduce(lambda node, part: node[part], key.split("."), _values())
        assert render("--set-json", f"{key}={json.dumps(value)}")


def test_upgrade_changes_nothing_that_cannot_change() -> None:
    """The selector does not follow version or values."""
    before, after = (
        of("Deployment", render(*more))[0]["spec"] for more in ((), (*WATCH, "--set", "images.operator=b"))
    )

    assert before["selector"] == after["selector"]
    assert set(before["selector"]["matchLabels"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert before["strategy"] == {"type": "Recreate"}


def _told(objects: list[dict[str, Any]]) -> dict[str, str]:
    """Return the environment of the operator that has values."""
    (container,) = of("Deployment", objects)[0]["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def _images(*arguments: str) -> dict[str, str]:
    """Return the references that the operator's pod is made from and given."""
    objects = render(*arguments, images=())
    given = _told(objects)
    return {
        "operator": of("Deployment", objects)[0]["spec"]["template"]["spec"]["containers"][0]["image"],
        "runtime": given["HEADRACE_RUNTIME_IMAGE"],
        "connect": given["HEADRACE_CONNECT_IMAGE"],
        "agent": given["HEADRACE_AGENT_IMAGE"],
    }


def _ports(monitor: dict[str, Any], deployment: Any) -> list[str]:
    """Return the ports that a PodMonitor scrapes of a Deployment's pods; none when it does not select them."""
    template = deployment["spec"]["template"]
    labels, selector = template["metadata"]["labels"], monitor["selector"]
    chosen = selector["matchLabels"].items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ())
    )
    scraped = {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]}
    ports = [port["name"] for container in template["spec"]["containers"] for port in container["ports"]]
    return [name for name in ports if chosen and name in scraped]


def _endpoints(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for monitor in of("PodMonitor", objects) for one in monitor["spec"]["podMetricsEndpoints"]]
