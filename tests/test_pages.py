"""The pages lead where they say: every link within the repository names a file and a heading that are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Return every page of the repository."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True,
                            text=True, check=True)  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def anchors(text: str) -> set[str]:
    """Return what a page's headings are linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere; those to other hosts are not followed."""
    found = []
    for link in LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)):
        file, _, anchor = link.partition("#")
        target = page if not file else page.parent / file
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            found.append(link)
    return found


def test_no_link_leads_nowhere() -> None:
    assert {str(page.relative_to(ROOT)): links for page in pages() if (links := broken(page))} == {}


@pytest.mark.parametrize("link", ["nowhere.md", "other.md#no-such-heading", "#none"])
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str) -> None:
    (tmp_path / "other.md").write_text("# There\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n[a]({link}), [b](other.md#there), [c](#here), [d](https://example.com)\n")

    assert broken(page) == [link]


def test_the_readme_leads_to_the_pages_that_a_project_has() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    project = (
        "SECURITY",
        "CONTRIBUTING",
        "GOVERNANCE",
        "CODE_OF_CONDUCT",
        "ADOPTERS",
        "ROADMAP",
        "ARCHITECTURE",
        "CHANGELOG",
    )

    assert {f"{name}.md" for name in project} | {"LICENSE", "docs/versions.md"} <= linked
