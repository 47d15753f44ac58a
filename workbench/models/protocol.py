"""What every model in the workbench can be asked, whatever its family.

The types here are the one language between the adapters (which know a family's weights) and the studies
(which know a question). Importing this file loads neither torch nor a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from workbench.models import limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised

Band = Literal["vision", "projector", "llm"]
BANDS: tuple[Band, ...] = ("vision", "projector", "llm")

RENORMS = ("global", "channel", "text_channel")
ROUTES = ("re-encode", "bridge", "both")
RESTORES = ("auto", "always", "never")
THOUGHTS = ("anew", "kept")
"""What becomes of the thought after a drawing where something else stands in its place."""
MOST_NEW_TOKENS = 8192
"""Longest stretch of text in a response, in tokens: what CLEAR was evaluated with."""


class Capability(StrEnum):
    """What a model can do; a panel names what it needs."""

    ANSWERS = "answers"
    SCORES = "scores"
    HIDDEN_STATES = "hidden states"
    ATTENTION = "attention"
    GENERATES = "generates"
    INTERLEAVES = "interleaves"
    TOKENISES = "tokenises"
    PIXEL_GRADIENTS = "gradients of pixels"


@dataclass(frozen=True)
class ModelCard:
    """What is known about an open model.

    ``revision`` is the first 12 hex digits of the sha256 of everything that decides what the model computes:
    weights, configuration and tokenizer. ``parameters`` counts numbers, not bytes; ``knows`` is one sentence
    on what the model was trained on.

    ``attention`` names the implementation that runs, in transformers' words: "sdpa", "eager",
    "flash_attention_2" … ``processor`` holds what decides how an image becomes the model's input (sizes,
    resampling, normalisation, patches), of JSON's types and under transformers' names where it has one. Both
    are written into every manifest, and a result is kept for one value of them only.

    ``choices`` says in words, by name, what was chosen at opening beyond the checkpoint itself: the folder
    that lent the configuration, which of two sets of weights, whose system prompt.
    """

    id: str
    family: str
    folder: Path
    revision: str
    parameters: int
    dtype: str
    device: str
    attention: str
    processor: Mapping[str, Any]
    vision_layers: int
    llm_layers: int
    width: int
    capabilities: frozenset[Capability]
    licence: str
    knows: str
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One point on the axis vision blocks, projector, LLM layers.

    ``index`` is the position on that axis, 0 … n-1. "llm 0" is what enters the language model; "projector" is
    the connector's output before a position embedding is added.
    """

    name: str
    band: Band
    index: int


@dataclass(frozen=True)
class Grid:
    """Where visual tokens stand on an image.

    ``boxes`` is float32 (rows*cols, 4): x0, y0, x1, y1 in pixels of the image as it was given, row by row.
    ``image`` numbers the prompt's images; ``part`` says what of the image the grid shows: all of it, its
    tiles put together, the thumbnail that goes with them, or all of it as an autoencoder's latent.
    """

    rows: int
    cols: int
    boxes: np.ndarray
    image: int = 0
    part: Literal["image", "tiles", "thumbnail", "latent"] = "image"


@dataclass(frozen=True)
class View:
    """One grid and where its tokens stand in a sequence: int64 (rows*cols,), row by row."""

    grid: Grid
    positions: Tensor


@dataclass
class Prompt:
    """A batch of images with one text, ready for one model; or, ``together``, several images in one prompt.

    ``images`` are uint8 (H, W, 3), those of a batch all one size; ``visual``, int64 (rows*cols,), holds where
    the visual tokens of ``grid`` stand in the LLM sequence, which is the same for the whole batch. ``others``
    are the views besides: thumbnails, latents, and the images after the first that are shown together.
    ``repeats`` says how often a prompt of several images runs side by side (with other pixels, see
    ``Model.seeing``). ``inputs`` belongs to the adapter and is read by nobody else.
    """

    images: list[np.ndarray]
    text: str
    grid: Grid
    inputs: dict[str, Any]
    visual: Tensor
    others: tuple[View, ...] = ()
    together: bool = False
    repeats: int = 1

    @property
    def batch(self) -> int:
        """How many sequences run at once."""
        return self.repeats if self.together else len(self.images)


def repeated(prompt: Prompt, times: int) -> Prompt:
    """The prompt as it counts its sequences once each stands ``times`` as often; its inputs stay."""
    if prompt.together:
        return replace(prompt, repeats=prompt.repeats * times)
    return replace(prompt, images=prompt.images * times)


