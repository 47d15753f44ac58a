"""The model on the bench: its card, and how another one is chosen, opened and closed again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.models import DTYPES, READ_AS, WEIGHTS, Opening, embedded
from workbench.page import cards
from workbench.page.host import Chosen, Host
from workbench.page.markup import notice, remark
from workbench.page.session import Session, Sessions
from workbench.page.wiring import QUIET, told

OPENING = "opening a model"
"""What a session knows this work by."""
MOST = 8
"""Models that a browser remembers."""
SOURCE = ("revision", "base", "weights", "read_as")
"""Of an opening what belongs to a name: where its weights come from, and what they are."""
Source = tuple[str, ...]
"""The values of these."""
STOPPED = "Stopped. The model on the bench is the one from before."
SHARED = "Somebody else has that model on the bench, too. It opens again when they look with it."

NOTHING = Chosen("")
"""On a bench without a model."""

Updates = dict[Any, Any]


class Chooser:
    """The card and the fold below it. Built in the sidebar.

    What went wrong stands over the button that was pressed, in place of what opening would take.
    ``model`` is the visitor's State of what is on the bench, a `Chosen`.
    """

    def __init__(self, host: Host, sessions: Sessions) -> None:
        self.host, self.sessions = host, sessions
        self.model = gr.State(host.first)
        first, how = host.first.name, host.first.opening
        self.card = gr.HTML(cards.opening(first) if first else cards.none(), elem_id="card")
        about = "About this model, open another or a run" if first else "Open a model or a saved run"
        self.fold = gr.Accordion(about, open=not first, elem_id="other-model")
        with self.fold:
            self.details = gr.HTML("", elem_id="card-details")
            self.name = gr.Dropdown(
                self._names([]),
                value=None,
                allow_custom_value=True,
                label=f"{'Another model' if first else 'Model'}: hub id or folder",
                elem_id="model-name",
            )
            with gr.Row(elem_classes="pairs"):
                self.revision = gr.Textbox(
                    how.revision, label="Revision", placeholder="main", max_lines=1, min_width=110
                )
                self.dtype = _among("dtype", ("auto", *DTYPES), how.dtype)
            with gr.Row(elem_classes="pairs"):
                self.attention = _among("Attention", ("auto", "sdpa", "eager"), how.attention)
                self.device = _among("Device", ("auto", "cpu"), how.device, visible=False)
                self.quantised = _among("Quantised", ("",), how.quantised, visible=False)
            with gr.Accordion("CLEAR, and other weights over BAGEL", open=False, elem_id="model-base"):
                with gr.Row(elem_classes="pairs"):
                    self.base = gr.Textbox(
                        how.base,
                        label="BAGEL, the base",
                        placeholder="id or folder",
                        max_lines=1,
                        min_width=110,
                    )
                    self.weights = _among("Weights", WEIGHTS, how.weights)
                self.read_as = gr.Dropdown(
                    [("CLEAR over a base, else BAGEL", "auto"), ("BAGEL", "bagel"), ("CLEAR", "clear")],
                    value=how.read_as,
                    label="Images and words read as",
                    filterable=False,
                )
                gr.HTML('<p class="aft quiet">System prompt, a text file</p>')
                self.prompt = gr.File(show_label=False, height=40, elem_id="model-prompt")
            self.estimate = gr.HTML("", elem_id="model-estimate")
            self.notice = gr.HTML("", elem_id="model-notice")
            with gr.Row(elem_classes="opening"):
                self.open = gr.Button("Open", size="sm", min_width=80, elem_id="model-open")
                self.stop = gr.Button("Stop", size="sm", min_width=80, visible=False, elem_id="model-stop")
                self.close = gr.Button("Close", size="sm", min_width=80, visible=False, elem_id="model-close")
            self.limits = gr.HTML("", elem_id="model-limits")
        # The secret hides nothing: without a fixed one, what a browser remembers ends with this process.
        self.recent = gr.BrowserState([], storage_key="afterimage-models", secret="afterimage")

    def wire(self) -> None:
        """Connect the buttons."""
        how: list[Any] = [self.name, self.device, self.dtype, self.revision, self.attention, self.quantised]
        how += [self.base, self.weights, self.prompt, self.read_as]
        shown = [self.model, self.card, self.details, self.notice, self.open, self.stop, self.close]
        self.open.click(
            self.open_model,
            [*how, self.model, self.card, self.recent],
            [*shown, self.name, self.recent, self.estimate],
            **QUIET,
        )
        self.stop.click(self.stop_opening, None, None, queue=False, **QUIET)
        self.close.click(self.close_model, [self.model], [*shown, self.estimate], **QUIET)
        source = [self.revision, self.base, self.weights, self.read_as]
        self.name.input(self.choose, [self.name, *source, self.recent], source, **QUIET)
        gr.on(
            [part.change for part in how if part not in (self.attention, self.prompt)],
            self.show_estimate,
            [*how],
            [self.estimate],
            trigger_mode="always_last",
            **QUIET,
        )

    def begin(self, load: Callable[..., Any]) -> Any:
        """When a page loads: open the first model, showing how far it is; then offer what works here."""
        opened = load(self.show_card, [self.model], [self.card, self.details, self.close], **QUIET)
        offered = [self.name, self.device, self.attention, self.quantised, self.limits]
        opened.then(self.offer, [self.recent], offered, **QUIET)
        return opened

    # Handlers

    def open_model(self, request: gr.Request, *values: Any) -> Iterator[Updates]:
        """Another checkpoint; where it cannot be opened, the sentence, and the open one stays.

        ``values``: the fields as `_chosen` takes them, the model on the bench, its card, the recent names.
        """
        *fields, current, card, recent = values
        session = self.sessions.by(request)
        resting = self._buttons(current)
        try:
            chosen = self._asked(*fields)
            yield {
                self.card: cards.opening(chosen.name),
                self.notice: "",
                self.open: gr.Button(interactive=False),
                self.stop: gr.Button(visible=True),
                self.close: gr.Button(visible=False),
            }
            with session.working(OPENING) as flag:
                for words, share in self.host.opening(chosen, stop=flag.is_set):
                    yield {self.card: cards.opening(chosen.name, words, share)}
        except Cancelled:
            yield {self.card: card, self.notice: notice(STOPPED, plain=True), **resting}
            return
        except Exception as error:  # whatever it is, the card and the buttons come back
            refusal = error if isinstance(error, Refusal) else _fault(error)
            yield {self.card: card, self.estimate: "", self.notice: notice(str(refusal)), **resting}
            raise told(refusal) from error
        remembered = _remembered(chosen, recent)
        yield {
            **self._on_bench(session, chosen),
            self.name: gr.Dropdown(choices=self._names([entry["name"] for entry in remembered])),
            self.recent: remembered,
            self.notice: "",
            self.estimate: "",
        }

    def choose(self, name: str | None, *values: Any) -> Updates:
        """What belongs to the name that was chosen, and not to the one before.

        A name that is not remembered takes what was written for it by hand, before it, along. ``values``:
        those of SOURCE, and what the browser remembers.
        """
        *fields, recent = values
        first = self.host.first
        known = {first.name: _source(first)} | _recalled(recent)
        own, here = known.get((name or "").strip()), tuple(fields)
        if own is None:
            own = PLAIN if here in known.values() else here
        return dict(zip((self.revision, self.base, self.weights, self.read_as), own, strict=True))

    def stop_opening(self, request: gr.Request) -> None:
        """Give the opening up."""
        self.sessions.by(request).stop(OPENING)

    def close_model(self, current: Chosen, request: gr.Request) -> Updates:
        """Free a model's memory; back to the first one where that is open, and else to none."""
        session = self.sessions.by(request)
        self.host.close(current)
        first = self.host.first
        left = first if self.host.opened(first) is not None else NOTHING
        updates = self._on_bench(session, left)
        said = notice(SHARED if self.sessions.use(current) else "", plain=True)
        return {**updates, self.notice: said, self.estimate: ""}

    def show_card(self, chosen: Chosen, request: gr.Request) -> Iterator[Updates]:
        """A model's card as it opens and once it is open; where it cannot be opened, why."""
        session = self.sessions.by(request)
        session.model = chosen
        if not chosen.name:
            yield self._described(chosen)
            return
        try:
            for words, share in self.host.opening(chosen, stop=lambda: session.closed):
                yield {self.card: cards.opening(chosen.name, words, share)}
        except Cancelled:
            return
        except Refusal as refusal:
            yield {self.card: cards.failed(chosen.name, str(refusal)), self.details: ""}
            return
        yield {**self._described(chosen), self.close: gr.Button(visible=True)}

    def show_estimate(self, *fields: Any) -> Iterator[Updates]:
        """What opening this would take; then why it cannot be opened, if so. As `_chosen` takes it."""
        from workbench.models.estimate import estimate, foreseen

        try:
            chosen = self._asked(*fields)
            if not chosen.name:
                yield {self.estimate: ""}
                return
            if self.host.opened(chosen) is not None:
                yield {self.estimate: remark("It is open already.")}
                return
            found = estimate(chosen.name, chosen.opening)
        except Refusal as refusal:
            yield {self.estimate: notice(str(refusal), plain=True)}
            return
        words = remark(found.words) if found.fits else notice(found.words)
        yield {self.estimate: words}
        # transformers, which this may ask, takes seconds to be imported.
        if why := foreseen(chosen.name, chosen.opening):
            yield {self.estimate: words + notice(why, plain=True)}

    def offer(self, recent: Any) -> Updates:
        """What can be chosen on this machine, and the models that this browser opened last."""
        from workbench.models.estimate import choices

        here, how = choices(), self.host.first.opening
        return {
            self.name: gr.Dropdown(choices=self._names(list(_recalled(recent)))),
            self.device: _offered(here.devices, how.device, than=2),
            self.attention: _offered(here.attention, how.attention),
            self.quantised: _offered(here.quantised, how.quantised),
            self.limits: remark(here.limits),
        }

    # What they share

    def _asked(self, *fields: Any) -> Chosen:
        """What the fields say, as `_chosen` takes them.

        That is the first model again where they stand as they did at first: no field holds the path of its
        prompt, or that its code is trusted.
        """
        chosen, first = _chosen(*fields), self.host.first
        unsaid = replace(first.opening, system_prompt="", trust_remote_code=False)
        return first if chosen == Chosen(first.name, unsaid) else chosen

    def _on_bench(self, session: Session, chosen: Chosen) -> Updates:
        """A model on the visitor's bench, with its card and its buttons."""
        session.model = chosen
        return {self.model: chosen, **self._described(chosen), **self._buttons(chosen)}

    def _described(self, chosen: Chosen) -> Updates:
        card = self.host.card(chosen)
        if card is None:
            opening = cards.opening(chosen.name) if chosen.name else cards.none()
            return {self.card: opening, self.details: ""}
        return {self.card: cards.model(card), self.details: cards.details(card)}

    def _buttons(self, chosen: Chosen) -> Updates:
        """The buttons while nothing is being opened."""
        return {
            self.open: gr.Button(interactive=True),
            self.stop: gr.Button(visible=False),
            self.close: gr.Button(visible=bool(chosen.name)),
        }

    def _names(self, recent: Sequence[str]) -> list[str]:
        """Names to choose from: what this browser opened last, the first model, the embedded ones."""
        return [name for name in dict.fromkeys([*recent, self.host.first.name, *embedded()]) if name]


