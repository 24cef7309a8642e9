"""Write and read Zarr groups (format 3), one file per chunk.

A chunk holds the little-endian bytes of the array and their CRC-32C, uncompressed, because
records of chains hardly compress. The fill value is -1 for integers and NaN for floats, so that
a missing chunk never reads as data. Writing does not use the zarr package, whose import takes
longer than many runs; reading does, and any other Zarr reader works too.
"""

import dataclasses
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from collapse_jax.store.files import Content, content_of, damaged, ended_by_crc


def pieces_of(arrays: Iterable[np.ndarray]) -> list[bytes | np.ndarray]:
    """Encode arrays in NPY format, one after the other, for `content_of`.

    Args:
      arrays: of any shapes and dtypes, without object dtypes.

    Returns:
      The pieces of the file: header and elements of each array.
    """
    pieces: list[bytes | np.ndarray] = []
    for array in arrays:
        header, whole = io.BytesIO(), np.asarray(array, order="C")
        described = np.lib.format.header_data_from_array_1_0(whole)
        np.lib.format.write_array_header_1_0(header, described)
        pieces += [header.getvalue(), whole]
    return pieces


def read_arrays(file: BinaryIO) -> Iterator[np.ndarray]:
    """Read the arrays of a file that holds the pieces of `pieces_of`.

    Args:
      file: open at the first array.

    Yields:
      The arrays in their order.

    Raises:
      ValueError: if an array is not in NPY format, or holds pickled objects.
    """
    begin = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(begin)
    while file.tell() < size:
        yield np.lib.format.read_array(file, allow_pickle=False)


# By kind of dtype: no count is -1 and no recorded float is meant to be NaN.
_FILL = {"f": "NaN", "i": -1, "b": False, "u": 0, "U": ""}
_CODECS = {"bytes", "crc32c", "vlen-utf8"}  # others may run code when they are read
_FOREIGN = "this library does not write such files; do not open it"


