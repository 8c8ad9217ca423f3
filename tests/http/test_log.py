"""One line a decision, which nothing from a request can forge: SPEC 7.1."""

import json
import re

import pytest

import fcgi
import servers
from kit import ORIGIN, SENDER, V2, ours, until, variables

LINE = re.compile(
    r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ ([0-9a-f]+) (\w+) (\d+) "
    r"([a-z-]+) (.*)")
FORGED = '" x\n2026-11-21T10:00:00.000Z 00000001 allow 200 ok \\'


def decisions(text):
    found = [LINE.match(line) for line in text.splitlines()]
    return [m for m in found if m]


def of(front, way, **request):
    """The log of one request."""
    if way == "cgi":
        return front.cgi(**request).errors
    front.restart()
    front.ask(**request)
    # the line is written when the answer is out
    try:
        until(lambda: decisions(front.log()) or
              '"decision"' in front.log(), "a line", 2)
    except AssertionError:
        pass
    return front.log()


CASES = {
    "allow-2": ({}, ("allow", "200", "ok"), {"version=2"}),
    "allow-1": ({"sender": None, "origin": "https://mail.google.com",
                 "query": "__amp_source_origin=" + SENDER},
                ("allow", "200", "ok"), {"version=1"}),
    "status": ({"path": "/status/422"}, ("allow", "422", "ok"), set()),
    "deny": ({"sender": "a@b.example"},
             ("deny", "403", "sender-not-allowed"), {"version=2"}),
    "neither": ({"sender": None}, ("deny", "403", "no-amp-headers"), set()),
    "preflight": ({"method": "OPTIONS", "sender": None,
                   "origin": "https://mail.google.com",
                   "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"},
                  ("preflight", "204", "preflight"), set()),
    "handler-died": ({"path": "/die/3"}, ("allow", "502", "handler-died"),
                     set()),
    "bad-answer": ({"path": "/die/0"}, ("allow", "502", "handler-bad-answer"),
                   set()),
    "bad-request": ({"CONTENT_LENGTH": "x"}, (None, "400", "bad-request"),
                    set()),
}


def objects(text):
    """The lines that are JSON; with log_format = json all of the front's."""
    return [json.loads(line) for line in text.splitlines()
            if line.startswith("{")]


@pytest.mark.parametrize("way", ["cgi", "fastcgi"])
class TestText:
    @pytest.mark.parametrize("name", CASES)
    def test_line(self, front, way, name):
        request, expected, words = CASES[name]
        text = of(front, way, **request)
        found = decisions(text)
        assert len(found) == 1, text
        got = found[0].groups()
        assert got[2:4] == expected[1:]
        assert expected[0] in (None, got[1])
        rest = got[4].split(" ")
        assert words <= set(rest), rest
        keys = {w.split("=")[0] for w in rest if "=" in w}
        assert {"version", "endpoint", "method"} <= keys, rest
        assert re.search(r"\bms=\d+", got[4])

    def test_sender_and_rule(self, front, way):
        text = of(front, way)
        assert SENDER in text
        assert f"{front.ini}:2" in text
        text = of(front, way, sender="evil@evil.example")
        assert "evil@evil.example" in text

    @pytest.mark.parametrize("field", [
        "sender", "origin", "method", "path", "query", "script"])
    def test_forged(self, front, way, field):
        text = of(front, way, **{field: FORGED})
        assert len(decisions(text)) == 1, text
        assert all(" " <= c <= "~" or c == "\n" for c in text)

    def test_forged_by_the_handler(self, front, way):
        front.put("raw", b"Content-Type: a\nX: \x01" + FORGED.encode()
                  + b"\n\n")
        text = of(front, way, path="/raw/raw")
        assert len(decisions(text)) == 1, text

    def test_why_the_handler_failed(self, front, way):
        """E50: its exit status or signal."""
        assert re.search(r"\b3\b", "".join(
            m[5] for m in decisions(of(front, way, path="/die/3"))))
        text = of(front, way, path="/kill/9")
        assert re.search(r"\b9\b|KILL", decisions(text)[0][5])

    @pytest.mark.parametrize("how, there, not_there", [
        ("full", ["sender@company.example"], []),
        ("domain", ["company.example"], ["sender@"]),
        ("none", [], ["sender@", "company.example"]),
    ])
    def test_log_senders(self, front, way, how, there, not_there):
        front.configure(server=f"log_senders = {how}")
        line = decisions(of(front, way))[0][5]
        assert all(word in line for word in there), line
        assert not [word for word in not_there if word in line], line

    def test_json(self, front, way):
        front.configure(server="log_format = json")
        for request in ({}, {"sender": FORGED}, {"method": FORGED},
                        {"origin": "\xe4\x01\x7f"}):
            text = of(front, way, **request)
            got, = [o for o in objects(text) if "decision" in o]
            assert got["decision"] in ("allow", "deny")
            assert {"status", "reason", "version", "endpoint", "method",
                    "sender"} <= set(got), got
        assert got["sender"] == SENDER

    def test_file(self, front, way):
        log = front.path / "log"
        front.configure(server=f"log = {log}")
        text = of(front, way)
        assert not decisions(text)
        until(lambda: log.exists() and len(
            decisions(log.read_text())) == 1, "the log file")
        assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line)
                   for line in log.read_text().splitlines())
        assert log.stat().st_mode & 0o7777 == 0o640

    def test_level(self, front, way):
        front.configure(server="log_level = error")
        assert not decisions(of(front, way))
        assert not decisions(of(front, way, sender="a@b.example"))


