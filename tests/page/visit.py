"""A visit to a page by its handlers: who comes, and what is given to a panel's look."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from workbench.app import Page
from workbench.page.panel import Panel
from workbench.page.session import Session

BENCH = ("specimen", "corruption", "intensity", "question", "seed", "model")
"""The values of the bench in the order of its inputs."""


def visitor(page: Page, name: str = "visitor") -> Session:
    """The session of somebody by this name."""
    request: Any = SimpleNamespace(session_hash=name)
    return page.bench.session(request)


def values(page: Page, panel: Panel, small: Mapping[str, Any], **changed: Any) -> list[Any]:
    """The bench's and the panel's values as the page starts with them, but for `small` and what changed."""
    bench = {name: component.value for name, component in zip(BENCH, page.bench.inputs, strict=True)}
    settings = {name: setting.value for name, setting in panel.settings.items()} | dict(small)
    unknown = changed.keys() - bench.keys() - settings.keys()
    assert not unknown and not bench.keys() & settings.keys(), f"there is no {unknown}, or a name is twice"
    return list((bench | settings | changed).values())


def chosen(panel: Any, session: Session, key: str) -> str:
    """The id, of a result that has been drawn: from now on the choices that are given count."""
    session.drawn[panel.study] = key
    return key
