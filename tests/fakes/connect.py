"""A Kafka Connect of one process: the part of its REST API that the operator uses, with the answers of the real one.

It runs connectors of one class, Debezium's for PostgreSQL, against a database that is a table of passwords.
tests/contract holds it to what the real one was seen to say (Apache Kafka 4.3, Debezium 3.6).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.connect_loggers import FakeLoggers

CLASS = "io.debezium.connector.postgresql.PostgresConnector"
WORKER = "127.0.0.1:8083"
REQUIRED = ("database.hostname", "topic.prefix")
NO_PUBLICATION = (
    "org.apache.kafka.connect.errors.ConnectException: "
    "Publication autocreation is disabled, please create one and restart the connector.\n"
    "\tat io.debezium.connector.postgresql.connection.PostgresReplicationConnection.initPublication(Some.java:242)\n"
)
BROKEN_PUT = 'Cannot invoke "ConfigValueInfo.errors()" because the return value of "configValue()" is null'
STALE = (
    "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"
)
CHANGED = "The Connect framework-managed offsets for this connector have been {} successfully."
NOT_STOPPED = (
    "Connectors must be in the STOPPED state before their offsets can be modified. "
    "This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
)
REBALANCING = ((409, STALE), (500, "Request cannot be completed because a rebalance is expected"))
"""The two ways in which a worker says that it rebalances."""

KINDS = {"OutboxRouter": "transformation", "PlainConverter": "converter", "BoundedConverter": "converter"}
OTHERS = {f"dev.headrace.connect.debezium.{name}": kind for name, kind in KINDS.items()}
"""Plug-ins of Headrace, by their class."""

Json = dict[str, Any]
Config = Mapping[str, str]


@dataclass(kw_only=True)
class Task:
    """One task; it has a trace while it has failed."""

    state: str
    trace: str | None = None


@dataclass(kw_only=True)
class Connector:
    """A connector as Connect keeps it; its status is told only some reads after it was made."""

    config: dict[str, str]
    target: str = "RUNNING"
    state: str = "RUNNING"
    trace: str | None = None
    tasks: list[Task] = field(default_factory=list)
    offsets: list[Json] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    untold: int = 1
    reads: bool = False


@dataclass(kw_only=True)
class FakeConnect:
    """What the worker holds, and how it misbehaves.

    `secrets` is what ``${secrets:NAMESPACE/NAME:KEY}`` stands for, `passwords` are those of the database's users.
    `kept` has the offsets of connectors that were removed, from which those made by their names go on.
    It `lacks` the writes that end so, as earlier versions do, and what `answers_late` is done all the same.
    `others` are its plug-ins that are no connectors; `metrics` is the page of the exporter, which has its own port.
    """

    url: str = ""
    connectors: dict[str, Connector] = field(default_factory=dict)
    kept: dict[str, list[Json]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    publications: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    rebalancing: tuple[int, str] | None = None
    hanging: bool = False
    lacks: frozenset[str] = frozenset()
    answers_late: bool = False
    tracks_topics: bool = True
    metrics: str = ""
    others: dict[str, str] = field(default_factory=lambda: dict(OTHERS))
    loggers: FakeLoggers = field(default_factory=FakeLoggers)

    def fail(self, name: str, trace: str) -> None:
        """Let every task of a connector fail."""
        self.connectors[name].tasks = [Task(state="FAILED", trace=trace) for _ in self.connectors[name].tasks]

    def commit(self) -> None:
        """Let the database commit a row: connectors that are logged in to it read on."""
        for one in self.connectors.values():
            if one.reads and [task.state for task in one.tasks] == ["RUNNING"]:
                lsn = one.offsets[0]["offset"]["lsn"] + 8 if one.offsets else 22218632
                one.offsets = [{"partition": {"server": one.config["topic.prefix"]}, "offset": {"lsn": lsn}}]

    def written(self) -> list[str]:
        """Return the requests that change connectors, as ``PUT /connectors/NAME/config``."""
        return [one for one in self.requests if not one.startswith("GET") and "validate" not in one]

    def resolved(self, config: Config) -> dict[str, str]:
        """Return the configuration with the values of Secrets; what is not known stands as it was written."""

        def value(found: re.Match[str]) -> str:
            return self.secrets.get(found[1], found[0])

        return {key: re.sub(r"\$\{secrets:([^}]+)\}", value, text) for key, text in config.items()}

    def problems(self, config: Config) -> dict[str, list[str]]:
        """Return what Connect and then Debezium have against a configuration, by property."""
        known = self.resolved(config)
        missing = {
            key: [f"The '{key}' value is invalid: A value is required"] for key in REQUIRED if not known.get(key)
        }
        if "name" not in known:
            missing["name"] = ['Missing required configuration "name" which has no default value.']
        if not (tasks := known.get("tasks.max", "1")).isdigit():
            missing["tasks.max"] = [
                f"Invalid value {tasks} for configuration tasks.max: Not a number of type INT",
                "Invalid value null for configuration tasks.max: Value must be non-null",
            ]
        if not known["database.port"].isdigit():
            missing["database.port"] = ["The 'database.port' value is invalid: An integer is expected"]
        refused = None if missing else self._database(known)
        said = {"database.hostname": [f"Error while validating connector config: {refused}"]} if refused else {}
        return missing | said

    def _database(self, known: Config) -> str | None:
        if known.get("database.port") == "1":
            return (
                f"Connection to {known['database.hostname']}:1 refused. Check that the hostname and port are correct."
            )
        user = known.get("database.user", "")
        if self.passwords.get(user) != known.get("database.password"):
            return f'FATAL: password authentication failed for user "{user}"'
        return None

    def start_tasks(self, name: str) -> None:
        """Start a connector's task, as its state says; one that cannot log in runs all the same, and tries for ever."""
        one = self.connectors[name]
        one.state = one.target
        if one.target == "STOPPED":
            one.tasks = []
            return
        if one.target == "PAUSED":
            one.tasks = [Task(state="PAUSED") for _ in one.tasks]
            return
        one.reads = self._database(self.resolved(one.config)) is None
        if one.config.get("publication.autocreate.mode") == "disabled" and (
            one.config["publication.name"] not in self.publications
        ):
            one.tasks = [Task(state="FAILED", trace=NO_PUBLICATION)]
        else:
            one.tasks = [Task(state="RUNNING")]
            one.topics = [f"__debezium-heartbeat.{one.config['topic.prefix']}"]
            self.commit()


