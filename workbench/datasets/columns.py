"""Which columns of a parquet schema hold images, masks and labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.datasets.shards import Shard, values
from workbench.errors import Refusal

IMAGE_COLUMNS = ("image", "img", "pixel_values", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label", "target", "category")
MASK_COLUMNS = (
    *("annotation", "mask", "segmentation", "label_map", "semantic_mask", "segmentation_mask"),
    *("label", "labels"),
)
MOST_CLASSES = 5000
"""Different values up to which a column of text or numbers counts as a label."""


def image_column(schema: Any, title: str) -> str:
    """The column of images. Raises Refusal where there is none."""
    found = [name for name in schema.names if is_image(schema, name) and name not in MASK_COLUMNS]
    named = [name for name in IMAGE_COLUMNS if name in found]
    if not found:
        raise Refusal(f"{title} has no column of images; its columns are {', '.join(schema.names)}.")
    return (named or found)[0]


def mask_column(schema: Any) -> str:
    """The column of masks, empty where there is none."""
    return next((name for name in MASK_COLUMNS if name in schema.names and is_image(schema, name)), "")


def targets(schema: Any, shards: Sequence[Shard]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The columns that label a whole image, with their values, and what was left out."""
    features, found, said = _features(schema), {}, []
    for name in schema.names:
        about = features.get(name, {})
        if _is_class_label(about):
            found[name] = tuple(str(word) for word in about["names"])
        elif name in LABEL_COLUMNS and not is_image(schema, name):
            if not _names(schema.field(name).type):
                said.append(f"The column “{name}” is no label: it holds {schema.field(name).type}.")
                continue
            words = set().union(*(values(shard, name) for shard in shards))
            if 2 <= len(words) <= MOST_CLASSES:
                found[name] = tuple(str(v) for v in sorted(words))
            else:
                said.append(f"The column “{name}” is no label: it has {len(words):,} different values.")
    return found, tuple(said)


def _names(kind: Any) -> bool:
    """Whether cells of an Arrow type name one class each: words, or whole numbers."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def numbered(schema: Any) -> frozenset[str]:
    """The columns whose numbers stand for names, as ClassLabel writes them."""
    return frozenset(name for name, about in _features(schema).items() if _is_class_label(about))


def is_image(schema: Any, name: str) -> bool:
    """Whether a column holds pictures: as the datasets library writes them, or as bytes."""
    import pyarrow as pa

    if _features(schema).get(name, {}).get("_type") == "Image":
        return True
    kind = schema.field(name).type
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return binary or (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _features(schema: Any) -> Mapping[str, Any]:
    """What the datasets library wrote about the columns; empty where it wrote nothing."""
    try:
        return dict(json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}


def _is_class_label(about: Any) -> bool:
    return isinstance(about, Mapping) and about.get("_type") == "ClassLabel" and bool(about.get("names"))
