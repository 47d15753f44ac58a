"""The panel "Perceptual" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from probes.perceptual.registry import MEASURES
from workbench.errors import Cancelled, Refusal
from workbench.images.fit import LONGEST, within
from workbench.page import lenient, markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Progress, Updates
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.command import as_command
from workbench.panels.perceptual import reading
from workbench.panels.perceptual.choices import missing_here
from workbench.panels.perceptual.config import PerceptualConfig
from workbench.panels.perceptual.pictures import Shown, enough, of_states
from workbench.panels.perceptual.saved import from_capture
from workbench.panels.perceptual.study import STUDY, run, weights
from workbench.panels.perceptual.view_parts import (
    BOX,
    beside,
    caption,
    empty,
    fitting,
    map_name,
    numbers,
    scores,
    word,
)
from workbench.panels.perceptual.view_settings import FILES, STATES, measurement
from workbench.panels.specimen import from_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

READING = """
The first picture is the **reference**: of the states on the page, the original. Every other one is compared
with it. ↑ means that higher is nearer to it, ↓ that lower is.

**PSNR** counts errors pixel by pixel, **SSIM** and **MS-SSIM** compare brightness, contrast and structure
under a window, **GMSD** gradients, **FSIMc** edges and colour, **HaarPSI** wavelets, **VIFp** how much
information about the reference is left; above 1 it has more contrast. **LPIPS** and **DISTS** compare what a
network that was trained on photographs finds; they need its weights. Nothing is ever measured with weights
that were not trained: where they are missing, the measure is left out.

The **map** is brighter where the picture is further from the reference; the ends of its colours stand below.
That of SSIM shows 1 − SSIM, from 0 to 1; that of LPIPS and the absolute difference go up to the highest value
there. **Over denoising** shows a measure at every step; the dotted line is the degraded picture, which a
drawing has to pass before it is worth anything by that measure.

