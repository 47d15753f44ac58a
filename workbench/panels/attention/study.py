"""Attention: what the answer attends to.

Of one image the result holds, for every token of the answer that is kept, what each head of each language
layer gives to every token of the prompt, and what follows from whole matrices (rollout, flow, attention
between kinds of tokens, sinks). Everything that is shown of it is read from the result, without the model.
Over a collection it holds the shares of attention by kind of token, layer by layer, with intervals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal, go_on
from workbench.models.protocol import Branch, Capability, Model, Sampling, VisualState, never
from workbench.panels.attention.config import AttentionConfig
from workbench.panels.attention.kinds import Seen, kinds, views_of
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.question import short_enough
from workbench.panels.specimen import degrade, find, known

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.models.protocol import Answer, Prompt
    from workbench.panels.attention.gather import Gathered
    from workbench.runs.result import Result

STUDY = "attention"
NEEDS = frozenset({Capability.ANSWERS, Capability.ATTENTION})
MOST_PIPES = 20_000_000
"""Of a graph whose maximum flows are computed: layers × tokens² / 2."""

Row = dict[str, Any]


def prepared(config: AttentionConfig, picture: Picture | None = None) -> Picture | None:
    """The picture, None for a collection; what needs no model is refused here. Raises Refusal."""
    short_enough(config.question)
    known(config.corruption)
    if picture is None and not config.image:
        if config.flow or config.restore != "never":
            raise Refusal("Flow and drawing belong to one image: name it with --image.")
        return None
    return find(config.image).picture if picture is None else picture


def run(
    config: AttentionConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = never,
) -> Result:
    """Answer, and read the attention of the answer's tokens from one more pass over prompt and answer.

    Of one image, LLL numbering the layers (rows of "layers") and VV the views (rows of "views"):

    - tables "layers" (the stage that each writes, its heads), "views" (kind, grid), "kinds" (how many tokens
      of each kind there are), "answer", "tokens" (of the answer, and whether their attention is kept).
    - arrays ``rows_LLL`` float16 (heads, queries, tokens), the weights of the queries that say the answer's
      tokens; ``norms_LLL`` float32 (heads, tokens), the lengths that values add; ``kinds`` (tokens,);
      ``places_VV`` and ``boxes_VV`` of a view's cells; ``blocks`` float32 (layers, heads, kinds, kinds),
      means from kind to kind; ``received``, ``lengths`` and ``massive`` float32 (layers, tokens);
      ``rollout`` float16 (layers, queries, tokens), unless there are too many tokens; ``flow`` float32
      (queries, tokens) where it was asked for; ``drawing_LLL`` float16 (heads, tokens of the drawing's own
      prompt) where it drew.

    Of a collection, "share" (layer, kind: value, interval, n) and "data".

    Raises:
        Refusal: bad input, or a model whose attention cannot be read.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    started = time.time()
    picture = prepared(config, picture)
    images: dict[str, np.ndarray] = {}
    arrays: dict[str, np.ndarray] = {}
    went_in: Mapping[str, str | Picture]
    if picture is None:
        from workbench.panels.attention.collection import measured

        tables, went_in = measured(config, model, progress, stop)
    else:
        tables, arrays, images = _One(config, model, picture, progress, stop).measured()
        went_in = {"picture": picture}
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, went_in, started),
        tables={name: pd.DataFrame(rows) for name, rows in tables.items()},
        arrays=arrays,
        images=images,
    )


