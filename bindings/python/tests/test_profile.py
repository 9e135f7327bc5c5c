"""Profiles: the same rows in any dress give the same bytes, and where they can be, they are not copied."""

import numpy as np
import pytest

import selvedge
from selvedge import Profile
from selvedge._library import Keep, ffi, string
from selvedge.columns import rows_struct

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")

N = 500
RANDOM = np.random.default_rng(7)
WIND = RANDOM.normal(5, 2, N)
WIND[::50] = np.nan
SKY = [None if i % 60 == 0 else ["sun", "rain", "Zürich", ""][i % 7 % 4] for i in range(N)]
COUNT = RANDOM.integers(0, 9, N)
TABLE = {"wind": WIND, "sky": SKY, "count": COUNT}


def frames():
    frame = pandas.DataFrame({"wind": WIND, "sky": pandas.Series(SKY, dtype=object), "count": COUNT})
    arrow = pyarrow.table({"wind": WIND, "sky": SKY, "count": COUNT})
    yield "dict of arrays", TABLE
    yield "dict of lists", {"wind": WIND.tolist(), "sky": SKY, "count": COUNT.tolist()}
    yield "dict with None", {"wind": [None if w != w else w for w in WIND], "sky": SKY, "count": COUNT}
    yield "structured", np.array(list(zip(WIND, SKY, COUNT)), [("wind", float), ("sky", object), ("count", int)])
    yield "pandas", frame
    yield "pandas, text", frame.astype({"sky": "string"})
    yield "pandas, held by pyarrow", frame.astype({"sky": "string[pyarrow]"})
    yield "pandas, category", frame.astype({"sky": "category"})
    yield "pandas, nullable", frame.astype({"wind": "Float64", "count": "Int64"})
    yield "pyarrow", arrow
    yield "pyarrow, nulls", arrow.set_column(0, "wind", pyarrow.array(WIND, from_pandas=True))
    yield "pyarrow, chunks", pyarrow.concat_tables([arrow.slice(0, 123), arrow.slice(123)])
    yield "pyarrow, a slice", pyarrow.concat_tables([arrow.slice(3, 10), arrow]).slice(10)
    yield "pyarrow, dictionary", arrow.set_column(1, "sky", arrow.column("sky").dictionary_encode())
    yield "pyarrow, large", arrow.set_column(1, "sky", arrow.column("sky").cast(pyarrow.large_string()))
    yield "pyarrow, views", arrow.set_column(1, "sky", arrow.column("sky").cast(pyarrow.string_view()))


@pytest.mark.parametrize("rows", [rows for _, rows in frames()], ids=[name for name, _ in frames()])
def test_rows_in_any_dress_are_the_same(rows):
    profile = Profile.fit(rows, categories=["count"], block=1)
    assert profile.encode() == Profile.fit(TABLE, categories=["count"], block=1).encode()
    told = {feature["name"]: feature for feature in profile.json["features"]}
    assert told["wind"]["kind"] == "number" and told["wind"]["counts"][-1] == 10
    assert told["sky"]["kind"] == told["count"]["kind"] == "category"
    assert told["sky"]["counts"][-1] == SKY.count(None) and sum(told["sky"]["counts"]) == N
    assert not profile.compare(rows, categories=["count"])["drifted"]


def test_columns_of_a_matrix_are_the_same_as_columns():
    matrix = RANDOM.normal(size=(N, 3)).astype(np.float32)
    names = ["a", "b", "c"]
    of_columns = Profile.fit(dict(zip(names, matrix.T.copy())))
    for dress in [matrix, np.asfortranarray(matrix), np.repeat(matrix, 2, axis=1)[:, ::2]]:
        assert Profile.fit(dress, names=names).encode() == of_columns.encode()


def addresses(rows, **how):
    keep = Keep()
    made = rows_struct(rows, keep, **how)
    return {string(c.name): (int(ffi.cast("uintptr_t", c.data)), c.stride) for c in made.columns[0 : made.column_count]}


def test_numbers_and_arrow_texts_are_not_copied():
    at = lambda array: array.__array_interface__["data"][0]  # noqa: E731
    assert addresses({"wind": WIND})["wind"] == (at(WIND), 8)
    matrix = np.zeros((10, 4), np.float32)
    assert addresses(matrix, names=list("abcd"))["c"] == (at(matrix) + 8, 16)
    frame = pandas.DataFrame({"wind": WIND, "count": COUNT})
    assert addresses(frame)["wind"][0] == at(frame["wind"].to_numpy())
    table = pyarrow.table({"wind": WIND})
    assert addresses(table)["wind"][0] == table.column("wind").chunk(0).buffers()[1].address
    sky = pyarrow.array(["sun", "rain"])
    keep = Keep()
    column = rows_struct(pyarrow.table({"sky": sky}), keep).columns[0]
    texts = ffi.cast("selvedge_text *", column.data)
    assert int(ffi.cast("uintptr_t", texts[1].data)) == sky.buffers()[2].address + 3 and string(texts[1]) == "rain"


def test_embeddings_and_truths_belong_to_a_profile():
    vectors = RANDOM.normal(size=(N, 8)).astype(np.float32)
    profile = Profile.fit(
        {"confidence": RANDOM.uniform(0.5, 1, N)},
        embeddings=vectors,
        right=RANDOM.uniform(size=N) < 0.8,
        sources={"confidence": "confidence"},
        seed=3,
    )
    told = profile.json
    assert told["embedding"]["width"] == 8 and told["features"][0]["source"] == "confidence"
    Profile.fit({}, embeddings=vectors)
    with pytest.raises(selvedge.InvalidArgument, match="one vector a row"):
        Profile.fit(TABLE, embeddings=vectors[:3])
    with pytest.raises(selvedge.InvalidArgument, match="500 rows"):
        Profile.fit(TABLE, right=[True])


def test_what_is_no_table_is_refused():
    for wrong, said in [
        (np.zeros((3, 2)), "names"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "one length"),
        ({"a": np.zeros((2, 2))}, "one dimension"),
        ({"a": np.zeros(2, complex)}, "complex"),
        ({"a": ["x", 1]}, "texts"),
        ({}, "at least one feature"),
    ]:
        with pytest.raises(selvedge.InvalidArgument, match=said):
            Profile.fit(wrong)
    with pytest.raises(selvedge.InvalidArgument, match="'snow'"):
        Profile.fit(TABLE, categories=["snow"])
    with pytest.raises(selvedge.Corrupt):
        Profile.decode(b"no profile")


def test_a_profile_is_kept_in_a_file(tmp_path):
    profile = Profile.fit(TABLE)
    profile.save(tmp_path / "x.profile")
    assert Profile.load(tmp_path / "x.profile").json == profile.json
