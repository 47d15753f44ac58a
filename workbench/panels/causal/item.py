"""One question about one picture, traced: what knockout and patching do to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.attribution.recovery import usual_width, windows
from workbench.datasets.collection import Asked
from workbench.datasets.matching import matches
from workbench.errors import Refusal
from workbench.models.protocol import Answer, Model
from workbench.panels.attribution.asked import named
from workbench.panels.causal.config import ALL, DRAWN, CausalConfig, Direction
from workbench.panels.causal.effects import EVERY_LAYER
from workbench.panels.causal.pair import CLEAN, Pair, paired
from workbench.panels.causal.things import regions
from workbench.panels.causal.tracing import Edit, Places, Run, Said, Spot, around, covering
from workbench.panels.interventions.again import same
from workbench.panels.layers.config import Progress
from workbench.panels.needs import known_stage

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.datasets.collection import Sample
    from workbench.panels.attribution.measuring import Truth

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """A question about a picture. name: finds it again; asked: its answer is empty where none is known.

    clean, degraded: uint8 (H, W, 3), of one size. labels: what is known of the picture, with the names of its
    classes; None where nothing is.
    """

    name: str
    asked: Asked
    clean: NDArray[np.uint8]
    degraded: NDArray[np.uint8]
    seed: int
    labels: Sample | None = None
    classes: Sequence[str] = ()


@dataclass
class Traced:
    """What was found: a row for the table "items", rows of "knockout" and "patching"; of a map its arrays."""

    about: Row
    knockout: list[Row] = field(default_factory=list)
    patching: list[Row] = field(default_factory=list)
    maps: list[Row] = field(default_factory=list)
    regions: list[Row] = field(default_factory=list)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    images: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def traced(
    config: CausalConfig,
    model: Model,
    item: Item,
    *,
    mapped: bool,
    progress: Progress,
    stop: Callable[[], bool],
) -> Traced:
    """Everything that the config asks of one question. `mapped`: also the map, one patch at a time.

    Raises:
        Refusal: the model says nothing, or the question does not fit.
        Cancelled: once `stop` says so.
    """
    pair = paired(config, model, item.clean, item.degraded, item.asked.text, item.seed, stop)
    return _Tracing(config, model, item, pair, progress).all(mapped)


class _Tracing:
    def __init__(
        self, config: CausalConfig, model: Model, item: Item, pair: Pair, progress: Progress
    ) -> None:
        self.config, self.model, self.item, self.pair, self.progress = config, model, item, pair, progress
        clean, degraded = pair.answers
        if not clean.tokens:
            raise Refusal("The model says nothing about the clean image, so there is no answer to trace.")
        changed = bool(degraded.tokens) and not same(clean.text, degraded.text)
        self.targets: list[Said] = [_ids(clean)] + ([_ids(degraded)] if changed else [])
        self.damaged = pair.degraded is not pair.clean
        self.found = Traced(self._about(clean, degraded, changed), images=dict(pair.images))

    def all(self, mapped: bool) -> Traced:
        """Every part."""
        parts = self.config.parts
        patching = self.damaged and "patching" in parts
        mapped = self.damaged and mapped and "map" in parts
        if "knockout" in parts:
            self.progress(0.05, "blocking attention")
            self._knockout()
        if patching or mapped:
            self._watch()
        if patching:
            self.progress(0.3, "exchanging visual tokens, stage by stage")
            self._patching()
        if mapped:
            self._map()
        return self.found

    # Runs

    def _about(self, clean: Answer, degraded: Answer, changed: bool) -> Row:
        in_clean = self.pair.clean.said(self.targets)
        in_degraded = self.pair.degraded.said(self.targets) if self.damaged else in_clean
        name, asked = self.item.name, self.item.asked
        row: Row = {"name": name, "question": asked.text, "kind": asked.kind, "truth": asked.answer}
        row |= {"answer": clean.text, "degraded answer": degraded.text, "changed": changed}
        row["right"] = float(matches(asked, clean.text)) if asked.answer else float("nan")
        row["object tokens"] = 0
        for name, values in (("clean", in_clean), ("degraded", in_degraded)):
            row[f"{name} log p"] = float(values[0])
            row[f"{name} difference"] = _difference(values)
        return row

    def _watch(self) -> None:
        """What every spot shows in each run whose states are to be put into the other."""
        self.spots = self.pair.clean.spots()
        for direction in self.config.directions:
            _, source = self._runs(direction)
            if not source.states:
                source.watch(self.spots, self.targets[0])

    def _runs(self, direction: Direction) -> tuple[Run, Run]:
        """The run that is changed, and the one that its states come from."""
        clean, degraded = self.pair.clean, self.pair.degraded
        return (degraded, clean) if direction == "restore" else (clean, degraded)

    # Knockout

    def _knockout(self) -> None:
        run = self.pair.clean
        if self.config.knockout_in == "degraded":
            run = self.pair.degraded
        target = self.targets[0]
        layers = run.layers()
        if not layers:
            return
        before, places = float(run.said([target])[0]), run.places(target)
        count = self.model.card.llm_layers
        around_each = windows(count, self.config.window or usual_width(count))
        chosen = [(path, *_edges(path, places)) for path in self.config.paths]
        chosen = [(path, queries, keys) for path, queries, keys in chosen if len(queries) and len(keys)]
        for number, (path, queries, keys) in enumerate(chosen):
            for middle, window in enumerate([range(1, count + 1), *around_each]):
                modules = [layers[layer] for layer in window if layer in layers]
                if not modules:
                    continue
                after = run.blocked(modules, queries, keys, target)
                self.found.knockout.append(
                    {"path": path, "layer": middle or EVERY_LAYER, "first": window[0], "last": window[-1]}
                    | {"before": before, "after": after}
                )
            self.progress(0.05 + 0.2 * (number + 1) / len(chosen), f"blocked {path}")

    # Patching

    def _patching(self) -> None:
        kinds, edits = self._edits()
        whole = [place for place, tokens in enumerate(kinds) if tokens == ALL]
        for number, direction in enumerate(self.config.directions):
            run, source = self._runs(direction)
            values = np.full((2, len(edits)), np.nan)
            values[0] = run.patched(source.states, edits, self.targets[:1])[0]
            if len(self.targets) > 1:
                values[1, whole] = run.patched(source.states, [edits[k] for k in whole], self.targets[1:])[0]
            self.found.patching += [
                {"direction": direction, "tokens": tokens, "stage": edit.spot.stage}
                | {"log p": float(first), "difference": float(first - second)}
                for tokens, edit, first, second in zip(kinds, edits, *values, strict=True)
            ]
            self.progress(0.3 + 0.4 * (number + 1) / len(self.config.directions), f"{direction}: done")

    def _edits(self) -> tuple[list[str], list[Edit]]:
        """Which tokens are exchanged at which spot."""
        labels, classes = self.item.labels, self.item.classes
        thing = None if labels is None else named(self.item.asked.text, labels, classes)
        rng = np.random.default_rng((self.config.seed, self.item.seed, 0xCA5A))
        kinds: list[str] = []
        edits: list[Edit] = []
        for spot in _each_so_many(self.spots, self.config.every):
            sets = self._sets(spot, thing, rng)
            for tokens in self.config.tokens:
                # Of a stage before the language model, all tokens of the image are all that is known of it.
                if tokens in sets and (tokens != ALL or spot.places is not None):
                    kinds.append(tokens)
                    edits.append(Edit(spot, sets[tokens]))
        return kinds, edits

    def _sets(
        self, spot: Spot, thing: Truth | None, rng: np.random.Generator
    ) -> dict[str, NDArray[np.bool_]]:
        """The tokens of each kind, as far as there are any."""
        count = len(spot.boxes)
        sets: dict[str, NDArray[np.bool_]] = {ALL: np.ones(count, dtype=bool)}
        if thing is None:
            return sets
        own = self._covered(spot, thing.mask)
        rest = np.flatnonzero(~own)
        if not own.any() or len(rest) < own.sum():
            return sets
        others = np.zeros(count, dtype=bool)
        others[rng.choice(rest, int(own.sum()), replace=False)] = True
        if spot.places is not None:
            self.found.about["object tokens"] = int(own.sum())
        return sets | {"object": own, "others": others}

    def _covered(self, spot: Spot, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The tokens that show what a mask holds."""
        height, width = self.pair.images[CLEAN].shape[:2]
        return covering(spot.boxes, mask, self.config.purity, (height, width))

    # Map

    def _map(self) -> None:
        by_name: Mapping[str, Spot] = {spot.stage: spot for spot in self.spots}
        grid = self.pair.grid
        jobs = [(d, stage) for d in self.config.directions for stage in self.config.map_stages]
        for number, (direction, stage) in enumerate(jobs):
            self.progress(0.7 + 0.3 * number / len(jobs), f"exchanging one patch after the other at {stage}")
            spot = by_name[known_stage(stage, list(by_name), "map at")]
            run, source = self._runs(direction)
            edits = [Edit(spot, tokens) for tokens in around(grid, self.config.reach, spot.boxes)]
            self.found.arrays[f"map_{number:03d}"] = run.patched(source.states, edits, self.targets[:1])[0]
            self.found.arrays[f"boxes_{number:03d}"] = grid.boxes
            self.found.maps.append(
                {"direction": direction, "stage": stage, "rows": grid.rows, "cols": grid.cols}
            )
            known = regions(self.item.labels, self.item.classes)
            sets = [(thing, self._covered(spot, thing.mask)) for thing in known]
            sets = [(thing, tokens) for thing, tokens in sets if tokens.any()]
            if sets:
                values = run.patched(
                    source.states, [Edit(spot, tokens) for _, tokens in sets], self.targets[:1]
                )
                for (thing, tokens), value in zip(sets, values[0], strict=True):
                    self.found.regions.append(
                        {"direction": direction, "stage": stage, "region": thing.name}
                        | {"tokens": int(tokens.sum()), "log p": float(value)}
                    )


def _ids(answer: Answer) -> Said:
    return tuple(token.id for token in answer.tokens)


def _difference(values: NDArray[np.float64]) -> float:
    """Log-probability of the clean answer less that of the degraded one; NaN where they are the same."""
    return float(values[0] - values[1]) if len(values) > 1 else float("nan")


def _edges(path: str, places: Places) -> tuple[Tensor, Tensor]:
    """Queries and keys of a path."""
    if path == DRAWN:
        return places.answer, places.drawn
    source, _, end = path.partition("-")
    keys = places.image if source == "image" else places.question
    return (places.answer if end == "answer" else places.question), keys


def _each_so_many(spots: Sequence[Spot], every: int) -> list[Spot]:
    """Each so many-th spot, the first of the language model's always among them, and the last."""
    start = next(number for number, spot in enumerate(spots) if spot.places is not None)
    return [
        spot for number, spot in enumerate(spots) if (number - start) % every == 0 or number == len(spots) - 1
    ]
