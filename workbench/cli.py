"""The command line's door: the same studies as the browser's, and the page itself."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Cancelled, Refusal

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from pydantic import BaseModel

    from workbench.images.read import Picture
    from workbench.models import Opening
    from workbench.models.protocol import Model
    from workbench.runs.result import Result

COMMANDS = tuple("run states layers patches atlas draw tokens sacrifice capture figure train".split())
SUMMARY = """\
Afterimage shows what happens to an image inside a multimodal model.

  python -m workbench                        open the page in the browser (same as: run)
  python -m workbench states --image F --question "what colour is the star?" --out DIR
  python -m workbench layers --image F --out DIR
  python -m workbench layers --out DIR       the bundled probe set in place of one image
  python -m workbench patches --image F --question TEXT --out DIR
  python -m workbench atlas --out DIR        tokens on a plane; --image F for one picture's
  python -m workbench draw --prompt "a red star" --out DIR
  python -m workbench tokens --image F --model ID --out DIR
  python -m workbench capture MODEL F -o DIR keep what one pass shows, for any panel to open later
  python -m workbench run --no-model --open DIR    read a saved run where there is no checkpoint
  python -m workbench figure RECIPE.yaml --out DIR   a paper's figure from a recipe; see assets/recipes
  python -m workbench train base             train the embedded checkpoint

An image is a file, or scene:SEED for a drawn scene of the test split. --model, --device and --dtype say which
checkpoint opens (embedded, a folder, or an id on the Hugging Face hub), where and with which numbers. Each
command has its own --help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 2 refused (one sentence on stderr says why), 130 stopped."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["train"]:
        return _told(lambda: _train(words[1:]))
    if not words or words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        words = ["run", *words]
    parser = _parser(words[0])
    options = parser.parse_args(words)
    return _told(lambda: options.command(options))


def _told(work: Callable[[], None]) -> int:
    try:
        work()
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 2
    except MemoryError:
        print(
            "There is not enough memory for that. Close other programs, or give a smaller image.",
            file=sys.stderr,
        )
        return 2
    except (Cancelled, KeyboardInterrupt):
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


