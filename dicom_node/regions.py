"""The 14 anatomical regions, in the order that every label, probability and table of this software keeps."""

from enum import StrEnum


class Region(StrEnum):
    """One anatomical region that the node recognises; the value is its name in files, APIs and the ledger."""

    CLAVICLE = "clavicle"
    SHOULDER = "shoulder"
    SKULL = "skull"
    RIB = "rib"
    ELBOW = "elbow"
    KNEE = "knee"
    WRIST = "wrist"
    HAND = "hand"
    FOOT = "foot"
    ANKLE = "ankle"
    PELVIS_HIP = "pelvis_hip"
    CERVICAL_SPINE = "cervical_spine"
    THORACIC_SPINE = "thoracic_spine"
    LUMBAR_SPINE = "lumbar_spine"

    @property
    def body_part_examined(self) -> str:
        """The defined term of BodyPartExamined (PS3.16 Annex L) that the node writes for this region."""
        return _WRITTEN[self]


REGIONS: tuple[Region, ...] = tuple(Region)

_WRITTEN = {
    Region.CLAVICLE: "CLAVICLE",
    Region.SHOULDER: "SHOULDER",
    Region.SKULL: "SKULL",
    Region.RIB: "RIB",
    Region.ELBOW: "ELBOW",
    Region.KNEE: "KNEE",
    Region.WRIST: "WRIST",
    Region.HAND: "HAND",
    Region.FOOT: "FOOT",
    Region.ANKLE: "ANKLE",
    # A whole pelvis is the cautious answer of the merged class: HIP would ask for a side (PS3.16 annex L). Where the
    # sender states one, the policy writes HIP.
    Region.PELVIS_HIP: "PELVIS",
    Region.CERVICAL_SPINE: "CSPINE",
    Region.THORACIC_SPINE: "TSPINE",
    Region.LUMBAR_SPINE: "LSPINE",
}
