"""The commands of the command line, and their flags."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli import commands as do
from workbench.panels.command import add_flags
from workbench.panels.studies import STUDIES

if TYPE_CHECKING:
    pass

COMMANDS = tuple(
    (
        "run states intervene attribution layers patches attention atlas causal draw tokens sacrifice "
        "robustness corrupt perceptual capture figure train"
    ).split()
)
SUMMARY = """\
Afterimage shows what happens to an image inside a multimodal model.

  python -m workbench                        open the page in the browser (same as: run)
  python -m workbench states --image F --question "what colour is the star?" --out DIR
  python -m workbench intervene --image F --question TEXT --out DIR   is the drawn image load-bearing?
  python -m workbench attribution --image F --question TEXT --out DIR   what of the image the answer rests on
  python -m workbench layers --image F --out DIR
  python -m workbench layers --out DIR       readers over the bundled scenes; --data for your own
  python -m workbench patches --image F --question TEXT --out DIR
  python -m workbench attention --image F --question TEXT --out DIR   what the answer attends to
  python -m workbench atlas --out DIR        tokens on a plane; --image F for one picture's
  python -m workbench causal --image F --question TEXT --corruption NAME --out DIR   where the damage enters
  python -m workbench draw --prompt "a red star" --out DIR
  python -m workbench tokens --image F --model ID --out DIR
  python -m workbench corrupt --image F --seed N --out DIR   sixteen kinds of damage, three times each
  python -m workbench perceptual A B --out DIR   how near B is to A; a folder of states for all its steps
  python -m workbench robustness --out DIR   what damage costs in answers, and what drawing gives back
  python -m workbench capture MODEL F -o DIR keep what one pass shows, for any panel to open later
  python -m workbench run --no-model --open DIR    read a saved run where there is no checkpoint
  python -m workbench figure RECIPE.yaml --out DIR   a paper's figure from a recipe; see assets/recipes
  python -m workbench train base             train the embedded checkpoint

