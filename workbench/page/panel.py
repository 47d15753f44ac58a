"""What every panel has in the same place and does in the same way; each adds its study and pictures."""

from __future__ import annotations

import json
import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.page import lane, markup, pins, results, shelf
from workbench.page.bench import Bench, OnBench
from workbench.page.downloads import Downloads
from workbench.page.session import Session
from workbench.page.wiring import QUIET, told
from workbench.panels.command import as_command
from workbench.panels.specimen import from_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pydantic import BaseModel

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

STALE = "The bench has changed since this was measured. Look again to measure what lies there now."
STOPPED = "Stopped. Nothing was kept of the unfinished look."
Updates = dict[Any, Any]
Named = tuple[str, "Result"]
"""A result with the name it is shown under."""


@dataclass(frozen=True)
class Done:
    """A finished look: its id, its result, what lay on the bench, the model that looked."""

    key: str
    result: Result
    on: OnBench
    model: Model


class Pace:
    """Seconds left, guessed from the share of the work that is done."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def left(self, done: float) -> float | None:
        """Seconds to go at ``done`` 0 … 1; None where too little is done to tell."""
        spent = time.monotonic() - self.began
        return spent * (1 - done) / done if done > 0.02 and spent > 0.5 else None


class Panel(ABC):
    """One panel. A subclass's __init__ calls this one, adds its own parts, then ``foot`` and ``wire``.

    Handlers get the visitor's session first; the values of the bench follow, then those of ``settings``,
    which are components by the name of what they set. ``outputs`` are the parts that a result fills;
    ``drawn_with`` are choices that only redraw what is kept, ``printed_with`` those that the figure for paper
    follows.
    """

    study: str
    question: str
    explanation: str
    invitation: str

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.result = gr.State(None)
        self.settings: Mapping[str, Any] = {}
        self.outputs: Sequence[Any] = ()
        self.drawn_with: Sequence[Any] = ()
        self.printed_with: Sequence[Any] = ()
        gr.HTML(markup.heading(self.question, self.explanation))
        with gr.Row(elem_classes="state-row"):
            self.status = gr.HTML(markup.status(self.invitation), elem_id=f"{self.study}-status")
            self.own = gr.Button(
                "Look",
                size="sm",
                scale=0,
                min_width=96,
                elem_id=f"{self.study}-look",
                elem_classes=["bench-look", "own-look"],
            )

    # What a panel adds.

    @abstractmethod
    def config(self, on: OnBench, settings: Mapping[str, Any]) -> BaseModel:
        """The study's config for what lies on the bench, and the settings' values. Raises Refusal."""

    @abstractmethod
    def images(self, on: OnBench, config: Any) -> Mapping[str, str]:
        """sha256 of the images that go in, by name: with model and config they decide the result."""

    @abstractmethod
    def measured(self, on: OnBench, config: Any, model: Model, say: lane.Say, stop: lane.Stop) -> Result:
        """Run the study; ``say`` passes anything on to ``progressing``."""

    @abstractmethod
    def progressing(self) -> Callable[[Any], Updates]:
        """A function that turns what ``measured`` says into updates; a new one for each look."""

    @abstractmethod
    def shown(self, result: Result | None) -> Updates:
        """The panel with a result, or empty."""

    def standing(self, session: Session, result: Result) -> Updates:
        """Over ``shown``: what the visitor chose earlier, as far as it holds for this result."""
        return {}

    @abstractmethod
    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """What is drawn of the present result (``named``, one or none) together with the pinned ones."""

    @abstractmethod
    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The figure for paper as the screen shows it, the present result first."""

    @abstractmethod
    def table(self, result: Result) -> DataFrame:
        """The numbers behind the figure."""

    @abstractmethod
    def name(self, result: Result) -> str:
        """A name that a pin of this result may have."""

    def remarks(self, done: Done) -> Updates:
        """What there is to say about a finished look besides its result."""
        return {}

    # The same for all.

    def foot(self, reading: str) -> None:
        """How to read it, the numbers, and what can be done with them."""
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(reading, elem_classes="reading")
        with gr.Accordion("Numbers", open=False):
            self.numbers = gr.Dataframe(
                interactive=False,
                wrap=False,
                show_label=False,
                max_height=360,
                buttons=["copy"],
                elem_id=f"{self.study}-numbers",
            )
        with gr.Row(elem_classes="actions"):
            self.pin_name = gr.Textbox(
                placeholder="name of the pin",
                label="Name of the pin",
                show_label=False,
                container=False,
                max_lines=1,
                scale=3,
                min_width=200,
                elem_id=f"{self.study}-pin-name",
            )
            self.pin = gr.Button("Pin", size="sm", scale=0, min_width=64, elem_id=f"{self.study}-pin")
            gr.HTML('<p class="aft quiet">Download</p>')
            self.downloads = Downloads(self.study)
            self.copy = gr.Button(
                "Copy as command", size="sm", scale=0, min_width=150, elem_id=f"{self.study}-copy"
            )
        self.command = gr.Code(
            "",
            language="shell",
            interactive=False,
            lines=1,
            wrap_lines=True,
            show_line_numbers=False,
            show_label=False,
            visible=False,
            elem_id=f"{self.study}-command",
        )

    def api(self) -> None:
        """The same look for programmes: an endpoint named after the study, answered with its tables."""
        with gr.Row(visible=False):
            call, answer = gr.Button(), gr.JSON()
        bench = self.bench

        def answering(request: gr.Request, **given: Any) -> dict[str, Any]:
            return self.called(bench.session(request), **given)

        call.click(
            answering,
            None,
            [answer],
            inputs_kwargs={
                "image": bench.upload,
                "question": bench.question,
                "corruption": bench.corruption,
                "intensity": bench.intensity,
                "seed": bench.seed,
                **self.settings,
            },
            api_name=self.study,
            api_description=f"{self.question} {self.explanation}",
            concurrency_id=lane.GPU,
            concurrency_limit=1,
        )

    def called(
        self,
        session: Session,
        image: str | None,
        question: str,
        corruption: str,
        intensity: float,
        seed: float | None,
        **settings: Any,
    ) -> dict[str, Any]:
        """Look at an uploaded image, or without one at the first example; tables as records, NaN as null."""
        try:
            found = from_file(Path(image), Path(image).name) if image else shelf.sample(0)
        except Refusal as refusal:
            raise told(refusal) from refusal
        on = OnBench(found, corruption, float(intensity), question, int(seed or 0), self.bench.host.first)
        done: list[Result] = []

        def work(say: lane.Say, stop: lane.Stop) -> None:
            config = self._checked(on, settings)
            done.append(self.measured(on, config, self.bench.model_of(on), say, stop))

        try:
            for _ in lane.follow(session, work):
                pass
        except (Refusal, Cancelled) as refusal:
            raise told(Refusal(str(refusal) or STOPPED)) from refusal
        tables = {name: json.loads(table.to_json(orient="records")) for name, table in done[0].tables.items()}
        return {"config": done[0].config, "manifest": done[0].manifest, **tables}

    def wire(self) -> Any:
        """Connect the parts; returns the event that draws the curves or pictures of a new result.

        Only ``look`` runs the model, in its lane; all the others draw what is kept.
        """
        bench = self.bench
        inputs = [*bench.inputs, *self.settings.values()]
        every = [self.status, self.result, self.numbers, self.pin_name, *self.outputs]
        every += self.downloads.buttons.values()
        with bench.go:
            look = gr.Button(
                "Look",
                variant="primary",
                min_width=80,
                visible=not bench.looks,
                elem_id=f"bench-look-{self.study}",
                elem_classes="bench-look",
            )
            stop = gr.Button(
                "Stop",
                interactive=False,
                min_width=64,
                visible=not bench.stops,
                elem_id=f"bench-stop-{self.study}",
            )
        bench.looks[self.study], bench.stops[self.study] = look, stop
        self.buttons = (look, self.own, stop)
        every += self.buttons

        begun = gr.on(
            [look.click, self.own.click],
            self._with_session(self.beginning),
            None,
            [self.status, *self.buttons],
            queue=False,
            **QUIET,
        )
        running = begun.then(
            self._with_session(self.look),
            [*inputs, self.result],
            every,
            concurrency_id=lane.GPU,
            concurrency_limit=1,
            show_progress="hidden",
            api_visibility="private",
        )
        # What was changed while the model was at work is seen to now.
        running.then(
            self._with_session(self.refresh),
            [*inputs, self.result],
            every,
            **QUIET,
        )
        stop.click(
            self._with_session(self.stopped),
            [*inputs, self.result],
            every,
            cancels=[running],
            queue=False,
            **QUIET,
        )
        gr.on(
            [component.change for component in inputs],
            self._with_session(self.refresh),
            [*inputs, self.result],
            every,
            trigger_mode="always_last",
            **QUIET,
        )
        kept = [self.result, bench.pins.all, bench.pins.shown]
        drawn = gr.on(
            [self.result.change, bench.pins.shown.change, *(c.change for c in self.drawn_with)],
            self._with_session(self.overlay),
            [*kept, *self.drawn_with],
            list(self.outputs),
            trigger_mode="always_last",
            **QUIET,
        )
        self.downloads.wire(
            lambda form: self._with_session(partial(self.download, form)),
            [*kept, *self.printed_with],
            self.status,
        )
        self.pin.click(
            self.pinned,
            [self.result, self.pin_name, bench.pins.all, bench.pins.shown],
            [bench.pins.all, bench.pins.shown, self.status],
            **QUIET,
        )
        copied = self.copy.click(self._with_session(self.as_command), inputs, [self.command], **QUIET)
        copied.then(
            None,
            [self.command],
            None,
            js="(text) => { navigator.clipboard?.writeText(text); }",
            api_visibility="private",
        )
        self.api()
        return drawn

    def beginning(self, session: Session) -> Updates:
        """What the buttons and the status say before the lane is free."""
        session.waiting.add(self.study)
        look, own, stop = self.buttons
        return {
            self.status: markup.status("Waiting for the model"),
            look: gr.Button(interactive=False),
            own: gr.Button(interactive=False),
            stop: gr.Button(interactive=True),
        }

    def resting(self) -> Updates:
        """What the buttons say when nothing runs."""
        look, own, stop = self.buttons
        return {
            look: gr.Button(interactive=True),
            own: gr.Button(interactive=True),
            stop: gr.Button(interactive=False),
        }

    def stopped(self, session: Session, *values: Any) -> Updates:
        """End the look; the last good result comes back, marked where the bench has changed since."""
        *bench_values, last = values
        session.stop(self.study)
        session.waiting.discard(self.study)
        session.failed[self.study] = tuple(bench_values)
        fitting = self._fitting(session, bench_values)
        late = STALE if last and (fitting is None or fitting[0] != last) else ""
        return {
            **self._screen(session, self.kept(session, last)),
            **self.resting(),
            self.status: markup.status(f"{STOPPED} {late}".strip()),
        }

    def look(self, session: Session, *values: Any) -> Iterator[Updates]:
        """Run the study on what lies on the bench; yields the screen as it fills.

        Where it fails, the last good result comes back and a sentence stands in the status line.
        """
        *bench_values, last = values
        progressing = self.progressing()

        def work(say: lane.Say, stop: lane.Stop) -> None:
            on, config = self._laid(session, bench_values)
            model = self.bench.model_of(on)
            key = self._key(on, config, model)
            result = results.kept(session, key)
            if result is None:
                results.check_room(session)
                result = self.measured(on, config, model, say, stop)
                if stop():
                    raise Cancelled
                results.keep(session, key, result)
            say(Done(key, result, on, model))

        def failed(sentence: str) -> Updates:
            session.failed[self.study] = tuple(bench_values)
            last_good = self._screen(session, self.kept(session, last))
            return {**last_good, **self.resting(), self.status: markup.notice(sentence)}

        session.failed.pop(self.study, None)
        try:
            for said in lane.follow(session, work, study=self.study):
                session.waiting.discard(self.study)
                if isinstance(said, Done):
                    yield {**self._presented(session, said, _took(said.result)), **self.resting()}
                elif said is not None:
                    yield progressing(said)
        except Cancelled:
            session.failed[self.study] = tuple(bench_values)
            last_good = self._screen(session, self.kept(session, last))
            yield {**last_good, **self.resting(), self.status: markup.status(STOPPED)}
        except Refusal as refusal:
            yield failed(str(refusal))
            raise told(refusal) from refusal
        except MemoryError as error:
            sentence = "The machine ran out of memory. Take a smaller image, or stop other work."
            yield failed(sentence)
            raise told(Refusal(sentence)) from error
        except Exception as error:
            sentence = self._fault(error, "the look at")
            yield failed(sentence)
            raise told(Refusal(sentence)) from error
        finally:
            session.waiting.discard(self.study)

    def refresh(self, session: Session, *values: Any) -> Updates:
        """After a change on the bench: the kept result that fits, or a mark that the one shown does not."""
        *bench_values, last = values
        if session.measures(self.study):
            return {self.status: gr.skip()}  # looked at again when that ends
        if session.failed.get(self.study) == tuple(bench_values):
            return {self.status: gr.skip()}  # how it ended still stands there
        fitting = self._fitting(session, bench_values)
        result = self.kept(session, fitting[0]) if fitting else None
        if fitting is None or result is None:
            return {self.status: markup.status(STALE if last else self.invitation)}
        key, on, model = fitting
        if key == last:
            return {self.status: markup.status(_took(result))}
        words = f"{_took(result)} Kept from before; nothing was computed again."
        return self._presented(session, Done(key, result, on, model), words)

    def overlay(
        self, session: Session, key: str | None, all_pins: list[Any], shown: list[str], *drawn_with: Any
    ) -> Updates:
        """The pinned results over the present one."""
        result = self.kept(session, key)
        named = [(self.name(result), result)] if result is not None else []
        return self.overlaid(named, self._pinned(session, key, all_pins, shown), *drawn_with)

    def download(
        self,
        form: str,
        session: Session,
        key: str | None,
        all_pins: list[Any],
        shown: list[str],
        *printed_with: Any,
    ) -> Updates:
        """The file that a download button hands over, shown pinned results included; or why there is none."""
        result = self.kept(session, key)
        if result is None or key is None:
            return {self.status: markup.notice("There is nothing to download any more: look again.")}
        named = [(self.name(result), result), *self._pinned(session, key, all_pins, shown)]
        ids = [key, *pins.ids(self.study, all_pins, shown, but=key), *map(str, printed_with)]
        try:
            with session.writing():
                path = self.downloads.written(
                    form,
                    session.sub("exports"),
                    ids,
                    lambda: self.paper(named, *printed_with),
                    lambda: self._all(named),
                )
        except Cancelled:
            return {self.status: gr.skip()}
        except Refusal as refusal:
            return {self.status: markup.notice(str(refusal))}
        except Exception as error:
            return {self.status: markup.notice(self._fault(error, f"the {form.upper()} of"))}
        return {self.downloads.buttons[form]: str(path)}

    def pinned(self, key: str | None, name: str, all_pins: list[Any], shown: list[str]) -> Updates:
        """Pin the result under its name."""
        try:
            updates = self.bench.pins.add(self.study, key, name, all_pins, shown)
        except Refusal as refusal:
            return {self.status: markup.notice(str(refusal))}
        return {**updates, self.status: markup.status("Pinned: it stays beside what you look at next.")}

    def as_command(self, session: Session, *values: Any) -> Any:
        """The command that does the same look."""
        try:
            on, config = self._laid(session, values)
        except Refusal as refusal:
            return gr.Code(f"# {refusal}", visible=True)
        return gr.Code(as_command(self.study, config, model=on.model), visible=True)

    def kept(self, session: Session, key: str | None) -> Result | None:
        """A result of this session by its id, to be read only; none once the visit is over."""
        return results.kept(session, key)

    def _presented(self, session: Session, done: Done, words: str) -> Updates:
        """The screen with a finished look, and words on it for the status line."""
        return {
            **self._screen(session, done.result),
            **self.remarks(done),
            **self.downloads.awake(),
            self.result: done.key,
            self.pin_name: self.name(done.result),
            self.status: markup.status(words),
        }

    def _fault(self, error: Exception, doing: str) -> str:
        """Log a fault of ours, and say so in a sentence."""
        logging.getLogger(__name__).exception("%s %s failed", doing, self.study)
        return (
            f"The workbench failed here ({type(error).__name__}: {error}). Nothing else is affected; "
            "the log of the process has the details."
        )

    def _screen(self, session: Session, result: Result | None) -> Updates:
        shown = self.shown(result)
        return shown if result is None else {**shown, **self.standing(session, result)}

    def _laid(self, session: Session, values: Sequence[Any]) -> tuple[OnBench, Any]:
        count = len(self.bench.inputs)
        on = self.bench.on(session, *values[:count])
        return on, self._checked(on, dict(zip(self.settings, values[count:], strict=True)))

    def _fitting(self, session: Session, values: Sequence[Any]) -> tuple[str, OnBench, Model] | None:
        """The id that a look at these values would have; None while its model is not open or one is wrong."""
        try:
            on, config = self._laid(session, values)
            model = self.bench.host.opened(on.model)
            return None if model is None else (self._key(on, config, model), on, model)
        except (Refusal, Cancelled):
            return None  # said when somebody looks; a question half typed is no mistake yet

    def _checked(self, on: OnBench, settings: Mapping[str, Any]) -> Any:
        from pydantic import ValidationError

        from workbench.panels.command import sentence

        try:
            return self.config(on, settings)
        except ValidationError as error:
            raise Refusal(sentence(error)) from error

    def _key(self, on: OnBench, config: BaseModel, model: Model) -> str:
        """The id of a look: what decides it, and nothing else (not the name of the file, say)."""
        from workbench.runs.store import Store

        settings = config.model_dump(mode="json", exclude={"image"})
        return Store.key(self.study, settings, model.card, self.images(on, config))

    def _pinned(
        self, session: Session, key: str | None, all_pins: list[Any], shown: list[str]
    ) -> list[Named]:
        found = [
            (name, self.kept(session, pinned))
            for pinned, name in pins.of(self.study, all_pins, shown, but=key)
        ]
        return [(name, result) for name, result in found if result is not None]

    def _all(self, named: Sequence[Named]) -> DataFrame:
        import pandas as pd

        if len(named) == 1:
            return self.table(named[0][1])
        return pd.concat([self.table(result).assign(look=name) for name, result in named], ignore_index=True)

    def _with_session(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as a handler: Gradio hands over the request, the function gets the session."""
        import inspect

        if inspect.isgeneratorfunction(function):

            def streaming(request: gr.Request, *values: Any) -> Iterator[Any]:
                yield from function(self.bench.session(request), *values)

            return streaming

        def handler(request: gr.Request, *values: Any) -> Any:
            return function(self.bench.session(request), *values)

        return handler


def _took(result: Result) -> str:
    seconds = float(result.manifest.get("seconds", math.nan))
    duration = f"{seconds:.1f} s" if seconds < 10 else markup.duration(seconds)
    return f"Measured in {duration}."


def condition(result: Result) -> str:
    """What was done to the image, in two words: "clean", "darkness 0.90"."""
    from workbench.images.corruptions import CORRUPTIONS

    corruption = CORRUPTIONS.get(result.config["corruption"])
    return f"{corruption.label.lower()} {result.config['intensity']:.2f}" if corruption else "clean"
