"""What can be set besides the bench, by its name in the config."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.page import lenient, subject
from workbench.panels.attention.config import MOST_TOKENS, AttentionConfig

COLLECTION_WHOLE = ("n", "square", "resamples")
"""Whole numbers among the settings of a collection."""
FEWER = 40
"""Images of a collection on the page at first; the command line takes more."""
ROUTES = ("re-encode", "bridge", "both")


def settings() -> dict[str, Any]:
    """The fold with the settings."""
    defaults = AttentionConfig()
    with gr.Accordion("Measurement", open=False, elem_id="attention-settings"):
        with gr.Row():
            tokens = subject.number(
                defaults.tokens, "Answer tokens", f"whose attention is kept, 1 to {MOST_TOKENS}"
            )
            longest = subject.number(defaults.max_new_tokens, "Longest answer", "in tokens")
            flow = gr.Checkbox(
                defaults.flow,
                label="Attention flow",
                info="one maximum flow for each patch and token; seconds to minutes",
                min_width=220,
                elem_id="attention-flow",
            )
        with gr.Row():
            restore = gr.Radio(
                [("no", "never"), ("where it decides to", "auto"), ("in any case", "always")],
                value=defaults.restore,
                label="Draw before answering",
                info="of models that draw: then the drawing is one more image",
                min_width=300,
                elem_id="attention-restore",
            )
            route = gr.Radio(
                list(ROUTES), value=defaults.route, label="The drawing comes back by", min_width=220
            )
        with gr.Row():
            steps = subject.number(defaults.steps, "Steps of the drawing")
            moment = lenient.Slider(
                0,
                1,
                value=defaults.drawing_t,
                step=0.05,
                label="The drawing's own attention at t",
                info="1 is noise, 0 the finished drawing",
                buttons=[],
                min_width=240,
            )
        with gr.Row():
            count = subject.number(FEWER, "Images", "of a collection", least=2)
            square = subject.square()
            resamples = subject.number(defaults.resamples, "Resamples", "behind an interval", least=100)
    return {
        "tokens": tokens,
        "max_new_tokens": longest,
        "flow": flow,
        "restore": restore,
        "route": route,
        "steps": steps,
        "drawing_t": moment,
        "n": count,
        "square": square,
        "resamples": resamples,
    }
