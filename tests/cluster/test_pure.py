"""The cluster's pure parts: names of binaries, certificates' subjects, configuration, state, control groups."""

import hashlib
import io
import json
import os
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.cluster import (
    build,
    cgroups,
    components,
    failure,
    isolation,
    kubeconfig,
    packages,
    pypi,
    sandbox,
    settings,
    state,
    toolchain,
)
from tests.cluster.authority import Certificate
from tests.cluster.images import debian, ingredients
from tests.cluster.progress import duration

GO_MOD = """module example
require k8s.io/kubernetes v1.34.4
require (
	helm.sh/helm/v3 v3.19.0 // indirect
)
"""


def test_binaries_are_named_by_sources_and_go_version() -> None:
    sources = {"go.mod": b"a", "main.go": b"b"}
    name = build.key(sources, "1.24.11")
    assert build.key(dict(reversed(sources.items())), "1.24.11") == name
    assert build.key({**sources, "main.go": b"c"}, "1.24.11") != name
    assert build.key(sources, "1.24.12") != name
    assert build.key({"go.mod": b"am", "ain.go": b"b"}, "1.24.11") != name


def test_the_components_report_the_version_that_go_mod_requires() -> None:
    flags = build.link_flags(GO_MOD, "kube")
    assert "version.gitVersion=v1.34.4" in flags
    assert "version.gitMinor=34" in flags
    assert build.link_flags(GO_MOD, "helm").endswith("version.version=v3.19.0")


def test_a_module_that_is_not_required_is_said() -> None:
    with pytest.raises(LookupError, match=r"example\.org/other"):
        build.required(GO_MOD, "example.org/other")


def test_go_keeps_the_machines_proxy_but_none_of_its_go_settings() -> None:
    machine = {"HTTPS_PROXY": "http://proxy:1", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "auto", "PATH": "/bin"}
    environment = toolchain.environment(machine)
    assert environment["HTTPS_PROXY"] == "http://proxy:1"
    assert environment["GOTOOLCHAIN"] == "local"
    assert "GOFLAGS" not in environment
    assert environment["PATH"].split(os.pathsep) == [str(toolchain.GO_ROOT / "bin"), "/bin"]


def test_a_server_certificate_names_addresses_and_hosts() -> None:
    certificate = Certificate(file="x", user="server", serves=("localhost", "127.0.0.1"))
    assert "subjectAltName=DNS:localhost,IP:127.0.0.1" in certificate.extensions
    assert "serverAuth" in certificate.extensions


def test_a_client_certificate_carries_user_and_group() -> None:
    certificate = Certificate(file="x", user="system:node:local", group="system:nodes")
    assert certificate.subject == "/O=system:nodes/CN=system:node:local"
    assert "clientAuth" in certificate.extensions


def test_a_kubeconfig_holds_everything_and_selects_its_context() -> None:
    text = kubeconfig.content(server="https://127.0.0.1:1", authority=b"ca", certificate=b"c", key=b"k", context="here")
    config = json.loads(text)
    assert config["current-context"] == "here"
    assert config["clusters"][0]["cluster"] == {"server": "https://127.0.0.1:1", "certificate-authority-data": "Y2E="}


def test_every_configuration_file_parses() -> None:
    for name, content in settings.files().items():
        if name.endswith((".json", ".conflist")):
            json.loads(content)
        elif name.endswith(".toml"):
            tomllib.loads(content)


def test_the_kubelet_asks_the_api_server_who_may_do_what() -> None:
    kubelet = json.loads(settings.files()["kubelet.json"])
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}
    assert kubelet["failCgroupV1"] is False


def test_every_component_waits_only_for_components_that_exist_and_come_before() -> None:
    seen: set[str] = set()
    for component in components.node(Path("/bin"), python="python3", listener=3):
        assert set(component.after) <= seen, component.name
        seen.add(component.name)


