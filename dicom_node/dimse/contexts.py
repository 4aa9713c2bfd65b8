"""Which presentation contexts the node accepts (PS3.8 section 9.3.2): storage of every kind, in every known syntax."""

from collections.abc import Iterable

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import NonPatientObjectStorageServiceClass, ServiceClass, StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

VERIFICATION = "1.2.840.10008.1.1"
PUSH_MODEL = "1.2.840.10008.1.20.1"  # Storage Commitment Push Model, and its well-known instance (PS3.4 J.3)
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
STORAGE_SERVICE = "1.2.840.10008.4.2"
_UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


def is_storage(sop_class_uid: str) -> bool:
    """Whether instances of a SOP class can be stored: the storage classes, and also the retired, the private and those
    that are younger than this software's dictionaries.
    """
    service = uid_to_service_class(sop_class_uid)
    if service is not ServiceClass:
        return service in (StorageServiceClass, NonPatientObjectStorageServiceClass)
    name = UID_dictionary.get(sop_class_uid, ("",))[0]
    return not name or ("Storage" in name and "Commitment" not in name)


def acceptable(proposed: Iterable[PresentationContext], *, with_commitment: bool = False) -> list[PresentationContext]:
    """What to accept of a peer's proposal: verification and all storage, and storage commitment in either role: a
    modality asks as the SCU, a PACS reports as the SCP.

    An acceptor has one entry per SOP class, while a peer may propose a class in several contexts: their syntaxes are
    put one after another, so that `keep_first_choices` has to come before. A context none of whose syntaxes is known
    will be refused as such.
    """
    syntaxes: dict[str, list[str]] = {}
    for context in proposed:
        sop_class_uid = str(context.abstract_syntax)
        if is_storage(sop_class_uid):
            wanted = syntaxes.setdefault(sop_class_uid, [])
            wanted += [uid for uid in context.transfer_syntax if uid in ALL_TRANSFER_SYNTAXES and uid not in wanted]
    contexts = [build_context(uid, wanted or _UNCOMPRESSED) for uid, wanted in syntaxes.items()]
    if with_commitment:
        commitment = build_context(PUSH_MODEL, _UNCOMPRESSED)
        commitment.scu_role = commitment.scp_role = True
        contexts.append(commitment)
    return [build_context(VERIFICATION, _UNCOMPRESSED), *contexts]


def keep_first_choices(proposed: Iterable[PresentationContext]) -> None:
    """Leave each context of a storage class only the first of its syntaxes that is known: the peer's own preference.

    One that cannot decompress proposes a class as compressed in one context and as not compressed in another, and needs
    both as it has ordered them.
    """
    for context in proposed:
        first = next((uid for uid in context.transfer_syntax if uid in ALL_TRANSFER_SYNTAXES), None)
        if first is not None and is_storage(str(context.abstract_syntax)):
            context.transfer_syntax = [first]


def served_as_storage(contexts: Iterable[PresentationContext]) -> dict[str, SOPClassCommonExtendedNegotiation]:
    """SOP class -> storage service for what was proposed, so that pynetdicom serves also classes that it does not know.

    This is what a peer may say of its classes by common extended negotiation (PS3.7 D.3.3.6); we say it on its behalf.
    """
    services = {}
    for context in contexts:
        sop_class_uid = str(context.abstract_syntax)
        if is_storage(sop_class_uid):
            item = SOPClassCommonExtendedNegotiation()
            item.sop_class_uid = UID(sop_class_uid)
            item.service_class_uid = UID(STORAGE_SERVICE)
            services[sop_class_uid] = item
    return services
