"""Kafka Connect over REST: what the workers run, and the writes that change it.

Source of the protocol: Kafka Connect REST API (Apache Kafka documentation), KIP-875 for offsets and STOPPED.
It must not decide anything.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal
from urllib.parse import quote

import aiohttp
from yarl import URL

from headrace_operator.clients import answers, connect_lags, connect_told, errors, fence
from headrace_operator.clients.answers import PLAIN, body
from headrace_operator.clients.connect_bounds import LONGEST, LONGEST_LIST, Hosts, root
from headrace_operator.clients.connect_entrances import Entrance
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.measured import measured
from headrace_operator.observed.connect import ConnectorSeen, FieldError, LoggersSeen, Validation, WorkersSeen
from headrace_operator.observed.value import Absent

DEADLINE = 5.0
"""Seconds that a read may take."""

PATIENCE = 15.0
"""Seconds that a write or a validation may take: Connect asks the database meanwhile."""

KEPT = 5.0
"""Seconds for which one list of a Connect's connectors, and one page of a worker, serve all: half a tick of theirs."""

OFFSETS, TOPICS = 3 * KEPT, 12 * KEPT
"""Seconds for which a connector's offsets and topics are told again: each is a request of its own.

Offsets that stand still are doubted after 45 s (`reconcile.progress`); what is not there yet is asked for at each look.
"""

METRICS = 9404
"""The port of a worker's metrics page, which Prometheus reads, too."""

HEADERS = {"Content-Type": "application/json", **PLAIN}
"""Connect answers 415 to a write of another type, also to one without a body."""


