"""The web port, asked as a browser, a script and an intruder would: over real sockets."""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import Depends

from dicom_node.config.security import Role, WebSection
from dicom_node.testing import MemoryLedger
from dicom_node.tls import Credentials
from dicom_node.web.accounts import hash_password, new_token
from dicom_node.web.app import create_app
from dicom_node.web.gate import Attempt, requires
from dicom_node.web.metrics import Metrics
from dicom_node.web.server import WebServer
from tests.certificates import Authority
from tests.logbook import captured_log
from tests.stories import NOON

STATUS = "/api/v1/status"
TOKEN, TOKEN_HASH = new_token()
HASHES = {name: hash_password(f"{name}'s password") for name in ("vera", "rita", "adam")}
ROLES = {"vera": Role.VIEWER, "rita": Role.REVIEWER, "adam": Role.ADMIN}
AUTH = {
    "users": [{"name": name, "password_hash": HASHES[name], "role": ROLES[name]} for name in HASHES],
    "tokens": [{"name": "monitoring", "token_hash": TOKEN_HASH}],
}


@contextmanager
def served(
    attempts: list[Attempt] | None = None, credentials: Credentials | None = None, **web
) -> Iterator[httpx.Client]:
    """The application of a configuration on a free loopback port; three routes more, for the roles and a fault."""
    ledger = MemoryLedger()
    section = WebSection.model_validate(web)
    app = create_app(
        ledger=ledger,
        metrics=Metrics(ledger.records),
        check_ready=lambda: None,
        now=lambda: NOON,
        web=section,
        report=(attempts if attempts is not None else []).append,
    )
    app.post("/api/v1/change")(lambda: "done")
    app.get("/api/v1/break")(lambda: 1 // 0)
    app.get("/api/v1/secret", dependencies=[Depends(requires(Role.ADMIN))])(lambda: "done")
    server = WebServer(app, host="127.0.0.1", port=0, credentials=credentials)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
            yield client
    finally:
        server.stop()


def basic(name: str) -> httpx.BasicAuth:
    return httpx.BasicAuth(name, f"{name}'s password")


def test_without_accounts_everything_on_loopback_is_open_to_this_machine() -> None:
    with served() as web:
        assert [web.get(path).status_code for path in ("/healthz", "/readyz", "/metrics", STATUS)] == [200] * 4
        assert web.post("/api/v1/change").status_code == 200
        assert web.get("/api/v1/secret").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("127.0.0.2", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1:8080", 421),
        ("0.0.0.0:8080", 421),
        ("[::1", 421),
    ],
)
def test_without_accounts_a_name_that_somebody_has_pointed_here_opens_nothing(host: str, status: int) -> None:
    """DNS rebinding: to the browser such a page is of the node's own origin, and only its Host gives it away."""
    as_its_own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    with served() as web:
        for path in ("/healthz", "/readyz", "/metrics", STATUS, "/api/v1/openapi.json"):
            assert web.get(path, headers=as_its_own).status_code == status
        changed = web.post("/api/v1/change", headers=as_its_own)
    assert changed.status_code == status
    assert status == 200 or "asked for another host" in changed.json()["detail"]


def test_without_accounts_a_request_that_asks_for_no_host_opens_nothing() -> None:
    with served() as web, socket.create_connection(("127.0.0.1", web.base_url.port), 30) as raw:
        raw.sendall(f"GET {STATUS} HTTP/1.0\r\n\r\n".encode())
        assert b" 421 " in raw.makefile("rb").readline()


def test_with_accounts_a_proxy_may_ask_for_any_host() -> None:
    with served(auth=AUTH) as web:
        assert web.get(STATUS, auth=basic("vera"), headers={"Host": "node.example.org"}).status_code == 200


