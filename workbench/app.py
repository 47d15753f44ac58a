"""The browser's door: the page, put together and started."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Before Gradio is imported: nothing is reported to anyone.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr  # noqa: E402
from gradio import networking  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse, Response  # noqa: E402

from workbench.models import Opening  # noqa: E402
from workbench.page import theme  # noqa: E402
from workbench.page.bench import Bench  # noqa: E402
from workbench.page.host import Host  # noqa: E402
from workbench.page.panel import Panel  # noqa: E402
from workbench.page.saved import SavedRuns  # noqa: E402
from workbench.page.session import MAX_AGE, Sessions  # noqa: E402
from workbench.page.tabs import Group, Tabs  # noqa: E402
from workbench.page.wiring import unwatched  # noqa: E402
from workbench.panels.atlas.view import AtlasView  # noqa: E402
from workbench.panels.attention.view import AttentionView  # noqa: E402
from workbench.panels.attribution.view import AttributionView  # noqa: E402
from workbench.panels.causal.view import CausalView  # noqa: E402
from workbench.panels.corruptions.view import CorruptionsView  # noqa: E402
from workbench.panels.drawing.view import DrawingView  # noqa: E402
from workbench.panels.interventions.view import InterventionsView  # noqa: E402
from workbench.panels.layers.view import LayersView  # noqa: E402
from workbench.panels.patches.view import PatchesView  # noqa: E402
from workbench.panels.perceptual.view import PerceptualView  # noqa: E402
from workbench.panels.robustness.view import RobustnessView  # noqa: E402
from workbench.panels.sacrifice.view import SacrificeView  # noqa: E402
from workbench.panels.states.view import StatesView  # noqa: E402
from workbench.panels.tokens.view import TokensView  # noqa: E402

MAX_UPLOAD = "1100mb"
"""Above what images.read and runs.archive take, so that their sentences are the ones that are read."""
PATIENCE = 60.0
"""Seconds within which the served page must have answered once."""
GROUND = "() => [document.body.classList.contains('dark'), window.innerWidth <= 600]"
"""Whether the page is dark, and narrow."""

GROUPS: tuple[Group, ...] = (
    (
        "What is drawn",
        (
            ("States", StatesView),
            ("Interventions", InterventionsView),
            ("Drawing", DrawingView),
            ("Tokens", TokensView),
        ),
    ),
    (
        "What is kept",
        (
            ("Layers", LayersView),
            ("Patches", PatchesView),
            ("Atlas", AtlasView),
            ("Sacrifice", SacrificeView),
        ),
    ),
    (
        "What answers rest on",
        (("Attribution", AttributionView), ("Attention", AttentionView), ("Causal", CausalView)),
    ),
    (
        "What damage does",
        (
            ("Robustness", RobustnessView),
            ("Perceptual", PerceptualView),
            ("Corruptions", CorruptionsView),
        ),
    ),
)
"""The tabs, in order."""


class Page(gr.Blocks):
    """The page, with the models that it shows, its bench, its panels by name, and saved runs on it."""

    models: Host
    bench: Bench
    panels: dict[str, Panel]
    saved: SavedRuns


def build(
    model: str = "pocket-bagel",
    *,
    opening: Opening | None = None,
    host: Host | None = None,
    sessions: Sessions | None = None,
) -> Page:
    """The whole page. Nothing heavy is imported and no checkpoint is opened yet.

    ``model`` is the id or folder that the page starts with, empty for none, opened as ``opening`` says; for
    others that is where the choices stand at first. Tests give their own ``host`` and ``sessions``.
    """
    models = host or Host(model, opening=opening)
    visits = sessions or Sessions()
    with Page(title="Afterimage", analytics_enabled=False, delete_cache=(3600, int(MAX_AGE))) as page:
        bench = Bench(models, visits)
        tabs = Tabs(bench, GROUPS)
        page.load(None, None, [bench.dark, bench.narrow], js=GROUND, api_visibility="private")
        saved = SavedRuns(bench, tabs)
        opened = bench.chooser.begin(saved.wire(page.load).then)
        bench.turns.note(opened.then)

        def leave(request: gr.Request) -> None:
            visits.close(request.session_hash)

        page.unload(leave)
        unwatched(page, bench.turns.front)
    page.models, page.bench, page.panels, page.saved = models, bench, tabs.panels, saved
    return page


async def _unwritten(request: Request, error: Exception) -> Response:
    """An upload that the disk does not take, in words that the page shows as they are."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "The disk is full" if full else f"It could not be written ({error})"
    return PlainTextResponse(f"{what}: the file was not taken. Free some space and try again.", 507)


@contextmanager
def _patient() -> Iterator[None]:
    """Gradio gives its own page three seconds to answer, then gives up; a busy machine takes longer."""
    answers = networking.url_ok

    def in_time(url: str) -> bool:
        end = time.monotonic() + PATIENCE
        while not (reached := answers(url)) and time.monotonic() < end:
            time.sleep(0.5)
        return reached

    networking.url_ok = in_time
    try:
        yield
    finally:
        networking.url_ok = answers


def launch(page: Page, **options: Any) -> None:
    """Serve the page; then load torch and the first model while a person reads.

    ``options`` go to Gradio's own launch.
    """
    page.queue(default_concurrency_limit=8)
    blocking = not options.pop("prevent_thread_lock", False)
    with _patient():
        page.launch(
            theme=theme.theme(),
            css_paths=[theme.STYLE],
            head=theme.HEAD,
            footer_links=[],
            max_file_size=MAX_UPLOAD,
            ssr_mode=False,
            run_history=False,
            show_error=True,
            prevent_thread_lock=True,
            app_kwargs={"exception_handlers": {OSError: _unwritten}},
            **options,
        )
    page.models.warm()
    if blocking:
        page.block_thread()
