"""Whether weights fit a configuration, told from the headers of their files: names and shapes, no numbers.

transformers renames and joins what it reads, in ways of each model type. So it is asked to do that here, with
a network and weights that have shapes and no numbers (torch's meta device).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from workbench.errors import Refusal
from workbench.models.hf.parts import parts_of
from workbench.models.hf.progress import heard, loading, quietly
from workbench.models.hf.stored import stored_as
from workbench.models.weights import listing

Shapes = Mapping[str, tuple[int, ...]]
"""Of weights as they are stored, by name."""


def demand_fit(cls: Any, config: Any, shapes: Shapes | None, folder: Path) -> None:
    """Raise Refusal where a model keeps its parts where they are not found, or weights do not fit it.

    The refusal names weights that are missing, unexpected or of another shape. `shapes`: None where they are
    not known yet. Weights that were quantised before they were stored have names and shapes of their own:
    they are left to the opening, as is everything of a model that cannot be built without numbers.
    """
    try:
        with torch.device("meta"), quietly():
            network = cls(deepcopy(config))
    except Exception as error:
        logging.getLogger(__name__).info("%s cannot be looked at beforehand: %s", cls.__name__, error)
        return
    parts_of(network)
    if shapes and not stored_as(config) and (found := _placed(network, shapes)):
        refuse_misfits(found, folder.name)


def refuse_misfits(info: Mapping[str, Any], folder: Path | str) -> None:
    """Raise Refusal with the names that transformers' account of a loading holds, if there are any."""
    wrong = {
        "missing": info["missing_keys"],
        "unexpected": info["unexpected_keys"],
        "of another shape": [
            f"{name} is {tuple(stored)}, should be {tuple(own)}"
            for name, stored, own in info["mismatched_keys"]
        ],
    }
    if problems := [f"Tensors {label}: {listing(sorted(names))}." for label, names in wrong.items() if names]:
        raise Refusal(
            f"The weights in {folder} do not fit the configuration beside them. {' '.join(problems)} "
            "Take weights and configuration from the same place."
        )


def _placed(network: Any, shapes: Shapes) -> Mapping[str, Any] | None:
    """What transformers tells of placing such weights; None where it cannot be asked.

    That is while it loads another model, and where a release has other parts inside: then names are compared
    at opening, as they are in any case.
    """
    if loading():
        return None
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.modeling_utils import LoadStateDictConfig

        with torch.device("meta"), heard(None), quietly():
            weights = {name: torch.empty(shape) for name, shape in shapes.items()}
            how = LoadStateDictConfig(
                device_map={"": "meta"},
                dtype=torch.float32,
                weight_mapping=get_model_conversion_mapping(network),
                ignore_mismatched_sizes=True,
            )
            info = network._load_pretrained_model(network, weights, None, how)[0]
            network.tie_weights(missing_keys=info.missing_keys, recompute_mapping=False)
            network._adjust_missing_and_unexpected_keys(info)
            found: Mapping[str, Any] = info.to_dict()
            return found
    except Exception as error:
        # It may be anything: these are inner parts of transformers.
        logging.getLogger(__name__).info("Names were not compared beforehand: %s", error)
        return None
