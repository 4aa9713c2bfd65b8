"""`python -m training ensemble`."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from rich.console import Console

from dicom_node.model.card import ModelCard, Thresholds
from dicom_node.model.session import Model
from training.adapting import MODEL, seen_by
from training.calibrate import choose_thresholds, worst_temperature
from training.commands.export import export_run
from training.commands.inputs import held_rows, prepared, say
from training.commands.options import DataOption, OutOption, RecipeOption, name_option, path_option
from training.diagram import reliability_diagram
from training.ensemble import LEAST, ensemble_model, summed
from training.errors import TrainingError
from training.images import ImageSet
from training.metrics import Floats, reliability, with_intervals
from training.pool import open_pool
from training.progress import progress
from training.recipe import CalibrateRecipe, DataRecipe, Recipe, read_recipe
from training.reopen import open_file
from training.runs import METRICS, read_run, recipe_of, sources, write_json, write_run
from training.splits import own_split, splits_of, unnamed_labels
from training.start import told_of

COMMAND = "ensemble"


def ensemble(
    data: DataOption,
    out: OutOption,
    members: Annotated[list[Path], path_option("--from", help="Calibrated runs or model files, two or more.")],
    recipe: RecipeOption = None,
    name: Annotated[str, name_option(help="The model's name.")] = "ensemble",
) -> None:
    """Sum the softmax of several models in one model.onnx; calibrated on rows that no weight was learned from."""
    if len(members) < 2:
        raise TrainingError("An ensemble needs two models at least: --from RUN RUN RUN.")
    _check_members(members, out)
    _check_measurable(members)
    out.mkdir(parents=True, exist_ok=True)
    files = [_file_of(member, into) for member, into in _places(members, out).items()]
    opened = [Model.open(file) for file in files]
    chosen = _recipe(recipe, members, _one_size(opened))
    own, before = _splits(members, read_recipe(recipe).data if recipe else None)
    held = held_rows(open_pool(prepared(data, chosen, out), at_least=chosen.data.size), chosen.data.size, own, before)
    probabilities, scores = _predictions(opened, held)
    temperature, thresholds = _calibrated(opened, held, probabilities, scores, chosen.calibrate)

    path = out / MODEL
    card = _card(opened, held, name, chosen.version, temperature, thresholds)
    path.write_bytes(ensemble_model([open_file(file)[0] for file in files], card, temperature).SerializeToString())
    Model.open(path)

    answers, groups = summed(probabilities, temperature), [row.group for row in held.rows]
    metrics = with_intervals(answers, held.targets, groups)
    alone = {
        each.model_id: with_intervals(p, held.targets, groups) for each, p in zip(opened, probabilities, strict=True)
    }
    reliability_diagram(reliability(answers, held.targets), metrics["ece"] or 0.0, out / "reliability.svg")
    chosen_values = {"temperature": temperature, **asdict(thresholds)}
    write_json(out / METRICS, {**metrics, **chosen_values, "members": alone})
    write_run(
        out,
        command=COMMAND,
        recipe=chosen,
        seed=0,  # nothing is drawn by chance
        data=held,
        now=datetime.now(UTC),
        calibrated_on=sources(held),
        members=card.training["members"],
    )
    for model, measured in alone.items():
        Console().print(f"{model}: top 1 {measured['top1']:.4f}, balanced {measured['balanced']:.4f}")
    say({**metrics, **chosen_values})
    Console().print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {len(files)} members")


def _check_members(members: list[Path], out: Path) -> None:
    """Refuse members that are no others, and those that would be written over.

    Raises:
        TrainingError: one is given twice, lies where the ensemble will, or is an ensemble's run.
    """
    given = [member.resolve() for member in members]
    twice = [str(members[number]) for number, member in enumerate(given) if member in given[:number]]
    if twice:
        raise TrainingError(f"{twice[0]} is given twice: an ensemble is of different models.")
    places = _places(members, out)
    written = {path.resolve() for path in (out, out / MODEL, *(places[each] for each in members if each.is_dir()))}
    for member, where in zip(members, given, strict=True):
        if where in written:
            raise TrainingError(f"{member} would be written over: choose another --out.")
        if member.is_dir() and read_run(member)["command"] == COMMAND:
            raise TrainingError(f"{member} is an ensemble itself: name its members.")


def _check_measurable(members: list[Path]) -> None:
    """Refuse members of which no row tells whether they learned from it.

    Raises:
        TrainingError: one was adapted to labels or fine-tuned on them.
    """
    for member in members:
        if number := unnamed_labels(told_of(member)):
            raise TrainingError(
                f"{member} learned from {number} labelled images that it does not name, and the rows by which an "
                "ensemble gets its temperature and thresholds may be among them: name the model that was adapted or "
                "fine-tuned."
            )


def _places(members: list[Path], out: Path) -> dict[Path, Path]:
    """Each member, and where its model file is put if it is a run."""
    return {member: out / f"member{number}.onnx" for number, member in enumerate(members)}


def _file_of(member: Path, into: Path) -> Path:
    """A model file as it is; a calibrated run exported."""
    if member.is_file():
        return member
    export_run(member, into)
    return into


def _recipe(path: Path | None, members: list[Path], size: int) -> Recipe:
    runs = [member for member in members if member.is_dir()]
    chosen = read_recipe(path) if path or not runs else recipe_of(runs[0])
    return replace(chosen, data=replace(chosen.data, size=size))


def _splits(members: list[Path], named: DataRecipe | None) -> tuple[list[DataRecipe], list[DataRecipe]]:
    """The members' own splits, and those of all that they came from; the named recipe's beside them."""
    told = {member: told_of(member) for member in members}
    silent = [member for member, each in told.items() if not splits_of(each)]
    if silent and named is None:
        raise TrainingError(f"{silent[0]} does not tell which rows it learned from: name its recipe with --recipe.")
    own = [split for each in told.values() if (split := own_split(each)) is not None]
    before = [split for each in told.values() for split in splits_of(each)]
    return [*own, named] if named is not None else own, before


def _one_size(members: list[Model]) -> int:
    """The side in pixels of the images that all members take."""
    sizes = {each.card.input_size for each in members}
    if len(sizes) != 1:
        raise TrainingError("The members take images of different sizes; an ensemble sees each image once.")
    return sizes.pop()


def _predictions(models: list[Model], data: ImageSet) -> tuple[list[Floats], list[Floats]]:
    probabilities, scores = [], []
    with progress("predict", len(models) * len(data.rows)) as shown:
        for model in models:
            _, p, score = seen_by(model, data, advance=shown.advance)
            probabilities.append(p)
            scores.append(score)
    return probabilities, scores


def _calibrated(
    members: list[Model], held: ImageSet, probabilities: list[Floats], scores: list[Floats], recipe: CalibrateRecipe
) -> tuple[float, Thresholds]:
    """Temperature and thresholds of the sum, from rows that no weight was learned from."""
    logits = np.log(summed(probabilities) + LEAST)
    temperature = worst_temperature(torch.from_numpy(logits), torch.from_numpy(held.targets), held.rows)
    mean_score = np.mean(np.stack(scores), axis=0)
    thresholds = choose_thresholds(logits / temperature, held.rows, recipe, scores=mean_score)
    statistics = {each.card.thresholds.reject_statistic for each in members}
    return temperature, replace(thresholds, reject_statistic="mean of " + ", ".join(sorted(statistics)))


def _card(
    members: list[Model], held: ImageSet, name: str, version: str, temperature: float, thresholds: Thresholds
) -> ModelCard:
    first = members[0].card
    return ModelCard(
        name=name,
        version=version,
        labels=first.labels,
        input_size=first.input_size,
        imaging_version=first.imaging_version,
        temperature=temperature,
        thresholds=thresholds,
        training={
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "ensemble": "summed softmax",
            "members": [{"model": each.model_id, "training": dict(each.card.training)} for each in members],
            "calibrated_on": sources(held),
        },
    )