def test_the_state_survives_its_file(tmp_path: Path) -> None:
    written = state.NodeState(
        pid=7, ticks=9, port=6443, components=[state.ComponentState(name="etcd", pid=2, ready=True)]
    )
    state.write(tmp_path / "state.json", written)
    assert state.read(tmp_path / "state.json") == written


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1, "components": 3}'])
def test_a_state_file_of_another_form_is_no_state(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    assert state.read(file) is None
    assert state.read(tmp_path / "absent.json") is None


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    ticks = state.start_ticks(os.getpid())
    assert ticks is not None
    assert state.is_alive(state.NodeState(pid=os.getpid(), ticks=ticks, port=1))
    assert not state.is_alive(state.NodeState(pid=os.getpid(), ticks=ticks + 1, port=1))


def test_hybrid_hierarchies_are_each_found_once(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct", "memory"):
        (tmp_path / name).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    assert [root.name for root in cgroups.hierarchies(tmp_path)] == ["cpu,cpuacct", "memory"]
    cgroups.create(tmp_path)
    (tmp_path / "memory" / "headrace" / "kubepods" / "pod1").mkdir(parents=True)
    assert len(cgroups.leftovers(tmp_path)) == 2
    assert cgroups.remove(tmp_path) == []
    assert cgroups.leftovers(tmp_path) == []


@pytest.mark.parametrize("name", cgroups.WEIGHTS)
def test_pods_weigh_more_than_one_process_beside_them(tmp_path: Path, name: str) -> None:
    group = tmp_path / "cpu" / "headrace"
    group.mkdir(parents=True)
    (group / name).touch()
    cgroups.create(tmp_path)
    assert (group / name).read_text() == str(cgroups.WEIGHTS[name])


def test_the_unified_hierarchy_hands_its_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "headrace").mkdir()
    for group in (tmp_path, tmp_path / "headrace"):
        (group / "cgroup.controllers").write_text("cpu memory rdma")
    cgroups.create(tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory"
    assert (tmp_path / "headrace" / "cgroup.subtree_control").read_text() == "+cpu +memory"
    assert cgroups.hierarchies(tmp_path) == [tmp_path]


def test_a_machine_without_control_groups_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(failure.ClusterError, match="rbind /sys"):
        cgroups.create(tmp_path)


def test_the_sandbox_image_names_its_only_layer() -> None:
    with tarfile.open(fileobj=io.BytesIO(sandbox.archive(b"program"))) as image:
        layer = _member(image, "layer.tar")
        config = json.loads(_member(image, "config.json"))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        assert files.getmember("pause").mode == 0o755


def test_a_failure_shows_the_end_of_its_log_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "etcd.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    text = str(failure.ClusterError("etcd did not come up", log=log, advice="free the port"))
    assert str(log) in text
    assert "line 99" in text
    assert "line 10\n" not in text
    assert text.endswith("what to do: free the port")


def test_packages_that_do_not_exist_are_missing() -> None:
    assert packages.missing(["dpkg", "no-such-package"]) == ["no-such-package"]


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (3.24, "3.2 s"), (125.9, "2 min 05 s")])
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def test_a_chroot_without_a_mounted_root_is_seen() -> None:
    line = "22 27 0:21 / {} rw,relatime - proc proc rw"
    assert "/" not in isolation.mount_points(line.format("/proc"))
    assert isolation.mount_points("\n".join([line.format("/"), line.format("/proc")])) == {"/", "/proc"}


def test_uv_and_the_pip_beside_it_are_found_where_uv_run_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("uv", "pip"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    monkeypatch.setenv("PATH", "")

    assert (pypi.uv(), pypi.pip()) == (str(tmp_path / "uv"), str(tmp_path / "pip"))


def test_without_uv_the_advice_is_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(failure.ClusterError, match="make"):
        pypi.uv()


def test_what_only_the_bases_python_needs_is_fetched_too() -> None:
    """The machine's may be a later release of it; what is for another system is left out as before."""
    hashed = " \\\n    --hash=sha256:0\n"
    own = f"one==1.0 ; python_full_version < '{debian.PYTHON}.3'"
    other = "two==2.0 ; sys_platform == 'win32'"
    assert ingredients.fetched(f"{own}{hashed}{other}\nthree==3.0\n") == f"one==1.0{hashed}{other}\nthree==3.0\n"
