"""What each command does, from its options to files on disk."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from workbench.cli.progress import opening_progress, progress
from workbench.errors import Refusal

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pydantic import BaseModel

    from workbench.images.read import Picture
    from workbench.models import Opening
    from workbench.models.protocol import Model
    from workbench.runs.manifest import Noted
    from workbench.runs.result import Result


def opening_of(options: argparse.Namespace) -> Opening:
    """How the model's flags say to open it."""
    from workbench.models import Opening

    return Opening(**{field.name: getattr(options, field.name) for field in fields(Opening)})


def run(options: argparse.Namespace) -> None:
    """Open the page. Raises Refusal where it cannot be served there."""
    from workbench.app import build, launch
    from workbench.runs.archive import runs_at

    page = build(options.model, opening=opening_of(options))
    for place in options.open:
        for path in runs_at(place):
            page.saved.open_for_all(path, progress())
    window = not options.no_browser and "SPACE_ID" not in os.environ
    try:
        launch(page, server_name=options.host, server_port=options.port, inbrowser=window)
    except OSError as error:
        raise Refusal(f"The page cannot be served there: {error}") from error
    except ValueError as error:
        if "localhost" not in str(error):
            raise
        raise Refusal(
            "The page was started, but this machine did not reach it: it is very busy, or a proxy stands "
            "between. Start again; behind a proxy, set NO_PROXY=localhost,127.0.0.1 first."
        ) from error


def train(words: Sequence[str]) -> None:
    """Train or measure the embedded checkpoint."""
    from workbench import models
    from workbench.training import base

    if device := getattr(base.parser().parse_args(list(words)), "device", None):
        models.usable(device)
    base.main(list(words))


def states(options: argparse.Namespace) -> None:
    """What the model draws on its way to an answer."""
    from workbench.models.presets import preset
    from workbench.panels.states import figure, study
    from workbench.panels.states.config import StatesConfig
    from workbench.panels.states.document import document

    if options.preset:
        options = argparse.Namespace(**preset(options.preset).parameters() | vars(options))
    chosen = figure.Chosen(at=tuple(options.at), estimates=options.estimates)
    steps = int(getattr(options, "steps", StatesConfig().steps))
    if len(chosen.at) > figure.MOST_COLUMNS or not all(0 <= step <= steps for step in chosen.at):
        raise Refusal(f"--at takes up to {figure.MOST_COLUMNS} of the steps 0 (the noise) to {steps}.")
    _study(
        options,
        StatesConfig,
        study.prepared,
        study.run,
        lambda result: figure.paper(result, chosen),
        documents={"trace.html": document},
    )


def intervene(options: argparse.Namespace) -> None:
    """What becomes of the answer with something else in place of the drawing."""
    from workbench.models.presets import preset
    from workbench.panels.interventions import figure, study
    from workbench.panels.interventions.config import PAINTED, InterventionsConfig
    from workbench.panels.interventions.verdict import verdict
    from workbench.panels.layers.skipped import skipped

    if options.preset:
        options = argparse.Namespace(**preset(options.preset).parameters() | vars(options))

    def paper(result: Result) -> Figure:
        painted = result.manifest["notes"].get(PAINTED, [])
        said = [f"The painted drawing: {' '.join(painted)}"] if painted else []
        print(*said, *verdict(result), *filter(None, [skipped(result)]), sep="\n", file=sys.stderr)
        return figure.paper(result)

    _study(options, InterventionsConfig, study.prepared, study.run, paper)


def attribution(options: argparse.Namespace) -> None:
    """Which part of the image the answer rests on."""
    from workbench.panels.attribution import figure, study
    from workbench.panels.attribution.chart import of_image, refused
    from workbench.panels.attribution.config import AttributionConfig
    from workbench.panels.attribution.files import save_maps
    from workbench.panels.attribution.table import faithfulness
    from workbench.runs.export import save_numbers

    made: list[Result] = []

    def run(config: AttributionConfig, model: Model, **others: Any) -> Result:
        made.append(study.run(config, model, **others))
        for reason in refused(made[0]):
            print(reason, file=sys.stderr)
        return made[0]

    _study(options, AttributionConfig, study.prepared, run, figure.paper)
    if of_image(made[0]):
        save_maps(made[0], options.out / "maps")
        save_numbers(faithfulness([("", made[0])]).numbers, options.out / "faithfulness.csv")


