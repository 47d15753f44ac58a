"""The parts of the trainer against references, and a run that is killed and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from workbench.images.scenes import generate
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import AutoencoderConfig
from workbench.training import base, state
from workbench.training.autoencoder import fit_encoder
from workbench.training.data import images_to_unit
from workbench.training.loop import Metrics, Schedule, train
from workbench.training.muon import Muon, groups, orthogonalise


def test_orthogonalise_flattens_the_singular_values() -> None:
    torch.manual_seed(0)
    stack = torch.randn(3, 20, 32)
    made = orthogonalise(stack)
    u, _, v = torch.linalg.svd(stack, full_matrices=False)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.5
    assert values.max() < 1.3
    # The same singular vectors: U^T M V is diagonal.
    inner = u.transpose(1, 2) @ made @ v.transpose(1, 2)
    off = inner - torch.diag_embed(torch.diagonal(inner, dim1=1, dim2=2))
    assert off.abs().max() < 1e-3


def test_adam_groups_follow_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    mine = Muon(groups(ours.named_parameters(), 0.1, 0.01))
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(5):
        x = torch.randn(8, 4)
        for model, optimizer in ((ours, mine), (theirs, reference)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_the_encoder_is_the_principal_components() -> None:
    """A linear reader of the latents reaches the error of a 16-component PCA of 8×8 patches."""
    images = images_to_unit(generate(np.arange(120), "train").images)
    model = Autoencoder(AutoencoderConfig(16, (1, 2, 4, 4), 1, 16, 4, 1.0, 0.0))
    fit_encoder(model, images)
    with torch.no_grad():
        latent = model.encode(images).permute(0, 2, 3, 1).flatten(0, 2)
    rows = nn.functional.unfold(images, 8, stride=8).transpose(1, 2).flatten(0, 1)
    design = torch.cat([latent, torch.ones(len(latent), 1)], dim=1)
    ours = (design @ torch.linalg.lstsq(design, rows).solution - rows).square().mean()
    centred = rows - rows.mean(0)
    theirs = torch.linalg.svdvals(centred)[16:].square().sum() / rows.numel()
    assert float(ours) == pytest.approx(float(theirs), rel=0.05)


class Line:
    """A tiny stage: fit a linear map."""

    name = "line"
    schedule = Schedule(steps=12, batch=8, warmup=2)

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.model = nn.Linear(3, 2)
        self.killed_at: int | None = None

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def trainable(self) -> Iterator[tuple[str, torch.Tensor]]:
        return self.model.named_parameters()

    def loss(self, step: int) -> tuple[torch.Tensor, Metrics]:
        if step == self.killed_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(np.random.default_rng(step).standard_normal((8, 3))).float()
        return (self.model(x) - x[:, :2]).square().mean(), {}

    def check(self) -> Metrics:
        return {}


def quiet(_: str) -> None:
    """Say nothing."""


def test_a_killed_run_goes_on_and_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken, broken = Line(), Line()
    train(unbroken, tmp_path / "a", say=quiet, save_every=5)
    broken.killed_at = 7
    with pytest.raises(KeyboardInterrupt):
        train(broken, tmp_path / "b", say=quiet, save_every=5)
    again = Line()
    train(again, tmp_path / "b", say=quiet, save_every=5)
    torch.testing.assert_close(again.model.weight, unbroken.model.weight, atol=0, rtol=0)
    assert not list((tmp_path / "b").glob("*.state.*"))
    finished = Line()
    finished.killed_at = 0
    train(finished, tmp_path / "b", say=quiet)
    torch.testing.assert_close(finished.model.weight, unbroken.model.weight, atol=0, rtol=0)


def test_a_series_is_published_at_every_nth_step_also_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Path] = []
    monkeypatch.setattr(base, "publish", lambda kit, folder: published.append(folder))
    kit: Any = None
    broken = Line()
    broken.killed_at = 7
    with pytest.raises(KeyboardInterrupt):
        train(broken, tmp_path / "run", say=quiet, save_every=5, after=base.keeper(kit, tmp_path, 4, 10))
    train(Line(), tmp_path / "run", say=quiet, save_every=5, after=base.keeper(kit, tmp_path, 4, 10))
    # Ten steps before this stage. The sixth came after the last state, so it is done and published again.
    assert [folder.name for folder in published] == ["step-0012", "step-0016", "step-0016", "step-0020"]
    with pytest.raises(state.Refusal, match="--keep counts steps"):
        base.main(["base", "--keep", "0", "--out", str(tmp_path / "no")])
    assert not (tmp_path / "no").exists()


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "line.state.safetensors").write_bytes(b"cut off")
    with pytest.raises(state.Refusal, match="not a training state"):
        train(Line(), tmp_path, say=quiet)


@pytest.mark.parametrize(
    "wrong",
    [
        *(["--scale", value] for value in ("nan", "inf", "0", "-1")),
        *(["--threads", value] for value in ("-1", "0", "1000000000000")),
        *(["--seed", value] for value in ("-1", str(2**31))),
        ["--start", "no such folder"],
    ],
)
def test_what_cannot_be_trained_with_is_a_sentence_and_leaves_no_folder(
    tmp_path: Path, wrong: list[str]
) -> None:
    with pytest.raises(state.Refusal, match=f"{wrong[0]} "):
        base.main(["base", *wrong, "--out", str(tmp_path / "no")])
    assert not (tmp_path / "no").exists()


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(state.Refusal, match="another --out"):
        base.main(["base", "--out", str(tmp_path / "file")])


def begun(folder: Path, *words: str) -> list[str]:
    """Run `train base` to its first stage; what it trained."""
    trained: list[str] = []

    def step(stage: Any, folder: Path, **_: object) -> None:
        trained.append(stage.name)
        (folder / f"{stage.name}.safetensors").touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "train", step)
        patch.setattr(base, "build", lambda folder, seed: None)
        patch.setattr(base, "further", lambda start, folder: None)
        patch.setattr(base, "stages", lambda *_, **__: iter([Line()]))
        patch.setattr(base, "publish", lambda kit, folder: None)
        base.main(["base", "--out", str(folder), *words])
    return trained


def test_a_run_goes_on_only_as_it_was_begun(tmp_path: Path) -> None:
    folder, start = tmp_path / "run", tmp_path / "start"
    start.mkdir()
    (start / "ema.safetensors").write_bytes(b"weights")
    assert begun(folder, "--scale", "0.03") == ["line"]
    assert begun(folder, "--scale", "0.03", "--threads", "1", "--until", "tower") == ["line"]
    with pytest.raises(state.Refusal) as refused:
        begun(folder, "--scale", "0.05", "--seed", "4")
    assert "--seed 0 and not 4, --scale 0.03 and not 0.05" in str(refused.value)
    with pytest.raises(
        state.Refusal, match="--start from nothing and not from weights .* --drawing left out"
    ):
        begun(folder, "--scale", "0.03", "--start", str(start), "--drawing")
    (folder / state.ASKED).write_text("{")
    with pytest.raises(state.Refusal, match="cannot be read"):
        begun(folder, "--scale", "0.03")


def test_other_weights_to_start_from_are_another_run(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "ema.safetensors").write_bytes(b"weights")
    begun(tmp_path / "run", "--start", str(start))
    assert begun(tmp_path / "run", "--start", str(start.rename(tmp_path / "moved"))) == ["line"]
    (tmp_path / "moved" / "ema.safetensors").write_bytes(b"others")
    with pytest.raises(state.Refusal, match="--start"):
        begun(tmp_path / "run", "--start", str(tmp_path / "moved"))


def test_a_run_from_before_goes_on(tmp_path: Path) -> None:
    (tmp_path / "autoencoder.state.safetensors").touch()
    assert begun(tmp_path, "--seed", "4") == ["line"]
    assert begun(tmp_path, "--seed", "5") == ["line"]
    assert not (tmp_path / state.ASKED).exists()
