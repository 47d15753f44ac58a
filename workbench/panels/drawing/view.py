"""The panel "Drawing" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.models.limits import MOST_STEPS
from workbench.models.protocol import RENORMS
from workbench.page import lenient, markup
from workbench.page.bench import LOOK, Bench, OnBench
from workbench.page.panel import Done, Named, Pace, Panel, Updates
from workbench.panels.drawing import chart
from workbench.panels.drawing.config import DrawConfig
from workbench.panels.drawing.study import NEEDS, STUDY, Record, caution, image_name, run, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.drawing import DrawEvent
    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
The model draws from the **words alone**; the image, its corruption and the question on the bench are left
out.

A model that draws **token by token** (Janus, Emu3) chooses one code of its tokeniser for each place, row by
row from the top left, each after all before it. Every state shows what the tokeniser's decoder makes of the
tokens so far. To run the decoder at all, places not yet drawn are filled with the code nearest to the
codebook's mean, and then painted grey. That is our choice; near the border, and faintly elsewhere, the
filling shows in what is drawn. The last state has none of it.

**Entropy** says how open the choice was: 0 nats where one code was certain, ln(codes) where all were
equally likely. *Before guidance* is the model's own distribution, *after guidance* the one that classifier-
free guidance makes of it, from which tokens are drawn; temperature and top-k come after both. High entropy
is no fault: grass leaves more open than a letter. **log p** among the numbers is the log-probability of the
token that was drawn, after guidance, in nats.

A model that draws **by flow** (BAGEL) walks from noise (t = 1) to an image (t = 0), all places at once.
Each state shows what the latent decodes to at that moment; **|v|** is the norm of the velocity that led
there.
"""
SHOTS = 8
ROW = "the drawing as it comes about"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """One drawing so far, for the screen: the share that is done, that in words, the states."""

    done: float
    words: str
    states: Sequence[chart.Shot]


