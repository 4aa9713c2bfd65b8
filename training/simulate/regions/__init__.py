"""Clinical views and framings: a module or two for each region."""

from collections.abc import Mapping

from training.simulate.regions import (
    ankle,
    cervical_spine,
    clavicle,
    elbow,
    foot,
    hand,
    knee,
    lumbar_spine,
    out_of_domain,
    pelvis_hip,
    rib,
    shoulder,
    skull,
    thoracic_spine,
    wrist,
)
from training.simulate.shot import View

VIEWS: Mapping[str, tuple[View, ...]] = {
    "hand": hand.VIEWS,
    "wrist": wrist.VIEWS,
    "elbow": elbow.VIEWS,
    "shoulder": shoulder.VIEWS,
    "clavicle": clavicle.VIEWS,
    "foot": foot.VIEWS,
    "ankle": ankle.VIEWS,
    "knee": knee.VIEWS,
    "pelvis_hip": pelvis_hip.VIEWS,
    "skull": skull.VIEWS,
    "cervical_spine": cervical_spine.VIEWS,
    "thoracic_spine": thoracic_spine.VIEWS,
    "lumbar_spine": lumbar_spine.VIEWS,
    "rib": rib.VIEWS,
    **out_of_domain.VIEWS,
}
"""Region, or `ood:<kind>` -> its views."""
