"""What of robustness results can stand in a figure, and as its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from workbench.panels.robustness.config import Pathway, RobustnessConfig
from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.robustness.chart import Named
    from workbench.runs.parts import Part, Table


class OfPathways(Nothing):
    """What may be chosen about bars, triggers and sweeps."""

    pathways: tuple[Pathway, ...] = Field(default=(), description="which [all that the runs have]")


class OfSeverity(OfPathways):
    """What may be chosen about curves over severity."""

    value: Literal["accuracy", "drop"] = Field(default="accuracy", description="accuracy, or drop")


class OfHeat(Nothing):
    """What may be chosen about a table of colours."""

    pathway: str = Field(default="", description="which [the first]")
    value: Literal["accuracy", "drop"] = Field(default="drop", description="drop, or accuracy")


class OfGain(Nothing):
    """What may be chosen about drawings and answers."""

    measure: str = Field(default="PSNR", description="PSNR or SSIM")
    pathway: str = Field(default="", description="which [the first with drawings]")
    corruption: str = Field(default="", description="of one corruption [all]")


class OfTypes(OfPathways):
    """What may be chosen about the table of corruptions."""

    level: str = Field(default="high", description="low, mid, high, or the severity's number")


BARS, SEVERITY, HEAT, TRIGGER, GAIN, SWEEP = (
    "drop bars",
    "severity curves",
    "heat table",
    "trigger and time",
    "gain and answer",
    "steps sweep",
)
TYPES, CONDITIONS, LEVELS, GAINS = "corruptions", "every condition", "severities", "gains"
SHOWS: dict[str, type[Nothing]] = {
    BARS: OfPathways,
    SEVERITY: OfSeverity,
    HEAT: OfHeat,
    TRIGGER: OfPathways,
    GAIN: OfGain,
    SWEEP: OfPathways,
}
WIDE: tuple[str, ...] = (SEVERITY,)
TABLES: dict[str, type[Nothing]] = {
    TYPES: OfTypes,
    CONDITIONS: OfPathways,
    LEVELS: OfPathways,
    GAINS: OfPathways,
}


def lacks(config: RobustnessConfig, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it, in a sentence; empty where it may."""
    pathway: str = getattr(chosen, "pathway", "")
    wanted: tuple[str, ...] = (*getattr(chosen, "pathways", ()), *([pathway] if pathway else []))
    if missing := [way for way in wanted if way not in config.pathways]:
        return f"it does not ask by {', '.join(missing)}; its pathways are {', '.join(config.pathways)}."
    if show in (TRIGGER, GAIN, GAINS) and not {"re-encode", "bridge", "both"} & {*config.pathways}:
        return "none of its pathways draws; add re-encode, bridge or both."
    corruption: str = getattr(chosen, "corruption", "")
    if corruption and corruption not in config.corruptions:
        return f"{corruption} is not among its corruptions."
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.robustness import paper, paper_drawing

    if show == SEVERITY:
        about = cast(OfSeverity, chosen)
        return paper.Severity(many, about.pathways, about.value)
    if show == HEAT:
        of = cast(OfHeat, chosen)
        return paper.Heat(many, of.pathway, of.value)
    if show == GAIN:
        gain = cast(OfGain, chosen)
        return paper_drawing.Gain(many, gain.measure, gain.pathway, gain.corruption)
    ways = cast(OfPathways, chosen).pathways
    if show == TRIGGER:
        return paper_drawing.Trigger(many, ways)
    return paper_drawing.Sweep(many, ways) if show == SWEEP else paper.Bars(many, ways)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """One of TABLES of these results. Raises Refusal where they do not hold it."""
    from workbench.panels.robustness import written

    ways = cast(OfPathways, chosen).pathways
    if show == TYPES:
        return written.types(many, cast(OfTypes, chosen).level, ways)
    if show == CONDITIONS:
        return written.conditions(many, ways)
    return written.gains(many, ways) if show == GAINS else written.levels(many, ways)
