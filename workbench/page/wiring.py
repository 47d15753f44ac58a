"""How handlers are connected: those that draw, and how a refusal leaves them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.errors import Refusal

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""Arguments of a handler that draws but does not run the model: beside its lane, not in the API."""


def told(refusal: Refusal) -> gr.Error:
    """The refusal for whoever calls from outside; on the page the sentence already stands in its place."""
    return gr.Error(str(refusal), visible=False, print_exception=False)
