"""Writes parquet/*.parquet and parquet/values.csv into this folder.

    python tests/tables/make_parquet.py       (made with pyarrow 26.0.1 and pandas 3.1.1)

The same table in the codecs, encodings and page versions that writers use; values.csv is what pandas reads of
each. The other files hold what isn't read, or is read in another way.
"""

import datetime
import io
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent / "parquet"
ROWS = 60
HERE.mkdir(exist_ok=True)
random = np.random.default_rng(0)


def some(values, missing):
    """The values, every so many of them missing."""
    return [None if missing and i % missing == 2 else value for i, value in enumerate(values)]


kinds = ["round", "square", "flat"]
table = pa.table(
    {
        "count": pa.array(some([int(n) for n in random.integers(-500, 500, ROWS)], 7), pa.int32()),
        "large": pa.array([int(n) for n in random.integers(-(2**53), 2**53, ROWS)], pa.int64()),
        "code": pa.array([2**32 - 1 - i for i in range(ROWS)], pa.uint32()),
        "small": pa.array([i % 5 - 2 for i in range(ROWS)], pa.int8()),
        "ratio": pa.array(random.normal(size=ROWS).astype("f4"), pa.float32()),
        "weight": pa.array(some([float(x) for x in random.normal(50, 9, ROWS)], 11), pa.float64()),
        "price": pa.array([Decimal(i * 37 - 800) / 100 for i in range(ROWS)], pa.decimal128(9, 2)),
        "wide": pa.array(
            some([Decimal(i * 10**14 - 10**15) / 10000 for i in range(ROWS)], 13), pa.decimal128(30, 4)
        ),
        "ok": pa.array(some([bool(i % 3) for i in range(ROWS)], 17), pa.bool_()),
        "note": pa.array(some([f"n{i * 7919 % 1000}é" for i in range(ROWS)], 9), pa.string()),
        "kind": pa.array([kinds[i * i % 3] for i in range(ROWS)], pa.string()),
    }
)


def write(name, table=table, **options):
    options = {"row_group_size": 25, "store_schema": False, **options}
    pq.write_table(table, HERE / f"{name}.parquet", **options)


pages = {"data_page_size": 64, "write_batch_size": 8}
write("plain", compression="none", use_dictionary=False, data_page_version="1.0")
write("snappy", compression="snappy", data_page_version="1.0", **pages)
write("gzip", compression="gzip", data_page_version="1.0", write_page_checksum=True)
write("zstd", compression="zstd", data_page_version="2.0", **pages)
write("lz4", compression="lz4", data_page_version="2.0", write_page_checksum=True)
encodings = {name: "DELTA_BINARY_PACKED" for name in ["count", "large", "code", "small"]}
encodings |= {"ratio": "BYTE_STREAM_SPLIT", "weight": "BYTE_STREAM_SPLIT", "ok": "RLE"}
encodings |= {"note": "DELTA_BYTE_ARRAY", "kind": "DELTA_LENGTH_BYTE_ARRAY"}
write("delta", compression="none", use_dictionary=False, data_page_version="2.0", column_encoding=encodings)
write("brotli", table.select(["count", "kind"]), compression="brotli")

# All say the same.
frames = [pd.read_parquet(HERE / f"{n}.parquet") for n in ["plain", "snappy", "gzip", "zstd", "lz4", "delta"]]
for frame in frames[1:]:
    pd.testing.assert_frame_equal(frame, frames[0])
words = frames[0].assign(ok=frames[0]["ok"].map({True: "true", False: "false"}))
text = io.StringIO()
words.astype({"count": "Int32"}).to_csv(text, index=False, lineterminator="\n")
(HERE / "values.csv").write_text(text.getvalue())

# pandas' own index, and what a net can't read as it is.
frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]}, index=[5, 3, 1])
frame.to_parquet(HERE / "pandas_index.parquet")
day = datetime.datetime(2024, 2, 28, 23, 59, 58)
days = [day + datetime.timedelta(days=i) for i in range(30)]
times = pa.table(
    {
        "day": pa.array([d.date() for d in days], pa.date32()),
        "at": pa.array(days, pa.timestamp("us")),
        "clock": pa.array([d.time() for d in days], pa.time32("ms")),
        "x": pa.array([float(i) for i in range(30)]),
        "y": pa.array(["a" if i % 2 else "b" for i in range(30)]),
    }
)
write("times", times, compression="snappy")
write("int96", times.select(["at", "x", "y"]), compression="snappy", use_deprecated_int96_timestamps=True)
write("list", pa.table({"x": [1.0, 2.0], "tags": [["a"], ["b", "c"]], "y": ["a", "b"]}))
write("nested", pa.table({"x": [1.0, 2.0], "at": [{"lat": 1.0}, {"lat": 2.0}], "y": ["a", "b"]}))
write("half", pa.table({"x": pa.array(np.float16([1, 2])), "y": ["a", "b"]}))
write("bytes", pa.table({"raw": pa.array([b"ab", b"cd"], pa.binary(2)), "y": ["a", "b"]}))
write("infinite", pa.table({"x": [1.0, float("nan"), float("-inf")], "y": ["a", "b", "a"]}))
