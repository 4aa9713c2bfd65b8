"""`python -m training explain`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from dicom_node.model.card import LABELS
from training.audit import CLASSES, OUTSIDE, Audit, Head, audit, classes_of, fitted_head
from training.commands.inputs import check_uses, device_here, pooled
from training.commands.options import DataOption, FromOption, OutOption, RecipeOption, SeedOption, path_option
from training.corrections import read_corrections
from training.embeddings import Encoder, check_takes, open_encoder
from training.errors import TrainingError
from training.explain import cleaned, guided_grad_cam, share_on, with_border, with_gauge
from training.figures import confusion, matrix_figure, points_figure, projected
from training.images import UInt8Array
from training.manifest import OOD_PREFIX
from training.metrics import Floats, Ints
from training.pages import colour_of, inlined, inlined_figure, overlaid, signed, write_page
from training.pool import Pool
from training.progress import progress
from training.recipe import AuditRecipe, Recipe, read_recipe
from training.runs import METRICS, write_json, write_run

USES = ("train", "tune", "calibrate")
MAPS_PER_CLASS, POINTS, ATTENDED, ATTENDED_SHOWN = 10, 2000, 42, 6


def explain(
    data: DataOption,
    out: OutOption,
    source: FromOption,
    recipe: RecipeOption = None,
    seed: SeedOption = 0,
    use: Annotated[
        list[str] | None, typer.Option(help="Only rows with these uses; all but evaluate if absent.")
    ] = None,
    compare: Annotated[
        list[Path] | None, path_option(help="Other models for the attention on borders and gauges.")
    ] = None,
    corrected: Annotated[
        Path | None, path_option(help="Labels after a re-reading (CSV: file, region; empty: unusable).")
    ] = None,
) -> None:
    """One page on what the model looks at: activation maps, Guided Grad-CAM, t-SNE, confusion before and after."""
    check_uses(use)
    encoder = open_encoder(source, device_here())
    chosen = read_recipe(recipe) if recipe else Recipe(data=encoder.data)
    others = [open_encoder(other, device_here()) for other in compare or []]
    for each in (encoder, *others):
        check_takes(each, chosen.data.size)
    labelled = pooled(data, chosen, out).where(lambda row: row.is_labelled and row.use in (use or USES))
    if not labelled.rows:
        raise TrainingError("The data has no labelled rows to explain.")
    with progress("embed", len(labelled.rows)) as bar:
        embeddings = encoder.embed(labelled.images, bar.advance)
    given = classes_of(labelled.rows)
    head = fitted_head(embeddings, given, chosen.audit)
    made = audit(embeddings, labelled.rows, given, chosen.audit, seed=seed)
    after, sentence = _corrected(made, corrected)

    random = np.random.default_rng(seed)
    shown = _drawn((given < len(LABELS)).nonzero()[0], ATTENDED, random)
    images, targets = labelled.images[shown], given[shown]
    attention = [
        _attention(encoder, head, images, targets),
        *(_attention(other, _refitted(other, labelled, given, chosen.audit), images, targets) for other in others),
    ]
    confusions = _confusions(made, after)
    write_page(
        out / "index.html",
        "explain.html",
        title="What the model looks at",
        n=len(given),
        model=encoder.name,
        method=encoder.method,
        seed=seed,
        maps_of="The model file's own." if source.suffix == ".onnx" else "Of a head fitted on all these labels.",
        border_area=float(with_border(labelled.images[:1])[1].mean()),
        gauge_area=float(with_gauge(labelled.images[:1])[1].mean()),
        correction=sentence,
        attention=attention,
        attention_n=len(shown),
        **_points(embeddings, made, random, seed),
        **confusions,
        maps=_maps(encoder, head, labelled, given, random),
    )
    shares = [{name: value for name, value in line.items() if name != "sheet"} for line in attention]
    right = {name: confusions[name] for name in ("right_before", "right_after")}
    write_json(out / METRICS, {"n": len(given), **right, "attention_n": len(shown), "attention": shares})
    write_run(
        out, command="explain", recipe=chosen, seed=seed, data=labelled, now=datetime.now(UTC), model=encoder.name
    )
    Console().print(f"{out / 'index.html'}")


def _refitted(encoder: Encoder, data: Pool, given: Ints, recipe: AuditRecipe) -> Head:
    """Another model's own head, fitted on the same labels."""
    return fitted_head(encoder.embed(data.images), given, recipe)


