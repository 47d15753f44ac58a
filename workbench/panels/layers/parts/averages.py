"""Measures of each test image, averaged at the end: patch structure, surroundings, geometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from probes.alignment import token_cosine
from probes.bootstrap import Score, mean_score
from probes.geometry import anisotropy, outliers, participation_ratio, token_norm
from probes.patches import STRUCTURE, Structure, structure, summarise, surroundings
from workbench.datasets.collection import Split
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Say, Seen, Subject
from workbench.panels.layers.table import REFERENCE, UNKNOWN, Chance, Row, curve


class Averages(Part):
    """One number for each test image, stage and measure; a subclass says which."""

    splits = ("test",)
    names: tuple[str, ...] = ()
    """The measures, in the order of the table."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self.grown = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Measure a batch of the test split."""
        for i in range(len(self.axis)):
            for name, values in self.measured(seen, i).items():
                self.grown.add(f"{name}/{i}", values)

    def bytes_of(self, split: Split) -> int:
        """A number for each measure, and what it is by chance."""
        return 8 * 2 * len(self.names) * len(self.axis)

    def measured(self, seen: Seen, stage: int) -> Mapping[str, np.ndarray]:
        """Numbers (N,) of a batch at a stage by name; "NAME chance" is what NAME is by chance."""
        raise NotImplementedError

    def held(self) -> Arrays:
        """The numbers of all images."""
        return self.grown.held()

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self.grown.restore(held)

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Means with intervals from resampling images."""
        held = {key.rpartition("/")[0] for key in self.grown.held()}
        table: list[Row] = []
        for name in (name for name in self.names if name in held):
            scores: list[Score | None] = []
            chance: list[Chance] = []
            for i in range(len(self.axis)):
                known = f"{name}/{i}" in self.grown
                scores.append(self.mean(self.grown.whole(f"{name}/{i}")) if known else None)
                by_chance = f"{name} chance/{i}"
                level = float(np.nanmean(self.grown.whole(by_chance))) if by_chance in self.grown else np.nan
                chance.append((level, np.nan, np.nan))
            table += curve(name, self.axis.stages, scores, "images", chance)
        return table

    def mean(self, values: np.ndarray) -> Score:
        """The mean with its interval."""
        return mean_score(values, resamples=self.config.resamples, seed=self.config.seed)


class PatchStructure(Averages):
    """Cohesion, coupling and contrast, where the collection has masks."""

    names = STRUCTURE

    def measured(self, seen: Seen, stage: int) -> Mapping[str, np.ndarray]:
        """The parts of `Structure`."""
        regions = seen.regions[stage]
        if regions is None:
            return {}
        found = structure(seen.captured.states[stage], regions, centre=self.config.centre)
        return {"cohesion": found.cohesion, "coupling": found.coupling, "chance": found.chance}

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """Means and ratios over the images that have both."""
        found: dict[str, list[Score | None]] = {name: [None] * len(self.axis) for name in STRUCTURE}
        chance: dict[str, list[Chance]] = {name: [UNKNOWN] * len(self.axis) for name in STRUCTURE}
        for i in range(len(self.axis)):
            if f"cohesion/{i}" not in self.grown:
                continue
            fields = (self.grown.whole(f"{name}/{i}") for name in ("cohesion", "coupling", "chance"))
            averages = summarise(Structure(*fields), resamples=self.config.resamples, seed=self.config.seed)
            for name in STRUCTURE:
                found[name][i] = averages[name]
                chance[name][i] = (averages[name].chance, np.nan, np.nan)
        if not any(found[STRUCTURE[0]]):
            return []
        return [
            row
            for name in STRUCTURE
            for row in curve(name, self.axis.stages, found[name], "images", chance[name])
        ]


class PatchSurroundings(Averages):
    """Neighbours against patches far apart, and Moran's I: spatial order without masks."""

    names = ("neighbour cosine", "far cosine", "neighbour - far", "Moran's I")

    def measured(self, seen: Seen, stage: int) -> Mapping[str, np.ndarray]:
        """Cosines and Moran's I."""
        grid, states = seen.captured.grids[stage], seen.captured.states[stage]
        if grid is None or grid.rows * grid.cols < 2:
            return {}
        found = surroundings(states, grid.rows, grid.cols, centre=self.config.centre)
        zero = np.zeros(len(found.near))
        return {
            "neighbour cosine": found.near,
            "neighbour cosine chance": found.chance,
            "far cosine": found.far,
            "far cosine chance": found.chance,
            "neighbour - far": found.gap,
            "neighbour - far chance": zero,
            "Moran's I": found.moran,
            "Moran's I chance": zero - 1.0 / (states.shape[1] - 1),
        }


class TokenGeometry(Averages):
    """The shape of each image's cloud of tokens."""

    names = ("effective dimension", "anisotropy", "token norm", "outlier tokens")

    def measured(self, seen: Seen, stage: int) -> Mapping[str, np.ndarray]:
        """Effective dimension, anisotropy, norm, outliers."""
        return geometry_of(seen.captured.states[stage])


class Kept(Averages):
    """How far each token has turned from what enters the language model."""

    names = ("cosine to llm 0",)

    def measured(self, seen: Seen, stage: int) -> Mapping[str, np.ndarray]:
        """Mean cosine to the same token at "llm 0", where width and tokens are the same."""
        names = [s.name for s in self.axis.stages]
        if REFERENCE not in names:
            return {}
        here, first = (seen.captured.states[k] for k in (stage, names.index(REFERENCE)))
        if here.shape != first.shape:
            return {}
        return {"cosine to llm 0": token_cosine(here, first).mean(axis=-1)}


def geometry_of(states: np.ndarray) -> dict[str, np.ndarray]:
    """Of states (N, tokens, width), for each image (N,): what `TokenGeometry` averages."""
    return {
        "effective dimension": participation_ratio(states),
        "anisotropy": anisotropy(states),
        "token norm": token_norm(states),
        "outlier tokens": outliers(states).which.mean(axis=-1),
    }
