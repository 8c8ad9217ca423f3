"""The handler's output: E41 to E73, SPEC 4.4 to 4.9."""

import os
import time

import pytest

import fcgi
from kit import (SENDER, V2, children, finish, left, of_fcgi, ours, until,
                 variables)

ORIGIN = "https://mail.google.com"  # the default of origins
V1 = {"sender": None, "origin": ORIGIN,
      "query": f"__amp_source_origin={SENDER}"}
TEXT = b"Content-Type: text/plain\n"
T = ("Content-Type", "text/plain")

# name: the handler's bytes; status line, its header fields, body
GOOD = {
    "lf": (TEXT + b"\nbody", "200 OK", [T], b"body"),
    "crlf": (b"Content-Type: text/plain\r\nA: b\r\n\r\nbody", "200 OK",
             [T, ("A", "b")], b"body"),
    "mixed": (TEXT + b"A: b\r\nC: d\n\r\nbody", "200 OK",
              [T, ("A", "b"), ("C", "d")], b"body"),
    "mixed-other": (b"A: b\r\n" + TEXT + b"\nbody", "200 OK",
                    [("A", "b"), T], b"body"),
    "body-looks-like-header": (TEXT + b"\nA: b\n\nC", "200 OK", [T],
                               b"A: b\n\nC"),
    "body-begins-with-line": (TEXT + b"\n\n\r\n", "200 OK", [T], b"\n\r\n"),
    "binary": (TEXT + b"\n\0\xff\r\n", "200 OK", [T], b"\0\xff\r\n"),
    "no-space": (b"Content-Type:text/plain\n\n", "200 OK", [T], b""),
    "more-space": (b"Content-Type: \t text/plain \t\n\n", "200 OK", [T], b""),
    "empty-value": (TEXT + b"A:\n\n", "200 OK", [T, ("A", "")], b""),
    "colons": (TEXT + b"A: b:c: d\n\n", "200 OK", [T, ("A", "b:c: d")], b""),
    "tab-inside": (TEXT + b"A: b\tc\n\n", "200 OK", [T, ("A", "b\tc")], b""),
    "high-bytes": (TEXT + b"A: \xc3\xa4\xff\n\n", "200 OK",
                   [T, ("A", "\xc3\xa4\xff")], b""),
    "repeated": (TEXT + b"Set-Cookie: a\nSet-Cookie: b\n\n", "200 OK",
                 [T, ("Set-Cookie", "a"), ("Set-Cookie", "b")], b""),
    # E46, E53
    "status": (b"Status: 404\n" + TEXT + b"\n", "404 Not Found", [T], b""),
    "status-phrase": (b"Status: 404 Nope\n" + TEXT + b"\n", None, [T], b""),
    "status-blank": (b"Status: 404 \n" + TEXT + b"\n", "404 Not Found", [T],
                     b""),
    "status-last": (TEXT + b"status: 201\n\n", "201 Created", [T], b""),
    "status-599": (b"Status: 599\n" + TEXT + b"\n", None, [T], b""),
    "nph": (b"HTTP/1.1 201 Created\r\n" + TEXT + b"\n", "201 Created", [T],
            b""),
    "nph-1.0": (b"HTTP/1.0 404 Not Found\n" + TEXT + b"\n", "404 Not Found",
                [T], b""),
    # E57, E61, E63, E64
    "no-type": (b"A: b\n\nbody", "200 OK", [("A", "b")], b"body"),
    "length": (TEXT + b"Content-Length: 4\n\nbody", "200 OK",
               [T, ("Content-Length", "4")], b"body"),
    "length-twice": (TEXT + b"Content-Length: 4\nContent-Length: 4\n\nbody",
                     "200 OK", [T, ("Content-Length", "4")], b"body"),
    "length-cut": (TEXT + b"Content-Length: 2\n\nbody", "200 OK",
                   [T, ("Content-Length", "2")], b"bo"),
    "length-none": (TEXT + b"Content-Length: 0\n\nbody", "200 OK",
                    [T, ("Content-Length", "0")], b""),
    "hop-by-hop": (TEXT + b"Connection: close, X-Hop\nX-Hop: 1\nKeep-Alive: 5"
                   b"\nProxy-Connection: a\nTE: b\nTrailer: c\nUpgrade: d\n"
                   b"Date: e\nServer: f\n\n", "200 OK",
                   [T, ("Date", "e"), ("Server", "f")], b""),
    "variable": (TEXT + b"Variable-X: 1\nA: b\n\n", "200 OK",
                 [T, ("A", "b")], b""),
    "204": (b"Status: 204\nA: b\n\nbody", "204 No Content", [("A", "b")],
            b""),
    "304": (b"Status: 304\nA: b\n\nbody", "304 Not Modified", [("A", "b")],
            b""),
    # E58
    "ours": (TEXT + b"amp-email-allow-sender: *\nAMP-Email-Allow-Sender: x\n"
             b"Access-Control-Allow-Origin: *\n"
             b"ACCESS-CONTROL-ALLOW-CREDENTIALS: true\n"
             b"AMP-Access-Control-Allow-Source-Origin: *\n"
             b"Access-Control-Whatever: 1\nAMP-Redirect-To: https://x/\n"
             b"Access-Control-Expose-Headers: X-A\nA: b\n\n", "200 OK",
             [T, ("A", "b")], b""),
    # E60: not a redirect
    "location-201": (b"Status: 201\nLocation: https://a.example/\n\n",
                     "201 Created", [("Location", "https://a.example/")],
                     b""),
    "location-404": (b"Status: 404\nLocation: /x\n\n", "404 Not Found",
                     [("Location", "/x")], b""),
    # E65
    "many": (TEXT + b"".join(b"X-%d: %s\n" % (i, b"v" * 200)
                             for i in range(200)) + b"\n", "200 OK",
             [T] + [(f"X-{i}", "v" * 200) for i in range(200)], b""),
    "long-line": (TEXT + b"A: " + b"v" * 9000 + b"\n\n", "200 OK",
                  [T, ("A", "v" * 9000)], b""),
    "long-block": (TEXT + b"A: " + b"v" * 60000 + b"\n\n", "200 OK",
                   [T, ("A", "v" * 60000)], b""),
}

