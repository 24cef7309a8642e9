"""Zarr groups (format 3) as files that are written and checked one by one.

A chunk is the little-endian bytes of the array and their CRC-32C, uncompressed: numbers of
chains do not compress. Integers fill with -1 and floats with NaN, so that a chunk that is
not there never reads as data. Written without the zarr package, whose import takes longer
than many a run; read by it, as by any program that knows the format.
"""

import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from collapse_jax.store.files import Content, content_of, damaged, ended_by_crc


def pieces_of(arrays: Iterable[np.ndarray]) -> list[bytes | np.ndarray]:
    """What such a file holds."""
    pieces: list[bytes | np.ndarray] = []
    for array in arrays:
        header, whole = io.BytesIO(), np.asarray(array, order="C")
        described = np.lib.format.header_data_from_array_1_0(whole)
        np.lib.format.write_array_header_1_0(header, described)
        pieces += [header.getvalue(), whole]
    return pieces


def read_arrays(file: BinaryIO) -> Iterator[np.ndarray]:
    """The arrays in such a file."""
    size = os.fstat(file.fileno()).st_size
    while file.tell() < size:
        yield np.lib.format.read_array(file, allow_pickle=False)


_FILL = {"f": "NaN", "i": -1, "b": False, "u": 0, "U": ""}
_CODECS = {"bytes", "crc32c", "vlen-utf8"}
_FOREIGN = "it was not written by this library; do not open it"


@dataclasses.dataclass(frozen=True, eq=False)
class Array:
    """One array of a group.

    Attributes:
      dims: a name for every axis.
      shape: its shape.
      dtype: of its elements.
      chunks: shape of a chunk.
      values: what to write now; None leaves every chunk to be written later.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...]
    values: np.ndarray | None = None

    @classmethod
    def of(cls, dims: tuple[str, ...], values: np.ndarray) -> Self:
        """An array that is written now, in one chunk."""
        return cls(dims, values.shape, values.dtype, values.shape, values)


def group_files(
    path: str,
    arrays: Mapping[str, Array],
    coordinates: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Content]:
    """The files of a group: metadata, and the chunks of arrays that have values.

    Args:
      path: relative name of the group.
      arrays: by name.
      coordinates: names of arrays that are coordinates.
      attributes: JSON-able, of the group.
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
        contents[f"{path}/{name}/zarr.json"] = _json(metadata[name])
        if one.values is not None and one.values.size:
            place = [0] * len(one.shape)
            contents[f"{path}/{chunk_name(name, place)}"] = chunk([one.values], one.chunks)
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
        "attributes": {},
        "dimension_names": list(one.dims),
        "storage_transformers": [],
    }


def _json(content: Any) -> Content:
    return content_of([json.dumps(content, indent=1).encode() + b"\n"])


def chunk_name(array: str, place: Sequence[int]) -> str:
    """File of a chunk, relative to its group; all of an array lie in one directory."""
    return f"{array}/{'.'.join(['c', *map(str, place)])}"


def chunk(parts: Sequence[np.ndarray], shape: Sequence[int]) -> Content:
    """A chunk of arrays that follow one another on the first axis; filled up where they end.

    Their memory is used, not copied, if it is a whole chunk in C order.
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
    """The number of texts, and each after its length."""
    texts = [text.encode() for text in values.ravel().tolist()]
    yield len(texts).to_bytes(4, "little")
    for text in texts:
        yield len(text).to_bytes(4, "little") + text


def read_chunk(path: Path, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """The values of a chunk of numbers."""
    little = np.dtype(dtype).newbyteorder("<")
    values = np.frombuffer(path.read_bytes()[:-4], little).reshape(tuple(shape))
    return values.astype(dtype, copy=False)


def read_array(path: Path, name: str) -> np.ndarray:
    """All values of an array of a group."""
    import zarr

    array: Any = zarr.open_group(path, mode="r")[name]
    values = np.asarray(array[...])
    return np.array(values.tolist()) if values.dtype.kind in "TO" else values


def array_names(path: Path) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Dims of the arrays of a group by name, and which of them are coordinates."""
    group = json.loads((path / "zarr.json").read_text())
    arrays = group["consolidated_metadata"]["metadata"]
    dims = {name: tuple(one["dimension_names"]) for name, one in arrays.items()}
    return dims, set(group["attributes"].get("coordinates", "").split()) & dims.keys()


def check_metadata(path: Path) -> None:
    """Refuse metadata that asks for more than reading plain numbers and texts.

    Raises:
      StoreError: naming the file.
    """
    try:
        found = set(_codecs(json.loads(path.read_text())))
    except (ValueError, RecursionError):
        raise damaged(path, "it is no JSON", _FOREIGN) from None
    if strange := found - _CODECS:
        raise damaged(path, f"it asks for the codec {sorted(map(str, strange))[0]!r}", _FOREIGN)


def _codecs(metadata: Any) -> Iterator[Any]:
    """Names of all codecs, and of anything else that zarr would look up by name."""
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