An image is a file, or scene:SEED for a drawn scene of the test split. --model, --device and --dtype say which
checkpoint opens (embedded, a folder, or an id on the Hugging Face hub), where and with which numbers. Each
command has its own --help."""


def parser_for(asked: str) -> argparse.ArgumentParser:
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
        help="a saved run to show, its folder or a .zip, or a folder of runs; may be given several times",
    )
    _add_model(run).add_argument(
        "--no-model", action="store_const", const="", dest="model", help="open no checkpoint: saved runs only"
    )
    run.set_defaults(command=do.run)

    study = partial(_add_study, commands, asked)
    study(
        "states",
        help="what the model draws on its way to an answer",
        needs="--image FILE --question TEXT",
        description="Degrade an image, ask a question, and keep what the model thinks, draws and answers: "
        "figures as PNG, SVG and PDF, the numbers as CSV, the whole response as one page of HTML, everything "
        "else beside them.",
    )

    study(
        "intervene",
        help="whether the answer rests on what the model drew",
        needs="[--image FILE --question TEXT]",
        description="Put something else in place of what the model drew (nothing, the degraded or the clean "
        "image, another one, blank, noise, a painted edit), by each route, and have it answer again: about "
        "one image (--image), or over a collection with questions (--data, by default the bundled scenes): "
        "figures as PNG, SVG and PDF, the numbers as CSV, everything else beside them.",
    )

    study(
        "attribution",
        help="which part of the image the answer rests on",
        needs="[--image FILE --question TEXT]",
        description="Maps of one answer by many methods (attention, gradients, taking parts of the image "
        "away), each with how far it can be trusted: deletion and insertion curves, infidelity, sensitivity; "
        "or, without --image, whether each method points at what a question names, over a collection with "
        "masks (--data, by default the bundled scenes): maps as PNG, figures as PNG, SVG and PDF, the "
        "measures as CSV, everything else beside them.",
    )

    study(
        "layers",
        help="what each layer still shows of an image",
        needs="[--image FILE]",
        description="Patch structure of one image over vision blocks, projector and language layers "
        "(--image), or what readers find at each over a collection (without --image): "
        "figures as PNG, SVG and PDF, the numbers as CSV, everything else beside them.",
    )

    patches = study(
        "patches",
        help="what the model has at one patch of an image, at every layer",
        needs="--image FILE",
        description="Show an image, ask the question, and keep for every patch what it is like, which words "
        "the lens reads there and how much attention it receives, at every stage: figures of one patch as "
        "PNG, SVG and PDF, the numbers of all as CSV, everything else beside them.",
    )
    _add_map(patches.add_argument_group("figure"))
    attention = study(
        "attention",
        help="what the answer attends to, layer by layer",
        needs="[--image FILE --question TEXT]",
        description="Keep what each head of each language layer gives from the answer's tokens to the image "
        "and to everything else, with rollout, flow, sinks and attention between kinds of tokens: about one "
        "image (--image), or the shares over a collection with questions (--data, by default the bundled "
        "scenes): figures as PNG, SVG and PDF, the numbers as CSV, everything else beside them.",
    )
    if asked == "attention":
        from workbench.panels.attention.shows import OfMaps

        add_flags(attention.add_argument_group("figure"), OfMaps, but=("tokens", "head", "view"))
    atlas = study(
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
        choices=("class", "label", "stage", "condition", "image", "object", "row", "col"),
        help="what points are coloured by; label: of the whole image, such as its folder [class where known]",
    )

    study(
        "causal",
        help="where the damage enters, and through which layers the image reaches the answer",
        needs="[--image FILE --question TEXT] [--corruption NAME]",
        description="Exchange visual tokens between a clean and a degraded run, stage by stage, and block "
        "attention in windows of layers: of one image (--image), with a map over its patches, or over a "
        "collection with questions (--data, by default the bundled scenes): figures as PNG, SVG and PDF, the "
        "numbers as CSV, everything else beside them. Work over a collection that was ended, even by a kill, "
        "goes on where it was when the same command is given again.",
    )

    study(
        "draw",
        help="what the model draws from words, state by state",
        needs="--prompt TEXT",
        description="Draw an image from words and keep every state of it; of a model that draws token by "
        "token also the entropy of each choice: figures as PNG, SVG and PDF, the numbers as CSV, everything "
        "else beside them.",
    )

    study(
        "tokens",
        help="what the model's tokeniser keeps of an image",
        needs="--image FILE --model ID",
        description="Write an image as the tokens of a model and read it back: figures as PNG, SVG and PDF, "
        "how often each code is used as CSV, everything else beside them.",
    )

    study(
        "sacrifice",
        help="one checkpoint's answers beside what its layers still show",
        needs="--model ID",
        description="How often a checkpoint answers right about images of a collection, and what linear "
        "readers find at each of its layers. A recipe lays many checkpoints of one training beside one "
        "another (assets/recipes/sacrifice.yaml).",
    )

    perceptual = commands.add_parser(
        "perceptual",
        help="how near pictures are to a reference, in numbers and maps",
        usage="%(prog)s A B [C ...] --out DIR [options]",
        description="Compare pictures with the first one: SSIM, PSNR, FSIM and others, LPIPS and DISTS where "
        "the weights of their networks are on this machine or can be fetched. A folder or .zip that the "
        "command states wrote stands for all its pictures: original, degraded, every denoising step, "
        "restored. No model is opened.",
    )
    perceptual.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        help="a file, scene:SEED, or a saved run of states; the first picture is the reference",
    )
    perceptual.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the result; made if need be"
    )
    compared = perceptual.add_argument_group("study")
    if asked == "perceptual":
        add_flags(compared, STUDIES["perceptual"].config_class(), but=("images",))
    perceptual.set_defaults(command=do.perceptual)

    robustness = study(
        "robustness",
        help="what damage costs in right answers, and what a drawing on the way gives back",
        needs="[--data TSV]",
        description="Ask every question of a collection about the clean image and about each corruption at "
        "each severity, from the image alone or with a drawing on the way: figures as PNG, SVG and PDF, the "
        "numbers as CSV, everything else beside them. Work that was ended, even by a kill, goes on where it "
        "was when the same command is given again.",
    )
    robustness.add_argument_group("judge").add_argument(
        "--judge",
        default="",
        metavar="NAME",
        help="what marks generated answers in place of matching: package.module:function, called with "
        "question, answer and response and giving 0 to 1, or an entry point of the group afterimage.judges; "
        "it is code, and runs",
    )

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
    settings = capture.add_argument_group("study")
    if asked == "capture":
        add_flags(settings, STUDIES["capture"].config_class(), but=("images",))  # they stand without a flag
    _add_place(capture.add_argument_group("model"))
    capture.set_defaults(command=do.capture)

    corrupt = commands.add_parser(
        "corrupt",
        help="what each kind of damage does to an image",
        usage="%(prog)s --image FILE --out DIR [options]",
        description="Damage an image in each of MMD-Bench's 16 ways at each of its three intensities: "
        "48 PNGs, a sheet of them as PNG, SVG and PDF, and what each costs as CSV. No model is opened.",
    )
    _add_out(corrupt)
    if asked == "corrupt":
        add_flags(corrupt.add_argument_group("study"), STUDIES["corrupt"].config_class())
    corrupt.set_defaults(command=do.corrupt)

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
    figure.set_defaults(command=do.figure)

    commands.add_parser("train", help="train base, train measure: make and measure the embedded checkpoint")
    return parser


def _add_study(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    asked: str,
    name: str,
    *,
    help: str,
    needs: str,
    description: str,
) -> argparse.ArgumentParser:
    """A study's command, with the flags of its settings where it is the one that is asked for."""
    parser = commands.add_parser(
        name, help=help, usage=f"%(prog)s {needs} --out DIR [options]", description=description
    )
    _add_out(parser)
    settings = parser.add_argument_group("study")
    if name == asked:
        if name in ("states", "intervene"):
            _add_preset(settings)
        if name == "states":
            _add_strip(parser.add_argument_group("figure"))
        add_flags(settings, STUDIES[name].config_class())
    _add_model(parser)
    parser.set_defaults(command=getattr(do, name))
    return parser


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the result; made if need be"
    )


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
    from workbench.models import DTYPES, KERNELS, QUANTISED, READ_AS, WEIGHTS

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
        "--quantised", default="", choices=QUANTISED, help="weights in 8 or 4 bit, by bitsandbytes [none]"
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
        "--read-as",
        default="auto",
        choices=READ_AS,
        help="of BAGEL's layout: whose image sizes and words, as the weights of CLEAR and of other "
        "fine-tunes of BAGEL look the same [auto: with --base CLEAR's, else BAGEL's]",
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


def _add_strip(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--at",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="steps that the filmstrip shows, up to 8; the noise is 0 [four spread evenly]",
    )
    group.add_argument(
        "--estimates", action="store_true", help="a row with the image that each step's velocity points to"
    )


def _add_preset(group: argparse._ArgumentGroup) -> None:
    from workbench.models.presets import PRESETS

    group.add_argument(
        "--preset",
        choices=[preset.name for preset in PRESETS],
        help="a documented set of the sampling parameters below, each of which may still be given: "
        + "; ".join(f"{preset.name} ({preset.source})" for preset in PRESETS),
    )
