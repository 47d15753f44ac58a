"""The panel "Layers" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.datasets.scenes import TARGETS
from workbench.page import markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Pace, Panel, Progress, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.measures import GROUPS
from workbench.panels.layers.saved import measure_saved
from workbench.panels.layers.study import NEEDS, STUDY, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
One axis runs from the first **vision** block over the **projector** to the last **language** layer. *llm 0*
is what enters the language model; the dashed line across is its value, and what stands at the end of a curve
is the drop from there to the last layer. Shaded: 95 % interval. Grey: the same measure with labels or places
permuted.

For **the image on the bench** the curves tell how the patches relate to one another; one picture has no
interval. Click a patch, or give its row and column: the map shows its cosine to all other patches at the
chosen stage. Where a picture's objects are known (drawn scenes), cohesion and coupling compare within and
across them.

For **the probe set** a linear reader is fitted at every stage to scenes in the bench's condition and scored
on scenes it has not seen: what it cannot read is not there linearly.

What goes in is the image **without a question**. Of the embedded model and other BAGEL folders the vision
tokens stand alone: no system prompt and no latent of the image before them, as both do when the model draws.
These are the states behind the answers *without drawing, from vision tokens alone* in the panel States. Other
models get the image in the words of their own chat template.

Each stage is measured on **its own patches**; what a point of a curve says counts them. A tower may cut finer
ones than the language model reads: on the map, a cell is then their mean.

What the embedded model was told: its vision tower learned from the words of captions of windows that hold one
object, and from masked pixels; no map (class of a patch, instance, depth) was ever its target. Shape and
colour words stand in captions, so the curves over the whole image show how well words known to the tower
survive; the patch curves show what it was never told.
"""
IMAGE, PROBES = "image", "probes"
SUBJECTS = [("the image on the bench", IMAGE), ("the bundled probe set, about a minute on a CPU", PROBES)]


