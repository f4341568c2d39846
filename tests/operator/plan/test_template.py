"""What a template gives to pods beside what is ours; that each of its fields does is shown in test_leaves."""

from __future__ import annotations

from typing import Any

import pytest

from headrace_operator.api.resources import Resources
from headrace_operator.plan import inputs, template
from headrace_operator.plan.actions import Apply
from tests.operator import worlds
from tests.operator.plan import statuses, templates

Json = dict[str, Any]
PATHS = {
    "Consumer": ("spec", "template"),
    "ConnectCluster": ("spec", "workers", "template"),
    "OutboxRelay": ("spec", "template"),
}


def pods(given: Json | None, kind: str = "Consumer") -> Json:
    """Return the spec of the Deployment that a resource with this template has."""
    plan = statuses.planned(statuses.changed(statuses.WORLDS[kind](), spec=templates.spec(kind, given)))
    applied = [one.manifest for one in plan.actions if isinstance(one, Apply)]
    (spec,) = [one["spec"] for one in applied if one["kind"] == "Deployment"]
    return dict(spec)


@pytest.mark.case("clusters-7")
@pytest.mark.parametrize("kind", PATHS)
def test_code_gets_its_password_from_a_secret_and_what_else_is_ours_stays(kind: str) -> None:
    bare, given = pods(None, kind), pods({"env": [templates.ENV[1]]}, kind)
    (ours,), (container,) = (one["template"]["spec"]["containers"] for one in (bare, given))

    assert container.pop("env") == [*ours.pop("env", ()), templates.ENV[1]]
    assert given["template"]["metadata"]["annotations"].pop(inputs.HASH)
    assert given == bare


