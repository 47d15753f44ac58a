"""The study of tokens, on a model that writes means of patches."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from tests.page.fake import CARD, FakeModel
from workbench.errors import Refusal
from workbench.images.read import Picture, read
from workbench.models.drawing import Tokenised
from workbench.panels.specimen import degrade
from workbench.panels.tokens import figure, study
from workbench.panels.tokens.config import TokensConfig
from workbench.panels.tokens.study import run
from workbench.runs.export import save_figure
from workbench.runs.result import Result


@pytest.fixture
def picture() -> Picture:
    return read(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


DARK = TokensConfig(corruption="dark_illumination", intensity=0.9)


def numbers(result: Result) -> dict[str, float]:
    table = result.tables["summary"]
    return dict(zip(table["measure"], table["value"], strict=True))


def test_numbers_leave_padding_out(picture: Picture) -> None:
    result = run(TokensConfig(), FakeModel(), picture=picture)
    found, tokens = numbers(result), result.arrays["tokens"]
    assert tokens.shape == (6, 8) and result.arrays["inside"].sum() == found["tokens"] == 40
    shown = tokens[:5]
    assert found["different codes used"] == len(set(shown.ravel().tolist()))
    assert found["share of the codebook used"] == pytest.approx(100 * len(np.unique(shown)) / 16)
    assert found["bits for the image"] == 160
    expected = peak_signal_noise_ratio(result.images["seen"][:40], result.images["decoded"][:40])
    assert found["PSNR of what is read back"] == pytest.approx(expected)
    codes = result.tables["codes"]
    assert codes["count"].sum() == 40 and codes["count"].is_monotonic_decreasing
    assert "tokens changed by the damage" not in found


def test_perplexity_is_the_number_of_codes_where_all_are_used_alike() -> None:
    assert study.perplexity(np.array([3, 3, 3, 3])) == pytest.approx(4)
    assert study.perplexity(np.array([5])) == pytest.approx(1)
    assert 1 < study.perplexity(np.array([9, 1])) < 2


def test_damage_is_compared_token_by_token(picture: Picture) -> None:
    result = run(DARK, FakeModel(), picture=picture)
    before = FakeModel().tokenised(picture.pixels).tokens
    after = FakeModel().tokenised(degrade(picture.pixels, DARK.corruption, DARK.intensity, 0)).tokens
    assert np.array_equal(result.arrays["tokens"], after)
    assert np.array_equal(result.arrays["undamaged"], before)
    changed = numbers(result)["tokens changed by the damage"]
    assert changed == pytest.approx(100 * (before != after)[:5].mean()) and changed > 50


def test_error_by_token_is_the_root_mean_square_of_its_cell() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 256, (2, 16, 24, 3)).astype(np.uint8)
    found = figure.error(one, other, 2, 3)
    cell = one[8:16, 16:24].astype(float) - other[8:16, 16:24].astype(float)
    assert found.shape == (2, 3) and found[1, 2] == pytest.approx(math.sqrt((cell**2).mean()))


def test_equal_codes_have_equal_colours_and_others_other_ones() -> None:
    tokens = np.arange(64).reshape(8, 8)
    painted = figure.painted(np.concatenate([tokens, tokens]), (64, 32, 3))
    cells = painted[2::4, 2::4].reshape(2, 64, 3)
    assert np.array_equal(cells[0], cells[1])
    assert len(np.unique(cells[0], axis=0)) == 64


class Blind(FakeModel):
    """Has no decoder."""

    def tokenised(self, image: np.ndarray) -> Tokenised:
        return replace(super().tokenised(image), decoded=None)


def test_without_a_decoder_the_rest_is_shown(picture: Picture, tmp_path: Path) -> None:
    result = run(DARK, Blind(), picture=picture)
    assert "PSNR of what is read back" not in numbers(result)
    assert [shot.name for shot in figure.shots(result)] == ["given", "tokens", "changed"]
    both = figure.paper([result, run(DARK, FakeModel(), picture=picture)])
    assert all(path.stat().st_size > 1000 for path in save_figure(both, tmp_path / "figure"))


def test_what_is_read_back_without_loss_is_called_equal() -> None:
    flat = read(np.full((48, 64, 3), 24, np.uint8))
    result = run(TokensConfig(), FakeModel(), picture=flat)
    assert "PSNR equal" in [shot.note for shot in figure.shots(result)]


def test_a_model_without_tokens_is_refused(picture: Picture) -> None:
    model = FakeModel()
    model.card = replace(CARD, capabilities=frozenset())
    with pytest.raises(Refusal, match="write an image as tokens"):
        run(TokensConfig(), model, picture=picture)
