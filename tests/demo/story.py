"""Tell the demo's story on a running cluster, step by step, each with the command that does it.

It must not judge the outcome itself: the account does.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.cluster.places import ROOT
from tests.waiting import PATIENCE

from . import account, applying, books, orders, watching
from .reach import Reach
from .view import Figures, View
from .watching import Watch

PIPELINE = ROOT / "operator" / "examples" / "outbox.yaml"
RESOURCES = (
    ("kafkaconnections.headrace.dev", "kafka"),
    ("connectclusters.headrace.dev", "main"),
    ("connectors.headrace.dev", "orders-db"),
    ("consumers.headrace.dev", "billing"),
)
CONSUMER = ("kubectl", "-n", "shop", "get", "consumers.headrace.dev", "billing")
SWITCH = "/api/v1/namespaces/shop/services/billing:8080/proxy/switch"
OPERATOR_LOG = "kubectl -n headrace-system logs deploy/headrace-operator"


@dataclass(frozen=True, kw_only=True)
class Story:
    """A cluster, the images by name, how many orders to place, and what shows how they fare."""

    reach: Reach
    images: Mapping[str, str]
    orders: int
    view: View = field(default_factory=View)

    def tell(self) -> account.Account:
        """Tell it to the end. Raises DemoError when a step does not get where it should."""
        self._install()
        self._prepare()
        self._pipeline()
        with watching.opened(self.reach) as watch:
            look = self._place(watch)
            self._dead_letters(watch)
            self._calm(look)
            return account.account(books.read(watch.shop, watch.billing))

    def _install(self) -> None:
        title("Install Headrace: two charts, in its own namespace, watching the namespace shop")
        upgrade = ("helm", "upgrade", "--install", "--namespace", "headrace-system", "--wait", "--timeout", "5m")
        images = [
            part
            for name in ("operator", "connect", "runtime", "agent")
            for part in ("--set", f"images.{name}={self.images[name]}")
        ]
        self.reach.teach(*upgrade, "--create-namespace", "headrace-crds", "charts/headrace-crds")
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        self.reach.teach("kubectl", "label", "--overwrite", "namespace", "headrace-system", restricted)
        self.reach.teach(*upgrade, "headrace", "charts/headrace", "--set", "watch.namespaces={shop}", *images)

    def _prepare(self) -> None:
        title("The shop's tables, and billing with its own database")
        applying.tables(self.reach, "shop")
        applying.apply(self.reach, "billing.yaml", image=self.images["demo"])
        self.reach.teach("kubectl", "-n", "shop", "rollout", "status", "deploy/billing", "--timeout=5m")

    def _pipeline(self) -> None:
        title("The pipeline: four short resources")
        self.reach.teach("kubectl", "-n", "shop", "apply", "-f", str(PIPELINE.relative_to(ROOT)))
        for kind, name in RESOURCES:
            ready = ("--for=condition=Ready", "--timeout=5m")
            self.reach.show("kubectl", "-n", "shop", "wait", f"{kind}/{name}", *ready)
            watching.until(
                f"{kind}/{name} becoming Ready",
                lambda kind=kind, name=name: watching.readiness(self.reach.get(kind, name)),  # type: ignore[misc]
                reach=self.reach,
                seconds=PATIENCE,
                advice=f"kubectl -n shop describe {kind} {name}; {OPERATOR_LOG}",
            )

    def _place(self, watch: Watch) -> Callable[[], Figures]:
        """Have the orders placed, watch them take effect, and return what goes on looking at them."""
        title(f"{self.orders} orders in bursts; the replicas follow")
        first = watch.count("shop", "SELECT max(id) FROM orders") + 1
        wanted = watch.effects() + self.orders - orders.POISONED
        unknown = f"DELETE FROM currencies WHERE name = $${orders.UNKNOWN_CURRENCY}$$;"
        applying.sql(self.reach, "shop", "billing-db", unknown)
        applying.apply(self.reach, "writer.yaml", image=self.images["demo"], first=str(first), orders=str(self.orders))
        begin = time.monotonic()

        def look() -> Figures:
            return watch.figures(begin, first, self.orders)

        self._watch(
            f"{wanted} effects and {orders.POISONED} dead letters",
            look,
            lambda seen: seen.handled >= wanted and seen.dead_letters == orders.POISONED,
            seconds=PATIENCE + self.orders / 100,
            advice=f"kubectl -n shop logs deploy/billing-consumer (and job/orders-{first}); {OPERATOR_LOG}",
        )
        print(f"  most replicas that were ready at once: {self.view.most_replicas}")
        return look

    def _calm(self, look: Callable[[], Figures]) -> None:
        fewest: int = self.reach.get("consumers.headrace.dev", "billing")["spec"]["scale"]["min"]
        title(f"The bursts are over: the replicas fall to {fewest} again, once things have settled")
        self._watch(
            f"{fewest} replica",
            look,
            lambda seen: seen.replicas == seen.ready == fewest,
            seconds=PATIENCE,
            advice=f"{shlex.join(CONSUMER)} -o jsonpath='{{.status.scaling.message}}'; {OPERATOR_LOG}",
        )
        print(f"  the replicas fell to {fewest} again")

    def _watch(
        self, what: str, look: Callable[[], Figures], done: Callable[[Figures], bool], *, seconds: float, advice: str
    ) -> None:
        """Show what ``look`` sees until it is ``done``. Raises DemoError after ``seconds``."""
        self.reach.show(*CONSUMER, "--watch")

        def seen() -> tuple[bool, str]:
            figures = look()
            self.view.show(figures)
            return done(figures), figures.line()

        with self.view:
            watching.until(what, seen, reach=self.reach, seconds=seconds, every=1, advice=advice, say=lambda line: None)

    def _dead_letters(self, watch: Watch) -> None:
        title("Billing refused five orders: look at them, mend billing, put them back")
        wanted = watch.effects() + orders.POISONED
        print(self.reach.teach("headrace", "dlq", "list", "billing", "-n", "shop"))
        print(self.reach.teach("kubectl", "create", "--raw", SWITCH, "-f", "-", stdin="{}"))
        print(self.reach.teach("headrace", "redrive", "billing", "-n", "shop", "--all", "--yes"))
        watching.until(
            "the redriven orders taking effect",
            lambda: (watch.effects() >= wanted, f"{watch.effects()} effects of {wanted}"),
            reach=self.reach,
            seconds=PATIENCE,
            advice="headrace dlq list billing -n shop; kubectl -n shop logs deploy/billing-consumer",
        )


def title(text: str) -> None:
    """Print the title of a step."""
    print(f"\n▸ {text}", flush=True)
