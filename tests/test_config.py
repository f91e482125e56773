"""Expressions for matchers, and sizes."""

import re
import typing
from dataclasses import fields, replace

import pytest

from groundshift import config, matchers
from groundshift.config import (
    describe,
    describe_presets,
    layout,
    matcher_from,
    parse_size,
    registry,
)
from groundshift.errors import GroundshiftError, MatcherError
from groundshift.filters import Wallis
from groundshift.matchers import (
    NCC,
    CoarseToFine,
    Filtered,
    ForwardBackward,
    LeastSquares,
    MultiWindow,
)
from groundshift.matchers.presets import default_arguments
from groundshift.nets.fusion import Fusion, FusionConfig
from groundshift.nets.refine import Refine, learned
from groundshift.nets.weights import NAME, STANDARD, keep

CHAIN = matchers.default()


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ("NCC(window=64, search=16, stride=16)", NCC(window=64, search=16, stride=16)),
        ("NCC()", NCC()),
        ("NCC", NCC()),
        (" ncc ", NCC()),
        ("default", matchers.default()),
        ("default(search=32, stride=8)", matchers.default(search=32, stride=8)),
        ("NCC(false_alarm=1e-2)", NCC(false_alarm=0.01)),
        (
            "CoarseToFine(stages=(NCC(stride=16), LeastSquares(stride=4)))",
            CoarseToFine((NCC(stride=16), LeastSquares(stride=4))),
        ),
        ("NCC(64, 16, stride=16)", NCC(64, 16, 16)),
        ("default(32, 8)", matchers.default(32, 8)),
        ("Filtered(Wallis(), NCC())", Filtered(Wallis(), NCC())),
        ("ForwardBackward(Filtered(Wallis(21), default), 0.3)",
         ForwardBackward(Filtered(Wallis(21), matchers.default()), 0.3)),
        ("CoarseToFine((NCC(stride=16), MultiWindow(LeastSquares())))",
         CoarseToFine((NCC(stride=16), MultiWindow(LeastSquares())))),
        ("CoarseToFine(stages=[NCC, LeastSquares])", CoarseToFine((NCC(), LeastSquares()))),
    ],
)  # fmt: skip
def test_an_expression_becomes_the_matcher(text, matcher):
    assert matcher_from(text) == matcher