class TestTogether:
    def test_one_for_each_of_many(self, front):
        front.start()
        with front.connect() as client:
            for i in range(50):
                client.request(variables(sender=f"u{i}@b.example"),
                               flags=fcgi.KEEP)
                client.answer()
        until(lambda: len(decisions(front.log())) >= 50, "the lines")
        lines = decisions(front.log())
        assert len(lines) == 50
        assert len({m[1] for m in lines}) == 50

    def test_cgi_ids_differ(self, front):
        ids = {decisions(front.cgi().errors)[0][1] for _ in range(5)}
        assert len(ids) == 5

    def test_error_output_has_the_id(self, front):
        """E68: lines of one request can be found."""
        answer = front.cgi(path="/stderr/lines")
        id = decisions(answer.errors)[0][1]
        first = [li for li in answer.errors.splitlines()
                 if li.endswith("first line")]
        assert id in first[0]

    def test_broken_answer(self, front):
        front.start()
        front.ask(path="/half/9")
        until(lambda: "handler-died" in front.log(), "the line")

    def test_file_of_several_processes(self, front):
        """A line is one write: they do not mix."""
        log = front.path / "log"
        front.configure(server=f"log = {log}")
        running = [front.cgi_start() for _ in range(20)]
        for process in running:
            process.communicate()
        text = log.read_text()
        assert len(decisions(text)) == len(text.splitlines()) == 20

    def test_origin(self, front):
        text = front.cgi(sender=None, origin=ORIGIN,
                         query="__amp_source_origin=" + SENDER).errors
        assert ORIGIN in decisions(text)[0][5]


# what a request can say of itself, and the log repeats
BYTES = [chr(b) for b in range(1, 256)]
HOSTILE = ['"', "\\", '\\"', "\\u0022", '","decision":"allow', "\r\n{}",
           "\x80" * 200, '"' * 254, "\xed\xa0\x80", "\xff\xfe", "\t"]


class TestJson:
    """One object a line, whatever bytes come in."""

    @pytest.fixture
    def log(self, front):
        front.configure(server="log_format = json\nlog_level = info")
        front.start()
        return front

    def objects(self, front, n):
        """All decisions; and what the front says itself is JSON, too."""
        def lines():
            text = (front.path / "stderr").read_bytes().decode("ascii")
            return objects(text[:text.rfind("\n") + 1])

        def decided():
            return [o for o in lines() if "decision" in o]

        until(lambda: len(decided()) >= n, f"{n} lines")
        assert len(decided()) == n
        own = [o for o in lines() if "decision" not in o]
        assert all(o.keys() == {"time", "level", "message"} for o in own)
        assert any(o["message"].startswith("listening on ") for o in own)
        return decided()

    def ask(self, front, requests):
        with front.connect() as client:
            for request in requests:
                client.request(variables(**request), flags=fcgi.KEEP)
                assert client.answer().ended

    @pytest.mark.parametrize("field", ["sender", "origin", "method"])
    def test_any_byte(self, log, field):
        """Each byte is itself again, as the character of its number."""
        values = ["a%sb" % c for c in BYTES]
        self.ask(log, [{field: v} for v in values])
        got = self.objects(log, len(values))
        assert [o[field] for o in got] == values
        assert all(o["decision"] in ("allow", "deny") for o in got)

    def test_anything(self, log):
        requests = [{field: value} for value in HOSTILE
                    for field in ("sender", "origin", "method", "path",
                                  "query", "script")]
        self.ask(log, requests)
        got = self.objects(log, len(requests))
        assert len({o["id"] for o in got}) == len(got)
        keys = {tuple(k for k in o if k != "detail") for o in got}
        assert len(keys) == 1, keys

    def test_absent(self, log):
        """Nothing is null, and no word."""
        self.ask(log, [{"sender": None}, {"sender": "-"}, {"sender": "null"}])
        got = [o["sender"] for o in self.objects(log, 3)]
        assert got == [None, "-", "null"]

    def test_kinds(self, log):
        self.ask(log, [{}])
        got, = self.objects(log, 1)
        assert (got["decision"], got["status"], got["reason"]) == (
            "allow", 200, "ok")
        assert got["version"] == 2 and isinstance(got["ms"], int)
        assert got["rule"].endswith("amp-cors.ini:2")


