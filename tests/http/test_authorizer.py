"""The Authorizer role and `handler = none`, byte by byte: the decision is the
answer [SPEC 1.7, 4.1, 5.2, E6, E13, E99, E100]."""

import socket
import threading

import pytest

import fcgi
from kit import (ORIGIN, SENDER, V2, echo, finish, of_fcgi, ours, until,
                 variables, version1)
from test_ways import ALLOWED, REFUSED, assert_vary

TABLE = """\
[policy]
senders = {sender} sender@example.com
origins = https://emailclient.example https://mail.google.com
playground = yes
{policy}
[server]
"""
V1 = {"sender": None, "origin": ORIGIN,
      "query": f"__amp_source_origin={SENDER}"}
PREFLIGHT = {"method": "OPTIONS", "sender": None, "origin": ORIGIN,
             "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
ROLES = pytest.mark.parametrize(
    "role", [fcgi.AUTHORIZER, fcgi.RESPONDER], ids=["authorizer", "responder"])
KEPT = pytest.mark.parametrize("keep", [0, fcgi.KEEP], ids=["once", "kept"])


def head(items, role=fcgi.AUTHORIZER, flags=0, id=1):
    """A request as far as the end of its parameters."""
    return (fcgi.begin(id, role, flags)
            + fcgi.stream(fcgi.PARAMS, fcgi.pairs(items), id))


def authorizer(uri="/amp/x", **more):
    """What a web server says to an Authorizer (E13)."""
    more = {"script": None, "path": None, "query": None, **more}
    return variables(REQUEST_URI=uri, **more)


def decide(server, items, role=fcgi.AUTHORIZER):
    with fcgi.Client(server.address) as client:
        client.send(head(items, role) + fcgi.record(fcgi.STDIN))
        return of_fcgi(client.answer())


def said_to_handler(fields, role=fcgi.AUTHORIZER):
    """The Variable- fields that belong to these CORS fields."""
    if role != fcgi.AUTHORIZER:
        return []
    of = dict(fields)
    sender = of.get("AMP-Email-Allow-Sender")
    values = {
        "VERSION": "2" if sender else "1",
        "SENDER": sender or of["AMP-Access-Control-Allow-Source-Origin"],
        "ORIGIN": of.get("Access-Control-Allow-Origin")}
    return [(f"Variable-AMP_CORS_{n}", v) for n, v in values.items() if v]


def assert_allowed(answer, fields, role=fcgi.AUTHORIZER):
    assert answer.status == 200, answer
    assert ours(answer.headers) == sorted(
        fields + said_to_handler(fields, role))
    assert answer.body == b""
    assert not answer.all("Content-Type")
    assert_vary(answer)


def of_table(name, table):
    query, headers, expected = table[name]
    given = {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in headers}
    return authorizer(sender=None, query=query, **given), expected


@pytest.fixture(scope="class")
def server(shared, request):
    """A front with the policy of the class; both take turns on one."""
    shared.configure(whole=request.cls.whole)
    shared.start()
    shared.address = shared.socket
    yield shared
    shared.stop()


@pytest.fixture(scope="class", params=["unix", "tcp"])
def door(request, shared):
    """The same behind a Unix socket and behind a TCP port."""
    shared.configure(whole=TABLE, policy="exec = {handler}")
    if request.param == "unix":
        shared.start()
        shared.address = shared.socket
    else:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            shared.address = listening.getsockname()
            shared.start("--", ready=shared.address, stdin=listening)
    yield shared
    assert shared.ran() == 0
    shared.stop()


@pytest.fixture
def client(door):
    with fcgi.Client(door.address) as made:
        yield made
    assert not door.child.ended(), door.log()


class TestStdin:
    """SPEC 5.2: nothing behind the parameters is waited for."""

    @KEPT
    @pytest.mark.parametrize("length", [None, "0", "5", "-1"])
    def test_none(self, client, keep, length):
        client.send(head(authorizer(CONTENT_LENGTH=length), flags=keep))
        assert_allowed(of_fcgi(client.answer()), V2)

    def test_none_and_not_kept(self, client):
        client.send(head(authorizer()))
        assert_allowed(of_fcgi(client.answer()), V2)
        assert client.at_end(8)

    @KEPT
    def test_none_refused(self, client, keep):
        """E99: whole, with status, fields and body."""
        client.send(head(authorizer(sender="a@b.example"), flags=keep))
        answer = of_fcgi(client.answer())
        assert answer.status_line == "403 Forbidden"
        assert answer.reason() == "sender-not-allowed"
        assert int(answer.one("Content-Length")) == len(answer.body)
        assert answer.one("Cache-Control") == "no-store"
        assert ours(answer.headers) == []
        assert_vary(answer)

    @KEPT
    def test_empty(self, client, keep):
        client.send(head(authorizer(), flags=keep) + fcgi.record(fcgi.STDIN))
        assert_allowed(of_fcgi(client.answer()), V2)
        if not keep:
            assert client.at_end(8)

    @pytest.mark.parametrize("late", [
        b"", fcgi.record(fcgi.STDIN),
        fcgi.record(fcgi.STDIN, 1, b"x" * 65535) * 3
        + fcgi.record(fcgi.STDIN)], ids=["none", "empty", "full"])
    def test_next_is_in_step(self, client, late):
        """Its STDIN comes behind its answer, or never."""
        for sender in (SENDER, "a@b.example", SENDER):
            client.send(head(authorizer(sender=sender, CONTENT_LENGTH="7"),
                             flags=fcgi.KEEP))
            answer = of_fcgi(client.answer())
            assert answer.status == (200 if sender == SENDER else 403)
            client.send(late)
        client.send(head(authorizer(**V1), flags=fcgi.KEEP, id=9))
        assert_allowed(of_fcgi(client.answer(9)), version1())

    def test_at_once_with_the_next(self, client):
        """Two whole requests in one write, on one connection."""
        client.send(head(authorizer(), flags=fcgi.KEEP)
                    + fcgi.record(fcgi.STDIN))
        assert_allowed(of_fcgi(client.answer()), V2)
        client.send(head(authorizer(**V1), flags=fcgi.KEEP, id=2)
                    + fcgi.record(fcgi.STDIN, 2))
        assert_allowed(of_fcgi(client.answer(2)), version1())

    @pytest.mark.parametrize("size", [1, 3, 8, 100])
    def test_pieces(self, client, size):
        items = authorizer()
        client.send(fcgi.begin(role=fcgi.AUTHORIZER) + fcgi.stream(
            fcgi.PARAMS, fcgi.pairs(items), size=size, padding=size))
        assert_allowed(of_fcgi(client.answer()), V2)

    def test_filter_is_unknown_still(self, client):
        """E91: and the Authorizer behind it is answered."""
        client.send(head(authorizer(), fcgi.FILTER, fcgi.KEEP)
                    + fcgi.record(fcgi.STDIN))
        got = client.answer()
        assert got.protocol_status == fcgi.UNKNOWN_ROLE and not got.out
        client.send(head(authorizer(), flags=fcgi.KEEP))
        assert_allowed(of_fcgi(client.answer()), V2)


class TestDecision:
    """The table of all ways in, with the handler that is not wanted."""

    whole = TABLE.replace("{policy}", "exec = {handler}")

    @pytest.mark.parametrize("name", ALLOWED)
    def test_allowed(self, server, name):
        items, expected = of_table(name, ALLOWED)
        assert_allowed(decide(server, items), expected)
        assert server.ran() == 0

    @pytest.mark.parametrize("name", REFUSED)
    def test_refused(self, server, name):
        """E99"""
        items, reason = of_table(name, REFUSED)
        answer = decide(server, items)
        assert answer.status == 403
        assert ours(answer.headers) == []
        assert reason in (None, answer.reason())
        assert server.ran() == 0

    def test_preflight(self, server):
        """E100: a final answer, with nothing for a handler."""
        answer = decide(server, authorizer(**PREFLIGHT))
        assert answer.status == 204
        assert sorted(n for n, _ in ours(answer.headers)) == [
            "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
            "Access-Control-Allow-Origin", "Access-Control-Max-Age"]
        assert answer.body == b""

    def test_preflight_refused(self, server):
        answer = decide(server, authorizer(
            **{**PREFLIGHT, "origin": "https://evil.example"}))
        assert answer.status == 403
        assert answer.reason() == "origin-not-allowed"

    def test_head(self, server):
        assert_allowed(decide(server, authorizer(method="HEAD")), V2)
        answer = decide(server, authorizer(method="HEAD", sender="a@b.c"))
        assert answer.status == 403 and answer.body == b""

    @pytest.mark.parametrize("field", ["AMP_EMAIL_SENDER", "ORIGIN"])
    def test_repeated(self, server, field):
        """E1"""
        items = authorizer(**V1) + authorizer(sender=SENDER)
        twice = [i for i in items if i[0] == f"HTTP_{field}"][:1] * 2
        answer = decide(server, authorizer(sender=None) + twice)
        assert answer.reason() == "variable-repeated"

    def test_nobody_else_sets_variables(self, server):
        """What the web server or a client calls so is not said again."""
        answer = decide(server, authorizer(
            sender=None, AMP_CORS_SENDER=SENDER,
            HTTP_VARIABLE_AMP_CORS_SENDER=SENDER))
        assert answer.reason() == "no-amp-headers"
        assert ours(answer.headers) == []


class TestBusy:
    """A decision needs no place where handlers run."""

    def test_decides(self, front):
        front.configure("timeout = 60", "threads = 1\nqueue = 0")
        front.start()
        front.address = front.socket
        slow = threading.Thread(target=lambda: front.ask(path="/silent"))
        slow.start()
        try:
            until(front.pids, "a handler")
            assert_allowed(decide(front, authorizer()), V2)
            assert front.ask().reason() == "busy"
        finally:
            finish(front)
            slow.join()


class TestReport:
    """SPEC 2.8: let through, and nothing is said of CORS."""

    whole = TABLE.replace("{policy}", "handler = none\nmode = report")

    @ROLES
    def test_refused(self, server, role):
        answer = decide(server, authorizer(sender="a@b.example"), role)
        assert answer.status == 200 and answer.body == b""
        assert [n for n, _ in answer.headers] == ["Vary"]
        until(lambda: " report 200 sender-not-allowed " in server.log(),
              "its line")

    @ROLES
    def test_allowed(self, server, role):
        assert_allowed(decide(server, authorizer(), role), V2, role)

    @ROLES
    def test_refused_all_the_same(self, server, role):
        """SPEC 2.8: 1.3's and 1.4's stay refusals."""
        for sender in ("a\x01@b.example", "\x80@b.example"):
            answer = decide(server, authorizer(sender=sender), role)
            assert answer.reason() == "bad-byte"


# whom each URI belongs to; None: nobody
PATHS = {
    "/amp": "top", "/amp/": "top", "/amp/x": "top", "/amp/ab": "top",
    "/amp/A": "top", "/amp/a": "a", "/amp/a/": "a", "/amp/a/b/c": "a",
    "/amp/a?/../b": "a", "/amp/a?%23": "a", "/amp/b?x=/amp/a": "b",
    # decoded, and once
    "/amp/%61": "a", "/%61mp/a": "a", "/amp%2fa": "a", "/amp%2Fa%2fx": "a",
    "/amp/%2561": "top", "/amp/%252e%252e/b": "top", "/amp/a%252f": "top",
    "/amp/a%3f": "top", "/amp/a%23": "top", "/amp/a;x": "top",
    "/amp/b/%C3%A4": "b", "/amp/b/a+b": "b", "/amp/a.": "top",
    "/amp/...": "top", "/amp/a/..x": "a",
    # what could be read in two ways
    "/amp/a/../b": None, "/amp/a/%2e%2e/b": None, "/amp/a/..%2fb": None,
    "/amp/a%2f..%2fb": None, "/amp/a/.%2E/b": None, "/amp/./a": None,
    "/amp/a/.": None, "/amp/a/%2e": None, "/amp/a/..": None, "//amp/a": None,
    "/%2famp/a": None, "/amp//a": None, "/amp/%2fa": None, "/amp/a//": None,
    "/amp/a%2f/": None, "/amp/%4": None, "/amp/a%": None, "/amp/%zz": None,
    "/amp/%u0061": None, "/amp/a%00": None, "/amp/a%00/b": None,
    # some servers take off what begins with '#', or make '_' of the others
    "/amp/a#": None, "/amp/a#x": None, "/amp/a#/../b": None, "/amp#/a": None,
    "/amp/a?#": None, "/amp/a?x#": None, "/amp/a?x#y": None,
    "/amp/%01": None, "/amp/a%7f": None, "/amp/a\x01": None,
    # no path, or another one
    "http://localhost/amp/a": None, "//localhost/amp/a": None,
    "amp/a": None, "*": None, "/": None, "": None, "?/amp/a": None,
    "/AMP/a": None, "/ampa": None, "/other": None,
}


class TestPath:
    """SPEC 1.7: REQUEST_URI says which endpoint it is."""

    whole = """\
[policy]
handler = none
[endpoint top]
path = /amp
senders = top@company.example
[endpoint a]
path = /amp/a
senders = a@company.example
[endpoint b]
path = /amp/b
senders = b@company.example
"""

    def allowed(self, server, role, **request):
        """Whom it lets in."""
        found = []
        for name in ("top", "a", "b"):
            answer = decide(server, authorizer(
                sender=f"{name}@company.example", **request), role)
            if answer.status == 200:
                found.append(name)
            else:
                assert answer.status in (403, 404), (name, answer)
                assert ours(answer.headers) == []
        return found

    @ROLES
    @pytest.mark.parametrize("uri", PATHS)
    def test_uri(self, server, role, uri):
        expected = [PATHS[uri]] if PATHS[uri] else []
        assert self.allowed(server, role, uri=uri) == expected
        if not expected:
            answer = decide(server, authorizer(uri), role)
            assert answer.reason() == "no-endpoint"

    @ROLES
    def test_nothing_else_counts(self, server, role):
        """nginx's subrequest has the SCRIPT_NAME of its own location."""
        assert self.allowed(server, role, uri="/amp/a/x", script="/amp/b",
                            path="/y", DOCUMENT_URI="/amp/b",
                            SCRIPT_FILENAME="/var/www/amp/b") == ["a"]
        assert self.allowed(server, role, uri="/amp//a", script="/amp/b") == []

    @ROLES
    def test_no_uri(self, server, role):
        """E13: then what there is decides."""
        assert self.allowed(server, role, uri=None, script="/amp",
                            path="/b/x") == ["b"]
        assert self.allowed(server, role, uri=None) == []

    @ROLES
    def test_two_uris(self, server, role):
        """SPEC 1.3"""
        def twice(a, b):
            return decide(server, authorizer(
                a, sender="a@company.example",
                extra=[("REQUEST_URI", b)]), role)

        assert twice("/amp/a", "/amp/a").status == 200
        assert twice("/amp/a", "").status == 200
        assert twice("", "/amp/a").status == 200
        for a, b in (("/amp/a", "/amp/b"), ("/amp/b", "/amp/a")):
            answer = twice(a, b)
            assert answer.status == 400
            assert answer.reason() == "bad-request"


class TestQuery:
    """SPEC 1.7, E6: the URI's query counts where there is no other."""

    whole = TABLE.replace("{policy}", """\
[endpoint none]
path = /none
handler = none
[endpoint exec]
path = /exec
exec = {handler}""")
    good = f"__amp_source_origin={SENDER}"
    evil = "__amp_source_origin=evil@company.example"

    def ask(self, server, role, uri, **more):
        return decide(server, authorizer(
            uri, sender=None, origin=ORIGIN, **more), role)

    @ROLES
    @pytest.mark.parametrize("query", [None, ""])
    def test_of_uri(self, server, role, query):
        answer = self.ask(server, role, "/none?" + self.good, query=query)
        assert_allowed(answer, version1(), role)
        answer = self.ask(server, role, "/none?" + self.evil, query=query)
        assert answer.reason() == "sender-not-allowed"
        for uri in ("/none", "/none?"):
            answer = self.ask(server, role, uri, query=query)
            assert answer.reason() == "source-origin-missing"

    @ROLES
    def test_not_beside_another(self, server, role):
        for query in (self.evil, "a=b"):
            answer = self.ask(server, role, "/none?" + self.good, query=query)
            if role == fcgi.RESPONDER:  # E6
                assert answer.status == 400
                assert answer.reason() == "bad-request"
            else:  # an Authorizer's server may have rewritten the URL
                assert answer.status == 403
        answer = self.ask(server, role, "/none?" + self.good, query=self.good)
        assert_allowed(answer, version1(), role)

    @ROLES
    def test_repeated(self, server, role):
        answer = self.ask(server, role, f"/none?{self.good}&{self.good}")
        assert answer.reason() == "source-origin-repeated"

    @ROLES
    @pytest.mark.parametrize("query", [None, ""])
    @pytest.mark.parametrize("uri", [
        "/none?a=1#&{}", "/none?#{}", "/none#?{}", "/none?{}#", "/none#{}"])
    def test_fragment(self, server, role, uri, query):
        """Some servers cut it off, others do not."""
        answer = self.ask(server, role, uri.format(self.good), query=query)
        assert answer.status == 404 and answer.reason() == "no-endpoint"
        assert ours(answer.headers) == []

    def test_of_a_handler(self, server):
        """A Responder's query is QUERY_STRING, but for handler = none."""
        answer = self.ask(server, fcgi.RESPONDER, "/exec?" + self.good,
                          script="/exec")
        assert answer.reason() == "source-origin-missing"
        answer = self.ask(server, fcgi.AUTHORIZER, "/exec?" + self.good)
        assert_allowed(answer, version1())
        assert server.ran() == 0


# role, SCRIPT_NAME, REQUEST_URI; the endpoint, and does its handler run?
MIXED = [
    (fcgi.RESPONDER, "/check", "/amp/x", "none", False),
    (fcgi.RESPONDER, "/check", "/amp/deep/x", "none", False),
    (fcgi.RESPONDER, "/amp/deep", "/amp/deep", "deep", True),
    (fcgi.RESPONDER, "/amp/deep", "/amp/x", "deep", True),
    (fcgi.RESPONDER, "/amp/deep", "/elsewhere", "deep", True),
    (fcgi.RESPONDER, "/amp/deep", None, "deep", True),
    (fcgi.RESPONDER, "/amp/x", None, "none", False),
    (fcgi.RESPONDER, "/amp/x", "/elsewhere", None, False),
    (fcgi.RESPONDER, "/amp/x", "/amp//x", None, False),
    (fcgi.RESPONDER, "/check", "/amp/deep/none", "deepest", False),
    (fcgi.AUTHORIZER, "/check", "/amp/deep/x", "deep", False),
    (fcgi.AUTHORIZER, "/amp/deep", "/amp/x", "none", False),
    (fcgi.AUTHORIZER, "/amp/deep", "/elsewhere", None, False),
    (fcgi.AUTHORIZER, "/amp/deep", None, "deep", False),
]


class TestMixed:
    """SPEC 1.7: each endpoint is asked for by its own kind of path."""

    whole = """\
[policy]
origins = https://emailclient.example
[endpoint none]
path = /amp
handler = none
senders = none@company.example
[endpoint deep]
path = /amp/deep
exec = {handler}
senders = deep@company.example
[endpoint deepest]
path = /amp/deep/none
handler = none
senders = deepest@company.example
"""

    @pytest.mark.parametrize("role, script, uri, expected, runs", MIXED)
    def test_endpoint(self, server, role, script, uri, expected, runs):
        found = []
        ran = server.ran()
        for name in ("none", "deep", "deepest"):
            answer = decide(server, authorizer(
                uri, sender=f"{name}@company.example", script=script), role)
            if answer.status == 200:
                found.append(name)
                assert answer.body == (echo(b"") if runs else b"")
        assert found == ([expected] if expected else [])
        assert server.ran() == ran + runs


class TestNone:
    """SPEC 4.1: `handler = none` in FastCGI and in plain CGI."""

    policy = "senders = {sender}"

    @pytest.fixture(scope="class", autouse=True)
    def usual(self, shared):
        """In the place of the usual handler."""
        usual = dict(shared.usual, handler="none")
        del usual["exec"]
        shared.usual = usual

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
    def test_allowed(self, way, method):
        body = b"x" * 70000 if method == "POST" else None
        answer = way.ask(method=method, body=body, REQUEST_URI="/amp/x")
        assert_allowed(answer, V2, fcgi.RESPONDER)
        assert answer.exit == 0

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    def test_refused(self, way, method):
        body = b"x" * 70000 if method == "POST" else None
        answer = way.ask(method=method, body=body, sender="a@b.example",
                         REQUEST_URI="/amp/x")
        assert answer.status == 403 and ours(answer.headers) == []
        if method == "HEAD":
            assert answer.body == b""
        else:
            assert answer.reason() == "sender-not-allowed"

    def test_preflight(self, way):
        answer = way.ask(**PREFLIGHT, REQUEST_URI="/amp/x")
        assert answer.status == 403  # the default of origins is another
        answer = way.ask(**{**PREFLIGHT, "origin": "https://mail.google.com"},
                         REQUEST_URI="/amp/x")
        assert answer.status == 204

    def test_no_uri(self, way):
        assert_allowed(way.ask(), V2, fcgi.RESPONDER)


class TestNoneBody:
    """No body is waited for, and the next request is in step."""

    whole = TABLE.replace("{policy}", "handler = none")

    @pytest.mark.parametrize("length", ["5", "70000", "-1", None])
    @pytest.mark.parametrize("sender", [SENDER, "a@b.example"])
    def test_late(self, server, length, sender):
        """The answer is there before a byte of the body."""
        body = b"x" * (70000 if length == "70000" else 5)
        items = authorizer("/amp/x", method="POST", sender=sender,
                           CONTENT_LENGTH=length)
        with server.connect() as client:
            for _ in range(3):
                client.send(head(items, fcgi.RESPONDER, fcgi.KEEP))
                answer = of_fcgi(client.answer())
                assert answer.status == (200 if sender == SENDER else 403)
                client.send(fcgi.stream(fcgi.STDIN, body))
            client.send(head(authorizer(**V1), fcgi.RESPONDER)
                        + fcgi.record(fcgi.STDIN))
            assert_allowed(of_fcgi(client.answer()), version1(),
                           fcgi.RESPONDER)

    def test_length_without_a_body(self, server):
        """nginx's subrequest has the length of the request around it."""
        with server.connect() as client:
            for _ in range(3):
                client.send(head(authorizer(method="POST",
                                            CONTENT_LENGTH="8388608"),
                                 fcgi.RESPONDER, fcgi.KEEP)
                            + fcgi.record(fcgi.STDIN))
                assert_allowed(of_fcgi(client.answer()), V2, fcgi.RESPONDER)

    def test_roles_take_turns(self, server):
        """Variable-… never leaves in the Responder role."""
        with server.connect() as client:
            for role in (fcgi.RESPONDER, fcgi.AUTHORIZER) * 3:
                client.send(head(authorizer(), role, fcgi.KEEP)
                            + fcgi.record(fcgi.STDIN))
                assert_allowed(of_fcgi(client.answer()), V2, role)
