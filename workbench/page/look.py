"""The look itself: begin, run, stop, and what stands on the screen after the bench has changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.pace import Pace
from workbench.page import lane, markup, results
from workbench.page.bench import OnBench
from workbench.page.controls import Controls
from workbench.page.downloads import Downloads
from workbench.page.frame import Done, Frame, Updates, whence
from workbench.page.host import Chosen, Loading
from workbench.page.session import Session
from workbench.page.wiring import QUIET, told
from workbench.panels.needs import missing

if TYPE_CHECKING:
    from pydantic import BaseModel

    from workbench.models.protocol import Model, ModelCard
    from workbench.runs.result import Result

STALE = "The bench has changed since this was measured. Look again to measure what lies there now."
NO_MODEL = "No model is open: open a model to look, or a saved run to read."
AGAIN = "Open a model to look again."
STOPPED = "Stopped. Nothing was kept of the unfinished look."
GOES_ON = "Stopped. What was asked so far is kept: the same look goes on from there."


class Look(Frame):
    """The buttons that begin and end a look, and their handlers."""

    on_stop = STOPPED
    """What is said of a look that was stopped; a study that goes on where it was says so."""
    controls: Controls
    numbers: gr.Dataframe
    pin_name: gr.Textbox
    pin: gr.Button
    downloads: Downloads

    def progressing(self) -> Callable[[Any], Updates]:
        """A share 0 … 1 and words in the status line; a panel that shows more says how."""
        pace = Pace()

        def show(said: tuple[float, str]) -> Updates:
            done, text = said
            return {self.status: markup.status(text[:1].upper() + text[1:], done, pace.left(done))}

        return show

    def _wire_look(self) -> None:
        """Connect the buttons and the bench. Only ``look`` runs the model, in its lane."""
        inputs, every = self._everything(), self.every
        begun = gr.on(
            [button.click for button in self.controls.looks],
            self._with_session(self.beginning),
            None,
            [self.status, *self.controls.all],
            queue=False,
            **QUIET,
        )
        running = begun.then(
            self._with_session(self.look),
            inputs,
            every,
            concurrency_id=lane.GPU,
            concurrency_limit=1,
            trigger_mode="multiple",  # one that was stopped may still wait in the queue
            show_progress="hidden",
            api_visibility="private",
        )
        # What was changed while the model was at work is seen to now.
        running.then(self._with_session(self.refresh), inputs, every, **QUIET)
        gr.on(
            [button.click for button in self.controls.stops],
            self._with_session(self.stopped),
            inputs,
            every,
            queue=False,
            **QUIET,
        )
        due = self.bench.turns.bench.due[self.study]
        gr.on(
            [component.change for component in (due, *self.settings.values())],
            self._with_session(self.refresh),
            inputs,
            every,
            trigger_mode="always_last",
            **QUIET,
        )

    def _everything(self) -> list[Any]:
        """What goes into a look, and the result shown last."""
        return [*self.bench.inputs, *self.settings.values(), self.result]

    @property
    def every(self) -> list[Any]:
        """All that a look, or a saved run, may change."""
        shown = [self.status, self.result, self.numbers, self.pin_name, self.pin, *self.outputs]
        return [*shown, *self.downloads.buttons.values(), *self.controls.all]

    def beginning(self, session: Session) -> Updates:
        """What the buttons and the status say before the lane is free."""
        session.ask(self.study)
        session.due.pop(self.study, None)
        words = "Waiting for the model" if self.asks_model else "Waiting for other work to end"
        return {self.status: markup.status(words), **self.controls.busy()}

    def stopped(self, session: Session, *values: Any) -> Updates:
        """End the look, also where it still waits in the queue."""
        session.stop(self.study)
        return self._halted(session, *values)

    def _halted(self, session: Session, *values: Any) -> Updates:
        """After a stop the last good result comes back, marked where the bench has changed since."""
        *bench_values, last = values
        session.failed[self.study] = tuple(bench_values)
        fitting, model = self._fitting(session, bench_values), self._model(bench_values)
        result = self.kept(session, last)
        late = "" if fitting and fitting[0] == last else self._late(session, last, result, model)
        late = self._unable(model) or late
        return {
            **self._screen(session, result),
            **self.controls.resting(able=not self._unable(model)),
            self.status: markup.status(f"{self.on_stop} {late}".strip()),
        }

    def look(self, session: Session, *values: Any) -> Iterator[Updates]:
        """Run the study on what lies on the bench; yields the screen as it fills.

        Where it fails, the last good result comes back and a sentence stands in the status line.
        """
        *bench_values, last = values
        model = self._model(bench_values)
        progressing, busy = self.progressing(), self.controls.busy()

        def work(say: lane.Say, stop: lane.Stop) -> None:
            on, config = self._laid(session, bench_values)

            def model() -> Model:
                return self.bench.host.model(
                    on.model, say=lambda words, share: say(Loading(words, share)), stop=stop
                )

            card = self._card(on.model) or model().card
            key = self._key(on, config, card)
            result = results.kept(session, key)
            if result is None:
                results.check_room(session)
                opened = model() if self.asks_model else None
                if opened is not None:
                    card = opened.card
                    key = self._key(on, config, card)  # its files may be others than when it was last open
                result = self.measured(on, config, opened, say, stop)
                if stop():
                    raise Cancelled
                results.keep(session, key, result)
            say(Done(key, result, on, card))

        def resting() -> Updates:
            return self.controls.resting(able=not self._unable(model))

        def ended(status: str) -> Updates:
            session.failed[self.study] = tuple(bench_values)
            last_good = self._screen(session, self.kept(session, last))
            return {**last_good, **resting(), self.status: status}

        session.failed.pop(self.study, None)
        try:
            for said in lane.follow(session, work, study=self.study):
                if isinstance(said, Done):
                    yield {**self._looked(session, said, _took(said.result)), **resting()}
                elif said is not None:
                    loading = isinstance(said, Loading)
                    yield busy | ({self.status: markup.status(*said)} if loading else progressing(said))
                    busy = {}
        except Cancelled:
            # Said once more, after what was on its way to the page; unless the next look was asked for.
            if not session.measures(self.study):
                yield self._halted(session, *values)
        except Refusal as refusal:
            yield ended(markup.notice(str(refusal)))
            raise told(refusal) from refusal
        except MemoryError as error:
            sentence = "The machine ran out of memory. Take a smaller image, or stop other work."
            yield ended(markup.notice(sentence))
            raise told(Refusal(sentence)) from error
        except Exception as error:
            sentence = self._fault(error, "the look at")
            yield ended(markup.notice(sentence))
            raise told(Refusal(sentence)) from error

    def refresh(self, session: Session, *values: Any) -> Updates:
        """After a change on the bench: the kept result that fits, or a mark that the one shown does not.

        A result of a saved run that is due here comes first.

        Where the model cannot serve this panel, Look sleeps and the status says why; the last result stays.
        So does one of a saved run, which no bench made: the status says where it is from.
        """
        if session.measures(self.study):
            return {self.status: gr.skip()}  # looked at again when that ends
        model = self._model(values)
        able = self.controls.able(not self._unable(model))
        due = session.due.pop(self.study, None)
        if (result := self.kept(session, due)) is not None:
            return {**able, **self._opened(session, str(due), result, model)}
        return {**able, **self._followed(session, model, *values)}

    def _followed(self, session: Session, model: Chosen, *values: Any) -> Updates:
        """What a change on the bench makes of status and result."""
        *bench_values, last = values
        late = self._late(session, last, self.kept(session, last), model)
        if reason := self._unable(model):
            words = markup.status(late) if late and not model.name else markup.notice(reason, plain=True)
            return {self.status: words}
        if session.failed.get(self.study) == tuple(bench_values):
            return {self.status: gr.skip()}  # how it ended still stands there
        fitting = self._fitting(session, bench_values)
        result = self.kept(session, fitting[0]) if fitting else None
        if fitting is None or result is None:
            return {self.status: markup.status(late or self.invitation)}
        key, on, card = fitting
        if key == last:
            return {self.status: markup.status(_took(result))}
        words = f"{_took(result)} Kept from before; nothing was computed again."
        return self._looked(session, Done(key, result, on, card), words)

    def _opened(self, session: Session, key: str, result: Result, model: Chosen) -> Updates:
        """The screen with a result of a saved run; ``model`` is the one on the bench."""
        words = self._late(session, key, result, model)
        return {**self._presented(session, key, result, words), **self.remarks(None)}

    def _looked(self, session: Session, done: Done, words: str) -> Updates:
        """The screen with a finished look, and words on it for the status line."""
        return {**self._presented(session, done.key, done.result, words), **self.remarks(done)}

    def _presented(self, session: Session, key: str, result: Result, words: str) -> Updates:
        return {
            **self._screen(session, result),
            **self.downloads.awake(),
            self.pin: gr.update(interactive=True),
            self.result: key,
            self.pin_name: self.name(result),
            self.status: markup.status(words),
        }

    def _late(self, session: Session, key: str | None, result: Result | None, model: Chosen) -> str:
        """What to say of a shown result that is not of what lies on the bench; empty where none is shown."""
        if key is None:
            return ""
        if key in session.opened and result is not None:
            return whence(result) if model.name or not self.asks_model else f"{whence(result)} {AGAIN}"
        return STALE

    def _screen(self, session: Session, result: Result | None) -> Updates:
        shown = self.shown(result)
        return shown if result is None else {**shown, **self.standing(session, result)}

    def _fitting(self, session: Session, values: Sequence[Any]) -> tuple[str, OnBench, ModelCard] | None:
        """The id that a look at these values would have; None before its model was open, or one is wrong."""
        try:
            on, config = self._laid(session, values)
            card = self._card(on.model)
            return None if card is None else (self._key(on, config, card), on, card)
        except (Refusal, Cancelled):
            return None  # said when somebody looks; a question half typed is no mistake yet

    def _model(self, values: Sequence[Any]) -> Chosen:
        """The model among the values of the bench."""
        found: Chosen = values[self.bench.inputs.index(self.bench.model)]
        return found

    def _unable(self, model: Chosen) -> str:
        """Why this model cannot serve this panel, once it was open; empty where it can."""
        if not model.name and self.asks_model:
            return NO_MODEL
        card = self._card(model)
        return missing(card, self.needs) if card is not None else ""

    def _key(self, on: OnBench, config: BaseModel, card: ModelCard) -> str:
        """The id of a look: what decides it, and nothing else (not the name of the file, say)."""
        from workbench.runs.store import Store

        settings = config.model_dump(mode="json", exclude={"image"})
        return Store.key(self.study, settings, card, self.images(on, config))


def _took(result: Result) -> str:
    seconds = float(result.manifest.get("seconds", math.nan))
    duration = f"{seconds:.1f} s" if seconds < 10 else markup.duration(seconds)
    return f"Measured in {duration}."
