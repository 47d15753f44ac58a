"""Two runs of one question, and what becomes of the answer when states or attention of one are changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.attribution.pointing import shares
from workbench.capture.editing import replacing
from workbench.errors import Refusal, go_on
from workbench.models.meddle import blocking
from workbench.models.protocol import Grid, Model, Prompt, View, never
from workbench.panels.attribution.halving import Halving

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Said = tuple[int, ...]
"""The tokens of an answer."""


@dataclass(frozen=True)
class Spot:
    """A stage at which visual tokens can be exchanged, and where they stand.

    places: in the language model's sequence, int64; None at a stage before it, whose tokens are its own.
    boxes: (tokens, 4), what each token shows, in pixels of its image.
    """

    stage: str
    places: Tensor | None
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Edit:
    """Some tokens, bool (tokens,) of a spot, that get the states of another run."""

    spot: Spot
    tokens: NDArray[np.bool_]


@dataclass(frozen=True)
class Places:
    """Where in the language model's sequence what stands, int64 each.

    image: all visual tokens of what was given, and what stands between them, such as the ends of rows. drawn:
    the same of the model's own drawing; empty where there is none. question: the words that follow the image
    up to the answer, those of a template and of a thought too. answer: the queries that say the answer.
    """

    image: Tensor
    drawn: Tensor
    question: Tensor
    answer: Tensor


@dataclass
class Run:
    """A prompt of one sequence, and the states that it showed, (1, tokens, width) by stage.

    drawn: which of the prompt's images is the model's own drawing, or stands in its place: its tokens are the
    ones that are exchanged. 0 where none is traced, and the tokens are those of the image asked about.
    """

    model: Model
    prompt: Prompt
    drawn: int = 0
    batch: int = 16
    stop: Callable[[], bool] = never
    states: dict[str, Tensor] = field(default_factory=dict)

    def said(self, targets: Sequence[Said]) -> NDArray[np.float64]:
        """Log-probability in nats, float64 (targets,), with which this run says each answer."""
        return np.array([self._logprobs(self.prompt, target)[0] for target in targets])

    def spots(self) -> list[Spot]:
        """Where visual tokens can be exchanged: of every view of the image, or of the drawing.

        A tower shows one view at a time, so its stages are none of them where a prompt has several.
        """
        import torch

        views = [view for view in self._views() if view.grid.image == self.drawn]
        places = torch.cat([view.positions.to(self.prompt.visual.device) for view in views])
        boxes = np.concatenate([view.grid.boxes for view in views])
        alone = not self.prompt.others
        found = []
        for tap in self.model.taps(self.prompt):
            if tap.stage.band == "llm":
                found.append(Spot(tap.stage.name, places, boxes))
            elif alone and tap.grid is not None:
                found.append(Spot(tap.stage.name, None, tap.grid.boxes))
        return found

    def watch(self, spots: Iterable[Spot], target: Said) -> None:
        """Run once and keep what the spots show."""

        def kept(name: str) -> Callable[[Tensor], Tensor]:
            def keep(states: Tensor) -> Tensor:
                self.states[name] = states.detach().clone()
                return states

            return keep

        with ExitStack() as stack:
            for spot in spots:
                stack.enter_context(
                    replacing(self.model, self.prompt, spot.stage, kept(spot.stage), places=spot.places)
                )
            self._logprobs(self.prompt, target)

    def patched(
        self, source: Mapping[str, Tensor], edits: Sequence[Edit], targets: Sequence[Said]
    ) -> NDArray[np.float64]:
        """Log-probabilities, float64 (targets, edits), with each edit's tokens from `source`, one at a time.

        Edits run side by side, `batch` of them in a pass, fewer where memory runs out. Raises Cancelled once
        `stop` says so.
        """
        if self._repeated(2) is None:
            self.batch = 1
        halving, parts = Halving(self.batch), list[NDArray[np.float64]]()
        first = 0
        while first < len(edits):
            parts.append(
                halving.run(lambda count: self._side_by_side(source, edits[first : first + count], targets))  # noqa: B023
            )
            first += parts[-1].shape[1]
        self.batch = halving.at_once
        return np.concatenate(parts, axis=1) if parts else np.empty((len(targets), 0))

    def _side_by_side(
        self, source: Mapping[str, Tensor], edits: Sequence[Edit], targets: Sequence[Said]
    ) -> NDArray[np.float64]:
        """`patched` in one pass for each target."""
        prompt = self._repeated(len(edits))
        assert prompt is not None
        out = np.empty((len(targets), len(edits)))
        for row, target in enumerate(targets):
            go_on(self.stop)
            with ExitStack() as stack:
                for spot, change in _changes(edits, source):
                    stack.enter_context(replacing(self.model, prompt, spot.stage, change, places=spot.places))
                out[row] = self._logprobs(prompt, target)
        return out

    def blocked(self, layers: Sequence[nn.Module], queries: Tensor, keys: Tensor, target: Said) -> float:
        """Log-probability of an answer while these queries do not attend to these keys in these layers."""
        go_on(self.stop)
        with blocking(layers, queries, keys):
            return float(self._logprobs(self.prompt, target)[0])

    def places(self, target: Said) -> Places:
        """Where image, drawing, question and answer stand."""
        import torch

        _, rows = self.model.continued(self.prompt, target)
        views = self._views()
        image, drawn = (
            _span([view.positions for view in views if bool(view.grid.image) is own], rows.device)
            for own in (False, True)
        )
        after = torch.arange(int(image.max()) + 1, int(rows[0]), device=rows.device)
        return Places(image, drawn, after[~torch.isin(after, drawn)], rows[:-1])

    def _views(self) -> list[View]:
        return [View(self.prompt.grid, self.prompt.visual), *self.prompt.others]

    def layers(self) -> dict[int, nn.Module]:
        """The language layers whose attention can be blocked, by their number from 1."""
        return {
            int(stage.name.removeprefix("llm ")): module
            for stage, module in self.model.attending(self.prompt)
            if stage.band == "llm"
        }

    def _logprobs(self, prompt: Prompt, target: Said) -> NDArray[np.float64]:
        """The sum over an answer's tokens, float64 (B,)."""
        import torch

        with torch.inference_mode():
            told = self.model.said(prompt, target).double().sum(-1).cpu().numpy()
        if not np.isfinite(told).all():
            raise Refusal(
                f"{self.model.card.id} computes numbers that are not finite in {self.model.card.dtype}. Open "
                "it with --dtype float32."
            )
        return np.asarray(told)

    def _repeated(self, count: int) -> Prompt | None:
        """The prompt `count` times in one batch; None where the model cannot lay it side by side."""
        if count == 1:
            return self.prompt
        try:
            pixels = self.model.pixels(self.prompt)
            return self.model.seeing(self.prompt, pixels.repeat(count, *[1] * (pixels.ndim - 1)))
        except Refusal:
            return None


