"""The ledger as those see it who say what images show, in memory."""

from collections.abc import Mapping, Sequence

from dicom_node.label import Label
from dicom_node.testing.shelf import Room


class MemoryLabels(Room):
    """Implements `dicom_node.label.Labels`."""

    def add(self, labels: Mapping[str, Label]) -> Sequence[str]:
        shelf = self._shelf
        with shelf.lock:
            unknown = set(labels) - {one.sop_instance_uid for one in shelf.instances.values()}
            for key, instance in shelf.instances.items():
                if not unknown and instance.sop_instance_uid in labels:
                    shelf.labels.setdefault(key, []).append(labels[instance.sop_instance_uid])
            return sorted(unknown)