def _parser(asked: str) -> argparse.ArgumentParser:
    """The parser; a study's flags are added only where it is asked for, so that --help stays quick."""
    from workbench import __version__

    parser = argparse.ArgumentParser(
        prog="python -m workbench", description=SUMMARY, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)

    run = commands.add_parser("run", help="open the page in the browser", description="Open the page.")
    run.add_argument("--host", default=None, metavar="ADDRESS", help="address to serve on [127.0.0.1]")
    run.add_argument("--port", type=int, metavar="N", help="port to serve on [the first free one from 7860]")
    run.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    run.add_argument(
        "--open",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a saved run to show, its folder or a .zip of it; may be given several times",
    )
    _add_model(run).add_argument(
        "--no-model", action="store_const", const="", dest="model", help="open no checkpoint: saved runs only"
    )
    run.set_defaults(command=_run)

    states, states_settings = _add_study(
        commands,
        "states",
        help="what the model draws on its way to an answer",
        needs="--image FILE --question TEXT",
        description="Degrade an image, ask a question, and keep what the model thinks, draws and answers: "
        "figures as PNG, SVG and PDF, the numbers as CSV, everything else beside them.",
    )
    states.set_defaults(command=_states)

    layers, layers_settings = _add_study(
        commands,
        "layers",
        help="what each layer still shows of an image",
        needs="[--image FILE]",
        description="Patch structure of one image over vision blocks, projector and language layers "
        "(--image), or what a linear reader finds at each on the bundled probe set (without --image): "
        "figures as PNG, SVG and PDF, the numbers as CSV, everything else beside them.",
    )
    layers.set_defaults(command=_layers)

    patches, patches_settings = _add_study(
        commands,
        "patches",
        help="what the model has at one patch of an image, at every layer",
        needs="--image FILE",
        description="Show an image, ask the question, and keep for every patch what it is like, which words "
        "the lens reads there and how much attention it receives, at every stage: figures of one patch as "
        "PNG, SVG and PDF, the numbers of all as CSV, everything else beside them.",
    )
    _add_map(patches.add_argument_group("figure"))
    patches.set_defaults(command=_patches)
    atlas, atlas_settings = _add_study(
        commands,
        "atlas",
        help="visual tokens on a plane",
        needs="[--image FILE]",
        description="Lay a sample of visual tokens out on a plane, for each stage or for several together: "
        "of one image (--image) or of a collection (--data, by default the bundled scenes): figures as PNG, "
        "SVG and PDF, the numbers as CSV, everything else beside them.",
    )
    atlas.add_argument_group("figure").add_argument(
        "--colour",
        default="",
        choices=("class", "stage", "condition", "image", "object", "row", "col"),
        help="what points are coloured by [class where it is known]",
    )
    atlas.set_defaults(command=_atlas)

    draw, draw_settings = _add_study(
        commands,
        "draw",
        help="what the model draws from words, state by state",
        needs="--prompt TEXT",
        description="Draw an image from words and keep every state of it; of a model that draws token by "
        "token also the entropy of each choice: figures as PNG, SVG and PDF, the numbers as CSV, everything "
        "else beside them.",
    )
    draw.set_defaults(command=_draw)

    tokens, tokens_settings = _add_study(
        commands,
        "tokens",
        help="what the model's tokeniser keeps of an image",
        needs="--image FILE --model ID",
        description="Write an image as the tokens of a model and read it back: figures as PNG, SVG and PDF, "
        "how often each code is used as CSV, everything else beside them.",
    )
    tokens.set_defaults(command=_tokens)

    sacrifice, sacrifice_settings = _add_study(
        commands,
        "sacrifice",
        help="one checkpoint's answers beside what its layers still show",
        needs="--model ID",
        description="How often a checkpoint answers right about images of a collection, and what linear "
        "readers find at each of its layers. A recipe lays many checkpoints of one training beside one "
        "another (assets/recipes/sacrifice.yaml).",
    )
    sacrifice.set_defaults(command=_sacrifice)

    capture = commands.add_parser(
        "capture",
        help="keep what one pass shows, to open later without the model",
        usage="%(prog)s MODEL IMAGE [IMAGE ...] --prompt TEXT -o DIR [options]",
        description="Show a model an image and keep what a panel can need later: hidden states of every "
        "stage at the visual tokens, where those stand on the image, the answer with its log-probabilities, "
        "and what it attends to. Several images make a run each, in folders of DIR named after them, or one "
        "run with --together. Open it with: python -m workbench run --no-model --open DIR",
    )
    capture.add_argument("model", metavar="MODEL", help="id, or folder of a checkpoint")
    capture.add_argument("images", metavar="IMAGE", nargs="+", help="a file, or scene:SEED for a drawn scene")
    capture.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="folder for the run; made if need be"
    )
    capture.add_argument("--together", action="store_true", help="all images in one prompt")
    capture_settings = capture.add_argument_group("study")
    _add_place(capture.add_argument_group("model"))
    capture.set_defaults(command=_capture)

    figure = commands.add_parser(
        "figure",
        help="a paper's figure, from the runs that its recipe names",
        usage="%(prog)s RECIPE.yaml --out DIR [options]",
        description="Make the runs that a recipe names, and the figure drawn from them: PDF, SVG and PNG, "
        "the numbers of each panel as CSV, the runs, the recipe, and a manifest of how it was made. What is "
        "in DIR from an earlier call and has not changed is not computed again. Recipes to begin with are in "
        "assets/recipes; docs/figures.md says how to write one.",
    )
    figure.add_argument("recipe", type=Path, metavar="RECIPE.yaml", help="what to make")
    figure.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the figure; made if need be"
    )
    figure.add_argument("--trust-remote-code", action="store_true", help="as for a study's --model")
    figure.set_defaults(command=_figure)

    commands.add_parser("train", help="train base, train measure: make and measure the embedded checkpoint")

    settings = {
        "states": states_settings,
        "layers": layers_settings,
        "patches": patches_settings,
        "atlas": atlas_settings,
        "draw": draw_settings,
        "tokens": tokens_settings,
        "sacrifice": sacrifice_settings,
        "capture": capture_settings,
    }
    if asked in settings:
        from workbench.panels.command import add_flags
        from workbench.panels.studies import STUDIES

        if asked == "states":
            _add_preset(states_settings)
        but = ("images",) if asked == "capture" else ()  # they stand without a flag
        add_flags(settings[asked], STUDIES[asked].config_class(), but=but)
    return parser


def _add_study(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    *,
    help: str,
    needs: str,
    description: str,
) -> tuple[argparse.ArgumentParser, argparse._ArgumentGroup]:
    """A study's command, and the group that its settings' flags go to."""
    parser = commands.add_parser(
        name, help=help, usage=f"%(prog)s {needs} --out DIR [options]", description=description
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the result; made if need be"
    )
    settings = parser.add_argument_group("study")
    _add_model(parser)
    return parser, settings


def _add_model(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """Which model, where and with which numbers; the group of the first, for what takes its place."""
    group = parser.add_argument_group("model")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        default="pocket-bagel",
        metavar="ID",
        help="hub id, or folder of a checkpoint [pocket-bagel]",
    )
    _add_place(group)
    return which


