"""Sizes of memory and files written as text."""

import re

from groundshift.errors import GroundshiftError

POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Return a number of bytes: ``4GB`` are 4 * 10^9, ``4GiB`` are 4 * 2^30, and so are ``4G``.

    Examples
    --------
    >>> parse_size("1.5GiB"), parse_size("1.5G"), parse_size("1.5 GB")
    (1610612736, 1610612736, 1500000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(?:(i?)b)?\s*", text, re.IGNORECASE)
    size = 0
    if match:
        number, prefix, binary = match.groups()
        base = 1000 if binary == "" else 1024
        size = round(float(number) * base ** POWERS[prefix.lower()])
    if size <= 0:
        raise GroundshiftError(f"{text!r} is not a size; write one like '4GiB' or '500MB'")
    return size
