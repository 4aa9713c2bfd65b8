"""The ledger's URL, for people: without what nobody may read over somebody's shoulder, or in a log."""

from sqlalchemy import URL

HIDDEN = "***"  # as SQLAlchemy hides the password before the @


def shown_ledger(url: URL) -> str:
    """Where a ledger is: the path of an SQLite file, else the URL as `shown_url`."""
    return str(url.database) if url.get_backend_name() == "sqlite" else shown_url(url)


def shown_url(url: URL) -> str:
    """The URL with its passwords hidden, also those that libpq takes behind the ? (`password`, `sslpassword`)."""
    secret = [key for key in url.query if any(word in key.lower() for word in ("password", "secret"))]
    hidden = url.update_query_dict(dict.fromkeys(secret, HIDDEN))
    return hidden.render_as_string(hide_password=True).replace("=%2A%2A%2A", f"={HIDDEN}")
