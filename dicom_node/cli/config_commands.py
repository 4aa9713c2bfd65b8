"""`config check`: is the configuration usable? And the secrets that go into it, as hashes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_node.cli.options import ConfigOption, read_config
from dicom_node.clock import utc_now
from dicom_node.config import Config
from dicom_node.config.security import WebSection
from dicom_node.errors import ConfigError
from dicom_node.listening import written

SHORTEST_PASSWORD = 12

app = typer.Typer(no_args_is_help=True, help="The configuration.")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Validate the configuration, the model file, the ledger's address and the folders that are written, and show what
    follows from them.
    """
    settings = read_config(config)
    table = Table(show_header=False)
    for what, how in _checked(settings):
        table.add_row(escape(what), escape(how))
    Console().print(table)
    typer.echo("the configuration is valid")


def _checked(settings: Config) -> Iterator[tuple[str, str]]:
    """What the configuration comes to, as lines. Raises NodeError for what cannot work."""
    from dicom_node.cli.ledger_url import shown_ledger
    from dicom_node.config.folders import check_audit_file, check_data_dir, check_ledger_file
    from dicom_node.config.summary import summary_of
    from dicom_node.config.tls import check_tls
    from dicom_node.ledger.engine import read_url
    from dicom_node.node import open_model

    check_data_dir(settings)
    check_audit_file(settings)
    ledger = read_url(settings.ledger_url)
    if ledger.get_backend_name() == "sqlite":
        check_ledger_file(Path(ledger.database or ""))
    yield "listens on", f"{written(settings.node.host, settings.node.port)}, AE title {settings.node.ae_title}"
    yield "web", _web(settings.web)
    yield "data", str(settings.node.data_dir)
    yield "ledger", shown_ledger(ledger)
    yield "model", open_model(settings).model_id
    yield from summary_of(settings)
    for destination in settings.destinations:
        way = f"{destination.ae_title}@{written(destination.host, destination.port)}"
        yield f"destination {destination.name}", f"{way}, {destination.mode}, {destination.when}"
    yield from check_tls(settings, now=utc_now())
    for rule in settings.rules:
        yield f"rule {rule.name}", f"sends to {', '.join(rule.send_to)}"


def _web(section: WebSection) -> str:
    if not section.enabled:
        return "off"
    where = f"{'https' if section.certificate else 'http'}://{written(section.host, section.port)}"
    if not section.auth.configured:
        return f"{where}, for this machine alone, without sign-in"
    risk = "" if section.certificate or section.on_loopback else "; passwords go in clear: set certificate and key"
    return f"{where}, {len(section.auth.users)} users, {len(section.auth.tokens)} tokens{risk}"


@app.command("hash-password")
def print_password_hash() -> None:
    r"""Ask for a password (or read a line of standard input) and print its Argon2id hash for [\[web.auth.users]]."""
    from dicom_node.web.accounts import hash_password

    try:
        password = _asked().rstrip("\r\n")
        password.encode()  # where the locale says nothing, what is not UTF-8 is read without a word
    except UnicodeError as error:
        raise ConfigError("the password is not in UTF-8, in which browsers send it: check the terminal") from error
    if len(password) < SHORTEST_PASSWORD:
        raise ConfigError(f"a password needs {SHORTEST_PASSWORD} characters or more")
    typer.echo(hash_password(password))


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


@app.command("new-token")
def print_new_token() -> None:
    r"""Print a new API token, to be given to one program, and its hash for [\[web.auth.tokens]]."""
    from dicom_node.web.accounts import new_token

    token, token_hash = new_token()
    typer.echo(f"token       {token}\ntoken_hash  {token_hash}")
