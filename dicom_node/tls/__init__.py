"""TLS by BCP 195 for whatever listens or calls: contexts from files, and sentences for what goes wrong."""

from dicom_node.tls.contexts import Contexts, TlsClient, TlsServer
from dicom_node.tls.credentials import Credentials, check_ca, check_credentials, names_of
from dicom_node.tls.trouble import explained, looks_like_tls

__all__ = [
    "Contexts",
    "Credentials",
    "TlsClient",
    "TlsServer",
    "check_ca",
    "check_credentials",
    "explained",
    "looks_like_tls",
    "names_of",
]
