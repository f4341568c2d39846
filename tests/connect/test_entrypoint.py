"""How a worker's process is started, with a stand-in for Java that tells its arguments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ENTRYPOINT = Path(__file__).parents[2] / "connectors" / "connect" / "entrypoint.sh"


def start(folder: Path, properties: Path, options: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run the image's entry point with a Java that prints each argument on a line, and ``more`` in its environment."""
    java = folder / "java"
    java.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    java.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder), "HEADRACE_POD_IP": "10.0.0.7", **more}
    environment |= {"JAVA_OPTS": options} if options else {}
    words = ["sh", str(ENTRYPOINT), str(properties)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize(("address", "told"), [("10.0.0.7", "10.0.0.7"), ("fd00::7", "[fd00::7]")])
def test_a_worker_ends_when_its_memory_does_and_is_known_by_its_pod(tmp_path: Path, address: str, told: str) -> None:
    """The kubelet starts it anew; one that lived on without a thread would capture nothing and look well."""
    properties = tmp_path / "given.properties"
    properties.write_text("group.id=main\n")

    arguments = start(tmp_path, properties, HEADRACE_POD_IP=address).stdout.splitlines()

    assert "-XX:+ExitOnOutOfMemoryError" in arguments
    assert any(one.startswith("-javaagent:") and "jmx_prometheus" in one for one in arguments)
    assert Path(arguments[-1]).read_text().splitlines()[-1] == f"rest.advertised.host.name={told}"


@pytest.mark.case("clusters-7")
@pytest.mark.parametrize(
    ("options", "collector"),
    [("", "-XX:+UseSerialGC"), ("-Xmx2g -XX:+UseG1GC", "-XX:+UseG1GC"), ("-Da=*", "-XX:+UseSerialGC")],
)
def test_options_come_last_and_bring_their_own_collector(tmp_path: Path, options: str, collector: str) -> None:
    """A JVM with two collectors does not start."""
    properties = tmp_path / "given.properties"
    properties.write_text("group.id=main\n")

    arguments = start(tmp_path, properties, options).stdout.splitlines()

    assert [one for one in arguments if one.startswith("-XX:+Use") and one.endswith("GC")] == [collector]
    assert arguments[arguments.index("-cp") - len(options.split()) : arguments.index("-cp")] == options.split()


@pytest.mark.case("clusters-18")
@pytest.mark.parametrize(
    ("ip", "name"), [("10.0.0.7", "10-0-0-7.main-connect.shop.svc"), ("fd00::1", "fd00--1.main-connect.shop.svc")]
)
def test_with_a_domain_a_worker_is_known_by_a_name_that_a_certificate_can_have(
    tmp_path: Path, ip: str, name: str
) -> None:
    properties = tmp_path / "given.properties"
    properties.write_text("group.id=main\n")
    domain = {"HEADRACE_POD_IP": ip, "HEADRACE_REST_DOMAIN": "main-connect.shop.svc"}

    arguments = start(tmp_path, properties, **domain).stdout.splitlines()

    assert Path(arguments[-1]).read_text().splitlines()[-1] == f"rest.advertised.host.name={name}"


@pytest.mark.parametrize("endpoint", ["", "https://id.example.com/token?p=a&b=*"])
def test_tokens_are_got_from_the_given_endpoint_alone(tmp_path: Path, endpoint: str) -> None:
    """And from none that it redirects to: Java sends nothing after the first redirect of one."""
    properties = tmp_path / "given.properties"
    properties.write_text("group.id=main\n")

    arguments = start(tmp_path, properties, HEADRACE_TOKEN_ENDPOINT=endpoint).stdout.splitlines()

    allowed = [one for one in arguments if "oauthbearer" in one or "Redirects" in one]
    ours = [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={endpoint}", "-Dhttp.maxRedirects=1"]
    assert allowed == (ours if endpoint else [])


def test_missing_properties_are_named(tmp_path: Path) -> None:
    done = start(tmp_path, tmp_path / "nowhere")

    assert done.returncode == 64
    assert "cannot read the worker properties" in done.stderr
