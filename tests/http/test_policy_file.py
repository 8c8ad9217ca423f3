"""A policy file that is wrong, in each way in; SPEC 6, as far as a running
front shows it."""

import os
import re

import pytest

import servers
from kit import LIBC_SIGNALS, SENDER, V2, echo, ours
from test_ways import sender

# each line a mistake of another kind, and a word of what is said about it
MISTAKES = [
    ("[policy]", None),
    ("sender = a@b.example", "senders"),           # unknown, and near one
    ("senders = not-an-address", "not-an-address"),
    ("origins = https://a.example/", "origins"),
    ("versions = 3", "versions"),
    ("credentials = perhaps", "credentials"),
    ("timeout = 1h", "timeout"),
    ("max_body = 10Q", "max_body"),
    ("exec = handler", "exec"),                    # not absolute
    ("timeout = 5", "timeout"),                    # a second time
    ("listen = unix:/x", "listen"),                # of [server]
    ("no equals sign", None),
    ("[nonsense]", "nonsense"),
    ("a = b", None),
    ("[server]", None),
    ("threads = 0", "threads"),
    ("log_format = xml", "log_format"),
    ("[endpoint a]", None),
    ("path = relative", "path"),
    ("exec = /bin/a", None),
    ("scripts = /tmp", "scripts"),                 # two handlers
]
BROKEN = "\n".join(line for line, _ in MISTAKES) + "\n"
WRONG = [n for n, (line, _) in enumerate(MISTAKES, 1)
         if not line.startswith("[") or line == "[nonsense]"]


def faults(text, path):
    """(line, column, what is said) of each message."""
    pattern = re.escape(str(path)) + r":(\d+):(\d+): error: (.+)"
    return [(int(m[1]), int(m[2]), m[3]) for m in re.finditer(pattern, text)]


class TestMistakes:
    def test_all_at_once(self, front):
        """78, and each of them with its place, in one run."""
        front.configure(whole=BROKEN)
        found = self.start(front)
        lines = {line for line, _, _ in found}
        # "a = b" under a section that is none may go unmentioned, and of
        # two handlers either line will do
        expected = set(WRONG) - {14, 20, 21}
        assert expected <= lines, (expected - lines, found)
        assert len(found) >= 10
        for line, column, text in found:
            content = MISTAKES[line - 1][0]
            assert 1 <= column <= len(content) + 1, (line, column, text)
            word = MISTAKES[line - 1][1]
            assert word is None or word in text + content
        assert not os.path.exists(front.socket)

    def start(self, front):
        front.start(wait=False)
        assert front.child.wait() == 78
        text = front.log()
        front.child = None
        return faults(text, front.ini)

    def test_suggestion(self, front):
        front.configure("timout = 5")
        (line, column, text), = self.start(front)
        assert (line, column) == (8, 1)
        assert "timout" in text and "timeout" in text

    def test_cgi(self, front):
        """The client learns nothing, the log gets the first message."""
        front.configure(whole=BROKEN)
        answer = front.cgi()
        assert (answer.status, answer.reason()) == (500, "policy-error")
        assert ours(answer.headers) == []
        body = answer.body.decode()
        assert str(front.path) not in body and "sender =" not in body
        found = faults(answer.errors, front.ini)
        assert len(found) == 1
        assert found[0][0] == 2
        assert front.ran() == 0
        assert answer.exit == 0

    def test_cgi_head(self, front):
        front.configure(whole=BROKEN)
        answer = front.cgi(method="HEAD")
        assert answer.status == 500 and answer.body == b""

    def test_no_file(self, front):
        front.ini.unlink()
        answer = front.cgi()
        assert (answer.status, answer.reason()) == (500, "policy-error")
        assert str(front.ini) in answer.errors
        front.start(wait=False)
        assert front.child.wait() == 78
        assert str(front.ini) in front.log()
        front.child = None

    @pytest.mark.parametrize("what", ["folder", "empty", "binary"])
    def test_no_policy(self, front, what):
        front.ini.unlink()
        if what == "folder":
            front.ini.mkdir()
        else:
            front.ini.write_bytes(b"" if what == "empty" else bytes(100))
        answer = front.cgi()
        # an empty one allows nobody, and names no handler
        assert (answer.status, answer.reason()) == (
            (403, "sender-not-allowed") if what == "empty"
            else (500, "policy-error"))
        front.start(wait=False)
        assert front.child.wait() == 78
        front.child = None

    def test_dangerous_rule(self, front):
        """SPEC 6.6"""
        for rule, risk in (("*", "any-sender"), ("*@gmail.com", "free-mail")):
            front.configure(whole="[policy]\nsenders = " + rule
                            + "\nexec = {handler}\n")
            answer = front.cgi()
            assert answer.reason() == "policy-error"
            assert risk in answer.errors
            front.configure(whole=f"[policy]\nsenders = {rule}\n"
                            f"accept_risk = {risk}\nexec = {{handler}}\n")
            answer = front.cgi(sender="someone@gmail.com")
            assert answer.one("AMP-Email-Allow-Sender") == (
                "someone@gmail.com")  # SPEC 2.6: never *

    def test_replace_is_for_cgi_alone(self, front):
        front.configure("exec_mode = replace")
        (line, _, text), = self.start(front)
        assert line == 8 and "replace" in text

    def test_writable_by_others(self, front):
        front.ini.chmod(0o666)
        front.start()
        assert f"{front.ini}:" in front.log() and "warning" in front.log()
        assert front.ask().status == 200