class DrawingView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does the model draw from words, and how does it come about?"
    explanation = (
        "Every state of the drawing, and for models that draw token by token how open each choice was. Of "
        "the bench it takes the model and the seed."
    )
    invitation = "Write what to draw and press Look."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        prompt = gr.Textbox(
            "a large red star left of a small blue ring",
            label="What to draw",
            lines=1,
            max_lines=4,
            elem_id="draw-prompt",
        )
        self.caution = gr.HTML("", elem_id="draw-caution")
        self.pictures = gr.HTML(_strip(()), elem_id="draw-pictures")
        self.maps = gr.HTML("", elem_id="draw-maps")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="draw-plot")
        self.settings = {"prompt": prompt, **_settings()}
        self.foot(READING)
        self.outputs = [self.caution, self.pictures, self.maps, self.plot]
        self.drawn_with = [bench.dark]
        self.wire()
        prompt.submit(None, None, None, js=LOOK, api_visibility="private")

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> DrawConfig:
        """The config of a drawing with these settings."""
        given = dict(settings)
        interval = (given.pop("guide_above"), given.pop("guide_up_to"))
        for name in ("guidance", "height", "width", "top_k", "every"):
            given[name] = str(given[name]).strip() or None
        given["steps"] = int(given["steps"])
        return DrawConfig(seed=on.seed, interval=interval, **given)

    def images(self, on: OnBench, config: DrawConfig) -> Mapping[str, str]:
        """No picture goes in."""
        return {}

    def measured(
        self,
        on: OnBench,
        config: DrawConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its states on."""
        seen: list[chart.Shot] = []

        def hear(event: DrawEvent, record: Record) -> None:
            if record.states and (len(record.states) > len(seen)):
                last, canvas = record.states[-1], record.canvas
                assert canvas is not None
                pixels = record.images[image_name(last["state"])]
                seen.append(chart.shot(last, pixels, canvas.rows * canvas.cols))
            say(Seen(*share(event), tuple(seen)))

        return run(config, model, hear=hear, stop=stop)

    def progressing(self) -> Callable[[Seen], Updates]:
        """Each state on the screen as it comes about."""
        pace = Pace()

        def show(seen: Seen) -> Updates:
            words = seen.words[:1].upper() + seen.words[1:]
            return {
                self.status: markup.status(words, seen.done, pace.left(seen.done)),
                self.pictures: _strip(seen.states[-SHOTS:]),
                self.maps: "",
                self.plot: gr.Plot(visible=False),
            }

        return show

    def shown(self, result: Result | None) -> Updates:
        """A finished drawing on the screen; without one the empty panel."""
        if result is None:
            return {self.pictures: _strip(()), self.maps: "", self.plot: gr.Plot(visible=False)}
        return {self.pictures: _strip(chart.shots(result, SHOTS)), self.numbers: _numbers(self.table(result))}

    def remarks(self, done: Done | None) -> Updates:
        """What to know of what this model draws from words."""
        return {self.caution: markup.notice(caution(done.card), plain=True) if done else ""}

    def prove(self, result: Result) -> None:
        """Also its maps and its curves."""
        super().prove(result)
        self.overlaid([("", result)], [("", result)], False)

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """Maps and curves of the present result and of pinned ones; curves of those drawn in the same way."""
        from workbench.panels.drawing.screen import screen

        (dark,) = drawn_with
        many = [*named, *pinned]
        if not many:
            return {self.maps: "", self.plot: gr.Plot(visible=False)}
        alike = [pair for pair in many if chart.by_tokens(pair[1]) == chart.by_tokens(many[0][1])]
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        return {
            self.maps: _maps(named, pinned),
            self.plot: gr.Plot(value=screen(alike, theme=theme), visible=True),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """A filmstrip for each result, its map and its curve."""
        from workbench.panels.drawing import figure

        return figure.paper(list(named))

    def table(self, result: Result) -> DataFrame:
        """A row for each token; by flow for each state."""
        return chart.numbers(result)

    def name(self, result: Result) -> str:
        """The first words, the seed and the model."""
        words = result.config["prompt"].split()
        first = " ".join(words[:5]) + (" …" if len(words) > 5 else "")
        return f"{first}, seed {result.config['seed']}, {result.manifest['model']['id']}"


def _settings() -> dict[str, Any]:
    """Every sampling parameter by its name in the config."""
    defaults = DrawConfig()

    def number(label: str, info: str) -> gr.Textbox:
        # Not gr.Number: an empty one becomes 0 as soon as it is seen.
        return gr.Textbox(
            "", label=label, info=info, placeholder="the model's own", max_lines=1, min_width=150
        )

    def slider(low: float, high: float, step: float, value: float, label: str, info: str) -> gr.Slider:
        return lenient.Slider(
            low, high, value=value, step=step, label=label, info=info, buttons=[], min_width=180
        )

    with gr.Accordion("Sampling", open=False, elem_id="draw-settings"):
        gr.HTML('<p class="aft quiet">What is left empty is as the model was published with.</p>')
        with gr.Row():
            guidance = number("Guidance on the words", "1: none")
            height = number("Height", "of the image, pixels")
            width = number("Width", "of the image, pixels")
        gr.HTML('<p class="aft quiet">Token by token</p>')
        with gr.Row():
            temperature = slider(
                0, 2, 0.05, defaults.temperature, "Temperature", "0: always the likeliest token"
            )
            top_k = number("Top-k", "tokens to choose from; 0: all")
            every = number("A state every", "tokens; a twelfth of all")
        gr.HTML('<p class="aft quiet">By flow</p>')
        with gr.Row():
            steps = slider(1, MOST_STEPS, 1, defaults.steps, "Denoising steps", "more are slower")
            shift = slider(
                0.5, 8, 0.1, defaults.shift, "Timestep shift", "above 1: more steps near the noise"
            )
        with gr.Row():
            low = slider(0, 1, 0.05, defaults.interval[0], "Guide while t is above", "t = 1 is noise")
            high = slider(0, 1, 0.05, defaults.interval[1], "and at most", "t = 0 is the image")
        with gr.Row():
            renorm = gr.Dropdown(
                list(RENORMS),
                value=defaults.renorm,
                label="Renormalise guidance",
                info="global: over all tokens; channel: token by token",
                min_width=180,
            )
            least = slider(0, 1, 0.05, defaults.renorm_min, "Least factor of that", "1: not at all")
    return {
        "guidance": guidance,
        "height": height,
        "width": width,
        "temperature": temperature,
        "top_k": top_k,
        "every": every,
        "steps": steps,
        "shift": shift,
        "guide_above": low,
        "guide_up_to": high,
        "renorm": renorm,
        "renorm_min": least,
    }


def _strip(shots: Sequence[chart.Shot]) -> str:
    """The states side by side; dashed frames where there are none yet."""
    cells = [markup.figure(shot.name, shot.note, shot.pixels) for shot in shots]
    if not cells:
        to_come = (("first state", "part of the image"), ("last state", "the finished image"))
        cells = [markup.figure(name, "", None, empty=words) for name, words in to_come]
    return markup.row(cells, ROW)


def _maps(named: Sequence[Named], pinned: Sequence[Named]) -> str:
    """Entropy over the finished image before and after guidance, all in one scale; pinned ones in rows."""
    from workbench.panels.overlay import scale_bar

    drawn = [pair for pair in (*named, *pinned) if chart.by_tokens(pair[1])]
    high = chart.top([result for _, result in drawn]) if drawn else 0.0
    parts: list[str] = []
    for _, result in named:
        if chart.by_tokens(result):
            cells = []
            for name, words in chart.NAMES.items():
                mean = f"mean {float(result.arrays[name].mean()):.2f} nats"
                cells.append(markup.figure(f"entropy {words}", mean, chart.entropy_map(result, name, high)))
            parts.append(markup.row(cells, "how open each choice was"))
    if drawn:
        parts.append(markup.scale("Entropy of each token, nats", scale_bar(), "0", f"{high:g}"))
    for title, result in pinned:
        pictures = [chart.finished(result)]
        words = f"by flow, {len(result.tables['states']) - 1} steps"
        if chart.by_tokens(result):
            pictures.append(chart.entropy_map(result, chart.AFTER, high))
            words = f"mean entropy after guidance {float(result.arrays[chart.AFTER].mean()):.2f} nats"
        images = [markup.image(picture, title, 96) for picture in pictures]
        parts.append(markup.strip(title, images, [result.config["prompt"], words]))
    return "".join(parts)


def _numbers(table: DataFrame) -> DataFrame:
    """The table with the digits one reads; empty where a state has no such number."""
    empty = [name for name in table if table[name].isna().all() or (table[name] == -1).all()]
    kept = table.drop(columns=empty)
    rounded = kept.round({"entropy": 3, "unguided": 3, "logprob": 3, "t": 3, "velocity_norm": 2})
    return rounded.astype(object).where(rounded.notna(), "").rename(columns={"logprob": "log p"})