def test_with_accounts_only_health_is_open() -> None:
    with served(auth=AUTH) as web:
        assert [web.get(path).status_code for path in ("/healthz", "/readyz")] == [200] * 2
        for path in (STATUS, "/api/v1/openapi.json", "/no/such/page"):
            refused = web.get(path)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_with_accounts_metrics_need_one_wherever_the_port_listens(host: str) -> None:
    """A port with accounts on loopback is one behind a proxy, which lets the network in, most often as localhost."""
    with served(auth=AUTH, host=host) as web:
        assert web.get("/metrics").status_code == 401
        assert web.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_right_password_or_token_comes_in_and_a_wrong_one_does_not() -> None:
    attempts: list[Attempt] = []
    with served(attempts, auth=AUTH) as web:
        assert web.get(STATUS, auth=basic("vera")).status_code == 200
        assert web.get(STATUS, auth=("vera", "another password")).status_code == 401
        assert web.get(STATUS, auth=("nobody", "vera's password")).status_code == 401
        assert web.get(STATUS, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert web.get(STATUS, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert web.get(STATUS, headers={"Authorization": "Basic not-base64"}).status_code == 401
        assert web.get(STATUS, headers={"Authorization": f"Bearer {TOKEN_HASH}"}).status_code == 401
    assert [(a.name, a.succeeded) for a in attempts] == [
        ("vera", True),
        ("vera", False),
        ("nobody", False),
        ("token", False),
        ("token", False),
    ]


def test_roles_allow_what_they_say_and_no_more() -> None:
    with served(auth=AUTH) as web:
        changes = {name: web.post("/api/v1/change", auth=basic(name)).status_code for name in ROLES}
        secrets = {name: web.get("/api/v1/secret", auth=basic(name)).status_code for name in ROLES}
    assert changes == {"vera": 403, "rita": 200, "adam": 200}
    assert secrets == {"vera": 403, "rita": 403, "adam": 200}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_a_page_of_another_site_cannot_act_with_the_password_that_a_browser_remembers(headers, allowed) -> None:
    with served(auth=AUTH) as web:
        assert (web.post("/api/v1/change", auth=basic("rita"), headers=headers).status_code == 200) is allowed
        assert web.get(STATUS, auth=basic("rita"), headers=headers).status_code == 200
    with served() as web:
        assert (web.post("/api/v1/change", headers=headers).status_code == 200) is allowed


def test_guessing_is_slowed_down_and_does_not_lock_out_who_is_in_already() -> None:
    with served(auth=AUTH | {"tries_per_minute": 3}) as web:
        assert web.get(STATUS, auth=basic("vera")).status_code == 200
        guesses = [web.get(STATUS, auth=("adam", f"guess {number}")).status_code for number in range(5)]
        assert guesses == [401, 401, 401, 429, 429]
        assert web.get(STATUS, auth=basic("adam")).status_code == 429
        assert web.get(STATUS, auth=basic("vera")).status_code == 200
        assert web.get(STATUS, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_guessing_tokens_is_slowed_down_as_well_fills_no_audit_trail_and_slows_no_right_one() -> None:
    attempts: list[Attempt] = []
    with served(attempts, auth=AUTH | {"tries_per_minute": 3}) as web:
        guesses = [web.get(STATUS, headers={"Authorization": f"Bearer rn_{number}"}) for number in range(20)]
        assert [guess.status_code for guess in guesses[:4]] == [401, 401, 401, 429]
        assert guesses[-1].headers["Retry-After"] == "60"
        assert web.get(STATUS, auth=basic("vera")).status_code == 429
        for _ in range(20):
            assert web.get(STATUS, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert [(attempt.name, attempt.succeeded) for attempt in attempts] == [("token", False)] * 3


def test_a_guesser_cannot_choose_the_address_that_is_counted_and_reported() -> None:
    attempts: list[Attempt] = []
    with served(attempts, auth=AUTH | {"tries_per_minute": 2}) as web:
        guesses = [
            web.get(STATUS, auth=("adam", "guess"), headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
            for number in range(4)
        ]
    assert guesses == [401, 401, 429, 429]
    assert {attempt.address for attempt in attempts} == {"127.0.0.1"}


@pytest.mark.parametrize("value", ["é", "====", "a", "/w=="])
def test_a_password_that_cannot_be_read_is_refused_as_any_other(value: str) -> None:
    with served(auth=AUTH) as web:
        assert web.get(STATUS, headers={"Authorization": f"Basic {value}".encode("latin-1")}).status_code == 401


def test_a_password_that_was_right_is_not_hashed_again_for_each_request() -> None:
    attempts: list[Attempt] = []
    with served(attempts, auth=AUTH) as web:
        for _ in range(20):
            assert web.get(STATUS, auth=basic("vera")).status_code == 200
    assert len(attempts) == 1  # what is hashed is also reported


def test_answers_are_neither_kept_nor_framed_load_nothing_and_tell_other_sites_nothing() -> None:
    with served(auth=AUTH) as web:
        answers = [
            web.get(path, auth=basic("vera")) for path in ("/healthz", "/metrics", STATUS, "/none", "/api/v1/break")
        ]
        answers += [web.get(STATUS), web.post("/api/v1/change", auth=basic("vera"))]
    with served() as web:
        answers.append(web.get(STATUS, headers={"Host": "evil.example"}))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 500, 401, 403, 421]
    for answer in answers:
        policy = set(answer.headers["Content-Security-Policy"].split("; "))
        assert policy == {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "server" not in answer.headers


def test_the_api_describes_itself_as_json_and_no_page_of_it_loads_anything_from_the_internet() -> None:
    with served(auth=AUTH) as web:
        for path in ("/api/v1/docs", "/docs", "/redoc", "/docs/oauth2-redirect", "/api/v1/docs/oauth2-redirect"):
            assert web.get(path, auth=basic("adam")).status_code == 404
        described = web.get("/api/v1/openapi.json", auth=basic("vera"))
    assert STATUS in described.json()["paths"]
    assert "https://" not in described.text


def test_no_secret_is_in_the_log_or_in_a_repr() -> None:
    with captured_log(logging.DEBUG) as out, served(auth=AUTH) as web:
        web.get(STATUS, auth=("Passw0rd-in-the-wrong-field", "S3cret-guess"))
        web.get(STATUS, headers={"Authorization": "Bearer rn_guess"})
    assert out.getvalue().count("sign_in_failed") == 2
    for secret in ("Passw0rd", "S3cret", "rn_guess"):
        assert secret not in out.getvalue()
    section = WebSection.model_validate({"auth": AUTH})
    assert "argon2id" not in repr(section)
    assert TOKEN_HASH not in repr(section)


def test_with_a_certificate_it_speaks_https(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with served(credentials=ca.issue("127.0.0.1")) as web:
        trusting = ssl.create_default_context(cafile=ca.file)
        url = str(web.base_url).replace("http:", "https:")
        assert httpx.get(f"{url}/healthz", verify=trusting).status_code == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"], ids=["asked for by name", "by address, thus without SNI"])
def test_a_renewed_certificate_is_shown_to_the_next_connection(tmp_path: Path, name: str) -> None:
    ca = Authority(tmp_path)
    credentials = ca.issue(name)

    def shown(port: int) -> bytes | None:
        trusting = ssl.create_default_context(cafile=ca.file)
        with (
            socket.create_connection(("127.0.0.1", port)) as line,
            trusting.wrap_socket(line, server_hostname=name) as safe,
        ):
            safe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert safe.recv(100).startswith(b"HTTP/1.1 200")
            return safe.getpeercert(binary_form=True)

    with captured_log() as log, served(credentials=credentials) as web:
        port = web.base_url.port
        first = shown(port)
        assert shown(port) == first
        assert ca.issue(name) == credentials  # into the same files
        second = shown(port)
        assert second != first
        credentials.key.write_text("half a renewal")
        assert shown(port) == second
    assert log.getvalue().count("tls_files_renewed") == 1
    assert "tls_files_not_usable" in log.getvalue()
