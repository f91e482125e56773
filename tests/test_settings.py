"""Recipes as YAML."""

import json
from dataclasses import asdict, fields

import pytest
import yaml

from groundshift.errors import GroundshiftError
from groundshift.settings import RECIPES, to_values
from groundshift.synth.recipe import Recipe


def test_default_and_file(tmp_path) -> None:
    assert RECIPES.read("default") == Recipe()
    path = tmp_path / "mine.yaml"
    path.write_text("size: 64\nmotions:\n  zero: 1\n  bowl: 2.5\ncoherence: [0, 1]\n")
    assert RECIPES.read(path) == Recipe(
        size=64, motions=(("zero", 1.0), ("bowl", 2.5)), coherence=(0.0, 1.0)
    )


def test_the_template_is_the_default_and_says_what_keys_mean() -> None:
    text = RECIPES.template()
    assert RECIPES.parse(text) == Recipe()
    assert "# Rows and columns, pixels." in text
    assert list(yaml.safe_load(text)) == [field.name for field in fields(Recipe)]


def test_a_number_that_yaml_takes_for_text() -> None:
    assert RECIPES.parse("radar: 5e-1").radar == 0.5
    with pytest.raises(GroundshiftError, match="must be a number"):
        RECIPES.parse("radar: 5e-1x")


def test_values_go_round() -> None:
    recipe = Recipe(seed=3, split="test", motions=(("ramp", 1.0),))
    assert RECIPES.from_values(to_values(recipe)) == recipe
    assert RECIPES.changed(recipe, {"size": 77}).size == 77


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise: 3", "unknown key 'sise'; did you mean 'size'"),
        ("size: 3.5", "size is 3.5 and must be a whole number"),
        ("size: true", "size is True and must be a whole number"),
        ("radar: much", "radar is 'much' and must be a number"),
        ("coherence: [0.1]", "coherence has 1 values and must have 2"),
        ("coherence: 0.5", "must be a list"),
        ("motions: [zero]", "must be names and numbers"),
        ("motions: {glaciar: 1}", "did you mean 'glacier'"),
        ("motions: {zero: -1}", "must be positive"),
        ("split: tset", "choose one of train, validation, test"),
        ("size: 3", "size=16 or more"),
        ("- a", "keys and values"),
        ("a: [", "is not YAML"),
    ],
)
def test_remedies(text: str, message: str) -> None:
    with pytest.raises(GroundshiftError, match=message.replace("(", r"\(")):
        RECIPES.parse(text)


def test_a_missing_file(tmp_path) -> None:
    with pytest.raises(GroundshiftError, match="pass a YAML file or 'default'"):
        RECIPES.read(tmp_path / "none.yaml")


def test_the_json_of_a_run_is_read_as_well(tmp_path) -> None:
    recipe = Recipe(size=48, motions=(("zero", 1.0), ("bowl", 2.5)))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(asdict(recipe)))
    assert RECIPES.read(path) == recipe