def test_what_provenance_says_can_be_pasted_back():
    for matcher in (matchers.default(), NCC(window=24, search=9), LeastSquares()):
        assert matcher_from(repr(matcher)) == matcher


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NNC()", "did you mean 'NCC'"),
        ("Fourier(window=3)", "there are: default, learned, multikernel, guessing, NCC"),
        ("flownet-compact", "did you mean 'flownets-compact'? there are: default, learned"),
        ("autoo", "unknown matcher: 'autoo'; there are: default, learned"),
        ("NCC(windw=3)", "unknown parameter of NCC: 'windw'; did you mean 'window'"),
        ("NCC('wide')", "NCC(window='wide') cannot be used: window must be a whole number"),
        ("NCC(32, 8, -1)", "must be positive"),
        ("NCC(32, window=32)", "NCC has two values for window; leave out one of them"),
        ("Gaussian(3)", "Gaussian has 0 parameters and 1 values are given; there are: none"),
        ("default(64, 4, 3)", "default has 2 parameters and 3 values are given; there are: search"),
        ("default(64, 3)", "default(stride=3) is not offered; use one of (1, 2, 4, 8, 16)"),
        ("Filtered(NCC(), Wallis())", "filter must be Power() or Log()"),
        ("NCC(*(32, 8))", "is not a value"),
        ("NCC(**{})", "name the values"),
        ("NCC(window=", "is not a matcher expression"),
        ("", "is not a matcher expression"),
        ("32", "is not a matcher"),
        ("(NCC(), NCC())", "is not a matcher"),
        ("NCC(window='wide')", "window must be a whole number; see"),
        ("NCC(window=1.5)", "window must be a whole number"),
        ("NCC(false_alarm='low')", "false_alarm must be a number"),
        ("NCC(search=0)", "must be positive"),
        ("CoarseToFine(stages=(NCC()))", "stages must be in parentheses with commas"),
        ("CoarseToFine(stages=(Wallis(),))", "each a matcher"),
        ("MultiWindow(matcher=PhaseCorrelation)", "matcher must be NCC() or LeastSquares()"),
        ("default(stride='a')", "stride must be a whole number"),
        ("NCC(window=-3)", "must be positive"),
        ("CoarseToFine()", "CoarseToFine() cannot be used: .*stages"),
        ("NCC(window=1 + 1)", "is not a value"),
        ("__import__('os').getcwd()", "is not the name of a matcher"),
        ("NCC(window=open('x'))", "unknown matcher or filter: 'open'"),
        ("NCC(open('x'))", "unknown matcher or filter: 'open'"),
        ("NCC(window=[x for x in (1,)])", "is not a value"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(MatcherError, match=re.escape(message).replace(r"\.\*", ".*")):
        matcher_from(text)


def test_weights_have_names():
    assert matcher_from("flownets-compact") == learned("flownets-compact")
    with pytest.raises(MatcherError, match="did you mean 'auto'"):
        matcher_from("autoo", also=("auto",))


def test_every_member_of_the_union_can_be_named():
    for cls in typing.get_args(matchers.AnyMatcher):
        assert registry()[cls.__name__] is cls


def test_a_run_s_folder_is_a_matcher(tmp_path):
    keep(Fusion(FusionConfig((4, 4, 4), iterations=3)), tmp_path / NAME, {})
    assert matcher_from(str(tmp_path)) == learned(str(tmp_path))
    last = learned(str(tmp_path)).stages[-1].matcher.stages[-1]
    assert last == Refine(str(tmp_path), iterations=3)
    assert matcher_from(f"learned({str(tmp_path)!r}, stride=4)") == learned(str(tmp_path), stride=4)
    assert matcher_from(repr(learned(str(tmp_path)))) == learned(str(tmp_path))
    with pytest.raises(MatcherError, match="weights must be text in quotes"):
        matcher_from("learned(weights=3)")
    assert matcher_from("learned") == learned(STANDARD)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MatcherError, match="empty' holds no weights; give that of a run"):
        matcher_from(str(tmp_path / "empty"))


def test_descriptions_follow_from_the_classes():
    described = {each.name: each for each in describe()}
    ncc = described["NCC"]
    assert ncc.kind == "matcher"
    assert ncc.summary.endswith(".")
    assert [p.name for p in ncc.parameters] == [f.name for f in fields(NCC)]
    assert ncc.parameters[0].default == repr(NCC().window)
    assert "window" in ncc.parameters[0].summary
    assert {each.kind for each in describe()} == {"matcher", "filter", "part"}
    assert described["Sinc"].kind == "part"


def test_everything_is_explained():
    for each in describe():
        assert each.summary, each.name
        for parameter in each.parameters:
            # A filter of one parameter may say all in its summary.
            assert parameter.summary or each.kind == "filter", f"{each.name}.{parameter.name}"


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 1024**3), ("4g", 4 * 1024**3), ("500M", 500 * 1024**2), ("1.5 kB", 1500),
     ("123", 123), ("2T", 2 * 1024**4), ("1MB", 10**6), ("1mb", 10**6), ("1MiB", 2**20),
     ("1 TB", 10**12), ("7b", 7), ("0.1GB", 10**8)],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "4i", "4Mi", "4 gigs", "-4G", "0", "four"])
def test_what_is_no_size(text):
    with pytest.raises(GroundshiftError, match="4GiB"):
        parse_size(text)


def test_default_is_a_name(monkeypatch):
    monkeypatch.setitem(config.PRESETS, "default", lambda: NCC(window=40))
    assert matcher_from("default") == NCC(window=40)


