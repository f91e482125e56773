"""Expressions for matchers, and sizes."""

import re
import typing
from dataclasses import fields

import pytest

from groundshift import config, matchers
from groundshift.config import describe, matcher_from, parse_size, registry
from groundshift.errors import GroundshiftError, MatcherError
from groundshift.matchers import NCC, CoarseToFine, LeastSquares


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
        ("CoarseToFine(stages=[NCC, LeastSquares])", CoarseToFine((NCC(), LeastSquares()))),
    ],
)
def test_an_expression_becomes_the_matcher(text, matcher):
    assert matcher_from(text) == matcher


def test_what_provenance_says_can_be_pasted_back():
    for matcher in (matchers.default(), NCC(window=24, search=9), LeastSquares()):
        assert matcher_from(repr(matcher)) == matcher


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NNC()", "did you mean 'NCC'"),
        ("Fourier(window=3)", "there are: default, NCC"),
        ("NCC(windw=3)", "unknown parameter of NCC: 'windw'; did you mean 'window'"),
        ("NCC(32)", "name every parameter"),
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
        ("NCC(window=open('x'))", "name every parameter"),
        ("NCC(window=[x for x in (1,)])", "is not a value"),
    ],
)
def test_what_is_wrong_is_said(text, message):
    with pytest.raises(MatcherError, match=re.escape(message).replace(r"\.\*", ".*")):
        matcher_from(text)


def test_every_member_of_the_union_can_be_named():
    for cls in typing.get_args(matchers.AnyMatcher):
        assert registry()[cls.__name__] is cls


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
    [("4GiB", 4 * 1024**3), ("4g", 4 * 1024**3), ("500M", 500 * 1024**2), ("1.5 kB", 1536),
     ("123", 123), ("2T", 2 * 1024**4)],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "4 gigs", "-4G", "0", "four"])
def test_what_is_no_size(text):
    with pytest.raises(GroundshiftError, match="4GiB"):
        parse_size(text)


def test_default_is_a_name(monkeypatch):
    monkeypatch.setattr(config.matchers, "default", lambda: NCC(window=40))
    assert matcher_from("default") == NCC(window=40)
