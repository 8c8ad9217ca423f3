"""What is seen only through a real web server, and not in each way alike."""

import http.client
import os
import socket
import time

import pytest

import servers
from kit import SENDER, V2, echo, left, ours, until, write
from test_ways import body_of, sender

FASTCGI = [servers.NginxUnix, servers.NginxIpv4Kept, servers.LighttpdSocket,
           servers.ApacheProxy]


class Unbuffered(servers.NginxUnix):
    """nginx sends a body as it comes, without a length if it has none."""

    def location(self):
        return super().location().replace(
            "client_max_body_size", "fastcgi_request_buffering off;\n"
            "fastcgi_buffering off;\nclient_max_body_size")


class LighttpdStream(servers.LighttpdSocket):
    def more(self):
        return "server.stream-request-body = 2\n" \
               "server.stream-response-body = 2"


def small(way):
    """With a small limit for bodies without a length."""
    class Small(way):
        policy = way.policy + "\nspool_max = 64K"
    Small.__name__ = way.__name__
    return Small


@pytest.fixture(scope="class")
def running(request, class_folder, helper):
    made = request.param(class_folder, helper)
    try:
        yield made.start()
    finally:
        made.stop()


def ways(*them):
    return pytest.mark.parametrize("running", them, indirect=True,
                                   ids=lambda way: way.__name__)


