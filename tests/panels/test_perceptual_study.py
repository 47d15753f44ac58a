"""The study of how near pictures are: what it compares, what it leaves out and why, and its weights."""

from __future__ import annotations

import hashlib
import math
import shutil
import urllib.error
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from probes.perceptual.lpips import Lpips
from tests.page.fake import FakeModel
from tests.probes.perceptual.pictures import damaged, state, tensor
from workbench import cli
from workbench.errors import Cancelled, Refusal
from workbench.images import fidelity
from workbench.images.read import Picture, read
from workbench.panels.perceptual import measuring, reading, shows, study, weights, without
from workbench.panels.perceptual.config import PLAIN, PerceptualConfig
from workbench.panels.perceptual.figure import paper
from workbench.panels.perceptual.pictures import Shown, enough, fitted, gathered, of_states, pairs
from workbench.panels.perceptual.study import map_name, reduced, run
from workbench.panels.states import study as states
from workbench.panels.states.config import StatesConfig
from workbench.runs.result import Result
from workbench.runs.store import load, save

DARK = StatesConfig(question="bright or dark?", corruption="dark_illumination", intensity=0.9, steps=3)


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights on this machine, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv(weights.WEIGHTS, raising=False)

    def away(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("there is none")

    monkeypatch.setattr("urllib.request.urlopen", away)


@pytest.fixture(scope="module")
def picture() -> Picture:
    return read(damaged("noise", 48, 64)[1])


@pytest.fixture(scope="module")
def drawn(picture: Picture) -> Result:
    return states.run(DARK, FakeModel(), picture=picture)


def measured(result: Result, *measures: str, **chosen: Any) -> Result:
    config = PerceptualConfig(measures=measures or PLAIN, **chosen)
    return run(config, picture=(enough(of_states(result)), [result]))


@pytest.fixture(scope="module")
def compared(drawn: Result) -> Result:
    return measured(drawn)


def given(tmp_path: Path, **pictures: np.ndarray) -> list[str]:
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return [str(tmp_path / f"{name}.png") for name in pictures]


def test_psnr_is_the_one_of_states_and_every_picture_is_there(drawn: Result, compared: Result) -> None:
    names = reading.places(compared)
    assert names == ["original", "degraded", *(f"step {k} of 3" for k in range(4)), "restored"]
    trace = drawn.tables["trace"]
    wanted = trace[trace["psnr"].notna()]["psnr"].tolist()
    scores = compared.tables["scores"]
    assert scores[scores["measure"] == "psnr"]["value"].tolist() == pytest.approx(wanted)
    assert compared.manifest["model"]["id"] == "pocket-fake"
    assert set(scores["reference"]) == {"original"}


def test_each_number_says_how_it_was_taken(compared: Result) -> None:
    row = compared.tables["scores"].set_index(["picture", "measure"]).loc[("restored", "gmsd")]
    assert (row["better"], row["low"], row["high"]) == ("lower", 0, 0.5)
    assert row["size"] == "all 64 × 48, as given" and "2 × 2" in row["resize"] and "Xue" in row["source"]


def test_too_small_a_picture_has_no_number(compared: Result) -> None:
    assert "ms-ssim" not in set(compared.tables["scores"]["measure"])
    said = reading.left_out(compared)
    assert said == ["No MS-SSIM: defined from 176 pixels a side; these are 64 × 48."]


def test_a_reference_of_one_colour_leaves_out_what_is_undefined() -> None:
    flat, other = np.full((48, 48, 3), 90, np.uint8), damaged("noise", 48, 48)[1]
    result = run(PerceptualConfig(), picture=([Shown("flat", flat), Shown("other", other)], []))
    assert reading.measures_of(result) == ["psnr", "ssim", "gmsd"]
    said = " ".join(reading.left_out(result))
    assert "No VIFp" in said and "one colour" in said
    same = run(PerceptualConfig(), picture=([Shown("flat", flat), Shown("again", flat)], []))
    assert math.isinf(reading.value(same, "psnr", (1, 0))) and reading.number("psnr", math.inf) == "equal"


def test_it_is_kept_and_comes_back(compared: Result, tmp_path: Path) -> None:
    save(compared, tmp_path / "run")
    back = load(tmp_path / "run")
    assert reading.curves(back, "ssim") == reading.curves(compared, "ssim")
    assert back.arrays[map_name("ssim", 6, 0)].shape == (48, 64)
    assert back.manifest["size"] == compared.manifest["size"]


def test_maps_are_far_where_the_picture_is_and_their_scale_is_said(compared: Result) -> None:
    pair = reading.last_pair(compared)
    assert reading.places(compared)[pair[0]] == "restored" and reading.maps_of(compared, pair) == [
        "ssim",
        "difference",
    ]
    difference = reading.spread(compared, "difference", pair)
    a, b = (compared.images[study.image_name(k)].astype(float) for k in pair)
    np.testing.assert_allclose(difference, np.abs(a - b).mean(2), atol=1e-4)
    low, high = reading.span("difference", [difference])
    assert low == 0 and difference.max() <= high < 1.2 * difference.max()
    assert reading.span("ssim", []) == (0, 1) and reading.ends_of("ssim", (0, 1)) == ("0", "1 and above")
    coloured = reading.coloured(np.array([[0.0, 1.0, 3.0]]), (0, 1))
    assert (coloured[0, 1] == coloured[0, 2]).all() and coloured[0, 1].sum() > coloured[0, 0].sum()
    ssim = 1 - reading.spread(compared, "ssim", pair)
    assert ssim[5:-5, 5:-5].mean() == pytest.approx(reading.value(compared, "ssim", pair), abs=2e-3)


def test_curves_go_over_the_steps_with_the_degraded_picture(compared: Result) -> None:
    (curve,) = reading.curves(compared, "psnr")
    assert curve.x == [0, 1, 2, 3] and curve.before == pytest.approx(reading.value(compared, "psnr", (1, 0)))
    assert reading.curves(compared, "ms-ssim") == []


def test_large_maps_are_averaged_down() -> None:
    spread = np.arange(800 * 401, dtype=np.float32).reshape(800, 401) / 1e6
    small = reduced(spread)
    assert small.shape == (266, 133) and small.dtype == np.float16
    assert float(small[0, 0]) == pytest.approx(float(spread[:3, :3].mean()), rel=1e-2)


def test_pairs_are_with_the_first_the_one_before_or_all() -> None:
    assert pairs(3, "reference") == [(1, 0), (2, 0)]
    assert pairs(3, "previous") == [(1, 0), (2, 1)]
    assert pairs(3, "all") == [(1, 0), (2, 0), (2, 1)]


def test_sizes_that_differ_are_brought_to_one_or_refused() -> None:
    large, small = damaged("noise", 96, 128)[1], damaged("noise", 48, 64)[1]
    shown = [Shown("large", large), Shown("small", small)]
    done, words = fitted(shown, "smallest")
    assert [each.pixels.shape for each in done] == [(48, 64, 3)] * 2
    assert words == "all 64 × 48, the size of the smallest; resampled (bicubic, antialiased): large"
    wanted = np.asarray(Image.fromarray(large).resize((64, 48), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(done[0].pixels, wanted)
    assert fitted(shown, "reference")[0][1].pixels.shape == (96, 128, 3)
    with pytest.raises(Refusal, match="different sizes"):
        fitted(shown, "same")
    with pytest.raises(Refusal, match="without stretching"):
        fitted([shown[0], Shown("tall", damaged("noise", 64, 48)[1])], "smallest")


def test_files_of_every_kind_are_read_and_named_apart(tmp_path: Path) -> None:
    clean = damaged("noise", 40, 40)[1]
    files = given(
        tmp_path, a=clean, grey=clean[..., 0], alpha=np.dstack([clean, np.full((40, 40), 128, np.uint8)])
    )
    result = run(PerceptualConfig(images=(*files, files[0])))
    assert reading.places(result) == ["a.png", "grey.png", "alpha.png", "a.png (2)"]
    assert result.manifest["model"]["id"] == "no model"
    assert math.isinf(reading.value(result, "psnr", (3, 0)))
    assert "transparen" in result.tables["pictures"]["notes"][2].lower()


def test_large_files_are_compared_pixel_by_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clean = np.kron(rng.integers(40, 200, (6, 8, 3)), np.ones((200, 200, 1), int)).astype(np.uint8)
    noisy = np.clip(clean + rng.normal(0, 30, clean.shape), 0, 255).astype(np.uint8)
    result = run(PerceptualConfig(images=tuple(given(tmp_path, a=clean, b=noisy)), measures=("psnr",)))
    own = 10 * math.log10(255**2 / ((noisy / 1.0 - clean) ** 2).mean())
    assert reading.value(result, "psnr", (1, 0)) == pytest.approx(own, abs=1e-4)
    assert result.manifest["size"] == "all 1600 × 1200, as given"
    assert max(reading.seen(result, 0).shape) == 1024
    paper(result)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ((), "two pictures at least"),
        (("scene:3",), "two pictures at least"),
        (("scene:3", "nowhere.png"), "does not exist"),
        (("run:dark", "scene:3"), "run of a recipe"),
    ],
)
def test_what_cannot_be_compared_is_refused(images: tuple[str, ...], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        study.prepared(PerceptualConfig(images=images))


def test_another_studys_run_is_refused_and_two_runs_share_an_original(
    drawn: Result, compared: Result, tmp_path: Path
) -> None:
    for name, result in (("a", drawn), ("b", drawn), ("other", compared)):
        save(result, tmp_path / name)
    with pytest.raises(Refusal, match="has no pictures to compare"):
        gathered([str(tmp_path / "other")])
    pictures, opened = gathered([str(tmp_path / "a"), str(tmp_path / "b")])
    names = [each.name for each in pictures]
    assert names[:2] == ["a: original", "a: degraded"] and "b: original" not in names and len(opened) == 2
    result = run(PerceptualConfig(measures=("psnr",)), picture=(pictures, opened))
    assert [curve.name for curve in reading.curves(result, "psnr")] == ["a", "b"]


def test_all_pairs_of_too_many_are_refused_and_a_stop_ends_it(picture: Picture) -> None:
    many = [Shown(str(k), picture.pixels) for k in range(80)]
    with pytest.raises(Refusal, match="All pairs of 80"):
        study.prepared(PerceptualConfig(against="all"), (many, []))
    with pytest.raises(Cancelled):
        run(PerceptualConfig(), picture=(many[:3], []), stop=lambda: True)


# Weights.


def laid(folder: Path, name: str = "alexnet.safetensors") -> Path:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in state("alex").items()}, folder / name)
    return folder / name


