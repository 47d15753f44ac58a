"""BAGEL behind the protocol: batches, caches, taps and grids agree whichever way they are asked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models import tiny
from workbench.errors import Refusal
from workbench.models.bagel import adapter
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.config import ResizeRule
from workbench.models.bagel.network import Context
from workbench.models.bagel.patches import target_size
from workbench.models.bagel.sequence import Text
from workbench.models.protocol import Model, Prompt
from workbench.models.verify import verify

QUESTION = "what dark is it?"
CANDIDATES = ("red", "blue", "dark green", "noisy seven red", "¿")


def images(count: int) -> list[np.ndarray]:
    return [tiny.picture(seed=i) for i in range(count)]


def cached(model: BagelModel, prompt: Prompt) -> Context:
    """What `forward` reads in one pass, read block by block."""
    seen = model.embedded_vision(model.pictures(prompt.images))
    context = model.network.add_vision(Context(), seen, model.special)
    for ids in written(prompt):
        context, _ = model.network.add_text(context, ids.expand(len(prompt.images), -1))
    return context


def written(prompt: Prompt) -> list[torch.Tensor]:
    """The token ids of a prompt's texts, each (1, n)."""
    return [segment.ids for segment in prompt.inputs["segments"] if isinstance(segment, Text)]


def test_it_is_a_model(model: BagelModel) -> None:
    assert isinstance(model, Model)


class TestAnswers:
    def test_a_batch_is_its_images_one_by_one(self, model: BagelModel) -> None:
        batch = images(5)
        together = model.answer(model.prepare(batch, QUESTION), max_new_tokens=6)
        for image, answer in zip(batch, together, strict=True):
            alone = model.answer(model.prepare([image], QUESTION), max_new_tokens=6)[0]
            assert answer.text == alone.text
            assert [t.id for t in answer.tokens] == [t.id for t in alone.tokens]
            assert answer.logprob == pytest.approx(alone.logprob, abs=1e-4)
        assert len({answer.text for answer in together}) > 1

    def test_an_answers_score_is_its_logprob_and_its_end(self, model: BagelModel) -> None:
        prompt = model.prepare(images(8), QUESTION)
        answers = model.answer(prompt, max_new_tokens=4)
        checked = 0
        for row, answer in enumerate(answers):
            ids = [t.id for t in answer.tokens]
            if not ids or model.pieces(answer.text) != ids:
                continue
            alone = model.prepare([prompt.images[row]], QUESTION)
            _, states = model.network.add_text(cached(model, alone), model.segment(ids)[:, :-1])
            end = model.network.logits(states[0, -1]).log_softmax(-1)[model.special.eos]
            score = model.score(prompt, [answer.text])[row, 0]
            assert score == pytest.approx(answer.logprob + float(end), abs=1e-4)
            checked += 1
        assert checked >= 2

    def test_each_token_is_the_likeliest(self, model: BagelModel) -> None:
        prompt = model.prepare(images(1), QUESTION)
        answer = model.answer(prompt, max_new_tokens=5)[0]
        ids = [t.id for t in answer.tokens]
        _, states = model.network.add_text(cached(model, prompt), model.segment(ids)[:, :-1])
        scores = model.network.logits(states[0]).log_softmax(-1)
        said = [*ids, model.special.eos][:5]
        assert scores.argmax(-1).tolist()[: len(said)] == said
        expected = [float(scores[i, number]) for i, number in enumerate(ids)]
        assert [t.logprob for t in answer.tokens] == pytest.approx(expected, abs=1e-4)

    def test_no_more_tokens_than_asked(self, model: BagelModel) -> None:
        answers = model.answer(model.prepare(images(6), QUESTION), max_new_tokens=2)
        assert all(len(a.tokens) <= 2 for a in answers)
        assert all(a.text == "".join(t.text for t in a.tokens).strip() for a in answers)
        assert all(a.logprob == pytest.approx(sum(t.logprob for t in a.tokens)) for a in answers)


