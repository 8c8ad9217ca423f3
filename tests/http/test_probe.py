"""amp-cors probe: asks an endpoint as mail clients, browsers and attackers do,
and says what they make of the answers; SPEC 7.3."""

import contextlib
import gzip
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

import kit
import servers
from endpoint import (ALLOW, BODY, EXPOSE, GMAIL, ORIGIN, PARAMETER,
                      PLAYGROUND, SOURCE, Endpoint, right)
from kit import SENDER, until

TOOL = os.environ.get("AMP_CORS", str(kit.ROOT / "amp-cors"))
STRANGER = "stranger@amp-cors-probe.invalid"
ELSEWHERE = "https://amp-cors-probe.invalid"
# a request may take this long, and a run of one request a bit longer
LIMIT = 20

SHOWN = {"v1": "shown", "v2": "shown", "both": "shown"}
BROWSERS = {"preflight": "goes-on", "browser": "shown", "playground": "shown"}
REFUSED = {name: "refused" for name in (
    "stranger-v1", "stranger-v2", "origin-v1", "origin-preflight",
    "origin-starts", "origin-ends", "origin-null", "header-twice",
    "header-turned", "param-twice", "param-turned", "param-twin",
    "param-crlf", "none")}
WELL = {**SHOWN, **BROWSERS, **REFUSED, "origin-v2": "kept-out"}


def environment(**more):
    kept = {n: v for n, v in os.environ.items()
            if n not in ("TERM", "NO_COLOR") and "proxy" not in n.lower()}
    return {**kept, **more}


def probe(url, *options, sender=SENDER, env=(), **more):
    argv = [TOOL, "probe", *options, url]
    if sender is not None:
        argv.insert(2, f"--sender={sender}")
    return subprocess.run(argv, capture_output=True, timeout=kit.WAIT * 6,
                          stdin=subprocess.DEVNULL,
                          env=environment(**dict(env)), **more)


class Found:
    """The JSON document of a run."""

    def __init__(self, done):
        self.status = done.returncode
        self.errors = done.stderr.decode()
        self.all = json.loads(done.stdout.decode("utf-8"))
        self.rows = {r["name"]: r for r in self.all["requests"]}

    def verdicts(self):
        return {name: r["verdict"] for name, r in self.rows.items()}

    def findings(self, name):
        return [(f["code"], f["severity"])
                for f in self.rows[name]["findings"]]

    def connection(self):
        return [(f["code"], f["severity"]) for f in self.all["findings"]]


def found(url, *options, **more):
    return Found(probe(url, "--format=json", *options, **more))


@pytest.fixture
def endpoint():
    made = []

    def make(play=None, **more):
        made.append(Endpoint(play, **more))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def url(endpoint, path="/list", scheme="http"):
    return f"{scheme}://127.0.0.1:{endpoint.port}{path}"


