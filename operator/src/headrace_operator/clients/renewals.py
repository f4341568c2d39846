"""What is remembered of a kind in a namespace is renewed by one list, instead of by a request for each object.

Only what is known already is renewed: what a list lacks, or fails to tell, is read by who asks for it.
"""

from __future__ import annotations

import contextlib

from headrace_operator.clients.api import Api
from headrace_operator.clients.errors import HeadraceError
from headrace_operator.clients.kept import Kept
from headrace_operator.clients.remembered import OLDEST, Remembered
from headrace_operator.observed.kube import Manifest

OURS = "app.kubernetes.io/managed-by=headrace"
SELECTORS = {
    "kafkaconnections": "",
    "connectclusters": "",
    "connectors": "",
    "consumers": "",
    "outboxrelays": "",
    "snapshots": "",
    "deployments": OURS,
    "configmaps": OURS,
    "serviceaccounts": OURS,
    "poddisruptionbudgets": OURS,
    "networkpolicies": OURS,
}
"""The kinds of which there is one for each Connector, Consumer or OutboxRelay, and by which label they are listed."""

APART = OLDEST / 2
"""Seconds between two lists of a kind: nothing that the last one had is too old before."""

PAGE = 500
"""Objects of one answer: reading more at once would hold up all else for too long."""


class Renewals:
    """Lists what `Remembered` knows, whole kinds of a namespace at a time."""

    def __init__(self, api: Api, remembered: Remembered) -> None:
        self._api, self._remembered = api, remembered
        self._lists: Kept[str, None] = Kept(self._renew, APART, remembered.now)

    async def ask(self, where: str, last: Manifest) -> None:
        """Renew what is known of the object at ``where``, of which ``last`` was seen, if a list would tell of it."""
        kind, _, _ = where.rpartition("/")
        if _is_listed(kind, last):
            with contextlib.suppress(HeadraceError):  # then each is read alone, and says why that fails
                await self._lists.ask(kind)

    async def _renew(self, kind: str) -> None:
        asked, page = self._remembered.now(), ""
        while True:
            found = await self._api.get(kind, **_query(kind, page)) or {}
            for one in found.get("items", ()):
                named = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List"), **one}
                self._remembered.renew(f"{kind}/{one['metadata']['name']}", named, asked)
            page = found.get("metadata", {}).get("continue", "")
            if not page:
                return


def _is_listed(kind: str, last: Manifest) -> bool:
    selector = SELECTORS.get(kind.rpartition("/")[2])
    label, _, value = (selector or "").partition("=")
    return selector == "" or (selector is not None and (last["metadata"].get("labels") or {}).get(label) == value)


def _query(kind: str, page: str) -> dict[str, str]:
    selector = SELECTORS[kind.rpartition("/")[2]]
    asked = {"limit": str(PAGE), "labelSelector": selector, "continue": page}
    return {name: value for name, value in asked.items() if value}
