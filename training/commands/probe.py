"""`python -m training probe`: a linear head on a run's backbone, or on a model file's from a few labelled images."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_node.model.session import Model
from training.commands.inputs import check_labels, device_here, prepared, recipe_for, say
from training.commands.options import OutOption, RecipeOption, SeedOption, path_option, refuse_unused
from training.errors import TrainingError
from training.telling import tell

KEPT_OUT = ("per_region", "parent")


def probe(
    context: typer.Context,
    out: OutOption,
    data: Annotated[
        list[Path] | None, path_option("--data", help="Manifests or prepared folders; simulated ones with --finetune.")
    ] = None,
    source: Annotated[Path | None, path_option("--from", help="The earlier run's folder.")] = None,
    from_model: Annotated[
        Path | None, path_option("--from-model", help="Adapt this model file (with --finetune also a run folder).")
    ] = None,
    labels: Annotated[Path | None, path_option(help="labels.csv: file,region[,group]; DICOM, PNG, JPEG.")] = None,
    finetune: Annotated[bool, typer.Option("--finetune", help="Train the network as well.")] = False,  # noqa: FBT002 - Typer's way
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
) -> None:
    """Fit the linear head: on --data with a frozen backbone, or --from-model and --labels in seconds."""
    if from_model is not None:
        if labels is None:
            raise TrainingError("--from-model needs --labels labels.csv, with the columns file and region.")
        if finetune:
            refuse_unused(context, ["source"], "--finetune begins with --from-model")
        else:
            why = "without --finetune a head alone is fitted, on --labels and on nothing else"
            refuse_unused(context, ["data", "source", "recipe", "seed"], why)
        out.mkdir(parents=True, exist_ok=True)
        if finetune:
            _finetune(out, from_model, labels, data or [], recipe, seed)
        else:
            _adapt(out, from_model, labels)
        return
    if source is None or not data or labels is not None or finetune:
        raise TrainingError("Give --from RUN and --data, or --from-model MODEL.onnx and --labels labels.csv.")
    _probe(out, source, data, recipe, seed)


def _adapt(out: Path, from_model: Path, labels: Path) -> None:
    from training.adapting import adapt_file
    from training.labels import load_labelled
    from training.runs import METRICS, check_own_run, sources, write_json, write_use

    check_own_run(out, "probe")
    given = Model.open(from_model)
    labelled = load_labelled(labels, given.card.input_size)
    now = datetime.now(UTC)
    metrics = adapt_file(from_model, labelled, out, now=now)
    write_json(out / METRICS, metrics)
    write_use(out, command="probe", now=now, model=given.model_id, sources=sources(labelled))
    before = metrics["parent"]
    if metrics["from"] != given.model_id:
        tell(
            f"{from_model} had been adapted before: this began again with {metrics['from']}, so that the labels in "
            f"{labels} alone count. Keep the earlier ones among them."
        )
    say({name: value for name, value in metrics.items() if name not in KEPT_OUT})
    Console().print(
        f"{out / 'model.onnx'}: on images left out of the fit, balanced {before['balanced']:.3f} before and "
        f"{metrics['balanced']:.3f} after, {metrics['n']} images of {len(metrics['per_region'])} regions."
    )


def _finetune(out: Path, start: Path, labels: Path, data: list[Path], recipe_path: Path | None, seed: int) -> None:
    from training.finetuning import finetune_file

    if not data:
        raise TrainingError("--finetune needs --data, a prepared folder of simulated images to mix with the labels.")
    say(finetune_file(start, labels, data, out, recipe_path=recipe_path, seed=seed, now=datetime.now(UTC)))


def _probe(out: Path, source: Path, data: list[Path], recipe: Path | None, seed: int) -> None:
    import torch

    from training.drawn import drawn
    from training.heads import Classifier, embed, load_backbone, load_classifier
    from training.manifest import is_learned_from
    from training.metrics import softmax, with_intervals
    from training.pool import open_pool
    from training.probe import cached_views, fit_head
    from training.progress import progress
    from training.runs import METRICS, save_weights, sources, write_json, write_run
    from training.splits import may_measure, splits_of
    from training.start import told_of

    chosen, device = recipe_for(recipe, source), device_here()
    size = chosen.data.size
    pool = open_pool(prepared(data, chosen, out), at_least=size).where(lambda row: row.is_labelled)
    learned, before = pool.where(lambda row: is_learned_from(row, chosen.data)), splits_of(told_of(source))
    held = drawn(pool.where(lambda row: may_measure(row, chosen.data, before)), size)
    check_labels(learned.rows if chosen.probe.head == "fit" else held.rows, held.rows)
    if chosen.probe.head == "keep":
        classifier = load_classifier(source)
    else:
        backbone, shown_once = load_backbone(source), drawn(learned, size)
        with progress("embed", len(learned.rows) * chosen.probe.views) as shown:
            views = cached_views(backbone, shown_once, chosen.probe, seed=seed, device=device, advance=shown.advance)
        weight, bias = fit_head(views, shown_once, chosen.probe, chosen.data, seed=seed)
        classifier = Classifier(backbone=backbone, weight=weight, bias=bias)
    with progress("embed", len(held.rows)) as shown:
        embeddings = embed(classifier.backbone, torch.from_numpy(held.images), device, advance=shown.advance)
    probabilities = softmax(classifier.logits(embeddings).double().numpy())
    metrics = with_intervals(probabilities, held.targets, [row.group for row in held.rows])
    save_weights(out, classifier.weights())
    write_json(out / METRICS, metrics)
    now, earlier = datetime.now(UTC), told_of(source)
    more = {"measured_on": sources(held), "earlier": earlier}
    write_run(out, command="probe", recipe=chosen, seed=seed, data=learned, now=now, **more)
    say(metrics)
