"""What can be set about attributions besides the bench."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.page import subject
from workbench.panels.attribution.config import (
    BASELINES,
    EXPLAINED,
    METHODS,
    REGIONS,
    SOURCES,
    TAKING,
    AttributionConfig,
)
from workbench.panels.attribution.names import LABELS

FEWER = 20
"""Images of a collection on the page at first; the command line takes more."""
WHOLE = (
    *("steps", "draws", "segments", "samples", "window", "curve_steps", "removals"),
    *("n", "square", "resamples"),
)


def settings() -> dict[str, Any]:
    """The settings by their name in the config."""
    defaults = AttributionConfig()
    number = subject.number
    sensitivity = gr.Checkbox(
        False,
        label="Sensitivity too",
        info=f"how far each map moves with {defaults.sensitivity} images hardly different from this one; "
        "it takes two to three times as long",
        elem_id="attribution-sensitivity",
    )
    with gr.Accordion("Measurement", open=False, elem_id="attribution-settings"):
        methods = gr.CheckboxGroup(
            [(LABELS[name], name) for name in METHODS], value=list(defaults.methods), label="Methods"
        )
        with gr.Row():
            explains = gr.Radio(
                list(EXPLAINED),
                value=defaults.explains,
                label="Explained",
                info="drawing: what the model draws as it answers, by "
                + ", ".join(LABELS[name] for name in TAKING)
                + "; each image it is asked about takes a drawing",
                min_width=320,
            )
            patch = gr.Textbox(
                "",
                label="Drawn patch",
                placeholder="row, column",
                info="that has a map of its own; empty: the one that rests on the image most",
                max_lines=1,
                min_width=220,
            )
        with gr.Row():
            answer = gr.Textbox(
                "",
                label="Answer",
                info="that is explained; empty: the model's own",
                max_lines=1,
                min_width=220,
            )
            versus = gr.Textbox(
                "",
                label="Rather than",
                info="another answer, to explain the difference",
                max_lines=1,
                min_width=220,
            )
            words = gr.Checkbox(
                defaults.words, label="Each word", info="also maps of the answer's words", min_width=180
            )
            source = gr.Radio(
                list(SOURCES),
                value=defaults.source,
                label="Explained by",
                info="drawing: the answer after drawing, of a model that draws",
                min_width=220,
            )
        with gr.Row():
            baseline = gr.Radio(
                list(BASELINES),
                value=defaults.baseline,
                label="In place of what is taken away",
                info="mean: the image's mean colour",
                min_width=260,
            )
            regions = gr.Radio(
                list(REGIONS),
                value=defaults.regions,
                label="Regions",
                info="of ablation, KernelSHAP and LIME; masks: of a drawn scene",
                min_width=260,
            )
            segments = number(defaults.segments, "Superpixels", "about so many", least=2)
        with gr.Row():
            steps = number(defaults.steps, "Path", "steps of integrated gradients", least=2)
            draws = number(defaults.draws, "Draws", "points of GradientSHAP")
            samples = number(defaults.samples, "Samples", "images of KernelSHAP and LIME", least=8)
            window = number(defaults.window, "Window", "of occlusion, in patches")
        with gr.Row():
            curve_steps = number(defaults.curve_steps, "Curves", "steps; 0 for none", least=0)
            removals = number(defaults.removals, "Infidelity", "perturbed images; 0 for none", least=0)
        with gr.Row():
            n = number(FEWER, "Collection: questions", least=2)
            square = subject.square()
            resamples = number(defaults.resamples, "Resamples", "behind an interval", least=100)
    return {
        "methods": methods,
        "explains": explains,
        "patch": patch,
        "answer": answer,
        "versus": versus,
        "words": words,
        "source": source,
        "baseline": baseline,
        "regions": regions,
        "segments": segments,
        "steps": steps,
        "draws": draws,
        "samples": samples,
        "window": window,
        "curve_steps": curve_steps,
        "removals": removals,
        "sensitivity": sensitivity,
        "n": n,
        "square": square,
        "resamples": resamples,
    }
