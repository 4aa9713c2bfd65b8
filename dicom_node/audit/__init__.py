"""The audit trail of PS3.15 annex A.5: who stored, sent and signed in, to a file and to syslog over TLS.

It names patients, as the standard asks; logs, metrics and URLs do not. Files are readable by the node's user alone.
"""
