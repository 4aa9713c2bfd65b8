"""`python -m training low-label`: how far few labels go."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console

from dicom_node.model.session import Model
from training.adapting import seen_by
from training.commands.inputs import check_labels, device_here, prepared, recipe_for
from training.commands.options import DataOption, OutOption, RecipeOption, path_option, refuse_unused
from training.drawn import drawn, subset
from training.embeddings import shaped_by_labels
from training.errors import TrainingError
from training.heads import Classifier, embed, load_backbone, trained_classifier
from training.images import ImageSet
from training.low_label import FEW_STEPS, Rows, adapted_curve, baseline, markdown, share_of_labels, spread
from training.manifest import is_learned_from
from training.metrics import softmax, summary
from training.order import steps_of
from training.pool import Pool, open_pool
from training.pretrain import pretrain
from training.probe import fit_head
from training.progress import progress
from training.recipe import DataRecipe, Recipe
from training.reopen import head_of_file
from training.runs import METRICS, sources, write_json, write_run
from training.splits import may_measure, splits_of, stages_of
from training.start import told_of
from training.strangers import strangers_of
from training.telling import tell
from training.unadapted import check_not_finetuned, open_unadapted

TABLE = "table.md"
ADAPTED = {
    "labels": "labels",
    "n": "n",
    "top1": "top 1",
    "balanced": "balanced",
    "ece": "ECE",
    "tagged_balanced": "tagged, balanced",
    "right_of_tagged": "right of the tagged",
    "ood_tagged": "out of domain, tagged",
}
SHARES = {
    "labels": "labels",
    "n": "n",
    "probe": "linear probe",
    "supervised": "supervised from scratch",
    "steps": "steps from scratch",
}


def low_label(
    context: typer.Context,
    data: DataOption,
    out: OutOption,
    from_model: Annotated[Path | None, path_option("--from-model", help="Adapt this model file.")] = None,
    source: Annotated[Path | None, path_option("--from", help="Probe this run's frozen backbone.")] = None,
    per_region: Annotated[
        list[int] | None, typer.Option(min=1, help="Labelled images per region, with --from-model.")
    ] = None,
    share: Annotated[
        list[float] | None, typer.Option(min=0.0, max=1.0, help="Shares of the labels, with --from.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Of each baseline from scratch, with --from; 0: none.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions with other labels.")] = 5,
    recipe: RecipeOption = None,
) -> None:
    """The curve over 1, 5, 10, 20 labels per region (--from-model), or over 0.1, 1, 10, 100 % of the labels (--from).

    Rows with `use = evaluate` are left out, and with --from-model those that the file learned from, by its card: no
    group (patient) is ever learned from and measured on.
    """
    if (from_model is None) == (source is None):
        raise TrainingError("Give either --from-model MODEL.onnx or --from RUN.")
    more: dict[str, Any] = {}
    if from_model is not None:
        refuse_unused(context, ["share", "samples", "recipe"], "a file is adapted to --per-region images")
        curve = _adapted(data, out, from_model, per_region or [1, 5, 10, 20], seeds)
        table = markdown(curve, "images per region", ADAPTED)
    else:
        assert source is not None
        refuse_unused(context, ["per_region"], "a run is probed with each --share of the labels")
        chosen = recipe_for(recipe, source)
        curve = _probed(data, out, source, chosen, share or [0.001, 0.01, 0.1, 1.0], seeds, samples)
        saw_labels = shaped_by_labels(told_of(source))
        more["backbone_saw_labels"] = saw_labels
        table = markdown(curve, "share", SHARES) + (f"\n{_saw_labels(source)}\n" if saw_labels else "")
    about = {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "seeds": seeds, "samples": samples}
    write_json(out / METRICS, {**about, "from": str((from_model or source or out).name), **more, "curve": curve})
    (out / TABLE).write_text(table, encoding="utf-8")
    Console().print(table, soft_wrap=True, highlight=False)


def _adapted(data: list[Path], out: Path, path: Path, per_region: Sequence[int], seeds: int) -> list[dict[str, Any]]:
    before = open_unadapted(path)  # a head that has seen some of the rows would make few labels seem many
    check_not_finetuned(before.model.card.training, path)
    model, graph, card = before.model, before.graph, before.model.card
    recipe = Recipe(data=DataRecipe(size=card.input_size))
    pool = _unseen(open_pool(prepared(data, recipe, out), at_least=card.input_size), model)
    rows = drawn(pool, card.input_size)
    with progress("predict", len(rows.rows)) as shown:
        embeddings, _, scores = seen_by(model, rows, advance=shown.advance)
    measured = Rows(
        embeddings=embeddings,
        scores=scores,
        targets=rows.targets,
        groups=np.array([row.group for row in rows.rows]),
    )
    with progress("adapt", seeds * (1 + len(per_region))) as shown:
        curve = adapted_curve(
            measured,
            strangers_of(graph, embeddings.shape[1]),
            parent=head_of_file(graph),
            thresholds=card.thresholds,
            per_region=per_region,
            seeds=seeds,
            advance=shown.advance,
        )
    _tell(out, recipe, path, learned=pool, measured=pool.where(lambda row: row.target >= 0))
    return curve


def _unseen(pool: Pool, model: Model) -> Pool:
    """The labelled rows that are not for evaluation, without those that the model learned from; says how many these
    are, or that the file does not tell.
    """
    stages = stages_of(model.card.training)
    usable = pool.where(lambda row: row.is_labelled and row.use != "evaluate")
    unseen = usable.where(lambda row: not any(each.learned_from(row) for each in stages))
    learned = len(usable.rows) - len(unseen.rows)
    if not (unseen.targets >= 0).any():
        raise TrainingError(
            f"The data has no rows of a region that {model.model_id} has not learned from ({learned} it has), apart "
            "from those for evaluation: give other images."
        )
    if learned or not stages:
        said = f"learned from {learned} of the rows, which are left out" if stages else "does not tell what it learned"
        tell(f"{model.model_id} {said}.")
    return unseen


def _probed(
    data: list[Path], out: Path, source: Path, recipe: Recipe, shares: Sequence[float], seeds: int, samples: int
) -> list[dict[str, Any]]:
    """One entry per share: top 1 of the probe and, with samples, of a network of the same shape from scratch."""
    size, device, scratch = recipe.data.size, device_here(), baseline(recipe, samples)
    if samples:
        _warn_of_few_steps(scratch)
    pool = open_pool(prepared(data, recipe, out), at_least=size).where(lambda row: row.target >= 0)
    before = splits_of(told_of(source))
    to_learn = pool.where(lambda row: is_learned_from(row, recipe.data))
    to_measure = pool.where(lambda row: may_measure(row, recipe.data, before))
    learned, held = drawn(to_learn, size), drawn(to_measure, size)
    check_labels(learned.rows, held.rows)
    backbone = load_backbone(source)
    with progress("embed", len(learned.rows) + len(held.rows)) as shown:
        known, asked = (
            embed(backbone, torch.from_numpy(each.images), device, shown.advance) for each in (learned, held)
        )
    groups = np.array([row.group for row in learned.rows])
    curve = []
    for each in shares:
        runs = []
        for seed in range(seeds):
            chosen = share_of_labels(learned.targets, groups, each, seed=seed)
            few = subset(learned, chosen)
            weight, bias = fit_head(known[chosen][None], few, recipe.probe, recipe.data, seed=seed)
            probed = Classifier(backbone=backbone, weight=weight, bias=bias)
            run: dict[str, float | None] = {
                "labels": float(len(chosen)),
                "n": float(len(held.rows)),
                "probe": _top1(probed, asked, held),
            }
            if samples:
                found = _from_scratch(few, held, scratch, out / f"scratch-{each:g}-{seed}", seed)
                run["supervised"], run["steps"] = found
            runs.append(run)
        curve.append({"label": f"{100 * each:g} %", "share": each, **spread(runs)})
    _tell(out, recipe, source, learned=to_learn, measured=to_measure)
    return curve


def _saw_labels(source: Path) -> str:
    return (
        f"The backbone of {source.name} learned from labels itself: a share counts only those that the head was fitted "
        "on, so this is no curve of what few labels give."
    )


def _tell(out: Path, recipe: Recipe, source: Path, *, learned: Pool, measured: Pool) -> None:
    """Write `run.json`; it says of which sources the rows are that the curve was measured on."""
    about = {"model": source.name, "measured_on": sources(measured)}
    # The seeds of a curve begin with 0; metrics.json says how many there are.
    write_run(out, command="low-label", recipe=recipe, seed=0, data=learned, now=datetime.now(UTC), **about)


def _warn_of_few_steps(scratch: Recipe) -> None:
    plan = scratch.pretrain
    steps = steps_of(plan, 0)
    if steps < FEW_STEPS:
        tell(
            f"The networks from scratch take {steps} steps of {plan.batch} images: too few to say what supervised "
            f"training can do. Give --samples {FEW_STEPS * plan.batch} or more."
        )


def _from_scratch(few: ImageSet, held: ImageSet, scratch: Recipe, out: Path, seed: int) -> tuple[float, float]:
    """Top 1 of a network that saw these labels alone, and in how many steps."""
    out.mkdir(parents=True, exist_ok=True)
    device = device_here()
    with progress(out.name, scratch.pretrain.samples) as shown:
        trained = pretrain(few, scratch, seed=seed, out=out, device=device, advance=shown.advance)
    classifier = trained_classifier(trained.weights)
    return _top1(classifier, embed(classifier.backbone, torch.from_numpy(held.images), device), held), trained.steps


def _top1(classifier: Classifier, embeddings: torch.Tensor, held: ImageSet) -> float:
    measured = summary(softmax(classifier.logits(embeddings).double().numpy()), held.targets)
    return float(measured["top1"])