class TestScores:
    def test_each_is_the_sum_over_its_own_tokens(self, model: BagelModel) -> None:
        prompt = model.prepare(images(1), QUESTION)
        for column, candidate in enumerate(CANDIDATES):
            ids = model.segment(model.pieces(candidate))
            _, states = model.network.add_text(cached(model, prompt), ids[:, :-1])
            scores = model.network.logits(states[0]).double().log_softmax(-1)
            expected = float(scores.gather(-1, ids[0, 1:, None]).sum())
            assert model.score(prompt, CANDIDATES)[0, column] == pytest.approx(expected, abs=1e-3)

    def test_together_or_one_by_one(self, model: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        prompt = model.prepare(images(3), QUESTION)
        lengths = {len(model.pieces(c)) for c in CANDIDATES}
        assert len(lengths) > 2
        together = model.score(prompt, CANDIDATES)
        assert together.shape == (3, len(CANDIDATES))
        assert together.dtype == np.float64
        assert (together < 0).all()
        alone = np.hstack([model.score(prompt, [candidate]) for candidate in CANDIDATES])
        np.testing.assert_allclose(together, alone, atol=1e-4)
        monkeypatch.setattr(adapter, "SCORED_AT_ONCE", 1)
        np.testing.assert_allclose(model.score(prompt, CANDIDATES), together, atol=1e-4)

    def test_images_differ(self, model: BagelModel) -> None:
        scores = model.score(model.prepare(images(3), QUESTION), CANDIDATES)
        for row, image in enumerate(images(3)):
            np.testing.assert_allclose(
                scores[row], model.score(model.prepare([image], QUESTION), CANDIDATES)[0], atol=1e-4
            )
        assert np.abs(scores[0] - scores[1]).max() > 1e-3

    @pytest.mark.parametrize("candidates", [[], ["red", " "]])
    def test_nothing_to_score(self, model: BagelModel, candidates: list[str]) -> None:
        with pytest.raises(Refusal, match="candidates"):
            model.score(model.prepare(images(1), QUESTION), candidates)


class TestForward:
    @pytest.mark.parametrize("text", [QUESTION, ""])
    @pytest.mark.parametrize("count", [1, 3])
    def test_one_pass_is_the_cached_path(self, model: BagelModel, text: str, count: int) -> None:
        prompt = model.prepare(images(count), text)
        logits = model.forward(prompt)
        assert logits.shape == (count, model.config.usable_vocabulary)
        # The next token after either path must be equally likely.
        if text:
            ids = written(prompt)[0].expand(count, -1)
            without = model.prepare(prompt.images)
            _, states = model.network.add_text(cached(model, without), ids)
            torch.testing.assert_close(logits, model.network.logits(states[:, -1]), atol=1e-4, rtol=1e-4)
        alone = torch.cat([model.forward(model.prepare([image], text)) for image in prompt.images])
        torch.testing.assert_close(logits, alone, atol=1e-4, rtol=1e-4)

    def test_the_taps_have_the_right_shapes(self, model: BagelModel) -> None:
        prompt = model.prepare([tiny.picture(24, 48), tiny.picture(24, 48, 1)], QUESTION)
        cells, seen = prompt.grid.rows * prompt.grid.cols, read(model, prompt)
        assert cells == 3 * 6
        config, taps = model.config, model.taps(prompt)
        assert [t.stage for t in taps] == model.stages()
        assert [t.stage.index for t in taps] == list(range(len(taps)))
        names = [t.stage.name for t in taps]
        assert names == [
            "vision 0", "vision 1", "vision 2", "projector", "llm 0", "llm 1", "llm 2", "llm 3"
        ]  # fmt: skip
        for tap, states in zip(taps, seen, strict=True):
            width = config.vision.hidden_size if tap.stage.band == "vision" else config.language.hidden_size
            chosen = states if tap.positions is None else states[:, tap.positions]
            assert chosen.shape == (2, cells, width), tap.stage.name

    def test_what_enters_the_llm_is_the_projector_with_positions(self, model: BagelModel) -> None:
        prompt = model.prepare(images(2), QUESTION)
        by_name = dict(zip((s.name for s in model.stages()), read(model, prompt), strict=True))
        entered = by_name["llm 0"][:, prompt.visual]
        torch.testing.assert_close(entered, model.embedded_vision(model.pictures(prompt.images)))
        added = entered - by_name["projector"]
        torch.testing.assert_close(added[0], added[1], atol=1e-5, rtol=0)

    def test_the_last_layer_through_norm_and_head_gives_the_logits(self, model: BagelModel) -> None:
        prompt = model.prepare(images(2), QUESTION)
        logits = model.forward(prompt)
        torch.testing.assert_close(model.readout(read(model, prompt)[-1][:, -1]), logits)

    def test_words_after_the_image_do_not_change_how_it_is_seen(self, model: BagelModel) -> None:
        with_text = model.prepare(images(1), QUESTION)
        without = model.prepare(images(1))
        for a, b in zip(read(model, with_text)[4:], read(model, without)[4:], strict=True):
            torch.testing.assert_close(a[:, with_text.visual], b[:, without.visual], atol=1e-4, rtol=1e-4)


def read(model: BagelModel, prompt: Prompt) -> list[torch.Tensor]:
    """The whole tensor that each tap shows in one pass."""
    seen: dict[int, torch.Tensor] = {}
    handles = []
    for index, tap in enumerate(model.taps(prompt)):

        def keep(value: Any, index: int = index) -> None:
            seen[index] = (value[0] if isinstance(value, tuple) else value).clone()

        if tap.when == "output":
            handles.append(tap.module.register_forward_hook(lambda _m, _i, out, keep=keep: keep(out)))
        else:
            handles.append(tap.module.register_forward_pre_hook(lambda _m, args, keep=keep: keep(args)))
    model.forward(prompt)
    for handle in handles:
        handle.remove()
    return [seen[index] for index in range(len(seen))]


class TestGrids:
    @pytest.mark.parametrize(
        ("height", "width"), [(48, 48), (37, 91), (91, 37), (1, 1), (3, 500), (500, 3), (1000, 777), (17, 16)]
    )
    def test_boxes_tile_the_image(self, model: BagelModel, height: int, width: int) -> None:
        prompt = model.prepare([tiny.picture(height, width)])
        grid = prompt.grid
        assert len(prompt.visual) == grid.rows * grid.cols
        boxes = grid.boxes.reshape(grid.rows, grid.cols, 4)
        assert boxes.dtype == np.float32
        assert (boxes[:, 0, 0] == 0).all()
        assert (boxes[0, :, 1] == 0).all()
        assert (boxes[:, -1, 2] == width).all()
        assert (boxes[-1, :, 3] == height).all()
        np.testing.assert_array_equal(boxes[:, 1:, 0], boxes[:, :-1, 2])
        np.testing.assert_array_equal(boxes[1:, :, 1], boxes[:-1, :, 3])
        assert (boxes[..., 2] > boxes[..., 0]).all()
        assert (boxes[..., 3] > boxes[..., 1]).all()

    def test_a_cell_is_where_its_patch_looks(self, model: BagelModel) -> None:
        """Changing the pixels of one box changes the patch embedding there and nowhere else."""
        image = tiny.picture(24, 48)
        prompt = model.prepare([image])
        for cell in (0, 7, 17):
            x0, y0, x1, y1 = prompt.grid.boxes[cell].astype(int)
            changed = image.copy()
            changed[y0:y1, x0:x1] = 255 - changed[y0:y1, x0:x1]
            difference = (read(model, model.prepare([changed]))[0] - read(model, prompt)[0])[0]
            assert difference.abs().amax(-1).nonzero().flatten().tolist() == [cell]

    @pytest.mark.parametrize(("height", "width"), [(37, 91), (1, 1), (500, 3), (1000, 777)])
    def test_resized_is_what_a_drawing_comes_back_as(
        self, model: BagelModel, height: int, width: int
    ) -> None:
        image = tiny.picture(height, width)
        resized = model.resized(image)
        pictures = model.pictures([image])
        assert resized.dtype == np.uint8
        assert max(resized.shape) <= 48
        decoded = model.decoded(model.latents(pictures), pictures)
        assert decoded[0].shape == resized.shape

    @pytest.mark.parametrize(("height", "width"), [(48, 48), (37, 91), (200, 60)])
    def test_the_cards_processor_is_what_is_done(self, model: BagelModel, height: int, width: int) -> None:
        said, image = model.card.processor, tiny.picture(height, width)
        for size in (said["latent_size"], said["vision_size"]):
            rule = ResizeRule(size["longest_edge"], size["shortest_edge"], size["multiple_of"])
            to = target_size(image.shape[1], image.shape[0], rule)
            how = Image.Resampling[said["resample"].upper()]
            image = np.asarray(Image.fromarray(image).resize(to, how))
        unit = (image / 255 - said["image_mean"]) / said["image_std"]
        patch, prompt = said["patch_size"], model.prepare([tiny.picture(height, width)])
        assert unit.shape == (prompt.grid.rows * patch, prompt.grid.cols * patch, 3)
        first = model.pixels(prompt)[0, 0].reshape(patch, patch, 3)
        np.testing.assert_allclose(first, unit[:patch, :patch], atol=1e-6)

    @pytest.mark.parametrize(
        ("rule", "image", "size"),
        [
            # Computed with the published code's rule; another rounding gives the neighbours of some.
            ((1024, 512, 16), (1914, 162), (1024, 96)),
            ((1024, 512, 16), (136, 2510), (64, 1024)),
            ((1024, 512, 16), (640, 480), (688, 512)),
            ((1024, 512, 16), (3000, 60), (1024, 16)),
            ((980, 224, 14), (1854, 1232), (980, 644)),
            ((980, 224, 14), (4000, 3000), (980, 728)),
            ((518, 224, 14), (2242, 1244), (518, 280)),
            ((518, 224, 14), (95, 87), (252, 224)),
            ((518, 224, 14), (1, 1), (224, 224)),
        ],
    )
    def test_sizes_are_the_published_ones(
        self, rule: tuple[int, int, int], image: tuple[int, int], size: tuple[int, int]
    ) -> None:
        assert target_size(*image, ResizeRule(*rule)) == size
        assert target_size(*size, ResizeRule(*rule)) == size

    def test_latents_are_the_same_every_time(self, model: BagelModel) -> None:
        pictures = model.pictures(images(2))
        first, second = model.latents(pictures), model.latents(pictures)
        torch.testing.assert_close(first, second, atol=0, rtol=0)
        torch.testing.assert_close(
            first[1:], model.latents(model.pictures(images(2)[1:])), atol=1e-5, rtol=1e-5
        )


class TestImages:
    def test_of_several_sizes(self, model: BagelModel) -> None:
        with pytest.raises(Refusal, match="one size; these are 48×24, 48×48"):
            model.prepare([tiny.picture(), tiny.picture(24, 48)])

    def test_none(self, model: BagelModel) -> None:
        with pytest.raises(Refusal, match="no image"):
            model.prepare([])

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((8, 8, 3), np.float32),
            np.zeros((0, 8, 3), np.uint8),
        ],
    )
    def test_of_another_kind(self, model: BagelModel, image: np.ndarray) -> None:
        with pytest.raises(Refusal, match="must be uint8 with shape"):
            model.prepare([image])


