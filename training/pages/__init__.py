"""Pages for people: one self-contained HTML file each, pictures inlined, nothing fetched, no script."""

import base64
import io
from pathlib import Path
from typing import Any

import cv2
import jinja2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]

JPEG_QUALITY = 85


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template of this folder with `values`; every text is escaped."""
    loader = jinja2.PackageLoader("training", "pages")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = percent
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(environment.get_template(template).render(**values), encoding="utf-8", errors="backslashreplace")


def percent(share: float | None) -> str:
    """0.9766 -> "97.7 %"; a dash for what was not measured."""
    return "–" if share is None else f"{100 * share:.1f} %"


def inlined(image: UInt8Array) -> str:
    """A grey (H, W) or colour (H, W, 3), RGB, image as a data URL."""
    stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "an 8 bit image can always be written as JPEG"
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")


def inlined_figure(figure: Any) -> str:
    """A matplotlib figure as a data URL (SVG, so that it stays sharp), the same to the byte for the same figure."""
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "region"}):  # else every element's id is drawn anew
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def colour_of(image: UInt8Array) -> UInt8Array:
    """A grey image (H, W) as RGB (H, W, 3)."""
    return np.repeat(image[:, :, None], 3, axis=2)


def signed(attribution: npt.NDArray[Any]) -> UInt8Array:
    """An attribution (S, S) as RGB: red speaks for, blue against; black where nothing is said."""
    scale = max(float(np.percentile(np.abs(attribution), 99.5)), 1e-12)
    strength = np.clip(attribution / scale, -1.0, 1.0)
    red, blue = np.maximum(strength, 0.0), np.maximum(-strength, 0.0)
    return np.asarray(255 * np.stack([red, 0.45 * (red + blue), blue], axis=2), np.uint8)


def overlaid(image: UInt8Array, activation: npt.NDArray[Any], strength: float = 0.45) -> UInt8Array:
    """A grey image (S, S) under its activation map (h, w) in colour, RGB; negative evidence is not shown."""
    positive = np.maximum(np.asarray(activation, np.float32), 0.0)
    wide = cv2.resize(positive, image.shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0.0, None)
    heat = wide / max(float(wide.max()), 1e-6)
    colour = cv2.cvtColor(cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = strength * np.sqrt(heat)[:, :, None]
    return np.asarray(image[:, :, None] * (1.0 - weight) + colour * weight, np.uint8)


def sheet(images: UInt8Array, columns: int) -> UInt8Array:
    """(N, S, S) as one picture of rows of `columns`, black where there are fewer."""
    n, size = len(images), images.shape[1]
    rows = max(1, -(-n // columns))
    padded = np.zeros((rows * columns, size, size), np.uint8)
    padded[:n] = images
    return padded.reshape(rows, columns, size, size).swapaxes(1, 2).reshape(rows * size, columns * size)