class Connect:
    """Reads and writes of any Connect by its address; every method raises `HeadraceError`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        deadline: float = DEADLINE,
        metrics_port: int = METRICS,
        kept: float = KEPT,
    ) -> None:
        self._session = session
        self._deadline = deadline
        self._metrics_port = metrics_port
        self._hosts = Hosts()
        self._lists = Kept(self._list, kept)
        self._pages = Kept(self._page, kept)
        self._offsets = Kept(self._figure, OFFSETS / KEPT * kept)
        self._topics = Kept(self._figure, TOPICS / KEPT * kept)

    def enter(self, url: str, entrance: Entrance) -> None:
        """Ask the Kafka Connect at ``url`` so from now on."""
        self._hosts.at(url).entrance = entrance

    async def workers(self, url: str) -> WorkersSeen:
        """Read version, plug-ins and every connector of the workers at ``url``."""
        told = await self._send("GET", f"{url}/")
        plugins = await self._send("GET", f"{url}/connector-plugins?connectorsOnly=false")
        connectors = await self._list(url)
        with self._understood(url):
            return connect_told.workers(told, plugins, connectors)

    async def looked_at(self, url: str, name: str, suffices: Callable[[ConnectorSeen], bool]) -> ConnectorSeen | Absent:
        """Read one connector with its source offsets and topics; all of it may be some seconds old where it suffices.

        One list serves all who look, until something is written. What it lacks or does not tell, and what does not
        suffice, is asked live, and each apart while the list fails.
        """
        try:
            seen = (await self._lists.ask(url)).get(name)
        except errors.HeadraceError:
            seen = None
        if seen is None or not suffices(seen):
            return await self.connector(url, name)
        at = _at(url, name)
        offsets, topics = await self._offsets.ask(f"{at}/offsets"), await self._topics.ask(f"{at}/topics")
        with self._understood(at):
            told = connect_told.figures(name, offsets, topics)
        for figure, kept in (("offsets", self._offsets), ("topics", self._topics)):
            if not told[figure]:
                kept.forget(f"{at}/{figure}")
        return dataclasses.replace(seen, **told)

    async def connector(self, url: str, name: str) -> ConnectorSeen | Absent:
        """Read one connector with its status, source offsets and topics, live."""
        at = _at(url, name)
        try:
            config = await self._send("GET", f"{at}/config")
        except errors.Missing:
            return Absent()
        try:
            status = await self._send("GET", f"{at}/status")
        except errors.Missing:
            status = connect_told.UNTOLD
        offsets, topics = await self._figures(at)
        with self._understood(at):
            seen = connect_told.connector(name, config, status)
            return dataclasses.replace(seen, **connect_told.figures(name, offsets, topics))

    async def lag(self, host: str, prefix: str) -> float | None:
        """Read how many seconds the connector of this topic prefix is behind its database, from its worker's metrics.

        None where the worker does not tell, as before the first change, or tells no number. One page serves all.
        """
        return (await self._pages.ask(host)).get(prefix)

    async def loggers(self, url: str) -> LoggersSeen:
        """Read the loggers of the one worker at ``url``; raises `Invalid` where it lists none."""
        told = await self._send("GET", f"{url}/admin/loggers")
        if told == {}:
            raise errors.Invalid(f"GET {url}/admin/loggers: Kafka Connect lists none, as where it logs without Log4j.")
        with self._understood(url):
            return connect_told.loggers(told)

    async def set_log_level(self, url: str, logger: str, level: str) -> None:
        """Set the level of a logger, and of all whose names begin with its name, at the one worker at ``url``."""
        at = f"{url}/admin/loggers/{_segment(logger)}"
        await self._send("PUT", at, body={"level": level}, deadline=PATIENCE, changes=True)

    async def validate(self, url: str, config: Mapping[str, str]) -> Validation:
        """Ask Connect whether ``config`` would run; it tries the database, too."""
        plugin = quote(str(config.get("connector.class")))
        at = f"{url}/connector-plugins/{plugin}/config/validate"
        try:
            said = await self._send("PUT", at, body=config, deadline=PATIENCE)
        except errors.Invalid as error:
            return Validation(errors=(FieldError(field="connector.class", message=str(error)),))
        with self._understood(at):
            return connect_told.validation(said)

    async def put(
        self, url: str, name: str, config: Mapping[str, str], initial: Literal["PAUSED", "STOPPED"] | None = None
    ) -> None:
        """Create or update a connector; with ``initial`` create it in that state (KIP-980), so that it never runs."""
        if initial is None:
            await self._write("PUT", url, name, f"/{_segment(name)}/config", config)
        else:
            await self._write("POST", url, name, "", {"name": name, "config": config, "initial_state": initial})

    async def set_state(self, url: str, name: str, verb: Literal["pause", "stop", "resume"]) -> None:
        """Pause, stop or resume a connector."""
        await self._write("PUT", url, name, f"/{_segment(name)}/{verb}")

    async def restart(self, url: str, name: str, *, only_failed: bool) -> None:
        """Restart a connector and its tasks; ``only_failed`` leaves running ones alone (KIP-745)."""
        which = f"includeTasks=true&onlyFailed={str(only_failed).lower()}"
        await self._write("POST", url, name, f"/{_segment(name)}/restart?{which}")

    async def change_offsets(self, url: str, name: str, offsets: Sequence[Mapping[str, Any]] | None) -> None:
        """Set source offsets of a stopped connector, or with None remove all of them (KIP-875)."""
        at = f"/{_segment(name)}/offsets"
        if offsets is None:
            await self._write("DELETE", url, name, at)
        else:
            await self._write("PATCH", url, name, at, {"offsets": list(offsets)})

    async def remove(self, url: str, name: str) -> None:
        """Remove a connector; one that is gone is well."""
        try:
            await self._write("DELETE", url, name, f"/{_segment(name)}")
        except errors.Missing:
            return

    async def _list(self, url: str) -> Mapping[str, ConnectorSeen]:
        """Read every connector that is understood, by name: one that is odd, or has no status yet, is left out."""
        expanded = await self._send("GET", f"{url}/connectors?expand=info&expand=status", most=LONGEST_LIST)
        with self._understood(url):
            return connect_told.connectors(expanded)

    def _understood(self, url: str) -> AbstractContextManager[None]:
        return connect_told.understood(self._hosts.real(url))

    async def _page(self, host: str) -> Mapping[str, float]:
        """Read what a worker tells of lags, by topic prefix; nothing where it does not answer."""
        at = URL.build(scheme="http", host=host, port=self._metrics_port, path="/metrics")
        timeout = aiohttp.ClientTimeout(total=self._deadline)
        try:
            async with self._session.get(at, timeout=timeout, headers=PLAIN, allow_redirects=False) as response:
                return connect_lags.read(await body(response, LONGEST_LIST))
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError):
            return {}

    async def _write(self, method: str, url: str, name: str, what: str, sent: Any = None) -> None:
        """Change a connector; what was read of it, and of all in one list, before serves nobody any more."""
        try:
            await self._send(method, f"{url}/connectors{what}", body=sent, deadline=PATIENCE, changes=True)
        finally:
            self._lists.forget(url)
            self._offsets.forget(f"{_at(url, name)}/offsets")
            self._topics.forget(f"{_at(url, name)}/topics")

    async def _figures(self, at: str) -> tuple[Any, Any]:
        """Read source offsets and topics of the connector at this address."""
        return await asyncio.gather(self._figure(f"{at}/offsets"), self._figure(f"{at}/topics"))

    async def _figure(self, url: str) -> Any:
        """Read what is shown and decides nothing; None when Connect does not tell, as without topic tracking."""
        try:
            return await self._send("GET", url)
        except errors.HeadraceError:
            return None

    @measured("connect")
    async def _send(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        deadline: float | None = None,
        most: int = LONGEST,
        changes: bool = False,
    ) -> Any:
        host, at = self._hosts.at(root(url)), self._hosts.real(url)
        what, entrance = f"{method} {at}", host.entrance
        async with host.turn(deadline or self._deadline) as begun:
            if changes:
                fence.check(what)
            within = aiohttp.ClientTimeout(total=deadline or self._deadline, connect=fence.SENT if changes else None)
            try:
                status, text = await self._ask(method, at, entrance, body, within, most)
            except aiohttp.ConnectionTimeoutError as error:
                raise _silence(what, within.connect) from error
            except TimeoutError as error:
                if deadline is None and host.is_silent(begun):
                    raise host.share(_silence(self._hosts.real(root(url)), self._deadline)) from error
                raise _silence(what, within.total) from error
            except aiohttp.ClientConnectorCertificateError as error:
                host.answered()
                raise errors.Unauthorized(f"{what}: {_stranger(error, entrance)}") from error
            except (OSError, UnicodeError, aiohttp.ClientError) as error:  # a host that cannot be one is no text to DNS
                host.answered()
                raise errors.Unreachable(f"{what}: {_NO_ANSWER}: {str(error) or repr(error)}.") from error
            host.answered()
        if status == 401:
            raise errors.Unauthorized(f"{what}: {_refused(entrance)}")
        read = answers.read(what, CONNECT, _meant(status, text), text)
        return entrance.heard(read) if entrance else read

    async def _ask(
        self, method: str, at: str, entrance: Entrance | None, sent: Any, within: aiohttp.ClientTimeout, most: int
    ) -> tuple[int, bytes]:
        async with self._session.request(
            method,
            at,
            json=entrance.sent(sent) if entrance else sent,
            headers={**HEADERS, **({"Authorization": entrance.login} if entrance and entrance.login else {})},
            timeout=within,
            allow_redirects=False,
            ssl=(entrance.authority if entrance else None) or True,
        ) as response:
            try:
                return response.status, await body(response, most)
            except ValueError as error:
                text = f"{method} {at}: Kafka Connect's answer {error}, and was not read: check the address."
                raise errors.Unreachable(text) from error


_NO_ANSWER = "Kafka Connect did not answer"
_LOGIN = (
    "Kafka Connect refused user name and password: the Secret of {field}.auth must hold those that the workers know"
)


def _refused(entrance: Entrance | None) -> str:
    if entrance is not None and entrance.address is not None:
        return f"{_LOGIN.format(field='external')}."
    return f"{_LOGIN.format(field='rest')}; a changed one reaches them within two minutes."


def _stranger(error: aiohttp.ClientConnectorCertificateError, entrance: Entrance | None) -> str:
    why = getattr(error.certificate_error, "verify_message", "") or "it is another one"
    told = f"the certificate of Kafka Connect is not trusted ({why}): "
    if entrance is not None and entrance.address is not None:
        return f"{told}external.tls.ca must be its authority, and it must be for the host in external.url."
    return (
        f"{told}in the Secret of rest.tls, ca.crt must be the authority of tls.crt, and that must be for the workers' "
        "names."
    )


def _silence(what: str, deadline: float | None) -> errors.Unreachable:
    return errors.Unreachable(f"{what}: {_NO_ANSWER} within {deadline or 0:.0f} s.")


def _meant(status: int, text: bytes) -> int:
    """Return the status that Connect should have given: some refusals and rebalances come as 500."""
    if status != 500:
        return status
    return 400 if b"BadRequestException" in text else 409 if b"rebalance is expected" in text else status


def _segment(name: str) -> str:
    """Return a name as one part of a path: Kafka Connect may tell of any, also of one that would lead elsewhere."""
    return quote(name, safe="")


def _at(url: str, name: str) -> str:
    return f"{url}/connectors/{_segment(name)}"


CONNECT = answers.Server(name="Kafka Connect", conflict=errors.Busy, say=connect_told.words)