class TestLists:
    def configure(self, front, text):
        front.put("senders", text)
        front.configure(whole="[policy]\nsenders_file = {dir}/senders\n"
                        "exec = {handler}\n")

    def test_file(self, front):
        self.configure(front, "# people\n\n" + SENDER + "\n*@news.example\n"
                       "!bad@news.example\n")
        front.start()
        for ask in (front.cgi, front.ask):
            assert ask().status == 200
            assert ask(sender="any@news.example").status == 200
            assert ask(sender="bad@news.example").status == 403
            assert ask(sender="x@other.example").status == 403

    @pytest.mark.parametrize("text", [None, "one bad line here\n",
                                      SENDER + "\nbad\n"])
    def test_fault(self, front, text):
        """SPEC 6.8: an error, never an allow."""
        self.configure(front, text or "")
        if text is None:
            (front.path / "senders").unlink()
        answer = front.cgi()
        assert (answer.status, answer.reason()) == (503, "policy-unavailable")
        assert str(front.path / "senders") in answer.errors
        assert ours(answer.headers) == []
        front.start(wait=False)
        assert front.child.wait() == 78
        assert str(front.path / "senders") in front.log()
        front.child = None
        assert front.ran() == 0


class TestEndpoints:
    whole = """\
[policy]
senders = {sender}
exec = {handler}
[endpoint one]
path = /amp/one
senders = one@one.example
[endpoint two]
path = /amp/one/two
senders =
[endpoint report]
path = /amp/report
mode = report
[endpoint old]
path = /amp/old
versions = 1
"""

    @pytest.fixture(params=["cgi", "fastcgi"])
    def ask(self, front, request):
        front.configure(whole=self.whole)
        ask = front.cgi if request.param == "cgi" else front.start().ask
        return ask

    @pytest.mark.parametrize("script, info, address, reason", [
        ("/amp", "/one", "one@one.example", None),
        ("/amp/one", None, "one@one.example", None),
        ("/amp", "/one/", "one@one.example", None),
        ("/amp", "/one/echo", "one@one.example", None),
        ("/amp", "/one/echo", SENDER, "sender-not-allowed"),
        ("/amp", "/one/two", "one@one.example", "sender-not-allowed"),
        ("/amp", "/onetwo", "one@one.example", "no-endpoint"),
        ("/amp", None, SENDER, "no-endpoint"),
        ("/other", None, SENDER, "no-endpoint"),
        ("/amp", "/old", SENDER, "version-not-allowed"),
    ])
    def test_path(self, ask, script, info, address, reason):
        """SPEC 2.1, 2.7"""
        answer = ask(script=script, path=info, sender=address)
        if reason is None:
            # bad-cgi knows no behaviour of that name, but it was asked
            assert ours(answer.headers) == [
                ("AMP-Email-Allow-Sender", address)]
        else:
            assert answer.reason() == reason
            assert answer.status == (404 if reason == "no-endpoint" else 403)

    def test_no_endpoint_has_no_vary(self, ask):
        answer = ask(script="/other", path=None)
        assert ours(answer.headers) == []

    def test_report(self, ask):
        """SPEC 2.8: it reaches the handler, whose own fields pass."""
        answer = ask(script="/amp/report", path="/echo",
                     sender="a@b.example")
        assert answer.status in (200, 500)
        assert answer.one("Content-Type") != "application/json" or (
            b"error" not in answer.body)
        assert ours(answer.headers) == []
        # what is no request at all stays refused
        answer = ask(script="/amp/report", sender="a\x01@b.example")
        assert answer.reason() == "bad-byte"
        answer = ask(script="/amp/report",
                     extra=[("HTTP_AMP_EMAIL_SENDER", "x@y.example")])
        assert answer.reason() == "variable-repeated"


