"""What a hostile client can try through each web server, and what SECURITY.md
says of it."""

import re
import socket

import pytest

import servers
from kit import ORIGIN, SENDER, V2, ours
from test_edge_answer import SERVERS
from test_ways import PARAMETER, origin, sender
from test_ways_more import running, ways

__all__ = ["running"]
EVIL = b"evil@evil.example"
MINE = SENDER.encode()


def raw(site, *lines, target=None, method=b"GET"):
    """The bytes of an answer to bytes that no library would send."""
    target = site.base.encode() + b"/env" if target is None else target
    with socket.create_connection(("127.0.0.1", site.port)) as s:
        s.settimeout(20)
        s.sendall(b"\r\n".join([method + b" " + target + b" HTTP/1.1",
                                b"Host: localhost", b"Connection: close",
                                *lines, b"", b""]))
        data = b""
        try:
            while piece := s.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        return data


def status(data):
    return int(re.match(rb"HTTP/1\.[01] (\d\d\d)", data)[1])


# field lines that are to become another field of the answer, or of the request
INJECTED = {
    "return": b"AMP-Email-Sender: " + MINE + b"\rX-Evil: 1",
    "feed": b"AMP-Email-Sender: " + MINE + b"\nX-Evil: 1",
    "folded": b"AMP-Email-Sender: " + MINE + b"\r\n X-Evil: 1",
    "folded-tab": b"AMP-Email-Sender: " + MINE + b"\r\n\tX-Evil: 1",
    "nul": b"AMP-Email-Sender: " + MINE + b"\0X-Evil: 1",
    "comma": b"AMP-Email-Sender: " + MINE + b", " + EVIL,
    "percent": b"AMP-Email-Sender: " + MINE + b"%0d%0aX-Evil: 1",
    "quoted": b'AMP-Email-Sender: "' + MINE + b'\\\r"@evil.example',
    "escape": b"AMP-Email-Sender: \x1b[31m" + MINE,
    "high": b"AMP-Email-Sender: " + MINE + b"\xe2\x80\xa8X-Evil: 1",
    "origin": b"Origin: " + ORIGIN.encode() + b"\rX-Evil: 1",
    "long": b"AMP-Email-Sender: " + b"a" * 60000 + b"@company.example",
}
QUERIES = [b"%0d%0aX-Evil:%201", b"%0aX-Evil:%201", b"%00", b"%E2%80%A8",
           b"%u000dX-Evil", b"%250d%250aX-Evil:1", b"&__amp_source_origin="
           + EVIL, b"&%5f_amp_source_origin=" + EVIL, b";" + EVIL]


@ways(*SERVERS)
class TestInjection:
    """No byte of a request's makes a field, or a line of the log."""

    @pytest.mark.parametrize("name", INJECTED)
    def test_field(self, running, name):
        before = running.ran()
        data = raw(running, INJECTED[name])
        head = data.partition(b"\r\n\r\n")[0].lower()
        assert b"\nx-evil" not in head and b"\rx-evil" not in head
        if name == "feed":  # servers take that for a line's end
            return
        assert data == b"" or 400 <= status(data) < 500
        assert b"amp-email-allow" not in head
        assert b"access-control" not in head
        assert running.ran() == before

    @pytest.mark.parametrize("more", QUERIES)
    def test_query(self, running, more):
        before = running.ran()
        data = raw(running, b"Origin: " + ORIGIN.encode(),
                   target=running.base.encode() + b"/env?"
                   + PARAMETER.encode() + MINE + more)
        head = data.partition(b"\r\n\r\n")[0].lower()
        assert 400 <= status(data) < 500
        assert b"\nx-evil" not in head and b"access-control" not in head
        assert running.ran() == before

    def test_log(self, running):
        """Every line of it is the front's, or begins as one."""
        for line in INJECTED.values():
            raw(running, line)
        log = running.front.path / "stderr"
        if not log.exists():
            log = running.run / "error.log"
        text = log.read_bytes()
        assert b"\x1b" not in text and b"\r" not in text
        assert not re.search(rb"^X-Evil", text, re.M | re.I)