def _changes(
    edits: Sequence[Edit], source: Mapping[str, Tensor]
) -> list[tuple[Spot, Callable[[Tensor], Tensor]]]:
    """For each spot what its states become: row r of the batch gets the tokens of edit r, where it is its."""
    import torch

    by_stage: dict[str, list[tuple[int, Edit]]] = {}
    for row, edit in enumerate(edits):
        by_stage.setdefault(edit.spot.stage, []).append((row, edit))

    def changing(stage: str, own: Sequence[tuple[int, Edit]]) -> Callable[[Tensor], Tensor]:
        def change(states: Tensor) -> Tensor:
            out, given = states.clone(), source[stage].to(states)
            for row, edit in own:
                at = torch.from_numpy(edit.tokens).to(states.device)
                out[row, at] = given[0, at]
            return out

        return change

    return [(own[0][1].spot, changing(stage, own)) for stage, own in by_stage.items()]


def _span(views: Sequence[Tensor], device: torch.device) -> Tensor:
    """Every place from a view's first token to its last, of all views; empty where there is none."""
    import torch

    parts = [torch.arange(int(v.min()), int(v.max()) + 1) for v in views]
    found: Tensor = torch.cat(parts or [torch.empty(0, dtype=torch.long)]).unique().to(device)
    return found


def covering(
    boxes: NDArray[np.float32], mask: NDArray[np.bool_], share: float, size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Which tokens show a thing: bool (tokens,), where a mask covers `share` of their box at least.

    boxes: (tokens, 4) in pixels of an image of this size (height, width), to which the mask is stretched.
    """
    scale = np.array([mask.shape[1] / size[1], mask.shape[0] / size[0]] * 2)
    return np.asarray(shares(boxes * scale, mask) >= share - 1e-9)


def around(grid: Grid, reach: int, boxes: NDArray[np.float32]) -> list[NDArray[np.bool_]]:
    """For each cell of a grid, row by row, the tokens (of these boxes) whose middle lies in it.

    `reach`: rows and columns around the cell that count as well. Tokens of a thumbnail, or of a finer grid,
    are so exchanged with the cell that shows the same place.
    """
    cells = grid.boxes.reshape(grid.rows, grid.cols, 4)
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    found = []
    for row in range(grid.rows):
        for col in range(grid.cols):
            some = cells[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
            left, top = some[..., 0].min(), some[..., 1].min()
            right, bottom = some[..., 2].max(), some[..., 3].max()
            found.append((x >= left) & (x < right) & (y >= top) & (y < bottom))
    return found
