"""Making a figure: the runs that are not there yet, the drawing, and all that belongs beside it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import models
from workbench.errors import Refusal
from workbench.memory import give_back
from workbench.models.progress import Say
from workbench.panels.perceptual.config import RUN
from workbench.panels.studies import STUDIES
from workbench.recipes.kept import MADE_FROM, kept, key_of
from workbench.recipes.recipe import Look, Recipe, Shown
from workbench.runs import archive
from workbench.runs.export import PAGE, save_figure, save_numbers, whole
from workbench.runs.manifest import made_with
from workbench.runs.parts import Part, Table, composed, lettered
from workbench.runs.store import check_place, save, told

if TYPE_CHECKING:
    from workbench.models.protocol import Model
    from workbench.runs.result import Result

COPY, MANIFEST, RUNS, FIGURE = "recipe.yaml", "manifest.json", "runs", "figure"
Progress = Callable[[float, str], None]


def make(recipe: Recipe, out: Path, *, opening: Say | None = None, progress: Progress) -> list[Path]:
    """Make the figure of a recipe in ``out``; the paths of what was written, ``out/runs`` left out.

    Results that an earlier call left there are taken as they are where nothing that they are made from has
    changed; each new one is written as soon as it is there. Files of an earlier figure are replaced.

    Args:
        recipe: what to make.
        out: the folder, made if need be.
        opening: hears how far the opening of a model is.
        progress: told a fraction 0..1 of a run and what is being done.

    Raises:
        Refusal: bad input, a model that cannot do what is asked, a result that does not hold what is to be
            drawn, or a folder that cannot be written.
        Cancelled: never by itself; a study's own.
    """
    out = Path(os.path.abspath(out))
    _check(out, recipe)
    _write(out / COPY, recipe.document.content)
    results = _results(recipe, out, opening, progress)
    parts = [_part(shown, recipe, results) for shown in recipe.panels]
    tables = [_table(shown, recipe, results) for shown in recipe.tables]
    before = _listed(out)
    written = [out / COPY]
    if parts:
        written += save_figure(composed(parts, recipe.width), out / FIGURE)
    for letter, part in zip(lettered(len(parts)), parts, strict=True):
        written.append(out / (f"{FIGURE}-{letter}.csv" if letter else f"{FIGURE}.csv"))
        save_numbers(part.numbers(), written[-1])
    for number, table in enumerate(tables, start=1):
        stem = f"table-{number}" if len(tables) > 1 else "table"
        save_numbers(table.numbers, out / f"{stem}.csv")
        _write(out / f"{stem}.md", table.markdown().encode())
        written += [out / f"{stem}.csv", out / f"{stem}.md"]
    for name in before - {path.name for path in written}:
        (out / name).unlink(missing_ok=True)
    about = _manifest(recipe, results, written)
    _write(out / MANIFEST, (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    return [*written, out / MANIFEST]


def _check(out: Path, recipe: Recipe) -> None:
    """Raise Refusal where ``out`` holds other things than an earlier figure, or a saved run is not there."""
    if not (out / COPY).is_file():
        check_place(out)
    for look in recipe.looks.values():
        if look.saved and not Path(look.saved).expanduser().exists():
            raise recipe.document.refused(
                (*look.place, "saved"),
                f"the run {look.name} is to be read from {look.saved}, which is not there.",
            )
        for image in getattr(look.config, "images", ()) if _of_pictures(look) else ():
            name = image.removeprefix(RUN)
            if image.startswith(RUN) and (name not in recipe.looks or _of_pictures(recipe.looks[name])):
                raise recipe.document.refused(
                    (*look.place, "images"),
                    f"the run {look.name} looks at {image}, and no run of that name draws anything.",
                )


def _results(recipe: Recipe, out: Path, opening: Say | None, progress: Progress) -> dict[str, Result]:
    """The result of every look, by its name."""
    found: dict[str, Result] = {}
    missing: list[Look] = []
    for look in recipe.looks.values():
        if _of_pictures(look):
            continue
        with recipe.document.said_at(look.place):
            result = _saved(look) if look.saved else kept(look, out / RUNS / look.name)
        if result is None:
            missing.append(look)
        else:
            found[look.name] = result
    # What can be refused without a model is refused before one opens, which may take minutes.
    pictures = {}
    for look in missing:
        with recipe.document.said_at(look.place):
            pictures[look.name] = STUDIES[look.study].file("study").prepared(look.config)
    for shown, made in [
        *((each, _part) for each in recipe.panels),
        *((each, _table) for each in recipe.tables),
    ]:
        if found.keys() >= set(shown.of):
            made(shown, recipe, found)

    def run(look: Look, model: Model) -> None:
        def say(share: float, words: str) -> None:
            progress(share, f"{look.name}: {words}")

        study = STUDIES[look.study].file("study")
        result: Result = study.run(look.config, model, picture=pictures[look.name], progress=say)
        result.manifest[MADE_FROM] = key_of(look)
        save(result, out / RUNS / look.name)
        found[look.name] = result

    _with_models(missing, opening, run)
    for look in filter(_of_pictures, recipe.looks.values()):
        found[look.name] = _compared(look, recipe, out, progress)
    return {name: found[name] for name in recipe.looks}


def _of_pictures(look: Look) -> bool:
    """Whether this look asks no model: it is taken once the runs are there whose pictures it may name."""
    return not look.saved and STUDIES[look.study].of_runs


def _compared(look: Look, recipe: Recipe, out: Path, progress: Progress) -> Result:
    """A look at pictures: of files, or of other runs of the recipe."""
    runs = {
        other.name: Path(other.saved).expanduser() if other.saved else out / RUNS / other.name
        for other in recipe.looks.values()
    }
    if (result := kept(look, out / RUNS / look.name, runs)) is not None:
        return result
    study = STUDIES[look.study].file("study")
    pictures = study.prepared(look.config, runs=runs)
    result = study.run(
        look.config, picture=pictures, progress=lambda share, words: progress(share, f"{look.name}: {words}")
    )
    assert result is not None
    result.manifest[MADE_FROM] = key_of(look, runs)
    save(result, out / RUNS / look.name)
    return result


def _saved(look: Look) -> Result:
    _, result = archive.opened(Path(look.saved).expanduser())
    if result.study != look.study:
        raise Refusal(f"{look.saved} is a run of the study {result.study}, not of {look.study}.")
    return result


def _with_models(looks: list[Look], opening: Say | None, run: Callable[[Look, Model], None]) -> None:
    """Every look with its model, model by model: each opens once, and goes before the next one opens."""
    for name, how in dict.fromkeys((look.model, look.opening) for look in looks):
        model = models.open(name, **asdict(how), say=opening)
        for look in looks:
            if (look.model, look.opening) == (name, how):
                run(look, model)
        del model
        give_back()


def _named(shown: Shown, recipe: Recipe, results: Mapping[str, Result]) -> list[tuple[str, Result]]:
    labels = [recipe.looks[name].label for name in shown.of]
    once = len(set(labels)) == len(labels)
    return [(label if once else name, results[name]) for label, name in zip(labels, shown.of, strict=True)]


def _part(shown: Shown, recipe: Recipe, results: Mapping[str, Result]) -> Part:
    """A panel of results that are there. Raises Refusal, with its line, where they do not hold it."""
    study = STUDIES[shown.study]
    with recipe.document.said_at(shown.place):
        made: Part = study.file(study.drawn).part(_named(shown, recipe, results), shown.show, shown.chosen)
        if made.wide and recipe.width < PAGE:
            raise Refusal(f"{shown.show} of so much need a page's width: write “width: page”.")
    return made


def _table(shown: Shown, recipe: Recipe, results: Mapping[str, Result]) -> Table:
    """The same of a table."""
    study = STUDIES[shown.study]
    with recipe.document.said_at(shown.place):
        made: Table = study.file(study.drawn).table(_named(shown, recipe, results), shown.show, shown.chosen)
    return made


def _listed(out: Path) -> set[str]:
    """Names of the files that an earlier figure in ``out`` says it wrote."""
    try:
        files = json.loads((out / MANIFEST).read_text("utf-8"))["files"]
        return {str(name) for name in files if Path(name).name == name}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _manifest(recipe: Recipe, results: Mapping[str, Result], written: list[Path]) -> dict[str, Any]:
    """How the figure was made, of JSON's types."""
    return {
        "about": recipe.about,
        **made_with(),
        "runs": {name: {"study": result.study, **result.manifest} for name, result in results.items()},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in written},
    }


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; one that holds the same is left alone."""
    with told(path):
        if path.is_file() and path.read_bytes() == content:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as fresh:
            fresh.write_bytes(content)