# fields that could be taken for variables of the server's own
FORGED = ["AMP-CORS-Sender", "AMP-CORS-Version", "AMP-CORS-Front",
          "AMP_CORS_SENDER", "Script-Filename", "Script-Name", "Path-Info",
          "Path-Translated", "Redirect-Status", "Query-String",
          "Request-Method", "Remote-User", "Gateway-Interface", "Path",
          "LD-Preload", "Amp-Cors-Config", "FCGI-Role", "Variable-X",
          "Listen-Fds", "Tmpdir", "Auth-Type"]


@ways(*SERVERS)
class TestForged:
    def test_variables(self, running):
        """A field is HTTP_ and its name, and nothing else."""
        plain = running.ask(path="/env", headers=sender(SENDER)).variables()
        answer = running.ask(path="/env", headers=sender(SENDER) + [
            (name, "/evil") for name in FORGED])
        assert answer.status == 200, (answer, running.errors())
        got = answer.variables()
        moving = {"REMOTE_PORT", "UNIQUE_ID", "REQUEST_TIME"}
        theirs = {n: v for n, v in got.items()
                  if not n.startswith("HTTP_") and n not in moving}
        assert theirs == {n: v for n, v in plain.items()
                          if not n.startswith("HTTP_") and n not in moving}
        assert {n for n, v in got.items() if v == "/evil"} <= {
            "HTTP_" + n.upper().replace("-", "_") for n in FORGED}
        assert got["AMP_CORS_SENDER"] == SENDER

    @pytest.mark.parametrize("field", ["X-HTTP-Method-Override",
                                       "X-Original-URL", "X-Rewrite-URL",
                                       "X-Forwarded-Host", "Forwarded"])
    def test_decides_nothing(self, running, field):
        """What other software may believe."""
        answer = running.ask("POST", body=b"", headers=sender(
            "a@b.example") + [(field, "OPTIONS"), (
                "Access-Control-Request-Method", "POST")])
        assert answer.reason() == "sender-not-allowed"


class TestClaims:
    """What is no protection, as SECURITY.md says plainly."""

    way = servers.NginxUnix

    def test_anybody_can_name_a_sender(self, site):
        """The field proves nothing: CORS protects who reads mail, and not
        the data from whoever knows an allowed address."""
        answer = site.ask(headers=sender(SENDER))
        assert answer.status == 200 and ours(answer.headers) == V2

    def test_anybody_can_ask_who_is_allowed(self, site):
        """An answer tells whether a sender is on the list."""
        seen = [site.ask(headers=sender(s)).status
                for s in (SENDER, "guess@company.example")]
        assert seen == [200, 403]

    def test_refusal_says_no_more(self, site):
        """The reason and one sentence, the same whoever asks: no rule, no
        other address, no path, no word of the client's."""
        seen = {site.ask(path=path, headers=sender(s)).body
                for path in ("/echo", "/raw/none")
                for s in ("guess@company.example", "evil@evil.example")}
        text, = seen
        assert len(text) < 200 and b"/" not in text and b"@" not in text

    def test_browser_is_not_told(self, site):
        """A page of another origin may read nothing of it, ..."""
        answer = site.ask(headers=sender(SENDER) + origin(
            "https://evil.example"))
        assert ours(answer.headers) == V2

    def test_page_cannot_name_a_sender(self, site):
        """... and a browser asks before it sends the field."""
        answer = site.ask("OPTIONS", headers=origin(
            "https://evil.example") + [
                ("Access-Control-Request-Method", "GET"),
                ("Access-Control-Request-Headers", "amp-email-sender")])
        assert answer.reason() == "origin-not-allowed"
        assert ours(answer.headers) == []
