"""NCC against a slow loop, and its sums by two ways."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from groundshift.errors import MatcherError
from groundshift.matchers import NCC, Gaussian, Sinc, lagged, ncc
from groundshift.matchers.windows import Window, base_cell
from pairs import match, moved


def slow(a: np.ndarray, b: np.ndarray, centre: tuple[float, float], side: int, search: int):
    """Correlation surface of one window, as the textbook writes it."""
    top, left = (round(c - side / 2 + 0.5) for c in centre)
    first = a[top : top + side, left : left + side]
    surface = np.full((2 * search + 1, 2 * search + 1), np.nan)
    for i in range(-search, search + 1):
        for j in range(-search, search + 1):
            second = b[top + i : top + i + side, left + j : left + j + side]
            known = np.isfinite(first) & np.isfinite(second)
            if known.sum() >= 0.5 * side**2:
                surface[i + search, j + search] = np.corrcoef(first[known], second[known])[0, 1]
    return surface


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(("side", "stride", "search"), [(24, 8, 4), (32, 32, 12), (21, 7, 3)])
def test_surfaces_equal_the_textbook(side: int, stride: int, search: int, *, holes: bool) -> None:
    pair = moved(0.6, -1.2, size=168, coherence=0.7)
    a, b = pair.reference.clone(), pair.secondary.clone()
    if holes:
        a[60:75, 50:90], b[90:, 100:] = torch.nan, torch.nan
    matcher = NCC(window=side, search=search, stride=stride, peak=Gaussian())
    halo = matcher.halo
    size = (168 - 2 * halo) // stride * stride
    context = matcher.context
    first = a[halo - context : halo + size + context, halo - context : halo + size + context]
    second = b[: 2 * halo + size, : 2 * halo + size]
    base = base_cell(stride, (side,))
    volume = torch.cat(
        [v[0] for v in matcher._volumes(first, second, (Window(side),), base, context)]
    )
    a64, b64 = a.double().numpy(), b.double().numpy()
    for i, j in ((0, 0), (1, 2), (size // stride - 1, size // stride - 1)):
        centre = [halo + k * stride + (stride - 1) / 2 for k in (i, j)]
        expected = slow(a64, b64, tuple(centre), side, matcher.lags)
        np.testing.assert_allclose(volume[i, j].numpy(), expected, atol=2e-4)


@pytest.mark.parametrize(("cell", "search"), [(8, 5), (16, 20), (32, 8)])
def test_shifts_and_fft_agree(cell: int, search: int) -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(64, 96, generator=generator)
    b = torch.randn(64 + 2 * search, 96 + 2 * search, generator=generator)
    torch.testing.assert_close(
        lagged._by_fft(a, b, cell, search),
        lagged._by_shifts(a, b, cell, search),
        rtol=1e-4,
        atol=1e-3,
    )


@pytest.mark.parametrize(("cell", "search"), [(4, 3), (8, 3), (16, 20)])
def test_masked_sums_where_pixels_are_missing(cell: int, search: int) -> None:
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(80, 112, generator=generator)
    b = torch.randn(80 + 2 * search, 112 + 2 * search, generator=generator)
    a[:20], a[60, 70], b[:, 90:], b[50:53, 30] = torch.nan, torch.nan, torch.nan, torch.nan
    known_a, known_b = (~torch.isnan(plane) for plane in (a, b))
    a0, b0 = torch.nan_to_num(a), torch.nan_to_num(b)
    pairs = (a0, known_b), (known_a, b0), (a0**2, known_b), (known_a, b0**2), (known_a, known_b)
    for found, (first, second) in zip(
        lagged.masked_cell_sums(a, b, cell, search), pairs, strict=True
    ):
        expected = lagged._by_shifts(first.float(), second.float(), cell, search)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_exact_peak_does_not_lock_to_pixels_and_three_points_do() -> None:
    bias = {}
    for peak in (Sinc(), Gaussian()):
        errors = []
        for shift in (0.2, 0.35):
            pair = moved(shift, -shift, size=256, coherence=0.98)
            # Intensity is band-limited; amplitude, which has cusps, is not quite.
            images = (image**2 for image in pair[:2])
            found = match(NCC(window=64, search=8, stride=32, peak=peak), *images)
            errors.append(float(found.dy[2:-2, 2:-2].mean()) - shift)
        bias[type(peak)] = max(abs(e) for e in errors)
    assert bias[Sinc] < 0.01, bias
    assert bias[Gaussian] > 1.5 * bias[Sinc], bias


def test_sigma_predicts_the_scatter() -> None:
    pair = moved(0.3, 0.1, size=512, coherence=0.7)
    found = match(NCC(window=32, search=8, stride=32), *pair[:2])
    z = torch.cat(
        [
            ((p - t) / s).flatten()
            for p, t, s in ((found.dy, 0.3, found.sigma_dy), (found.dx, 0.1, found.sigma_dx))
        ]
    )
    z = z[~torch.isnan(z)]
    assert 0.6 < z.std() < 1.3


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"window": 33, "stride": 8}, "even window, for example 34"),
        ({"search": 0}, "must be positive"),
        ({"stride": 0}, "must be positive"),
    ],
)
def test_contradictions_are_refused(arguments: dict, remedy: str) -> None:
    with pytest.raises(MatcherError, match=remedy):
        NCC(**arguments)


def test_strips_that_are_cut_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher = NCC(window=16, search=6, stride=4)
    generator = torch.Generator().manual_seed(3)
    reference = torch.randn(48 + 2 * matcher.halo, 72 + 2 * matcher.halo, generator=generator)
    secondary = reference.roll((2, -3), (0, 1)) + 0.3 * torch.randn_like(reference)
    reference[30:34, 50:60] = torch.nan
    whole = matcher(reference, secondary)
    monkeypatch.setattr(ncc, "VOLUME", 20_000)
    for one, two in zip(whole, matcher(reference, secondary), strict=True):
        assert torch.allclose(one, two, atol=1e-4, equal_nan=True)


def test_noise_as_fine_as_a_pixel_is_not_taken_for_a_match():
    # The logarithm of a neighbour near zero once put peaks far above every sample.
    noise = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(5)).abs()
    matcher = NCC(window=24, search=6, stride=4, peak=Gaussian())
    found = match(matcher, *noise)
    assert float(torch.isnan(found.dy).float().mean()) > 0.93
    everything = match(replace(matcher, false_alarm=1.0), *noise).score
    assert float(everything.nan_to_num().max()) < 0.5


def test_what_no_prior_leads_to_must_be_certain():
    # One cell in a thousand by chance, alone in ground that shares nothing, misled nets around it.
    noise = torch.randn(2, 512, 512, generator=torch.Generator().manual_seed(6))
    prior = torch.zeros(2, 512, 512)
    prior[:, :, 256:] = torch.nan
    loose = NCC(window=24, search=6, stride=8, peak=Gaussian(), false_alarm=0.5)
    strict = replace(loose, unguided=1e-9)
    known = ~torch.isnan(match(loose, *noise, prior).dy)
    left = ~torch.isnan(match(strict, *noise, prior).dy)
    assert int(known[:, 32:].sum()) > 100
    assert not left[:, 32:].any()
    assert torch.equal(known[:, :32], left[:, :32])
    # What is alike beyond doubt needs no prior.
    pair = moved(0.6, -1.2, size=168, coherence=0.95)
    unknown = torch.full((2, 168, 168), torch.nan)
    one, two = (match(m, *pair[:2], unknown) for m in (loose, strict))
    assert torch.allclose(one.dy, two.dy, equal_nan=True)
    assert not torch.isnan(two.dy).all()
