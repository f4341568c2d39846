"""What the operator's client makes of Kafka Connect: the fake and the real one must both pass.

Where they differ, the real one is right.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from headrace_operator.api.properties import CONNECTOR_SECRETS
from headrace_operator.clients import errors
from headrace_operator.clients.connect import Connect
from headrace_operator.observed.connect import ConnectorSeen
from headrace_operator.observed.value import Absent
from tests.connect_worker import ConnectWorker
from tests.contract.bench import Bench, FakeBench, Patient, RealBench, cleared, configuration, new_name, until
from tests.fakes.connect import CLASS, OTHERS, REBALANCING, fake_connect
from tests.ports import free_port
from tests.waiting import PATIENCE


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with aiohttp.ClientSession() as session:
        yield Patient(session, deadline=PATIENCE)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slow)])
async def bench(request: pytest.FixtureRequest, connect: Connect) -> AsyncIterator[Bench]:
    if request.param == "fake":
        async with fake_connect() as fake:
            yield FakeBench(fake)
        return
    worker, server = request.getfixturevalue("connect_worker"), request.getfixturevalue("postgres_server")
    async with cleared(RealBench(worker, server), connect) as real:
        yield real


def runs(seen: ConnectorSeen) -> bool:
    return seen.state == "RUNNING" and [task.state for task in seen.tasks] == ["RUNNING"]


def failed(seen: ConnectorSeen) -> bool:
    return [task.state for task in seen.tasks] == ["FAILED"]


async def running(bench: Bench, connect: Connect, **changes: str) -> tuple[str, dict[str, str]]:
    """Have a connector made and running."""
    name = new_name()
    config = configuration(bench, name, **changes)
    await connect.put(bench.url, config["name"], config)
    await until(connect, bench.url, config["name"], runs)
    return config["name"], config


async def test_workers_say_their_version_and_plug_ins(bench: Bench, connect: Connect) -> None:
    seen = await connect.workers(bench.url)

    assert seen.version == "4.3.1"
    plugins = {(one.class_name, one.type) for one in seen.plugins}
    assert {one for one in plugins if one[1] in ("source", "sink")} == {(CLASS, "source")}
    assert {one for one in plugins if one[0].startswith("dev.headrace.")} == set(OTHERS.items())
    assert seen.kafka_cluster_id
    assert seen.connectors == {}


async def test_a_connector_nobody_made_is_absent(bench: Bench, connect: Connect) -> None:
    assert await connect.connector(bench.url, "shop.nobody") == Absent()


async def test_a_connector_is_there_from_the_moment_it_was_put(bench: Bench, connect: Connect) -> None:
    """Connect knows the configuration before it knows a status."""
    config = configuration(bench, new_name())
    await connect.put(bench.url, config["name"], config)
    seen = await connect.connector(bench.url, config["name"])

    assert isinstance(seen, ConnectorSeen)
    assert seen.state in ("UNASSIGNED", "RUNNING")
    assert dict(seen.config) == config


async def test_a_connector_that_runs_tells_tasks_offsets_and_topics(bench: Bench, connect: Connect) -> None:
    name, config = await running(bench, connect, heartbeat__interval__ms="200")
    seen = await until(connect, bench.url, name, lambda seen: bool(runs(seen) and seen.offsets and seen.topics))

    assert dict(seen.config) == config
    assert seen.tasks[0].worker
    assert seen.tasks[0].trace is None
    (offset,) = seen.offsets or ()
    assert offset["partition"] == {"server": name}
    assert isinstance(offset["offset"]["lsn"], int)
    assert seen.topics == (f"__debezium-heartbeat.{name}",)
    assert (await connect.workers(bench.url)).connectors[name].state == "RUNNING"


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"tasks__max": "zero"}, "tasks.max", "Not a number of type INT"),
        ({"topic__prefix": ""}, "topic.prefix", "A value is required"),
        ({"database__port": "1"}, "database.hostname", "refused"),
        ({"database__password": "x"}, "database.hostname", 'password authentication failed for user "…"'),
        ({"connector__class": "no.such.Class"}, "connector.class", "Failed to find any class"),
    ],
)
async def test_a_configuration_that_would_not_run_is_refused_by_field(
    bench: Bench, connect: Connect, changes: dict[str, str], field: str, message: str
) -> None:
    found = await connect.validate(bench.url, configuration(bench, new_name(), **changes))

    assert {error.field for error in found.errors} == {field}
    assert message in found.errors[0].message


async def test_a_configuration_that_would_run_is_not_refused(bench: Bench, connect: Connect) -> None:
    assert (await connect.validate(bench.url, configuration(bench, new_name()))).errors == ()


async def test_a_configuration_put_unasked_is_refused_and_changes_nothing(bench: Bench, connect: Connect) -> None:
    name, config = await running(bench, connect)
    with pytest.raises(errors.HeadraceError):
        await connect.put(bench.url, name, {**config, "tasks.max": "zero"})
    with pytest.raises(errors.Invalid, match="Failed to find any class"):
        await connect.put(bench.url, name, {**config, "connector.class": "no.such.Class"})
    seen = await until(connect, bench.url, name, runs)

    assert dict(seen.config) == config


async def test_pause_stop_and_resume_are_reached(bench: Bench, connect: Connect) -> None:
    name, _ = await running(bench, connect)

    await connect.set_state(bench.url, name, "pause")
    paused = await until(connect, bench.url, name, lambda seen: seen.tasks[0].state == "PAUSED")
    await connect.set_state(bench.url, name, "stop")
    stopped = await until(connect, bench.url, name, lambda seen: seen.state == "STOPPED" and not seen.tasks)
    await connect.set_state(bench.url, name, "resume")
    await until(connect, bench.url, name, runs)

    assert paused.state == "PAUSED"
    assert stopped.tasks == ()


@pytest.mark.parametrize("state", ["STOPPED", "PAUSED"])
async def test_a_connector_made_in_a_state_has_no_tasks_until_it_is_resumed(
    bench: Bench, connect: Connect, state: str
) -> None:
    config = configuration(bench, new_name())
    await connect.put(bench.url, config["name"], config, "STOPPED" if state == "STOPPED" else "PAUSED")
    seen = await until(connect, bench.url, config["name"], lambda seen: seen.state == state)
    with pytest.raises(errors.Busy, match="already exists"):
        await connect.put(bench.url, config["name"], config, "STOPPED")
    await connect.set_state(bench.url, config["name"], "resume")
    await until(connect, bench.url, config["name"], runs)

    assert seen.tasks == ()


@pytest.mark.case("databases-12")
async def test_offsets_are_set_and_reset_while_a_connector_is_stopped(bench: Bench, connect: Connect) -> None:
    name, _ = await running(bench, connect)
    seen = await until(connect, bench.url, name, lambda seen: bool(runs(seen) and seen.offsets))
    with pytest.raises(errors.Invalid, match="must be in the STOPPED state"):
        await connect.change_offsets(bench.url, name, None)
    await connect.set_state(bench.url, name, "stop")
    stopped = await until(connect, bench.url, name, lambda seen: seen.state == "STOPPED" and not seen.tasks)
    offsets = stopped.offsets or ()
    changed = [{**one, "offset": {**one["offset"], "lsn": one["offset"]["lsn"] + 8}} for one in offsets]

    found = []
    for wanted in (changed, None, None, list(offsets)):
        await connect.change_offsets(bench.url, name, wanted)
        now = await until(connect, bench.url, name, lambda seen: seen.state == "STOPPED")
        found.append(list(now.offsets or ()))

    assert seen.offsets
    assert found == [changed, [], [], list(offsets)]


@pytest.mark.case("databases-12")
@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
async def test_offsets_outlive_their_connector_unless_they_are_removed_before_it(
    bench: Bench, connect: Connect, *, removed: bool
) -> None:
    """One that is made anew by its name goes on from them."""
    name, config = await running(bench, connect)
    await until(connect, bench.url, name, lambda seen: bool(seen.offsets))
    await connect.set_state(bench.url, name, "stop")
    stopped = await until(connect, bench.url, name, lambda seen: seen.state == "STOPPED" and not seen.tasks)
    if removed:
        await connect.change_offsets(bench.url, name, None)
    await connect.remove(bench.url, name)
    with pytest.raises(errors.Missing):
        await connect.change_offsets(bench.url, name, None)
    await connect.put(bench.url, name, config, "STOPPED")
    anew = await until(connect, bench.url, name, lambda seen: seen.state == "STOPPED")

    assert stopped.offsets
    assert anew.offsets == (() if removed else stopped.offsets)


async def test_a_new_configuration_does_not_resume(bench: Bench, connect: Connect) -> None:
    name, config = await running(bench, connect)
    await connect.set_state(bench.url, name, "stop")
    await until(connect, bench.url, name, lambda seen: seen.state == "STOPPED" and not seen.tasks)
    await connect.put(bench.url, name, {**config, "heartbeat.interval.ms": "4321"})
    changed = await until(
        connect,
        bench.url,
        name,
        lambda seen: seen.config["heartbeat.interval.ms"] == "4321" and seen.state != "UNASSIGNED",
    )

    assert (changed.state, changed.tasks) == ("STOPPED", ())


async def test_a_failed_task_shows_its_trace_until_a_restart_succeeds(bench: Bench, connect: Connect) -> None:
    config = configuration(bench, new_name(), publication__autocreate__mode="disabled")
    name = config["name"]
    await connect.put(bench.url, name, config)
    seen = await until(connect, bench.url, name, failed)
    await connect.restart(bench.url, name, only_failed=True)
    again = await until(connect, bench.url, name, failed)
    bench.publish(config["publication.name"])
    await connect.restart(bench.url, name, only_failed=True)
    mended = await until(connect, bench.url, name, runs)

    assert seen.state == "RUNNING"
    assert (seen.tasks[0].trace or "").splitlines()[0] == (
        "org.apache.kafka.connect.errors.ConnectException: "
        "Publication autocreation is disabled, please create one and restart the connector."
    )
    assert again.tasks[0].trace
    assert mended.tasks[0].trace is None


async def test_a_failed_task_stays_failed_when_its_connector_is_paused_and_resumed(
    bench: Bench, connect: Connect
) -> None:
    config = configuration(bench, new_name(), publication__autocreate__mode="disabled")
    name = config["name"]
    await connect.put(bench.url, name, config)
    await until(connect, bench.url, name, failed)
    await connect.set_state(bench.url, name, "pause")
    paused = await until(connect, bench.url, name, lambda seen: seen.state == "PAUSED")
    await connect.set_state(bench.url, name, "resume")
    resumed = await until(connect, bench.url, name, lambda seen: seen.state == "RUNNING")

    assert failed(paused)
    assert failed(resumed)


async def test_a_changed_password_is_read_when_a_task_starts_and_is_shown_nowhere(
    bench: Bench, connect: Connect
) -> None:
    """A task that cannot log in says that it runs, and tries for ever with what it read when it started."""
    name, _ = await running(bench, connect)
    own = name.removeprefix("shop.")
    bench.set_password(own.replace("-", "_"), "canary-of-tomorrow")
    await connect.restart(bench.url, name, only_failed=False)
    refused = await until(connect, bench.url, name, runs)
    bench.write_secret(own, own.replace("-", "_"), "canary-of-tomorrow")
    await connect.restart(bench.url, name, only_failed=False)
    bench.commit()
    mended = await until(connect, bench.url, name, lambda seen: runs(seen) and seen.offsets != refused.offsets)

    assert "canary" not in str((refused, mended))


@pytest.mark.parametrize(
    ("field", "message"), [("tasks.max", "Not a number of type INT"), ("database.port", "An integer is expected")]
)
async def test_what_connect_says_never_quotes_the_value_of_a_secret(
    bench: Bench, connect: Connect, field: str, message: str
) -> None:
    config = configuration(bench, new_name())
    found = await connect.validate(bench.url, {**config, field: config["database.password"]})

    assert message in found.errors[0].message
    assert "canary" not in str(found)


async def test_a_connector_is_removed_and_removing_it_again_is_well(bench: Bench, connect: Connect) -> None:
    name, _ = await running(bench, connect)
    await connect.remove(bench.url, name)
    await connect.remove(bench.url, name)

    assert await connect.connector(bench.url, name) == Absent()
    assert name not in (await connect.workers(bench.url)).connectors


async def test_a_connector_nobody_made_cannot_be_changed(bench: Bench, connect: Connect) -> None:
    with pytest.raises(errors.Missing, match=r"Unknown connector shop\.nobody"):
        await connect.set_state(bench.url, "shop.nobody", "pause")
    with pytest.raises(errors.Missing):
        await connect.restart(bench.url, "shop.nobody", only_failed=True)


async def test_loggers_are_told_and_set_with_all_below_them(bench: Bench, connect: Connect) -> None:
    """And given back by another level: Connect knows no way back, and lists a logger of which nobody spoke, too."""
    before = await connect.loggers(bench.url)
    assert before.levels["root"] == "INFO"
    assert {before.levels[name] for name in before.levels if name.startswith("org.apache.kafka.clients")} == {"WARN"}
    assert "org.apache.kafka" not in before.levels

    await connect.set_log_level(bench.url, "org.apache.kafka.clients", "ERROR")
    await connect.set_log_level(bench.url, "com.example.Router$Rule", "DEBUG")
    after = await connect.loggers(bench.url)
    assert {after.levels[name] for name in after.levels if name.startswith("org.apache.kafka.clients")} == {"ERROR"}
    assert (after.levels["com.example.Router$Rule"], after.levels["root"]) == ("DEBUG", "INFO")
    assert not after.untouched

    await connect.set_log_level(bench.url, "org.apache.kafka.clients", "WARN")
    await connect.set_log_level(bench.url, "com.example.Router$Rule", "INFO")
    last = await connect.loggers(bench.url)
    assert {name: last.levels[name] for name in before.levels} == dict(before.levels)


async def test_a_level_that_is_none_is_refused(bench: Bench, connect: Connect) -> None:
    with pytest.raises(errors.Missing, match="invalid log level 'LOUD'"):
        await connect.set_log_level(bench.url, "io.debezium", "LOUD")


async def test_a_connect_that_lists_no_logger_does_not_tell(connect: Connect) -> None:
    """As the real one does where its image logs by other means than Log4j."""
    async with fake_connect() as fake:
        fake.loggers.levels = {}
        with pytest.raises(errors.Invalid, match="lists none"):
            await connect.loggers(fake.url)


async def test_a_connect_that_hangs_is_unreachable_within_the_deadline(bench: Bench) -> None:
    begun = time.monotonic()
    async with aiohttp.ClientSession() as session:
        with bench.silent(), pytest.raises(errors.Unreachable, match="did not answer"):
            await Connect(session, deadline=0.3).connector(bench.url, "shop.nobody")

    assert time.monotonic() - begun < 60, "it waited as long as the HTTP client does by itself"


async def test_a_connect_that_is_not_there_is_unreachable(connect: Connect) -> None:
    with pytest.raises(errors.Unreachable, match="Cannot connect"):
        await connect.workers(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("answer", REBALANCING, ids=["409", "500"])
async def test_a_connect_that_rebalances_is_busy(answer: tuple[int, str]) -> None:
    """Only the fake can be made to rebalance at will; the sentences are the real one's."""
    async with fake_connect() as fake, aiohttp.ClientSession() as session:
        config = configuration(FakeBench(fake), new_name())
        fake.rebalancing = answer
        with pytest.raises(errors.Busy, match=answer[1][:20]):
            await Connect(session).put(fake.url, config["name"], config)


async def test_figures_that_connect_does_not_tell_are_unknown(connect: Connect) -> None:
    """Topic tracking is a setting of the worker; without it the connector is known all the same."""
    async with fake_connect() as fake:
        fake.tracks_topics = False
        config = configuration(FakeBench(fake), new_name())
        await connect.put(fake.url, config["name"], config)
        seen = await until(connect, fake.url, config["name"], runs)

    assert seen.topics is None
    assert seen.offsets


@pytest.mark.slow
@pytest.mark.case("clusters-15")
async def test_what_may_name_a_secret_is_a_password_to_the_plug_in(connect_worker: ConnectWorker) -> None:
    """What the plug-in does not take for a password, it or Kafka Connect may show."""
    at = f"{connect_worker.url}/connector-plugins/{CLASS}/config/validate"
    async with aiohttp.ClientSession() as session, session.put(at, json={"connector.class": CLASS}) as answer:
        definitions = [one["definition"] for one in (await answer.json())["configs"]]
    passwords = {one["name"] for one in definitions if one["type"] == "PASSWORD"}

    assert {name for name in CONNECTOR_SECRETS if name.startswith("database.")} == {*passwords, "database.user"}