def repr_of(weights, search, stride):
    return f"learned(weights={weights!r}, search={search}, stride={stride})"


class TestLayout:
    @pytest.mark.parametrize("search", [4, 7, 64])
    @pytest.mark.parametrize("stride", matchers.presets.STRIDES)
    def test_the_default_knows_itself(self, search, stride):
        made = matchers.default(search, stride)
        assert default_arguments(made) == {"search": search, "stride": stride}
        assert layout.readable(repr(made), 80) == [f"default(search={search}, stride={stride})"]

    @pytest.mark.parametrize(("search", "stride"), [(4, 1), (7, 4), (64, 16)])
    def test_the_learned_one_knows_itself(self, search, stride):
        made = learned(STANDARD, search, stride)
        told = layout.readable(repr(made), 80)
        assert told == [repr_of(STANDARD, search, stride)]
        assert matcher_from(told[0]) == made
        rest = replace(made, stages=made.stages[1:])
        assert layout.readable(repr(rest), 80)[0][:7] != "learned"

    def test_less_than_four_pixels_are_four(self):
        assert matchers.default(search=0) == matchers.default(search=4)
        assert "4 are looked for in any case" in describe_presets()[0].parameters[0].summary

    @pytest.mark.parametrize(
        "other",
        [
            NCC(),
            CoarseToFine((NCC(),)),
            CoarseToFine(CHAIN.stages[:1]),
            CoarseToFine(CHAIN.stages[1:]),
            replace(CHAIN, reach=3),
            Filtered(Wallis(), CHAIN),
            CoarseToFine((CHAIN.stages[0], Filtered(Wallis(), CHAIN.stages[1].matcher))),
        ],
    )
    def test_what_is_not_the_default(self, other):
        assert default_arguments(other) is None

    def test_the_default_that_follows_a_prior(self):
        told = repr(replace(CHAIN, reach=7))
        assert layout.readable(told, 80) == [
            "default(search=64, stride=4), following a prior of up to 7 px"
        ]

    def test_the_default_inside_another(self):
        told = repr(Filtered(Wallis(), matchers.default(32)))
        assert layout.readable(told, 90) == [
            "Filtered(filter=Wallis(window=31, clip=4.0), matcher=default(search=32, stride=4))"
        ]

    @pytest.mark.parametrize("width", [20, 40, 70, 100])
    @pytest.mark.parametrize(
        "matcher",
        [
            NCC(),
            matchers.default(),
            CoarseToFine((NCC(),)),
            ForwardBackward(Filtered(Wallis(), CoarseToFine((MultiWindow(NCC()), NCC())))),
        ],
        ids=lambda m: type(m).__name__,
    )
    def test_lines_can_be_pasted_back(self, matcher, width):
        for lines in (layout.laid_out(repr(matcher), width), layout.readable(repr(matcher), width)):
            assert matcher_from("\n".join(lines)) == matcher
            assert len(lines) == 1 or width < 40 or max(map(len, lines)) <= width

    def test_short_parts_share_lines_and_long_ones_are_indented(self):
        assert layout.laid_out("A(b=(C(d=1, e=2), C(d=3, e=4)), f=5, g=6)", 21) == [
            "A(",
            "  b=(",
            "    C(d=1, e=2),",
            "    C(d=3, e=4)),",
            "  f=5, g=6)",
        ]

    def test_what_is_not_ours_stays_as_it_is(self):
        assert layout.readable("Mine(x=<object at 0x7f>)", 10) == ["Mine(x=<object at 0x7f>)"]


def test_the_default_is_described():
    default, learned, *_ = describe_presets()
    assert learned.parameters[0].default == repr(STANDARD)
    assert [(p.name, p.default) for p in default.parameters] == [("search", "64"), ("stride", "4")]
    assert all(parameter.summary for parameter in default.parameters)