def test_without_weights_lpips_is_left_out_with_where_to_lay_them(drawn: Result) -> None:
    result = measured(drawn, "ssim", "lpips-alex")
    assert reading.measures_of(result) == ["ssim"]
    (said,) = reading.left_out(result)
    assert "alexnet-owt-7be5be79.pth" in said and "there is none" in said and weights.WEIGHTS in said
    with pytest.raises(Refusal, match="Without weights there are PSNR, SSIM"):
        measured(drawn, "lpips-alex", download=False)


def test_weights_from_a_folder_give_lpips_its_map_and_their_digest(drawn: Result, tmp_path: Path) -> None:
    path = laid(tmp_path / "w")
    result = measured(drawn, "lpips-alex", backbones=str(tmp_path / "w"))
    reason = " ".join(reading.left_out(result))
    assert reason == "" or "32 pixels" in reason
    row = result.tables["scores"].iloc[-1]
    assert row["weights"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (
        "AlexNet" in row["backbone"] and "not checked" in row["backbone"] and len(row["fitted weights"]) == 64
    )
    heads = weights.state(weights.heads("lpips-alex"))
    alone = Lpips("alex", state("alex"), heads)
    k, r = reading.last_pair(result)
    x, y = (tensor(result.images[study.image_name(place)]) for place in (k, r))
    assert row["value"] == float(alone.score(alone.maps(alone.features(x), alone.features(y)))[0])
    assert reading.maps_of(result, (k, r))[0] == "lpips-alex"
    assert measuring.named(PerceptualConfig(measures=("all",), backbones=str(tmp_path / "w"))) == [
        *PLAIN,
        "lpips-alex",
    ]


def test_the_environment_and_torchs_cache_are_looked_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weights.found("alex") is None
    cached = laid(weights.cache())
    assert weights.found("alex") == cached
    monkeypatch.setenv(weights.WEIGHTS, str(tmp_path / "mine"))
    assert weights.found("alex") == cached
    assert weights.found("alex", "") != laid(tmp_path / "mine") == weights.found("alex")


def test_a_file_that_is_not_what_its_name_says_is_refused(drawn: Result, tmp_path: Path) -> None:
    name = weights.FILES["alex"].name
    torch.save(state("alex"), tmp_path / name)
    with pytest.raises(Refusal, match="not what torchvision published"):
        measured(drawn, "lpips-alex", backbones=str(tmp_path))
    (tmp_path / name).unlink()
    (tmp_path / "alexnet.safetensors").write_bytes(b"no tensors")
    with pytest.raises(Refusal, match="cannot be read as weights"):
        measured(drawn, "lpips-alex", backbones=str(tmp_path))
    laid(tmp_path, "squeezenet1_1.safetensors")
    with pytest.raises(Refusal, match="not the weights of SqueezeNet"):
        measured(drawn, "lpips-squeeze", backbones=str(tmp_path))
    with pytest.raises(Refusal, match="is no folder"):
        measured(drawn, "lpips-vgg", backbones=str(tmp_path / "none"))


def test_a_pickle_that_would_run_something_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(Refusal, match="cannot be read as weights"):
        weights.state(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_a_download_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"x" * 3_000_000
    digits = hashlib.sha256(content).hexdigest()[:8]

    class Source:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.left = content

        def __enter__(self) -> Source:
            return self

        def __exit__(self, *_: Any) -> None:
            return None

        def read(self, size: int) -> bytes:
            part, self.left = self.left[:size], self.left[size:]
            return part

    monkeypatch.setattr("urllib.request.urlopen", Source)
    monkeypatch.setitem(weights.FILES, "alex", weights.Published(f"alexnet-owt-{digits}.pth", len(content)))
    said: list[float] = []
    path = weights.fetched("alex", progress=lambda share, words: said.append(share))
    assert path.read_bytes() == content and said[-1] == 1.0 and weights.fetched("alex") == path
    monkeypatch.setitem(weights.FILES, "vgg", weights.Published("vgg16-00000000.pth", len(content)))
    with pytest.raises(Refusal, match="damaged"):
        weights.fetched("vgg")
    with pytest.raises(Cancelled):
        weights.fetched("vgg", stop=lambda: True)
    assert [each.name for each in weights.cache().iterdir()] == [path.name]


def test_measures_of_pyiqa_only_for_those_who_have_it(drawn: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal, match="pip install pyiqa"):
        measured(drawn, "niqe")
    import sys

    stub = ModuleType("pyiqa")
    stub.__spec__ = SimpleNamespace(name="pyiqa")  # type: ignore[assignment]
    stub.create_metric = lambda name, device: lambda x: x.mean() * 255  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", stub)
    result = measured(drawn, "psnr", "niqe")
    rows = result.tables["scores"].query("measure == 'niqe'")
    assert len(rows) == 7 and set(rows["reference"]) == {""} and "Noncommercial" in rows["backbone"].iloc[0]
    assert rows["value"].iloc[0] == pytest.approx(result.images[study.image_name(0)].mean(), rel=1e-5)
    assert without.WITHOUT["niqe"].arrow == "↓" and len(reading.curves(result, "niqe")) == 1


# Figures, the command, the recipe.


def test_the_figure_and_its_parts(compared: Result) -> None:
    figure = paper([("one", compared), ("two", compared)])
    words = " ".join(text.get_text() for text in figure.texts)
    assert "restored" in words and "SSIM ↑" in words and "All 64 × 48, as given." in words
    table = shows.table([("one", compared)], "scores", shows.OfScores(measures=("ssim",)))
    assert list(table.written.columns) == ["picture", "reference", "SSIM ↑"] and len(table.written) == 6
    with pytest.raises(Refusal, match="no map of lpips-alex"):
        shows.part([("one", compared)], "pictures", shows.OfPictures(map="lpips-alex"))
    with pytest.raises(Refusal, match="holds no ms-ssim. No MS-SSIM"):
        shows.part([("one", compared)], "pictures", shows.OfPictures(measures=("ms-ssim",)))
    with pytest.raises(Refusal, match="over denoising steps"):
        shows.part([("one", compared)], "curves", shows.OfCurves(measure="vif2"))
    assert "name it among" in shows.lacks(PerceptualConfig(), "curves", shows.OfCurves(measure="dists"))


def test_the_command_writes_what_the_study_measures(
    drawn: Result, compared: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(drawn, tmp_path / "states")
    out = tmp_path / "out"
    assert cli.main(["perceptual", str(tmp_path / "states"), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "No MS-SSIM" in told.err and "figure.pdf" in told.out
    assert load(out).tables["scores"]["value"].tolist() == compared.tables["scores"]["value"].tolist()
    assert cli.main(["perceptual", "scene:1", "--out", str(tmp_path / "no")]) == 2
    assert (
        cli.main(["perceptual", "scene:1", "scene:2", "--measures", "nice", "--out", str(tmp_path / "no")])
        == 2
    )
    assert not (tmp_path / "no").exists()


def test_a_recipe_compares_its_own_runs_and_keeps_what_is_there(
    drawn: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.recipes.make import make
    from workbench.recipes.recipe import read as read_recipe

    save(drawn, tmp_path / "saved")
    path = tmp_path / "recipe.yaml"
    text = (
        f"runs:\n  dark: {{study: states, saved: {tmp_path / 'saved'}}}\n"
        "  near: {study: perceptual, images: ['run:dark'], measures: [psnr, ssim]}\n"
        "panels:\n  - {of: near, show: pictures}\n  - {of: near, show: curves}\n"
    )
    path.write_text(text)

    def no_model(*_: Any, **__: Any) -> None:
        raise AssertionError("a comparison of pictures opens no model")

    monkeypatch.setattr("workbench.models.open", no_model)
    written = make(read_recipe(path), tmp_path / "out", progress=lambda share, words: None)
    assert "figure.pdf" in {each.name for each in written}
    first = load(tmp_path / "out" / "runs" / "near").manifest["started"]
    stamp = (tmp_path / "out" / "runs" / "near" / "result.json").stat().st_mtime_ns
    make(read_recipe(path), tmp_path / "out", progress=lambda share, words: None)
    assert (tmp_path / "out" / "runs" / "near" / "result.json").stat().st_mtime_ns == stamp, first
    shutil.rmtree(tmp_path / "saved")
    save(replace(drawn, manifest=drawn.manifest | {"seed": 5}), tmp_path / "saved")
    make(read_recipe(path), tmp_path / "out", progress=lambda share, words: None)
    assert (tmp_path / "out" / "runs" / "near" / "result.json").stat().st_mtime_ns != stamp
    path.write_text(text.replace("run:dark", "run:bright"))
    with pytest.raises(Refusal, match="no run of that name"):
        make(read_recipe(path), tmp_path / "other", progress=lambda share, words: None)


def test_psnr_is_the_workbenchs_own() -> None:
    x, y = damaged("noise", 40, 40)
    result = run(PerceptualConfig(measures=("psnr",)), picture=([Shown("y", y), Shown("x", x)], []))
    assert reading.value(result, "psnr", (1, 0)) == float(fidelity.psnr(x, y))
