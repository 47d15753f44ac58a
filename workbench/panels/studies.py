"""The studies by the name that a command and a recipe call them, and where their pieces are.

Only names stand here: a study's files are imported when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Study:
    """Where a study is.

    folder: of `panels`. config: the class whose fields are its settings.
    drawn: the file with `SHOWS`, `WIDE` and `part`, of which figures are composed, `TABLES` and `table`, and
    `lacks`, which tells from a config what its run will not hold; empty where there is none. of_runs: whether
    it asks no model and looks at pictures, such as those of other runs of a recipe.
    """

    folder: str
    config: str
    drawn: str = ""
    of_runs: bool = False

    def config_class(self) -> type[BaseModel]:
        """The config, whose fields are a command's flags and a recipe's keys."""
        found: type[BaseModel] = getattr(self.file("config"), self.config)
        return found

    def file(self, name: str) -> Any:
        """One of its files as a module: "study" has `prepared` and `run`."""
        return import_module(f"workbench.panels.{self.folder}.{name}")


class Nothing(BaseModel):
    """What may be chosen about a figure's panel, of which there is nothing; the base of the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


STUDIES = {
    "states": Study("states", "StatesConfig", drawn="shows"),
    "layers": Study("layers", "LayersConfig", drawn="shows"),
    "patches": Study("patches", "PatchesConfig", drawn="shows"),
    "atlas": Study("atlas", "AtlasConfig", drawn="shows"),
    "intervene": Study("interventions", "InterventionsConfig", drawn="shows"),
    "causal": Study("causal", "CausalConfig", drawn="shows"),
    "attribution": Study("attribution", "AttributionConfig", drawn="shows"),
    "draw": Study("drawing", "DrawConfig", drawn="shows"),
    "tokens": Study("tokens", "TokensConfig", drawn="shows"),
    "robustness": Study("robustness", "RobustnessConfig", drawn="shows"),
    "sacrifice": Study("sacrifice", "SacrificeConfig", drawn="shows"),
    "corrupt": Study("corruptions", "CorruptConfig", drawn="shows"),
    "attention": Study("attention", "AttentionConfig", drawn="shows"),
    "perceptual": Study("perceptual", "PerceptualConfig", drawn="shows", of_runs=True),
    "capture": Study("capture", "CaptureConfig"),
}