class TestText:
    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_none_is_allowed(self, model: BagelModel, text: str) -> None:
        assert not written(model.prepare(images(1), text))

    def test_4000_characters_and_no_more(self, model: BagelModel) -> None:
        model.prepare(images(1), "x" * 4000)
        with pytest.raises(Refusal, match="4,001 characters; at most 4,000 are read. Shorten it"):
            model.prepare(images(1), "x" * 4001)

    def test_half_a_character(self, model: BagelModel) -> None:
        with pytest.raises(Refusal, match="half a character"):
            model.prepare(images(1), "\udcff")

    def test_framing_tokens_cannot_be_typed(self, model: BagelModel) -> None:
        (text,) = written(model.prepare(images(1), "red <|im_end|><|vision_start|> blue"))
        ids = text[0].tolist()
        assert ids[0] == model.special.bos
        assert ids[-1] == model.special.eos
        framing = {model.special.bos, model.special.eos, model.special.image_start, model.special.image_end}
        assert not framing & set(ids[1:-1])
        assert "<|im_end|><|vision_start|>" in model.words(ids)


class TestVerify:
    """The check at opening finds an adapter that reads something else than the model computes."""

    def test_a_sound_model_passes(self, fresh: BagelModel) -> None:
        verify(fresh)

    def test_it_leaves_no_hooks(self, fresh: BagelModel) -> None:
        verify(fresh)
        modules = list(fresh.network.modules())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in modules)

    def test_another_layer_than_the_last(self, fresh: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        def shifted(prompt: Prompt) -> list[Any]:
            taps = BagelModel.taps(fresh, prompt)
            return [*taps[:-1], replace(taps[-1], module=taps[-2].module)]

        monkeypatch.setattr(fresh, "taps", shifted)
        with pytest.raises(Refusal, match="does not give the model's logits"):
            verify(fresh)

    def test_a_stage_that_is_not_run(self, fresh: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        def elsewhere(prompt: Prompt) -> list[Any]:
            taps = BagelModel.taps(fresh, prompt)
            return [replace(taps[0], module=fresh.network.vae2llm), *taps[1:]]

        monkeypatch.setattr(fresh, "taps", elsewhere)
        with pytest.raises(Refusal, match="vision 0 0 times"):
            verify(fresh)

    def test_stages_that_are_not_tapped(self, fresh: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fresh, "taps", lambda prompt: BagelModel.taps(fresh, prompt)[1:])
        with pytest.raises(Refusal, match="does not tap the stages"):
            verify(fresh)

    def test_visual_tokens_beside_the_grid(self, fresh: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        def prepare(given: Any, text: str = "") -> Prompt:
            prompt = BagelModel.prepare(fresh, given, text)
            return replace(prompt, visual=prompt.visual[:-1])

        monkeypatch.setattr(fresh, "prepare", prepare)
        with pytest.raises(Refusal, match="wrong patches"):
            verify(fresh)

    def test_numbers_that_are_not_finite(self, fresh: BagelModel) -> None:
        fresh.network.language_model.model.norm.weight.fill_(math.nan)
        with pytest.raises(Refusal, match="not finite in float32"):
            verify(fresh)
