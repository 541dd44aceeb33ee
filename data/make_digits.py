"""Writes digits.bin: 1,797 rows of 64 pixel bytes (0..=16, row by row) and a label byte (0..=9).

    python data/make_digits.py        (made with scikit-learn 1.9.1; see README.md for the origin)
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
rows = np.column_stack([digits.data, digits.target])
assert rows.shape == (1797, 65) and (rows == rows.astype(np.uint8)).all()
Path(__file__).with_name("digits.bin").write_bytes(rows.astype(np.uint8).tobytes())
