"""Middles of images: what is kept of one that is too large."""


def window(shape: tuple[int, ...], fraction: float) -> tuple[slice, slice]:
    """Middle of an image with a fraction of its area: first the longer side gets shorter."""
    if fraction >= 1:
        return slice(None), slice(None)
    area = fraction * shape[0] * shape[1]
    short = min(*shape, int(area**0.5))
    long = int(area / max(short, 1))
    high, wide = (short, long) if shape[0] <= shape[1] else (long, short)
    return slice(*span(shape[0], high)), slice(*span(shape[1], wide))


def span(length: int, wanted: int) -> tuple[int, int]:
    """Start and end of the middle `wanted` of `length` samples."""
    start = max((length - wanted) // 2, 0)
    return start, start + min(wanted, length)
