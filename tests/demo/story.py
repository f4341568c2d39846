"""Tell the demo's story on a running cluster, step by step, each with the command that does it.

It must not judge the outcome itself: the account does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.cluster.places import ROOT

from . import account, applying, books, orders, watching
from .reach import Reach
from .view import View
from .watching import Watch

PIPELINE = ROOT / "operator" / "examples" / "outbox.yaml"
RESOURCES = (
    ("kafkaconnections.headrace.dev", "kafka"),
    ("connectclusters.headrace.dev", "main"),
    ("connectors.headrace.dev", "orders-db"),
)
SWITCH = "/api/v1/namespaces/shop/services/billing:8080/proxy/switch"
OPERATOR_LOG = "kubectl -n headrace-system logs deploy/headrace-operator"


@dataclass(frozen=True, kw_only=True)
class Story:
    """A cluster, the images by name, and how many orders to place."""

    reach: Reach
    images: Mapping[str, str]
    orders: int

    def tell(self) -> account.Account:
        """Tell it to the end. Raises DemoError when a step does not get where it should."""
        self._install()
        self._prepare()
        self._pipeline()
        with watching.opened(self.reach) as watch:
            self._place(watch)
            self._dead_letters(watch)
            return account.account(books.read(watch.shop, watch.billing))

    def _install(self) -> None:
        title("Install Headrace: two charts, in its own namespace, watching the namespace shop")
        upgrade = ("helm", "upgrade", "--install", "--namespace", "headrace-system", "--wait", "--timeout", "3m")
        images = [
            part
            for name in ("operator", "connect", "runtime")
            for part in ("--set", f"images.{name}={self.images[name]}")
        ]
        self.reach.teach(*upgrade, "--create-namespace", "headrace-crds", "charts/headrace-crds", timeout=200)
        self.reach.teach(
            *upgrade, "headrace", "charts/headrace", "--set", "watch.namespaces={shop}", *images, timeout=200
        )

    def _prepare(self) -> None:
        title("The shop's tables, and billing with its own database")
        applying.tables(self.reach, "shop")
        applying.apply(self.reach, "billing.yaml", image=self.images["demo"])
        self.reach.teach("kubectl", "-n", "shop", "rollout", "status", "deploy/billing", "--timeout=120s", timeout=130)

    def _pipeline(self) -> None:
        title("The pipeline: four short resources")
        self.reach.teach("kubectl", "-n", "shop", "apply", "-f", str(PIPELINE.relative_to(ROOT)))
        print("  The Consumer awaits its topic, which appears with the first order.")
        for kind, name in RESOURCES:
            self.reach.show("kubectl", "-n", "shop", "wait", f"{kind}/{name}", "--for=condition=Ready")
            watching.until(
                f"{kind}/{name} becoming Ready",
                lambda kind=kind, name=name: watching.readiness(self.reach.get(kind, name)),  # type: ignore[misc]
                reach=self.reach,
                seconds=180,
                advice=f"kubectl -n shop describe {kind} {name}; {OPERATOR_LOG}",
            )

    def _place(self, watch: Watch) -> None:
        title(f"{self.orders} orders in bursts; the replicas follow")
        first = watch.count("shop", "SELECT max(id) FROM orders") + 1
        before = watch.effects()
        watch.billing.execute("DELETE FROM currencies WHERE name = %s", (orders.UNKNOWN_CURRENCY,))
        applying.apply(self.reach, "writer.yaml", image=self.images["demo"], first=str(first), orders=str(self.orders))
        begin = time.monotonic()
        with View() as view:
            self._watch(watch, view, begin=begin, first=first, wanted=before + self.orders - orders.POISONED)
        print(f"  most replicas that were ready at once: {view.most_replicas}")

    def _watch(self, watch: Watch, view: View, *, begin: float, first: int, wanted: int) -> None:
        def seen() -> tuple[bool, str]:
            figures = watch.figures(begin, first, self.orders)
            view.show(figures)
            done = figures.handled >= wanted and figures.dead_letters == orders.POISONED
            return done, figures.line()

        watching.until(
            f"{wanted} effects and {orders.POISONED} dead letters",
            seen,
            reach=self.reach,
            seconds=60 + self.orders / 100,
            every=1,
            advice=f"kubectl -n shop logs deploy/billing-consumer (and job/orders-{first}); {OPERATOR_LOG}",
            say=lambda line: None,
        )

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
            seconds=90,
            advice="headrace dlq list billing -n shop; kubectl -n shop logs deploy/billing-consumer",
        )


def title(text: str) -> None:
    """Print the title of a step."""
    print(f"\n▸ {text}", flush=True)