BAD = {
    "bare-cr": TEXT + b"A: b\rC: d\n\n",                       # E42
    "bare-cr-end": b"Content-Type: text/plain\r\r\n\n",
    "nul": TEXT + b"A: b\0c\n\n",                              # E43
    "control": TEXT + b"A: b\x01c\n\n",
    "del": TEXT + b"A: b\x7fc\n\n",
    "escape": TEXT + b"A: \x1b[0m\n\n",
    "folded": TEXT + b"A: b\n c\n\n",                          # E44
    "folded-tab": TEXT + b"A: b\n\tc\n\n",
    "folded-first": b" A: b\n\n",
    "no-colon": TEXT + b"A b\n\n",                             # E45
    "space-colon": TEXT + b"A : b\n\n",
    "space-name": TEXT + b"A B: c\n\n",
    "no-name": TEXT + b": c\n\n",
    "high-name": TEXT + b"\xc3\xa4: c\n\n",
    "text": b"Hello\n",                                        # E47
    "text-block": b"Hello\n\nworld\n",
    "html": b"<html>\n<body>\n\n</html>",
    "newline": b"\n" + TEXT + b"\n",                           # E48
    "crlf": b"\r\n" + TEXT + b"\n",
    "no-blank-line": TEXT,                                     # E49
    "no-line-end": b"Content-Type: text/plain",
    "half-blank-line": TEXT + b"\r",
    "nothing": b"",                                            # E50
    "status-word": b"Status: abc\n\n",                         # E54
    "status-99": b"Status: 99\n\n",
    "status-1000": b"Status: 1000\n\n",
    "status-negative": b"Status: -1\n\n",
    "status-glued": b"Status: 200OK\n\n",
    "status-empty": b"Status:\n" + TEXT + b"\n",
    "status-600": b"Status: 600\n\n",
    "two-status": b"Status: 200\nStatus: 200\n" + TEXT + b"\n",  # E55
    "two-types": TEXT + TEXT + b"\n",
    "two-locations": b"Status: 201\nLocation: /a\nLocation: /a\n\n",
    "status-100": b"Status: 100\n\n",                          # E56
    "status-103": b"Status: 103 Early Hints\nLink: </a>\n\n" + TEXT + b"\n",
    "nph-bad": b"HTTP/1.1 abc\n" + TEXT + b"\n",
    "nph-twice": b"HTTP/1.1 200 OK\nStatus: 200\n" + TEXT + b"\n",
    "lengths": TEXT + b"Content-Length: 4\nContent-Length: 5\n\nbody",  # E61
    "length-sign": TEXT + b"Content-Length: +4\n\nbody",
    "length-list": TEXT + b"Content-Length: 4, 4\n\nbody",
    "length-huge": TEXT + b"Content-Length: 99999999999999999999\n\nbody",
    "chunked": TEXT + b"Transfer-Encoding: chunked\n\n0\r\n\r\n",  # E62
    "block-too-long": TEXT + b"A: " + b"v" * 70000 + b"\n\n",  # E65
    "fields-too-many": TEXT + b"A: b\n" * 300 + b"\n",
    "endless-line": b"v" * 100000,
}