def chunked(site, path, body, piece=7000):
    connection = http.client.HTTPConnection("127.0.0.1", site.port,
                                            timeout=20)
    pieces = (body[i:i + piece] for i in range(0, len(body), piece))
    try:
        connection.request("POST", site.base + path, pieces,
                           {"AMP-Email-Sender": SENDER,
                            "Transfer-Encoding": "chunked"},
                           encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return site.take(connection)


@ways(*map(small, [
    Unbuffered, servers.NginxUnix, servers.LighttpdSocket,
    servers.LighttpdCgi, servers.ApacheProxy, servers.ApacheCgi]))
class TestChunked:
    """E35: a body that comes without a length."""

    @pytest.mark.parametrize("n", [1, 65536])
    def test_arrives(self, running, n):
        body = body_of(n)
        answer = chunked(running, "/echo", body)
        assert answer.status == 200, (answer, running.errors())
        assert answer.body == echo(body)
        assert ours(answer.headers) == V2

    def test_length_is_true(self, running):
        answer = chunked(running, "/env", body_of(12345))
        got = answer.variables()
        assert got["CONTENT_LENGTH"] == "12345"
        assert "HTTP_TRANSFER_ENCODING" not in got

    def test_too_long(self, running):
        before = running.ran()
        answer = chunked(running, "/echo", body_of(200000))
        if answer.status == 200:
            # the web server read all of it, and gave it its length
            assert answer.body == echo(body_of(200000))
            return
        assert answer.status == 413, (answer, running.errors())
        assert answer.reason() == "body-too-large"
        assert ours(answer.headers) == V2
        assert running.ran() == before


@ways(LighttpdStream)
class TestLighttpdStream:
    def test_post(self, running):
        body = body_of(8 << 20)
        answer = running.ask("POST", headers=sender(SENDER), body=body)
        assert answer.body == echo(body)

    def test_not_read(self, running):
        answer = running.ask("POST", "/deaf", headers=sender(SENDER),
                             body=body_of(8 << 20))
        assert answer.body == b'{"deaf":true}'


@ways(Unbuffered)
class TestUnbuffered:
    def test_too_long_is_our_answer(self, running):
        """nginx has no length to give, and does not wait for one."""
        running.front.configure("exec = {handler}\nspool_max = 64K",
                                "socket_mode = 0666", servers.TABLE_POLICY)
        running.front.stop()
        running.front.start(front=running.program)
        answer = chunked(running, "/echo", body_of(200000))
        assert answer.reason() == "body-too-large"

    def test_line_by_line(self, running):
        """E67, at the mail client's end."""
        with socket.create_connection(("127.0.0.1", running.port)) as s:
            s.settimeout(10)
            s.sendall(b"GET /amp/slow/4 HTTP/1.0\r\nAMP-Email-Sender: "
                      + SENDER.encode() + b"\r\n\r\n")
            times = []
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                times += [time.monotonic()] * piece.count(b"line\n")
        assert len(times) == 4
        assert times[3] - times[0] > 0.6


# What a web server can tell of an answer that breaks off: if it has no
# length, if it has one. Without FCGI_KEEP_CONN nginx takes every end for one.
SEEN = {
    servers.NginxUnix: (True, True),
    servers.NginxIpv4Kept: (True, True),
    servers.ApacheProxy: (True, True),
    servers.LighttpdSocket: (False, True),
    servers.LighttpdSpawn: (False, True),
    servers.LighttpdCgi: (False, True),
    servers.NginxFcgiwrap: (False, True),
    servers.ApacheCgi: (False, False),  # counts by itself
}


def whole(site, path):
    """Does a mail client take this answer for a whole one?"""
    try:
        answer = site.ask(path=path, headers=sender(SENDER))
    except (http.client.IncompleteRead, ConnectionError):
        return False
    return answer.status == 200


@ways(*SEEN)
class TestBroken:
    """E52"""

    def test_without_length(self, running):
        assert whole(running, "/half/9") != SEEN[type(running)][0]

    def test_with_length(self, running):
        write(running.front.path / "short",
              b"Content-Type: text/plain\nContent-Length: 40\n\nbody")
        assert whole(running, "/raw/short") != SEEN[type(running)][1]

    def test_it_is_logged(self, running):
        whole(running, "/half/9")
        stderr = running.front.path / "stderr"
        until(lambda: "handler-died" in running.errors() + (
            stderr.read_text() if stderr.exists() else ""), "the log")


def impatient(way):
    """With a front that waits no longer than a second for its client."""
    class Impatient(way):
        def before(self):
            table = servers.TABLE_POLICY
            for key in ("body_timeout", "send_timeout"):
                assert f"{key} = 10\n" in table
                table = table.replace(f"{key} = 10\n", f"{key} = 1\n")
            self.front.configure(self.policy, "socket_mode = 0666", table)
            super().before()
    Impatient.__name__ = way.__name__
    return Impatient


@ways(impatient(servers.NginxUnix))
class TestNginxAnswerFirst:
    """nginx sends no more of a body once it has the answer's header."""

    def test_read_first(self, running):
        body = body_of(1 << 20)
        answer = running.ask("POST", headers=sender(SENDER), body=body)
        assert answer.status == 200, (answer, running.errors())
        assert answer.body == echo(body)

    def test_answer_first(self, running):
        """What was read is no matter: the rest never comes."""
        began = time.monotonic()
        with pytest.raises(http.client.IncompleteRead) as broken:
            running.ask("POST", "/talk/1", headers=sender(SENDER),
                        body=body_of(8 << 20))
        assert 0.9 < time.monotonic() - began < 5
        assert broken.value.partial == b"t"
        assert " allow 200 body-timeout " in running.front.decisions()[-1]
        until(lambda: not left(running.front), "the handler's end")


@ways(impatient(servers.NginxFcgiwrap))
class TestFcgiwrapAnswerFirst:
    """fcgiwrap takes no byte of an answer before the body's last is gone."""

    def test_little(self, running):
        answer = running.ask("POST", "/talk/1", headers=sender(SENDER),
                             body=body_of(8 << 20))
        assert answer.body == b"t|%d" % (8 << 20)

    def test_much(self, running):
        before = len(running.errors())
        running.ask("POST", "/talk/3000000", headers=sender(SENDER),
                    body=body_of(8 << 20))
        until(lambda: " allow 200 client-gone " in running.errors()[before:],
              "the log")


@ways(*FASTCGI, servers.LighttpdCgi)
class TestClientLeaves:
    def test_handler_ends(self, running):
        """E77, as far as the web server tells us."""
        for pids in (running.front.path, running.scripts):
            (pids / "pids").unlink(missing_ok=True)
        with socket.create_connection(("127.0.0.1", running.port)) as s:
            s.sendall(b"GET %s/silent HTTP/1.1\r\nHost: x\r\n"
                      b"AMP-Email-Sender: %s\r\n\r\n" % (
                          running.base.encode(), SENDER.encode()))
            until(running.front.pids, "a handler")
        # nginx closes at once; others let the handler come to its timeout
        until(lambda: not left(running.front), "the handler's end", 14)


@ways(servers.ApacheCgi, servers.ApacheShebang, servers.LighttpdCgi,
      servers.LighttpdInterpreter, servers.NginxFcgiwrap)
class TestClientsWords:
    """E17, E18: the query as a command line."""

    @pytest.mark.parametrize("query", [
        "/bin/sh+/etc/passwd+-c", "-h", "--version", "-c+id", "-n", "-V",
        "/bin/sh", "--+/bin/echo+evil", "-c+/etc/passwd"])
    def test_not_read(self, running, query):
        before = running.ran()
        answer = running.ask(query=query, headers=sender(SENDER))
        assert answer.status == 200, (answer, running.errors())
        assert answer.body == echo(b"")
        assert running.ran() == before + 1
        answer = running.ask(query=query)
        assert answer.reason() == "no-amp-headers"


@ways(servers.ApacheAction)
class TestAction:
    def test_asked_directly(self, running):
        """E23: the front's own URL runs no script."""
        base, running.base = running.base, "/amp-front/amp-scripts/h.cgi"
        try:
            before = running.ran()
            answer = running.ask(headers=sender(SENDER))
            assert (answer.status, answer.reason()) == (
                403, "not-redirected")
            assert running.ran() == before
        finally:
            running.base = base

    def test_missing(self, running):
        base, running.base = running.base, "/amp-scripts/none.cgi"
        try:
            assert running.ask(headers=sender(SENDER)).status == 404
        finally:
            running.base = base


@ways(servers.NginxScripts, servers.LighttpdScripts,
      servers.ApacheProxyScripts, servers.LighttpdInterpreter,
      servers.ApacheAction, servers.NginxFcgiwrapShebang,
      servers.LighttpdShebang, servers.ApacheShebang)
class TestScriptsVariables:
    """Whatever the server's split, a script sees itself."""

    def test_path(self, running):
        kind = running.base.rpartition(".")[2]
        answer = running.ask(path="/env/x%20y", query="a=b",
                             headers=sender(SENDER))
        assert answer.status == 200, (answer, running.errors())
        got = answer.variables()
        assert got["SCRIPT_NAME"] == f"/amp-scripts/h.{kind}"
        assert got["PATH_INFO"] == "/env/x y"
        assert got["QUERY_STRING"] == "a=b"
        assert os.path.samefile(got["SCRIPT_FILENAME"],
                                running.scripts / f"h.{kind}")
        assert answer.cwd() == str(running.scripts)
        assert got["AMP_CORS_SENDER"] == SENDER

    def test_no_path_info(self, running):
        answer = running.ask(path="", headers=sender(SENDER))
        assert answer.status == 200, (answer, running.errors())


@ways(servers.NginxUnix, servers.LighttpdSocket, servers.ApacheProxy,
      servers.LighttpdCgi, servers.ApacheCgi, servers.NginxFcgiwrap)
class TestRawRequests:
    """Repeats and oddities as bytes on the wire."""

    def raw(self, site, *lines, method=b"GET"):
        with socket.create_connection(("127.0.0.1", site.port)) as s:
            s.settimeout(10)
            s.sendall(b"\r\n".join(
                [method + b" " + site.base.encode() + b"/env HTTP/1.0",
                 b"Host: x", *lines, b"", b""]))
            data = b""
            while piece := s.recv(65536):
                data += piece
        return data

    @pytest.mark.parametrize("lines", [
        (b"AMP-Email-Sender: sender@company.example",
         b"AMP_Email_Sender: evil@evil.example"),
        (b"AMP_Email_Sender: evil@evil.example",
         b"AMP-Email-Sender: sender@company.example"),
    ])
    def test_underscores(self, running, lines):
        """E4: one of them alone decides and is handed on, or neither."""
        data = self.raw(running, *lines)
        if b" 200 " in data.split(b"\r\n")[0]:
            assert b"evil" not in data
        else:
            assert b" 403 " in data.split(b"\r\n")[0] or (
                b" 400 " in data.split(b"\r\n")[0])

    def test_proxy(self, running):
        """E10"""
        data = self.raw(running, b"AMP-Email-Sender: " + SENDER.encode(),
                        b"Proxy: http://evil.example/")
        assert b" 200 " in data.split(b"\r\n")[0]
        assert b"evil" not in data

    def test_authorization(self, running):
        """E16"""
        data = self.raw(running, b"AMP-Email-Sender: " + SENDER.encode(),
                        b"Authorization: Basic c2VjcmV0")
        assert b" 200 " in data.split(b"\r\n")[0]
        assert b"c2VjcmV0" not in data

    def test_our_fields_once(self, running):
        data = self.raw(running, b"AMP-Email-Sender: " + SENDER.encode())
        head = data.partition(b"\r\n\r\n")[0].lower()
        assert head.count(b"\r\namp-email-allow-sender:") == 1
        assert head.count(b"\r\nvary:") == 1
        assert b"access-control" not in head