@contextlib.contextmanager
def nobody():
    """A port that is ours, and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def spoiled(change):
    """The right answers, each changed."""
    def play(_connection, request):
        reply = right(request)
        change(reply)
        return reply
    return play


# What the requests are


class TestRequests:
    def ask(self, endpoint, *options, path="/list"):
        server = endpoint()
        got = found(url(server, path), *options)
        assert got.status == 0, got.all
        names = list(got.rows)
        assert len(server.requests) == len(names)
        return dict(zip(names, server.requests)), got

    def test_all(self, endpoint):
        """As the documents of the protocol write them."""
        asked, got = self.ask(endpoint)
        assert list(asked) == [
            "v1", "v2", "both", "preflight", "browser", "playground",
            "stranger-v1", "stranger-v2", "origin-v1", "origin-v2",
            "origin-preflight", "origin-starts", "origin-ends",
            "origin-null", "header-twice", "header-turned", "param-twice",
            "param-turned", "param-twin", "param-crlf", "none"]
        for name, (origins, sources, senders) in {
            "v1": ([GMAIL], [SENDER], []),
            "v2": ([], [], [SENDER]),
            "both": ([GMAIL], [SENDER], [SENDER]),
            "preflight": ([PLAYGROUND], [], []),
            "browser": ([PLAYGROUND], [], [SENDER]),
            "playground": ([PLAYGROUND], ["amp@gmail.dev"], []),
            "stranger-v1": ([GMAIL], [STRANGER], []),
            "stranger-v2": ([], [], [STRANGER]),
            "origin-v1": ([ELSEWHERE], [SENDER], []),
            "origin-v2": ([ELSEWHERE], [], [SENDER]),
            "origin-preflight": ([ELSEWHERE], [], []),
            "origin-starts": ([GMAIL + ".evil.invalid"], [SENDER], []),
            "origin-ends": (["https://evilmail.google.com"], [SENDER], []),
            "origin-null": (["null"], [SENDER], []),
            "header-twice": ([], [], [SENDER, STRANGER]),
            "header-turned": ([], [], [STRANGER, SENDER]),
            "param-twice": ([GMAIL], [SENDER, STRANGER], []),
            "param-turned": ([GMAIL], [STRANGER, SENDER], []),
            "param-twin": ([GMAIL], [SENDER, STRANGER], []),
            "param-crlf": ([GMAIL],
                           [SENDER + "\r\nX-Amp-Cors-Probe: injected"], []),
            "none": ([], [], []),
        }.items():
            one = asked[name]
            assert one.all("Origin") == origins, name
            assert one.parameters() == sources, name
            assert one.all("AMP-Email-Sender") == senders, name
            assert one.method == (
                "OPTIONS" if name.endswith("preflight") else "GET"), name
            assert not one.all("Cookie") and not one.all("Expect")
        assert "&__amp%5fsource%5forigin=" in asked["param-twin"].target
        assert "%0D%0A" in asked["param-crlf"].target
        assert got.verdicts() == WELL

    def test_preflight(self, endpoint):
        asked, _ = self.ask(endpoint, "--only=preflight",
                            "--header=X-One: 1", "--header=Accept: text/*")
        one = asked["preflight"]
        assert one.all("Access-Control-Request-Method") == ["GET"]
        assert one.all("Access-Control-Request-Headers") == [
            "amp-email-sender,x-one"]
        assert not one.all("X-One"), "a browser sends none with it"

    @pytest.mark.parametrize("path,target", [
        ("/a", "/a?{}"), ("/a?", "/a?{}"), ("/a?b", "/a?b&{}"),
        ("/a?b=c&", "/a?b=c&{}"), ("/a#f", "/a?{}"), ("/a?b#f?c", "/a?b&{}"),
        ("", "/?{}"), ("?b=%41", "/?b=%41&{}"), ("/a/../b", "/a/../b?{}"),
    ])
    def test_parameter(self, endpoint, path, target):
        """Behind an existing query, before a fragment; encoded."""
        asked, _ = self.ask(endpoint, "--only=v1", path=path)
        value = PARAMETER + "=sender%40company.example"
        assert asked["v1"].target == target.format(value)

    def test_post(self, endpoint, folder):
        """A form is submitted; Gmail encodes each of them alike."""
        data = kit.write(folder.path / "data", "a=b&c=\0\xff")
        for option, body in (("a=1", b"a=1"), (f"@{data}", b"a=b&c=\0\xff"),
                             ("", b"")):
            asked, _ = self.ask(endpoint, "--method=POST", f"--data={option}")
            for name, one in asked.items():
                if name.endswith("preflight"):
                    method = one.all("Access-Control-Request-Method")
                    assert (one.body, method) == (b"", ["POST"])
                    continue
                assert (one.method, one.body) == ("POST", body), name
                assert one.all("Content-Type") == [
                    "application/x-www-form-urlencoded"]
                assert one.all("Content-Length") == [str(len(body))]

    def test_large(self, endpoint, folder):
        """A long body is not announced first: nobody waits for a 100."""
        data = kit.write(folder.path / "data", b"a" * (2 << 20))
        asked, _ = self.ask(endpoint, "--method=POST", f"--data=@{data}",
                            "--only=v2")
        assert len(asked["v2"].body) == 2 << 20
        assert not asked["v2"].all("Expect")

    def test_headers(self, endpoint):
        """The user's own, which replace the usual ones."""
        asked, _ = self.ask(
            endpoint, "--only=v1 none", "--header=Authorization: Basic eA==",
            "--header=accept: text/x", "--header=X-Empty:",
            "--header=X-Two: 1", "--header=X-Two: 2")
        for one in asked.values():
            assert one.all("Authorization") == ["Basic eA=="]
            assert one.all("Accept") == ["text/x"]
            assert one.all("X-Empty") == [""]
            assert one.all("X-Two") == ["1", "2"]

    def test_origins(self, endpoint):
        """--origin is what the attackers' origins are made from."""
        server = endpoint()
        found(url(server), "--origin=http://a.example:81",
              "--only=v1 origin-starts,origin-ends")
        assert [r.all("Origin") for r in server.requests] == [
            ["http://a.example:81"], ["http://a.example:81.evil.invalid"],
            ["http://evila.example:81"]]

    @pytest.mark.parametrize("origin,names", [
        ("https://playground.amp.dev", ["preflight", "playground"]),
        ("https://own.example", ["preflight"]),
    ])
    def test_playground(self, endpoint, origin, names):
        """Only the two public ones are known to send a sender."""
        server = endpoint()
        got = found(url(server), "--only=preflight,playground",
                    f"--browser-origin={origin}")
        assert list(got.rows) == names
        assert {r.all("Origin")[0] for r in server.requests} == {origin}
        assert server.requests[-1].parameters() == (
            [origin] if "playground" in names else [])

    def test_resolve(self, endpoint):
        server = endpoint()
        got = found(f"http://probe.example:{server.port}/x",
                    f"--resolve=probe.example:{server.port}:127.0.0.1",
                    "--only=v2")
        assert got.verdicts() == {"v2": "shown"}
        assert got.all["address"] == "127.0.0.1"
        assert server.requests[0].all("Host") == [
            f"probe.example:{server.port}"]

    def test_surroundings(self, endpoint, folder):
        """No proxy, no .netrc, no .curlrc of the user's plays a part."""
        for name, text in ((".netrc", "machine 127.0.0.1 login a password b"),
                           (".curlrc", "header = \"X-Curlrc: 1\"")):
            kit.write(folder.path / name, text, 0o600)
        server = endpoint()
        with nobody() as port:
            proxy = f"http://127.0.0.1:{port}"
            got = found(url(server), env={
                "HOME": str(folder.path), "http_proxy": proxy,
                "all_proxy": proxy, "ALL_PROXY": proxy})
        assert got.verdicts() == WELL
        for one in server.requests:
            assert not one.all("Authorization") and not one.all("X-Curlrc")


# What is said of the answers


def put(name, *values):
    return lambda reply: reply.set(name, *values)


def both(*changes):
    def change(reply):
        for one in changes:
            one(reply)
    return change


def status(code):
    return lambda reply: setattr(reply, "status", code)


def body(content):
    return lambda reply: setattr(reply, "body", content)


REFUSAL = both(status(403), put(ORIGIN), put(SOURCE), put(EXPOSE), put(ALLOW),
               body(b'{"error":{"code":"sender-not-allowed"}}'))