# name: the handler's bytes, and as what it passes with redirects = pass
REDIRECTS = {
    "local": (b"Location: /x\n\n", None),
    "local-302": (b"Status: 302\nLocation: /x\n\n", None),
    "network": (b"Location: //evil.example/x\n\n", None),
    "absolute": (b"Location: https://a.example/\n\n", "302 Found"),
    "301": (b"Status: 301\nLocation: https://a.example/\n\n",
            "301 Moved Permanently"),
    "303": (b"Status: 303\nLocation: https://a.example/\n\n",
            "303 See Other"),
    "308": (b"Status: 308\nLocation: https://a.example/\n\n",
            "308 Permanent Redirect"),
    "300": (b"Status: 300\nLocation: https://a.example/\n\n",
            "300 Multiple Choices"),
}


def theirs(answer):
    """The handler's fields: without Vary, and without ours."""
    mine = [n for n, _ in ours(answer.headers)] + ["Vary"]
    return [(n, v) for n, v in answer.headers if n not in mine]


def paths(raw):
    """E66: whole, and in writes of one byte."""
    return ["/raw/raw"] + (["/bytes/raw"] if len(raw) < 1000 else [])


class TestHead:
    @pytest.mark.parametrize("name", GOOD)
    def test_good(self, way, name):
        raw, status, headers, body = GOOD[name]
        way.front.put("raw", raw)
        for path in paths(raw):
            answer = way.ask(path=path)
            if status is None:
                assert answer.status_line[:3].encode() in raw
            else:
                assert answer.status_line == status, answer
            assert theirs(answer) == headers
            assert answer.body == body
            assert ours(answer.headers) == V2
            assert not answer.broken and answer.exit == 0

    @pytest.mark.parametrize("name", BAD)
    def test_bad(self, way, name):
        raw = BAD[name]
        way.front.put("raw", raw)
        for path in paths(raw):
            answer = way.ask(path=path)
            assert (answer.status, answer.reason()) == (
                502, "handler-bad-answer"), answer
            assert ours(answer.headers) == V2
            assert [n for n, _ in theirs(answer)
                    if n not in ("Content-Type", "Cache-Control",
                                 "Content-Length")] == []

    @pytest.mark.parametrize("name", REDIRECTS)
    def test_redirect(self, way, name):
        """E59, E60"""
        way.front.put("raw", REDIRECTS[name][0])
        answer = way.ask(path="/raw/raw")
        assert (answer.status, answer.reason()) == (502, "handler-redirect")
        assert ours(answer.headers) == V2
        assert not answer.all("Location")

    @pytest.mark.parametrize("name", ["length", "nph", "status", "binary"])
    def test_head(self, way, name):
        """E64"""
        raw, status, headers, _ = GOOD[name]
        way.front.put("raw", raw)
        answer = way.ask(method="HEAD", path="/raw/raw")
        assert answer.status_line == status
        assert theirs(answer) == headers
        assert answer.body == b"" and not answer.broken

    def test_head_of_ours(self, way):
        answer = way.ask(method="HEAD", path="/die/0")
        assert answer.status == 502 and answer.body == b""
        assert ours(answer.headers) == V2

    @pytest.mark.parametrize("value, expected", [
        ("Accept", {"origin", "amp-email-sender", "accept"}),
        ("origin, ORIGIN , Accept", {"origin", "amp-email-sender", "accept"}),
        ("amp-email-sender\nVary: X", {"origin", "amp-email-sender", "x"}),
    ])
    def test_vary(self, way, value, expected):
        way.front.put("raw", TEXT + b"Vary: " + value.encode() + b"\n\n")
        names = way.ask(path="/raw/raw").one("Vary").lower().split(", ")
        assert len(names) == len(set(names)) and set(names) == expected

    def test_vary_star(self, way):
        way.front.put("raw", TEXT + b"Vary: *\n\n")
        assert "*" in way.ask(path="/raw/raw").one("Vary")

    def test_expose(self, way):
        way.front.put("raw", TEXT + b"Access-Control-Expose-Headers: X-A, *,"
                      b" amp-email-allow-sender\n"
                      b"access-control-expose-headers: X-B,x-a\n\n")
        answer = way.ask(path="/raw/raw", **V1)
        names = answer.one("Access-Control-Expose-Headers").split(", ")
        assert [n.lower() for n in names] == [
            "amp-access-control-allow-source-origin", "x-a", "x-b"]

    def test_owner_of_each_field_in_version_1(self, way):
        way.front.put("raw", GOOD["ours"][0])
        answer = way.ask(path="/raw/raw", **V1)
        fields = dict(ours(answer.headers))
        assert len(fields) == len(ours(answer.headers)) == 3
        assert fields["Access-Control-Allow-Origin"] == ORIGIN
        assert fields["AMP-Access-Control-Allow-Source-Origin"] == SENDER


