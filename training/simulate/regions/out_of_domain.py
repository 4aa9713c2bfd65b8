"""What a region's model should not recognise: whole chests and abdomens, shafts without joints; and, in
`training.simulate.strangers`, pictures that are no projection of a body.
"""

from collections.abc import Mapping

import numpy as np

from training.simulate import organs
from training.simulate.lungs import lungs
from training.simulate.pose import ANTERIOR, LATERAL, Pose, turn
from training.simulate.regions.spine import curves, seen_from
from training.simulate.shot import Shot, View
from training.simulate.skeleton import Skeleton
from training.simulate.strangers import PICTURES
from training.simulate.subject import Subject

CHEST = (
    r"c[5-7]",
    r"t\d+",
    r"l[12]",
    r"rib\d+_[rl]",
    "sternum",
    r"cartilage_[rl]",
    r"clavicle_[rl]",
    r"scapula_[rl](\..*)?",
    r"humerus_[rl](\..*)?",
)
DEEP = (lungs(filling=(0.75, 0.95), base=(1.115, 1.17)), organs.gas("throat", "stomach", "flexure"))


def _chest(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    """Deep breath, the whole of both lungs."""
    lateral = random.random() < 0.3
    turns = curves(random)
    for side, out in (("r", -1.0), ("l", 1.0)):
        turns[f"scapula_{side}"] = turn(ANTERIOR, out * random.uniform(0.0, 28.0))
        turns[f"humerus_{side}"] = (
            turn(LATERAL, random.uniform(120.0, 170.0)) if lateral else turn(ANTERIOR, out * random.uniform(0.0, 60.0))
        )
    beam = (
        seen_from(90.0 * random.choice([-1.0, 1.0]) + random.normal(0.0, 4.0))
        if lateral
        else seen_from(random.normal(0.0, 4.0), behind=bool(random.random() < 0.65))
    )
    whole = (0.0, 1.0)
    return Shot(
        view="chest lateral" if lateral else "chest",
        show={"t1": whole, "t12": whole, "rib8_r": whole, "rib8_l": whole, "rib10_r": whole, "sternum": whole},
        bones=CHEST,
        beam=beam,
        frame="t7",
        pose=Pose(turns=turns),
        margin=(0.98, 1.25),
        aspect=(0.8, 1.2),
        distance=(1.2, 2.0),
        more=DEEP,
    )


def _abdomen(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
    whole = (0.0, 1.0)
    return Shot(
        view="abdomen",
        show={"t10": whole, "pelvis_r": whole, "pelvis_l": whole},
        bones=(
            r"t(8|9|1\d)",
            r"l\d",
            "sacrum",
            r"pelvis_[rl](\..*)?",
            r"rib(7|8|9|1\d)_[rl]",
            r"femur_[rl](\..*)?",
        ),
        beam=seen_from(random.normal(0.0, 4.0), behind=bool(random.random() < 0.3)),
        pose=Pose(turns=curves(random)),
        margin=(1.0, 1.2),
        aspect=(0.7, 1.0),
        more=(lungs(), organs.psoas, organs.gas("stomach", "flexure", "rectum"), organs.bowel, organs.bowel),
    )


def _shaft(bone: str, beside: str = "") -> View:
    """The middle of a long bone, no joint in the field."""

    def draw(skeleton: Skeleton, subject: Subject, random: np.random.Generator) -> Shot:
        side, middle = "r" if random.random() < 0.5 else "l", random.uniform(0.45, 0.55)
        half = random.uniform(0.08, 0.2)
        return Shot(
            view="shaft",
            show={f"{bone}_{side}": (middle - half, middle + half)},
            bones=(rf"({bone}{'|' + beside if beside else ''})_{side}(\..*)?",),
            beam=seen_from(random.uniform(-180.0, 180.0)),
            frame=f"{bone}_{side}",
            margin=(0.95, 1.2),
            roll=15.0,
        )

    return View(name=bone, weight=1.0, draw=draw)


VIEWS: Mapping[str, tuple[View, ...]] = {
    "ood:chest": (View(name="chest", weight=1.0, draw=_chest, children=0.5),),
    "ood:abdomen": (View(name="abdomen", weight=1.0, draw=_abdomen, children=0.4),),
    "ood:shaft": (
        _shaft("radius", "ulna"),
        _shaft("humerus"),
        _shaft("femur"),
        _shaft("tibia", "fibula"),
    ),
}
"""Bodies."""

SHARES: Mapping[str, float] = {
    "ood:chest": 4.0,
    "ood:abdomen": 1.0,
    "ood:shaft": 2.2,
    **{kind: share for kind, (share, _) in PICTURES.items()},
}
"""How often each kind is drawn for `ood`, against the others."""


def choose_kind(random: np.random.Generator) -> str:
    """One of the kinds, by share."""
    weights = np.array(list(SHARES.values()))
    return str(list(SHARES)[int(random.choice(len(SHARES), p=weights / weights.sum()))])
