"""The recipe's section for the simulation, and the command that reads it."""

from pathlib import Path

import pytest

from tests.unit.training.simulate.scenes import draw_balls
from training.cli import main
from training.commands import simulate as command
from training.errors import TrainingError
from training.images import load
from training.recipe import read_recipe
from training.simulate.recipe import SimulateRecipe


def open_balls(_atlas: Path):
    return draw_balls


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_randomisation_can_be_switched_off_by_name(tmp_path: Path) -> None:
    recipe = read_recipe(
        written(
            tmp_path,
            '[simulate]\nshapes = "one"\nregions = ["foot"]\nhardware = 0\n'
            "[simulate.surroundings]\ntwo_views = 0.0\n[simulate.detector]\nscatter = [0, 0]\n",
        )
    ).simulate
    assert (recipe.shapes, recipe.regions, recipe.hardware) == ("one", ("foot",), 0.0)
    assert (recipe.surroundings.two_views, recipe.detector.scatter) == (0.0, (0.0, 0.0))
    assert recipe.surroundings.words == SimulateRecipe().surroundings.words


def test_a_misspelt_switch_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"simulate\.tone\.invertd'; did you mean 'inverted'"):
        read_recipe(written(tmp_path, "[simulate.tone]\ninvertd = 0.5\n"))


def test_the_command_makes_a_set_and_a_contact_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "open_people", open_balls)
    recipe = written(tmp_path, "[data]\nsize = 40\n[simulate]\nsize = 48\n")
    out = tmp_path / "out"
    arguments = ["simulate", "--atlas", "atlas", "--out", str(out), "--count", "30", "--recipe", str(recipe)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--workers", "1"])
    assert ended.value.code == 0
    assert load(out).images.shape == (30, 40, 40)
    assert (out / "contact_sheet.jpg").read_bytes().startswith(b"\xff\xd8")


def test_an_unknown_format_is_refused_with_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--atlas", "a", "--out", str(tmp_path), "--count", "1", "--format", "gif"])
    assert ended.value.code == 2
    assert "choose one of cache, png, jpeg, dicom" in capsys.readouterr().err
