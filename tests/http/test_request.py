"""What a request says: E1 to E16, SPEC 1 and 4.2."""

import pytest

import fcgi
from kit import (LIBC_SIGNALS, ORIGIN, SENDER, V2, echo, of_fcgi, ours,
                 variables, version1)

SOURCE = "__amp_source_origin="
EVIL = "evil@evil.example"

# name: the request, more variables, status, reason (None: the handler's)
REPEATS = {
    "sender": ({}, [("HTTP_AMP_EMAIL_SENDER", SENDER)], 403),
    "sender-other": ({}, [("HTTP_AMP_EMAIL_SENDER", EVIL)], 403),
    "sender-empty": ({}, [("HTTP_AMP_EMAIL_SENDER", "")], 403),
    "sender-both-empty": (
        {"sender": ""}, [("HTTP_AMP_EMAIL_SENDER", "")], 403),
    "origin": ({"origin": ORIGIN}, [("HTTP_ORIGIN", ORIGIN)], 403),
    "origin-empty": ({"origin": ORIGIN}, [("HTTP_ORIGIN", "")], 403),
    "want-method": (
        {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"},
        [("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "GET")], 403),
    "want-headers": (
        {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "a"},
        [("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "a")], 403),
    "method": ({}, [("REQUEST_METHOD", "GET")], 200),
    "method-other": ({}, [("REQUEST_METHOD", "POST")], 403),
    "query": ({"query": "a=b"}, [("QUERY_STRING", "a=b")], 200),
    "query-other": ({"query": "a=b"}, [("QUERY_STRING", "a=c")], 403),
    "query-empty": ({"query": "a=b"}, [("QUERY_STRING", "")], 403),
    "script": ({}, [("SCRIPT_NAME", "/amp")], 200),
    "script-other": ({}, [("SCRIPT_NAME", "/other")], 403),
    "path": ({}, [("PATH_INFO", "/echo")], 200),
    "path-other": ({}, [("PATH_INFO", "/env")], 403),
    "length": ({"method": "POST", "body": b"abc"},
               [("CONTENT_LENGTH", "3")], 200),
    "length-empty": ({"method": "POST", "body": b"abc"},
                     [("CONTENT_LENGTH", "")], 200),
    "length-other": ({"method": "POST", "body": b"abc"},
                     [("CONTENT_LENGTH", "2")], 400),
    "file-other": ({"SCRIPT_FILENAME": "/a"}, [("SCRIPT_FILENAME", "/b")],
                   400),
    "any": ({"HTTP_ACCEPT": "x"}, [("HTTP_ACCEPT", "x")], 200),
    "any-empty": ({"HTTP_ACCEPT": "x"}, [("HTTP_ACCEPT", "")], 200),
    "any-empty-first": ({"HTTP_ACCEPT": ""}, [("HTTP_ACCEPT", "x")], 200),
    "any-other": ({"HTTP_ACCEPT": "x"}, [("HTTP_ACCEPT", "y")], 400),
}

# name: the request, reason, or None and the CORS fields
DECISIONS = {
    "blanks": ({"sender": f" \t{SENDER} "}, None, V2),
    "blank-sender": (
        {"sender": "  ", "origin": ORIGIN, "query": SOURCE + SENDER},
        None, version1()),
    "empty-sender": (
        {"sender": "", "origin": ORIGIN, "query": SOURCE + SENDER},
        None, version1()),
    "empty-both": ({"sender": "", "origin": ""}, "no-amp-headers", []),
    "empty-origin": ({"origin": ""}, None, V2),
    "control": ({"sender": "a\x01b@company.example"}, "bad-byte", []),
    "del": ({"sender": "a\x7fb@company.example"}, "bad-byte", []),
    "high": ({"sender": "\xe4b@company.example"}, "bad-byte", []),
    "line-feed": ({"sender": SENDER + "\nX-Evil: 1"}, "bad-byte", []),
    "return": ({"sender": SENDER + "\r\nX-Evil: 1"}, "bad-byte", []),
    "tab-inside": ({"sender": "a\tb@company.example"}, "bad-byte", []),
    "origin-control": ({"sender": None, "origin": ORIGIN + "\n",
                        "query": SOURCE + SENDER}, "bad-byte", []),
    "origin-not-asked": ({"origin": ORIGIN + "\x01"}, "bad-byte", []),
    "repeated-not-asked": (
        {"query": f"{SOURCE}{SENDER}&{SOURCE}{EVIL}"}, None, V2),
    "display-name": ({"sender": f"A <{SENDER}>"}, "bad-address", []),
    "two": ({"sender": f"{SENDER},{SENDER}"}, "bad-address", []),
    "long": ({"sender": "a" * 65 + "@company.example"}, "bad-address", []),
}

# name: the query, reason, or None and the source origin that is echoed
QUERIES = {
    "plain": (SOURCE + SENDER, None, SENDER),
    "encoded": (SOURCE + "sender%40company.example", None, SENDER),
    "encoded-name": ("%5f%5Famp_source_origin=" + SENDER, None, SENDER),
    "plus": (SOURCE + "a+b@company.example", None, "a+b@company.example"),
    "plus-encoded": (
        SOURCE + "a%2Bb@company.example", None, "a+b@company.example"),
    "among-others": ("a&b=%zz&" + SOURCE + SENDER + "&=&c", None, SENDER),
    "twice": (f"{SOURCE}{SENDER}&{SOURCE}{SENDER}",
              "source-origin-repeated", None),
    "twin": (f"{SOURCE}{SENDER}&%5F_amp_source_origin={EVIL}",
             "source-origin-repeated", None),
    "empty": (SOURCE, "source-origin-missing", None),
    "no-value": ("__amp_source_origin", "source-origin-missing", None),
    "half": (SOURCE + "a%4", "bad-encoding", None),
    "no-hex": (SOURCE + "a%zz", "bad-encoding", None),
    "nul": (SOURCE + "a%00@company.example", "bad-encoding", None),
    "line-feed": (SOURCE + SENDER + "%0aX:1", "bad-byte", None),
    "return": (SOURCE + SENDER + "%0d%0aX:1", "bad-byte", None),
    "twice-encoded": (SOURCE + "sender%2540company.example",
                      "bad-address", None),
    "semicolon": (SOURCE + SENDER + ";a=b", "bad-address", None),
}

BAD_LENGTHS = ["+5", "5 ", " 5", "-2", "0x5", "5,5", "1e3",
               "99999999999999999999", "18446744073709551616"]


class TestDecisions:
    policy = "senders = {sender} a+b@company.example\norigins = " + ORIGIN

    @pytest.mark.parametrize("name", REPEATS)
    def test_repeated(self, way, name):
        """E1, E2"""
        request, extra, status = REPEATS[name]
        before = way.front.ran()
        answer = way.ask(extra=extra, **request)
        assert answer.status == status, answer
        if status == 200:
            assert ours(answer.headers) == V2
            assert answer.body == echo(request.get("body") or b"")
            return
        assert answer.reason() == (
            "variable-repeated" if status == 403 else "bad-request")
        assert ours(answer.headers) == []
        assert way.front.ran() == before

    @pytest.mark.parametrize("name", DECISIONS)
    def test_decision(self, way, name):
        """E3, E7"""
        request, reason, fields = DECISIONS[name]
        before = way.front.ran()
        answer = way.ask(**request)
        assert ours(answer.headers) == fields, answer
        if reason is None:
            assert answer.status == 200
        else:
            assert (answer.status, answer.reason()) == (403, reason)
            assert way.front.ran() == before

    @pytest.mark.parametrize("name", QUERIES)
    def test_query(self, way, name):
        """E5"""
        query, reason, source = QUERIES[name]
        before = way.front.ran()
        answer = way.ask(sender=None, origin=ORIGIN, query=query)
        if reason is None:
            assert answer.status == 200, answer
            assert ours(answer.headers) == version1(source=source)
        else:
            assert (answer.status, answer.reason()) == (403, reason)
            assert ours(answer.headers) == []
            assert way.front.ran() == before

    def test_body_parameter_decides_nothing(self, way):
        answer = way.ask(method="POST", sender=None, origin=ORIGIN,
                         body=(SOURCE + SENDER).encode())
        assert answer.reason() == "source-origin-missing"

    def test_request_uri_decides_nothing(self, way):
        """E6: but for handler = none, which is not here yet."""
        answer = way.ask(sender=None, origin=ORIGIN,
                         REQUEST_URI="/amp?" + SOURCE + SENDER)
        assert answer.reason() == "source-origin-missing"

    @pytest.mark.parametrize("value", BAD_LENGTHS)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_bad_length(self, way, method, value):
        """E11"""
        before = way.front.ran()
        answer = way.ask(method=method, CONTENT_LENGTH=value)
        assert (answer.status, answer.reason()) == (400, "bad-request")
        assert way.front.ran() == before

    @pytest.mark.parametrize("value", ["", "0"])
    def test_empty_length(self, way, value):
        answer = way.ask(CONTENT_LENGTH=value, CONTENT_TYPE="")
        assert answer.status == 200 and answer.body == echo(b"")

    def test_no_method(self, way):
        """E9"""
        before = way.front.ran()
        for method in (None, ""):
            answer = way.ask(method=method)
            assert (answer.status, answer.reason()) == (400, "bad-request")
        assert way.front.ran() == before

    def test_vary(self, way):
        """SPEC 2.9: refusals too."""
        for request in ({}, {"sender": EVIL}, {"path": "/die/1"}):
            names = way.ask(**request).one("Vary").lower().split(", ")
            assert sorted(names) == ["amp-email-sender", "origin"]

    def test_options_without_preflight(self, way):
        """SPEC 2.2: an ordinary request."""
        answer = way.ask(method="OPTIONS")
        assert answer.status == 200 and ours(answer.headers) == V2
        answer = way.ask(method="OPTIONS", sender=None, origin=ORIGIN,
                         query=SOURCE + SENDER)
        assert answer.status == 200 and ours(answer.headers) == version1()


DROPPED = {
    "HTTP_PROXY": "http://evil.example",
    "HTTP_CONTENT_LENGTH": "77", "HTTP_CONTENT_TYPE": "x/y",
    "HTTP_CONNECTION": "close", "HTTP_KEEP_ALIVE": "1",
    "HTTP_PROXY_CONNECTION": "close", "HTTP_TE": "trailers",
    "HTTP_TRAILER": "X", "HTTP_UPGRADE": "h2c",
    "HTTP_AUTHORIZATION": "Basic eDp5", "FCGI_ROLE": "RESPONDER",
}


class TestVariables:
    """What the handler gets [SPEC 4.2]."""

    policy = "environment = FROM_FRONT LC_ALL\nbrowser_origins = " \
             "https://browser.example\norigins = " + ORIGIN

    def test_dropped(self, way):
        """E10, E15, E16"""
        got = way.ask(path="/env", HTTP_ACCEPT="a/b", **DROPPED).variables()
        assert set(got) & set(DROPPED) == set()
        assert got["HTTP_ACCEPT"] == "a/b"

    def test_kept(self, way):
        answer = way.ask(method="POST", path="/env", query="a=b&c", body=b"x",
                         HTTP_COOKIE="k=v; l", SOME_SETTING="1", lower="2")
        got = answer.variables()
        expected = dict(variables("POST", "/env", "a=b&c", body=b"x"))
        expected.update(HTTP_COOKIE="k=v; l", SOME_SETTING="1", lower="2")
        assert {k: got.get(k) for k in expected} == expected
        assert got["PATH"]

    def test_transfer_encoding(self, way):
        """E15: the body has its length by then."""
        answer = way.ask(method="POST", path="/env", send=b"abc",
                         HTTP_TRANSFER_ENCODING="chunked")
        got = answer.variables()
        assert "HTTP_TRANSFER_ENCODING" not in got
        assert got["CONTENT_LENGTH"] == "3"

    def test_verified(self, way):
        forged = {"AMP_CORS_VERSION": "9", "AMP_CORS_SENDER": EVIL,
                  "AMP_CORS_ORIGIN": "https://evil.example"}
        got = way.ask(path="/env", origin="https://evil.example",
                      **forged).variables()
        assert got["AMP_CORS_VERSION"] == "2"
        assert got["AMP_CORS_SENDER"] == SENDER
        assert "AMP_CORS_ORIGIN" not in got
        got = way.ask(path="/env", sender=None, origin=ORIGIN,
                      query=SOURCE + SENDER, **forged).variables()
        assert got["AMP_CORS_VERSION"] == "1"
        assert got["AMP_CORS_SENDER"] == SENDER
        assert got["AMP_CORS_ORIGIN"] == ORIGIN
        got = way.ask(path="/env", origin="https://browser.example",
                      **forged).variables()
        assert got["AMP_CORS_ORIGIN"] == "https://browser.example"

    @pytest.mark.parametrize("name", ["BAD NAME", "A\tB", "A\x01B", ""])
    def test_bad_name(self, way, name):
        """E8"""
        answer = way.ask(path="/env", extra=[(name, "evil")])
        assert answer.status == 200
        assert "evil" not in answer.variables().values()

    def test_folder(self, way):
        answer = way.ask(path="/env")
        assert answer.cwd() == str(way.front.path)
        assert answer.arguments() == [str(way.front.handler)]

    def test_descriptors(self, way):
        """E72: also beside other requests."""
        assert way.ask(path="/fds").body.split() == [b"0", b"1", b"2"]
        answer = way.ask(method="POST", path="/fds", body=b"abc")
        assert answer.body.split() == [b"0", b"1", b"2"]

    def test_signals(self, way):
        """E73"""
        lines = way.ask(path="/signals").body.decode().split("\n")
        got = dict(line.split(":\t") for line in lines if ":\t" in line)
        for mask in ("SigPnd", "SigBlk", "SigIgn", "SigCgt"):
            assert int(got[mask], 16) & ~LIBC_SIGNALS == 0, (mask, got)
        assert "Group: own" in lines


class TestFrontsOwn:
    def test_fastcgi_names_what_passes(self, front):
        front.configure("environment = FROM_FRONT")
        front.start(env={"FROM_FRONT": "1", "SECRET": "2",
                         "HTTP_COOKIE": "3"})
        got = front.ask(path="/env").variables()
        assert got["FROM_FRONT"] == "1"
        assert "SECRET" not in got and "HTTP_COOKIE" not in got

    def test_request_comes_before_environment(self, front):
        front.configure("environment = FROM_FRONT")
        front.start(env={"FROM_FRONT": "1"})
        got = front.ask(path="/env", FROM_FRONT="request").variables()
        assert got["FROM_FRONT"] == "request"

    def test_cgi_passes_all(self, front):
        got = front.cgi(path="/env", SECRET="2").variables()
        assert got["SECRET"] == "2"

    @pytest.mark.parametrize("kind", ["cgi", "fastcgi"])
    def test_pass_authorization(self, front, kind):
        front.configure("pass_authorization = yes")
        ask = front.cgi if kind == "cgi" else front.start().ask
        got = ask(path="/env", HTTP_AUTHORIZATION="Basic eDp5").variables()
        assert got["HTTP_AUTHORIZATION"] == "Basic eDp5"


class TestRawParameters:
    """What only FastCGI can say."""

    def test_no_parameters(self, shared):
        """E9"""
        shared.restart()
        with shared.connect() as client:
            client.send(fcgi.begin() + fcgi.record(fcgi.PARAMS)
                        + fcgi.record(fcgi.STDIN))
            answer = of_fcgi(client.answer())
        assert (answer.status, answer.reason()) == (400, "bad-request")
        assert shared.ran() == 0

    @pytest.mark.parametrize("name", [b"EVIL=X", b"=", b"HTTP_ORIGIN=x"])
    def test_equals_in_a_name(self, shared, name):
        """E8"""
        shared.restart()
        with shared.connect() as client:
            client.request(variables(path="/env") + [(name, b"yy")])
            got = client.answer()
        if got.closed:
            return
        values = of_fcgi(got).variables()
        assert not [v for v in values.values() if "yy" in v]

    @pytest.mark.parametrize("item", [
        (b"EVIL\0X", b"yy"), (b"\0", b"yy"), (b"HTTP_X", b"yy\0zz")])
    def test_nul(self, shared, item):
        """E8: nothing behind it is ever seen; the rest is in order."""
        shared.restart()
        with shared.connect() as client:
            client.request(variables(path="/env") + [item])
            got = client.answer()
        if not got.closed:
            assert b"zz" not in got.out
            assert "EVIL" not in of_fcgi(got).variables()
        assert shared.ask().status == 200

    def test_nul_in_the_sender(self, shared):
        """SPEC 1.4: what stands behind it is gone, and never decides."""
        shared.restart()
        with shared.connect() as client:
            client.request(variables(sender=None) + [
                (b"HTTP_AMP_EMAIL_SENDER", EVIL.encode() + b"\0"
                 + SENDER.encode())])
            got = client.answer()
        assert got.closed or of_fcgi(got).status == 403
