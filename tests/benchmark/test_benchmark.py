"""The benchmark: pairs that never change, scores that can be checked by hand, runs that go on."""

import json
import math
import signal
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from groundshift.benchmark import SUITES, results
from groundshift.benchmark.cases import MARGIN, Case, Pair
from groundshift.benchmark.chosen import STANDARD, expression, matcher_of
from groundshift.benchmark.cost import costs
from groundshift.benchmark.figures import figure
from groundshift.benchmark.real import KNOWN, real
from groundshift.benchmark.run import measure, ordered, run, scored
from groundshift.benchmark.tables import suite_tables
from groundshift.benchmark.views import MODES, Speckle, Sunlight
from groundshift.errors import MatcherError, OutputError
from groundshift.matchers import NCC
from groundshift.matchers.whole import match_whole
from groundshift.synth.motions import Constant, Fault, distance_of
from groundshift.synth.speckle import tracking_limit
from groundshift.types import Estimate
from test_cli import quiet_logger  # noqa: F401 - a fixture
from test_cli import run as command

SMALL = Case("zero", "t", "c", "constant", Speckle("SLC x2", 0.8), size=192, pairs=2)
MATCHER = "NCC(window=16, search=5, stride=8)"


@dataclass(frozen=True)
class Oracle:
    """Knows the motion, and errs by a constant."""

    motion: Constant | Fault
    error: float = 0.0
    halo: int = 3
    stride: int = 4
    period: int = 8

    def __call__(self, reference, secondary, prior=None):
        rows, columns = ((n - 2 * self.halo) // self.stride for n in reference.shape)
        y, x = torch.meshgrid(
            *(((torch.arange(n, dtype=torch.float64) + 0.5) * 4 - 0.5) for n in (rows, columns)),
            indexing="ij",
        )
        dy, dx = (plane.float() + self.error for plane in self.motion(y, x))
        sigma = torch.full_like(dy, abs(self.error) + 0.01)
        return Estimate(dy, dx, sigma, sigma, torch.ones_like(dy))


def pair_of(motion, size=200):
    noise = torch.rand(size, size, generator=torch.Generator().manual_seed(1))
    return Pair(noise, noise, motion, torch.ones(size, size, dtype=torch.bool), MARGIN, 0.5)


class TestCases:
    def test_a_pair_is_always_the_same_and_differs_between_splits_and_numbers(self):
        first, again = SMALL.pair("test", 0), SMALL.pair("test", 0)
        assert torch.equal(first.reference, again.reference)
        assert torch.equal(first.secondary, again.secondary)
        for other in (SMALL.pair("validation", 0), SMALL.pair("test", 1)):
            assert not torch.equal(first.reference, other.reference)
            assert first.motion != other.motion

    def test_cases_have_different_names_and_so_different_pairs(self):
        cases = [case for suite in SUITES.values() for case in suite()]
        names = {(case.suite, case.table, case.column) for case in cases}
        assert len(names) == len(cases)

    @pytest.mark.parametrize(
        ("mode", "error"),
        # Aliased products are what they are: they lean towards whole pixels.
        [("SLC x2", 0.02), ("GRD", 0.02), ("2 x 2 averages", 0.12), ("SLC x1", 0.2)],
    )
    def test_a_shift_of_speckle_is_what_the_images_show(self, mode, error):
        case = replace(SMALL, view=Speckle(mode, 1.0))
        pair = case.pair("validation", 0)
        found = scored(NCC(window=32, search=6, stride=8), pair._replace(margin=24))
        assert found["mae"] < error
        assert mode in MODES
        assert found["density"] > 0.9

    @pytest.mark.parametrize("second_date", [False, True])
    def test_a_shift_of_relief_is_what_the_images_show(self, second_date):
        case = replace(SMALL, view=Sunlight(second_date))
        found = scored(
            NCC(window=32, search=6, stride=8), case.pair("validation", 2)._replace(margin=24)
        )
        assert found["median"] < (0.1 if second_date else 0.02)

    def test_earthquakes_break_the_surface_inside(self):
        case = replace(SUITES["faults"]()[0], size=256)
        motion = case.pair("validation", 0).motion
        at = torch.arange(MARGIN, 256 - MARGIN, dtype=torch.float64)
        y, x = torch.meshgrid(at, at, indexing="ij")
        assert float(distance_of(motion, y, x).min()) < 2

    def test_the_limit_is_the_law_s(self):
        cells = (32 * 0.4) ** 2
        assert SMALL.pair("test", 0).limit == pytest.approx(
            0.8 * tracking_limit(0.8, cells) / 0.4, rel=1e-12
        )
        assert math.isnan(replace(SMALL, view=Speckle("GRD", 0.8)).pair("test", 0).limit)


class TestScores:
    def test_an_oracle_is_right_and_a_biased_one_wrong_by_its_bias(self):
        fault = Fault(slip=2.0, centre=(100.0, 100.0), depth=50.0)
        assert scored(Oracle(fault), pair_of(fault))["mae"] == pytest.approx(0, abs=1e-6)
        found = scored(Oracle(fault, error=0.1), pair_of(fault))
        assert found["bias_dy"] == pytest.approx(0.1, abs=1e-6)
        assert found["bias_dx"] == pytest.approx(0.1, abs=1e-6)
        assert found["within_68"] == 1.0
        assert found["near_2"] == pytest.approx(0.1, abs=1e-6)
        assert found["rise"] < 4

    def test_cells_sit_where_the_matcher_says_whatever_the_size(self):
        for size in (200, 203, 197):
            pair = pair_of(Fault(slip=2.0, centre=(100.0, 90.0), depth=50.0), size)
            found = match_whole(Oracle(pair.motion), pair.reference, pair.secondary)
            assert found.dy.shape == (-(-size // 4),) * 2
            assert scored(Oracle(pair.motion), pair)["mae"] == pytest.approx(0, abs=1e-6)

    def test_what_cannot_be_measured_does_not_count(self):
        pair = pair_of(Constant())
        valid = pair.valid.clone()
        valid[:, 100:] = False
        half = scored(Oracle(Constant(), error=0.1), pair._replace(valid=valid))
        assert half["density"] == 1.0
        assert half["mae"] == pytest.approx(0.1, abs=1e-6)
        assert scored(Oracle(Constant()), pair._replace(valid=valid & False))["density"] == 0.0


class TestRuns:
    def test_records_do_not_depend_on_the_workers(self):
        one = ordered(run([SMALL], [MATCHER], "test", workers=1), [SMALL], [MATCHER])
        two = ordered(run([SMALL], [MATCHER], "test", workers=2), [SMALL], [MATCHER])
        assert one == two
        assert [record.number for record in one] == [0, 1]

    def test_done_records_are_not_repeated(self):
        first = measure(SMALL, 0, [MATCHER], "test")
        missing = list(run([SMALL], [MATCHER], "test", done=first))
        assert [record.number for record in missing] == [1]
        assert not list(run([SMALL], [MATCHER], "test", done=[*first, *missing]))

    def test_a_foreign_matcher_may_fail_and_ours_may_not(self, tmp_path, monkeypatch, caplog):
        (tmp_path / "brittle.py").write_text(
            "from groundshift.matchers import NCC\n"
            "class Brittle(NCC):\n"
            "    def __call__(self, *_): raise ArithmeticError('no convergence')\n"
        )
        monkeypatch.chdir(tmp_path)
        failed, fine = measure(SMALL, 0, ["brittle:Brittle()", MATCHER], "test")
        assert failed.failed
        assert not fine.failed
        assert failed.score["density"] == 0
        assert failed.score["mae"] is failed.ratio is None
        assert set(failed.score) == set(fine.score)
        assert "no convergence" in caplog.text
        table = suite_tables("zero", [failed])[0]
        assert table.rows[0][1] == "failed"
        assert figure("zero", [failed]).axes[0].get_xscale() == "linear"
        # It may be mended: the next run tries again.
        setting = results.Setting("c", "1", "test")
        results.resume(tmp_path / "out", setting)
        for record in (failed, fine):
            results.keep(tmp_path / "out", record)
        assert results.resume(tmp_path / "out", setting) == [fine]
        monkeypatch.setattr(NCC, "__call__", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            measure(SMALL, 0, [MATCHER], "test")

    def test_an_interrupted_folder_goes_on_and_a_torn_line_is_forgotten(self, tmp_path):
        setting = results.Setting("c", "1", "test")
        assert results.resume(tmp_path / "out", setting) == []
        (record,) = measure(SMALL, 0, [MATCHER], "test")
        results.keep(tmp_path / "out", record)
        with (tmp_path / "out" / results.PARTIAL).open("a") as file:
            file.write('["zero", "t"')
        assert results.resume(tmp_path / "out", setting) == [record]
        results.keep(tmp_path / "out", record._replace(number=1))
        assert len(results.resume(tmp_path / "out", setting)) == 2
        with pytest.raises(OutputError, match="another version or split"):
            results.resume(tmp_path / "out", setting._replace(split="validation"))

    def test_tables_show_what_the_records_say(self):
        records = measure(SMALL, 0, [MATCHER], "test") + measure(SMALL, 1, [MATCHER], "test")
        table, ratio, everything = suite_tables("zero", records)
        error = np.mean([record.score["mae"] for record in records])
        assert table.rows[0][1].startswith(f"{error:.3f}")
        assert ratio.rows[0][1] == f"{np.mean([record.ratio for record in records]):.2f}"
        assert everything.rows[0][1] == pytest.approx(error)

    def test_costs_are_positive(self, monkeypatch):
        monkeypatch.setattr("groundshift.benchmark.cost.SIZE", 384)
        (cost,) = costs([MATCHER], "zero")
        assert cost.cpu > 0
        assert cost.nodes > 100
        assert 0 <= cost.memory < 8


class TestChoice:
    def test_reach_is_the_suite_s(self):
        assert expression(STANDARD[2], "glaciers") == "NCC(window=32, search=36, stride=8)"
        assert expression(STANDARD[2], "zero") == "NCC(window=32, search=8, stride=8)"

    def test_foreign_matchers_are_imported(self, tmp_path, monkeypatch):
        (tmp_path / "mine.py").write_text(
            "from groundshift.matchers import NCC\n"
            "def make(window=8, stride=4):\n    return NCC(window=window, stride=stride)\n"
            "class Wrong: pass\n"
        )
        monkeypatch.chdir(tmp_path)
        assert matcher_of("mine:make(window=24)") == NCC(window=24, stride=4)
        assert matcher_of("mine:make") == NCC(window=8, stride=4)
        for text in ("mine:nothing", "nowhere:make", "mine:make(windows=3)", "mine:Wrong"):
            with pytest.raises(MatcherError, match=text.partition("(")[0]):
                matcher_of(text)


class TestReal:
    def test_only_pairs_that_are_there(self, tmp_path):
        assert real(tmp_path) == ()
        raw = next(case for case in KNOWN if case.bands)
        for name in (raw.reference, raw.secondary):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            planes = np.zeros(raw.bands[:3], np.uint8)
            planes[raw.bands[3], 5, 7] = 9
            planes.tofile(tmp_path / name)
        (case,) = real(tmp_path)
        pair = case.pair("test", 0)
        assert pair.reference.shape == raw.bands[1:3]
        assert float(pair.reference[5, 7]) == 9


class TestCommand:
    def test_writes_everything(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setitem(SUITES, "zero", lambda: (SMALL,))
        out = tmp_path / "out"
        options = ("--suite", "zero", "--matchers", MATCHER, "--workers", "1", "--no-cost")
        assert command("benchmark", out, *options) == 0
        data = json.loads((out / "benchmark.json").read_text())
        assert len(data["records"]) == 2
        assert data["facts"]["split"] == "test"
        text = (out / "benchmark.md").read_text()
        assert MATCHER in text
        assert "![Mean absolute error, zero](benchmark-zero.png)" in text
        assert (out / "benchmark-zero.png").stat().st_size > 1000
        assert not (out / results.PARTIAL).exists()

    def test_results_of_another_command_stay(self, tmp_path, monkeypatch, capsys):
        out = tmp_path / "out"
        out.mkdir()
        (out / "benchmark.json").write_text('{"command": "groundshift benchmark other"}')
        assert command("benchmark", out, "--suite", "zero") == 2
        assert "holds the results of another command" in capsys.readouterr().err
        assert command("benchmark", tmp_path / "no" / "out", "--suite", "zero") == 2
        assert "does not exist" in capsys.readouterr().err

    def test_the_same_command_goes_on_after_an_interruption(self, tmp_path):
        # The second pair takes for ever.
        code = (
            "import sys, time; from groundshift import cli; import groundshift.benchmark.run\n"
            "run = sys.modules['groundshift.benchmark.run']\n"
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "measure = run.measure\n"
            "def slow(case, number, *rest):\n"
            "    if number: print('waiting', flush=True); time.sleep(60)\n"
            "    return measure(case, number, *rest)\n"
            "run.measure = slow\n"
            "cli.main(sys.argv[1:])\n"
        )
        options = ("--suite", "zero", "--matchers", MATCHER, "--workers", "1", "--no-cost")
        words = [sys.executable, "-c", code, "benchmark", str(tmp_path / "out"), *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(words, **pipes) as process:
            assert process.stdout.readline().startswith("waiting")
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "the same command goes on from here" in said
        assert len((tmp_path / "out" / results.PARTIAL).read_text().splitlines()) == 2

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--suite", "speckles"), "there is no suite speckles; use speckle, optical"),
            (("--suite", "real"), "nothing to measure"),
            (("--suite", "zero", "--matchers", "NNC"), "did you mean 'NCC'"),
        ],
    )
    def test_bad_input_is_refused_before_the_work(self, tmp_path, capsys, options, message):
        assert command("benchmark", tmp_path / "out", *options) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