def layers(options: argparse.Namespace) -> None:
    """What each layer still shows of an image, or of a collection."""
    from workbench.panels.layers import figure, study
    from workbench.panels.layers.config import LayersConfig
    from workbench.panels.layers.skipped import skipped

    def paper(result: Result) -> Figure:
        if said := skipped(result):
            print(said, file=sys.stderr)
        return figure.paper(result)

    _study(options, LayersConfig, study.prepared, study.run, paper)


def patches(options: argparse.Namespace) -> None:
    """What the model has at one patch, at every layer."""
    from workbench.panels.needs import known_stage
    from workbench.panels.patches import figure, study
    from workbench.panels.patches.config import PatchesConfig
    from workbench.panels.patches.ladder import numbers
    from workbench.panels.patches.quantities import Asked, patch_in, stages_of

    stage: str = options.stage

    def run(config: PatchesConfig, model: Model, **others: Any) -> Result:
        if stage:
            known_stage(stage, [each.name for each in model.stages()])
        return study.run(config, model, **others)

    def asked(result: Result) -> Asked:
        words = result.config["words"]
        return Asked(patch_in(result, options.patch), options.map, words[0] if words else "")

    def paper(result: Result) -> Figure:
        if stage:
            known_stage(stage, stages_of(result))
        return figure.paper(result, asked(result), stage=stage or None)

    _study(
        options,
        PatchesConfig,
        study.prepared,
        run,
        paper,
        numbers=lambda result: numbers(result, asked(result)),
    )


def attention(options: argparse.Namespace) -> None:
    """What the answer attends to."""
    from workbench.panels.attention import figure, study
    from workbench.panels.attention.config import AttentionConfig
    from workbench.panels.attention.reading import Asked, of_image, stages_of
    from workbench.panels.attention.shows import OfMaps
    from workbench.panels.command import from_flags
    from workbench.panels.layers.skipped import skipped
    from workbench.panels.needs import known_stage

    chosen = from_flags(OfMaps, {name: value for name, value in vars(options).items() if name != "tokens"})
    asked = Asked(way=chosen.way, weighted=chosen.weighted, sinks=chosen.sinks)

    def run(config: AttentionConfig, model: Model, **others: Any) -> Result:
        if chosen.way == "flow" and not config.flow:
            raise Refusal("Flow is computed where it is asked for: give --flow too.")
        if chosen.stage:
            known_stage(chosen.stage, [each.name for each in model.stages()])
        return study.run(config, model, **others)

    def paper(result: Result) -> Figure:
        if said := skipped(result):
            print(said, file=sys.stderr)
        stage = chosen.stage if of_image(result) and chosen.stage in stages_of(result) else None
        return figure.paper([("", result)], asked, stage=stage)

    _study(
        options,
        AttentionConfig,
        study.prepared,
        run,
        paper,
        numbers=lambda result: figure.numbers(result, asked),
    )


def atlas(options: argparse.Namespace) -> None:
    """Visual tokens on a plane."""
    from workbench.panels.atlas import figure, study
    from workbench.panels.atlas.colours import instead
    from workbench.panels.atlas.config import AtlasConfig
    from workbench.panels.atlas.facets import left_out

    def paper(result: Result) -> Figure:
        _, said = instead([result], options.colour)
        for text in (said, left_out(result), figure.caveat(result)):
            if text:
                print(text, file=sys.stderr)
        return figure.paper(result, options.colour)

    _study(options, AtlasConfig, study.prepared, study.run, paper)


def causal(options: argparse.Namespace) -> None:
    """Where the damage enters, and through which layers the image reaches the answer."""
    from workbench.panels.causal import figure, study
    from workbench.panels.causal.config import CausalConfig
    from workbench.panels.causal.verdict import verdict
    from workbench.panels.layers.skipped import skipped

    def paper(result: Result) -> Figure:
        print(*verdict(result), *filter(None, [skipped(result)]), sep="\n", file=sys.stderr)
        return figure.paper(result)

    _study(options, CausalConfig, study.prepared, study.run, paper)


