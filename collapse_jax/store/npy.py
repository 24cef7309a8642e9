"""Several arrays in one file, each as NumPy saves it, one after the other; nothing is pickled."""

import io
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np


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
