"""Settings of the process: freed planes are kept, and threads that wait let others run."""

import os
import platform
import subprocess
import sys

import pytest

from groundshift import process

PLANES = """
import resource
import sys
from concurrent.futures import ThreadPoolExecutor

from groundshift.process import keep_memory

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


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(process, "keep_memory", lambda: None)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    process.prepare()
    assert os.environ["GOMP_SPINCOUNT"] == "10000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    process.prepare()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert process.keep_memory() is False
