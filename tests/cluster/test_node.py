"""The running node, from outside: its names, its registry, its API, and that it stands apart from the machine."""

import json
import os
import subprocess
import sys

import pytest

from tests.cluster import node, places, settings
from tests.cluster.passing import outlasted
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.cluster


def kubectl(*arguments: str) -> str:
    words = [*node.kubectl(), *arguments]
    done = outlasted(lambda: subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_node_is_ready_and_is_what_go_mod_says() -> None:
    [item] = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    assert item["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    assert {"type": "Ready", "status": "True"}.items() <= item["status"]["conditions"][-1].items()


def test_the_line_that_status_prints_reaches_it_with_every_program() -> None:
    status = [sys.executable, "-m", "tests.cluster", "status"]
    said = subprocess.run(status, cwd=places.ROOT, capture_output=True, text=True, check=True).stdout
    [line] = [line for line in said.splitlines() if "export " in line]
    typed = f"{line}\nkubectl get --raw /readyz && helm list -A && headrace --help"
    subprocess.run(["/bin/sh", "-ec", typed], env=os.environ | {"PATH": os.defpath}, check=True, timeout=PATIENCE)


def test_its_registry_answers_in_its_network_only() -> None:
    script = f"import urllib.request as r; print(r.urlopen('http://{places.REGISTRY}/v2/', timeout=60).status)"
    assert node.run(["python3", "-c", script]).strip() == "200"
    assert os.readlink(f"/proc/{node.running().pid}/ns/net") != os.readlink("/proc/self/ns/net")


def test_the_dns_service_leads_to_the_node() -> None:
    assert kubectl("-n", "kube-system", "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}") == (
        settings.DNS_SERVICE
    )


def test_requests_are_in_the_audit_log() -> None:
    kubectl("get", "namespace", "kube-system")

    def is_told() -> bool:
        lines = places.AUDIT_LOG.read_text().splitlines()
        return any('"username":"headrace-admin"' in line and '"verb":"get"' in line for line in lines)

    until("the request in the audit log", is_told)


def test_the_kubelet_refuses_who_is_not_known() -> None:
    url = f"https://{settings.NODE_ADDRESS}:10250/pods"
    script = (
        "import ssl,urllib.request as r,urllib.error as e\n"
        f"try: print(r.urlopen('{url}', context=ssl._create_unverified_context(), timeout=60).status)\n"
        "except e.HTTPError as error: print(error.code)"
    )
    assert node.run(["python3", "-c", script]).strip() == "401"
