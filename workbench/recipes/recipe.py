"""A recipe: which looks at which models, and what of them stands in the figure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import Refusal
from workbench.models import Opening
from workbench.panels.studies import STUDIES, Nothing
from workbench.recipes import series
from workbench.recipes.document import Document, Place
from workbench.runs.export import COLUMN, PAGE

WIDTHS = {"column": COLUMN, "page": PAGE}
TRUST = "trust_remote_code"
"""Whoever runs a recipe says this on the command line; a file from somebody else cannot."""
OPENING = tuple(field.name for field in fields(Opening) if field.name != TRUST)
OF_CHECKPOINT = ("revision", "base", "weights", "system_prompt", "read_as")
"""What belongs to one checkpoint, and so not to a run that names another."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,+-]{0,59}")
DRAWN = tuple(name for name, study in STUDIES.items() if study.drawn)
"""The studies of which figures are made."""


@dataclass(frozen=True)
class Look:
    """One study of one model, or what was saved of one.

    name: what it is called in the figure and in the folder of runs, in which "/" parts a series from its
    member. saved: a result's folder or .zip, in place of a model. place: where the recipe says so.
    """

    name: str
    study: str
    config: BaseModel | None
    model: str
    opening: Opening
    saved: str = ""
    place: Place = ()

    @property
    def label(self) -> str:
        """What stands at a curve."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Shown:
    """A panel or a table: what it shows of which looks, in this order; what was chosen, and where."""

    of: tuple[str, ...]
    study: str
    show: str
    chosen: Nothing
    place: Place = ()


@dataclass(frozen=True)
class Recipe:
    """A recipe, read and checked as far as can be without running it.

    document: the file, whose `content` it is byte by byte. looks: by name, in order. width: inches.
    """

    document: Document
    about: str
    width: float
    looks: dict[str, Look]
    panels: tuple[Shown, ...]
    tables: tuple[Shown, ...]


class _Top(BaseModel):
    """A recipe's own keys; those of `Opening` stand beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str = ""
    model: str = "pocket-bagel"
    width: Literal["column", "page"] = "page"
    runs: dict[str, dict[str, Any]] = Field(min_length=1)
    panels: list[dict[str, Any]] = Field(default_factory=list)
    tables: list[dict[str, Any]] = Field(default_factory=list)


def read(
    path: Path, *, trust_remote_code: bool = False, unmade: Callable[[], None] = series.refuse
) -> Recipe:
    """Read and check a recipe; `unmade` as in `series.checkpoints`.

    Raises:
        Refusal: it is no recipe; the sentence names line and key.
    """
    return _Reader(Document(path), trust_remote_code, unmade).recipe()


