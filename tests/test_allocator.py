"""The allocator keeps freed planes: the system has to find their pages only once."""

import platform
import subprocess
import sys

import pytest

from groundshift.allocator import keep_memory

PLANES = """
import resource
import sys
from concurrent.futures import ThreadPoolExecutor

from groundshift.allocator import keep_memory

if sys.argv[1] == "keep":
    keep_memory()


def fill(_):
    for _ in range(20):
        b"1" * 40_000_000


before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
with ThreadPoolExecutor(2) as pool:
    list(pool.map(fill, range(2)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    command = (sys.executable, "-c", PLANES, mode)
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_pages_of_freed_planes_are_used_again() -> None:
    assert 4 * page_faults("keep") < page_faults("default")


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory() is False
