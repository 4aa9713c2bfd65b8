"""Certificates end on a day that everybody has forgotten: look at ours again and again, and say so in time."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from dicom_node.errors import ConfigError
from dicom_node.tls.credentials import Credentials, check_credentials

log = structlog.get_logger(__name__)

WARN_BEFORE = timedelta(days=30)


def watch_expiry(
    certificates: Mapping[str, Credentials], *, tell: Callable[[str, timedelta], None], now: datetime
) -> None:
    """Log what ends soon or cannot be used any more, and tell how long each is still valid (0: not at all), by the
    section of the configuration that names it.
    """
    for section, credentials in certificates.items():
        try:
            left = check_credentials(credentials, now=now) - now
        except ConfigError as error:
            log.error("certificate_not_usable", section=section, error=str(error))
            left = timedelta(0)
        else:
            if left < WARN_BEFORE:
                log.warning("certificate_expires_soon", section=section, days=left.days)
        tell(section, left)