class TestRedirectsPass:
    policy = "redirects = pass"

    @pytest.mark.parametrize("name", REDIRECTS)
    def test_redirect(self, way, name):
        """E60"""
        raw, status = REDIRECTS[name]
        way.front.put("raw", raw)
        answer = way.ask(path="/raw/raw")
        assert ours(answer.headers) == V2
        if status is None:
            assert (answer.status, answer.reason()) == (
                502, "handler-redirect")
        else:
            assert answer.status_line == status
            assert answer.one("Location") == "https://a.example/"


class TestMaxHeader:
    policy = "max_header = 1K"

    def test_limit(self, way):
        way.front.put("raw", TEXT + b"A: " + b"v" * 900 + b"\n\n")
        assert way.ask(path="/raw/raw").status == 200
        way.front.put("raw", TEXT + b"A: " + b"v" * 1100 + b"\n\n")
        assert way.ask(path="/raw/raw").reason() == "handler-bad-answer"


class TestEnd:
    @pytest.mark.parametrize("path, reason", [
        ("/die/0", "handler-bad-answer"), ("/die/3", "handler-died"),
        ("/die/70", "handler-died"), ("/kill/9", "handler-died"),
        ("/kill/15", "handler-died"), ("/half-head/11", "handler-died"),
    ])
    def test_no_answer(self, way, path, reason):
        """E49, E50"""
        answer = way.ask(path=path)
        assert (answer.status, answer.reason()) == (502, reason)
        assert ours(answer.headers) == V2
        assert not answer.broken

    def test_answer_and_exit_status(self, way):
        """E51"""
        answer = way.ask(path="/exit/7")
        assert answer.status == 200 and not answer.broken
        assert answer.exit == (7 if way.name == "fastcgi" else 0)

    def test_ends_early_in_order(self, way):
        """Nothing tells that this answer was to be longer."""
        answer = way.ask(path="/half-exit/1")
        assert not answer.broken and answer.body == b"h" * 1000

    @pytest.mark.parametrize("path", ["/half/9", "/half/11"])
    def test_killed_half_way(self, way, path):
        """E52: visibly, whatever the way in."""
        answer = way.ask(path=path)
        assert answer.broken
        assert answer.body == b"h" * 1000
        assert "handler-died" in way.log(answer)

    def test_shorter_than_declared(self, way):
        """E61"""
        way.front.put("raw", TEXT + b"Content-Length: 40\n\nbody")
        answer = way.ask(path="/raw/raw")
        assert answer.broken and answer.body == b"body"

    def test_stalls_half_way(self, way):
        """E75"""
        start = time.monotonic()
        answer = way.ask(path="/stall")
        assert answer.broken and answer.body == b"s" * 1000
        assert 1.5 < time.monotonic() - start < 5
        assert "handler-timeout" in way.log(answer)
        until(lambda: not left(way.front), "the handler's end")

    def test_large(self, way):
        assert way.ask(path="/body/20000000").body == b"b" * 20000000


