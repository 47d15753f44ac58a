"""What of a comparison can stand in a figure: pictures with a map, curves over denoising, a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, Field

from workbench.panels.perceptual.config import PerceptualConfig
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.perceptual.reading import Named
    from workbench.runs.parts import Part, Table


class OfPictures(Nothing):
    """What may be chosen about the pictures."""

    map: str = Field(
        default="", description="difference, ssim, or an LPIPS that was measured [what says most]"
    )
    measures: tuple[str, ...] = Field(default=(), max_length=6, description="whose numbers stand below")


class OfCurves(Nothing):
    """What may be chosen about curves."""

    measure: str = Field(default="ssim", description="one that was measured")


class OfScores(Nothing):
    """What may be chosen about the table."""

    measures: tuple[str, ...] = Field(default=(), description="[all that were taken]")


PICTURES, CURVES, SCORES = "pictures", "curves", "scores"
SHOWS: dict[str, type[Nothing]] = {PICTURES: OfPictures, CURVES: OfCurves}
WIDE = (PICTURES,)
TABLES: dict[str, type[Nothing]] = {SCORES: OfScores}


def lacks(config: BaseModel, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it; empty where it may."""
    taken = cast(PerceptualConfig, config).measures
    wanted: tuple[str, ...] = getattr(chosen, "measures", ()) or (getattr(chosen, "measure", ""),)
    missing = [name for name in wanted if name and name not in taken and "all" not in taken]
    return f"it does not take {', '.join(missing)}; name it among its measures." if missing else ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.perceptual.figure import Curves, Pictures

    if show == CURVES:
        return Curves(many, cast(OfCurves, chosen).measure)
    about = cast(OfPictures, chosen)
    return Pictures(many, kind=about.map, measures=about.measures)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """A row for each pair, a column for each measure. Raises Refusal where none was taken."""
    import pandas as pd

    from workbench.errors import Refusal
    from workbench.panels.perceptual.figure import scores
    from workbench.panels.perceptual.reading import arrow, measures_of, number, pairs_of, places, title, value
    from workbench.runs.parts import Table

    held = list(dict.fromkeys(name for _, result in many for name in measures_of(result)))
    wanted = cast(OfScores, chosen).measures or held
    if missing := [name for name in wanted if name not in held]:
        raise Refusal(f"No run holds {', '.join(missing)}; there are {', '.join(held)}.")
    rows = []
    for name, result in many:
        names = places(result)
        for pair in pairs_of(result):
            row = {"run": name} if len(many) > 1 else {}
            row |= {"picture": names[pair[0]], "reference": names[pair[1]]}
            for measure in wanted:
                found = value(result, measure, pair)
                row[f"{title(measure)} {arrow(measure)}"] = (
                    "" if math.isnan(found) else number(measure, found)
                )
            rows.append(row)
    numbers = scores(many)
    return Table(numbers[numbers["measure"].isin(wanted)], pd.DataFrame(rows))
