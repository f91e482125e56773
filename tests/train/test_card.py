"""Cards of weights: what is said follows from what taught them."""

import pytest

from groundshift.train.card import TERMS, card

DETAILS = {
    "steps": 1200,
    "hours": 0.5,
    "hardware": "2 processors, 1 threads",
    "config": {"objective": "truth"},
    "guess": "search",
    "samples": 192,
    "sources": ["scene"],
    "span": {},
    "errors": [(0.1, 0.3)],
    "within_68": 0.7,
    "within_95": 0.95,
    "band": 1.7,
}


def text(**details):
    return " ".join(card("mine", 1234, {**DETAILS, **details}).split())


@pytest.mark.parametrize(
    ("taught", "said", "held"),
    [
        ("synthetic", "on synthetic pairs alone", "192 synthetic pairs"),
        ("labels", "what a tracker found in the real pairs below", "192 of their labels"),
        ("images", "on the real images below alone", "192 synthetic pairs"),
    ],
)
def test_what_taught_the_weights(taught, said, held):
    found = text(taught=taught)
    assert said in found
    assert f"On {held} that it was not trained on, behind its search" in found


def test_without_a_search():
    assert "not trained on, without a search, sigma" in text(guess="none")


def test_truth_that_was_not_used():
    assert "Their truth was not used" in text(config={"objective": "alike"})
    assert "Their truth was not used" not in text()


def test_no_sigma_where_nothing_was_set_aside():
    found = card("mine", 1, {k: v for k, v in DETAILS.items() if not k.startswith("within")})
    assert "It tells no sigma" in found


def test_terms_are_those_of_the_package_alone():
    assert "Apache" not in text()
    assert "Apache" in card("mine", 1, DETAILS, terms=TERMS)
