"""Readers of data files: what is written comes back, and damage is told by its place."""

import gzip
import pickle
import struct

import numpy as np
import pytest

from flux import datasets
from flux.data import cifar
from flux.data.idx import read_idx
from flux.errors import DataFileError

# mnist


def idx(array, code=8):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.tobytes()


@pytest.fixture
def digits(tmp_path, rng):
    """A folder in MNIST's form, and what is in it."""
    parts = {}
    for name, count in (("train", 5), ("t10k", 3)):
        images = rng.integers(0, 256, (count, 4, 3), np.uint8)
        labels = rng.integers(0, 10, count, np.uint8)
        parts[name] = images, labels
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path, parts


def test_mnist_reads_both_parts_and_each(digits):
    folder, parts = digits
    for split, name in (("train", "train"), ("test", "t10k")):
        images, labels = datasets.mnist(folder, split)
        np.testing.assert_array_equal(images, parts[name][0].astype(np.float32) / 255)
        np.testing.assert_array_equal(labels, parts[name][1])
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    assert [len(array) for array in datasets.mnist(folder)] == [8, 8]


@pytest.mark.parametrize(
    ("code", "dtype"), [(9, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4")]
)
def test_idx_files_of_other_types(code, dtype, tmp_path):
    array = np.array([[1, -2], [3, 100]], dtype)
    (tmp_path / "a").write_bytes(idx(array, code))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:-1], r"truncated: it ends at offset 75 and needs 76 bytes, 5 x 4 x 3 values"),
        (lambda b: b[:9], r"truncated: it ends at offset 9 and needs 16 bytes of its header"),
        (lambda b: b"", r"truncated: it ends at offset 0"),
        (lambda b: b + b"x", r"damaged at offset 76"),
        (lambda b: b"\1" + b[1:], r"not an IDX file: it starts with 01 00 08 03"),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], r"truncated: it ends at offset 76"),
        (lambda b: gzip.compress(b)[:-9], r"damaged: .* ends at offset"),
        (lambda b: gzip.compress(b)[:-5] + b"abcde", r"damaged: .* offset"),
        (lambda b: gzip.compress(b)[:20] + b"\xff" + gzip.compress(b)[21:], r"damaged"),
        (lambda b: idx(np.zeros(5, np.uint8)), r"expected bytes with 3 axes"),
        (lambda b: idx(np.zeros((4, 4, 3), np.uint8)), r"5 labels for the 4 images"),
    ],
)
def test_damaged_images_are_told_by_file_and_offset(digits, change, message):
    folder, _ = digits
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataFileError, match=message) as caught:
        datasets.mnist(folder)
    assert "train-images-idx3-ubyte" in str(caught.value)


def test_a_label_that_is_no_digit_and_a_missing_file(digits):
    folder, _ = digits
    labels = idx(np.array([1, 10, 3], np.uint8))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    with pytest.raises(DataFileError, match="damaged at offset 9: label 10"):
        datasets.mnist(folder, "test")
    (folder / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataFileError, match=r"neither train-images-idx3-ubyte nor .*\.gz"):
        datasets.mnist(folder)


# cifar10


@pytest.fixture
def colours(tmp_path, rng, monkeypatch):
    """A folder in CIFAR-10's form with four images a file, and its records."""
    monkeypatch.setattr(cifar, "RECORDS", 4)
    found = []
    for name in cifar.FILES["train"] + cifar.FILES["test"]:
        records = rng.integers(0, 256, (4, 3073), np.uint8)
        records[:, 0] %= 10
        (tmp_path / name).write_bytes(records.tobytes())
        found.append(records)
    return tmp_path, np.concatenate(found)


def test_cifar10_has_channels_last(colours):
    folder, records = colours
    images, labels = datasets.cifar10(folder)
    assert images.shape == (24, 32, 32, 3)
    np.testing.assert_array_equal(labels, records[:, 0])
    for row, column, colour in [(0, 0, 0), (3, 5, 1), (31, 31, 2)]:
        bytes_there = records[:, 1 + 1024 * colour + 32 * row + column]
        np.testing.assert_array_equal(images[:, row, column, colour] * 255, bytes_there)
    np.testing.assert_array_equal(datasets.cifar10(folder, "test")[1], records[20:, 0])
    assert len(datasets.cifar10(folder, "train")[0]) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:3073], "truncated: it ends at offset 3073, in image 1, and needs 12292"),
        (lambda b: b + b"x", "damaged: it ends at offset 12293"),
        (lambda b: b[:6146] + b"\x0a" + b[6147:], "damaged at offset 6146: label 10"),
    ],
)
def test_damaged_images_of_cifar10(colours, change, message):
    folder, _ = colours
    path = folder / "data_batch_3.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataFileError, match=message) as caught:
        datasets.cifar10(folder)
    assert "data_batch_3.bin" in str(caught.value)


class Armed:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-py"])
def test_the_pickles_of_cifar10_are_refused_unread(inner, tmp_path):
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / "test_batch").write_bytes(pickle.dumps(Armed()))
    with pytest.raises(DataFileError, match=r"never does(.|\n)*cifar-10-binary\.tar\.gz"):
        datasets.cifar10(tmp_path, "test")


