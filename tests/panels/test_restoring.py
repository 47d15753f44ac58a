"""A restoration as a condition: what is measured is what the model drew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.capture.fake import FakeModel
from tests.models import tiny
from workbench.errors import Refusal
from workbench.models.protocol import Final, Sampling, never
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.study import run
from workbench.panels.restoring import ASKED, restored


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tiny.BagelModel:
    return tiny.opened(tiny.write(Path(tmp_path_factory.mktemp("tiny"))))


def test_the_restored_picture_is_what_the_model_draws(model: tiny.BagelModel) -> None:
    pixels = tiny.picture()
    drawn = restored(model, pixels, "", 3, never)
    (final,) = [
        event
        for event in model.respond(pixels, ASKED, Sampling(seed=3, restore="always"))
        if isinstance(event, Final)
    ]
    np.testing.assert_array_equal(drawn, final.restored)


def test_it_stands_at_the_size_of_what_was_shown(model: tiny.BagelModel) -> None:
    assert restored(model, tiny.picture(40, 56), "", 0, never).shape == (40, 56, 3)


def test_layers_measures_the_restored_picture(model: tiny.BagelModel) -> None:
    from workbench.images.read import read

    config = LayersConfig(permutations=20, restored=True, corruption="gaussian_noise", seed=2)
    result = run(config, model, picture=read(tiny.picture()))
    plain = run(config.model_copy(update={"restored": False}), model, picture=read(tiny.picture()))
    shown = result.images["shown"]
    np.testing.assert_array_equal(shown, restored(model, plain.images["shown"], "", 2, never))
    assert not np.array_equal(shown, plain.images["shown"])


def test_a_model_that_draws_nothing_is_refused() -> None:
    with pytest.raises(Refusal, match="does not restore images"):
        restored(FakeModel(), np.zeros((96, 96, 3), np.uint8), "", 0, never)
