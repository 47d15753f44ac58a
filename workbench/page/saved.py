"""Saved runs on the page: those it was started with, for everybody, and those that a visitor drops."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.page import lane, markup, results
from workbench.page.bench import Bench
from workbench.page.frame import Progress, Updates, pictured, whence, with_session
from workbench.page.panel import Panel
from workbench.page.session import Session
from workbench.page.tabs import Tabs
from workbench.page.wiring import QUIET

if TYPE_CHECKING:
    from workbench.runs.result import Result

OPENING = "saved run"
"""What a visit knows the work of opening one by."""
NO_MEMORY = "The machine has too little memory for this run. Close other programs, or open a smaller one."


@dataclass(frozen=True)
class Opened:
    """A result that a panel shows of a saved run: the panel's study, the result's id, and itself."""

    study: str
    key: str
    result: Result


@dataclass(frozen=True)
class Read:
    """What the panels show of runs; and why some that show such runs cannot show these, in sentences."""

    found: list[Opened]
    lacking: list[str]


def read(panels: Mapping[str, Panel], path: Path, name: str, progress: Progress, stop: lane.Stop) -> Read:
    """What the panels show of a saved run, a folder or a .zip; each result is drawn once to see that it can.

    The ids depend on the run's contents alone. Raises Refusal where it is no run, or none that a panel shows.
    """
    from workbench.runs import archive

    identity, run = archive.opened(path, name=name)
    found: list[Opened] = []
    lacking: list[Refusal] = []
    try:
        for panel in panels.values():
            try:
                results = panel.from_saved(run, progress, stop)
            except Refusal as refusal:
                lacking.append(refusal)
                continue
            for number, result in enumerate(results):
                panel.prove(result)
                whence(result)
                made_from = f"{identity} {panel.study} {number}"
                key = hashlib.sha256(made_from.encode()).hexdigest()
                found.append(Opened(panel.study, key, result))
    except (Refusal, Cancelled, MemoryError):
        raise
    except Exception as error:  # The run may be somebody else's, and nothing in it is sure.
        logging.getLogger(__name__).warning("a saved run cannot be shown", exc_info=error)
        raise Refusal(
            f"“{name}” calls itself a run of “{run.study[:40]}”, but does not hold what one holds "
            f"({type(error).__name__}). Save it again with this version of the workbench."
        ) from error
    if not found and lacking:
        raise lacking[0]
    if not found:
        raise Refusal(f"“{name}” is a run of “{run.study[:40]}”, which no panel here shows.")
    return Read(found, list(dict.fromkeys(map(str, lacking))))


class SavedRuns:
    """What opening a saved run does to the page. Built once the panels are, inside the Blocks context."""

    def __init__(self, bench: Bench, tabs: Tabs) -> None:
        self.bench, self.panels, self.tabs = bench, tabs.panels, tabs
        self.common = Read([], [])
        self.inputs = [bench.pins.all, bench.pins.shown]
        self.outputs = [*tabs.parts, *bench.pins.parts, bench.run_notice, bench.run]
        self.some = gr.Checkbox(False, label="runs that are open for all", visible="hidden")
        laid = bench.run.upload(
            with_session(bench, self.lay), [bench.run, *self.inputs], self.outputs, **QUIET
        )
        bench.turns.note(laid.then)

    def open_for_all(self, path: Path, progress: Progress) -> None:
        """Open a run for every visitor, before the page is served. Raises Refusal."""
        opened = read(self.panels, path, path.name, progress, lambda: False)
        self.common = Read(self.common.found + opened.found, self.common.lacking + opened.lacking)
        self.bench.sessions.common.update({one.key: one.result for one in opened.found})

    def wire(self, load: Any) -> Any:
        """Show what is open for all when a visit begins; ``load`` is the page's. Returns its event.

        Whether there is any is asked first: that changes one part of the page.
        """
        begun = self.some.change(with_session(self.bench, self.begin), self.inputs, self.outputs, **QUIET)
        self.bench.turns.note(begun.then)
        return load(lambda: bool(self.common.found), None, [self.some], **QUIET)

    def begin(self, session: Session, all_pins: list[Any], shown: list[str]) -> Updates:
        """A visitor's page with what is open for all."""
        if not self.common.found:
            return {self.bench.run_notice: gr.skip()}
        return self._laid(session, self.common, all_pins, shown)

    def lay(
        self, session: Session, path: str | None, all_pins: list[Any], shown: list[str]
    ) -> Iterator[Updates]:
        """A dropped run on the page, a capture measured: its results pinned and due; or why not."""
        notice = self.bench.run_notice
        if path is None:
            return
        name = Path(path).name

        def work(say: lane.Say, stop: lane.Stop) -> None:
            results.check_room(session)
            opened = read(self.panels, Path(path), name, lambda done, text: say((done, text)), stop)
            for one in opened.found:
                results.keep(session, one.key, one.result)
            say(opened)

        yield {notice: markup.status(f"Opening {name}")}
        try:
            for said in lane.follow(session, work, study=OPENING):
                if isinstance(said, Read):
                    yield {**self._laid(session, said, all_pins, shown), self.bench.run: None}
                elif said is not None:
                    done, text = said
                    yield {notice: markup.status(text[:1].upper() + text[1:], done)}
        except Cancelled:
            yield {notice: ""}
        except Refusal as refusal:
            yield {notice: markup.notice(str(refusal)), self.bench.run: None}
        except MemoryError:
            yield {notice: markup.notice(NO_MEMORY), self.bench.run: None}

    def _laid(self, session: Session, opened: Read, all_pins: list[Any], shown: list[str]) -> Updates:
        """Each result pinned, the first one of its panel due there (of a series the last, which ends it), and
        the first such panel in front.
        """
        updates: Updates = {}
        due: dict[str, str] = {}
        for one in opened.found:
            session.opened.add(one.key)
            if one.study not in due or self.panels[one.study].series:
                due[one.study] = one.key
            name = self.panels[one.study].name(one.result)
            if any(pin[0] == one.study and pin[1] != one.key and pin[2] == name for pin in all_pins):
                name = f"{pictured(one.result)}, {name}" if pictured(one.result) else name
            updates |= self.bench.pins.add(one.study, one.key, name, all_pins, shown)
            all_pins, shown = updates[self.bench.pins.all], updates[self.bench.pins.shown]["value"]
        session.due |= due
        front = next(study for study in self.panels if study in due)
        updates |= self.tabs.front(front)
        updates[self.bench.run_notice] = markup.notice(" ".join(opened.lacking), plain=True)
        return updates