@dataclass(frozen=True)
class Tap:
    """Where a stage can be read: a module, its output or input, and the positions of the tokens.

    What the module shows is (..., tokens, width); with everything before the width made one axis for each
    sequence of the batch, ``positions`` picks the visual tokens (None: all) in the order of ``grid``, which
    may be finer than the prompt's; None where they stand on no known grid.
    """

    stage: Stage
    module: nn.Module
    positions: Tensor | None
    when: Literal["output", "input"] = "output"
    grid: Grid | None = None


@dataclass(frozen=True)
class Token:
    """One generated token: its own text, white space and all, and its natural-log probability."""

    text: str
    logprob: float
    id: int


@dataclass(frozen=True)
class Answer:
    """A generated answer; ``logprob`` is the sum over the answer's words, in nats."""

    text: str
    tokens: tuple[Token, ...]
    logprob: float

    @property
    def probability(self) -> float:
        """The joint probability of the answer's words, 0 … 1."""
        return math.exp(self.logprob)


@dataclass(frozen=True)
class Sampling:
    """How a response is drawn. Every field is shown on the page; a value outside its limits raises Refusal.

    ``steps`` counts Euler steps from noise (t = 1) to image (t = 0). The two scales are classifier-free
    guidance on the text and on the image (1 or less: none), used while ``interval[0] < t <= interval[1]``;
    the image's acts only where the text's does, as BAGEL was published. ``renorm`` and ``renorm_min`` hold
    the guided velocity's norm to the conditional one's (renorm_min = 1 disables it). ``shift`` moves the
    steps towards noise. ``route`` says how a drawn image re-enters; ``restore`` whether one is drawn at all:
    where the model decides, once in any case, or not.
    """

    steps: int = 12
    text_scale: float = 1.0
    image_scale: float = 1.0
    renorm: str = "global"
    renorm_min: float = 0.0
    interval: tuple[float, float] = (0.4, 1.0)
    shift: float = 3.0
    seed: int = 0
    route: str = "re-encode"
    restore: str = "auto"
    max_new_tokens: int = 256

    def __post_init__(self) -> None:
        limits.whole("steps", self.steps, 1, limits.MOST_STEPS)
        limits.within("text guidance", self.text_scale, 0.0, 20.0)
        limits.within("image guidance", self.image_scale, 0.0, 20.0)
        limits.within("renorm_min", self.renorm_min, 0.0, 1.0)
        limits.within("shift", self.shift, 0.1, 20.0)
        limits.whole("seed", self.seed, 0, 2**31 - 1)
        limits.whole("max_new_tokens", self.max_new_tokens, 1, MOST_NEW_TOKENS)
        limits.one_of("renorm", self.renorm, RENORMS)
        limits.one_of("route", self.route, ROUTES)
        limits.one_of("restore", self.restore, RESTORES)
        limits.ordered("The guidance interval", self.interval)


@dataclass(frozen=True)
class Thought:
    """One stretch of what the model says, tags and all: to itself before it decides, or up to the answer.

    It comes as it is said: any number of times with ``done`` false, each ``text`` beginning with the one
    before and taking its place, then once whole, with its tokens. What the model may not mean to stand (half
    a tag, half a character) is held back until it does, so no partial text is ever taken back.
    """

    text: str
    tokens: tuple[Token, ...] = ()
    done: bool = True


@dataclass(frozen=True)
class Decision:
    """Whether the model restores the image; ``probability`` is p(restore), whichever way it was decided."""

    restore: bool
    probability: float


@dataclass(frozen=True)
class VisualState:
    """One point of the walk from noise to image.

    Step 0 is the noise (t = 1) and step ``steps`` the restored image (t = 0). ``image``, uint8 (H, W, 3),
    is what the latent (float32) decodes to now; ``velocity_norm`` the norm of the velocity that led here, 0
    at step 0. ``estimate``, uint8 (H, W, 3), is the image that this velocity points to, where the model can
    tell; step 0 has none. A response may draw more than once: each drawing begins with a step 0.
    """

    step: int
    steps: int
    t: float
    image: np.ndarray
    latent: np.ndarray
    velocity_norm: float
    estimate: np.ndarray | None = None


