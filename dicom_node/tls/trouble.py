"""What an error of a TLS connection means, in a sentence that says what to do. Nothing of the peer's is quoted."""

import ssl

# X509_V_ERR_*: how OpenSSL numbers what is wrong with a certificate (openssl-verification-options(1)).
_VERIFICATION = {
    9: "its certificate is not valid yet: check both clocks",
    10: "its certificate has expired: it has to be renewed there",
    18: "its certificate is self-signed and is not in `ca`: put it there",
    19: "its certificate comes from a CA that is not in `ca`: put that CA's certificate there",
    20: "its certificate comes from a CA that is not in `ca`: put that CA's certificate there",
    21: "its certificate comes from a CA that is not in `ca`: put that CA's certificate there",
    26: "its certificate is not made for this purpose (extended key usage)",
    62: "its certificate is for another host name: correct `host`, or set `server_name` to the name in the certificate",
    64: "its certificate is for another address: correct `host`, or set `server_name` to the name in the certificate",
}
_PROFILE = "no version or cipher suite in common: we speak TLS 1.2 with ECDHE and AEAD suites, and TLS 1.3 (BCP 195)"
_NOT_TLS = "it does not speak TLS here: it is set to plain DICOM, or this is another port"
_REASONS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": "it speaks HTTP: this is the DICOM port",
    "HTTPS_PROXY_REQUEST": "it speaks HTTP: this is the DICOM port",
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "UNKNOWN_PROTOCOL": _PROFILE,
    "UNSUPPORTED_PROTOCOL": _PROFILE,
    "VERSION_TOO_LOW": _PROFILE,
    "NO_SHARED_CIPHER": _PROFILE,
    "TLSV1_ALERT_PROTOCOL_VERSION": _PROFILE,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate, and this port demands one",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the CA of our certificate: that CA has to be trusted there",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired: renew it",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate (its name, most often)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate (its name, most often)",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not accept our kind of certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": f"it broke off: it demands a certificate of ours, or there is {_PROFILE}",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it demands a certificate of ours: set `certificate` and `key`",
    "TLSV1_ALERT_DECRYPT_ERROR": "it could not verify our certificate: it trusts another CA of the same name",
}
_ENDED = "it closed the connection during the handshake: it speaks plain DICOM here, or does not accept our certificate"
_SLOW = "it did not finish the handshake in time: it may not speak TLS here"

ALERT, HANDSHAKE = 0x15, 0x16


def explained(error: OSError) -> str:
    """The cause and the cure of a failed handshake, or of a connection that broke right after it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = f"its certificate cannot be verified (OpenSSL code {error.verify_code})"
        return _VERIFICATION.get(error.verify_code, unknown)
    if isinstance(error, TimeoutError):
        return _SLOW
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return _ENDED
    if isinstance(error, ssl.SSLError):
        name = (error.reason or "unknown").upper().replace(" ", "_")
        return _REASONS.get(name, f"the handshake failed ({name})")
    return f"the connection failed: {error.strerror or type(error).__name__}"


def looks_like_tls(head: bytes | bytearray) -> bool:
    """Whether the first bytes from a peer are a TLS record (a hello or an alert) and no DICOM PDU (PS3.8 9.3)."""
    return len(head) > 1 and head[0] in (ALERT, HANDSHAKE) and head[1] == 3
