"""Image files of every kind: values in [0, 1] by a rule, or one line that refuses."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import collapse_jax as cj

BYTES = (np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)
WORDS = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
GREY = Image.fromarray(BYTES)
DEEP = Image.fromarray(WORDS)
FLOATS = (WORDS / 65535).astype(np.float32)
WHITE = np.ones((8, 8))
NUMBER = 20


def file_of(image, kind, **options):
    """Return the content of an image file."""
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def chunk(name, content):
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png_of(width, height, rows=b"", bits=8, colour=0):
    """Return a PNG of any pixels, or none."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff_of(bits, content, photometric=1, sample_format=1):
    """Return an uncompressed TIFF of 8 x 8 pixels; Pillow cannot write all that it reads."""
    values = {256: 8, 257: 8, 258: bits, 259: 1, 262: photometric, 277: 1, 278: 8}
    values |= {273: 8 + 2 + 10 * 12 + 4, 279: len(content), 339: sample_format}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, values[tag]) for tag in sorted(values))
    head = b"II*\0" + struct.pack("<IH", 8, len(values))
    return head + fields + struct.pack("<I", 0) + content


def twelve_bits(values):
    """Pack pairs of numbers below 4,096 into three bytes."""
    pairs = np.reshape(values, (-1, 2)).tolist()
    return b"".join(
        bytes([one >> 4, (one & 15) << 4 | other >> 8, other & 255]) for one, other in pairs
    )


def folder_of(path, content, name="00.png", plain=GREY):
    """Write a folder of plain images, and one odd image before them."""
    for number in range(1, NUMBER):
        plain.save(path / f"{number:02}.png")
    (path / name).write_bytes(content)
    return path


def two_of(image, kind, **options):
    """Return the content of a file with two images; saving leaves traces in an image."""
    return file_of(image, kind, save_all=True, append_images=[image.rotate(90)], **options)


def upright(orientation):
    """Return BYTES as EXIF says that it is to be shown."""
    turned = np.rot90(BYTES, {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}.get(orientation, 0))
    flips = {2: np.fliplr, 4: np.fliplr, 5: np.flipud, 7: np.flipud}
    return flips.get(orientation, np.asarray)(turned)


def turned_file(orientation, kind, image=GREY):
    exif = Image.Exif()
    exif[274] = orientation
    return file_of(image, kind, exif=exif)


def grey_of(red, green, blue):
    """Return grey by ITU-R 601."""
    return (0.299 * red + 0.587 * green + 0.114 * blue) * WHITE / 255


def merged(mode, *bands):
    return Image.merge(mode, [Image.fromarray(np.full((8, 8), band, np.uint8)) for band in bands])


PALETTE = GREY.convert("P")
RED = merged("RGB", 200, 10, 50)
ONE_BIT = Image.fromarray((BYTES > 99) * np.uint8(255)).convert("1")
HALF = (BYTES > 99) * 1.0
CLEAR = merged("LA", 100, 0)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8))

