"""The guarantee of the tiler: nobody can tell from a result how it was cut."""

import dask
import dask.array as da
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from groundshift.tile import Prior, map_pair
from stand_in import LocalMean


@st.composite
def cases(draw):
    stride = draw(st.sampled_from([1, 2, 3, 4]))
    period = stride * draw(st.integers(1, 3))
    operator = LocalMean(halo=draw(st.integers(0, 7)), stride=stride, period=period)
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    # At most 4 x 4 tiles: more of them show nothing new.
    tile = period * draw(st.integers(-(-max(shape) // (4 * period)), 40))
    chunks = draw(st.integers(3, 40))
    return operator, shape, tile, chunks, draw(st.integers(0, 2**32 - 1))


def images(shape, rng):
    """Integers, so that sums are exact in any order, with gaps."""
    for _ in range(2):
        image = rng.integers(0, 100, shape).astype(np.float32)
        image[rng.random(shape) < 0.2] = np.nan
        image[: rng.integers(0, shape[0] + 1)] = np.nan
        yield image


def whole(operator, reference, secondary, prior=None):
    tile = 10 * operator.period * max(reference.shape)
    return dask.compute(*map_pair(operator, reference, secondary, prior, tile=tile))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_any_tile_equals_the_whole_image(case):
    operator, shape, tile, chunks, seed = case
    reference, secondary = images(shape, np.random.default_rng(seed))
    lazy = [da.from_array(image, chunks=chunks) for image in (reference, secondary)]
    tiled = map_pair(operator, *lazy, tile=tile)
    tiled = dask.compute(*tiled, scheduler="sync")
    for plane, expected in zip(tiled, whole(operator, reference, secondary), strict=True):
        assert plane.shape == tuple(-(-size // operator.stride) for size in shape)
        np.testing.assert_array_equal(plane, expected)


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from([1, 2, 5, 8]))
def test_a_prior_is_the_same_for_any_tile(case, cell):
    operator, shape, tile, _, seed = case
    rng = np.random.default_rng(seed)
    reference, secondary = images(shape, rng)
    cells = tuple(-(-size // cell) for size in shape)
    dy, dx = rng.normal(size=(2, *cells)).astype(np.float32)
    dy[rng.random(cells) < 0.2] = np.nan
    prior = Prior.of_cells(dy, dx, cell)
    tiled = map_pair(operator, reference, secondary, prior, tile=tile)
    tiled = dask.compute(*tiled, scheduler="sync")
    for plane, expected in zip(tiled, whole(operator, reference, secondary, prior), strict=True):
        np.testing.assert_allclose(plane, expected, rtol=1e-5, atol=1e-6)
