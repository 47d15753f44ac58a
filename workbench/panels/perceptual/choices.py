"""Which measures can be had on this machine, for whoever chooses among them."""

from __future__ import annotations

from probes.perceptual.published import TRUNKS
from probes.perceptual.registry import MEASURES
from workbench.panels.perceptual import weights
from workbench.panels.perceptual.without import WITHOUT, installed
from workbench.runs.store import megabytes


def measures_here() -> list[tuple[str, str]]:
    """Label and name of each measure; those of pyiqa only where it is installed."""
    found = [(f"{about.title} {about.arrow}", name) for name, about in MEASURES.items()]
    if installed():
        found += [(f"{about.title} {about.arrow}, pyiqa", name) for name, about in WITHOUT.items()]
    return found


def ticked_here() -> list[str]:
    """The measures that are ticked at first: all whose weights are on this machine."""
    return [name for name, about in MEASURES.items() if not about.trunk or weights.found(about.trunk)]


def missing_here(*, short: bool = False) -> str:
    """Which measures need weights that are not on this machine, with their size; empty where none does.

    short: beside a result that was taken without them.
    """
    missing = [trunk for trunk in TRUNKS if weights.found(trunk) is None]
    if not missing:
        return ""
    told = [f"{TRUNKS[trunk].name} ({megabytes(weights.FILES[trunk].size)})" for trunk in missing]
    if short:
        return "LPIPS and DISTS need trained weights, which are not all on this machine: see Measurement."
    return (
        f"LPIPS and DISTS need trained weights; not on this machine: {', '.join(told)}. They are downloaded "
        "when ticked, or read from the folder below. The others need none."
    )