def _add_place(group: argparse._ArgumentGroup) -> None:
    from workbench.models import DTYPES, KERNELS, QUANTISED, WEIGHTS

    group.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="where it runs: cpu, cuda, cuda:1 … [auto: the GPU if there is one]",
    )
    group.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", *DTYPES),
        help="numbers it computes with [auto: float32 on a CPU, bfloat16 on a GPU]",
    )
    group.add_argument(
        "--revision", default="", metavar="NAME", help="branch, tag or commit of a hub id [its main branch]"
    )
    group.add_argument(
        "--attention",
        default="auto",
        choices=KERNELS,
        help="kernel that computes attention [auto: sdpa where the model allows it]",
    )
    group.add_argument(
        "--quantised", default="", choices=QUANTISED, help="weights in 8 or 4 bit, on a CUDA device [none]"
    )
    group.add_argument(
        "--base",
        default="",
        metavar="ID",
        help="BAGEL folder or hub id that gives configuration, tokenizer and autoencoder where --model is "
        "weights alone, as CLEAR is published",
    )
    group.add_argument(
        "--weights",
        default="auto",
        choices=WEIGHTS,
        help="of BAGEL's layout: ema.safetensors or model.safetensors [auto: the first that is there]",
    )
    group.add_argument(
        "--system-prompt",
        default="",
        metavar="FILE",
        help="of BAGEL's layout: a text file; CLEAR's is in prompts.py of its public code "
        "[the checkpoint's own]",
    )
    group.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run Python code that comes with this checkpoint, which can do whatever you can; only where "
        "transformers has no class of its own for it [refuse it]",
    )


def _add_map(group: argparse._ArgumentGroup) -> None:
    from workbench.panels.patches.quantities import QUANTITIES

    group.add_argument(
        "--patch",
        nargs=2,
        type=int,
        metavar=("ROW", "COLUMN"),
        help="the patch, counted from 1 [the middle of the largest object]",
    )
    group.add_argument(
        "--map",
        default="similarity",
        choices=tuple(QUANTITIES),
        help="what the maps show; word: the first of --words, or the one that the answer begins with "
        "[similarity]",
    )
    group.add_argument(
        "--stage",
        default="",
        metavar="NAME",
        help='a stage that the row of maps shall show, such as "llm 3" [five over the axis]',
    )


def _add_preset(group: argparse._ArgumentGroup) -> None:
    from workbench.models.presets import PRESETS

    group.add_argument(
        "--preset",
        choices=[preset.name for preset in PRESETS],
        help="a documented set of the sampling parameters below, each of which may still be given: "
        + "; ".join(f"{preset.name} ({preset.source})" for preset in PRESETS),
    )


def _opening(options: argparse.Namespace) -> Opening:
    """How the model's flags say to open it."""
    from workbench.models import Opening

    return Opening(**{field.name: getattr(options, field.name) for field in fields(Opening)})


def _run(options: argparse.Namespace) -> None:
    from workbench.app import build, launch

    page = build(options.model, opening=_opening(options))
    for path in options.open:
        page.saved.open_for_all(path, _progress())
    window = not options.no_browser and "SPACE_ID" not in os.environ
    try:
        launch(page, server_name=options.host, server_port=options.port, inbrowser=window)
    except OSError as error:
        raise Refusal(f"The page cannot be served there: {error}") from error


def _train(words: Sequence[str]) -> None:
    from workbench import models
    from workbench.training import base

    if device := getattr(base.parser().parse_args(list(words)), "device", None):
        models.usable(device)
    base.main(list(words))


def _states(options: argparse.Namespace) -> None:
    from workbench.models.presets import preset
    from workbench.panels.states import figure, study

    if options.preset:
        options = argparse.Namespace(**preset(options.preset).parameters() | vars(options))
    _study(options, study.StatesConfig, study.prepared, study.run, figure.paper)


def _layers(options: argparse.Namespace) -> None:
    from workbench.panels.layers import figure, study
    from workbench.panels.layers.config import LayersConfig

    _study(options, LayersConfig, study.prepared, study.run, figure.paper)


def _patches(options: argparse.Namespace) -> None:
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


def _atlas(options: argparse.Namespace) -> None:
    from workbench.panels.atlas import figure, study
    from workbench.panels.atlas.config import AtlasConfig

    def paper(result: Result) -> Figure:
        print(figure.caveat(result), file=sys.stderr)
        return figure.paper(result, options.colour)

    _study(options, AtlasConfig, study.prepared, study.run, paper)


