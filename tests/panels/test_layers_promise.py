"""What a study is said to hold before it runs is what it then holds."""

from __future__ import annotations

from tests.capture.fake import FakeModel
from workbench.panels.layers.config import MEASURES, LayersConfig
from workbench.panels.layers.measures import ANY, GROUPS
from workbench.panels.layers.promise import COMPARED, MADE_BY, OF_PICTURE, lacks
from workbench.panels.layers.study import run


def held(config: LayersConfig) -> set[str]:
    return set(run(config, FakeModel(side=12, width=16)).tables["curves"]["measure"])


def test_every_group_says_which_kind_of_measure_makes_it() -> None:
    made = {name for names in MADE_BY.values() for name in names}
    assert made | set(COMPARED) == {measure for group in GROUPS.values() for measure in group.measures}
    assert tuple(MADE_BY) == MEASURES


def test_a_collection_holds_what_its_measures_make() -> None:
    for kind in ("linear reader", "segmentation", "content", "structure", "geometry", "likeness"):
        config = LayersConfig(n_train=20, n_validation=10, n_test=12, resamples=100, measures=(kind,))
        found, expected = held(config), MADE_BY[kind]
        assert {name.rstrip(ANY) for name in expected if name.endswith(ANY)} == {
            f"{name.partition(', ')[0]}, " for name in found if name not in expected
        }
        assert {name for name in expected if not name.endswith(ANY)} <= found
        assert all(lacks(config, [name]) == "" for name in found)


def test_a_picture_holds_what_is_said_of_pictures() -> None:
    config = LayersConfig(image="scene:7", permutations=20)
    assert held(config) == set(OF_PICTURE)
    assert all(lacks(config, [name]) == "" for name in OF_PICTURE)
    assert "needs a collection" in lacks(config, ["patch mIoU"]) and not lacks(config, COMPARED)
    assert "leave out 'likeness'" in lacks(LayersConfig(measures=("structure",)), COMPARED)


def test_one_curve_of_several_is_enough() -> None:
    config = LayersConfig(image="somewhere.png")
    assert lacks(config, ["contrast difference"])
    assert lacks(config, ["contrast difference", "Moran's I"]) == ""


def test_of_the_hub_only_the_settings_are_asked() -> None:
    config = LayersConfig(data="somebody/pictures", measures=("segmentation",))
    assert lacks(config, ["patch mIoU"]) == ""
    assert "leave out 'content'" in lacks(config, ["depth R²"])