Numbers of different measures cannot be compared with one another, and those of LPIPS only for the same
network, weights and size; the table names them. Most were fitted to judgements about photographs: of drawn
scenes of 96 pixels they say less. A near picture is not yet one that helps the answer.
"""
HERE = "the states on the page"
"""What stands for their run in a config."""
WHERE = "results/states"
"""The folder that the command which States copies writes to."""
THEIR_RUN = f"# {WHERE} is what the command that States copies writes."
OWN_PATHS = "# Put the paths of your own files here: the page knows their names only."
CHOSEN = "perceptual"
"""What the session remembers the choices by."""


@dataclass(frozen=True)
class OnTable(OnBench):
    """The bench with the pictures that are compared; `key`: of the states that they are of."""

    shown: tuple[Shown, ...] = ()
    runs: tuple[Any, ...] = ()
    key: str = ""


class PerceptualView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = frozenset()
    asks_model = False
    question = "How close is the drawing to the clean image, and where is it not?"
    explanation = (
        "Measures of image quality for every picture on the way to the answer, or for files of your own, "
        "with a map. No model is asked."
    )
    invitation = "Look at States first, or give files of your own; then press Look here."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        # The id of the result that States, which stands before, shows.
        self.settings = {"states": bench.results[STATES], **measurement()}
        self.left_out = gr.HTML("", elem_id="perceptual-left-out")
        self.empty = gr.HTML(empty(), elem_id="perceptual-empty")
        with gr.Column(visible=False, elem_id="perceptual-parts") as self.parts:
            with gr.Row():
                self.pair = lenient.Dropdown([], label="Compared", min_width=260, elem_id="perceptual-pair")
                self.map = lenient.Radio([], label="Map", min_width=300, elem_id="perceptual-map-of")
            with gr.Row(elem_id="perceptual-maps"):
                with gr.Column(elem_classes="patch-column", min_width=0):
                    self.slider = gr.ImageSlider(
                        format="png",
                        show_label=False,
                        height=BOX,
                        buttons=["fullscreen"],
                        interactive=False,
                        elem_classes="compare-slider",
                    )
                    self.sides = gr.HTML("")
                with gr.Column(elem_classes="patch-column", min_width=0):
                    self.drawn = gr.Image(
                        format="png",
                        show_label=False,
                        container=False,
                        height=BOX,
                        buttons=[],
                        interactive=False,
                        elem_classes="difference-map",
                    )
                    self.caption = gr.HTML("", elem_id="perceptual-caption")
            self.scores = gr.HTML("", elem_id="perceptual-scores")
            self.measure = lenient.Dropdown(
                [], label="Over denoising", visible=False, min_width=200, elem_id="perceptual-measure"
            )
            self.plot = gr.Plot(show_label=False, visible=False, elem_id="perceptual-plot")
        self.beside = gr.HTML("", elem_id="perceptual-beside")
        self.foot(READING)
        self.outputs = [
            *(self.slider, self.sides, self.drawn, self.caption, self.scores, self.plot, self.beside),
        ]
        self.printed_with = [self.pair, self.map, self.measure]
        self.drawn_with = [*self.printed_with, bench.dark]
        self.wire()
        # Only what a person does is a choice; a value that a result brought with it is none.
        for name, part in (("pair", self.pair), ("map", self.map), ("measure", self.measure)):
            part.input(self._with_session(partial(self.choose, name)), [part], None, **QUIET)
        source, files = self.settings["source"], self.settings["files"]
        source.change(lambda chosen: gr.File(visible=chosen == FILES), [source], [files], **QUIET)

    @property
    def every(self) -> list[Any]:
        """Also what a result brings with it and no drawing of it changes."""
        return [*super().every, self.left_out, self.empty, self.parts, self.pair, self.map, self.measure]

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> PerceptualConfig:
        """The config of a comparison of what was laid."""
        given = dict(settings)
        given.pop("states", None)
        of_states_ = given.pop("source") == STATES
        files = [Path(path).name for path in given.pop("files") or []]
        return PerceptualConfig(images=(HERE,) if of_states_ else tuple(files), **given)

    def laid(
        self, session: Session, on: OnBench, settings: Mapping[str, Any]
    ) -> tuple[OnBench, PerceptualConfig]:
        """The bench with the states' pictures, or with those of the files. Raises Refusal."""
        config = self._checked(on, settings)
        bench = {field.name: getattr(on, field.name) for field in fields(OnBench)}
        if settings["source"] == STATES:
            key = str(settings.get("states") or "")
            result = self.kept(session, key)
            if result is None:
                raise Refusal(
                    "There are no states on the page: look at States first, or give files of your own."
                )
            return OnTable(**bench, shown=tuple(enough(of_states(result))), runs=(result,), key=key), config
        shown = []
        for path in settings["files"] or []:
            found = from_file(Path(path), Path(path).name, whole=True)
            shown.append(Shown(found.name, found.picture.pixels, notes=found.picture.notes))
        return OnTable(**bench, shown=tuple(enough(shown))), config

    def images(self, on: OnBench, config: PerceptualConfig) -> Mapping[str, str]:
        """The pictures, and the weights that the measures take."""
        assert isinstance(on, OnTable)
        pictures = {"states": on.key} if on.key else {f"{k}": each.sha256 for k, each in enumerate(on.shown)}
        return pictures | weights(config)

    def measured(
        self,
        on: OnBench,
        config: PerceptualConfig,
        model: None,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        assert isinstance(on, OnTable)
        pictures = (list(on.shown), list(on.runs))
        return run(config, picture=pictures, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The choices that a result brings with it; pictures and map are drawn by ``overlaid``."""
        if result is None:
            return {self.empty: empty(), self.parts: gr.Column(visible=False), self.left_out: ""}
        sentences = reading.left_out(result)
        if not any(MEASURES[name].trunk for name in result.config["measures"] if name in MEASURES):
            sentences += [missing_here(short=True)]
        return {
            self.empty: "",
            self.parts: gr.Column(visible=True),
            self.left_out: markup.notice(" ".join(sentences).strip(), plain=True),
            self.numbers: numbers(result),
            **self._offering(result, {}),
        }

    def _offering(self, result: Result, chosen: Mapping[str, Any]) -> Updates:
        """What a result lets be chosen, and what is chosen of it."""
        pair, kind, measure = fitting(result, *(chosen.get(name) for name in ("pair", "map", "measure")))
        names = reading.places(result)
        pairs = [(f"{names[k]}, against {names[r]}", word((k, r))) for k, r in reading.pairs_of(result)]
        curved = [name for name in reading.measures_of(result) if reading.curves(result, name)]
        return {
            self.pair: gr.Dropdown(pairs, value=word(pair)),
            self.map: gr.Radio(
                [(map_name(each), each) for each in reading.maps_of(result, pair)], value=kind
            ),
            self.measure: gr.Dropdown(
                [(f"{reading.title(name)} {reading.arrow(name)}", name) for name in curved],
                value=measure if measure in curved else None,
                visible=bool(curved),
            ),
        }

    def from_saved(self, run: Result, progress: Progress, stop: Callable[[], bool]) -> list[Result]:
        """A result of this study as it is; of a capture one for each image that was damaged."""
        if run.study != CAPTURE:
            return super().from_saved(run, progress, stop)
        return from_capture(run, progress=progress, stop=stop)

    def prove(self, result: Result) -> None:
        """Also every map of every pair, and as a pinned result."""
        super().prove(result)
        for pair in reading.pairs_of(result):
            for kind in reading.maps_of(result, pair):
                reading.spread(result, kind, pair)
        self.overlaid([("", result)], [("", result)], None, None, None, False)

    def choose(self, name: str, session: Session, value: Any) -> None:
        """Remember a choice for the looks that follow."""
        session.chosen.setdefault(CHOSEN, {})[name] = value

    def standing(self, session: Session, result: Result) -> Updates:
        """What was chosen, as far as this result has it."""
        return self._offering(result, session.chosen.get(CHOSEN, {}))

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The chosen pair with its map and numbers, curves, and the numbers of pinned results."""
        if not named:
            return {self.beside: "", self.plot: gr.Plot(visible=False)}
        from workbench.panels.perceptual.screen import screen

        *choices, dark = drawn_with
        result = named[0][1]
        pair, kind, measure = fitting(result, *choices)
        names = reading.places(result)
        picture, reference = (reading.seen(result, place) for place in pair)
        values = reading.spread(result, kind, pair)
        between = reading.span(kind, [values])
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        curves = screen([*named, *pinned], measure, theme=theme)
        return {
            self.slider: (markup.enlarged(reference, BOX), markup.enlarged(picture, BOX)),
            self.sides: markup.remark(f"Left: {names[pair[1]]}, the reference. Right: {names[pair[0]]}."),
            self.drawn: markup.enlarged(within(reading.coloured(values, between), LONGEST), BOX),
            self.caption: caption(kind, between),
            self.scores: scores(result, pair),
            self.plot: gr.Plot(value=curves, visible=True) if curves else gr.Plot(visible=False),
            self.beside: "".join(beside(name, other, kind) for name, other in pinned),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """Pictures, the chosen map and numbers of each result; the chosen curve first."""
        from workbench.panels.perceptual import figure

        first = named[0][1]
        pair, kind, measure = fitting(first, *printed_with)
        able = [each for each in named if kind in reading.maps_of(each[1], reading.last_pair(each[1]))]
        held = [m for m in reading.foremost(first) if all(m in reading.measures_of(r) for _, r in able)]
        order = [measure, *(name for name in held if name != measure)] if measure in held else held
        return figure.paper(able or [named[0]], kind=kind, pair=pair, measures=order)

    def table(self, result: Result) -> DataFrame:
        """Every score with what it takes to repeat it."""
        return result.tables["scores"]

    def name(self, result: Result) -> str:
        """What was compared: what was done to the image and the model, or the files."""
        about = result.manifest.get("runs") or []
        if not about:
            return ", ".join(reading.places(result)[:3])
        from workbench.images.corruptions import CORRUPTIONS

        config = about[0]["config"]
        known = CORRUPTIONS.get(config.get("corruption", ""))
        done = f"{known.within} {config['intensity']:.2f}" if known else "clean"
        return f"{done}, {result.manifest['model']['id']}"

    def as_command(self, session: Session, *values: Any) -> Any:
        """The command that does the same; of states and files it says where their paths belong."""
        count = len(self.bench.inputs) + len(self.settings)
        try:
            _, config = self._laid(session, values[:count])
        except Refusal as refusal:
            return gr.Code(f"# {refusal}", visible=True)
        except Cancelled:
            return gr.skip()
        own = config.images != (HERE,)
        config = config if own else config.model_copy(update={"images": (WHERE,)})
        command = as_command(STUDY, config, placed="images")
        return gr.Code(f"{OWN_PATHS if own else THEIR_RUN}\n{command}", visible=True)