REDIRECT = both(status(302), put("Location", "https://a.example/"))
CREDENTIALS = put("Access-Control-Allow-Credentials", "true")

# a fault of the endpoint, which request shows it, what is found, the verdict
FAULTS = {
    "origin-missing": (put(ORIGIN), "v1",
                       [("missing-header", "error")], "nothing-shown"),
    "source-missing": (put(SOURCE), "v1",
                       [("missing-header", "error")], "nothing-shown"),
    "expose-missing": (put(EXPOSE), "v1",
                       [("missing-header", "error")], "nothing-shown"),
    "sender-missing": (put(ALLOW), "v2",
                       [("missing-header", "error")], "nothing-shown"),
    "origin-doubled": (put(ORIGIN, GMAIL, GMAIL), "v1",
                       [("doubled-header", "error")], "nothing-shown"),
    "source-doubled": (put(SOURCE, SENDER, SENDER), "v1",
                       [("doubled-header", "error")], "nothing-shown"),
    "sender-doubled": (put(ALLOW, SENDER, SENDER), "v2",
                       [("doubled-header", "error")], "nothing-shown"),
    "origin-wrong": (put(ORIGIN, GMAIL + "/"), "v1",
                     [("wrong-value", "error")], "nothing-shown"),
    "source-encoded": (put(SOURCE, "sender%40company.example"), "v1",
                       [("wrong-value", "error")], "nothing-shown"),
    "sender-folded": (put(ALLOW, "Sender@company.example"), "v2",
                      [("wrong-value", "error")], "nothing-shown"),
    "sender-star": (put(ALLOW, "*"), "v2",
                    [("wildcard", "warning")], "shown"),
    "source-star": (put(SOURCE, "*"), "v1",
                    [("wildcard", "error")], "nothing-shown"),
    "origin-star": (put(ORIGIN, "*"), "v1",
                    [("wildcard", "error")], "nothing-shown"),
    "origin-star-2": (put(ORIGIN, "*"), "v2",
                      [("wildcard", "warning")], "shown"),
    "credentials": (both(put(ORIGIN, "*"), CREDENTIALS), "v2",
                    [("wildcard", "warning"),
                     ("credentials-wildcard", "error")], "shown"),
    "credentials-well": (CREDENTIALS, "v1", [], "shown"),
    "expose-other": (put(EXPOSE, "X-A, X-B"), "v1",
                     [("not-exposed", "error")], "nothing-shown"),
    "expose-more": (put(EXPOSE, "X-A", "x-b , " + SOURCE.lower()), "v1",
                    [], "shown"),
    "expose-sender": (put(EXPOSE, SOURCE, ALLOW), "v1",
                      [("exposes-sender", "note")], "shown"),
    "both-as-1": (both(put(ALLOW), put(ORIGIN, GMAIL), put(SOURCE, SENDER),
                       put(EXPOSE, SOURCE)), "both",
                  [("version-1-answer", "warning")], "shown"),
    "both-as-none": (put(ALLOW), "both",
                     [("missing-header", "error")], "nothing-shown"),
    "both-twice": (both(put(ORIGIN, GMAIL), put(SOURCE, SENDER)), "both",
                   [("extra-header", "note"), ("extra-header", "note")],
                   "shown"),
    "no-vary": (put("Vary"), "v1", [("no-vary", "warning")], "shown"),
    "half-vary": (put("Vary", "Accept, Origin"), "v2",
                  [("no-vary", "warning")], "shown"),
    "two-vary": (put("Vary", "origin", "AMP-EMAIL-SENDER"), "v2", [],
                 "shown"),
    "vary-star": (put("Vary", "*"), "v2", [], "shown"),
    "no-store": (both(put("Vary"), put("Cache-Control", "no-store")), "v2",
                 [("no-vary", "note")], "shown"),
    "redirect": (REDIRECT, "v1", [("redirect", "error")], "nothing-shown"),
    "redirect-2": (both(REDIRECT, status(308)), "v2",
                   [("redirect", "error")], "nothing-shown"),
    "not-found": (status(404), "v1", [("status", "error")], "error-shown"),
    "failed": (both(status(500), put(ALLOW)), "v2",
               [("status", "error"), ("missing-header", "error")],
               "nothing-shown"),
    "server-refuses": (REFUSAL, "v1", [("server-refuses", "error")],
                       "nothing-shown"),
    "server-refuses-2": (REFUSAL, "v2", [("server-refuses", "error")],
                         "nothing-shown"),
    "html": (put("Content-Type", "text/html"), "v1",
             [("content-type", "error")], "error-shown"),
    "no-type": (put("Content-Type"), "v2",
                [("missing-header", "error")], "error-shown"),
    "two-types": (put("Content-Type", "application/json", "text/html"), "v2",
                  [("doubled-header", "error")], "error-shown"),
    "ld-json": (put("Content-Type", "application/ld+json"), "v2",
                [("content-type", "warning")], "shown"),
    "type-letters": (put("Content-Type", "Application/JSON ; a=b"), "v2", [],
                     "shown"),
    "no-json": (body(b'<br />{"a":1}'), "v1",
                [("bad-json", "error")], "error-shown"),
    "latin-1": (body(b'{"a":"\xe4"}'), "v1",
                [("bad-json", "error")], "error-shown"),
    "empty": (body(b""), "v1", [("empty-body", "error")], "error-shown"),
    "no-content": (both(status(204), body(b"")), "v2",
                   [("empty-body", "error")], "error-shown"),
    "gzip": (both(put("Content-Encoding", "gzip"), body(gzip.compress(BODY))),
             "v2", [], "shown"),
    "gzip-lie": (put("Content-Encoding", "gzip"), "v2",
                 [("bad-encoding", "error")], "error-shown"),
    "cookie": (put("Set-Cookie", "a=b"), "v2", [("cookie", "note")],
               "shown"),
    # a server need not let playgrounds in
    "no-preflight": (both(status(404), put(ORIGIN)), "preflight",
                     [("not-for-browsers", "note")], "not-for-browsers"),
    "no-browser": (put(ORIGIN), "browser",
                   [("not-for-browsers", "note")], "not-for-browsers"),
    "other-browser": (put(ORIGIN, GMAIL), "browser",
                      [("not-for-browsers", "note")], "not-for-browsers"),
    "no-playground": (status(403), "playground",
                      [("not-for-browsers", "note")], "not-for-browsers"),
    "browser-html": (both(put("Content-Type", "text/html"), body(b"<p>")),
                     "browser", [("content-type", "warning"),
                                 ("bad-json", "warning")], "error-shown"),
    "browser-gzip-lie": (put("Content-Encoding", "gzip"), "browser",
                         [("bad-encoding", "warning")], "error-shown"),
    "browser-star": (put(ORIGIN, "*"), "browser",
                     [("wildcard", "warning")], "shown"),
    "no-header": (put("Access-Control-Allow-Headers", "X-A"), "preflight",
                  [("header-not-allowed", "warning")], "nothing-shown"),
    # attackers
    "echo-of-header": (put("X-Echo", f"<{STRANGER}>"), "stranger-v2",
                       [("echo", "warning")], "refused"),
    "echo-of-origin": (put(ORIGIN, ELSEWHERE), "origin-v1",
                       [("headers-on-refusal", "warning"),
                        ("echo", "warning")], "refused"),
    "headers": (both(put(ORIGIN, GMAIL), put(SOURCE, SENDER)), "stranger-v1",
                [("headers-on-refusal", "warning")], "refused"),
    "answered": (status(200), "stranger-v1",
                 [("answered", "warning")], "answered"),
    "answered-none": (status(200), "none",
                      [("answered", "warning")], "answered"),
    "star-for-none": (both(status(200), put(ALLOW, "*")), "none",
                      [("lets-in", "error")], "let-in"),
    "stranger-1": (both(status(200), put(ORIGIN, GMAIL),
                        put(SOURCE, STRANGER)), "stranger-v1",
                   [("lets-in", "error")], "let-in"),
    "stranger-2": (both(status(200), put(ALLOW, STRANGER)), "stranger-v2",
                   [("lets-in", "error")], "let-in"),
    "stranger-star": (both(status(200), put(ALLOW, "*")), "stranger-v2",
                      [("lets-in", "error")], "let-in"),
    "origin-1": (both(status(200), put(ORIGIN, ELSEWHERE)), "origin-v1",
                 [("lets-in", "error")], "let-in"),
    "origin-2": (put(ORIGIN, ELSEWHERE), "origin-v2",
                 [("lets-in", "error")], "let-in"),
    "origin-any": (both(status(200), put(ORIGIN, "*")), "origin-starts",
                   [("lets-in", "error")], "let-in"),
    "preflight-any": (both(status(204), put(ORIGIN, "*"), put(
        "Access-Control-Allow-Headers", "*")), "origin-preflight",
        [("lets-in", "error")], "let-in"),
    "preflight-stopped": (both(status(204), put(ORIGIN, ELSEWHERE)),
                          "origin-preflight", [("echo", "warning")],
                          "kept-out"),
    "null": (both(status(200), put(ORIGIN, "null")), "origin-null",
             [("lets-in", "error")], "let-in"),
    "fixed-origin": (both(status(200), put(ORIGIN, GMAIL),
                          put(SOURCE, SENDER)), "origin-ends",
                     [("answered", "warning")], "answered"),
    "first-header": (both(status(200), put(ALLOW, SENDER)), "header-twice",
                     [("ambiguous", "warning")], "answered"),
    "joined": (both(status(200), put(ALLOW, f"{SENDER}, {STRANGER}")),
               "header-twice", [("lets-in", "error")], "let-in"),
    "one-of-two": (both(status(200), put(ORIGIN, GMAIL),
                        put(SOURCE, SENDER)), "param-turned",
                   [("ambiguous", "warning")], "answered"),
    "injected": (both(status(200), put(ORIGIN, GMAIL), put(
        SOURCE, SENDER + "\r\nX-Amp-Cors-Probe: injected")), "param-crlf",
        [("injection", "error")], "let-in"),
    "injected-refusal": (put("X-Echo", "\r\nx-amp-cors-probe: injected"),
                         "param-crlf", [("injection", "error")], "let-in"),
    "stripped": (put("X-Echo", SENDER + "X-Amp-Cors-Probe: injected"),
                 "param-crlf", [("echo", "warning")], "refused"),
    "odd-refusal": (status(500), "param-crlf",
                    [("odd-refusal", "note")], "refused"),
}