class TestReport:
    def test_handlers_fields(self, front):
        front.configure("mode = report")
        front.put("raw", b"Content-Type: text/plain\n"
                  b"Access-Control-Allow-Origin: *\n"
                  b"AMP-Email-Allow-Sender: its@own.example\n\n")
        for ask in (front.cgi, front.start().ask):
            answer = ask(path="/raw/raw", sender="a@b.example")
            assert ours(answer.headers) == [
                ("AMP-Email-Allow-Sender", "its@own.example"),
                ("Access-Control-Allow-Origin", "*")]
            # an allowed one is as in enforce
            assert ours(ask(path="/raw/raw").headers) == V2
            answer = ask(path="/raw/raw", sender=None, method="OPTIONS",
                         origin="https://evil.example",
                         HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST")
            assert answer.status == 403

    def test_log(self, front):
        front.configure("mode = report")
        answer = front.cgi(sender="a@b.example")
        assert answer.status == 200
        assert " report 200 sender-not-allowed " in answer.errors


class TestReplace:
    """exec_mode = replace: SPEC 4.5"""

    def test_becomes_the_handler(self, front):
        front.configure("exec_mode = replace")
        process = front.cgi_start(method="POST", body=b"abc")
        out, _ = process.communicate(b"abc", 10)
        head, _, body = out.partition(b"\r\n\r\n")
        assert body == echo(b"abc")
        lines = head.split(b"\r\n")
        assert lines.count(b"AMP-Email-Allow-Sender: "
                           + SENDER.encode()) == 1
        assert lines[-1] == b"Content-Type: application/json"
        assert front.pids() == [process.pid]

    def test_refused(self, front):
        front.configure("exec_mode = replace")
        assert front.cgi(sender="a@b.example").reason() == (
            "sender-not-allowed")
        assert front.ran() == 0

    def test_cannot_be_executed(self, front):
        front.configure("exec_mode = replace")
        front.handler.write_text("no program\n")
        answer = front.cgi()
        assert (answer.status, answer.reason()) == (
            502, "handler-not-started")

    def test_signals_and_descriptors(self, front):
        front.configure("exec_mode = replace")
        out, _ = front.cgi_start(path="/signals").communicate(b"", 10)
        for mask in ("SigBlk", "SigIgn"):
            found = re.search(mask + r":\t(\w+)", out.decode())
            assert int(found[1], 16) & ~LIBC_SIGNALS == 0, out
        out, _ = front.cgi_start(path="/fds").communicate(b"", 10)
        assert out.endswith(b"\n0\n1\n2\n")


def wrong_way(way):
    class Wrong(way):
        def __init__(self, folder, helper):
            super().__init__(folder, helper)
            self.front.configure(whole="[policy]\nsendres = x\n")
    return Wrong


class TestUnderServers:
    """A wrong policy file, where a web server starts the front."""

    @pytest.mark.parametrize("way", [
        servers.LighttpdCgi, servers.LighttpdInterpreter,
        servers.LighttpdShebang, servers.ApacheCgi, servers.ApacheAction,
        servers.ApacheShebang, servers.NginxFcgiwrap,
        servers.NginxFcgiwrapShebang], ids=lambda way: way.__name__)
    def test_cgi(self, folder, helper, way):
        site = wrong_way(way)(folder, helper)
        try:
            site.start()
            answer = site.ask(headers=sender(SENDER))
            assert (answer.status, answer.reason()) == (500, "policy-error")
            assert b"sendres" not in answer.body
            assert "sendres" in site.errors()
            assert f"{site.front.ini}:2:1: error: " in site.errors()
            assert site.ran() == 0
        finally:
            site.stop()

    def test_spawn_fcgi(self, folder, helper):
        site = wrong_way(servers.NginxSpawnFcgi)(folder, helper)
        child = site.child("spawn-fcgi", [
            "spawn-fcgi", "-n", "-s", site.front.socket, "--", site.program,
            "-c", site.front.ini])
        assert child.wait() == 78
        assert "sendres" in child.said()
        site.stop()