def test_a_folder_in_the_folder_and_an_archive_that_is_still_packed(colours, tmp_path):
    folder, records = colours
    inner = folder / "cifar-10-batches-bin"
    inner.mkdir()
    (folder / "test_batch.bin").rename(inner / "test_batch.bin")
    assert len(datasets.cifar10(folder, "test")[1]) == 4
    (inner / "cifar-10-binary.tar.gz").touch()
    with pytest.raises(
        DataFileError, match=r"holds no data_batch_1\.bin(.|\n)*Unpack cifar-10-bin"
    ):
        datasets.cifar10(folder)


# text


def test_text_comes_back_from_its_integers(tmp_path):
    written = "Füße, 東京 – 🌍\r\nzwei\n"
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + written.encode())
    codes, vocabulary = datasets.text(tmp_path / "a")
    assert "".join(vocabulary[code] for code in codes) == written
    assert vocabulary == sorted(set(written))
    (tmp_path / "b").write_text("zwei Füße", encoding="latin-1")
    other, same = datasets.text(tmp_path / "b", vocabulary[::-1], encoding="latin-1")
    assert "".join(same[code] for code in other) == "zwei Füße"


def test_text_tells_the_place_of_what_it_cannot_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one\ntwo\xff")
    with pytest.raises(DataFileError, match="not utf-8 at offset 7, in line 2"):
        datasets.text(path)
    path.write_text("ab\nac")
    with pytest.raises(DataFileError, match="line 2: 'c' is not in the vocabulary of 3"):
        datasets.text(path, "ab\n")
    path.write_text("")
    with pytest.raises(DataFileError, match="empty"):
        datasets.text(path)
    with pytest.raises(DataFileError, match="No such file"):
        datasets.text(tmp_path / "none")


# csv


def table(tmp_path, written, *args, **options):
    (tmp_path / "table.csv").write_text(written)
    return datasets.csv(tmp_path / "table.csv", *args, **options)


def test_numbers_and_categories_become_columns(tmp_path):
    written = 'a,"the, kind",y\r\n1, red ,2\n\n-2.5e1,"blue\nsky",3\n0,red,4\n'
    found = table(tmp_path, written, "y")
    assert found.names == ["a", "the, kind=blue\nsky", "the, kind=red"]
    assert found.features.tolist() == [[1, 0, 1], [-25, 1, 0], [0, 0, 1]]
    assert found.target.tolist() == [2, 3, 4]
    assert found.target.dtype == found.features.dtype == np.float32
    assert found.classes is None


def test_a_target_of_categories_a_file_without_header_and_without_target(tmp_path):
    found = table(tmp_path, "5;1\n7;0\n5;2\n", 0, categories=[0], header=False, delimiter=";")
    assert (found.target.tolist(), found.classes) == ([0, 1, 0], ["5", "7"])
    assert found.target.dtype == np.int32
    assert found.names == ["1"]
    whole = table(tmp_path, "a,b\n1,2\n", categories=["b"])
    assert (whole.target, whole.names, whole.features.tolist()) == (None, ["a", "b=2"], [[1, 1]])


def test_missing_values_where_they_are_allowed(tmp_path):
    written = "a,b,y\n1,x,0\n,?,1\n3,z,2\n"
    found = table(tmp_path, written, "y", missing="nan")
    expected = [[1, 1, 0], [np.nan, 0, 0], [3, 0, 1]]
    np.testing.assert_array_equal(found.features, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("written", "options", "message"),
    [
        ("a,b\n1,2\n3,\n,NA\n", {}, "line 4: a value of column 'a' is missing"),
        ("a,b\n1,\n2,\n", {}, "line 2: a value of column 'b' is missing, and 1 more"),
        ("a,b\n1,2\n3,?\n", {"target": "b", "missing": "nan"}, "line 3: .* 'b' is missing"),
        ("a,b\n1,2\n3,4,5\n", {}, "line 3: expected 2 cells, and got 3"),
        ("a,b\n1,2\n3,4o\n5,6\n", {}, "line 3: .* 2 of 3 cells are numbers, and '4o' is none"),
        ("a,b\n1,x\n3,4\n5,y\n", {}, "line 3: .* 1 of 3 cells are numbers, and '4' is one"),
        ('a,b\n1,"2\n', {}, "line 2: unexpected end of data"),
        ("1,2\n3,4\n", {}, "line 1: expected the names of columns"),
        ("a,a\n3,4\n", {}, "line 1: two columns have the name 'a'"),
        ("a,b\n", {}, "no row below its header"),
        ("a,b\n1,2\n", {"target": "c"}, "no column 'c'; its columns are 'a', 'b'"),
        ("a,b\n1,\n2,\n", {"missing": "nan"}, "column 'b' holds nothing"),
    ],
)  # fmt: skip
def test_a_table_tells_the_line_and_column_of_what_is_wrong(written, options, message, tmp_path):
    with pytest.raises(DataFileError, match=message) as caught:
        table(tmp_path, written, **options)
    assert "table.csv" in str(caught.value)


def test_options_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="missing"):
        table(tmp_path, "a\n1\n", missing="zero")
    for read in (datasets.mnist, datasets.cifar10):
        with pytest.raises(ValueError, match="split"):
            read(tmp_path, "validation")
