"""The tables of a result, all of them made from what every question came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from probes.bootstrap import Score, drop, grouped_means, share
from probes.calibration import calibration
from probes.correlation import grouped_correlation
from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.layers.table import Row
from workbench.panels.robustness.config import DIRECT, Pathway
from workbench.panels.robustness.items import Condition, Items
from workbench.panels.robustness.quality import MEASURES, UNITS
from workbench.panels.specimen import CLEAN

ALL = "all"
"""In place of a corruption, a kind or a level: all of them together."""
CLEAN_LEVEL = "clean"
"""The level, and the kind of group, of images that nothing was done to."""
NAN = float("nan")


@dataclass(frozen=True)
class Group:
    """Conditions that one row of a table is about; `of`: what they are: one type, a category, or all."""

    name: str
    of: str
    severity: float
    level: str
    members: tuple[int, ...]


def groups(conditions: Sequence[Condition]) -> list[Group]:
    """Clean; every type at every severity; the categories and all types at every severity; all there is."""
    out = [Group(CLEAN, CLEAN_LEVEL, 0.0, CLEAN_LEVEL, (0,))]
    damaged = list(enumerate(conditions))[1:]
    out += [Group(c.corruption, "type", c.severity, c.level, (k,)) for k, c in damaged]
    severities = list(dict.fromkeys((c.severity, c.level) for _, c in damaged))
    categories = list(dict.fromkeys(CORRUPTIONS[c.corruption].category for _, c in damaged))
    for category in categories:
        for severity, level in severities:
            mine = tuple(
                k
                for k, c in damaged
                if c.severity == severity and CORRUPTIONS[c.corruption].category == category
            )
            out.append(Group(category, "category", severity, level, mine))
    for severity, level in severities:
        out.append(Group(ALL, ALL, severity, level, tuple(k for k, c in damaged if c.severity == severity)))
    if damaged:
        out.append(Group(ALL, ALL, NAN, ALL, tuple(k for k, _ in damaged)))
    return out


class Tables:
    """What is computed of items; resampled images are the same for every number."""

    def __init__(self, items: Items, *, resamples: int, bins: int, seed: int) -> None:
        self.items, self.resamples, self.bins, self.seed = items, resamples, bins, seed
        self.images = items.images
        self.groups = groups(items.conditions)

    def accuracy(self) -> list[Row]:
        """A row for each group and pathway; see `study.run`."""
        items, rows = self.items, list[Row]()
        cells = [(group, pathway) for group in self.groups for pathway in items.pathways]
        right = [self._of("right", group, pathway) for group, pathway in cells]
        found = dict(zip(cells, self._shares(right), strict=True))
        drew = dict(zip(cells, self._shares([self._of("drew", *cell) for cell in cells]), strict=True))
        wants = dict(zip(cells, self._means([self._of("restore", *cell) for cell in cells]), strict=True))
        clean = self.groups[0]
        chance = self._chance()
        for (group, pathway), values in zip(cells, right, strict=True):
            here = found[group, pathway]
            lost = drop(found[clean, pathway], here)
            draws = drew[group, pathway]
            if pathway == "in context":  # It has no leave to draw: that none did is no finding.
                draws = replace(draws, low=NAN, high=NAN)
            direct = (group, DIRECT) if DIRECT in items.pathways and pathway != DIRECT else None
            against = drop(here, found[direct]) if direct else (NAN,) * 3
            error = calibration(
                self._flat("confidence", group, pathway),
                self._flat("right", group, pathway),
                np.tile(self.images, len(group.members)),
                bins=self.bins,
                resamples=self.resamples,
                seed=self.seed,
            )
            rows.append(
                {"corruption": group.name, "of": group.of, "level": group.level, "severity": group.severity}
                | {"pathway": pathway, "value": here.value, "low": here.low, "high": here.high}
                | {"drop": lost[0], "drop_low": lost[1], "drop_high": lost[2]}
                | self._flips(group, pathway, clean, pathway, "clean")
                | {"against_direct": against[0], "against_low": against[1], "against_high": against[2]}
                | self._flips(group, pathway, group, DIRECT if direct else pathway, "direct")
                | {"triggered": draws.value, "triggered_low": draws.low, "triggered_high": draws.high}
                | {"restore": wants[group, pathway].value}
                | {"seconds": self._seconds(group, pathway)}
                | {"ece": error.error, "ece_low": error.low, "ece_high": error.high}
                | {"chance": chance, "n": int(np.isfinite(values).sum() * len(group.members))}
                | {"questions": int(np.isfinite(values).sum()), "images": here.n}
            )
        return rows

    def kinds(self) -> list[Row]:
        """Accuracy of each kind of question, clean and over all types at each severity."""
        kinds = np.array([str(row["kind"]) for row in self.items.questions])
        rows: list[Row] = []
        for group in self.groups:
            if group.of not in (CLEAN_LEVEL, ALL) or group.level == ALL:
                continue
            for pathway in self.items.pathways:
                values = self._of("right", group, pathway)
                for kind in sorted(set(kinds)):
                    here = self._shares([np.where(kinds == kind, values, np.nan)])[0]
                    rows.append(
                        {"kind": kind, "level": group.level, "severity": group.severity, "pathway": pathway}
                        | {"value": here.value, "low": here.low, "high": here.high}
                        | {"questions": int((kinds == kind).sum()), "images": here.n}
                    )
        return rows

    def gains(self) -> list[Row]:
        """Of drawings: each measure before and after, its gain, and how that goes with being right."""
        rows: list[Row] = []
        for group, pathway in self._drawing():
            right, owner = self._flat("right", group, pathway), np.tile(self.images, len(group.members))
            for name in MEASURES:
                before, after = (self._flat(f"{name} {when}", group, pathway) for when in ("before", "after"))
                gain = gained(before, after)
                known = np.isfinite(gain)
                if not known.any():
                    continue
                mean = grouped_means(gain[None], owner, resamples=self.resamples, seed=self.seed)[0]
                few = {"resamples": min(self.resamples, 1000), "seed": self.seed}
                r, rho = (
                    grouped_correlation(gain, right, owner, ranked=ranked, **few) for ranked in (False, True)
                )
                rows.append(
                    {"corruption": group.name, "of": group.of, "level": group.level}
                    | {"severity": group.severity, "pathway": pathway, "measure": name, "unit": UNITS[name]}
                    | {"before": float(before[known].mean()), "after": float(after[known].mean())}
                    | {"gain": mean.value, "gain_low": mean.low, "gain_high": mean.high}
                    | {"r": r.value, "r_low": r.low, "r_high": r.high}
                    | {"rho": rho.value, "rho_low": rho.low, "rho_high": rho.high}
                    | {"n": r.n, "images": mean.n}
                )
        return rows

    def bins_of(self) -> list[Row]:
        """Confidence and accuracy in each bin, clean and over all types at each severity."""
        rows: list[Row] = []
        for group in self.groups:
            if group.of not in (CLEAN_LEVEL, ALL):
                continue
            for pathway in self.items.pathways:
                found = calibration(
                    self._flat("confidence", group, pathway),
                    self._flat("right", group, pathway),
                    bins=self.bins,
                    resamples=1,
                )
                for k in np.flatnonzero(found.count):
                    rows.append(
                        {"level": group.level, "severity": group.severity, "pathway": pathway}
                        | {"from": k / self.bins, "to": (k + 1) / self.bins}
                        | {"confidence": float(found.confidence[k]), "accuracy": float(found.accuracy[k])}
                        | {"n": int(found.count[k])}
                    )
        return rows

    def listed(self) -> list[Row]:
        """Every question in every cell."""
        return list(self._listed())

    def _listed(self) -> Iterator[Row]:
        items = self.items
        drawing = any(pathway != DIRECT for pathway in items.pathways)
        for c, condition in enumerate(items.conditions):
            for p, pathway in enumerate(items.pathways):
                cell = items.cell(c, p)
                numbers = {
                    name: values[cell].tolist()
                    for name, values in items.numbers.items()
                    if drawing or name in ("right", "confidence")
                }
                for q, said in enumerate(items.said[cell]):
                    yield (
                        {"question": q, "image": int(self.images[q]), "corruption": condition.corruption}
                        | {"level": condition.level, "severity": condition.severity, "pathway": pathway}
                        | {"said": said}
                        | {name: values[q] for name, values in numbers.items()}
                    )

    # Pieces

    def _means(self, rows: Sequence[np.ndarray]) -> list[Score]:
        return grouped_means(np.stack(rows), self.images, resamples=self.resamples, seed=self.seed)

    def _shares(self, rows: Sequence[np.ndarray]) -> list[Score]:
        """Means of yes and no: where it is all or none, an interval as wide as so many images leave it."""
        return [share(score) for score in self._means(rows)]

    def _cells(self, group: Group, pathway: Pathway) -> list[int]:
        place = self.items.pathways.index(pathway)
        return [self.items.cell(condition, place) for condition in group.members]

    def _of(self, name: str, group: Group, pathway: Pathway) -> np.ndarray:
        """A column of each question, its mean over the group's conditions: every one has asked them all."""
        return self.items.numbers[name][self._cells(group, pathway)].astype(np.float64).mean(axis=0)

    def _flat(self, name: str, group: Group, pathway: Pathway) -> np.ndarray:
        return self.items.numbers[name][self._cells(group, pathway)].astype(np.float64).ravel()

    def _flips(
        self, group: Group, pathway: Pathway, other: Group, by: Pathway, against: str
    ) -> dict[str, float]:
        """Shares of answers that were right there and are wrong here, and the other way round."""
        here = self.items.numbers["right"][self._cells(group, pathway)]
        there = self.items.numbers["right"][self._cells(other, by)]
        if against == "direct" and (by == pathway or by not in self.items.pathways):
            lost = gained_ = NAN
        else:
            there = np.broadcast_to(there, here.shape)
            lost, gained_ = (
                float(((here == 0) & (there == 1)).mean()),
                float(((here == 1) & (there == 0)).mean()),
            )
        return {f"lost_from_{against}": lost, f"gained_on_{against}": gained_}

    def _seconds(self, group: Group, pathway: Pathway) -> float:
        """Of the model, for each answer."""
        cells = self._cells(group, pathway)
        return float(self.items.seconds[cells].mean() / max(1, len(self.items.questions)))

    def _chance(self) -> float:
        """What a blind choice among the candidates gives, in every turn; NaN where a question has none."""
        counts = np.array([row["candidates"] for row in self.items.questions], dtype=float)
        turns = np.array([row["turns"] for row in self.items.questions], dtype=float)
        return float((counts ** -(1 + turns)).mean()) if (counts > 0).all() else NAN

    def _drawing(self) -> list[tuple[Group, Pathway]]:
        return [
            (group, pathway)
            for group in self.groups
            for pathway in self.items.pathways
            if group.of != CLEAN_LEVEL and np.nansum(self._flat("drew", group, pathway)) > 0
        ]


def gained(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What drawing added; NaN where nothing was drawn, or the degraded image was the clean one."""
    with np.errstate(invalid="ignore"):
        gain = after - before
    return np.where(np.isfinite(gain), gain, np.nan)