READ = {
    "8 bits": (file_of(GREY, "PNG"), BYTES / 255),
    "1 bit": (file_of(ONE_BIT, "PNG"), HALF),
    "1 bit, TIFF": (file_of(ONE_BIT, "TIFF"), HALF),
    "1 bit, PBM": (file_of(ONE_BIT, "PPM"), HALF),
    "16 bits, PNG": (file_of(DEEP, "PNG"), WORDS / 65535),
    "16 bits, TIFF": (file_of(DEEP, "TIFF"), WORDS / 65535),
    "16 bits, big endian": (file_of(Image.fromarray(WORDS.astype(">u2")), "TIFF"), WORDS / 65535),
    "16 bits, PGM": (file_of(DEEP, "PPM"), WORDS / 65535),
    "16 bits, JPEG 2000": (file_of(DEEP, "JPEG2000", irreversible=False), WORDS / 65535),
    "12 bits, TIFF": (tiff_of(12, twelve_bits(WORDS >> 4)), (WORDS >> 4) / 4095),
    "12 bits, PGM": (b"P5 8 8 4095\n" + (WORDS >> 4).astype(">u2").tobytes(), (WORDS >> 4) / 4095),
    "4 bits, PGM": (b"P2 8 8 15\n" + b"15 " * 64, WHITE),
    "white is zero": (tiff_of(8, BYTES.tobytes(), photometric=0), 1 - BYTES / 255),
    "white is zero, 16 bits": (tiff_of(16, WORDS.tobytes(), photometric=0), 1 - WORDS / 65535),
    "white is zero, floats": (tiff_of(32, FLOATS.tobytes(), 0, 3), 1 - FLOATS),
    "floats": (file_of(Image.fromarray(FLOATS), "TIFF"), FLOATS),
    "dark floats": (file_of(Image.fromarray(FLOATS / 100), "TIFF"), FLOATS / 100),
    "colour": (file_of(RED, "PNG"), grey_of(200, 10, 50)),
    "colour, 16 bits": (
        png_of(8, 8, 8 * (b"\0" + 8 * bytes([200, 0, 10, 0, 50, 0])), 16, 2),
        grey_of(200, 10, 50),
    ),
    "colour, TIFF": (file_of(RED, "TIFF"), grey_of(200, 10, 50)),
    "YCbCr": (file_of(RED.convert("YCbCr"), "TIFF", compression="tiff_lzw"), grey_of(200, 10, 50)),
    "CMYK, TIFF": (file_of(GREY.convert("CMYK"), "TIFF"), BYTES / 255),
    "CMYK, JPEG": (file_of(GREY.convert("CMYK"), "JPEG", quality=100), BYTES / 255),
    "JPEG": (file_of(GREY, "JPEG", quality=100), BYTES / 255),
    "WebP": (file_of(GREY.convert("RGB"), "WEBP", lossless=True), BYTES / 255),
    "BMP": (file_of(GREY, "BMP"), BYTES / 255),
    "GIF": (file_of(GREY, "GIF"), BYTES / 255),
    "palette": (file_of(PALETTE, "PNG"), BYTES / 255),
    "palette, a colour clear": (
        file_of(PALETTE, "PNG", transparency=0),
        np.where(BYTES == 0, 1, BYTES / 255),
    ),
    "palette, all clear": (file_of(PALETTE, "PNG", transparency=bytes(256)), WHITE),
    "GIF, a colour clear": (
        file_of(PALETTE, "GIF", transparency=0),
        np.where(BYTES == 0, 1, BYTES / 255),
    ),
    "grey, a value clear": (
        file_of(GREY, "PNG", transparency=8),
        np.where(BYTES == 8, 1, BYTES / 255),
    ),
    "16 bits, a value clear": (
        file_of(DEEP, "PNG", transparency=2080),
        np.where(WORDS == 2080, 1, WORDS / 65535),
    ),
    "1 bit, black clear": (file_of(ONE_BIT, "PNG", transparency=0), WHITE),
    "colour, one clear": (file_of(RED, "PNG", transparency=(200, 10, 50)), WHITE),
    "grey and clear": (file_of(CLEAR, "PNG"), WHITE),
    "grey and opaque": (file_of(merged("LA", 100, 255), "PNG"), WHITE * 100 / 255),
    "grey and half clear": (file_of(merged("LA", 0, 128), "PNG"), WHITE * 127 / 255),
    "grey and clear, TIFF": (file_of(CLEAR, "TIFF"), WHITE),
    "colour and clear": (file_of(merged("RGBA", 1, 2, 3, 0), "PNG"), WHITE),
    "colour and opaque": (file_of(merged("RGBA", 200, 10, 50, 255), "PNG"), grey_of(200, 10, 50)),
    "WebP, clear": (file_of(merged("RGBA", 1, 2, 3, 0), "WEBP", lossless=True), WHITE),
    "two views": (two_of(GREY.convert("RGB"), "MPO", quality=100), BYTES / 255),
    "upright": (turned_file(1, "PNG"), BYTES / 255),
    "mirrored": (turned_file(2, "PNG"), upright(2) / 255),
    "upside down": (turned_file(3, "PNG"), upright(3) / 255),
    "upside down and mirrored": (turned_file(4, "PNG"), upright(4) / 255),
    "transposed": (turned_file(5, "PNG"), BYTES.T / 255),
    "to the right": (turned_file(6, "PNG"), upright(6) / 255),
    "transversed": (turned_file(7, "PNG"), BYTES[::-1, ::-1].T / 255),
    "to the left": (turned_file(8, "PNG"), upright(8) / 255),
    "to the right, TIFF": (file_of(GREY, "TIFF", tiffinfo={274: 6}), upright(6) / 255),
    "to the right, 16 bits": (turned_file(6, "PNG", DEEP), np.rot90(WORDS, -1) / 65535),
    "orientation of no meaning": (turned_file(9, "PNG"), BYTES / 255),
    "narrow": (file_of(Image.fromarray(np.full((1000, 1), 51, np.uint8)), "PNG"), WHITE * 0.2),
    "one pixel": (file_of(Image.new("L", (1, 1), 51), "PNG"), WHITE * 0.2),
    "large": (file_of(GREY.resize((800, 800), Image.Resampling.NEAREST), "PNG"), None),
}