@dataclass(frozen=True)
class Final:
    """The answer, and the image it was given after, if one was drawn: uint8 (H, W, 3)."""

    answer: Answer
    restored: np.ndarray | None = None


Event = Thought | Decision | VisualState | Final


class Reply(Protocol):
    """One answer of a response, which may have been given with something else in place of its drawing."""

    @property
    def text(self) -> str:
        """All that was said after it: thought and answer, tags and all."""
        ...

    @property
    def answer(self) -> Answer:
        """The greedy answer."""
        ...

    def score(self, candidates: Sequence[str]) -> np.ndarray:
        """Teacher-forced log-probabilities in nats, float64 (C,), of each candidate in the answer's place.

        The answer's end counts. NaN where a reply has no place for an answer, as its thought has no end.
        """
        ...

    def prompt(self) -> Prompt:
        """All that was read and said before the answer, for one pass: ``Model.said`` goes on with its tokens.

        Image 0 is the one asked about, those after it what was drawn or stood in a drawing's place; the last
        one's visual tokens are a view like any other, and so are latents (``Grid.part``). The prompt is one
        sequence; ``Model.answer`` and ``Model.score`` refuse it, for its answer is the reply's.
        """
        ...


@runtime_checkable
class Branch(Protocol):
    """A response that drew, held at the place where its last drawing came back.

    What was read until there (system prompt, image, question, thought, earlier drawings) is read no more.
    """

    image: np.ndarray
    """What was drawn last, uint8 (H, W, 3)."""
    own: Reply
    """The response's own."""

    def replies(
        self, images: Sequence[np.ndarray | None], route: str, *, thought: str = "anew"
    ) -> list[Reply]:
        """The answers with each image, uint8 (H, W, 3), in place of the drawing; None is the drawing itself.

        They come back by ``route``, one of ROUTES. After each the model thinks ``thought``, one of THOUGHTS:
        "anew", or "kept", which leaves the thought that followed the drawing as it was. No more is drawn.

        Raises Refusal where an image has another shape than the drawing once the model has resized it, and
        Cancelled once the response's ``stop`` says so.
        """
        ...

    def without(self) -> Reply:
        """The answer where the model does not draw, from the context in which it decided to."""
        ...

    def drawing(self, t: float, *, seed: int = 0) -> Prompt:
        """The prompt in the midst of drawing, for ``Model.pointed``: its last view is the drawing itself.

        That stands as its own end with noise of this seed, at flow time ``t``, 0 (finished) … 1 (noise). Of
        guidance it knows nothing. Raises Refusal where t is outside.
        """
        ...


def never() -> bool:
    """The stop flag of work that nobody stops."""
    return False


