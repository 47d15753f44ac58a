"""How handlers are connected: those that draw, and how a refusal leaves them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.errors import Refusal

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""Arguments of a handler that draws but does not run the model: beside its lane, not in the API."""


def unwatched(page: gr.Blocks, part: Any) -> None:
    """Have a browser tell one part, which nobody sees, that a handler runs, where that is hidden anyway.

    Else it tells every part that any event so far might have changed, several times an event, and walks the
    whole page to find each: with all panels, seconds.
    """
    for handler in page.fns.values():
        if handler.show_progress == "hidden":
            handler.show_progress_on = [part]


def told(refusal: Refusal) -> gr.Error:
    """The refusal for whoever calls from outside; on the page the sentence already stands in its place."""
    return gr.Error(str(refusal), visible=False, print_exception=False)