@pytest.mark.parametrize("case", READ)
def test_files_are_read_by_a_rule(case, tmp_path):
    content, expected = READ[case]
    source = cj.Images.load(folder_of(tmp_path, content), 8)
    found = source.images[0].reshape(8, 8)
    close = 2.5 / 255 if "JPEG" in case or case == "two views" else 0.51 / 255
    if expected is not None:
        np.testing.assert_allclose(found, expected, atol=close)
    assert np.all((found >= 0) & (found <= 1))
    assert found.max() > 0
    np.testing.assert_allclose(source.images[1], BYTES.ravel() / 255, rtol=1e-6)


REFUSED = {
    "32-bit integers": (
        tiff_of(32, WORDS.astype(np.uint32).tobytes()),
        "it has 32-bit integers, whose white is not known; convert it",
    ),
    "signed, 8 bits": (tiff_of(8, BYTES.tobytes(), sample_format=2), "it has signed integers"),
    "signed, 16 bits": (tiff_of(16, WORDS.tobytes(), sample_format=2), "it has signed integers"),
    "signed, 32 bits": (
        file_of(Image.fromarray(WORDS.astype(np.int32)), "TIFF"),
        "it has signed integers",
    ),
    "10 bits": (tiff_of(10, bytes(80)), "it is no image that Pillow can read; convert it"),
    "doubles": (tiff_of(64, bytes(512), sample_format=3), "no image that Pillow can read"),
    "floats to 255": (
        file_of(Image.fromarray(BYTES.astype(np.float32)), "TIFF"),
        r"values must lie in \[0, 1\], and one is 4; save it",
    ),
    "negative floats": (
        file_of(Image.fromarray(FLOATS - 1), "TIFF"),
        r"values must lie in \[0, 1\], and one is -1;",
    ),
    "NaN": (file_of(Image.fromarray(FLOATS * np.nan), "TIFF"), "one is nan"),
    "infinity": (file_of(Image.fromarray(FLOATS + np.inf), "TIFF"), "one is inf"),
    "Lab": (file_of(Image.new("LAB", (8, 8)), "TIFF"), "LAB to RGB not supported.*convert it"),
    "animated GIF": (two_of(GREY, "GIF"), "it has 2 images; save the frames"),
    "animated PNG": (two_of(GREY, "PNG"), "it has 2 images"),
    "animated WebP": (two_of(GREY.convert("RGB"), "WEBP"), "it has 2 images"),
    "TIFF of several pages": (two_of(GREY, "TIFF"), "it has 2 images"),
    "empty": (b"", "it is no image that Pillow can read"),
    "text": (b"a picture of a cat", "it is no image that Pillow can read"),
    "web page": (b"<!DOCTYPE html><html>404</html>", "it is no image that Pillow can read"),
    "HEIC by another name": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "no image .*8-bit PNG"),
    "no pixels": (png_of(0, 0), "it is no image that Pillow can read"),
    "no rows": (png_of(5, 0), "it is no image that Pillow can read"),
    "too many pixels": (png_of(100_000, 100_000), "it cannot be read .*exceeds limit"),
    "value above the maximum": (b"P2 2 1 15\n16 7\n", "it cannot be read .*too large"),
} | {
    f"{kind} cut short": (
        file_of(NOISE.convert("RGB") if kind == "WEBP" else NOISE, kind)[:1500],
        r"it cannot be read \(.*\); repair it, or convert it",
    )
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "PPM", "WEBP", "JPEG2000")
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_in_one_line(case, tmp_path):
    content, message = REFUSED[case]
    with pytest.raises(cj.ArgumentError, match=rf"images=.*00.png: .*{message}") as error:
        cj.Images.load(folder_of(tmp_path, content), 8)
    assert "\n" not in str(error.value)