# the same where --browser-origin demands that a playground works
INSISTED = {
    "no-preflight": [("status", "error"), ("missing-header", "error")],
    "no-browser": [("missing-header", "error")],
    "other-browser": [("wrong-value", "error")],
    "no-playground": [("status", "error")],
    "no-header": [("header-not-allowed", "error")],
}


class TestFaults:
    @pytest.mark.parametrize("name", FAULTS)
    def test_fault(self, endpoint, name):
        """One fault, its code, what the client makes of it, the status."""
        change, row, findings, verdict = FAULTS[name]
        server = endpoint(spoiled(change))
        got = found(url(server), f"--only={row}")
        assert got.findings(row) == findings, got.all
        assert got.verdicts() == {row: verdict}
        errors = sum(s == "error" for _, s in findings)
        assert got.all["errors"] == errors
        assert got.status == (1 if errors else 0)
        assert len(server.requests) == 1, "a redirect was followed"
        for finding in got.rows[row]["findings"]:
            assert finding["text"] and finding["mend"]

    @pytest.mark.parametrize("name", INSISTED)
    def test_insisted(self, endpoint, name):
        change, row, _, _ = FAULTS[name]
        got = found(url(endpoint(spoiled(change))), f"--only={row}",
                    f"--browser-origin={PLAYGROUND}")
        assert got.findings(row) == INSISTED[name]
        shown = "error" if name == "no-playground" else "nothing"
        assert got.verdicts() == {row: f"{shown}-shown"}
        assert got.status == 1

    @pytest.mark.parametrize("change,statuses", [
        (put("Vary"), (0, 1)), (put(ALLOW), (1, 1))])
    def test_strict(self, endpoint, change, statuses):
        """Warnings count, as in "amp-cors check --strict"."""
        server = endpoint(spoiled(change))
        for options, status_ in zip(((), ("--strict",)), statuses):
            got = found(url(server), "--only=v2", *options)
            assert got.status == status_, got.all

    def test_fragment(self, endpoint):
        """It is cut off, and said so."""
        server = endpoint()
        got = found(url(server, "/a#top"), "--only=v2")
        assert ("fragment", "note") in got.connection()
        assert (got.status, server.requests[0].target) == (0, "/a")
        assert "#top" in got.all["findings"][0]["text"]
        assert ("fragment", "note") not in found(
            url(server, "/a"), "--only=v2").connection()

    def test_every_code_was_seen(self):
        """What a server can do wrong, this table or a test below shows."""
        seen = {code for _, _, codes, _ in FAULTS.values()
                for code, _ in codes} | set(OUTSIDE)
        source = (kit.ROOT / "tool/probe_report.c").read_text()
        assert seen == set(re.findall(r'\] = \{ "([a-z0-9-]+)"', source))