class _Reader:
    def __init__(self, document: Document, trust_remote_code: bool, unmade: Callable[[], None]) -> None:
        self.document, self.trust, self.unmade = document, trust_remote_code, unmade
        given, self.opening = self._parted(document.values, ())
        self.top: _Top = self._valid(_Top, given, (), [*_Top.model_fields, *OPENING], "a recipe")
        self.looks: dict[str, list[Look]] = {}

    def recipe(self) -> Recipe:
        for name, given in self.top.runs.items():
            if not NAME.fullmatch(name):
                raise self._no(("runs", name), f"{name!r} cannot name a run: use letters, digits and spaces.")
            self.looks[name] = self._looks(name, dict(given), ("runs", name))
        panels = self._all("panels", self.top.panels)
        tables = self._all("tables", self.top.tables)
        if not panels and not tables:
            raise self._no((), "there is nothing to draw: name panels, or tables.")
        return Recipe(
            self.document,
            self.top.about,
            WIDTHS[self.top.width],
            {look.name: look for looks in self.looks.values() for look in looks},
            panels,
            tables,
        )

    def _looks(self, name: str, given: dict[str, Any], place: Place) -> list[Look]:
        """A run's looks: one, or one for each checkpoint of a series."""
        given, own = self._parted(given, place)
        study = given.pop("study", None)
        if not isinstance(study, str) or study not in DRAWN:
            said = (
                f"there is no study {study!r}" if "study" in self.top.runs[name] else "a run names its study"
            )
            raise self._no((*place, "study"), f"{said}; choose one of {', '.join(DRAWN)}.")
        ways = [key for key in ("model", "models", "saved") if key in given]
        if len(ways) > 1:
            raise self._no((*place, ways[1]), f"a run has either {ways[0]} or {ways[1]}. Leave one out.")
        if "saved" in given:
            saved = self._word(given.pop("saved"), (*place, "saved"))
            if given or own:
                key = next(iter(given or own))
                raise self._no((*place, key), f"a saved run is what it is: {key} has nothing to act on.")
            return [Look(name, study, None, "", Opening(), saved, place)]
        other = bool(ways)
        inherited = {k: v for k, v in self.opening.items() if not (other and k in OF_CHECKPOINT)}
        opening = self._opened(inherited | own, place)
        models = given.pop("models", None)
        model = self._word(given.pop("model", self.top.model), (*place, "model"))
        kind = STUDIES[study].config_class()
        config = self._valid(kind, given, place, list(kind.model_fields), f"the study {study}")
        if models is None:
            return [Look(name, study, config, model, opening, place=place)]
        with self.document.said_at((*place, "models")):
            steps = series.checkpoints(models, self.unmade)
        return [
            Look(f"{name}/{step}", study, config, where, opening, place=place)
            for step, where in steps.items()
        ]

    def _all(self, key: str, given: Sequence[dict[str, Any]]) -> tuple[Shown, ...]:
        return tuple(self._shown(dict(each), (key, number)) for number, each in enumerate(given))

    def _shown(self, given: dict[str, Any], place: Place) -> Shown:
        of, show = given.pop("of", None), given.pop("show", None)
        names = [of] if isinstance(of, str) else of
        if not isinstance(names, list) or not names:
            raise self._no((*place, "of"), "say of which runs, as “of: [clean, dark]”.")
        for name in names:
            if name not in self.looks:
                raise self._no(
                    (*place, "of"), f"there is no run {name!r}; there are {', '.join(self.looks)}."
                )
        looks = [look for name in dict.fromkeys(names) for look in self.looks[name]]
        studies = list(dict.fromkeys(look.study for look in looks))
        if len(studies) > 1:
            raise self._no((*place, "of"), f"one panel shows one study; these are {' and '.join(studies)}.")
        drawn = STUDIES[studies[0]].file(STUDIES[studies[0]].drawn)
        known = drawn.SHOWS if place[0] == "panels" else drawn.TABLES
        if not isinstance(show, str) or show not in known:
            choose = (
                f"choose one of {', '.join(known)}" if known else f"there is no {str(place[0])[:-1]} of it"
            )
            raise self._no((*place, "show"), f"{studies[0]} shows no {show!r}; {choose}.")
        if place[0] == "panels" and show in drawn.WIDE and self.top.width != "page":
            raise self._no((*place, "show"), f"{show} need a page's width: write “width: page”.")
        chosen = self._valid(known[show], given, place, ["of", "show", *known[show].model_fields], show)
        for look in looks:
            self._held(look, drawn, show, chosen, place)
        return Shown(tuple(look.name for look in looks), studies[0], show, chosen, place)

    def _held(self, look: Look, drawn: Any, show: str, chosen: Nothing, place: Place) -> None:
        """Refuse what the settings of a run, or its data, say that it will not hold."""
        if look.config is None:
            return
        with self.document.said_at(look.place):  # Its data may not be there.
            why = drawn.lacks(look.config, show, chosen)
        if why:
            raise self._no((*place, "show"), f"the run {look.name} will hold no {show}: {why}")

    def _parted(self, given: Mapping[str, Any], place: Place) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is said, without what `Opening` takes, and that."""
        if TRUST in given:
            raise self._no(
                (*place, TRUST),
                "a recipe cannot allow code to run: give --trust-remote-code with the command.",
            )
        opening = {key: self._word(given[key], (*place, key)) for key in given if key in OPENING}
        return {key: value for key, value in given.items() if key not in OPENING}, opening

    def _opened(self, given: Mapping[str, str], place: Place) -> Opening:
        with self.document.said_at(place):
            return Opening(**given, trust_remote_code=self.trust)

    def _word(self, value: Any, place: Place) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._no(place, f"{place[-1]} is text; {value!r} is not. Put it in quotes.")
        return value

    def _valid(
        self, kind: type[BaseModel], given: Mapping[str, Any], place: Place, known: Collection[str], of: str
    ) -> Any:
        """The settings as their own class. Raises Refusal that names the key and its line."""
        if stranger := next((key for key in given if key not in known), None):
            near = difflib.get_close_matches(str(stranger), list(known), 1)
            hint = f" Do you mean {near[0]}?" if near else ""
            known_words = ", ".join(known) or "nothing"
            raise self._no((*place, stranger), f"{of} has no {stranger!r}.{hint} There are: {known_words}.")
        try:
            return kind(**given)
        except ValidationError as error:
            first = error.errors()[0]
            message = first["msg"].removeprefix("Value error, ")
            key = ".".join(str(part) for part in first["loc"]) or of
            missing = first["type"] == "missing"
            said = (
                f"{key} is missing." if missing else f"{key} does not fit: {message[0].lower()}{message[1:]}."
            )
            raise self._no((*place, *first["loc"]), said) from None

    def _no(self, place: Place, sentence: str) -> Refusal:
        return self.document.refused(place, sentence)
