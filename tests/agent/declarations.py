"""Declarations of sources for tests of the agent."""

from __future__ import annotations

from headrace_agent.declared import Declaration, Login, Postgres, Publication, Slot


def login(folder: str = "/etc/headrace/secrets/orders-db") -> Login:
    """Return a login whose files are in ``folder``."""
    return Login(secret="orders-db", username_file=f"{folder}/username", password_file=f"{folder}/password")


def source(name: str = "orders-db", **more: object) -> Postgres:
    """Return a source with what ``more`` says otherwise."""
    made: dict[str, object] = {
        "name": name,
        "host": "db",
        "database": "shop",
        "login": login(),
        "tables": ("public.orders",),
        "publication": Publication(name="headrace_shop_orders", state="Kept"),
        "slot": Slot(name="headrace_shop_orders"),
    }
    return Postgres.model_validate(made | more)


def declaration(*sources: Postgres) -> Declaration:
    """Return a declaration of these sources."""
    return Declaration(namespace="shop", cluster="main", sources=sources)
