"""One line a decision, which nothing from a request can forge: SPEC 7.1."""

import json
import re

import pytest

from kit import ORIGIN, SENDER, until, variables
import fcgi

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
        until(lambda: "Z " in front.log() or '{"' in front.log(), "a line",
              0.5)
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
            lines = [line for line in text.splitlines() if line[:1] == "{"]
            assert len(lines) == 1, text
            got = json.loads(lines[0])
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
