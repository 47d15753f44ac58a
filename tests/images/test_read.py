"""Everything a person may drop onto the page: read with a note or refused in a sentence."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.errors import Refusal
from workbench.images.read import MAX_BYTES, MAX_PIXELS, MIN_SIDE, read


@pytest.fixture
def pixels() -> np.ndarray:
    ramp = np.linspace(0, 255, 24 * 32 * 3).reshape(24, 32, 3)
    return np.random.default_rng(0).permuted(ramp, axis=2).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, form: str = "PNG", **options: object) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG made by hand: of forms and sizes that Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def refusal(source: object, **options: str) -> str:
    with pytest.raises(Refusal) as caught:
        read(source, **options)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert sentence.endswith(".") and len(sentence) < 300 and "\n" not in sentence
    return sentence


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_a_plain_picture_comes_through_untouched(form: str, pixels: np.ndarray, tmp_path: Path) -> None:
    data = encoded(pixels, form, **({"lossless": True} if form == "WEBP" else {}))
    path = tmp_path / f"picture.{form.lower()}"
    path.write_bytes(data)
    for source in (data, path, str(path), pixels):
        picture = read(source)
        assert np.array_equal(picture.pixels, pixels)
        assert picture.pixels.dtype == np.uint8 and picture.pixels.flags.c_contiguous
        assert picture.notes == ()


def test_jpeg(pixels: np.ndarray) -> None:
    smooth = np.array(Image.fromarray(pixels[:3, :4]).resize((32, 24), Image.Resampling.BICUBIC))
    picture = read(encoded(smooth, "JPEG", quality=98))
    assert abs(picture.pixels.astype(int) - smooth).mean() < 4 and picture.notes == ()


def test_the_digest_is_of_shape_and_pixels(pixels: np.ndarray) -> None:
    digest = read(pixels).sha256
    assert len(digest) == 64 and digest == read(encoded(pixels, "BMP")).sha256
    assert digest != read(pixels.reshape(32, 24, 3)).sha256
    changed = pixels.copy()
    changed[0, 0, 0] ^= 1
    assert digest != read(changed).sha256


# Not an image, or not a whole one.


@pytest.mark.parametrize(
    "data", [b"hello, this is text", b"%PDF-1.7 ...", b"<svg></svg>", b"\x00" * 4096, b"GIF89a"]
)
def test_not_an_image(data: bytes) -> None:
    assert "PNG, JPEG" in refusal(data) or "damaged" in refusal(data)


def test_postscript_is_never_run() -> None:
    assert "not an image" in refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n")


def test_heic_gets_its_own_way_out() -> None:
    assert "HEIC" in refusal(b"\x00\x00\x00\x18ftypheic" + b"\x00" * 64)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated(form: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise, form)
    sentence = refusal(data[: int(len(data) * share)], name="cat.dat")
    assert "“cat.dat”" in sentence and ("damaged" in sentence or "not an image" in sentence)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_flipped_bytes_never_escape_as_another_error(form: str, pixels: np.ndarray) -> None:
    data = encoded(pixels, form)
    generator = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(data)
        for place in generator.integers(0, len(data), 4):
            broken[place] = generator.integers(0, 256)
        try:
            read(bytes(broken))
        except Refusal:
            pass


def test_zero_bytes(tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    assert "“empty.png” is empty" in refusal(empty)
    assert "empty" in refusal(b"")


# Sizes.


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (MIN_SIDE - 1, 100)])
def test_too_small(size: tuple[int, int]) -> None:
    sentence = refusal(encoded(Image.new("RGB", size)))
    assert f"{size[0]}×{size[1]}" in sentence and "at least 8" in sentence
    assert "at least 8" in refusal(np.zeros((*size[::-1], 3), np.uint8))
    read(encoded(Image.new("RGB", (MIN_SIDE, MIN_SIDE))))


@pytest.mark.parametrize("side", [7_100, 12_000, 30_000])
def test_huge_is_refused_before_decoding(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    data = png(side, side, 8, 2, b"\x00" * 1000)
    sentence = refusal(data)
    assert (
        "million" in sentence
        and f"{side * side / 1e6:,.0f}" in sentence
        and f"{MAX_PIXELS / 1e6:.0f}" in sentence
    )


def test_a_huge_one_is_refused_without_a_word_on_stderr(tmp_path: Path) -> None:
    """Pillow would warn there, and pytest shows no warning of a process of its own."""
    path = tmp_path / "huge.png"
    path.write_bytes(png(12_000, 12_000, 8, 2, b"\x00" * 1000))
    code = "import sys\nfrom workbench.images.read import read\ntry:\n    read(sys.argv[1])\n"
    code += "except Exception as error:\n    print(type(error).__name__)\n"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("Refusal\n", "")


def test_a_small_file_may_be_a_large_picture() -> None:
    """A bomb: few bytes that would decode to gigabytes, as pixels or as metadata."""
    bomb = png(30_000, 30_000, 1, 0, b"\x00" * (30_000 * 3_751))
    assert len(bomb) < 200_000
    assert "900 million" in refusal(bomb)
    text = b"note\x00\x00" + zlib.compress(b"\x00" * 200_000_000)
    assert "damaged" in refusal(png(8, 8, 8, 2, b"\x00" * 200, (b"zTXt", text)))


def test_a_large_file_is_refused_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert "100 MB" in refusal(path)


# Forms of colour.


def test_cmyk(pixels: np.ndarray) -> None:
    cmyk = Image.fromarray(pixels).convert("CMYK")
    picture = read(encoded(cmyk, "TIFF"))
    assert abs(picture.pixels.astype(int) - pixels).max() <= 1
    assert any("CMYK" in note for note in picture.notes)
    red = read(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)).pixels
    assert red[8, 8, 0] > 240 and red[8, 8, 1:].max() < 15


def test_sixteen_bit_grey_keeps_its_range() -> None:
    deep = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    picture = read(encoded(Image.fromarray(deep)))
    assert np.array_equal(picture.pixels, np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, 2))
    assert any("16 bits" in note for note in picture.notes) and any("greyscale" in n for n in picture.notes)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colour_and_alpha(colour: int, channels: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (16, 16, channels)).astype(">u2")
    if channels != 3:
        deep[..., -1] = 65535
    rows = b"".join(b"\x00" + row.tobytes() for row in deep)
    picture = read(png(16, 16, 16, colour, rows))
    upper = (deep >> 8).astype(np.uint8)
    assert np.array_equal(
        picture.pixels, upper[..., :3] if channels >= 3 else np.repeat(upper[..., :1], 3, 2)
    )
    assert any("16 bits" in note for note in picture.notes)


def test_palette(pixels: np.ndarray) -> None:
    image = Image.fromarray(pixels).quantize(16)
    picture = read(encoded(image))
    assert np.array_equal(picture.pixels, np.array(image.convert("RGB")))
    assert any("palette" in note for note in picture.notes)


def test_a_transparent_palette_entry_stands_on_white() -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(0, (0, 0, 8, 16))
    picture = read(encoded(image, transparency=0))
    assert (picture.pixels[:, :8] == 255).all() and (picture.pixels[:, 8:] == (200, 0, 0)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(mode: str) -> None:
    values = np.zeros((16, 16, 4 if mode == "RGBA" else 2), np.uint8)
    values[..., -1] = np.arange(16) * 17
    picture = read(encoded(Image.fromarray(values)))
    assert np.array_equal(picture.pixels[0, :, 0], 255 - np.arange(16) * 17)
    assert any("white" in note for note in picture.notes)
    opaque = read(encoded(Image.new("RGBA", (16, 16), (1, 2, 3, 255))))
    assert opaque.notes == () and (opaque.pixels == (1, 2, 3)).all()


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey(mode: str) -> None:
    picture = read(encoded(Image.new(mode, (16, 16), 1 if mode == "1" else 77)))
    assert (picture.pixels == (255 if mode == "1" else 77)).all() and "greyscale" in picture.notes[0]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first(form: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if form == "WEBP" else {}
    picture = read(encoded(frames[0], form, save_all=True, append_images=frames[1:], **lossless))
    assert (picture.pixels == (255, 0, 0)).all()
    assert any("first" in note for note in picture.notes)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, pixels: np.ndarray) -> None:
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(pixels),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read(encoded(pixels, exif=exif))
    assert np.array_equal(picture.pixels, turned)
    assert any("EXIF" in note for note in picture.notes) == (orientation > 1)


@pytest.mark.parametrize("exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"])
def test_unreadable_metadata_does_not_cost_the_picture(exif: bytes, pixels: np.ndarray) -> None:
    assert np.array_equal(read(encoded(pixels, exif=exif)).pixels, pixels)


# Paths.


def test_paths_that_are_no_image_files(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "“absent.png” does not exist" in refusal(tmp_path / "absent.png")
    assert "No image was given" in refusal("")
    assert "No image was given" in refusal(None)
    assert "cannot be the path" in refusal("x" * 100_000)
    assert "cannot be the path" in refusal("a\0b.png")
    file = tmp_path / "file"
    file.write_bytes(b"x")
    assert "cannot be the path" in refusal(file / "below.png")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in refusal(tmp_path / "pipe.png")
    assert "not a regular file" in refusal("/dev/zero")


@pytest.mark.parametrize(("code", "part"), [(13, "may not be read"), (5, "another disk")])
def test_a_disk_that_fails(code: int, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(Image.new("RGB", (16, 16))))

    def fail(self: Path) -> bytes:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "read_bytes", fail)
    assert part in refusal(path)


def test_a_long_name_is_shortened() -> None:
    assert len(refusal(b"no", name="very" * 1000 + ".png")) < 200


# Arrays.


@pytest.mark.parametrize("shape", [(24,), (2, 24, 32, 3), (3, 24, 32), (24, 32, 2), (24, 32, 5), ()])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_arrays_of_another_shape(shape: tuple[int, ...], kind: type) -> None:
    assert str(shape) in refusal(np.zeros(shape, kind))


def test_float_arrays(pixels: np.ndarray) -> None:
    for kind in (np.float16, np.float32, np.float64):
        assert np.array_equal(read((pixels / 255).astype(kind)).pixels, pixels)
    for value in (-0.1, 1.1, np.nan, np.inf):
        bad = pixels / 255
        bad[3, 3, 0] = value
        assert "0..1" in refusal(bad)


def test_other_arrays(pixels: np.ndarray) -> None:
    assert np.array_equal(read(pixels.astype(np.uint16) * 257).pixels, pixels)
    assert np.array_equal(read(pixels[..., 0]).pixels, np.repeat(pixels[..., :1], 3, 2))
    assert np.array_equal(read(pixels[..., :1]).pixels, np.repeat(pixels[..., :1], 3, 2))
    clear = np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    assert (read(clear).pixels == 255).all()
    assert set(np.unique(read(pixels[..., 0] > 99).pixels)) == {0, 255}
    assert "int64" in refusal(pixels.astype(np.int64))
    assert "complex" in refusal(pixels.astype(np.complex64))
    assert "object" in refusal(np.full((24, 32, 3), None))
    assert "million" in refusal(np.broadcast_to(np.uint8(0), (30_000, 30_000, 3)))


def test_sixteen_bits_of_a_pgm_are_read_as_those_of_a_png() -> None:
    values = np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) * 170
    pgm = b"P5\n24 16\n65535\n" + values.astype(">u2").tobytes()
    shown = read(pgm)
    np.testing.assert_array_equal(shown.pixels[..., 0], values >> 8)
    assert any("16 bits" in note for note in shown.notes)
