"""Reading an image that somebody else made: what it may be, what is done to it, and when it is refused.

Size is judged from the header, before any pixel is decoded. Only raster formats whose decoders run inside
Pillow are opened. Whatever is done to the picture on the way to 8-bit RGB is said in ``Picture.notes``.
"""

from __future__ import annotations

import errno
import hashlib
import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from workbench.errors import Refusal

# Pillow warns from 90 million pixels on; `_check_size` refuses fewer, in a sentence.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

MIN_SIDE = 8
MAX_PIXELS = 50_000_000
MAX_BYTES = 100_000_000
_READABLE = "PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF or PPM"
_FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"]
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as the workbench uses it.

    Attributes:
        pixels: uint8 (H, W, 3), RGB, each side at least ``MIN_SIDE``, at most ``MAX_PIXELS`` in all.
        notes: what was done to it, a sentence each; empty for an 8-bit RGB picture without peculiarities.
        sha256: hexadecimal digest of shape and pixels, whatever file they came in.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    sha256: str


def read(source: str | Path | bytes | NDArray[np.generic], *, name: str = "") -> Picture:
    """Read an image from a path, from the bytes of a file or from an array.

    Args:
        source: a path; the bytes of an image file; or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of
            uint8, of uint16 or of floats in 0..1.
        name: what to call the image in a refusal; the file's name where it is empty.

    Raises:
        Refusal: the image cannot be used; the sentence says why and what to do.
    """
    if isinstance(source, np.ndarray):
        called = _called(name, "The array")
        pixels, notes = _from_array(source, called)
        return _picture(pixels, notes)
    if isinstance(source, bytes):
        data, called = source, _called(name, "The image")
    elif isinstance(source, str | Path):
        called = _called(name or Path(source).name, "The path")
        data = _bytes_of(source, called)
    else:
        raise Refusal("No image was given. Choose one, or drop one onto the page.")
    if not data:
        raise Refusal(f"{called} is empty (0 bytes). Its copy or download probably failed: fetch it again.")
    return _picture(*_decode(data, called))


def _called(name: str, otherwise: str) -> str:
    if not name:
        return otherwise
    short = name if len(name) <= 60 else name[:40] + "…" + name[-16:]
    return f"“{short}”"


def _picture(pixels: NDArray[np.uint8], notes: list[str]) -> Picture:
    pixels = np.ascontiguousarray(pixels)
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels.tobytes())
    return Picture(pixels, tuple(notes), digest.hexdigest())


