"""What is stored is read as a viewer shows it, or refused with a sentence."""

import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from dpl_nas.errors import TaskError
from dpl_nas.tasks.pictures import check_picture, colour, is_picture, read_picture

RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8))


def pixels(file: Path, background: str = "white") -> np.ndarray:
    image = read_picture(str(file), background)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jp2", "a.pgm"])
def test_grey_of_16_bits_is_scaled(tmp_path: Path, name: str) -> None:
    kept = RAMP.astype(np.int32) if name.endswith("pgm") else RAMP
    Image.fromarray(kept).save(tmp_path / name)
    found = pixels(tmp_path / name)
    assert (found[..., 0] == np.rint(RAMP / 257)).all()
    assert (found == found[..., :1]).all()


def test_floats_from_0_to_1_are_scaled_and_others_refused(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    assert (pixels(tmp_path / "a.tif")[..., 0] == np.rint(ramp * 255)).all()
    for factor in (255, -1, np.nan):
        Image.fromarray(ramp * np.float32(factor)).save(tmp_path / "b.tif")
        with pytest.raises(TaskError, match="not from 0 to 1: save it with 8 bits"):
            pixels(tmp_path / "b.tif")


def test_whole_numbers_without_a_known_white_are_refused(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(TaskError, match="without a known black and white"):
        pixels(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_pictures_are_turned(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    NOISE.save(file, exif=exif)
    with Image.open(file) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(pixels(file), expected)
    assert pixels(file).shape == ((20, 30, 3) if orientation < 5 else (30, 20, 3))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "tga"])
def test_what_is_transparent_shows_the_background(tmp_path: Path, suffix: str) -> None:
    seen = NOISE.convert("RGBA")
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, 15:] = 255
    seen.putalpha(Image.fromarray(alpha))
    file = tmp_path / f"a.{suffix}"
    seen.save(file, **({"lossless": True} if suffix == "webp" else {}))
    for background, expected in (("white", (255, 255, 255)), ("#ff8000", (255, 128, 0))):
        found = pixels(file, background)
        assert (found[:, :15] == expected).all()
        assert (found[:, 15:] == np.asarray(NOISE)[:, 15:]).all()


def test_transparent_colours_of_palettes_and_greys(tmp_path: Path) -> None:
    palette = NOISE.quantize(16)
    palette.save(tmp_path / "p.png", transparency=3)
    gone = np.asarray(palette) == 3
    found = pixels(tmp_path / "p.png", "#010203")
    assert (found[gone] == (1, 2, 3)).all()
    assert (found[~gone] == np.asarray(palette.convert("RGB"))[~gone]).all()
    NOISE.convert("LA").save(tmp_path / "la.png")
    assert (pixels(tmp_path / "la.png") == np.asarray(NOISE.convert("L"))[..., None]).all()
    Image.fromarray(RAMP).save(tmp_path / "k.png", transparency=0)
    assert pixels(tmp_path / "k.png")[0, :2, 0].tolist() == [255, 0]


def test_an_opaque_picture_is_what_it_always_was(tmp_path: Path) -> None:
    for mode in ("RGB", "L", "P", "1", "CMYK"):
        NOISE.convert(mode).save(tmp_path / "a.tif")
        with Image.open(tmp_path / "a.tif") as image:
            assert np.array_equal(pixels(tmp_path / "a.tif"), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_frames(tmp_path: Path, suffix: str) -> None:
    file = str(tmp_path / f"a.{suffix}")
    first, *others = (Image.new("RGB", (8, 8), name) for name in ("red", "green", "blue"))
    first.save(file, save_all=True, append_images=others)
    assert check_picture(file)
    red, green, blue = read_picture(file).getpixel((4, 4))  # type: ignore[misc]
    assert red > 250
    assert green + blue < 5
    first.save(file)
    assert not check_picture(file)


@pytest.mark.parametrize("name", ["a.png", "a", "a.jpg", "a.what"])
def test_the_content_decides_what_it_is(tmp_path: Path, name: str) -> None:
    NOISE.save(tmp_path / name, format="PNG")
    assert is_picture(str(tmp_path / name), regular=True)
    assert np.array_equal(pixels(tmp_path / name), np.asarray(NOISE))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"hello", "Pillow does not know its format"),
        (b"\0" * 1000, "Pillow does not know its format"),
    ],
)
def test_what_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    for name in ("a.png", "a.tga", "a.txt"):
        (tmp_path / name).write_bytes(content)
        assert is_picture(str(tmp_path / name), regular=True) == (name != "a.txt")
    with pytest.raises(TaskError, match=rf"a\.png is not a readable image \({words}"):
        pixels(tmp_path / "a.png")


def test_postscript_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "a.eps"
    NOISE.save(file)
    assert not is_picture(str(file), regular=True)
    (tmp_path / "a.png").write_bytes(file.read_bytes())
    with pytest.raises(TaskError, match="Pillow does not know its format"):
        pixels(tmp_path / "a.png")


def test_a_truncated_picture(tmp_path: Path) -> None:
    NOISE.save(tmp_path / "whole.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "whole.png").read_bytes()[:500])
    with pytest.raises(TaskError, match="truncated"):
        pixels(tmp_path / "a.png")


def test_pictures_of_absurd_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)
    # As some programs do for all that they import.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(TaskError, match="60000 x 60000 pixels"):
        pixels(file)


def test_a_path_of_windows(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"does not exist\): restore it, or write / for \\ in its"):
        read_picture(str(tmp_path / "grey\\1.png"))
    with pytest.raises(TaskError, match=r"does not exist\): restore it$"):
        read_picture(str(tmp_path / "grey/1.png"))


def test_nothing_but_files_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        for name in ("fifo.png", "device.png", "nowhere.png", "socket.png"):
            with pytest.raises(TaskError, match="but is neither a file nor a link"):
                is_picture(str(tmp_path / name), regular=False)
            with pytest.raises(TaskError, match="is not a readable image"):
                pixels(tmp_path / name)


def test_colours() -> None:
    assert colour("white") == (255, 255, 255)
    assert colour("#0a0b0c") == (10, 11, 12)
    for wrong in ("whitish", "#ffffff00", ""):
        with pytest.raises(ValueError, match="name of a colour"):
            colour(wrong)


@pytest.mark.parametrize("bits", [2, 4])
def test_the_transparent_grey_of_few_bits(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "key.png"
    most = 2**bits - 1
    # Pillow writes grey with few bits only as a palette: the chunks are made by hand.
    row = sum(
        value << (8 - bits * (place + 1)) for place, value in enumerate((0, 1, most)[: 8 // bits])
    )
    width = min(3, 8 // bits)
    head = struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"tRNS", struct.pack(">H", 1)))
    chunks += ((b"IDAT", zlib.compress(bytes([0, row]))), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)
    found = np.asarray(read_picture(str(path), "#ff0000"))[0]
    assert found[0].tolist() == [0, 0, 0]
    assert found[1].tolist() == [255, 0, 0]


def test_a_flipped_bit_of_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 4
    path.write_bytes(content)
    with pytest.raises(TaskError, match="not a readable image"):
        read_picture(str(path), "white")