def nameless(volumes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return volumes but for which ConfigMap is read, whose name follows from what it holds, such as the grace."""
    return [{**one, **({"configMap": {}} if one["name"] == "config" else {})} for one in volumes]


@pytest.mark.case("clusters-7")
@pytest.mark.parametrize("kind", PATHS)
def test_what_is_ours_is_in_the_pods_of_every_template(kind: str) -> None:
    bare, given = pods(None, kind), pods(templates.FULL_OF[kind], kind)
    for part in ("replicas", "selector", "strategy"):
        assert given[part] == bare[part]
    metadata, spec = given["template"]["metadata"], given["template"]["spec"]
    (ours,), (container,) = bare["template"]["spec"]["containers"], spec["containers"]

    assert bare["template"]["metadata"]["labels"].items() <= metadata["labels"].items()
    assert spec["securityContext"] == bare["template"]["spec"]["securityContext"]
    made = bare["template"]["spec"]["volumes"]
    assert nameless(spec["volumes"][: len(made)]) == nameless(made)
    assert container["volumeMounts"][: len(ours["volumeMounts"])] == ours["volumeMounts"]
    assert all(one["securityContext"] == ours["securityContext"] for one in (container, *spec["initContainers"]))
    for same in ours.keys() - {"env", "resources", "startupProbe", "volumeMounts"}:
        assert container[same] == ours[same]


def test_a_container_that_runs_before_has_room_and_none_of_our_files() -> None:
    (made,) = pods({"initContainers": [{"name": "migrate", "image": "shop/migrate:1"}]})["template"]["spec"][
        "initContainers"
    ]

    assert made["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert made["resources"] == {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}


@pytest.mark.parametrize(
    ("startup", "failures", "deadline"),
    [(None, 600, None), ("20m", 1200, 1320), ("500ms", 1, None), ("8m", 480, None), ("90m1s", 5401, 5521)],
)
def test_a_slow_import_has_the_time_that_it_is_given(startup: str | None, failures: int, deadline: int | None) -> None:
    made = pods({"startup": startup} if startup else {})
    (container,) = made["template"]["spec"]["containers"]

    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == failures
    assert made.get("progressDeadlineSeconds") == deadline


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        ({"limits": {"memory": "64Mi"}}, {"cpu": "100m", "memory": "64Mi"}, {"memory": "64Mi"}),
        ({"requests": {"memory": "2Gi"}}, {"cpu": "100m", "memory": "2Gi"}, {"memory": "2Gi"}),
        ({"limits": {"cpu": "0.05"}}, {"cpu": "0.05", "memory": "96Mi"}, {"cpu": "0.05", "memory": "512Mi"}),
        ({"requests": {"cpu": "2"}, "limits": {"cpu": "2000m"}}, {"cpu": "2", "memory": "96Mi"}, None),
    ],
)
def test_a_default_gives_way_to_what_is_given(given: Json, requests: Json, limits: Json | None) -> None:
    known = {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}
    made = template.compute(known, Resources.model_validate(given))

    assert made["requests"] == requests
    assert made["limits"] == (limits or {"memory": "512Mi", "cpu": "2000m"})


def test_pods_are_spread_over_nodes_beside_what_is_given_or_as_it_says() -> None:
    ours, zones = pods({"topologySpread": templates.FULL["topologySpread"]})["template"]["spec"][
        "topologySpreadConstraints"
    ]
    assert (ours["topologyKey"], zones["topologyKey"]) == ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    assert zones["labelSelector"] == ours["labelSelector"]

    same = {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 3}
    (one,) = pods({"topologySpread": [same]})["template"]["spec"]["topologySpreadConstraints"]
    assert one == {**ours, **same}


def test_the_account_of_a_user_is_the_pods_own_and_says_itself_whether_its_token_is_mounted() -> None:
    spec = pods({"serviceAccountName": "shop-billing"})["template"]["spec"]

    assert spec["serviceAccountName"] == "shop-billing"
    assert "automountServiceAccountToken" not in spec
    assert pods({})["template"]["spec"]["automountServiceAccountToken"] is False


def test_options_of_the_jvm_are_what_the_image_reads() -> None:
    (container,) = pods({"jvmOptions": ["-Xmx2g", "-XX:+UseG1GC"]}, "ConnectCluster")["template"]["spec"]["containers"]

    assert {"name": "JAVA_OPTS", "value": "-Xmx2g -XX:+UseG1GC"} in container["env"]


def test_no_container_but_the_workers_own_is_given_the_token_that_reads_secrets() -> None:
    spec = pods(templates.OF_WORKERS, "ConnectCluster")["template"]["spec"]
    (init,), (container,) = spec["initContainers"], spec["containers"]

    assert spec["automountServiceAccountToken"] is False
    assert "token" in {mount["name"] for mount in container["volumeMounts"]}
    assert "token" not in {mount["name"] for mount in init["volumeMounts"]}


@pytest.mark.case("clusters-7")
@pytest.mark.parametrize(("kind", "path", "value", "told"), templates.REFUSED_OF)
def test_what_may_not_be_is_refused_by_the_plan_as_well(kind: str, path: templates.Path, value: Any, told: str) -> None:
    """Where the definitions are older than the operator: nothing is made, and no value that was written is told."""
    given = templates.changed(templates.FULL_OF[kind], path, value)
    plan = statuses.planned(statuses.changed(statuses.WORLDS[kind](), spec=templates.spec(kind, given)))
    accepted = worlds.condition(plan, "Accepted")

    assert accepted["status"] == "False"
    assert ".".join(PATHS[kind]) in accepted["message"]
    assert told in accepted["message"]
    assert "s3cret" not in accepted["message"]
    assert not plan.actions


@pytest.mark.parametrize(
    ("workers", "requests"),
    [
        ({"template": {"resources": {"requests": {"memory": "2Gi"}}}}, {"cpu": "250m", "memory": "2Gi"}),
        ({"resources": {"requests": {"cpu": "1"}}}, {"cpu": "1", "memory": "768Mi"}),
        ({"resources": {"requests": {"cpu": "1"}}, "template": {"resources": {}}}, None),
    ],
)
def test_compute_of_workers_is_said_in_one_place(workers: Json, requests: Json | None) -> None:
    spec = {"kafka": "kafka", "workers": workers}
    plan = statuses.planned(statuses.changed(worlds.connect_world(), spec=spec))
    applied = [one.manifest for one in plan.actions if isinstance(one, Apply)]
    made = [one["spec"]["template"]["spec"]["containers"] for one in applied if one["kind"] == "Deployment"]
    found = [one[0]["resources"]["requests"] for one in made]

    assert found == ([] if requests is None else [requests])