def _drawn(rows: Ints, n: int, random: np.random.Generator) -> Ints:
    return np.sort(random.permutation(rows)[:n])


def _maps(encoder: Encoder, head: Head, data: Pool, given: Ints, random: np.random.Generator) -> list[dict[str, str]]:
    lines = []
    for index in np.unique(given[given < len(LABELS)]):
        rows = _drawn((given == index).nonzero()[0], MAPS_PER_CLASS, random)
        activations = encoder.maps(data.images[rows], given[rows], head.for_all_classes()[: len(LABELS)])
        strip = [overlaid(image, each) for image, each in zip(data.images[rows], activations, strict=True)]
        lines.append({"name": CLASSES[index], "sheet": inlined(np.concatenate(strip, axis=1))})
    return lines


def _attention(encoder: Encoder, head: Head, images: UInt8Array, targets: Ints) -> dict[str, Any]:
    """Shares of Guided Grad-CAM on border and ring, and on the same places without them, and some of it to look at."""
    backbone, weight = encoder.backbone(), head.for_all_classes()
    (framed, border), (ringed, ring) = with_border(images), with_gauge(images)
    variants = {"plain": images, "border": framed, "cleaned": cleaned(framed), "gauge": ringed}
    maps = {name: guided_grad_cam(backbone, weight, each, targets) for name, each in variants.items()}
    line: dict[str, Any] = {"model": encoder.name}
    for name, mask in (("plain", ring), ("border", border), ("cleaned", border), ("gauge", ring)):
        shares = share_on(maps[name], mask)
        line |= {name: float(shares.mean()), f"{name}_spread": float(shares.std(ddof=1)) if len(shares) > 1 else 0.0}
    strips = [
        np.concatenate(
            [part for name in variants for part in (colour_of(variants[name][i]), signed(maps[name][i]))], axis=1
        )
        # The drawn rows are in the order of the data, often by region: some from all over it.
        for i in np.linspace(0, len(images) - 1, min(ATTENDED_SHOWN, len(images))).astype(int)
    ]
    return {**line, "sheet": inlined(np.concatenate(strips))}


def _points(embeddings: Floats, made: Audit, random: np.random.Generator, seed: int) -> dict[str, Any]:
    suspected = np.zeros(len(made.given), bool)
    suspected[made.found.rows] = True
    rows = _drawn(np.arange(len(made.given)), POINTS, random)
    figure = points_figure(projected(embeddings[rows], seed=seed), made.given[rows], suspected[rows], CLASSES)
    return {"points": inlined_figure(figure), "points_n": len(rows), "starred": int(suspected[rows].sum())}


def _confusions(made: Audit, after: Ints) -> dict[str, Any]:
    """Both matrices and their difference; rows without a corrected label are in the first alone."""
    there = np.unique(np.concatenate([made.given, after[after >= 0], made.predicted]))
    names = [CLASSES[index] for index in there]
    old, new = (confusion(labels, made.predicted, len(CLASSES))[np.ix_(there, there)] for labels in (made.given, after))
    return {
        "before": inlined_figure(matrix_figure(old, names)),
        "after": inlined_figure(matrix_figure(new, names)),
        "difference": inlined_figure(matrix_figure(new - old, names, difference=True)),
        "right_before": float(np.trace(old) / old.sum()),
        "right_after": float(np.trace(new) / max(1, new.sum())),
    }


def _corrected(made: Audit, path: Path | None) -> tuple[Ints, str]:
    """(N,) the corrected classes, -1 for unusable images, and what was corrected by whom."""
    after = made.given.copy()
    if path is None:
        after[made.found.rows] = made.found.proposed
        return after, (
            f"Nobody has re-read these images: all {len(made.found.rows)} proposals of the audit are taken as right, "
            "so the second matrix is the best case, not a result. Give a re-reading with --corrected."
        )
    read = read_corrections(path, made.rows)
    for index, region in read.items():
        name = OUTSIDE if region.startswith(OOD_PREFIX) else region
        after[index] = CLASSES.index(name) if region else -1
    changed, unusable = int((after != made.given).sum()), int((after < 0).sum())
    return after, f"{len(read)} images were read again; {changed} labels changed, {unusable} are unusable."
