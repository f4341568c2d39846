"""The demo's end: it fails when the account does not add up, and what it says to type can be typed."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from tests.cluster import build, fast, places
from tests.cluster.stack import stack
from tests.demo import __main__ as demo
from tests.demo import account, afterwards, reach, story
from tests.demo.account import Account, Books, Delivery, Order
from tests.operator.operator_process import await_kinds, kubectl

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(*, delivered: bool) -> Account:
    """Return the account of one order, whose effect is there or is lost."""
    message = uuid.UUID(int=1)
    order = Order(id=1, message=message, customer=7, sequence=1, amount=Decimal(3), committed=NOW)
    effect = Delivery(message=message, customer=7, sequence=1, position=1, redriven=0, committed=NOW)
    deliveries, balances = ((effect,), {7: Decimal(3)}) if delivered else ((), {})
    return account.account(Books(orders=(order,), deliveries=deliveries, balances=balances, refused=frozenset()))


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo prepare nothing and reach nothing: its story is told by each test."""
    monkeypatch.setattr(demo, "_prepare", lambda is_local, registry: None)
    nowhere = reach.Reach(kubectl=(), helm=(), headrace=(), environment={})
    monkeypatch.setattr(reach, "local", lambda: nowhere)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(("delivered", "code"), [(True, 0), (False, 1)])
def test_the_demo_fails_when_the_account_does_not_add_up(
    delivered: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says it, and each fault is named."""
    monkeypatch.setattr(story.Story, "tell", lambda self: told(delivered=delivered))

    assert demo.main([]) == code

    seen = capsys.readouterr()
    assert f"orders 1 · effects {int(delivered)} · lost {1 - int(delivered)} · " in seen.out
    assert re.search(r"the story took \d+ s", seen.out)
    assert ("WRONG: " in seen.err) is not delivered


@pytest.mark.usefixtures("nothing_runs")
def test_a_story_that_stops_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A step that got nowhere fails the demo, too."""

    def stop(self: story.Story) -> Account:
        raise reach.DemoError("billing did not start; see its log")

    monkeypatch.setattr(story.Story, "tell", stop)

    assert demo.main([]) == 1
    assert "billing did not start; see its log" in capsys.readouterr().err


@pytest.mark.apiserver
def test_the_printed_line_makes_every_program_be_found() -> None:
    """In a shell that knows nothing but the system's programs."""
    build.ensure()
    [line] = [line for line in afterwards.text(is_local=True).splitlines() if "export " in line]
    typed = f"{line}\nkubectl version --client && helm version && headrace --help && echo $KUBECONFIG"

    done = subprocess.run(
        ["/bin/sh", "-ec", typed], env={"PATH": os.defpath}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "v1.34" in done.stdout
    assert done.stdout.endswith(f"{places.KUBECONFIG}\n")


def test_on_the_users_own_cluster_only_the_path_is_set() -> None:
    """The user's own kubectl and context are left as they are."""
    [line] = [line for line in afterwards.text(is_local=False).splitlines() if "export " in line]

    done = subprocess.run(
        ["/bin/sh", "-ec", f"{line}\nheadrace --help"],
        env={"PATH": os.defpath}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "KUBECONFIG" not in line


@pytest.mark.apiserver
def test_what_removes_the_demo_leaves_nothing_on_the_users_cluster(tmp_path: Path) -> None:
    """No namespace, CRD or right that spans namespaces remains; here, where no controller runs, namespaces only end."""
    with fast.apiserver() as server:
        _install(server, tmp_path)
        await_kinds(server)  # a CRD that is deleted before it is served waits for minutes
        for line in afterwards.REMOVE.strip().splitlines():
            _type(server, line.strip() + (" --wait=false" if "delete namespace" in line else ""))

        left = kubectl(server, "get", "crd,clusterroles,clusterrolebindings", "-o", "name")
        namespaces = kubectl(server, "get", "namespaces", "--field-selector", "status.phase=Active", "-o", "name")

    assert [name for name in left.splitlines() if "headrace" in name] == []
    assert [name for name in namespaces.split() if "kube-" not in name] == ["namespace/default"]


def _install(server: fast.ApiServer, folder: Path) -> None:
    """Make the demo's namespaces, charts, and rights that span namespaces."""
    monitoring = yaml.safe_load_all((stack.HERE / "monitoring.yaml").read_text())
    spanning = [found for found in monitoring if "namespace" not in found["metadata"]]
    names = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("shop", "kafka")]
    file = folder / "made.yaml"
    file.write_text(yaml.safe_dump_all([*names, *spanning]))
    _type(server, f"kubectl apply -f {file}")
    install = "helm upgrade --install --namespace headrace-system"
    _type(server, f"{install} --create-namespace headrace-crds charts/headrace-crds")
    values = "--set 'watch.namespaces={shop}' --set images.registry=x.example"
    _type(server, f"{install} headrace charts/headrace {values}")


def _type(server: fast.ApiServer, line: str) -> None:
    environment = {"PATH": f"{build.folder()}:{os.defpath}", "KUBECONFIG": str(server.kubeconfig), "HOME": "/"}
    environment |= {"KUBECACHEDIR": str(server.cache)}
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=places.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