@dataclasses.dataclass(frozen=True, eq=False)
class Array:
    """An array of a group, as it is declared in the metadata.

    Attributes:
      dims: a name for every axis.
      shape: of the whole array.
      dtype: of the elements.
      chunks: shape of a chunk.
      values: elements to write with the metadata; None if the chunks are written later.
      attributes: such as units, JSON-able.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...]
    values: np.ndarray | None = None
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def num_chunks(self) -> int:
        """Return the number of chunks, each of which is a file."""
        pairs = zip(self.shape, self.chunks, strict=True)
        return math.prod(-(-size // max(1, chunk)) for size, chunk in pairs)

    @classmethod
    def of(
        cls, dims: tuple[str, ...], values: np.ndarray, attributes: Mapping[str, Any] | None = None
    ) -> Self:
        """Return an array that is written together with the metadata, in one chunk.

        Args:
          dims: a name for every axis.
          values: the elements.
          attributes: such as its units, JSON-able.

        Returns:
          The array, with one chunk of the shape of `values`.
        """
        shape = values.shape
        return cls(dims, shape, values.dtype, shape, values, dict(attributes or {}))


def group_files(
    path: str,
    arrays: Mapping[str, Array],
    coordinates: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    *,
    is_consolidated: bool = False,
) -> dict[str, Content]:
    """Return the files of a group: the metadata, and the chunks of arrays that have values.

    Args:
      path: name of the group, relative to the run directory.
      arrays: by name.
      coordinates: names of the arrays that are coordinates.
      attributes: of the group, JSON-able.
      is_consolidated: whether the metadata of the arrays are in the file of the group only.

    Returns:
      Contents by name relative to the run directory.
    """
    also = {"coordinates": " ".join(coordinates)} if coordinates else {}
    metadata = {name: _metadata(one) for name, one in arrays.items()}
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**(attributes or {}), **also},
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": metadata,
        },
    }
    contents: dict[str, Content] = {f"{path}/zarr.json": _json(group)}
    for name, one in arrays.items():
        if not is_consolidated:
            contents[f"{path}/{name}/zarr.json"] = _json(metadata[name])
        if one.values is not None and one.values.size:
            index = [0] * len(one.shape)
            contents[f"{path}/{chunk_name(name, index)}"] = chunk([one.values], one.chunks)
    return contents


def _metadata(one: Array) -> dict[str, Any]:
    is_text = one.dtype.kind == "U"
    numbers = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    shape = [max(1, size) for size in one.chunks]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(one.shape),
        "data_type": "string" if is_text else one.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": _FILL[one.dtype.kind],
        "codecs": [{"name": "vlen-utf8", "configuration": {}}] if is_text else numbers,
        "attributes": dict(one.attributes),
        "dimension_names": list(one.dims),
        "storage_transformers": [],
    }


def _json(content: Any) -> Content:
    return content_of([json.dumps(content, indent=1).encode() + b"\n"])


def chunk_name(array: str, index: Sequence[int]) -> str:
    """Name the file of a chunk; all chunks of an array are in one directory.

    Args:
      array: name of the array.
      index: of the chunk, one number per axis.

    Returns:
      The name relative to the group.
    """
    return f"{array}/{'.'.join(['c', *map(str, index)])}"


def chunk(parts: Sequence[np.ndarray], shape: Sequence[int]) -> Content:
    """Join arrays along the first axis into one chunk, padded with the fill value.

    Arrays that make up a whole chunk and are in C order are referenced, not copied.

    Args:
      parts: arrays of one dtype; one array of texts is encoded by itself.
      shape: of the chunk.

    Returns:
      The content of the chunk's file.
    """
    if parts[0].dtype.kind == "U":
        return content_of(list(_texts(parts[0])))
    dtype, ends = parts[0].dtype, np.cumsum([len(part) for part in parts if part.ndim])
    is_whole = all(part.shape[1:] == tuple(shape[1:]) for part in parts)
    if shape and not (is_whole and ends[-1] == shape[0]):
        whole = np.full(tuple(shape), float(_FILL[dtype.kind]), dtype)
        for part, end in zip(parts, ends, strict=True):
            inside = tuple(slice(size) for size in part.shape[1:])
            whole[(slice(end - len(part), end), *inside)] = part
        parts = [whole]
    little = dtype.newbyteorder("<")
    return ended_by_crc([np.ascontiguousarray(part, little) for part in parts])


def _texts(values: np.ndarray) -> Iterator[bytes]:
    """Yield the number of texts, then each text after its length: the vlen-utf8 codec."""
    texts = [text.encode() for text in values.ravel().tolist()]
    yield len(texts).to_bytes(4, "little")
    for text in texts:
        yield len(text).to_bytes(4, "little") + text


def read_chunk(path: Path, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Read a chunk of numbers without checking its checksum.

    Args:
      path: file of the chunk.
      dtype: of the elements.
      shape: of the chunk.

    Returns:
      The elements, of that dtype and shape.
    """
    little = np.dtype(dtype).newbyteorder("<")
    values = np.frombuffer(path.read_bytes()[:-4], little).reshape(tuple(shape))
    return values.astype(dtype, copy=False)


def check_metadata(path: Path, content: bytes) -> None:
    """Check that metadata asks for no more than reading plain numbers and texts.

    Args:
      path: a zarr.json, for the message.
      content: of the file.

    Raises:
      StoreError: if it is no JSON or names another codec.
    """
    try:
        found = set(_codecs(json.loads(content)))
    except (ValueError, RecursionError):
        raise damaged(path, "it is not valid JSON", _FOREIGN) from None
    if strange := found - _CODECS:
        raise damaged(path, f"it asks for the codec {sorted(map(str, strange))[0]!r}", _FOREIGN)


def _codecs(metadata: Any) -> Iterator[Any]:
    """Yield the names of all codecs, and of anything else that zarr looks up by name."""
    if isinstance(metadata, dict):
        for key, value in metadata.items():
            if key == "codecs":
                yield from (one.get("name") if isinstance(one, dict) else one for one in value)
            if key == "storage_transformers" and value:
                yield "storage_transformers"
            if key != "attributes":
                yield from _codecs(value)
    elif isinstance(metadata, list):
        for item in metadata:
            yield from _codecs(item)