def draw(options: argparse.Namespace) -> None:
    """What the model draws from words."""
    from workbench.panels.drawing import figure, study
    from workbench.panels.drawing.config import DrawConfig

    def run(config: DrawConfig, model: Model, **others: Any) -> Result:
        if said := study.caution(model.card):
            print(said, file=sys.stderr)
        return study.run(config, model, **others)

    _study(options, DrawConfig, study.prepared, run, figure.paper)


def tokens(options: argparse.Namespace) -> None:
    """What the model's tokeniser keeps of an image."""
    from workbench.panels.tokens import figure, study
    from workbench.panels.tokens.config import TokensConfig

    _study(options, TokensConfig, study.prepared, study.run, figure.paper)


def sacrifice(options: argparse.Namespace) -> None:
    """Answers beside readers, of one checkpoint."""
    from workbench.panels.sacrifice import figure, study
    from workbench.panels.sacrifice.config import SacrificeConfig

    _study(options, SacrificeConfig, study.prepared, study.run, figure.paper)


def corrupt(options: argparse.Namespace) -> None:
    """What each kind of damage does to an image; no model is opened."""
    from workbench.panels.command import from_flags
    from workbench.panels.corruptions import figure, study
    from workbench.panels.corruptions.config import CorruptConfig
    from workbench.runs.store import check_place

    config = from_flags(CorruptConfig, vars(options))
    check_place(options.out)
    picture = study.prepared(config)
    _tell({config.image: picture})
    result = study.run(config, picture=picture, progress=progress())
    _write(options.out, result, figure.paper)


def perceptual(options: argparse.Namespace) -> None:
    """How near pictures are to a reference. No model is opened."""
    from workbench.panels.command import from_flags
    from workbench.panels.perceptual import figure, study
    from workbench.panels.perceptual.config import PerceptualConfig
    from workbench.panels.perceptual.reading import left_out
    from workbench.runs.store import check_place

    config = from_flags(PerceptualConfig, vars(options))
    check_place(options.out)
    pictures = study.prepared(config)
    _tell({each.name: each for each in pictures[0]})
    result = study.run(config, picture=pictures, progress=progress())
    for sentence in left_out(result):
        print(sentence, file=sys.stderr)
    _write(options.out, result, figure.paper)


def robustness(options: argparse.Namespace) -> None:
    """Answers under damage."""
    from workbench.datasets.judges import judge_named
    from workbench.panels.robustness import figure, study
    from workbench.panels.robustness.config import RobustnessConfig

    judge = judge_named(options.judge) if options.judge else None
    run = partial(study.run, judge=judge, judge_name=options.judge)
    _study(options, RobustnessConfig, study.prepared, run, figure.paper)


def capture(options: argparse.Namespace) -> None:
    """Capture the images together or one by one, each run told its size and written before the next.

    Whatever can be refused is refused before the model opens.
    """
    from workbench import models
    from workbench.panels.capture import study
    from workbench.panels.capture.config import CaptureConfig
    from workbench.panels.command import from_flags
    from workbench.runs.archive import LARGEST
    from workbench.runs.store import check_place, check_room, megabytes, save

    given: CaptureConfig = from_flags(CaptureConfig, vars(options))
    parts = [given.images] if options.together else [(image,) for image in given.images]
    folders = _folders(options.out, [images[0] for images in parts])
    configs = [given.model_copy(update={"images": images}) for images in parts]
    pictures = [study.prepared(config) for config in configs]
    _tell(
        {
            source: picture
            for config, found in zip(configs, pictures, strict=True)
            for source, picture in zip(config.images, found, strict=True)
        }
    )
    for folder in folders:
        check_place(folder)
    model = models.open(options.model, **asdict(opening_of(options)), say=opening_progress())
    for number, (config, folder, shown) in enumerate(zip(configs, folders, pictures, strict=True)):
        result = study.run(config, model, pictures=shown, progress=progress())
        left = len(folders) - number
        others = f"; about {megabytes(left * result.size)} for all {left} that are left" if left > 1 else ""
        print(f"{folder}: {megabytes(result.size)} to write{others}")
        check_room(left * result.size, folder)
        save(result, folder)
        if result.size > LARGEST:
            print(
                f"That is more than the {megabytes(LARGEST)} which a page takes as a .zip: open the folder "
                "with --open, or keep less. --stages llm leaves out the tower, --stages with names keeps "
                "single layers, --attention-rows 8 a quarter of the attention.",
                file=sys.stderr,
            )
    print(f"Open with: python -m workbench run --no-model {shlex.join(_flags(folders))}")