class _One:
    """The attention of one image's answer."""

    def __init__(
        self,
        config: AttentionConfig,
        model: Model,
        picture: Picture,
        progress: Progress,
        stop: Callable[[], bool],
    ) -> None:
        self.config, self.model, self.picture = config, model, picture
        self.progress, self.stop = progress, stop
        self.images: dict[str, np.ndarray] = {}
        self.tables: dict[str, list[Row]] = {}
        self.arrays: dict[str, np.ndarray] = {}

    def measured(self) -> tuple[dict[str, list[Row]], dict[str, np.ndarray], dict[str, np.ndarray]]:
        config = self.config
        shown = degrade(self.picture.pixels, config.corruption, config.intensity, config.seed)
        self.images = {"original": self.picture.pixels, "shown": shown}
        branch: Branch | None = None
        if config.restore == "never":
            self.progress(0.0, "answering")
            prompt = self.model.prepare([shown], config.question)
            answer = self.model.answer(prompt, max_new_tokens=config.max_new_tokens, stop=self.stop)[0]
        else:
            branch = self._drawn(shown)
            prompt, answer = branch.own.prompt(), branch.own.answer
            self.images["drawn"] = branch.image
        if not answer.tokens:
            raise Refusal(
                "The model's answer is empty, so no token of it attends to anything. Ask something else."
            )
        self._said(answer)
        go_on(self.stop)
        self.progress(0.5, "one pass over prompt and answer")
        views, found, places = self._gathered(prompt, answer)
        self._kept(views, found)
        if found.means:
            self._through(views, found, places)
        elif config.flow:
            raise Refusal(
                "The prompt is too long for attention flow. Take a smaller image, or leave flow out."
            )
        if branch is not None:
            self._drawing(branch)
        self.progress(1.0, "done")
        return self.tables, self.arrays, self.images

    def _drawn(self, shown: np.ndarray) -> Branch:
        """The response held where its drawing came back."""
        config = self.config
        if Capability.INTERLEAVES not in self.model.card.capabilities:
            raise Refusal(
                f"{self.model.card.id} draws nothing on its way to an answer: leave --restore at never."
            )
        settings = Sampling(
            steps=config.steps,
            seed=config.seed,
            route=config.route,
            restore=config.restore,
            max_new_tokens=max(config.max_new_tokens, Sampling().max_new_tokens),
        )
        events = self.model.branched(shown, config.question, settings, watched=False, stop=self.stop)
        self.progress(0.0, "thinking and drawing")
        for event in events:
            if isinstance(event, VisualState):
                self.progress(0.4, "answering after the drawing")
            if isinstance(event, Branch):
                return event
        raise Refusal(
            "The model decided not to draw, so there is no drawing to attend to. Have it draw in any case "
            "(--restore always), or leave --restore at never."
        )

    def _said(self, answer: Answer) -> None:
        kept = self.config.tokens
        whole = {"answer": answer.text, "logprob": answer.logprob, "probability": answer.probability}
        self.tables["answer"] = [whole]
        self.tables["tokens"] = [
            {"text": token.text, "logprob": token.logprob, "id": token.id, "kept": k < kept}
            for k, token in enumerate(answer.tokens)
        ]

    def _gathered(self, prompt: Prompt, answer: Answer) -> tuple[list[Seen], Gathered, np.ndarray]:
        from workbench.panels.attention.gather import gather

        ids = [token.id for token in answer.tokens][: self.config.tokens]
        longer, places = self.model.continued(prompt, ids)
        length, views = int(places[-1]) + 1, views_of(longer)
        names, which = kinds(views, length, len(ids))
        found = gather(self.model, longer, places[:-1], which, len(names))
        self.arrays["kinds"] = which.astype(np.int8)
        self.arrays["first"] = np.array(found.first)
        self.tables["kinds"] = [
            {"kind": name, "tokens": int((which == k).sum())} for k, name in enumerate(names)
        ]
        return views, found, places[:-1].cpu().numpy()

    def _kept(self, views: list[Seen], found: Gathered) -> None:
        self.tables["layers"] = [
            {"stage": name, "heads": len(rows), "norms_through_output": found.through_output}
            for name, rows in zip(found.stages, found.rows, strict=True)
        ]
        self.tables["views"] = [
            {
                "kind": view.kind,
                "image": "drawn" if view.grid.image else "shown",
                "rows": view.grid.rows,
                "cols": view.grid.cols,
            }
            for view in views
        ]
        for k, view in enumerate(views):
            self.arrays[f"places_{k:02d}"] = view.places
            self.arrays[f"boxes_{k:02d}"] = np.asarray(view.grid.boxes, dtype=np.float32)
        for k, (rows, norms) in enumerate(zip(found.rows, found.norms, strict=True)):
            self.arrays[f"rows_{k:03d}"], self.arrays[f"norms_{k:03d}"] = rows, norms
        self.arrays["blocks"] = _stacked(found.blocks)
        for name in ("received", "lengths", "massive"):
            self.arrays[name] = np.stack(getattr(found, name))

    def _through(self, views: list[Seen], found: Gathered, places: np.ndarray) -> None:
        """What passes through all layers: rollout and, where it is asked for, flow."""
        from probes.attribution.flow import edges, flow
        from probes.attribution.rollout import rollout_rows

        go_on(self.stop)
        self.progress(0.6, "rollout")
        self.arrays["rollout"] = rollout_rows(found.means, places).astype(np.float16)
        if not self.config.flow:
            return
        tokens = len(found.means[0])
        if (pipes := edges(len(found.means), tokens)) > MOST_PIPES:
            raise Refusal(
                f"Attention flow through {len(found.means)} layers of {tokens:,} tokens has {pipes:,} pipes; "
                f"up to {MOST_PIPES:,} are computed. Leave flow out, or take a smaller image."
            )
        visual = np.concatenate([view.places for view in views])
        out = np.full((len(places), tokens), np.nan, np.float32)
        for k, query in enumerate(places.tolist()):

            def done(count: int, k: int = k) -> None:
                go_on(self.stop)
                share = (k * len(visual) + count) / (len(places) * len(visual))
                self.progress(0.65 + 0.3 * share, f"flow, token {k + 1} of {len(places)}")

            out[k, visual] = flow(found.means, query, visual, done=done)
        self.arrays["flow"] = out

    def _drawing(self, branch: Branch) -> None:
        """What the drawing itself attends to while it is made, the mean over its cells."""
        import torch

        from workbench.capture.attention import attention_rows

        go_on(self.stop)
        self.progress(0.96, "what the drawing attends to")
        prompt = branch.drawing(self.config.drawing_t, seed=self.config.seed)
        *_, own = views_of(prompt)
        seen = attention_rows(self.model, prompt, torch.from_numpy(own.places))
        length = seen.weights[0].shape[-1]
        names, which = kinds(views_of(prompt), length, 0)
        self.arrays["drawing_kinds"] = which.astype(np.int8)
        self.arrays["drawing_places"] = views_of(prompt)[0].places
        self.tables["drawing_kinds"] = [
            {"kind": name, "tokens": int((which == k).sum())} for k, name in enumerate(names)
        ]
        for k, weights in enumerate(seen.weights):
            self.arrays[f"drawing_{k:03d}"] = weights[0].mean(axis=1).astype(np.float16)


def _stacked(blocks: list[np.ndarray]) -> np.ndarray:
    """(layers, heads, kinds, kinds) of layers that may differ in heads: NaN where one has fewer."""
    most = max(len(layer) for layer in blocks)
    out = np.full((len(blocks), most, *blocks[0].shape[1:]), np.nan, np.float32)
    for k, layer in enumerate(blocks):
        out[k, : len(layer)] = layer
    return out
