"""The panel "Causal" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.page import lenient, markup, subject
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import GOES_ON, Named, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.causal.chart import SHOWN, held, measures
from workbench.panels.causal.config import CausalConfig
from workbench.panels.causal.explained import READING
from workbench.panels.causal.pictures import empty, maps, pinned, told
from workbench.panels.causal.study import NEEDS, STUDY, run
from workbench.panels.causal.view_settings import FEWER, WHOLE, settings
from workbench.panels.layers.skipped import skipped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result


class CausalView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    on_stop = GOES_ON
    question = "Where does the damage enter, and through which layers does the image reach the answer?"
    explanation = (
        "Visual tokens of the clean image are put into the degraded run, and the other way round, stage by "
        "stage; attention is blocked in windows of layers."
    )
    invitation = (
        "Press Look. With a corruption on the bench tokens are exchanged and attention is blocked; without, "
        "attention alone."
    )

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        info = (
            f"a collection is {FEWER} images unless Measurement says more; the time left "
            "is told after the first of them"
        )
        self.subject = subject.Subject(STUDY, "Ask about", info)
        asked = self.subject.place()
        self.verdict = gr.HTML("", elem_id="causal-verdict")
        with gr.Row():
            self.show = lenient.Radio([], value=None, label="Show", visible=False, elem_id="causal-show")
            self.measure = lenient.Radio(
                [], value=None, label="Measured by", visible=False, elem_id="causal-measure"
            )
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="causal-plot")
        self.maps = gr.HTML(empty(), elem_id="causal-maps")
        self.pinned_maps = gr.HTML("", elem_id="causal-pinned")
        self.settings = {**asked, **settings()}
        self.foot(READING)
        self.outputs = [self.verdict, self.show, self.measure, self.plot, self.maps, self.pinned_maps]
        self.drawn_with = [self.show, self.measure, bench.dark, bench.narrow]
        self.printed_with = [self.show, self.measure]
        self.wire()
        for choice in (self.show, self.measure):
            choice.input(self._with_session(self.choose), [self.show, self.measure], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> CausalConfig:
        """The config of a look at the bench. A collection is asked its own questions unless one is given."""
        given = subject.chosen(on, dict(settings))
        given |= {name: int(given[name] or 0) for name in WHOLE}
        own = given.pop("own_question") or ""
        given["map_stages"] = [name.strip() for name in given["map_stages"].split(",") if name.strip()]
        return CausalConfig(
            question=on.question if given["image"] else own,
            corruption=on.corruption,
            intensity=on.intensity,
            seed=on.seed,
            **given,
        )

    def images(self, on: OnBench, config: CausalConfig) -> Mapping[str, str]:
        """The picture that goes in, or a collection's list."""
        return subject.pictured(on, config.image, config.data)

    def measured(
        self,
        on: OnBench,
        config: CausalConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The parts that a result brings with it; curves are drawn by ``overlaid``."""
        if result is None:
            return {
                self.verdict: "",
                self.show: gr.Radio(visible=False),
                self.measure: gr.Radio(visible=False),
                self.plot: gr.Plot(visible=False),
                self.maps: empty(),
            }
        said = skipped(result)
        return {
            self.verdict: told(result) + (markup.notice(said, plain=True) if said else ""),
            self.maps: maps(result),
            self.numbers: _numbers(result),
            **self._choices([result], None, None),
        }

    def choose(self, session: Session, show: str | None, measure: str | None) -> None:
        """Remember what a person chose to see."""
        session.chosen[str(self.show.elem_id)] = show
        session.chosen[str(self.measure.elem_id)] = measure

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen curves and measure, where this result has them."""
        chosen = [session.chosen.get(str(each.elem_id)) for each in (self.show, self.measure)]
        return self._choices([result], chosen[0], chosen[1])

    def overlaid(self, named: Sequence[Named], pinned_: Sequence[Named], *drawn_with: Any) -> Updates:
        """The chosen curves, those of pinned results over them; pinned pictures as rows below."""
        from workbench.panels.causal import figure

        show, measure, dark, narrow = drawn_with
        rows = "".join(pinned(name, other) for name, other in pinned_ if other.config["image"])
        many = [(name, one) for name, one in (*named, *pinned_) if show in held(one)]
        if not many or (named and show not in held(named[0][1])):
            return {self.plot: gr.Plot(visible=False), self.pinned_maps: rows}
        offered = measures([one for _, one in many], show)
        used = measure if measure in offered else next(iter(offered))
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        drawn = figure.screen(many, show, used, theme=theme, narrow=bool(narrow))
        return {
            self.plot: gr.Plot(value=drawn, visible=True),
            self.pinned_maps: rows,
            self.measure: gr.Radio(choices=_named(offered), value=used, visible=True),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen curves first, then the rest and the maps."""
        from workbench.panels.causal import figure

        show, measure = printed_with
        shared = [name for name in SHOWN if all(name in held(result) for _, result in named)]
        first = show if show in shared else ""
        offered = measures([result for _, result in named], first) if first else {}
        return figure.paper(list(named), first, measure if measure in offered else "")

    def table(self, result: Result) -> DataFrame:
        """Recovery by stage; where nothing was exchanged, blocked attention."""
        return result.tables["recovery" if "recovery" in result.tables else "blocked"]

    def prove(self, result: Result) -> None:
        """Also its curves."""
        from workbench.panels.causal.screen import screen

        super().prove(result)
        for name in held(result):
            screen([("", result)], name)

    def name(self, result: Result) -> str:
        """The condition, what was asked about, and the model."""
        data = ""
        if "data" in result.tables:
            about = result.tables["data"].drop_duplicates("what").set_index("what")["value"]
            data = f", {about['collection']}"
        return f"{condition(result)}{data}, {result.manifest['model']['id']}"

    def _choices(self, results: Sequence[Result], show: str | None, measure: str | None) -> Updates:
        """What can be shown of these results, with what stands there."""
        found = [name for name in SHOWN if all(name in held(result) for result in results)]
        if not found:
            return {self.show: gr.Radio(visible=False), self.measure: gr.Radio(visible=False)}
        chosen = show if show in found else found[0]
        offered = measures(results, chosen)
        used = measure if measure in offered else next(iter(offered))
        return {
            self.show: gr.Radio(choices=[(SHOWN[name], name) for name in found], value=chosen, visible=True),
            self.measure: gr.Radio(choices=_named(offered), value=used, visible=True),
        }


def _named(offered: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(words, name) for name, words in offered.items()]


def _numbers(result: Result) -> Any:
    """The table with three digits; empty where there is no such number."""
    table = result.tables["recovery" if "recovery" in result.tables else "blocked"]
    table = table.round({name: 3 for name in table.select_dtypes("floating").columns})
    return table.astype(object).where(table.notna(), "")
