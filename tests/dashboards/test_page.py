"""docs/observability.md lists exactly the metrics that are exported, and the alerts that there are."""

from __future__ import annotations

from tests.dashboards import page


def test_page_lists_what_there_is() -> None:
    """Name, type, labels and meaning of each metric; name, severity and summary of each alert."""
    text = page.PAGE.read_text()

    assert text.count("| `headrace_") > 60
    assert page.current(text) == text, "look at it, then: python -m tests.dashboards.page"
