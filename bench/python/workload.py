"""The cross-engine workload: equal weights and tokens in any language, from formulas. See bench/support/workload.ts."""

from dataclasses import dataclass

import numpy as np


# For sampling, the layers' matrices are so many times larger.
SAMPLING_SCALE = 8


@dataclass(frozen=True)
class Sizes:
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    inner: int
    length: int
    pairs: int


def matrices(sizes, scale=1):
    """The drawn matrices in order: embedding; per layer (times `scale`) qkv, o, gate|up, down. They multiply from the right."""
    h, inner = sizes.hidden, sizes.inner
    shapes = [(sizes.vocabulary, h)] + [(h, 3 * h), (h, h), (h, 2 * inner), (inner, h)] * sizes.layers
    drawn, k = [], 0
    for rows, columns in shapes:
        at = np.arange(k + 1, k + 1 + rows * columns, dtype=np.float64)
        k += rows * columns
        x = np.sin(12.9898 * at) * 43758.5453
        values = 0.02 * np.sqrt(3) * (2 * (x - np.floor(x)) - 1)
        drawn.append(values.astype(np.float32).reshape(rows, columns) * np.float32(scale if drawn else 1))
    return drawn


def tokens(sizes, step):
    """Tokens [2 * pairs, length] of a step; the first half of the rows are the chosen ones."""
    count = 2 * sizes.pairs * sizes.length
    k = np.arange(count, dtype=np.int64) + step * count
    values = ((k * 1103515245 + 12345) % 2147483648 >> 16) % sizes.vocabulary
    return values.reshape(2 * sizes.pairs, sizes.length)


def prompts(sizes, rows, length):
    """Prompts [rows, length] for sampling: the tokens that a batch of step 0 of this shape would have."""
    k = np.arange(rows * length, dtype=np.int64)
    return (((k * 1103515245 + 12345) % 2147483648 >> 16) % sizes.vocabulary).reshape(rows, length)