class TestStreaming:
    """E67: a line is at the client long before the next one."""

    def apart(self, times):
        assert len(times) == 4
        assert all(b - a > 0.15 for a, b in zip(times, times[1:])), times

    def test_cgi(self, front):
        process = front.cgi_start(path="/slow/4")
        self.apart([time.monotonic() for line in process.stdout
                    if line == b"line\n"])
        process.communicate()

    def test_fastcgi(self, front):
        front.start()
        times = []
        with front.connect() as client:
            client.request(variables(path="/slow/4"))
            while (record := client.record())[0] != fcgi.END:
                if b"line\n" in record[2]:
                    times.append(time.monotonic())
        self.apart(times)


class TestErrorOutput:
    """E68"""

    def test_lines(self, way):
        answer = way.ask(path="/stderr/lines")
        assert answer.status == 200
        lines = answer.errors.splitlines()
        assert [line for line in lines if "first line" in line]
        assert [line for line in lines if "second line" in line]
        assert not [line for line in lines
                    if "first line" in line and "second line" in line]

    def test_bytes(self, way):
        answer = way.ask(path="/stderr/bytes")
        assert "bell" in answer.errors and "end" in answer.errors
        assert all(c == "\n" or " " <= c <= "~" for c in answer.errors)

    def test_flood(self, way):
        answer = way.ask(path="/stderr/flood")
        assert answer.status == 200 and answer.body == b'{"deaf":true}'
        assert 30000 < answer.errors.count("e") < 90000
        # and one line says how much was left out
        assert [line for line in answer.errors.splitlines()
                if "eeee" not in line and "left out" in line
                and any(c.isdigit() for c in line)]

    def test_after_standard_output(self, way):
        answer = way.ask(path="/stderr/late")
        assert answer.status == 200

    def test_names(self, way):
        """E69"""
        answer = way.ask(method="POST", path="/dev", body=b"abc")
        assert answer.status == 200
        assert "through the name" in answer.errors


class TestBackground:
    """A child that outlives the handler."""

    policy = "timeout = 10"

    @pytest.mark.parametrize("what, seconds", [
        ("none", 1), ("stderr", 1), ("stdout", 5)])
    def test_child(self, way, what, seconds):
        """E70, E71"""
        way.front.forget()
        start = time.monotonic()
        try:
            answer = way.ask(path=f"/background/{what}")
            took = time.monotonic() - start
            assert answer.status == 200 and not answer.broken
            assert answer.body == b'{"deaf":true}'
            assert took < seconds
            # SPEC 4.7: a normal end leaves it alive
            assert len(left(way.front)) == 1
        finally:
            finish(way.front)


class TestManyHandlers:
    def test_no_zombies(self, front):
        front.start()
        for path in ("/echo", "/die/3", "/kill/9", "/exit/7") * 5:
            front.ask(path=path)
        until(lambda: not children(front.child.pid), "children reaped", 2)

    def test_descriptors_beside_others(self, front):
        """E72: nothing of another request's leaks into a handler."""
        front.start()
        clients = [front.connect() for _ in range(6)]
        for client in clients:
            client.request(variables(path="/wait/400", method="POST",
                                     body=b"abc"), b"abc")
        until(lambda: front.ran() == 6, "six handlers")
        assert front.ask(path="/fds").body.split() == [b"0", b"1", b"2"]
        for client in clients:
            assert of_fcgi(client.answer()).status == 200
            client.close()

    def test_no_descriptor_is_lost(self, front):
        front.start()
        front.ask()
        folder = f"/proc/{front.child.pid}/fd"
        time.sleep(0.1)
        before = len(os.listdir(folder))
        for path in ("/echo", "/die/3", "/half/9", "/exit/7", "/deaf") * 4:
            front.ask(path=path)
            front.ask(sender="a@b.example")
        until(lambda: len(os.listdir(folder)) <= before, "descriptors", 2)
