"""What can be set besides the bench in the panel "Causal"."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.models.protocol import ROUTES
from workbench.page import subject
from workbench.panels.causal.config import (
    DIRECTION_NAMES,
    PARTS,
    PATH_NAMES,
    TOKEN_NAMES,
    CausalConfig,
)

FEWER = 20
"""Images of a collection on the page at first; the command line takes more."""
WHOLE = ("window", "every", "reach", "max_new_tokens", "n", "each", "square", "batch", "resamples")


def settings() -> dict[str, Any]:
    """The components by the name of what they set."""
    defaults = CausalConfig()
    with gr.Accordion("Measurement", open=False, elem_id="causal-settings"):
        with gr.Row():
            parts = gr.CheckboxGroup(
                list(PARTS),
                value=list(defaults.parts),
                label="Parts",
                info="the map is of one image; it exchanges each patch alone",
                min_width=240,
            )
            directions = gr.CheckboxGroup(
                [(words, name) for name, words in DIRECTION_NAMES.items()],
                value=list(defaults.directions),
                label="Patching",
                min_width=280,
            )
            tokens = gr.CheckboxGroup(
                [(words, name) for name, words in TOKEN_NAMES.items()],
                value=list(defaults.tokens),
                label="Tokens exchanged",
                min_width=280,
            )
        with gr.Row():
            paths = gr.CheckboxGroup(
                [(words, name) for name, words in PATH_NAMES.items()],
                value=list(defaults.paths),
                label="Attention blocked",
                min_width=280,
            )
            knockout_in = gr.Radio(
                ["clean", "degraded"],
                value=defaults.knockout_in,
                label="Blocked in the run on",
                min_width=200,
            )
            window = subject.number(defaults.window, "Layers at once", "0: a fifth, 3 at least", least=0)
            drawing = gr.Checkbox(
                defaults.drawing,
                label="Trace the model's own drawing",
                info="against the degraded image in its place",
                min_width=240,
            )
            route = gr.Radio(
                list(ROUTES), value=defaults.route, label="The drawing comes back by", min_width=240
            )
        with gr.Row():
            stages = gr.Textbox(
                ", ".join(defaults.map_stages), label="Map at", info="stages, with commas", min_width=200
            )
            reach = subject.number(defaults.reach, "Patches around each", "exchanged with it", least=0)
            every = subject.number(defaults.every, "Every so many-th stage")
            longest = subject.number(defaults.max_new_tokens, "Longest answer", "tokens")
            batch = subject.number(defaults.batch, "Exchanges in one pass")
        with gr.Row():
            own = gr.Textbox(
                "",
                label="Collection: one question for all",
                info="without it, those that come with the images",
                min_width=280,
            )
            n = subject.number(FEWER, "Images", least=2)
            each = subject.number(defaults.each, "questions about each")
            square = subject.square()
            purity = subject.purity(defaults.purity)
            resamples = subject.number(defaults.resamples, "Resamples", "behind an interval", least=100)
    return {
        "parts": parts,
        "directions": directions,
        "tokens": tokens,
        "paths": paths,
        "knockout_in": knockout_in,
        "window": window,
        "drawing": drawing,
        "route": route,
        "map_stages": stages,
        "reach": reach,
        "every": every,
        "max_new_tokens": longest,
        "batch": batch,
        "own_question": own,
        "n": n,
        "each": each,
        "square": square,
        "purity": purity,
        "resamples": resamples,
    }
