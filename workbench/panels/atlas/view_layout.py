"""Laying tokens out from the page: what is not at hand is computed beside it; PCA stands there until then."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.page import markup, results
from workbench.page.aside import Aside
from workbench.page.panel import Panel, Updates
from workbench.page.session import Session
from workbench.panels.atlas import ways
from workbench.panels.atlas.config import AtlasConfig, Way

if TYPE_CHECKING:
    from workbench.runs.result import Result

LAYING = "atlas layout"
"""What a visit knows the work beside the page by."""


class Layouts(Panel):
    """The handlers that lay out. The choices of a way are the first four of what is drawn with."""

    aside: Aside
    laying_row: gr.Row
    laying: gr.HTML
    ready: gr.State

    def completed(self, session: Session, result: Result, *choices: Any) -> Result:
        """The result laid out as chosen, where that is done; as principal components where it is not yet."""
        way = self._way(*choices[:4])
        if way == ways.way_of(result.config):
            return result
        if way.method != "pca":
            found = self.kept(session, ways.identity(result, way))
            if found is not None:
                return found
        for planes in (way.planes, "each"):
            first = way.model_copy(update={"method": "pca", "planes": planes})
            try:
                return ways.laid(result, first, ways.projected(result, first))
            except Refusal:
                continue  # said where it is laid out
        return result

    def lay(
        self, session: Session, key: str | None, all_pins: list[Any], shown: list[str], *way_values: Any
    ) -> Iterator[Updates]:
        """Lay out the present and the pinned results as chosen, each where that is not done yet."""
        way = self._way(*way_values)
        present = self.kept(session, key)
        pinned = self._pinned(session, key, all_pins, shown)
        named = pinned if present is None else [("", present), *pinned]
        todo = [
            (name, result)
            for name, result in named
            if way.method != "pca" and self.completed(session, result, *way_values).config["method"] == "pca"
        ]
        try:
            for _, result in named:
                ways.check(result, way)
            if not todo:
                yield self._at_rest()
                return
            session.stop(LAYING)  # the last choice counts; what it takes the place of may be asked for again
            with session.working(LAYING) as flag:
                for name, result in todo:
                    yield {
                        self.laying_row: gr.Row(visible=True),
                        self.laying: markup.status(_laying(way, result, name)),
                    }
                    call = partial(self.aside.call, stop=flag.is_set)
                    done = ways.laid(result, way, ways.projected(result, way, call=call))
                    identity = ways.identity(result, way)
                    results.keep(session, identity, done)
                    yield {self.ready: identity}
            yield self._at_rest()
        except Cancelled:
            yield {self.laying: gr.skip()}  # whoever stopped it says so
        except Refusal as refusal:
            yield {
                self.laying_row: gr.Row(visible=True),
                self.laying: markup.notice(f"{refusal} PCA is shown.", plain=True),
            }
        except Exception as error:
            yield {self.laying: markup.notice(self._fault(error, "laying out the"))}

    def halted(self, session: Session) -> Updates:
        """Stop laying out; principal components stay."""
        session.stop(LAYING)
        return self._at_rest()

    def _at_rest(self) -> Updates:
        return {self.laying_row: gr.Row(visible=False)}

    def _way(self, method: str, planes: str, neighbours: float, min_dist: float) -> Way:
        return Way(
            method=method,  # type: ignore[arg-type]
            planes=planes,  # type: ignore[arg-type]
            neighbours=int(neighbours),
            min_dist=float(min_dist),
        )

    def commanded(self, config: AtlasConfig, *printed_with: Any) -> AtlasConfig:
        """With the layout that was chosen."""
        return config.model_copy(update=self._way(*printed_with[:4]).model_dump())


def _laying(way: Way, result: Result, name: str) -> str:
    tokens = sum(len(kept) for kept in ways.features(result, way).values())
    of = f" of {name}" if name else ""
    return f"{ways.NAMES[way.method]}{of}, {tokens:,} tokens, beside the page; PCA until then"
