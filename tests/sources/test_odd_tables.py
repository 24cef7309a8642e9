"""Odd arrays and tables: each is read exactly, or refused by one line that says what to do."""

import datetime
import decimal
import io
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

import collapse_jax as cj


def masked(values, mask):
    return np.ma.masked_array(values, mask)


class Stream:
    """A table of another library, known by the protocol of Arrow only."""

    def __init__(self, data):
        self.data = data

    def __arrow_c_stream__(self, requested_schema=None):
        return self.data.__arrow_c_stream__(requested_schema)


class Frame(Stream):
    """A data frame: names of columns, and one stream for each of them."""

    def __init__(self, **columns):
        self.series = columns

    @property
    def columns(self):
        return list(self.series)

    def __getitem__(self, name):
        import pyarrow

        return Stream(pyarrow.chunked_array([pyarrow.array(self.series[name])]))

    def __arrow_c_stream__(self, requested_schema=None):
        raise AssertionError("only the column that is asked for is converted")


class Exchanged:
    """A table known by the protocol of data frames only."""

    def __init__(self, data):
        self.data = data

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.data.__dataframe__(nan_as_null, allow_copy)


class ArrayLike:
    """An array of another library, known by the protocol of NumPy only."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.values, Exception):
            raise self.values
        return np.asarray(self.values, dtype)


class Collected:
    """A table that is evaluated later."""

    def collect(self):
        return None


TIMES = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
RECORDS = np.array([(1, 2.5, "a"), (2, 3.5, "b")], [("id", "i4"), ("x", "f8"), ("word", "U3")])

# name: (data, column, values or the message)
ARRAYS = {
    "integers": ([2, 0, 2], None, [2, 0, 2]),
    "small integers": (np.array([2, 0], np.uint8), None, [2, 0]),
    "unsigned": (np.array([2, 0], np.uint64), None, [2, 0]),
    "big-endian": (np.array([2, 0], ">i4"), None, [2, 0]),
    "big-endian numbers": (np.array([2.5, 0], ">f8"), None, [2.5, 0.0]),
    "half": (np.array([2.5, 0], np.float16), None, [2.5, 0.0]),
    "long double": (np.array([2.5, 0], np.longdouble), None, [2.5, 0.0]),
    "large long double": (
        np.array([np.longdouble("1e400")]),
        None,
        "=1e\\+400 .*1 of 1 value are beyond",
    ),
    "truth values": (np.array([True, False]), None, [1, 0]),
    "rows of truth values": (np.array([[True], [False]]), None, [[1], [0]]),
    "range": (range(3), None, [0, 1, 2]),
    "tuple": ((1.5, 2.5), None, [1.5, 2.5]),
    "numbers": ([1, 2.5], None, [1.0, 2.5]),
    "integer rows": ([[1, 2], [3, 4]], None, [[1, 2], [3, 4]]),
    "strided": (np.arange(6)[::2], None, [0, 2, 4]),
    "no mask": (masked([1, 2], [False, False]), None, [1, 2]),
    "masked labels": (
        masked([1, 2, 3], [0, 1, 1]),
        None,
        r"data\[1\]=None.*2 of 3 values are masked",
    ),
    "masked rows": (masked([[1.0, 2.0]], [[0, 1]]), None, r"data\[0, 1\]=None.*1 of 2.*masked"),
    "masked texts": (masked(["a", "b"], [1, 0]), None, r"data\[0\]=None.*1 of 2"),
    "masked in a list": ([1.0, np.ma.masked], None, r"data\[1\]=None.*1 of 2 values are missing"),
    "masked row in a list": ([masked([1.0, 2.0], [0, 1])], None, r"data\[0, 1\].*1 of 2.*masked"),
    "masked constant": (np.ma.masked, None, "array of shape"),
    "NaN": ([1.0, np.nan, np.inf], None, r"data\[1\]=nan.*2 of 3 values are NaN or infinite"),
    "NaN in rows": ([[1.0, 2.0], [3.0, np.nan]], None, r"data\[1, 1\]=nan.*first in row 1"),
    "empty": ([], None, r"array of shape \(0,\)"),
    "empty rows": (np.zeros((0, 3)), None, r"array of shape \(0, 3\)"),
    "rows of no numbers": (np.zeros((3, 0)), None, r"array of shape \(3, 0\)"),
    "three axes": (np.zeros((2, 2, 2)), None, r"shape \(2, 2, 2\).*1-D or 2-D"),
    "number": (3.0, None, r"array of shape \(\)"),
    "none": (None, None, "data=None.*an array, a file or a table"),
    "open file": (io.BytesIO(b"x\n1\n"), None, "pass the path of the file"),
    "path as bytes": (b"x.csv", None, "pass a path as a text"),
    "function": (jax.jit, None, "an array, a file or a table"),
    "keys": (jax.random.key(0), None, "PRNGKey.*it cannot be read"),
    "brain float": (jnp.ones(2, jnp.bfloat16), None, [1.0, 1.0]),
    "short integers": (jnp.ones(2, jnp.int4), None, [1, 1]),
    "sparse": (scipy.sparse.eye(2), None, r"pass data.toarray\(\)"),
    "set": ({1, 2}, None, r"pass list\(data\)"),
    "generator": ((x for x in [1, 2]), None, r"pass list\(data\)"),
    "dict": ({"x": [1, 2]}, None, "pass one of its values"),
    "column of a dict": ({"x": [1, 2]}, "x", "only tables.*pandas.DataFrame"),
    "column of a table that is not collected": (Collected(), "x", r"pass data.collect\(\)"),
    "object": (object(), None, "an array, a file or a table"),
    "not collected": (Collected(), None, r"pass data.collect\(\)"),
    "ragged": (
        [[1.0], [1.0, 2.0]],
        None,
        "list of 2 rows.*unequal lengths: 1 in row 0, 2 in row 1",
    ),
    "ragged texts": (["a", ["b"]], None, "mixes str and list"),
    "complex": ([1j, 2.0], None, "numbers must be real.*two columns"),
    "times": (TIMES, None, "times and durations are no numbers.*such as seconds"),
    "durations": (TIMES - TIMES[0], None, "times and durations are no numbers"),
    "date objects": ([datetime.date(2020, 1, 1)], None, "times and durations"),
    "duration objects": ([datetime.timedelta(1)], None, "times and durations"),
    "time objects": ([datetime.time(1)], None, "times and durations"),
    "time stamps": (np.array([1.7e9, 1.7e9 + 0.25]), None, [1.7e9, 1.7e9 + 0.25]),
    "large rows": (
        np.array([[1_700_000_001], [1_700_000_003]]),
        None,
        [[1_700_000_001], [1_700_000_003]],
    ),
    "large labels": ([10**9, 10**9 + 1], None, "data=1000000001.*2\\^24.*astype.str.*float"),
    "large unsigned": (np.array([2**64 - 1], np.uint64), None, "data=18446744073709551615"),
    "labels of 64 bits": ([2**63, 1], None, "integers must fit into 64 bits"),
    "huge labels": ([2**70, 1], None, "integers must fit into 64 bits.*texts"),
    "texts": (["b", "a"], None, ["b", "a"]),
    "array of texts": (np.array(["b", "a"]), None, ["b", "a"]),
    "variable texts": (np.array(["b", "a"], np.dtypes.StringDType()), None, ["b", "a"]),
    "objects of texts": (np.array(["b", "a"], object), None, ["b", "a"]),
    "bytes": (np.array([b"b", "é".encode()]), None, ["b", "é"]),
    "list of bytes": ([b"b", b"a"], None, ["b", "a"]),
    "broken bytes": ([b"\xff"], None, "bytes must be texts in UTF-8"),
    "broken texts": (["\ud800"], None, "texts must be valid Unicode"),
    "broken array of texts": (np.array(["\ud800"]), None, "texts must be valid Unicode"),
    "texts with None": (["a", None, "b"], None, r"data\[1\]=None.*1 of 3 values are missing"),
    "None first": ([None, "a"], None, r"data\[0\]=None.*1 of 2"),
    "texts with NaN": (["a", float("nan")], None, r"data\[1\]=None.*1 of 2"),
    "numbers with None": ([1.5, None], None, r"data\[1\]=None.*1 of 2"),
    "rows with None": ([[1.5, 2.0], [None, 1.0]], None, r"data\[1, 0\]=None.*1 of 4"),
    "empty text": (["a", "", "b", " "], None, r"data\[1\]=''.*2 of 4 values are empty texts"),
    "mixed": (["a", 1], None, "mixes str and int, the first int in row 1"),
    "mixed the other way": ([1, "a"], None, "mixes int and str, the first str in row 1"),
    "mixed objects": (np.array([1, "a"], object), None, "mixes int and str"),
    "mixed truth": (np.array([True, "a"], object), None, "mixes bool and str"),
    "mixed rows": ([[1, 2], ["a", "b"]], None, "mixes int and str, the first str in row 1"),
    "rows of texts": ([["a", "b"], ["c", "d"]], None, "texts are labels, one per row"),
    "array of rows of texts": (np.array([["a"], ["b"]]), None, "texts are labels, one per row"),
    "object integers": (np.array([2, 0], object), None, [2, 0]),
    "object numbers": (np.array([2, 0.5], object), None, [2.0, 0.5]),
    "object rows": (np.array([[2, 0.5]], object), None, [[2.0, 0.5]]),
    "decimals": ([decimal.Decimal("1.5"), decimal.Decimal(2)], None, [1.5, 2.0]),
    "arrays in objects": (np.array([None, [1, 2], [3, 4]], object)[1:], None, [[1, 2], [3, 4]]),
    "dicts": ([{"a": 1}], None, "nested"),
    "objects": ([object()], None, "objects of type object"),
    "paths": ([pathlib.Path("a")], None, "objects of type PosixPath|WindowsPath"),
    "field": (RECORDS, "x", [2.5, 3.5]),
    "field of texts": (RECORDS, "word", ["a", "b"]),
    "fields": (RECORDS, ("x", "id"), [[2.5, 1.0], [3.5, 2.0]]),
    "fields with texts": (RECORDS, ("x", "word"), "'word'.*one number per row"),
    "no field": (RECORDS, None, "column=None.*the columns are 'id', 'x', 'word'"),
    "unknown field": (RECORDS, "y", "column='y'.*the columns are"),
    "masked field": (masked(RECORDS, [(0, 1, 0), (0, 0, 0)]), "x", r"data\[0\].*1 of 2.*masked"),
    "raw bytes": (np.zeros(3, "V4"), None, "numbers, labels or texts"),
    "column of an array": ([1, 2], "x", "column='x'.*only tables.*leave column out"),
    "array-like": (ArrayLike([1.5, 2.5]), None, [1.5, 2.5]),
    "array-like of labels": (ArrayLike([1, 2]), None, [1, 2]),
    "array-like of texts": (ArrayLike(np.array(["a", "b"], object)), None, ["a", "b"]),
    "array-like on a device": (ArrayLike(RuntimeError("it is on a device")), None, "on a device"),
    "array-like that fails": (ArrayLike(TypeError("no\nway")), None, r"it cannot be read \(no\)"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name, assert_outcome):
    data, column, expected = ARRAYS[name]
    assert_outcome(data, column, expected)


def series(values, dtype=None):
    import pandas as pd

    return pd.Series(values, dtype=dtype)


def frame(**columns):
    import pandas as pd

    return pd.DataFrame(columns)


def categories(values, known):
    import pandas as pd

    return pd.Categorical(values, known)


def arrow(values, kind=None):
    import pyarrow

    return pyarrow.array(values, kind)


def table(values, kind=None):
    import pyarrow

    return pyarrow.table({"x": pyarrow.array(values, kind)})


def types():
    import pyarrow

    return pyarrow


def data_set(values, feature=None):
    import datasets

    features = None if feature is None else datasets.Features({"x": feature(datasets)})
    return datasets.Dataset.from_dict({"x": values}, features=features)


def split(values):
    import datasets

    return datasets.DatasetDict({"train": data_set(values)})


def twice():
    import pandas as pd

    return pd.DataFrame([[1, 2.5, 3]], columns=["x", "x", "y"])


# name: (a function that returns data, column, values or the message)
TABLES = {
    "stream": (lambda: Stream(table([1.5, 2.5])), None, [1.5, 2.5]),
    "stream of a column": (lambda: Stream(types().chunked_array([[1, 2]])), None, [1, 2]),
    "stream without the column": (lambda: Stream(table([1.5])), "y", "the columns are 'x'"),
    "data frame": (lambda: Frame(x=[1, 2], y=["a", None]), "x", [1, 2]),
    "data frame of texts": (lambda: Frame(x=[1, 2], y=["a", "b"]), "y", ["a", "b"]),
    "data frame with a gap": (lambda: Frame(x=[1, 2], y=["a", None]), "y", r"data\[1\].*1 of 2"),
    "data frame without the column": (lambda: Frame(x=[1], y=[2]), None, "columns are 'x', 'y'"),
    "exchanged": (lambda: Exchanged(table([1.5, 2.5])), "x", [1.5, 2.5]),
    "pandas texts": (lambda: series(["a", "b"], "str"), None, ["a", "b"]),
    "pandas strings": (lambda: series(["a", "b"], "string"), None, ["a", "b"]),
    "pandas strings with a gap": (
        lambda: series(["a", None], "string"),
        None,
        r"data\[1\].*1 of 2",
    ),
    "pandas texts with a gap": (lambda: series(["a", None]), None, r"data\[1\].*1 of 2.*missing"),
    "pandas objects": (lambda: series(["a", "b"], object), None, ["a", "b"]),
    "pandas empty text": (lambda: series(["a", ""]), None, r"data\[1\]=''.*1 of 2"),
    "pandas mixed": (lambda: series(["a", 1], object), None, "mixes str and int"),
    "pandas mixed column": (lambda: frame(x=series(["a", 1], object)), "x", "'x'.*mixes str"),
    "pandas column next to mixed": (
        lambda: frame(x=[1, 2], y=series(["a", 1], object)),
        "x",
        [1, 2],
    ),
    "pandas Int64": (lambda: series([1, 2], "Int64"), None, [1, 2]),
    "pandas Int64 with a gap": (lambda: series([1, None], "Int64"), None, r"data\[1\].*1 of 2"),
    "pandas array with a gap": (
        lambda: series([1, None], "Int64").array,
        None,
        r"data\[1\].*1 of 2",
    ),
    "pandas boolean": (lambda: series([True, False], "boolean"), None, [1, 0]),
    "pandas gap": (lambda: series([1.5, None]), None, r"data\[1\].*1 of 2 values are missing"),
    "pandas categories": (
        lambda: series(categories(["b", "a"], ["a", "b", "c"])),
        None,
        ["b", "a"],
    ),
    "pandas category array": (lambda: categories(["b", "a"], ["a", "b", "c"]), None, ["b", "a"]),
    "pandas category gap": (
        lambda: series(categories(["b", None], ["b"])),
        None,
        r"data\[1\].*1 of 2",
    ),
    "pandas number categories": (lambda: series(categories([7, 5], [5, 6, 7])), None, [7, 5]),
    "pandas category column": (lambda: frame(x=categories(["b"], ["b"])), None, ["b"]),
    "pandas index": (lambda: frame(x=[1, 2]).set_index("x").index, None, [1, 2]),
    "pandas with an index": (lambda: frame(x=[1, 2], y=[3, 4]).set_index("y"), None, [1, 2]),
    "pandas times": (lambda: series(TIMES), None, "times and durations"),
    "pandas durations": (lambda: series(TIMES - TIMES[0]), None, "times and durations"),
    "pandas periods": (lambda: series(TIMES).dt.to_period("D"), None, "numbers, labels or texts"),
    "pandas complex": (lambda: series([1j]), None, "numbers must be real"),
    "pandas sparse": (lambda: series([0, 7], "Sparse[int]"), None, [0, 7]),
    "pandas lists": (lambda: series([[1, 2], [3, 4]]), None, [[1, 2], [3, 4]]),
    "pandas huge": (lambda: series([2**70], object), None, "64 bits"),
    "pandas names that are numbers": (
        lambda: frame(x=[1], y=[2]).T.reset_index(drop=True),
        "0",
        [1, 2],
    ),
    "pandas numbers of columns": (lambda: frame(x=[1], y=[2]).T.reset_index(drop=True), 0, [1, 2]),
    "pandas names twice": (twice, "x", "2 columns have this name"),
    "pandas names twice, another": (twice, "y", [3]),
    "pandas without columns": (frame, None, "column=None.*the columns are none"),
    "pandas without rows": (lambda: frame(x=[]), None, "0 rows"),
    "pandas group": (
        lambda: frame(x=[1]).groupby("x"),
        None,
        "GroupBy> is not allowed: it cannot be read",
    ),
    "arrow": (lambda: arrow([1, 2]), None, [1, 2]),
    "arrow gap": (lambda: arrow(["a", None]), None, r"data\[1\].*1 of 2"),
    "arrow of gaps": (lambda: table([None, None]), None, r"data\[0\].*2 of 2"),
    "arrow views": (lambda: table(["a", "b"], "string_view"), None, ["a", "b"]),
    "arrow large": (lambda: table(["a", "b"], "large_string"), None, ["a", "b"]),
    "arrow bytes": (lambda: table([b"a", b"b"]), None, ["a", "b"]),
    "arrow fixed bytes": (
        lambda: table([b"a"], types().binary(1)),
        None,
        "numbers, labels or texts",
    ),
    "arrow half": (lambda: table(np.array([1.5], np.float16)), None, [1.5]),
    "arrow decimals": (lambda: table([decimal.Decimal("1.25")]), None, [1.25]),
    "arrow truth values": (lambda: table([True, False]), None, [1, 0]),
    "arrow NaN": (lambda: table([1.5, np.nan]), None, r"data\[1\] in column 'x'=nan.*1 of 2"),
    "arrow dictionary": (lambda: table(arrow(["b", "a"]).dictionary_encode()), None, ["b", "a"]),
    "arrow dictionary gap": (
        lambda: table(types().DictionaryArray.from_arrays([0, 1], arrow(["b", None]))),
        None,
        r"data\[1\].*1 of 2",
    ),
    "arrow dictionary of views": (
        lambda: table(
            types().DictionaryArray.from_arrays([1, 0], arrow(["b", "a"], "string_view"))
        ),
        None,
        ["a", "b"],
    ),
    "arrow chunks": (lambda: types().concat_tables([table(["b"]), table(["a"])]), None, ["b", "a"]),
    "arrow dictionary chunks": (
        lambda: types().chunked_array(
            [arrow(["b"]).dictionary_encode(), arrow(["a"]).dictionary_encode()]
        ),
        None,
        ["b", "a"],
    ),
    "arrow runs": (
        lambda: table(types().RunEndEncodedArray.from_arrays([2, 3], ["b", "a"])),
        None,
        ["b", "b", "a"],
    ),
    "arrow lists": (lambda: table([[1.5, 2.0], [3.0, 4.0]]), None, [[1.5, 2.0], [3.0, 4.0]]),
    "arrow fixed lists": (
        lambda: table([[1, 2]], types().list_(types().int8(), 2)),
        None,
        [[1, 2]],
    ),
    "arrow ragged": (
        lambda: table([[1.5], [3.0, 4.0]]),
        None,
        "unequal lengths: 1 in row 0, 2 in row 1",
    ),
    "arrow list gap": (lambda: table([[1.5, 2.0], None]), None, r"data\[1\].*1 of 2"),
    "arrow gap in a list": (
        lambda: table([[1.5, None], [2.0, 3.0]]),
        None,
        r"data\[0, 1\].*1 of 4",
    ),
    "arrow empty lists": (lambda: table([[], []]), None, "lists are empty"),
    "arrow lists of texts": (lambda: table([["a"], ["b"]]), None, "must hold numbers"),
    "arrow lists of lists": (lambda: table([[[1]], [[2]]]), None, "must hold numbers"),
    "arrow sliced lists": (lambda: table([[1, 2], [3, 4]]).slice(1), None, [[3, 4]]),
    "arrow dates": (lambda: table([datetime.date(2020, 1, 1)]), None, "times and durations"),
    "arrow durations": (lambda: table([datetime.timedelta(1)]), None, "times and durations"),
    "arrow nested": (lambda: table([{"a": 1}]), None, "nested.*flatten"),
    "arrow map": (
        lambda: table([[("a", 1)]], types().map_("string", "int8")),
        None,
        "numbers, labels",
    ),
    "arrow names twice": (
        lambda: types().Table.from_arrays([arrow([1]), arrow([2])], ["x", "x"]),
        "x",
        "2 columns have this name",
    ),
    "arrow batch": (lambda: table([1, 2]).to_batches()[0], "x", [1, 2]),
    "arrow no rows": (lambda: table([]), None, "0 rows"),
    "data set": (lambda: data_set([1.5, 2.5]), "x", [1.5, 2.5]),
    "data set column": (lambda: data_set([1.5, 2.5])["x"], None, [1.5, 2.5]),
    "data set column of texts": (lambda: data_set(["b", "a"])["x"], None, ["b", "a"]),
    "data set gap": (lambda: data_set(["a", None]), "x", r"data\[1\].*1 of 2"),
    "data set classes": (
        lambda: data_set([1, 0], lambda known: known.ClassLabel(names=["cat", "dog"])),
        None,
        [1, 0],
    ),
    "data set rows": (
        lambda: data_set([[1, 2]], lambda known: known.Sequence(known.Value("int8"), 2)),
        "x",
        [[1, 2]],
    ),
    "data set matrices": (
        lambda: data_set([[[1, 2]]], lambda known: known.Array2D((1, 2), "int8")),
        "x",
        "numbers, labels or texts",
    ),
    "data set without the column": (lambda: data_set([1]), "y", "the columns are 'x'"),
    "data set streamed": (
        lambda: data_set([1]).to_iterable_dataset(),
        "x",
        "without streaming=True",
    ),
    "data set splits": (lambda: split([1]), "x", r"DatasetDict of train.*data\['train'\]"),
}


def test_a_traced_array_gets_one_line():
    with pytest.raises(cj.ArgumentError, match="traced array"):
        jax.jit(lambda rows: cj.Empirical(rows).num_rows)(jnp.ones(3))


@pytest.mark.parametrize("name", TABLES)
def test_tables(name, assert_outcome):
    make, column, expected = TABLES[name]
    assert_outcome(make(), column, expected)


# name: (values, the name of a type of Polars, values or the message)
POLARS = {
    "texts": (["a", "b"], "String", ["a", "b"]),
    "texts with a gap": (["a", None], "String", r"data\[1\].*1 of 2"),
    "categories": (["b", "a"], "Categorical", ["b", "a"]),
    "wide integers": ([1, 2], "Int128", "cannot be read.*i128"),
    "truth values": ([True, False], "Boolean", [1, 0]),
    "NaN": ([1.5, float("nan")], "Float32", r"data\[1\].*=nan"),
    "bytes": ([b"a"], "Binary", ["a"]),
    "nothing": ([None, None], "Null", "2 of 2 values are missing"),
    "dates": ([datetime.date(2020, 1, 1)], "Date", "times and durations"),
    "durations": ([datetime.timedelta(1)], "Duration", "times and durations"),
    "clock": ([datetime.time(1)], "Time", "times and durations"),
    "objects": ([object()], "Object", "type of"),
}


@pytest.mark.parametrize("as_frame", [False, True], ids=["series", "frame"])
@pytest.mark.parametrize("name", POLARS)
def test_polars(name, as_frame, assert_outcome):
    polars = pytest.importorskip("polars")
    values, kind, expected = POLARS[name]
    made = polars.Series("x", values, dtype=getattr(polars, kind))
    assert_outcome(made.to_frame() if as_frame else made, None, expected)


def test_polars_frames(assert_outcome):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"x": [1.5, 2.5], "y": [[1, 2], [3, 4]], "z": [b"\xff", None]})
    assert_outcome(frame, "x", [1.5, 2.5])
    assert_outcome(frame, "y", [[1, 2], [3, 4]])
    assert_outcome(frame, None, "the columns are 'x', 'y', 'z'")
    assert_outcome(frame.lazy(), "x", r"column='x'.*data.collect\(\)")
    fields = polars.Series("f", [{"a": 1}, {"a": 2}])
    assert_outcome(fields, "a", [1, 2])
    assert_outcome(fields.to_frame(), "f", "nested")
    assert_outcome(frame.lazy(), None, r"data.collect\(\)")