def _fault(error: Exception) -> Refusal:
    """What nobody foresaw, as a sentence."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Refusal("The machine ran out of memory. Close another model, or take smaller numbers.")
    logging.getLogger(__name__).error("a model could not be opened", exc_info=error)
    return Refusal(
        f"The model could not be opened ({type(error).__name__}: {error}). Nothing else is affected; the log "
        "of the process has the details."
    )


def _chosen(name: str | None, *how: str | None) -> Chosen:
    """What the fields say, those of `Opening` in its order. Raises Refusal for what it does not know.

    Nothing on the page makes a checkpoint's own code run.
    """
    said: list[Any] = [(value or "").strip() for value in how]
    return Chosen(name or "", Opening(*said))


def _source(chosen: Chosen) -> Source:
    return _of(chosen.opening)


def _of(opening: Opening) -> Source:
    return tuple(getattr(opening, name) for name in SOURCE)


PLAIN = _of(Opening())
"""The source of a name by itself."""


def _recalled(recent: Any) -> dict[str, Source]:
    """What a browser handed over, as far as it is models: by their names, what belongs to each."""
    found: dict[str, Source] = {}
    for entry in recent if isinstance(recent, list) else []:
        # A browser may still hold what an earlier version stored, which is names alone.
        values = {"name": entry} if isinstance(entry, str) else entry if isinstance(entry, dict) else {}
        name = values.get("name")
        if isinstance(name, str):
            allowed = {"weights": WEIGHTS, "read_as": READ_AS}
            source = tuple(
                value
                if isinstance(value := values.get(key), str) and value in allowed.get(key, (value,))
                else plain
                for key, plain in zip(SOURCE, PLAIN, strict=True)
            )
            found.setdefault(name, source)
    return dict(list(found.items())[:MOST])


def _remembered(chosen: Chosen, recent: Any) -> list[dict[str, str]]:
    """What a browser is to remember, the model that was opened last first."""
    models = {chosen.name: _source(chosen)}
    models |= {name: source for name, source in _recalled(recent).items() if name != chosen.name}
    return [
        {"name": name, **dict(zip(SOURCE, source, strict=True))}
        for name, source in list(models.items())[:MOST]
    ]


def _among(label: str, values: Sequence[str], value: str, *, visible: bool = True) -> gr.Dropdown:
    """A choice of one; what the workbench was started with is among them."""
    return gr.Dropdown(
        _choices(values, value), value=value, label=label, min_width=110, visible=visible, filterable=False
    )


def _offered(values: Sequence[str], value: str, *, than: int = 1) -> gr.Dropdown:
    """The same choice with what works here; shown where there are more than so many."""
    choices = _choices(values, value)
    return gr.Dropdown(choices=choices, visible=len(choices) > than)


def _choices(values: Sequence[str], value: str) -> list[tuple[str, str]]:
    """Values with their names."""
    return [(each or "none", each) for each in dict.fromkeys([*values, value])]
