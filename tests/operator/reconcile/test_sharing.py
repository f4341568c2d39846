"""Which other Connectors are read for one: those that may share what it names, and none when it names nothing."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from headrace_operator.clients import errors
from headrace_operator.observed.kube import Resource
from headrace_operator.observed.value import Unknown
from headrace_operator.plan import connector as plan
from headrace_operator.reconcile.observe import connector as observe
from headrace_operator.reconcile.progress import Progress
from headrace_operator.reconcile.remote import Remote
from headrace_operator.settings import EVERYWHERE
from tests.operator import worlds
from tests.operator.reconcile.test_connector_life import NAME, Life, Shelf, life

__all__ = ["life"]
SHARED = {**worlds.CONNECTOR.spec, "postgres": {**worlds.CONNECTOR.spec["postgres"], "publication": "shared"}}
MINE = worlds.resource("Connector", "orders-db", SHARED, created="2026-01-02T00:00:00Z")
OTHER = worlds.resource("Connector", "older", SHARED, created="2026-01-01T00:00:00Z", namespace="bakery")


class Listed(Shelf):
    """Counts lists, and refuses those of some namespaces."""

    def __init__(self, *resources: Resource, refused: tuple[str, ...] = ()) -> None:
        super().__init__(objects={(one.kind, one.name): one for one in resources}, secrets={})
        self.refused, self.lists = refused, list[str]()

    async def resources(self, kind: str, namespace: str) -> tuple[Resource, ...]:
        self.lists.append(namespace)
        if namespace in self.refused:
            raise errors.Unreachable(f"{namespace} cannot be listed")
        found = await super().resources(kind, namespace)
        return tuple(one for one in found if namespace in ("", one.namespace))


async def observed(shelf: Listed, resource: Resource, watched: tuple[str, ...] = ("shop", "bakery")) -> Any:
    clients = dict.fromkeys(("connect", "kafkas", "entrances", "agents", "relays")) | {"kube": shelf, "near": shelf}
    remote = Remote(**cast(Any, clients))
    return await observe.connector(resource, remote, Progress(), worlds.NOW, watched)


async def test_nobody_is_listed_for_a_connector_that_names_neither_slot_nor_publication() -> None:
    """A thousand of them cost no list."""
    shelf = Listed(worlds.CONNECTOR, OTHER)
    await observed(shelf, worlds.CONNECTOR)

    assert shelf.lists == []


@pytest.mark.case("databases-3")
async def test_a_publication_that_a_connector_of_another_watched_namespace_has_is_refused() -> None:
    shelf = Listed(MINE, OTHER)
    world = await observed(shelf, MINE)
    found = plan.plan(world, worlds.SETTINGS, worlds.NOW).status["conditions"]

    assert sorted(shelf.lists) == ["bakery", "shop"]
    assert (found[0]["status"], found[0]["reason"]) == ("False", "NameTaken")
    assert "that of Connector bakery/older" in found[0]["message"]


async def test_where_all_is_watched_one_list_has_those_of_all() -> None:
    """And what cannot be listed is not known: nothing is put meanwhile."""
    shelf = Listed(MINE, OTHER)

    assert (await observed(shelf, MINE, EVERYWHERE)).others == (MINE, OTHER)
    assert shelf.lists == [""]
    refused = await observed(Listed(MINE, OTHER, refused=("",)), MINE, EVERYWHERE)
    assert refused.others == ()


async def test_a_namespace_that_cannot_be_listed_holds_up_its_own_connectors_alone() -> None:
    assert (await observed(Listed(MINE, OTHER, refused=("bakery",)), MINE)).others == (MINE,)
    assert (await observed(Listed(MINE, OTHER, refused=("shop",)), MINE)).others == ()


@pytest.mark.case("databases-3")
async def test_the_second_connector_of_a_publication_is_never_made(life: Life) -> None:
    """And is as soon as the first one is gone."""
    second = worlds.resource("Connector", "second", SHARED, created="2026-03-01T00:00:00Z")
    for one in (MINE, second):
        life.shelf.put(one)
    life.fake.publications.add("shared")
    await life.look(3)
    world = await observe.connector(second, life.remote, Progress(), life.now)
    refused = plan.plan(world, worlds.SETTINGS, life.now)
    del life.shelf.objects["Connector", "orders-db"]
    world = await observe.connector(second, life.remote, Progress(), life.now)
    free = plan.plan(world, worlds.SETTINGS, life.now)

    assert life.fake.connectors[NAME].config["publication.name"] == "shared"
    assert (refused.actions, refused.status["conditions"][0]["reason"]) == ((), "NameTaken")
    assert [type(action).__name__ for action in free.actions] == ["PutConnector"]


@pytest.mark.case("databases-3")
async def test_while_nobody_can_be_listed_nothing_new_is_put(life: Life) -> None:
    """Unknown is never read as absent."""
    life.edit(postgres=SHARED["postgres"])
    shelf = Listed(*life.shelf.objects.values(), refused=("shop",))
    shelf.made, shelf.secrets = life.shelf.made, life.shelf.secrets
    remote = dataclasses.replace(life.remote, kube=cast(Any, shelf))
    world = await observe.connector(life.shelf.objects["Connector", "orders-db"], remote, Progress(), life.now)

    assert isinstance(world.validation, Unknown)
    assert plan.plan(world, worlds.SETTINGS, life.now).actions == ()