@asynccontextmanager
async def fake_connect() -> AsyncIterator[FakeConnect]:
    """Serve a worker on a random port of loopback until the end of the ``with``."""
    fake = FakeConnect()
    runner = web.AppRunner(_application(fake), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def _application(fake: FakeConnect) -> web.Application:
    @web.middleware
    async def misbehave(request: web.Request, handler: Any) -> web.StreamResponse:
        fake.requests.append(f"{request.method} {request.path}")
        if fake.hanging:
            await asyncio.sleep(3600)
        if request.method in ("PUT", "POST", "PATCH") and request.content_type != "application/json":
            return web.json_response({"error_code": 415, "message": "HTTP 415 Unsupported Media Type"}, status=415)
        if request.method != "GET" and request.path.endswith(tuple(fake.lacks)):
            status = 405 if request.path.endswith("offsets") else 404
            return web.json_response({"error_code": status, "message": f"HTTP {status}"}, status=status)
        try:
            answer: web.StreamResponse = await handler(request)
            if fake.answers_late and request.method != "GET":
                raise _Failure(500, "Request timed out. The worker is currently flushing updates.")
        except _Failure as failure:
            return web.json_response({"error_code": failure.status, "message": str(failure)}, status=failure.status)
        return answer

    application = web.Application(middlewares=[misbehave])
    answers = _Answers(fake)
    one = "/connectors/{name}"
    application.add_routes(
        [
            web.get("/", answers.root),
            web.get("/metrics", answers.metrics),
            web.get("/connector-plugins", answers.plugins),
            web.put("/connector-plugins/{plugin}/config/validate", answers.validate),
            web.get("/admin/loggers", fake.loggers.listing),
            web.put("/admin/loggers/{logger}", fake.loggers.put),
            web.get("/connectors", answers.listing),
            web.post("/connectors", answers.create),
            web.get(f"{one}/config", answers.config),
            web.put(f"{one}/config", answers.put),
            web.get(f"{one}/status", answers.status),
            web.get(f"{one}/offsets", answers.offsets),
            web.patch(f"{one}/offsets", answers.set_offsets),
            web.delete(f"{one}/offsets", answers.reset_offsets),
            web.get(f"{one}/topics", answers.topics),
            web.put(f"{one}/{{verb:pause|stop|resume}}", answers.set_state),
            web.post(f"{one}/restart", answers.restart),
            web.delete(one, answers.delete),
        ]
    )
    return application


class _Failure(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Answers:
    fake: FakeConnect

    async def root(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "4.3.1", "commit": "26b251a451ce941d", "kafka_cluster_id": "fake"})

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self.fake.metrics)

    async def plugins(self, request: web.Request) -> web.Response:
        source = {"class": CLASS, "type": "source", "version": "3.6.1.Final"}
        others = [{"class": name, "type": kind, "version": "undefined"} for name, kind in self.fake.others.items()]
        every = request.query.get("connectorsOnly") == "false"
        return web.json_response([source, *(others if every else [])])

    async def validate(self, request: web.Request) -> web.Response:
        config = await request.json()
        if (plugin := request.match_info["plugin"]) != CLASS:
            what = "org.apache.kafka.connect.runtime.rest.errors.BadRequestException: "
            raise _Failure(500, what + _no_plugin(plugin))
        problems = self.fake.problems(config)
        values = [{"name": key, "value": None, "errors": problems.get(key, [])} for key in {*config, *problems}]
        configs = [{"definition": {"name": value["name"]}, "value": value} for value in values]
        hidden = {"definition": {"name": "internal.legacy.snapshot.max.threads"}, "value": None}
        return web.json_response({"name": CLASS, "error_count": len(problems), "configs": [*configs, hidden]})

    async def listing(self, _: web.Request) -> web.Response:
        """A connector whose status is not told yet is left out."""
        told = {name: one for name, one in self.fake.connectors.items() if not self._untold(one)}
        return web.json_response(
            {name: {"info": _info(name, one), "status": _status(name, one)} for name, one in told.items()}
        )

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._check_rebalance()
        if body["name"] in self.fake.connectors:
            raise _Failure(409, f"Connector {body['name']} already exists")
        return self._written(body["name"], body["config"], body.get("initial_state", "RUNNING"))

    async def put(self, request: web.Request) -> web.Response:
        self._check_rebalance()
        return self._written(request.match_info["name"], await request.json(), "RUNNING")

    async def config(self, request: web.Request) -> web.Response:
        self._check_rebalance()
        return web.json_response(self._one(request).config)

    async def status(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        one = self.fake.connectors.get(name)
        if one is None or self._untold(one):
            raise _Failure(404, f"No status found for connector {name}")
        return web.json_response(_status(name, one))

    async def offsets(self, request: web.Request) -> web.Response:
        return web.json_response({"offsets": self._one(request).offsets})

    async def set_offsets(self, request: web.Request) -> web.Response:
        one = self._standing(request)
        for part in (await request.json())["offsets"]:
            others = [other for other in one.offsets if other["partition"] != part["partition"]]
            one.offsets = others if part["offset"] is None else [*others, part]
        return web.json_response({"message": CHANGED.format("altered")})

    async def reset_offsets(self, request: web.Request) -> web.Response:
        self._standing(request).offsets = []
        return web.json_response({"message": CHANGED.format("reset")})

    def _standing(self, request: web.Request) -> Connector:
        self._check_rebalance()
        one = self._one(request)
        if one.state != "STOPPED" or one.tasks:
            raise _Failure(400, NOT_STOPPED)
        return one

    async def topics(self, request: web.Request) -> web.Response:
        if not self.fake.tracks_topics:
            raise _Failure(403, "Topic tracking is disabled.")
        name = request.match_info["name"]
        one = self.fake.connectors.get(name)
        return web.json_response({name: {"topics": one.topics if one else []}})

    async def set_state(self, request: web.Request) -> web.Response:
        one, verb = self._one(request, "Unknown connector {}"), request.match_info["verb"]
        before, one.target = one.target, {"pause": "PAUSED", "stop": "STOPPED", "resume": "RUNNING"}[verb]
        if verb == "stop":
            self._check_rebalance()
        if one.target != before:
            for task in one.tasks:
                task.state = task.state if task.state == "FAILED" else one.target
            one.state = one.target
            if one.target == "STOPPED" or not one.tasks:
                self.fake.start_tasks(request.match_info["name"])
        return web.Response(status=204 if verb == "stop" else 202)

    async def restart(self, request: web.Request) -> web.Response:
        self._check_rebalance()
        one, name = self._one(request, "Unknown connector: {}"), request.match_info["name"]
        failed = one.state == "FAILED" or any(task.state == "FAILED" for task in one.tasks)
        if failed or request.query.get("onlyFailed") != "true":
            self.fake.start_tasks(name)
        return web.json_response(_status(name, one), status=202)

    async def delete(self, request: web.Request) -> web.Response:
        self._check_rebalance()
        self.fake.kept[request.match_info["name"]] = self._one(request).offsets
        del self.fake.connectors[request.match_info["name"]]
        return web.Response(status=204)

    def _one(self, request: web.Request, missing: str = "Connector {} not found") -> Connector:
        name = request.match_info["name"]
        if name not in self.fake.connectors:
            raise _Failure(404, missing.format(name))
        return self.fake.connectors[name]

    def _untold(self, one: Connector) -> bool:
        one.untold -= 1
        return one.untold >= 0

    def _check_rebalance(self) -> None:
        if self.fake.rebalancing:
            raise _Failure(*self.fake.rebalancing)

    def _written(self, name: str, config: dict[str, str], state: str) -> web.Response:
        if config.get("name", name) != name:
            what = f"Connector name configuration ({config['name']}) doesn't match connector name in the URL ({name})"
            raise _Failure(400, what)
        if config.get("connector.class") != CLASS:
            raise _Failure(400, _no_plugin(config.get("connector.class")))
        config = {**config, "name": name}
        if self.fake.problems(config):
            raise _Failure(500, BROKEN_PUT)
        known = self.fake.connectors.get(name)
        one = known or Connector(config=config, target=state, offsets=self.fake.kept.get(name, []))
        self.fake.connectors[name] = one
        if known is None or known.config != config:
            one.config = config
            self.fake.start_tasks(name)
        return web.json_response(_info(name, one), status=200 if known else 201)


def _no_plugin(name: object) -> str:
    known = f"PluginDesc{{klass=class {CLASS}, name='{CLASS}', type=source}}"
    return f"Failed to find any class that implements Connector and which name matches {name}, available: {known}"


def _info(name: str, one: Connector) -> Json:
    tasks = [{"connector": name, "task": number} for number in range(len(one.tasks))]
    return {"name": name, "config": one.config, "tasks": tasks, "type": "source"}


def _status(name: str, one: Connector) -> Json:
    tasks = [_part(task.state, task.trace) | {"id": number} for number, task in enumerate(one.tasks)]
    return {"name": name, "connector": _part(one.state, one.trace), "tasks": tasks, "type": "source"}


def _part(state: str, trace: str | None) -> Json:
    told = {} if trace is None else {"trace": trace}
    return {"state": state, "worker_id": WORKER, "version": "3.6.1.Final", **told}