def _bytes_of(source: str | Path, called: str) -> bytes:
    if not str(source):
        raise Refusal("No image was given. Choose one, or drop one onto the page.")
    path = Path(source)
    try:
        if path.is_dir():
            raise Refusal(f"{called} is a folder. Give the path of one image file in it.")
        size = path.stat().st_size
        if not path.is_file():
            raise Refusal(f"{called} is not a regular file. Give the path of an image file.")
        if size > MAX_BYTES:
            raise Refusal(
                f"{called} has {size / 1e6:.0f} MB; the workbench reads up to {MAX_BYTES / 1e6:.0f} MB. "
                "Save a smaller version of it."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise Refusal(f"{called} does not exist. Check the path.") from None
    except PermissionError:
        raise Refusal(f"{called} may not be read. Change its permissions or copy it elsewhere.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTDIR):
            raise Refusal(f"{called} cannot be the path of a file. Check the path.") from None
        raise Refusal(
            f"{called} cannot be read ({error.strerror}). Copy it to another disk and retry."
        ) from None


def _decode(data: bytes, called: str) -> tuple[NDArray[np.uint8], list[str]]:
    formats = [*_FORMATS, "AVIF"] if features.check("avif") else _FORMATS
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        count = re.search(r"\d+", str(error))
        raise _too_many_pixels(called, int(count.group()) if count else None) from None
    except UnidentifiedImageError:
        raise _not_an_image(data, called) from None
    except _BROKEN:
        raise _damaged(called) from None
    width, height = image.size
    _check_size(width, height, called)
    try:
        notes = _remarks(image, data)
        image.load()
    except MemoryError:
        raise Refusal(f"There is not enough memory to open {called}. Save a smaller version of it.") from None
    except _BROKEN:
        raise _damaged(called) from None
    return _to_rgb(image, notes, called)


def _not_an_image(data: bytes, called: str) -> Refusal:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim"):
        return Refusal(
            f"{called} is a HEIC picture, which cannot be read here. Save it as JPEG or PNG first."
        )
    return Refusal(f"{called} is not an image that can be read here. Use a {_READABLE} file.")


def _damaged(called: str) -> Refusal:
    return Refusal(f"{called} is damaged or cut short: its pixels cannot be decoded. Fetch or save it again.")


def _too_many_pixels(called: str, count: int | None) -> Refusal:
    has = "too many pixels" if count is None else f"{count / 1e6:,.0f} million pixels"
    return Refusal(
        f"{called} has {has}; the workbench reads up to {MAX_PIXELS / 1e6:.0f} million. "
        "Save a smaller version of it."
    )


def _check_size(width: int, height: int, called: str) -> None:
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(called, width * height)
    if min(width, height) < MIN_SIDE:
        raise Refusal(
            f"{called} is {width}×{height} pixels, and each side needs at least {MIN_SIDE}. "
            "Choose a larger image."
        )


def _remarks(image: Image.Image, data: bytes) -> list[str]:
    """What is worth saying before the pixels are decoded. MPO (phones) holds one picture and its previews."""
    notes = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        paged = image.format == "TIFF"
        several, first = (
            ("It has several pages", "the first") if paged else ("It is animated", "its first frame")
        )
        notes.append(f"{several}; {first} is used.")
    if image.mode != "I;16" and _bits(image, data) == 16:
        notes.append("Its 16 bits a channel were reduced to the upper 8.")
    return notes


def _bits(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 8


def _narrowed(values: NDArray[np.generic], called: str) -> NDArray[np.generic]:
    """Whole numbers of 32 bits as the 16 that they stand for: Pillow reads some 16-bit formats so."""
    if values.dtype.kind != "i":
        return values
    if values.min() < 0 or values.max() > 65535:
        raise Refusal(f"{called} holds numbers beyond 16 bits a channel. Save it with 8 or 16 bits, as PNG.")
    return values.astype(np.uint16)


def _to_rgb(image: Image.Image, notes: list[str], called: str) -> tuple[NDArray[np.uint8], list[str]]:
    upright = _upright(image)
    if upright is not image:
        notes.append("It was turned upright, as its EXIF orientation says.")
        image = upright
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        pixels, more = _from_array(_narrowed(np.array(image), called), called)
        return pixels, notes + more
    if image.mode == "CMYK":
        notes.append("Its CMYK colours were converted to RGB without a colour profile.")
    elif image.mode in ("P", "PA"):
        notes.append("Its palette was resolved to RGB.")
    elif image.mode in ("1", "L", "LA", "La"):
        notes.append("It is greyscale: the three channels are equal.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            notes.append("Its transparent parts were laid on white.")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    try:
        return np.array(image.convert("RGB")), notes
    except ValueError:
        raise Refusal(
            f"{called} has colours of mode {image.mode}. Save it as an RGB picture first."
        ) from None


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; the same object where nothing is to be turned."""
    try:
        orientation = image.getexif().get(0x0112, 1)
        return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image
    except _BROKEN:
        return image  # Unreadable metadata of a readable picture.


def _from_array(array: NDArray[np.generic], called: str) -> tuple[NDArray[np.uint8], list[str]]:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise Refusal(
            f"{called} has shape {array.shape}; an image has shape (height, width), or 1, 3 or 4 channels "
            "after them. Reorder or select its axes."
        )
    _check_size(array.shape[1], array.shape[0], called)
    notes = []
    values: NDArray[np.generic] = array
    if array.dtype == np.bool_:
        values = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise Refusal(
                f"{called} holds floating-point values outside 0..1, or not finite. Scale them to 0..1 first."
            )
        values = np.rint(array.astype(np.float64) * 255).astype(np.uint8)
        notes.append("Its values in 0..1 were rounded to 8 bits.")
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        values = (array.astype(np.uint16) >> 8).astype(np.uint8)
        notes.append("Its 16 bits a channel were reduced to the upper 8.")
    elif array.dtype != np.uint8:
        raise Refusal(f"{called} holds values of type {array.dtype}. Use uint8, uint16 or floats in 0..1.")
    channels = values[..., None] if values.ndim == 2 else values
    if channels.shape[2] == 1:
        notes.append("It is greyscale: the three channels are equal.")
        return np.repeat(channels, 3, axis=2).astype(np.uint8), notes
    if channels.shape[2] == 4:
        if channels[..., 3].min() < 255:
            notes.append("Its transparent parts were laid on white.")
        image = Image.fromarray(np.ascontiguousarray(channels).astype(np.uint8))
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.array(image.convert("RGB")), notes
    return channels.astype(np.uint8), notes