# Servers that play foul


def hold(connection):
    """Says nothing more until the client has gone."""
    with contextlib.suppress(OSError):
        connection.recv(1)


def saying(data, then=None):
    def play(connection, _request):
        connection.sendall(data)
        if then is not None:
            then(connection)
    return play


def forever(first, piece):
    """first, and then piece after piece; counts what went out."""
    def play(connection, _request):
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            play.sent += len(piece)
    play.sent = 0
    return play


HEAD = b"HTTP/1.1 200 OK\r\n"
MINE = (f"AMP-Email-Allow-Sender: {SENDER}\r\nVary: *\r\n"
        "Content-Type: application/json\r\n").encode()
CHUNKED = HEAD + MINE + b"Transfer-Encoding: chunked\r\n\r\n"

FOUL = {
    "stalls": (saying(b"", hold), "timeout"),
    "stalls-in-header": (saying(HEAD, hold), "timeout"),
    "stalls-in-body": (saying(HEAD + MINE + b"Content-Length: 9\r\n\r\n{",
                              hold), "timeout"),
    "closes": (saying(b""), "closed"),
    "closes-in-header": (saying(HEAD + b"X-A: b\r\n"), "closed"),
    "closes-after-103": (saying(b"HTTP/1.1 103 Early Hints\r\n\r\n"),
                         "closed"),
    "closes-in-line": (saying(b"HTTP/1.1 20"), "closed"),
    "closes-in-body": (saying(HEAD + MINE + b"Content-Length: 9\r\n\r\n{}"),
                       "cut-off"),
    "closes-in-chunk": (saying(CHUNKED + b"9\r\n{}"), "cut-off"),
    "bad-chunk": (saying(CHUNKED + b"x\r\n{}"), "cut-off"),
    "garbage": (saying(b"SSH-2.0-OpenSSH_9.2\r\n" * 3), "not-http"),
    "binary": (saying(bytes(range(256)) * 40), "not-http"),
    "nul": (saying(HEAD + MINE + b"X-A: a\0b\r\n\r\n{}"), "not-http"),
    "endless-header": (forever(HEAD, b"X-A: " + b"a" * 1000 + b"\r\n"),
                       "head-too-large"),
    # few bytes, but libcurl's list of fields takes the square of them
    "many-fields": (saying(HEAD + b"A:\r\n" * 20000 + b"\r\n{}"),
                    "head-too-large"),
    "endless-line": (forever(HEAD + b"X-A: ", b"a" * 1000),
                     "head-too-large"),
    "endless-body": (forever(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
                     "body-too-large"),
    "1-gib": (forever(HEAD + MINE + b"Content-Length: 1073741824\r\n\r\n",
                      b" " * 65536), "body-too-large"),
    "gzip-bomb": (saying(
        HEAD + MINE + b"Content-Encoding: gzip\r\n\r\n"
        + gzip.compress(bytes(64 << 20), 9)), "body-too-large"),
}
# codes that FAULTS cannot show
OUTSIDE = {code for _, code in FOUL.values()} | {
    "no-tls", "insecure", "fragment", "certificate", "tls", "unknown-name",
    "unreachable", "transfer"}


def patience(code):
    """A busy machine must not make another fault of it."""
    return "--timeout=1" if code == "timeout" else "--timeout=10"


class TestFoul:
    @pytest.mark.parametrize("name", FOUL)
    def test_client(self, endpoint, name):
        """A clear line, within the time, whatever the server does."""
        play, code = FOUL[name]
        server = endpoint(play)
        begun = time.monotonic()
        got = found(url(server), "--only=v2", patience(code))
        assert time.monotonic() - begun < LIMIT
        assert (code, "error") in got.findings("v2"), got.all
        assert got.status == 1
        assert got.verdicts()["v2"] in (
            ("error-shown",) if got.rows["v2"]["status"] else ("no-answer",))
        assert getattr(play, "sent", 0) < 64 << 20

    @pytest.mark.parametrize("name", FOUL)
    def test_attacker(self, endpoint, name):
        """It is no answer to an attacker either, but lets nobody in."""
        play, code = FOUL[name]
        got = found(url(endpoint(play)), "--only=stranger-v1",
                    patience(code))
        row = got.rows["stranger-v1"]
        assert got.status == 0 and got.all["errors"] == 0
        if row["status"] is None:
            assert got.findings("stranger-v1") == [(code, "warning")]

    def test_slow(self, endpoint):
        """The time is for a whole request, not for a byte."""
        def play(connection, _request):
            connection.sendall(HEAD)
            while not server.over.wait(0.1):
                connection.sendall(b"X-A: b\r\n")

        server = endpoint(play)
        begun = time.monotonic()
        got = found(url(server), "--only=v1,v2", "--timeout=1")
        assert time.monotonic() - begun < LIMIT
        assert got.findings("v1") == got.findings("v2") == [
            ("timeout", "error")]

    def test_hints(self, endpoint):
        """What goes before the answer is none of it, nor what comes behind."""
        server = endpoint(saying(
            b"HTTP/1.1 103 Early Hints\r\n" + MINE + b"\r\n" + CHUNKED
            + b"2\r\n{}\r\n0\r\n" + MINE + b"\r\n"))
        got = found(url(server), "--only=v2")
        assert (got.findings("v2"), got.status) == ([], 0)
        assert len(got.rows["v2"]["received"]) == 4

    def test_later(self, endpoint):
        """Once somebody was reached, the rest is asked."""
        def play(connection, request):
            if len(server.requests) > 1:
                return right(request)
            return None

        server = endpoint(play)
        got = found(url(server))
        assert got.verdicts() == {**WELL, "v1": "no-answer"}
        assert got.status == 1


class TestReached:
    def test_refused(self):
        with nobody() as port:
            got = found(f"http://127.0.0.1:{port}/")
        self.assert_away(got, "unreachable")

    def test_name(self):
        """A label that is too long is asked of no name server."""
        got = found(f"http://{'a' * 64}.invalid/", "--timeout=60")
        self.assert_away(got, "unknown-name")

    def test_no_tls(self, endpoint):
        """https to a server that speaks something else."""
        server = endpoint(greeting=b"220 mail.example\r\n")
        got = found(url(server, scheme="https"))
        self.assert_away(got, "tls")

    def test_silent_tls(self, endpoint):
        """https to a server that waits for a request."""
        got = found(url(endpoint(), scheme="https"), "--timeout=1")
        self.assert_away(got, "tls")

    @staticmethod
    def assert_away(got, code):
        assert got.status == 69
        assert got.findings("v1") == [(code, "error")]
        verdicts = list(got.verdicts().values())
        assert verdicts == ["no-answer"] + ["not-asked"] * (len(WELL) - 1)
        assert got.errors.count("\n") == 1, got.errors
        assert got.errors.startswith("amp-cors probe: ")
        assert got.all["address"] is None


def certificate(folder, name):
    """One that is its own issuer."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=probe.example", "-addext", f"subjectAltName={name}",
         "-keyout", folder.path / "key", "-out", folder.path / "certificate"],
        check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder.path / "certificate", folder.path / "key")
    return context


class TestTls:
    @pytest.mark.parametrize("name", ["IP:127.0.0.1", "DNS:other.example"])
    def test_certificate(self, endpoint, folder, name):
        server = endpoint(tls=certificate(folder, name))
        got = found(url(server, scheme="https"))
        TestReached.assert_away(got, "certificate")
        assert not server.requests, "asked all the same"
        got = found(url(server, scheme="https"), "--insecure")
        assert got.verdicts() == WELL
        assert got.connection() == [("insecure", "warning")]
        assert (got.status, got.all["errors"]) == (0, 0)

    def test_ends(self, endpoint, folder):
        """A connection that ends while we send does not end us."""
        def play(connection, _request):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))

        data = kit.write(folder.path / "data", b"a" * (12 << 20))
        server = endpoint(play, tls=certificate(folder, "IP:127.0.0.1"),
                          eager=True)
        got = found(url(server, scheme="https"), "--insecure",
                    "--only=v1,v2,both", "--method=POST", f"--data=@{data}")
        assert got.status == 1
        assert set(got.verdicts().values()) == {"no-answer"}

    def test_http(self, endpoint):
        """Loopback is where one tries things."""
        got = found(url(endpoint()), "--only=v2")
        assert got.connection() == [("no-tls", "warning")]


# What is printed


HOSTILE = "a\x1b[31mb\x07\x9b\xff\x7f\x08c\td"


class Terminal:
    """The tool with all that it says on a terminal of its own."""

    def __init__(self, *argv, env):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=env,
            start_new_session=True)
        os.close(slave)
        self.said = b""

    def read(self, until_text=None):
        """To the end, or until it said something."""
        end = time.monotonic() + LIMIT
        while until_text is None or until_text not in self.said:
            left = end - time.monotonic()
            assert left > 0, self.said
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            self.said += piece
        return self.said

    def end(self):
        self.read()
        status = self.process.wait(LIMIT)
        os.close(self.master)
        return status


def on_terminal(url_, *options, **env):
    return Terminal(TOOL, "probe", f"--sender={SENDER}", *options, url_,
                    env=environment(**env))


ERASE = b"\r\x1b[K"


class TestText:
    def test_table(self, endpoint):
        """A line for each request; what is found below it."""
        server = endpoint(spoiled(put(ORIGIN)))
        done = probe(url(server), "--only=v1,v2,stranger-v1")
        lines = done.stdout.decode("ascii").split("\n")
        rows = [line.split(None, 2) for line in lines
                if line and line[0].islower() and "all of them" not in line]
        assert rows[:3] == [
            ["v1", "200", "shows nothing: missing-header"],
            ["v2", "200", "shows the content"],
            ["stranger-v1", "403", "refused"]]
        at = lines.index("    error: " + ORIGIN + " is missing; it must be "
                         + GMAIL + " [missing-header]")
        assert lines[at + 1].startswith("        mend: ")
        assert lines[-2] == "1 error, 1 warning, 0 notes"
        assert (done.returncode, done.stderr) == (1, b"")

    def test_hostile(self, endpoint):
        """Nothing that a server sends gets to the terminal as it is."""
        server = endpoint(spoiled(both(
            put(ALLOW, HOSTILE), put("Content-Type", HOSTILE),
            put("Location", HOSTILE), put("X-A", HOSTILE))))
        for options in ((), ("--only=v2",)):
            done = probe(url(server), *options)
            shown = re.sub(rb"[\x20-\x7e\n]", b"", done.stdout)
            assert shown == b"" and b"\\x1b[31m" in done.stdout
        got = found(url(server), "--only=v2")
        received = dict(got.rows["v2"]["received"])
        assert received["X-A"].startswith("a\x1b[31mb\x07\ufffd\ufffd")

    def test_long(self, endpoint):
        """A long value is cut in the table, never in the document."""
        server = endpoint(spoiled(put(ALLOW, "a" * 9000)))
        done = probe(url(server), "--only=v2")
        assert b"a" * 100 in done.stdout and b"..." in done.stdout
        assert max(map(len, done.stdout.split(b"\n"))) < 500
        got = found(url(server), "--only=v2")
        assert dict(got.rows["v2"]["received"])[ALLOW] == "a" * 9000

    def test_colours(self, endpoint):
        terminal = on_terminal(url(endpoint()), TERM="xterm")
        assert terminal.end() == 0
        assert b"\x1b[32mshows the content\x1b[0m" in terminal.said
        assert ERASE + b"[1/21] v1" in terminal.said
        assert ERASE + b"[21/21] none" + ERASE + b"GET http" in terminal.said

    @pytest.mark.parametrize("env,colours,progress", [
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
    ])
    def test_plain(self, endpoint, env, colours, progress):
        terminal = on_terminal(url(endpoint()), **env)
        assert terminal.end() == 0
        assert (b"\x1b[3" in terminal.said) == colours
        assert (b"[1/21]" in terminal.said) == progress

    def test_nobody_reads(self, endpoint):
        """Nobody reads what it prints: it ends as others do."""
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [TOOL, "probe", f"--sender={SENDER}", url(endpoint())],
            stdout=writing, stderr=subprocess.PIPE, env=environment(),
            timeout=LIMIT)
        os.close(writing)
        assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")

    def test_pipe(self, endpoint):
        done = probe(url(endpoint()), env={"TERM": "xterm"})
        assert b"\x1b" not in done.stdout and done.stderr == b""

    def test_seconds(self, endpoint):
        """The line moves while it waits."""
        server = endpoint(saying(b"", hold))
        terminal = on_terminal(url(server), "--only=v2", "--timeout=3",
                               TERM="xterm")
        terminal.read(b"[1/1] v2, ")
        assert terminal.end() == 1

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupt(self, endpoint, number):
        """It ends by the signal, with the line erased and nothing else."""
        server = endpoint(saying(b"", hold))
        terminal = on_terminal(url(server), TERM="xterm")
        until(lambda: server.requests, "a request")
        terminal.process.send_signal(number)
        assert terminal.end() == -number
        assert terminal.said.endswith(
            ERASE + b"amp-cors probe: interrupted\r\n")
        assert b"REQUEST" not in terminal.said

    def test_nohup(self, endpoint):
        """A signal that was ignored stays so."""
        server = endpoint(saying(b"", hold))
        process = subprocess.Popen(
            [TOOL, "probe", f"--sender={SENDER}", "--only=v2",
             "--timeout=2", url(server)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment(),
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        until(lambda: server.requests, "a request")
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, err) == (1, b"")
        assert b"timeout" in out

    @pytest.mark.parametrize("form", ["text", "json"])
    def test_full(self, endpoint, form):
        """A full disk: one line, and 74."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [TOOL, "probe", f"--sender={SENDER}", f"--format={form}",
                 url(endpoint())], stdout=full, stderr=subprocess.PIPE,
                env=environment(), timeout=LIMIT)
        assert done.returncode == 74
        assert done.stderr.count(b"\n") == 1, done.stderr