class ReportSite(servers.NginxUnix):
    policy = "exec = {handler}\nmode = report"

    def before(self):
        self.front.put("raw", "Content-Type: text/plain\n"
                       "Access-Control-Allow-Origin: https://its.example\n"
                       "AMP-Email-Allow-Sender: its@own.example\n"
                       "Access-Control-Allow-Credentials: true\n"
                       "Vary: Accept\n\nits own")
        super().before()


ITS = [("AMP-Email-Allow-Sender", "its@own.example"),
       ("Access-Control-Allow-Credentials", "true"),
       ("Access-Control-Allow-Origin", "https://its.example")]


def said(site, decision):
    """The last decision of the log, once it is there."""
    def last():
        found = decisions(site.front.log())
        return found and found[-1].groups()[1:4] == decision

    decision = tuple(decision.split(" "))
    until(last, f"{decision} in the log")


class TestReport:
    """mode = report behind nginx [SPEC 2.8]."""

    way = ReportSite

    @pytest.mark.parametrize("fields, query, reason", [
        ([], "", "no-amp-headers"),
        ([("AMP-Email-Sender", "a@b.example")], "", "sender-not-allowed"),
        ([("AMP-Email-Sender", "no address")], "", "bad-address"),
        ([("Origin", "https://evil.example")], "", "origin-not-allowed"),
        ([("Origin", ORIGIN)], "", "source-origin-missing"),
        ([("Origin", ORIGIN)], "__amp_source_origin=%zz", "bad-encoding"),
        ([("Origin", ORIGIN)], "__amp_source_origin=a@b.example",
         "sender-not-allowed"),
    ])
    def test_let_through(self, site, fields, query, reason):
        """What would be refused reaches the handler, whose fields are its
        own; the log has what would have been."""
        ran = site.ran()
        answer = site.ask(path="/raw/raw", query=query, headers=fields)
        assert (answer.status, answer.body) == (200, b"its own")
        assert ours(answer.headers) == ITS
        assert answer.one("Vary") == "Origin, AMP-Email-Sender, Accept"
        assert site.ran() == ran + 1
        said(site, f"report 200 {reason}")

    def test_allowed(self, site):
        """… is as in enforce."""
        answer = site.ask(path="/raw/raw",
                          headers=[("AMP-Email-Sender", SENDER)])
        assert ours(answer.headers) == V2
        said(site, "allow 200 ok")

    @pytest.mark.parametrize("method, fields, reason", [
        ("OPTIONS", [("Origin", "https://evil.example"),
                     ("Access-Control-Request-Method", "POST")],
         "origin-not-allowed"),
        ("GET", [("AMP-Email-Sender", SENDER),
                 ("AMP-Email-Sender", "a@b.example")], "variable-repeated"),
        ("GET", [("AMP-Email-Sender", b"a\x80@b.example")], "bad-byte"),
        ("GET", [("Origin", b"https://\xe4.example")], "bad-byte"),
    ])
    def test_refused(self, site, method, fields, reason):
        """A preflight, and what 1.3 and 1.4 refuse."""
        ran = site.ran()
        answer = site.ask(method, path="/raw/raw", headers=fields)
        assert (answer.status, answer.reason()) == (403, reason)
        assert ours(answer.headers) == []
        assert site.ran() == ran
        said(site, f"deny 403 {reason}")

    def test_preflight(self, site):
        answer = site.ask("OPTIONS", path="/raw/raw", headers=[
            ("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")])
        assert answer.status == 204
        assert answer.one("Access-Control-Allow-Origin") == ORIGIN
        said(site, "preflight 204 preflight")