def _draw(options: argparse.Namespace) -> None:
    from workbench.panels.drawing import figure, study
    from workbench.panels.drawing.config import DrawConfig

    def run(config: DrawConfig, model: Model, **others: Any) -> Result:
        if said := study.caution(model.card):
            print(said, file=sys.stderr)
        return study.run(config, model, **others)

    _study(options, DrawConfig, study.prepared, run, figure.paper)


def _tokens(options: argparse.Namespace) -> None:
    from workbench.panels.tokens import figure, study
    from workbench.panels.tokens.config import TokensConfig

    _study(options, TokensConfig, study.prepared, study.run, figure.paper)


def _sacrifice(options: argparse.Namespace) -> None:
    from workbench.panels.sacrifice import figure, study
    from workbench.panels.sacrifice.config import SacrificeConfig

    _study(options, SacrificeConfig, study.prepared, study.run, figure.paper)


def _capture(options: argparse.Namespace) -> None:
    """Capture the images together or one by one, each run told its size and written before the next.

    Whatever can be refused is refused before the model opens.
    """
    from workbench import models
    from workbench.panels.capture import study
    from workbench.panels.capture.config import CaptureConfig
    from workbench.panels.command import from_flags
    from workbench.runs.store import check_place, check_room, megabytes, save

    given: CaptureConfig = from_flags(CaptureConfig, vars(options))
    parts = [given.images] if options.together else [(image,) for image in given.images]
    folders = _folders(options.out, [images[0] for images in parts])
    configs = [given.model_copy(update={"images": images}) for images in parts]
    pictures = [study.prepared(config) for config in configs]
    for folder in folders:
        check_place(folder)
    model = models.open(options.model, **asdict(_opening(options)), say=_opening_progress())
    for number, (config, folder, shown) in enumerate(zip(configs, folders, pictures, strict=True)):
        result = study.run(config, model, pictures=shown, progress=_progress())
        left = len(folders) - number
        others = f"; about {megabytes(left * result.size)} for all {left} that are left" if left > 1 else ""
        print(f"{folder}: {megabytes(result.size)} to write{others}")
        check_room(left * result.size, folder)
        save(result, folder)
    print(f"Open with: python -m workbench run --no-model {shlex.join(_flags(folders))}")


def _figure(options: argparse.Namespace) -> None:
    from workbench.recipes.make import make
    from workbench.recipes.recipe import read

    recipe = read(options.recipe, trust_remote_code=options.trust_remote_code)
    written = make(recipe, options.out, opening=_opening_progress(), progress=_progress())
    print(f"Written to {options.out}: {', '.join(path.name for path in written)}")


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
) -> None:
    """Run a study and write its result: the folder as the page keeps it, and figures beside it.

    `numbers` are those of the figure where no table of the result holds them.

    Whatever can be refused is refused before the model opens, which may take minutes.
    """
    from workbench import models
    from workbench.panels.command import from_flags
    from workbench.panels.specimen import outside
    from workbench.runs.export import save_figure, save_numbers
    from workbench.runs.store import check_place, save

    config = from_flags(kind, vars(options))
    check_place(options.out)
    picture = prepared(config)
    model = models.open(options.model, **asdict(_opening(options)), say=_opening_progress())
    if picture is not None and (said := outside(getattr(config, "image", ""), model.card)):
        print(said, file=sys.stderr)
    result = run(config, model, picture=picture, progress=_progress())
    drawn = paper(result)
    save(result, options.out)
    save_figure(drawn, options.out / "figure")
    if numbers is not None:
        save_numbers(numbers(result), options.out / "numbers.csv")
    print(f"Written to {options.out}: {', '.join(sorted(path.name for path in options.out.iterdir()))}")


def _opening_progress() -> Callable[[str, float], None]:
    """The same line for an opening that takes its time."""
    line = _progress(patience=1.0)
    return lambda words, share: line(share, words)


def _progress(patience: float = 0.0) -> Callable[[float, str], None]:
    """A line on stderr that is written over; where it cannot be, a line for each tenth.

    Of what takes less than `patience` seconds nothing is said.
    """
    line = sys.stderr.isatty()
    tenth = [-1]
    begin = time.monotonic() + patience

    def say(fraction: float, text: str) -> None:
        if time.monotonic() < begin:
            return
        if line:
            print(f"\r\033[K{fraction:4.0%}  {text}", end="", file=sys.stderr, flush=True)
            if fraction >= 1:
                print(file=sys.stderr)
        elif int(10 * fraction) > tenth[0]:
            tenth[0] = int(10 * fraction)
            print(f"{fraction:4.0%}  {text}", file=sys.stderr, flush=True)

    return say