# What is typed wrongly


URL = "http://127.0.0.1:9/x"
USAGE = {
    "no-sender": ([URL], None, "--sender"),
    "bad-sender": ([URL], "sender", "sender"),
    "two-senders": ([URL], "a@b.example,c@d.example", "--sender"),
    "no-url": ([], SENDER, "the URL is missing"),
    "two-urls": ([URL, URL], SENDER, "more than one URL"),
    "no-scheme": (["127.0.0.1/x"], SENDER, "127.0.0.1/x"),
    "ftp": (["ftp://127.0.0.1/x"], SENDER, "http"),
    "file": (["file:///etc/passwd"], SENDER, "http"),
    "blank": (["http://127.0.0.1/a b"], SENDER, "http"),
    "user": (["http://a:b@127.0.0.1/x"], SENDER, "user"),
    "parameter": ([URL + "?a&__amp%5Fsource_origin=a@b.example"], SENDER,
                  PARAMETER),
    "origin": (["--origin=https://a.example/", URL], SENDER, "--origin"),
    "origin-null": (["--origin=null", URL], SENDER, "--origin"),
    "browser": (["--browser-origin=a.example", URL], SENDER,
                "--browser-origin"),
    "method": (["--method=PUT", URL], SENDER, "--method"),
    "data": (["--data=a", URL], SENDER, "--method=POST"),
    "header": (["--header=nonsense", URL], SENDER, "Name: value"),
    "header-name": (["--header=a b: c", URL], SENDER, "Name: value"),
    "header-lines": (["--header=A: b\r\nC: d", URL], SENDER, "control"),
    "header-ours": (["--header=origin: x", URL], SENDER, "themselves"),
    "timeout": (["--timeout=0", URL], SENDER, "--timeout"),
    "timeout-word": (["--timeout=1s", URL], SENDER, "--timeout"),
    "timeout-long": (["--timeout=3601", URL], SENDER, "--timeout"),
    "format": (["--format=xml", URL], SENDER, "--format"),
    "only": (["--only=v1,v3", URL], SENDER, "v3"),
    "only-nothing": (["--only=", URL], SENDER, "--only"),
    "only-unknown": (["--only=playground", "--browser-origin=https://a.b",
                      URL], SENDER, "playground"),
    "resolve": (["--resolve=a:b:c", URL], SENDER, "--resolve"),
    "resolve-short": (["--resolve=a:80", URL], SENDER, "--resolve"),
    "option": (["--nonsense", URL], SENDER, "nonsense"),
}


