"""Show the figures of a running pipeline in a terminal: live on a terminal, a line at a time elsewhere.

It must not read anything: it is given what was seen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was seen at one moment; None is unknown."""

    seconds: float
    orders: int
    written: int
    captured: int | None
    handled: int
    retried: int
    refused: int
    lag_records: int | None
    lag_seconds: int | None
    dead_letters: int | None
    replicas: int | None
    ready: int | None

    def line(self) -> str:
        """Return the figures as one plain line."""
        return (
            f"{self.seconds:4.0f} s  written {self.written}/{self.orders}  captured {_known(self.captured)}  "
            f"handled {self.handled}  lag {_known(self.lag_records)} ({_known(self.lag_seconds)} s)  "
            f"retries {self.retried}  dead letters {_known(self.dead_letters)}  "
            f"replicas {_known(self.ready)}/{_known(self.replicas)}"
        )


@dataclass
class View:
    """A live picture: how far the orders are at each station, and the course of lag and replicas."""

    console: Console = field(default_factory=Console)
    lag: deque[int] = field(default_factory=lambda: deque(maxlen=WIDTH))
    replicas: deque[int] = field(default_factory=lambda: deque(maxlen=WIDTH))
    most_replicas: int = 0
    _before: Figures | None = None
    _live: Live | None = None

    def __enter__(self) -> View:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, figures: Figures) -> None:
        """Show these figures."""
        self.lag.append(figures.lag_records or 0)
        self.replicas.append(figures.ready or 0)
        self.most_replicas = max(self.most_replicas, figures.ready or 0)
        if self._live is None:
            print(figures.line(), flush=True)
        else:
            self._live.update(self._picture(figures))
        self._before = figures

    def _picture(self, figures: Figures) -> Panel:
        table = Table.grid(padding=(0, 2))
        for name in ("written", "captured", "handled"):
            self._station(table, name, figures)
        late = "yellow" if figures.lag_records else "green"
        table.add_row("lag", Text(sparkline(self.lag), late), _lag(figures))
        ready = f"{_known(figures.ready)} ready of {_known(figures.replicas)} wanted"
        table.add_row("replicas", Text(sparkline(self.replicas), "cyan"), ready)
        table.add_row("retries", "", str(figures.retried))
        table.add_row("dead letters", "", Text(_known(figures.dead_letters), "red" if figures.dead_letters else ""))
        title = f"orders-db → Kafka → billing · {figures.seconds:.0f} s"
        return Panel(table, title=title, title_align="left", expand=False)

    def _station(self, table: Table, name: str, figures: Figures) -> None:
        count: int | None = getattr(figures, name)
        bar = ProgressBar(total=figures.orders, completed=count or 0, width=WIDTH)
        table.add_row(name, bar, f"{_known(count)} of {figures.orders}{self._rate(name, figures)}")

    def _rate(self, name: str, figures: Figures) -> str:
        """Return the records per second since the figures before, as far as both are known."""
        now: int | None = getattr(figures, name)
        then: int | None = getattr(self._before, name, None)
        if self._before is None or now is None or then is None or figures.seconds <= self._before.seconds:
            return ""
        return f" · {(now - then) / (figures.seconds - self._before.seconds):.0f}/s"


def sparkline(numbers: deque[int]) -> str:
    """Draw ``numbers`` as bars between zero and the highest of them."""
    highest = max(numbers, default=0) or 1
    return "".join(_BARS[number * (len(_BARS) - 1) // highest] for number in numbers)


def _lag(figures: Figures) -> str:
    return f"{_known(figures.lag_records)} records, {_known(figures.lag_seconds)} s"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