def test_a_file_without_permission_or_target_is_named(tmp_path):
    folder_of(tmp_path, file_of(GREY, "PNG"))
    (tmp_path / "05.png").unlink()
    (tmp_path / "05.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(cj.ArgumentError, match=r"05.png: it cannot be read \(No such file"):
        cj.Images.load(tmp_path, 8)


def test_a_name_of_two_lines_is_shown_in_one(tmp_path):
    with pytest.raises(cj.ArgumentError, match=r"00 cat.png: it is no image") as error:
        cj.Images.load(folder_of(tmp_path, b"", "00\ncat.png"), 8)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["HEIC", "heif", "svg", "dng", "jxl", "psd", "dcm", "exr"])
def test_images_of_other_kinds_are_not_left_out_silently(suffix, tmp_path):
    folder = folder_of(tmp_path, b"", f"photo.{suffix}")
    message = rf"photo.{suffix}: files .{suffix.lower()} are not read; convert it"
    with pytest.raises(cj.ArgumentError, match=message):
        cj.Images.load(folder, 8)


@pytest.mark.parametrize(
    "name",
    [
        "labels.csv",
        ".hidden.png",
        "._00.png",
        ".ipynb_checkpoints/00.png",
        "__MACOSX/._00.png",
        "Thumbs.db",
        "archive.png/readme.md",
    ],
)
def test_other_files_of_a_folder_are_ignored(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    source = cj.Images.load(folder_of(tmp_path, b"no image", name), 8)
    assert source.num_rows + len(source.test) == NUMBER - 1
    assert source.labels is None


@pytest.mark.parametrize("names", [[], ["notes.txt"], [".a.png"], ["a.png/b.txt"], ["a.zip"]])
def test_a_folder_without_images_is_refused(names, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(cj.ArgumentError, match=r"holds no image .*png.*; pass another folder"):
        cj.Images.load(tmp_path, 8)


@pytest.mark.parametrize("mode", ["mask", "12 bits"])
def test_files_that_are_all_nearly_black_are_refused(mode, tmp_path):
    mask = Image.fromarray((BYTES > 99).astype(np.uint8))
    dark = mask if mode == "mask" else Image.fromarray(WORDS >> 4)
    with pytest.raises(cj.ArgumentError, match=r"brightest pixel of all.*save masks of 0 and 1 as"):
        cj.Images.load(folder_of(tmp_path, file_of(dark, "PNG"), plain=dark), 8)


def test_images_of_any_size_are_stretched(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (10, 1))
    source = cj.Images.load(folder_of(tmp_path, file_of(Image.fromarray(ramp), "PNG")), 8)
    found = source.images[0].reshape(8, 8)
    assert np.all(np.diff(found, axis=1) > 0.1)
    np.testing.assert_allclose(found, found[:1].repeat(8, axis=0), atol=1e-6)


def test_a_number_of_images_is_spread_over_all_classes(tmp_path):
    sizes = {"ape": 60, "bat": 30, "cat": 10}
    for number, (name, size) in enumerate(sizes.items()):
        (tmp_path / name).mkdir()
        for index in range(size):
            Image.new("L", (8, 8), 80 * number + index).save(tmp_path / name / f"{index:02}.png")
    source = cj.Images.load(tmp_path, 8, 20)
    assert np.bincount(np.append(source.labels, source.test_labels)).tolist() == [12, 6, 2]
    values = np.append(source.images[:, 0], source.test[:, 0]) * 255
    of_apes = np.sort(values[np.append(source.labels, source.test_labels) == 0])
    np.testing.assert_allclose(of_apes, np.arange(0, 60, 5), atol=1e-4)
    many = cj.Images.load(tmp_path, 8, 1000)
    assert many.num_rows + len(many.test) == 100


@pytest.mark.parametrize("name", ["cats", "", "a.png", "a.npy", "x" * 5000, "a\0b", None, 3, BYTES])
def test_other_names_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(file_of(GREY, "PNG"))
    with pytest.raises(cj.ArgumentError, match=r"images=.*(pass digits|null characters)") as error:
        cj.Images.load(name)
    assert "\n" not in str(error.value)


def test_the_home_folder_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    folder_of(tmp_path / "pictures", file_of(GREY, "PNG"))
    assert cj.Images.load("~/pictures", 8).num_rows == 18


MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F", "I;16", "I;16B"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("1", "L", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "PPM": ("1", "L", "RGB", "I;16"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
}
KINDS = [(kind, mode) for kind, modes in MODES.items() for mode in modes]


def read_or_refusal(call):
    """Return the values of images, or the lines of a refusal."""
    try:
        return call().images, []
    except cj.ArgumentError as error:
        return np.zeros(1), str(error).splitlines()


@given(
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.binary(min_size=12, max_size=12),
    st.one_of(st.none(), st.integers(0, 200)),
)
def test_any_file_has_values_in_range_or_is_refused(tmp_path_factory, kind, size, pixels, cut):
    name, mode = kind
    image = Image.new(mode, size)
    data = (pixels * (1 + len(image.tobytes()) // 12))[: len(image.tobytes())]
    image.frombytes(data)
    if mode == "P":
        image.putpalette(pixels * 64)
    folder = tmp_path_factory.getbasetemp() / "any_files"
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # floats of random bits overflow, and more
        content = file_of(image, name)
        folder_of(folder, content[:cut])
        values, lines = read_or_refusal(lambda: cj.Images.load(folder, 8))
    assert np.all((values >= 0) & (values <= 1))
    assert len(lines) <= 1
    assert not lines or "00.png: " in lines[0]
