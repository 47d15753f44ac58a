"""The digest of the code that numbers come from."""

from __future__ import annotations

from pathlib import Path

import probes
import workbench
from workbench.runs.code import code, digest


def test_any_line_that_computes_counts_and_none_that_only_shows(tmp_path: Path) -> None:
    root = tmp_path / "page" / "a_package"
    for name in ("__init__.py", "rows.py", "parts/part.py", "parts/view.py", "page/page.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    seen = {digest([root])}
    for name in ("rows.py", "parts/part.py", "parts/fresh.py"):
        (root / name).write_text("column = 'probability'")
        assert digest([root]) not in seen, name
        seen.add(digest([root]))
    (root / "parts" / "fresh.py").rename(root / "fresh.py")
    assert digest([root]) not in seen
    before = digest([root])
    for name in ("notes.txt", "parts/view.py", "parts/view_settings.py", "page/page.py", "cli/parser.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("colour = 'blue'")
        assert digest([root]) == before, name


def test_it_is_of_the_workbench_and_the_probes() -> None:
    assert code() == digest([Path(package.__path__[0]) for package in (workbench, probes)])