@runtime_checkable
class Model(Protocol):
    """An open checkpoint."""

    card: ModelCard

    def stages(self) -> list[Stage]:
        """Every stage that can be read, in order along the axis."""
        ...

    def resized(self, image: np.ndarray) -> np.ndarray:
        """The image as the model takes it, uint8 (h, w, 3)."""
        ...

    def prepare(self, images: Sequence[np.ndarray], text: str = "", *, together: bool = False) -> Prompt:
        """A batch of uint8 (H, W, 3) images of one size with one text (which may be empty).

        Or, ``together``, all images in one prompt, of any sizes. Raises Refusal where the sizes of a batch
        differ, the text is too long, or the model reads one image at a time and is given several together.
        """
        ...

    def continued(self, prompt: Prompt, tokens: Sequence[int]) -> tuple[Prompt, Tensor]:
        """The prompt with the first tokens of its answer said after it, for one more ``forward``.

        ``tokens`` are ids as in ``Token``. The second value, int64 (tokens + 1,), holds the places in the
        language model's sequence of the queries that say them one by one; the last stands on the last token
        and would say what follows.
        """
        ...

    def said(self, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
        """Natural-log probabilities, float32 (B, tokens), with which the answer says each of these tokens.

        Each is told what comes before it (teacher forcing). One pass; in grad mode gradients flow to what the
        caller put in: ``seeing``, ``workbench.capture.editing`` and ``workbench.models.meddle.weighing``. To
        leave gradients out, call it in inference mode.
        """
        ...

    def pointed(self, prompt: Prompt) -> Tensor:
        """The latent that a drawing points to, float32 (B, cells, channels), its cells in their view's order.

        Of a prompt from ``Branch.drawing``: x − t · v, the finished image as seen from there. Gradients flow
        as through ``said``. Only where the card says INTERLEAVES; raises Refusal for any other prompt.
        """
        ...

    def pixels(self, prompt: Prompt) -> Tensor:
        """What the vision tower reads of the prompt's images: normalised numbers (B, …), the batch first.

        The rest of the layout is the model's own: pictures, tiles, flattened patches. Raises Refusal where no
        one set of pixels is all that is seen of an image.
        """
        ...

    def seeing(self, prompt: Prompt, pixels: Tensor) -> Prompt:
        """The same prompt with other such ``pixels``, of which there may be more rows than in the prompt.

        Then the prompt's own rows stand again and again: row r is sequence r mod B with other pixels.
        Gradients reach them where the card says PIXEL_GRADIENTS. Raises Refusal where the rows are no
        multiple of B.
        """
        ...

    def cells(
        self, prompt: Prompt, values: Tensor, grids: Sequence[Grid] | None = None
    ) -> list[tuple[Grid, NDArray[np.float64]]]:
        """Sums, float64 (B, cells), of numbers shaped like ``pixels`` over the cells of grids on the images.

        By default one grid for each image: where its visual tokens stand. Each number counts where it was
        read on the image, so tiles and a thumbnail that show one place add up. What the model reads of no
        image (padding), or lies in no cell, is left out. A finer grid (`workbench.models.grids.grid_over`)
        makes a finer map, down to one cell for each pixel that the tower reads.
        """
        ...

    def taps(self, prompt: Prompt) -> list[Tap]:
        """Where each stage of this prompt can be read, in the order of ``stages()``."""
        ...

    def attending(self, prompt: Prompt) -> list[tuple[Stage, nn.Module]]:
        """The layers whose attention `workbench.models.watch` sees, each with the stage that it writes."""
        ...

    def forward(self, prompt: Prompt) -> Tensor:
        """Run the prompt once without gradients; hooks on the taps see everything.

        Returns the logits (B, vocabulary) after the last token.
        """
        ...

    def readout(self, states: Tensor) -> Tensor:
        """What the final norm and the head make of states of the last stage: (..., width) to logits.

        States may be of any float type and lie on any device.
        """
        ...

    def spelled(self, tokens: Sequence[int]) -> list[str]:
        """Each token by itself, with the space before it where it has one; "<id>" where it has no name."""
        ...

    def pieces(self, text: str) -> list[int]:
        """The tokens of a text in an answer's place, without the answer's end.

        Raises Refusal where it is too long, or holds marks that stand for something else.
        """
        ...

    def beginnings(self, word: str) -> list[int]:
        """The tokens that a word begins with, at the start of a text and after a space.

        Raises Refusal where there are none, or the word holds marks that stand for something else.
        """
        ...

    def answer(
        self, prompt: Prompt, *, max_new_tokens: int = 16, stop: Callable[[], bool] = never
    ) -> list[Answer]:
        """One greedy answer for each image, without drawing anything; asks ``stop`` between passes.

        Raises Cancelled once ``stop`` says so.
        """
        ...

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        """Teacher-forced log-probabilities in nats, float64 (B, C), of each candidate and of its end."""
        ...

    def respond(
        self, image: np.ndarray, question: str, settings: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Thought, decision, drawing and answer as they happen; asks ``stop`` between passes.

        Raises Refusal where the question is empty or too long, and Cancelled once ``stop`` says so.
        """
        ...

    def branched(
        self,
        image: np.ndarray,
        question: str,
        settings: Sampling,
        *,
        watched: bool = True,
        stop: Callable[[], bool] = never,
    ) -> Iterator[Event | Branch]:
        """The events of ``respond`` and then, where something was drawn, the branch to answer again from.

        Where it is not ``watched``, a drawing comes when it is finished, and its steps are not decoded. Only
        where the card says INTERLEAVES. Raises as ``respond`` does.
        """
        ...

    def draw(
        self, words: str, settings: DrawSettings, *, stop: Callable[[], bool] = never
    ) -> Iterator[DrawEvent]:
        """An image drawn from words alone, as it comes about; asks ``stop`` between passes.

        Only where the card says GENERATES. Raises Refusal where the words are empty or too long, or a setting
        is one that the model does not leave open, and Cancelled once ``stop`` says so.
        """
        ...

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """The image, uint8 (H, W, 3), as the tokeniser writes it; only where the card says TOKENISES."""
        ...