def figure(options: argparse.Namespace) -> None:
    """A paper's figure from a recipe."""
    from workbench.recipes.make import make
    from workbench.recipes.recipe import read

    recipe = read(options.recipe, trust_remote_code=options.trust_remote_code, unmade=_train)
    written = make(recipe, options.out, opening=opening_progress(), progress=progress())
    print(f"Written to {options.out}: {', '.join(path.name for path in written)}")


def _train() -> None:
    """Train the embedded model's short series, telling its steps; it goes on where it was ended."""
    from workbench.recipes.series import MAKING, OWN

    print(f"{OWN} holds no finished series yet: it is trained first.", flush=True)
    if subprocess.run([sys.executable, "-m", "workbench", *MAKING]).returncode:
        raise Refusal(f"The series could not be trained in {OWN}; what went wrong stands above.")


def _tell(pictures: Mapping[str, Noted]) -> None:
    """What was done to each picture, by what names it, before anything is computed of it."""
    for source, picture in pictures.items():
        if picture.notes:
            print(f"{Path(source).name}: {' '.join(picture.notes)}", file=sys.stderr)


def _folders(out: Path, images: Sequence[str]) -> list[Path]:
    """Where each run goes: one run to ``out``, several into it, named after their images."""
    if len(images) == 1:
        return [out]
    folders: list[Path] = []
    for image in images:
        stem, count = image.replace(":", "-") if image.startswith("scene:") else Path(image).stem, 2
        folder = out / stem
        while folder in folders:
            folder, count = out / f"{stem}-{count}", count + 1
        folders.append(folder)
    return folders


def _flags(folders: Sequence[Path]) -> list[str]:
    """The words that open these runs."""
    return [word for folder in folders for word in ("--open", str(folder))]


def _study(
    options: argparse.Namespace,
    kind: type[BaseModel],
    prepared: Callable[[Any], Picture | None],
    run: Callable[..., Result],
    paper: Callable[..., Figure],
    *,
    numbers: Callable[[Result], DataFrame] | None = None,
    documents: Mapping[str, Callable[[Result], str]] = MappingProxyType({}),
) -> None:
    """Run a study and write its result: the folder as the page keeps it, and figures beside it.

    `numbers` are those of the figure where no table of the result holds them; `documents` are texts by the
    name of their file.

    Whatever can be refused is refused before the model opens, which may take minutes.
    """
    from workbench import models
    from workbench.panels.command import from_flags
    from workbench.panels.specimen import outside
    from workbench.runs.store import check_place

    config = from_flags(kind, vars(options))
    check_place(options.out)
    picture = prepared(config)
    if picture is not None:
        _tell({getattr(config, "image", ""): picture})
    model = models.open(options.model, **asdict(opening_of(options)), say=opening_progress())
    if picture is not None and (said := outside(getattr(config, "image", ""), model.card)):
        print(said, file=sys.stderr)
    result = run(config, model, picture=picture, progress=progress())
    _write(options.out, result, paper, numbers, documents)


def _write(
    out: Path,
    result: Result,
    paper: Callable[[Result], Figure],
    numbers: Callable[[Result], DataFrame] | None = None,
    documents: Mapping[str, Callable[[Result], str]] = MappingProxyType({}),
) -> None:
    """Write a result to its folder, with its figure and, where given, numbers and documents beside it."""
    from workbench.runs.export import save_figure, save_numbers, save_text
    from workbench.runs.store import save

    try:
        drawn = paper(result)
    except Refusal:
        raise
    except Exception:
        save(result, out)  # A fault of ours in the drawing must not cost what was measured.
        raise
    save(result, out)
    save_figure(drawn, out / "figure")
    if numbers is not None:
        save_numbers(numbers(result), out / "numbers.csv")
    for name, document in documents.items():
        save_text(document(result), out / name)
    print(f"Written to {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")