# what is wrong between the options, or with the URL: one line, no usage
BETWEEN = ("no-sender", "no-scheme", "ftp", "file", "blank", "user",
           "parameter", "data", "only-unknown")


class TestUsage:
    @pytest.mark.parametrize("name", USAGE)
    def test_wrong(self, name):
        options, sender, word = USAGE[name]
        argv = [TOOL, "probe", *options]
        if sender is not None:
            argv.insert(2, f"--sender={sender}")
        done = subprocess.run(argv, capture_output=True, text=True,
                              timeout=LIMIT, env=environment())
        assert (done.returncode, done.stdout) == (64, "")
        fault, _, rest = done.stderr.partition("\n")
        assert word in fault
        assert rest == "" if name in BETWEEN else rest.startswith("usage: ")

    def test_help(self):
        done = subprocess.run([TOOL, "probe", "--help"], text=True,
                              capture_output=True, timeout=LIMIT)
        assert (done.returncode, done.stderr) == (0, "")
        for option in ("sender", "origin", "browser-origin", "method",
                       "data", "header", "timeout", "format", "insecure",
                       "only", "resolve", "strict"):
            assert "--" + option in done.stdout

    @pytest.mark.parametrize("what", ["missing", "folder", "large"])
    def test_data(self, folder, what):
        path = folder.path / "data"
        if what == "folder":
            path.mkdir()
        elif what == "large":
            path.touch()
            os.truncate(path, 1 << 30)
        done = probe(URL, "--method=POST", f"--data=@{path}")
        assert (done.returncode, done.stdout) == (66, b"")
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(f"amp-cors probe: {path}: ".encode())