class LayersView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does each layer still show of the image?"
    explanation = (
        "Hidden states at the visual tokens, from the vision blocks over the projector to the language "
        "layers, measured in one pass."
    )
    invitation = "Press Look: one pass through the model, and every stage is measured."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.subject = gr.Radio(SUBJECTS, value=IMAGE, label="Measure", elem_id="layers-subject")
        self.group = gr.Radio([], value=None, label="Show", visible=False, elem_id="layers-group")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="layers-plot")
        self.note = gr.HTML(_empty(), elem_id="layers-note")
        with gr.Row(visible=False, elem_id="layers-map") as self.map_row:
            self.map = gr.Image(
                format="png",
                show_label=False,
                interactive=False,
                buttons=[],
                container=False,
                elem_id="layers-map-image",
                elem_classes="patch-map",
            )
            with gr.Column(min_width=220):
                self.given = gr.HTML("", elem_id="layers-given")
                self.stage = gr.Slider(
                    0, 1, value=0, step=1, label="Stage", buttons=[], elem_id="layers-stage"
                )
                with gr.Row():
                    self.row = gr.Number(
                        1, label="Patch, row", precision=0, minimum=1, min_width=90, elem_id="layers-row"
                    )
                    self.col = gr.Number(
                        1, label="column", precision=0, minimum=1, min_width=90, elem_id="layers-column"
                    )
                self.caption = gr.HTML("", elem_id="layers-caption")
        self.settings = {"measure": self.subject, **_settings()}
        self.foot(READING)
        self.outputs = [
            self.group,
            self.plot,
            self.note,
            self.map_row,
            self.given,
            self.stage,
            self.row,
            self.col,
        ]
        self.drawn_with = [self.group, bench.dark]
        self.printed_with = [self.group, self.row, self.col, self.stage]
        drawn = self.wire()
        mapping = (
            self._with_session(self.draw_map),
            [self.result, self.stage, self.row, self.col],
            [self.map, self.caption, self.stage],
        )
        # After the curves: only then do stage and patch hold what the new result brought with it.
        drawn.then(*mapping, **QUIET)
        # Row and column change together: "always_last" may keep the call between the two.
        for triggers, mode in (
            ([self.stage.change], "always_last"),
            ([self.row.change, self.col.change], "multiple"),
        ):
            gr.on(triggers, *mapping, trigger_mode=mode, **QUIET)
        self.map.select(self.pick, [self.result], [self.row, self.col], **QUIET)
        # Only what a person does is a choice; a value that a result brought with it is none.
        for component in (self.group, self.stage, self.row, self.col):
            component.input(
                self._with_session(partial(self.choose, component)), [self.result, component], None, **QUIET
            )

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> LayersConfig:
        """The config of a look at the bench, or at the probe set in the bench's condition."""
        given = dict(settings)
        image = on.specimen.source if given.pop("measure") == IMAGE else ""
        for whole in ("permutations", "n_train", "n_validation", "n_test", "resamples"):
            given[whole] = int(given[whole] or 0)
        return LayersConfig(
            image=image, corruption=on.corruption, intensity=on.intensity, seed=on.seed, **given
        )

    def images(self, on: OnBench, config: LayersConfig) -> Mapping[str, str]:
        """The picture that goes in, and whether its objects are known; none for the probe set."""
        if not config.image:
            return {}
        scene = {"scene": on.specimen.source} if on.specimen.is_scene else {}
        return {"picture": on.specimen.picture.sha256, **scene}

    def measured(
        self,
        on: OnBench,
        config: LayersConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def progressing(self) -> Callable[[tuple[float, str]], Updates]:
        """The progress in the status line."""
        pace = Pace()

        def show(said: tuple[float, str]) -> Updates:
            done, text = said
            return {self.status: markup.status(text[:1].upper() + text[1:], done, pace.left(done))}

        return show

    def shown(self, result: Result | None) -> Updates:
        """The parts that a result brings with it; the curves are drawn by ``overlaid``."""
        from workbench.panels.layers.axis import groups_in
        from workbench.panels.layers.maps import default_token, drawable_stages

        if result is None:
            return {
                self.group: gr.Radio(visible=False),
                self.plot: gr.Plot(visible=False),
                self.note: _empty(),
                self.map_row: gr.Row(visible=False),
            }
        groups = groups_in([("", result)])
        updates: Updates = {
            self.group: gr.Radio(choices=groups, value=groups[0], visible=True),
            self.numbers: _numbers(result),
            self.map_row: gr.Row(visible=False),
        }
        if stages := drawable_stages(result):
            row, col = divmod(default_token(result), int(result.arrays["grid"][1]))
            entry = stages.index("llm 0") if "llm 0" in stages else 0
            updates |= {
                self.map_row: gr.Row(visible=True),
                self.given: markup.beside(result.images["shown"], "the picture as the model gets it"),
                self.stage: gr.Slider(maximum=len(stages) - 1, value=entry),
                self.row: gr.Number(value=row + 1, maximum=int(result.arrays["grid"][0])),
                self.col: gr.Number(value=col + 1, maximum=int(result.arrays["grid"][1])),
            }
        return updates

    def from_saved(self, run: Result, progress: Progress, stop: Callable[[], bool]) -> list[Result]:
        """A result of this study as it is; a capture measured, one result for each of its images."""
        if run.study != CAPTURE:
            return super().from_saved(run, progress, stop)
        return measure_saved(run, progress=progress, stop=stop)

    def prove(self, result: Result) -> None:
        """Also its curves, and the map of every stage."""
        from workbench.panels.layers import figure, maps
        from workbench.panels.layers.axis import groups_in

        super().prove(result)
        for group in groups_in(result):
            figure.screen(result, group)
        for stage in (stages := maps.drawable_stages(result)):
            maps.similarity(result, stage, maps.default_token(result))
        if stages:
            maps.similarity_image(result, stages[-1], maps.default_token(result))

    def choose(self, part: Any, session: Session, key: str | None, value: Any) -> None:
        """Remember what a person chose: the group, the stage by its name, the patch's row or column."""
        from workbench.panels.layers.maps import drawable_stages

        if part is self.stage:
            result = self.kept(session, key)
            stages = drawable_stages(result) if result is not None else []
            value = stages[int(value)] if int(value) < len(stages) else None
        session.chosen[str(part.elem_id)] = value

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen group, stage and patch, each where this result has it."""
        from workbench.panels.layers.axis import groups_in
        from workbench.panels.layers.maps import drawable_stages

        groups, stages = groups_in([("", result)]), drawable_stages(result)
        parts = (self.group, self.stage, self.row, self.col)
        chosen: dict[Any, Any] = {part: session.chosen.get(str(part.elem_id)) for part in parts}
        updates: Updates = {}
        if chosen[self.group] in groups:
            updates[self.group] = gr.Radio(choices=groups, value=chosen[self.group], visible=True)
        if chosen[self.stage] in stages:
            at = stages.index(chosen[self.stage])
            updates[self.stage] = gr.Slider(maximum=len(stages) - 1, value=at)
        for part, most in zip((self.row, self.col), result.arrays["grid"] if stages else (), strict=False):
            if chosen[part] and 1 <= int(chosen[part]) <= int(most):
                updates[part] = gr.Number(value=int(chosen[part]), maximum=int(most))
        return updates

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The curves of the chosen group, pinned results over the present one."""
        group, dark = drawn_with
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import groups_in

        many = [pair for pair in (*named, *pinned) if group in groups_in([pair])]
        if not many:
            return {self.plot: gr.Plot(visible=False)}
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        plot = figure.screen(many if len(many) > 1 else many[0][1], group, theme=theme)
        return {self.plot: gr.Plot(value=plot, visible=True), self.note: markup.remark(GROUPS[group].note)}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen group's curves; for one picture more groups after it, and maps of the chosen patch.

        The chosen stage is among those maps.
        """
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import groups_in
        from workbench.panels.layers.maps import default_token, drawable_stages

        group, row, col, stage = printed_with
        result = named[0][1]
        held = groups_in([named[0]])
        chosen = group if group in held else held[0]
        if len(named) > 1:
            return figure.paper([pair for pair in named if chosen in groups_in([pair])], [chosen])
        stages = drawable_stages(result)
        if not stages:
            return figure.paper(result, [chosen])
        rows, cols = (int(value) for value in result.arrays["grid"])
        on_grid = row and col and 1 <= row <= rows and 1 <= col <= cols
        token = (int(row) - 1) * cols + int(col) - 1 if on_grid else default_token(result)
        groups = [chosen, *(name for name in held if name != chosen)][: figure.MOST_PANELS]
        return figure.paper(result, groups, token=token, stage=_at(stages, stage))

    def table(self, result: Result) -> DataFrame:
        """The curves."""
        return result.tables["curves"]

    def name(self, result: Result) -> str:
        """The condition, what was measured, and the model."""
        subject = "" if result.config["image"] else ", probe set"
        return f"{condition(result)}{subject}, {result.manifest['model']['id']}"

    def draw_map(
        self, session: Session, key: str | None, stage: float, row: float | None, col: float | None
    ) -> Any:
        """The similarity map of a patch at a stage, and what it shows in words."""
        from workbench.panels.layers.maps import (
            drawable_stages,
            finer_patches,
            scale_bar,
            scale_of,
            similarity_image,
        )

        result = self.kept(session, key)
        stages = drawable_stages(result) if result is not None else []
        if result is None or not stages:
            return gr.skip(), gr.skip(), gr.skip()
        rows, cols = (int(value) for value in result.arrays["grid"])
        at = (min(max(int(row or 1), 1), rows), min(max(int(col or 1), 1), cols))
        name = _at(stages, stage)
        low, high = scale_of(result)
        pixels = similarity_image(result, name, (at[0] - 1) * cols + at[1] - 1)
        words = f"Cosine of the outlined patch (row {at[0]}, column {at[1]}) to all others at {name}."
        if (finer := finer_patches(result, name)) > 1:
            words += f" Each is the mean of {finer} finer ones."
        caption = markup.scale(words, scale_bar(), f"{low:g}", f"{high:g}")
        return pixels, caption, gr.Slider(label=f"Stage: {name}")

    def pick(self, key: str | None, request: gr.Request, picked: gr.SelectData) -> Any:
        """The row and column of the patch that was clicked; it stays chosen."""
        from workbench.panels.layers.maps import drawable_stages, token_at

        session = self.bench.session(request)
        result = self.kept(session, key)
        if result is None or not drawable_stages(result):
            return gr.skip(), gr.skip()
        x, y = picked.index
        row, col = divmod(token_at(result, float(x), float(y)), int(result.arrays["grid"][1]))
        self.choose(self.row, session, key, row + 1)
        self.choose(self.col, session, key, col + 1)
        return row + 1, col + 1


def _at(stages: Sequence[str], place: float) -> str:
    """The stage at a place of the slider, which may still be set for an earlier, longer result."""
    return stages[min(int(place), len(stages) - 1)]


def _settings() -> dict[str, Any]:
    """What can be set besides the bench, by its name in the config."""
    defaults = LayersConfig()
    with gr.Accordion("Measurement", open=False, elem_id="layers-settings"):
        with gr.Row():
            centre = gr.Checkbox(
                defaults.centre,
                label="Centre the states",
                info="subtract an image's mean token before cosines",
                min_width=200,
            )
            purity = gr.Slider(
                0.05,
                1,
                value=defaults.purity,
                step=0.05,
                label="Label purity",
                info="share of a patch that its label must cover",
                buttons=[],
                min_width=200,
            )
            permutations = _number(defaults.permutations, "Permutations", "behind the grey band")
        with gr.Row():
            targets = gr.CheckboxGroup(
                list(TARGETS),
                value=["shape", "colour"],
                label="Read from the whole image",
            )
        with gr.Row():
            train = _number(defaults.n_train, "Probe set: scenes to fit on")
            validation = _number(defaults.n_validation, "to choose the penalty")
            test = _number(defaults.n_test, "to score on")
            resamples = _number(defaults.resamples, "Resamples", "behind an interval")
    return {
        "centre": centre,
        "purity": purity,
        "permutations": permutations,
        "targets": targets,
        "n_train": train,
        "n_validation": validation,
        "n_test": test,
        "resamples": resamples,
    }


def _number(value: int, label: str, info: str | None = None) -> gr.Number:
    return gr.Number(value, label=label, info=info, precision=0, minimum=1, min_width=150)


def _empty() -> str:
    return markup.placeholder("the curves stand here, one axis from the first vision block to the last layer")


def _numbers(result: Result) -> Any:
    """The curves' table with three digits; empty where a measure has no such number."""
    table = result.tables["curves"].drop(columns=["band", "index"])
    digits = {name: 3 for name in table.select_dtypes("floating").columns}
    table = table.round(digits)
    return table.astype(object).where(table.notna(), "")
