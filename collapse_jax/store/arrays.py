"""Zarr groups whose chunks are plain files that other code may write and check.

A chunk is the little-endian bytes of the array and their CRC-32C, uncompressed: numbers of
chains do not compress. Integers fill with -1 and floats with NaN, so that a chunk that is
not there never reads as data.
"""

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import google_crc32c
import numpy as np

from collapse_jax.store.files import damaged

_FILL = {"f": np.nan, "i": -1, "b": False, "u": 0, "U": ""}
_CODECS = {"bytes", "crc32c", "vlen-utf8"}
_CHUNK_BYTES = 2**24  # of arrays that are written whole
_FOREIGN = "it was not written by this library; do not open it"


@dataclasses.dataclass(frozen=True, eq=False)
class Array:
    """One array of a group.

    Attributes:
      dims: a name for every axis.
      shape: its shape.
      dtype: of its elements.
      chunks: shape of a chunk; None for the whole array, split on its first axis if large.
      values: what to write now; None leaves every chunk to be written later.
      attributes: JSON-able.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None = None
    values: np.ndarray | None = None
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def create_group(
    path: Path,
    arrays: Mapping[str, Array],
    coordinates: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write the metadata of a group, and the values of arrays that have some.

    Args:
      path: the directory to make.
      arrays: by name.
      coordinates: names of arrays that are coordinates without being a dimension.
      attributes: JSON-able, of the group.
    """
    import zarr
    from zarr.codecs import Crc32cCodec

    also = {"coordinates": " ".join(coordinates)} if coordinates else {}
    group = zarr.create_group(path, zarr_format=3, attributes={**(attributes or {}), **also})
    for name, one in arrays.items():
        is_text = one.dtype.kind == "U"
        array = group.create_array(
            name,
            shape=one.shape,
            chunks=one.chunks or _whole(one),
            dtype=str if is_text else one.dtype,
            fill_value=_FILL[one.dtype.kind],
            compressors=None if is_text else [Crc32cCodec()],
            dimension_names=one.dims,
            attributes=dict(one.attributes),
        )
        if one.values is not None and one.values.size:
            array[...] = one.values.astype("O") if is_text else one.values
    with warnings.catch_warnings():
        # One file of metadata opens without a warning; writing it is what zarr warns of.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path)


def _whole(one: Array) -> tuple[int, ...]:
    shape = tuple(max(1, size) for size in one.shape)
    if not shape:
        return shape
    row = int(np.prod(shape[1:], dtype=np.int64)) * max(1, one.dtype.itemsize)
    return (min(shape[0], max(1, _CHUNK_BYTES // row)), *shape[1:])


def chunk_name(array: str, place: Sequence[int]) -> str:
    """File of a chunk, relative to its group."""
    return "/".join([array, "c", *map(str, place)])


def write_chunk(file: IO[bytes], values: np.ndarray, chunk: Sequence[int]) -> None:
    """A chunk of `values`, filled up where the array ends inside it."""
    if values.shape != tuple(chunk):
        whole = np.full(chunk, _FILL[values.dtype.kind], values.dtype)
        whole[tuple(slice(size) for size in values.shape)] = values
        values = whole
    little = values.dtype.newbyteorder("<")
    content = np.ascontiguousarray(values, little).tobytes()
    file.write(content)
    file.write(google_crc32c.value(content).to_bytes(4, "little"))


def read_chunk(path: Path, dtype: np.dtype, chunk: Sequence[int]) -> np.ndarray:
    """What `write_chunk` wrote."""
    little = np.dtype(dtype).newbyteorder("<")
    values = np.frombuffer(path.read_bytes()[:-4], little).reshape(tuple(chunk))
    return values.astype(dtype, copy=False)


def read_array(path: Path, name: str) -> np.ndarray:
    """All values of an array of a group."""
    import zarr

    array: Any = zarr.open_group(path, mode="r")[name]
    values = np.asarray(array[...])
    return np.array(values.tolist()) if values.dtype.kind in "TO" else values


def array_names(path: Path) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Dims of the arrays of a group by name, and which of them are coordinates."""
    import zarr

    group = zarr.open_group(path, mode="r")
    metadata: dict[str, Any] = {name: array.metadata for name, array in group.arrays()}
    dims = {name: tuple(one.dimension_names or ()) for name, one in metadata.items()}
    return dims, set(str(group.attrs.get("coordinates", "")).split()) & dims.keys()


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


def _codecs(metadata: Any) -> Any:
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
