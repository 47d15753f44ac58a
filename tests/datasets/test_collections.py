"""Collections on disk: what is found, how it is divided, and what is said of what cannot be read."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.datasets.hub import Hub
from workbench.datasets import kept, open_collection, shards
from workbench.datasets.asking import closed, notes_of_all
from workbench.datasets.batches import batches, squared
from workbench.datasets.collection import SPLITS, Collection, Sample, Skipped, Split, in_three
from workbench.datasets.vlmeval import asked
from workbench.errors import Refusal


def picture(seed: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(pixels))


def everything(data: Collection) -> dict[Split, list[Sample | Skipped]]:
    return {split: list(data.read(split, 0, data.count(split))) for split in SPLITS}


def names(read: dict[Split, list[Sample | Skipped]]) -> list[str]:
    return [each.name for split in SPLITS for each in read[split]]


def sample(each: Sample | Skipped) -> Sample:
    assert isinstance(each, Sample), each
    return each


# Folders of classes


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for k in range(20):
        put(tmp_path / "pets" / ("cat" if k % 2 else "dog") / f"{k:02d}.png", picture(k))
    return tmp_path / "pets"


def test_folders_are_classes_and_splits_are_disjoint(pets: Path) -> None:
    data = open_collection(str(pets))
    assert data.targets == {"class": ("cat", "dog")} and data.title == "pets"
    read = everything(data)
    assert sorted(names(read)) == sorted(f"{'cat' if k % 2 else 'dog'}/{k:02d}.png" for k in range(20))
    assert [len(read[split]) for split in SPLITS] == [12, 3, 5]
    for each in (sample(s) for split in SPLITS for s in read[split]):
        folder, _, file = each.name.partition("/")
        assert data.targets["class"][each.labels["class"]] == folder
        np.testing.assert_array_equal(each.pixels, picture(int(file[:2])))
    assert "60% train" in data.notes[0]
    assert [s.name for s in open_collection(f"folder:{pets}").read("train", 3, 6)] == names(read)[3:6]


def test_the_list_decides_the_fingerprint_and_more_images_do_not_reshuffle(pets: Path) -> None:
    before = open_collection(str(pets))
    order = [s.name for s in before.read("train", 0, 12)]
    put(pets / "cat" / "99.png", picture(99))
    after = open_collection(str(pets))
    assert before.fingerprint != after.fingerprint
    kept = [s.name for s in after.read("train", 0, 13) if s.name in order]
    assert kept == [name for name in order if name in kept] and len(kept) >= 11


def test_splits_that_are_given_are_kept(tmp_path: Path) -> None:
    for split, count in (("train", 20), ("val", 10)):
        for k in range(count):
            put(tmp_path / split / "ab"[k % 2] / f"{k}.png", picture(k))
    data = open_collection(str(tmp_path))
    read = everything(data)
    assert {each.name.split("/")[0] for each in read["test"]} == {"val"} and len(read["test"]) == 10
    assert {each.name.split("/")[0] for each in (*read["train"], *read["validation"])} == {"train"}
    assert (len(read["train"]), len(read["validation"])) == (16, 4)
    assert len(set(names(read))) == 30
    assert "validation split is what readers are scored on" in " ".join(data.notes)


def test_a_damaged_file_among_many_is_skipped_by_name(pets: Path) -> None:
    (pets / "cat" / "01.png").write_bytes(b"\x89PNG nothing")
    read = everything(open_collection(str(pets)))
    (bad,) = [each for split in SPLITS for each in read[split] if isinstance(each, Skipped)]
    assert bad.name == "cat/01.png" and "cat/01.png" in bad.reason
    assert len(names(read)) == 20


@pytest.mark.parametrize("case", ["empty", "missing"])
def test_folders_that_cannot_be_probed_are_refused(tmp_path: Path, case: str) -> None:
    if case == "empty":
        (tmp_path / "data").mkdir()
    with pytest.raises(Refusal, match={"empty": "no image", "missing": "no data"}[case]):
        open_collection(str(tmp_path / "data"))


def test_images_without_classes_have_no_targets(tmp_path: Path) -> None:
    for k in range(5):
        put(tmp_path / f"{k}.png", picture(k))
    data = open_collection(str(tmp_path))
    assert data.targets == {} and sum(data.count(split) for split in SPLITS) == 5


def test_one_class_is_no_label(tmp_path: Path) -> None:
    for k in range(6):
        put(tmp_path / "cat" / f"{k}.png", picture(k))
    data = open_collection(str(tmp_path))
    assert data.targets == {} and "one class (cat)" in data.notes[-1]
    assert sum(data.count(split) for split in SPLITS) == 6


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    for name in ("airplane", "bus", "train"):
        for k in range(4):
            put(tmp_path / name / f"{k}.png", picture(k))
    data = open_collection(str(tmp_path))
    assert data.targets == {"class": ("airplane", "bus", "train")}
    assert sum(data.count(split) for split in SPLITS) == 12
    assert not any("called like splits" in note for note in data.notes)


def test_splits_that_are_taken_for_classes_are_told(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "val/cat", "val/dog", "extra"):
        for k in range(4):
            put(tmp_path / name / f"{k}.png", picture(k))
    data = open_collection(str(tmp_path))
    assert data.targets == {"class": ("extra", "train", "val")}
    (said,) = [note for note in data.notes if "called like splits" in note]
    assert "Its folders train, val are called" in said and "for classes, as extra beside them" in said
    for k in range(4):
        (tmp_path / "extra" / f"{k}.png").unlink()
    data = open_collection(str(tmp_path))
    assert data.targets == {"class": ("cat", "dog")}
    assert not any("called like splits" in note for note in data.notes)


def test_a_changed_file_changes_the_fingerprint(pets: Path) -> None:
    before = open_collection(str(pets)).fingerprint
    path = pets / "cat" / "01.png"
    content = path.read_bytes()
    os.utime(path, ns=(1, 1))
    assert len(content) == path.stat().st_size and open_collection(str(pets)).fingerprint != before


# Masks


def coco(root: Path) -> Path:
    for split, count in (("train2017", 6), ("val2017", 3)):
        for k in range(count):
            put(root / "images" / split / f"{k:03d}.png", picture(k))
            mask = np.random.default_rng(k).integers(0, 182, (24, 32)).astype(np.uint8)
            mask[:2] = 255
            put(root / "annotations" / split / f"{k:03d}.png", mask)
    return root


def test_coco_stuff_is_read_as_its_readme_says(tmp_path: Path) -> None:
    root = coco(tmp_path)
    (root / "labels.txt").write_text("0: unlabeled\n" + "\n".join(f"{k + 1}: thing {k}" for k in range(182)))
    data = open_collection(str(root))
    assert data.spec == f"coco-stuff:{root}" and len(data.classes) == 182 and data.classes[0] == "thing 0"
    assert [data.count(split) for split in SPLITS] == [5, 1, 3]
    for each in (sample(s) for s in data.read("test", 0, 3)):
        k = int(Path(each.name).stem)
        truth = np.random.default_rng(k).integers(0, 182, (24, 32))
        assert each.classes is not None
        np.testing.assert_array_equal(each.classes[2:], truth[2:])
        assert (each.classes[:2] == 182).all(), "unlabelled"
        assert each.regions is each.classes
    batch = batches([sample(s) for s in data.read("test", 0, 3)], 3, 182)[0]
    labels = batch.patch_classes([[0, 0, 32, 2], [0, 5, 1, 6]], 0.5)
    assert labels is not None and (labels[:, 0] == -1).all() and (labels[:, 1] >= 0).all()


@pytest.mark.parametrize("images", ["", "images"])
@pytest.mark.parametrize("boxes", [False, True])
def test_coco_as_it_unzips_keeps_its_splits_and_names(tmp_path: Path, images: str, boxes: bool) -> None:
    for split, count in (("train2017", 6), ("val2017", 3)):
        for k in range(count):
            put(tmp_path / images / split / f"{k:03d}.png", picture(k))
            put(tmp_path / "stuffthingmaps" / split / f"{k:03d}.png", np.full((24, 32), k, np.uint8))
    if boxes:
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "instances_train2017.json").write_text("{}")
    (tmp_path / "labels.txt").write_text("0: unlabeled\n1: person\n2: bicycle\n3: car")
    data = open_collection(str(tmp_path))
    assert data.spec == f"coco-stuff:{tmp_path}" and data.classes[0] == "person"
    assert [data.count(split) for split in SPLITS] == [5, 1, 3]


def test_ade20k_counts_from_one(tmp_path: Path) -> None:
    for split in ("training", "validation"):
        for k in range(4):
            put(tmp_path / "images" / split / f"{k}.png", picture(k))
            put(tmp_path / "annotations" / split / f"{k}.png", np.full((24, 32), k, np.uint8))
    data = open_collection(str(tmp_path))
    assert data.spec.startswith("ade20k:") and len(data.classes) == 150
    for each in (sample(s) for s in data.read("test", 0, 4)):
        k = int(Path(each.name).stem)
        assert each.classes is not None and (each.classes == (k - 1 if k else 150)).all()


def test_ade20k_is_known_by_its_files_too(tmp_path: Path) -> None:
    for k in range(4):
        put(tmp_path / "images" / "validation" / f"ADE_val_{k}.png", picture(k))
        put(tmp_path / "annotations" / "validation" / f"ADE_val_{k}.png", np.zeros((24, 32), np.uint8))
    data = open_collection(str(tmp_path))
    assert data.spec.startswith("ade20k:")
    for each in (sample(s) for split in SPLITS for s in data.read(split, 0, 4)):
        assert each.classes is not None and (each.classes == 150).all(), "0 is no class"


def test_a_mask_of_one_bit_is_a_mask(tmp_path: Path) -> None:
    for k in range(8):
        put(tmp_path / "images" / f"{k}.png", picture(k))
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.eye(32, dtype=bool)[:24]).save(tmp_path / "masks" / f"{k}.png")
    each = sample(next(iter(open_collection(str(tmp_path)).read("train", 0, 1))))
    assert each.classes is not None
    np.testing.assert_array_equal(each.classes, np.eye(32, dtype=int)[:24])


def test_masks_that_do_not_fit_are_told(tmp_path: Path) -> None:
    root = coco(tmp_path)
    (root / "annotations/val2017/000.png").unlink()
    put(root / "annotations/val2017/001.png", np.zeros((9, 9), np.uint8))
    put(root / "annotations/val2017/002.png", picture(0))
    data = open_collection(str(root))
    reasons = {each.name: each.reason for each in data.read("test", 0, 3) if isinstance(each, Skipped)}
    assert "does not exist" in reasons["images/val2017/000.png"]
    assert "same size" in reasons["images/val2017/001.png"]
    assert "in colours" in reasons["images/val2017/002.png"]
    assert any("which are skipped: 1" in note for note in data.notes)


def test_numbers_that_are_no_class_are_told_and_a_mask_of_nothing_else_is_set_aside(tmp_path: Path) -> None:
    root = tmp_path / "animals"
    for number in range(12):
        mask = np.zeros((24, 32), np.uint16)
        mask[:12] = (number % 3) if number else 1001
        mask[12:] = mask[12:] if number else 1002
        mask[0] = 255 if number else 1001
        put(root / "images" / f"{number:02d}.png", picture(number))
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "masks" / f"{number:02d}.png")
    (root / "classes.txt").write_text("cat\ndog\n")
    data = open_collection(f"masks:{root}")
    said = " ".join(data.notes)
    assert "5 of the first 12 masks hold numbers that are no class (2, 1001, 1002)" in said
    assert "Classes are 0 to 1." in said and "255 is unlabelled: 4 % of the pixels of the first 12" in said
    read = [each for some in everything(data).values() for each in some]
    (aside,) = [each for each in read if isinstance(each, Skipped)]
    assert aside.name.endswith("00.png") and "no class, but 1001, 1002: classes are 0 to 1" in aside.reason


def test_an_image_that_its_exif_turns_is_not_laid_under_a_mask(tmp_path: Path) -> None:
    root = coco(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    image = root / "images/val2017/000.png"
    Image.fromarray(picture(0)).save(image, exif=exif)
    (each,) = [s for s in open_collection(str(root)).read("test", 0, 3) if s.name.endswith("val2017/000.png")]
    assert isinstance(each, Skipped) and "EXIF" in each.reason


def test_masks_follow_an_image_that_is_made_smaller(tmp_path: Path) -> None:
    for k in range(8):
        wide = np.zeros((40, 2048, 3), np.uint8)
        put(tmp_path / "images" / f"{k}.png", wide)
        mask = np.zeros((40, 2048), np.uint8)
        mask[:, 1024:] = 7
        put(tmp_path / "masks" / f"{k}.png", mask)
    each = sample(next(iter(open_collection(str(tmp_path)).read("train", 0, 1))))
    assert each.pixels.shape == (20, 1024, 3) and each.classes is not None
    assert (each.classes[:, :512] == 0).all() and (each.classes[:, 512:] == 7).all()


# Parquet


def table(path: Path, count: int, *, first: int = 0, names: list[str] | None = None) -> None:
    columns = {
        "image": [{"bytes": png(picture(first + k)), "path": None} for k in range(count)],
        "label": [(first + k) % 3 for k in range(count)],
    }
    made = pa.table(columns)
    if names:
        features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
        import json

        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=4)


def test_shards_of_the_datasets_library_are_read(tmp_path: Path) -> None:
    table(tmp_path / "data" / "train-00000-of-00002.parquet", 10, names=["a", "b", "c"])
    table(tmp_path / "data" / "train-00001-of-00002.parquet", 10, first=10, names=["a", "b", "c"])
    table(tmp_path / "data" / "test-00000-of-00001.parquet", 5, first=20, names=["a", "b", "c"])
    data = open_collection(str(tmp_path))
    assert data.targets == {"label": ("a", "b", "c")}
    read = everything(data)
    assert [len(read[split]) for split in SPLITS] == [16, 4, 5] and len(set(names(read))) == 25
    for split in SPLITS:
        for each in (sample(s) for s in read[split]):
            shard, _, row = each.name.removeprefix("data/").partition(":")
            k = int(row) + {"train-00000": 0, "train-00001": 10, "test-00000-": 20}[shard[:11]]
            np.testing.assert_array_equal(each.pixels, picture(k))
            assert each.labels["label"] == k % 3
    assert [s.name for s in data.read("train", 5, 9)] == [s.name for s in read["train"][5:9]]


def test_labels_whose_names_are_digits_are_counted_not_read(tmp_path: Path) -> None:
    table(tmp_path / "stars.parquet", 12, names=["1", "2", "3"])
    data = open_collection(str(tmp_path / "stars.parquet"))
    for each in (sample(s) for split in SPLITS for s in data.read(split, 0, 12)):
        assert each.labels["label"] == int(each.name.split(":")[1]) % 3


def test_few_row_groups_are_read_for_many_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.datasets import shards as module

    columns = {"image": [png(picture(k % 5, (8, 8))) for k in range(4000)]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=1000)
    data = open_collection(str(tmp_path / "x.parquet"))
    module._group.cache_clear()
    list(data.read("train", 0, 1000))
    assert module._group.cache_info().misses <= 5


def test_a_lone_file_with_words_for_labels(tmp_path: Path) -> None:
    words = ["owl", "emu"]
    columns = {"img": [png(picture(k)) for k in range(12)], "class": [words[k % 2] for k in range(12)]}
    pq.write_table(pa.table(columns), tmp_path / "birds.parquet")
    data = open_collection(str(tmp_path / "birds.parquet"))
    assert data.targets == {"class": ("emu", "owl")}
    for each in (sample(s) for split in SPLITS for s in data.read(split, 0, 12)):
        assert data.targets["class"][each.labels["class"]] == words[int(each.name.split(":")[1]) % 2]


def test_a_column_of_lists_or_records_is_no_label(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {
        "image": [png(picture(k)) for k in range(12)],
        "labels": [[k % 2, 1] for k in range(12)],
        "category": [{"name": "cat"}] * 12,
        "target": [k / 2 for k in range(12)],
        "class": ["cat" if k % 2 else "dog" for k in range(12)],
    }
    pq.write_table(pa.table(rows), tmp_path / "some.parquet")
    data = open_collection(str(tmp_path / "some.parquet"))
    assert dict(data.targets) == {"class": ("cat", "dog")}
    said = " ".join(data.notes)
    assert "“labels” is no label: it holds list" in said and "“target” is no label: it holds double" in said


def test_parquet_with_masks(tmp_path: Path) -> None:
    masks = [np.full((24, 32), k, np.uint8) for k in range(8)]
    columns = {
        "image": [png(picture(k)) for k in range(8)],
        "annotation": [png(mask) for mask in masks],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    data = open_collection(str(tmp_path / "x.parquet"))
    for each in (sample(s) for split in SPLITS for s in data.read(split, 0, 8)):
        assert each.classes is not None and (each.classes == int(each.name.split(":")[1])).all()


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(Refusal, match="cannot be read as parquet"):
        open_collection(str(tmp_path / "x.parquet"))
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "y.parquet")
    with pytest.raises(Refusal, match="no column of images; its columns are text"):
        open_collection(str(tmp_path / "y.parquet"))
    columns = {"image": [png(picture(0)), b"junk", png(picture(1))] * 4}
    pq.write_table(pa.table(columns), tmp_path / "z.parquet")
    read = everything(open_collection(str(tmp_path / "z.parquet")))
    assert sum(isinstance(each, Skipped) for split in SPLITS for each in read[split]) == 4


# The hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine, and a cache that is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Hub(tmp_path / "hub") as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", hub.template)
        hub.forget()
        yield hub


def test_a_data_set_of_the_hub_is_its_parquet_copy(hub: Hub) -> None:
    for split in ("train", "test", "unlabelled"):
        table(hub.folder / "plain" / split / "0000.parquet", 20, names=["a", "b", "c"])
    data = open_collection("somebody/birds")
    assert [data.count(split) for split in SPLITS] == [16, 4, 20]
    read = everything(data)
    assert len(set(names(read))) == 40, "files of both splits are called 0000.parquet"
    for each in (sample(s) for split in SPLITS for s in read[split]):
        np.testing.assert_array_equal(each.pixels, picture(int(each.name.rpartition(":")[2])))
    assert "splits unlabelled are left out" in " ".join(data.notes)
    with pytest.raises(Refusal, match="no configuration 'other'; it has plain"):
        open_collection("hub:somebody/birds@other")


def test_of_the_hub_only_what_is_read_is_fetched_and_only_once(hub: Hub) -> None:
    rows = {"image": [png(picture(k, (24, 24))) for k in range(4000)]}
    place = hub.folder / "plain" / "train" / "0000.parquet"
    place.parent.mkdir(parents=True)
    pq.write_table(pa.table(rows), place, row_group_size=200)
    data = open_collection("somebody/birds")
    whole = place.stat().st_size
    assert hub.sent < whole / 20, "the end of the file tells how many rows it has"
    first = [sample(each).pixels for each in data.read("train", 0, 100)]
    assert hub.sent < whole / 5
    before = hub.sent
    again = open_collection("somebody/birds")
    for one, other in zip(first, again.read("train", 0, 100), strict=True):
        np.testing.assert_array_equal(one, sample(other).pixels)
    assert hub.sent == before
    hub.reachable = False
    hub.forget()
    offline = open_collection("somebody/birds")
    assert offline.fingerprint == data.fingerprint
    np.testing.assert_array_equal(sample(next(iter(offline.read("train", 0, 1)))).pixels, first[0])
    (new,) = offline.read("train", 2000, 2001)
    assert isinstance(new, Skipped) and "cannot be reached" in new.reason


def test_what_is_kept_of_the_hub_is_bounded_and_the_last_used_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("workbench.datasets.kept.MOST_BYTES", 250)
    place = kept.folder("somebody/birds")
    for k, name in enumerate(("old", "read", "new")):
        kept.keep(place / name / "0.parquet", lambda path: path.write_bytes(b"x" * 100))
        if name == "old":
            (place / name / ".left.tmp").write_bytes(b"x" * 20)
        for path in (place / name).iterdir():
            os.utime(path, (1000 + k, 1000 + k))
        if name == "read":
            kept.used(place / "old" / "0.parquet")
    # 320 bytes were there when the third came: what was left half written goes, then what nobody read again.
    left = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    assert left == ["new/0.parquet", "old/0.parquet"] and not (place / "read").exists()


def test_a_row_group_that_was_removed_is_fetched_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    table(hub.folder / "plain" / "train" / "0000.parquet", 40, names=["a", "b", "c"])
    monkeypatch.setattr("workbench.datasets.kept.MOST_BYTES", 1)
    found = open_collection("hub:somebody/birds")
    first = [each.name for each in found.read("train", 0, 4)]
    shards._group.cache_clear()
    assert [each.name for each in found.read("train", 0, 4)] == first


def test_the_first_part_of_a_large_split_is_used_and_said(hub: Hub) -> None:
    table(hub.folder / "plain" / "partial-train" / "0000.parquet", 20, names=["a", "b", "c"])
    table(hub.folder / "plain" / "partial-test" / "0000.parquet", 8, names=["a", "b", "c"])
    data = open_collection("somebody/birds@plain")
    assert [data.count(split) for split in SPLITS] == [16, 4, 8]
    assert "the first part of its train split only" in " ".join(data.notes)


def test_masks_of_the_hub_are_read_by_their_layout(hub: Hub) -> None:
    numbers = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32) % 152
    columns = {"image": [png(picture(k)) for k in range(12)], "annotation": [png(numbers)] * 12}
    place = hub.folder / "scene_parsing" / "train" / "0000.parquet"
    place.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), place)
    plain, ade = open_collection("somebody/birds"), open_collection("ade20k:somebody/birds")
    assert plain.classes[0] == "class 0" and ade.classes[0] == "class 1" and len(ade.classes) == 150
    one = sample(next(iter(ade.read("train", 0, 1)))).classes
    expected = np.where((numbers == 0) | (numbers > 150), 150, numbers.astype(int) - 1)
    np.testing.assert_array_equal(one, expected)
    assert "1 to 150" in " ".join(ade.notes) and ade.spec == "ade20k:somebody/birds"
    assert open_collection(ade.spec).classes == ade.classes


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "RepoNotFound", "no data set somebody/birds"),
        (404, "RevisionNotFound", "no parquet copy"),
        (403, "GatedRepo", "gated"),
    ],
)
def test_what_the_hub_will_not_give_is_a_sentence(hub: Hub, status: int, code: str, said: str) -> None:
    hub.refuses = (status, code)
    with pytest.raises(Refusal, match=said):
        open_collection("somebody/birds")


def test_no_network_and_no_cache_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Refusal, match="cannot be reached"):
        open_collection("somebody/birds")


# VLMEvalKit


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    lines = ["index\timage\tquestion\tA\tB\tanswer\tcategory\thint"]
    for k in range(12):
        image = "0" if k == 5 else base64.b64encode(png(picture(k))).decode()
        question = '"Which\nis it?"' if k == 3 else f"Question {k}?"
        lines.append(f"{k}\t{image}\t{question}\tred\tblue\tA\tkind {k % 2}\t{'Look.' if k == 4 else ''}")
    path = tmp_path / "Bench.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_benchmark_is_read_line_by_line(bench: Path) -> None:
    data = open_collection(str(bench))
    assert data.targets == {"category": ("kind 0", "kind 1")}
    found = {each.name: sample(each) for split in SPLITS for each in data.read(split, 0, 12)}
    assert sorted(found, key=int) == [str(k) for k in range(12) if k != 5]
    for name, each in found.items():
        np.testing.assert_array_equal(each.pixels, picture(int(name)))
        assert each.labels.get("category") == (None if name == "0" else int(name) % 2)
    assert [asked.text.splitlines()[0] for asked in found["0"].asked] == ["Question 0?", "Question 5?"]
    assert "Images whose lines differ in category, which have no such label: 1." in data.notes
    (asked,) = found["3"].asked
    assert asked.text == "Which\nis it?\nA. red\nB. blue"
    assert (asked.answer, asked.candidates, asked.kind) == ("A", ("A", "B"), "choice")
    assert found["4"].asked[0].text.startswith("Hint: Look.\n")


@pytest.mark.parametrize("written", ["data:image/png;base64,{}", "DATA:image/jpeg;base64,{}", "{}", " {}"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_image_may_be_a_data_address_or_stand_on_several_lines(
    tmp_path: Path, written: str, wrapped: bool
) -> None:
    lines = ["index\timage\tquestion"]
    for k in range(12):
        encode = base64.encodebytes if wrapped else base64.b64encode
        cell = written.format("0" if k == 5 and written.strip() == "{}" else encode(png(picture(k))).decode())
        lines.append(f'{k}\t"{cell}"\tWhat?')
    (tmp_path / "Wrapped.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = everything(open_collection(str(tmp_path / "Wrapped.tsv")))
    found = {each.name: sample(each) for split in SPLITS for each in read[split]}
    assert len(found) == (11 if written.strip() == "{}" else 12)
    for name, each in found.items():
        np.testing.assert_array_equal(each.pixels, picture(int(name)))


@pytest.mark.parametrize("shape", ["refers", "repeats"])
def test_no_image_of_a_benchmark_is_in_two_splits(tmp_path: Path, shape: str) -> None:
    lines = ["index\timage\tquestion\tanswer\tcategory"]
    for k in range(40):
        for turn in range(3):
            refers = shape == "refers" and turn
            image = str(k) if refers else base64.b64encode(png(picture(k))).decode()
            lines.append(f"{k + 1000 * turn}\t{image}\tIs it {turn}?\tYes\texistence")
    (tmp_path / "MME.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = open_collection(str(tmp_path / "MME.tsv"))
    read = everything(data)
    shown = [sample(each).pixels.tobytes() for split in SPLITS for each in read[split]]
    assert len(shown) == len(set(shown)) == 40 and [data.count(split) for split in SPLITS] == [24, 6, 10]
    for each in (sample(s) for split in SPLITS for s in read[split]):
        assert [asked.text for asked in each.asked] == ["Is it 0?", "Is it 1?", "Is it 2?"]
    assert "60% train" in " ".join(data.divided)
    assert not any("divided" in note for note in notes_of_all(data)) and len(notes_of_all(data)) == 2
    said = " ".join(data.notes)
    assert "120 lines ask about 40 images" in said and "one category (existence)" in said
    assert data.targets == {}


@pytest.mark.parametrize(("written", "answer"), [("yes", "Yes"), ("NO", "No"), (" Yes ", "Yes")])
def test_yes_and_no_are_among_their_candidates_however_they_are_written(written: str, answer: str) -> None:
    found = asked({"question": "Is it?", "answer": written})
    assert (found.answer, found.candidates) == (answer, ("Yes", "No")) and closed(found)
    found = asked({"question": "Which?", "A": "cat", "B": "dog", "answer": "b"})
    assert found.answer == "B" and closed(found)


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(Refusal, match="its first line names a, b"):
        open_collection(str(tmp_path / "x.tsv"))
    (tmp_path / "y.tsv").write_text(
        "index\timage\tquestion\n1\tnot base64 at all, but long enough to be one" + "x" * 50 + "\tWhat?\n"
    )
    read = everything(open_collection(str(tmp_path / "y.tsv")))
    (bad,) = [each for split in SPLITS for each in read[split]]
    assert isinstance(bad, Skipped) and "base64" in bad.reason


# All of them


def test_what_is_nothing_is_said_to_be_nothing(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no data at"):
        open_collection("nowhere at all")
    (tmp_path / "x.jpg").write_bytes(png(picture(0)))
    with pytest.raises(Refusal, match="is a file, and none of a kind"):
        open_collection(str(tmp_path / "x.jpg"))
    assert open_collection("").spec == "scenes"


def test_batches_have_one_size_each() -> None:
    samples = [Sample(str(k), picture(k, (8, 8 + 2 * (k % 3))), k) for k in range(14)]
    made = batches(samples, 3, 0)
    assert sorted(s.name for b in made for s in b.samples) == sorted(s.name for s in samples)
    assert all(len({s.pixels.shape for s in batch.samples}) == 1 and len(batch) <= 3 for batch in made)


def test_a_square_is_the_middle() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    classes = pixels[..., 0].astype(np.int16)
    found = squared(Sample("x", pixels, 0, classes=classes, regions=classes), 10)
    assert (found.pixels == 200).all() and found.classes is not None and (found.classes == 200).all()
    assert found.regions is found.classes


def test_a_lone_validation_split_gives_readers_something_to_learn_from() -> None:
    parts, said = in_three({"validation": range(50), "test": range(100, 110)}, str)
    assert len(parts["train"]) == 40 and len(parts["validation"]) == 10 and len(parts["test"]) == 10
    assert not set(parts["train"]) & set(parts["validation"]) and said
