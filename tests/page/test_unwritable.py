"""Where a visit's folder cannot be written to: a sentence in its place, from every handler of the page."""

from __future__ import annotations

import errno
import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.capture.fake import FakeModel as Measured
from tests.page.fake import FakeModel as Drawing
from workbench.app import Page, build
from workbench.page import shelf
from workbench.page.host import Host
from workbench.page.session import Session, Sessions

MODELS: dict[str, Callable[[], Any]] = {"states": Drawing, "layers": lambda: Measured(side=12, width=16)}


@pytest.fixture(params=MODELS)
def study(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(tmp_path: Path, study: str) -> Iterator[Page]:
    sessions = Sessions(tmp_path / "sessions")
    yield build(host=Host("fake", opener=lambda name, **how: MODELS[study]()), sessions=sessions)
    sessions.close_all()


def read_only(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    """What is there can be read; nothing can be written."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "write_bytes", "write_text", "touch"):
        monkeypatch.setattr(Path, name, refuse)
    for name in ("utime", "replace"):
        monkeypatch.setattr(f"os.{name}", refuse)


def in_the_way(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    """The root is gone, and a file stands in its place."""
    shutil.rmtree(session.folder.parent)
    session.folder.parent.write_text("")


def values(page: Page, study: str) -> list[Any]:
    panel = page.panels[study]
    small = {"steps": 4, "permutations": 20}
    settings = {name: small.get(name, part.value) for name, part in panel.settings.items()}
    return [*(part.value for part in page.bench.inputs), *settings.values()]


def called(page: Page, study: str, handler: Any, key: str | None, visitor: str) -> list[Any]:
    """What a handler of the page gives: with the page's first values, and the result ``key`` on the panel."""
    panel = page.panels[study]

    def value(part: Any) -> Any:
        if part is panel.result:
            return key
        return part.value or "" if isinstance(part, gr.Textbox) else part.value

    injected = {
        "request": SimpleNamespace(session_hash=visitor),
        "picked": SimpleNamespace(index=[1, 1] if panel.result in handler.inputs else 0),
        "clicked": SimpleNamespace(_data={}),
    }
    given = iter([value(part) for part in handler.inputs])
    arguments = [
        injected[name] if name in injected else next(given)
        for name, parameter in inspect.signature(handler.fn).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    found = handler.fn(*arguments, *given)
    return list(found) if inspect.isgenerator(found) else [found]


@pytest.mark.parametrize("broken", [read_only, in_the_way])
@pytest.mark.parametrize("visitor", ["visitor", "newcomer"])
def test_no_handler_of_a_page_fails(
    page: Page, study: str, monkeypatch: pytest.MonkeyPatch, broken: Any, visitor: str
) -> None:
    panel = page.panels[study]
    session = page.bench.session(SimpleNamespace(session_hash="visitor"))  # type: ignore[arg-type]
    key = list(panel.look(session, *values(page, study), None))[-1][panel.result]
    broken(monkeypatch, session)
    handlers = [block for block in page.fns.values() if block.fn and block.api_visibility == "private"]
    assert len(handlers) > 20
    for handler in handlers:
        try:
            called(page, study, handler, key, visitor)
        except gr.Error as error:
            # For whoever calls from outside; on the page the sentence stood in the status before it.
            assert not error.visible and str(error.message).endswith(".")


@pytest.mark.parametrize("broken", [read_only, in_the_way])
def test_a_look_says_so_at_once_and_the_last_result_stays_as_far_as_it_can_be_read(
    page: Page, study: str, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    panel = page.panels[study]
    session = page.bench.session(SimpleNamespace(session_hash="visitor"))  # type: ignore[arg-type]
    key = list(panel.look(session, *values(page, study), None))[-1][panel.result]
    broken(monkeypatch, session)
    monkeypatch.setattr(panel, "measured", lambda *a: pytest.fail("measured though it cannot be kept"))
    changed = values(page, study)
    changed[4] = 7  # another seed
    yielded: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error, match="cannot be written to"):
        for updates in panel.look(session, *changed, key):
            yielded.append(updates)
    assert "cannot be written to" in yielded[-1][panel.status]
    assert 'role="alert"' in yielded[-1][panel.status]
    assert panel.result not in yielded[-1]
    printed = [part.value for part in panel.printed_with]
    for form in panel.downloads.buttons:
        (sentence,) = panel.download(form, session, key, [], [], *printed).values()
        assert "cannot be written to" in sentence and 'role="alert"' in sentence
    if broken is read_only:
        assert (
            "nothing was computed again"
            in panel.refresh(session, *values(page, study), "0" * 64)[panel.status]
        )


@pytest.mark.parametrize("broken", [read_only, in_the_way])
def test_a_picture_that_cannot_be_kept_is_a_sentence_on_the_bench(
    page: Page, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    request: Any = SimpleNamespace(session_hash="visitor")
    session = page.bench.session(request)
    session.sub("pictures")
    broken(monkeypatch, session)
    updates = page.bench.lay_scene(f"{shelf.SAMPLE}0", "", request)
    assert "cannot be" in updates[page.bench.notice] and page.bench.specimen not in updates