# Our own front


class OwnFront:
    """It passes, in each of its ways."""

    # version 2 asks nothing of an origin that the browser would not
    expected = WELL

    @pytest.mark.parametrize("options", [
        [], ["--method=POST", "--data=a=b"],
        ["--browser-origin=https://amp.gmail.dev"],
        ["--browser-origin=https://playground.amp.dev"],
        ["--origin=https://emailclient.example"],
    ], ids=lambda o: o[0] if o else "GET")
    def test_passes(self, site, options):
        got = found(f"http://127.0.0.1:{site.port}{site.base}/echo",
                    *options)
        assert got.verdicts() == self.expected, got.all
        assert (got.status, got.all["errors"]) == (0, 0)
        assert got.all["warnings"] == 1, "more than no-tls"
        assert got.all["notes"] == 0

    def test_unlisted(self, site):
        """The operator named a sender that the policy does not."""
        got = found(f"http://127.0.0.1:{site.port}{site.base}/echo",
                    "--only=v1,v2", sender="other@company.example")
        assert got.status == 1
        for name in ("v1", "v2"):
            assert got.findings(name) == [("server-refuses", "error")]
            finding = got.rows[name]["findings"][0]
            assert finding["text"] == "the server refuses: sender-not-allowed"
            assert "amp-cors explain" in finding["mend"]

    def test_handler_fails(self, site):
        """The fields are there, whatever the status [SPEC 4.7]."""
        got = found(f"http://127.0.0.1:{site.port}{site.base}/die/3",
                    "--only=v1,v2,both")
        assert got.verdicts() == dict.fromkeys(SHOWN, "error-shown")
        for name in SHOWN:
            assert got.findings(name) == [("status", "error")]


class TestNginx(OwnFront):
    way = servers.NginxUnix


class TestLighttpd(OwnFront):
    way = servers.LighttpdSocket


def test_openssl_is_there():
    """Without it, the certificates above would be made by nobody."""
    assert shutil.which("openssl")
