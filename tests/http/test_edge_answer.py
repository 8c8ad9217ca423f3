"""What a handler can do to the answer, seen from the mail client behind each
web server: E57 to E64, E68, and what SECURITY.md says of handlers."""

import http.client

import pytest

import servers
from kit import SENDER, V2, echo, ours, until, write
from test_output import GOOD, REDIRECTS, TEXT
from test_ways import sender
from test_ways_more import running, ways

__all__ = ["running"]
SERVERS = [servers.NginxUnix, servers.NginxIpv4Kept, servers.LighttpdSocket,
           servers.LighttpdCgi, servers.ApacheProxy, servers.ApacheCgi,
           servers.NginxFcgiwrap, servers.Caddy]
EVIL = (b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil")


def put(site, raw):
    """The whole answer of the handler at /raw/raw."""
    for folder in (site.front.path, site.scripts):
        write(folder / "raw", raw)
        (folder / "ran").touch()
        (folder / "ran").chmod(0o666)  # whoever runs it


class TestRemarks:
    """What passes, and is told."""

    policy = "redirects = pass"

    @pytest.mark.parametrize("raw, words", [
        (GOOD["no-type"][0], "no Content-Type, which mail clients need"),
        (REDIRECTS["absolute"][0], "a redirect has left"),
        (REDIRECTS["303"][0], "a redirect has left")])
    def test_remark(self, way, raw, words):
        """E57, E60"""
        way.front.put("raw", raw)
        answer = way.ask(path="/raw/raw")
        assert answer.status in (200, 302, 303)
        until(lambda: words in way.log(answer), "the log")


LATE = """#!/bin/sh
printf 'Content-Type: text/plain\\n\\n'
exec 1>&-
sleep 0.4
echo late line >&2
echo $? >survived
"""


class TestErrors:
    policy = "exec = {dir}/late"

    def test_late(self, way):
        """E68: the answer does not wait for what is said behind it; and
        whoever says it is not harmed, as long as the front is there."""
        front = way.front
        front.path.chmod(0o777)
        front.put("late", LATE, 0o755)
        (front.path / "survived").unlink(missing_ok=True)
        assert way.ask().status == 200
        if way.name == "fastcgi":
            until(lambda: (front.path / "survived").exists() and (
                front.path / "survived").read_text() == "0\n", "its end")


class TestPieces:
    def test_each_in_its_place(self, way):
        """A small answer in a hundred writes, many times: the front may put
        them together, and must not lose or change one."""
        first = way.ask(path="/env").body
        assert first.count(b"\0") > 10
        for _ in range(300 if way.name == "fastcgi" else 50):
            assert way.ask(path="/env").body == first


@ways(*SERVERS)
class TestOwned:
    @pytest.mark.parametrize("status", ["", "Status: 404\n",
                                        "HTTP/1.1 500 No\n"])
    def test_once(self, running, status):
        """E58: the policy's fields, once, whatever the handler says."""
        put(running, status.encode() + GOOD["ours"][0])
        answer = running.ask(path="/raw/raw", headers=sender(SENDER))
        assert answer.status == int("".join(
            c for c in status[-8:] if c.isdigit()) or 200)
        assert ours(answer.headers) == V2
        assert answer.one("A") == "b"

    def test_none(self, running):
        """It can let in nobody: a refusal comes before it runs."""
        put(running, GOOD["ours"][0])
        before = running.ran()
        answer = running.ask(path="/raw/raw", headers=sender("a@b.example"))
        assert answer.status == 403 and ours(answer.headers) == []
        assert running.ran() == before


@ways(*SERVERS)
class TestRedirects:
    @pytest.mark.parametrize("name", ["local", "local-302", "absolute",
                                      "301", "network"])
    def test_redirect(self, running, name):
        """E59, E60: no server makes another request of it."""
        put(running, REDIRECTS[name][0])
        before = running.ran()
        answer = running.ask(path="/raw/raw", headers=sender(SENDER))
        assert (answer.status, answer.reason()) == (502, "handler-redirect")
        assert ours(answer.headers) == V2
        assert running.ran() == before + 1


# name: what the handler writes, with a second answer hidden in it
HIDDEN = {
    "length": TEXT + b"Content-Length: 4\n\nbody" + EVIL,
    "none": TEXT + b"Content-Length: 0\n\n" + EVIL,
    "204": b"Status: 204\n\n" + EVIL,
    "304": b"Status: 304\n\n" + EVIL,
    "chunked": TEXT + b"Transfer-Encoding: chunked\n\n0\r\n\r\n" + EVIL,
    "chunked-too": TEXT + b"Content-Length: 4\nTransfer-Encoding: x\n\nbody"
                   + EVIL,
    "lengths": TEXT + b"Content-Length: 4\nContent-Length: 0\n\nbody" + EVIL,
    "list": TEXT + b"Content-Length: 4, 0\n\nbody" + EVIL,
    "length-hidden": TEXT + b"Connection: Content-Length\n"
                     b"Content-Length: 4\n\nbody" + EVIL,
    "kept": TEXT + b"Connection: keep-alive\nKeep-Alive: timeout=9\n"
            b"Content-Length: 4\n\nbody" + EVIL,
    "100": b"Status: 100\n\n" + EVIL,
    "101": b"Status: 101\nUpgrade: h2c\nConnection: Upgrade\n\n" + EVIL,
    "return": TEXT + b"A: b\rX-Evil: 1\n\nbody",
    "return-twice": TEXT + b"A: b\r\r\nX-Evil: 1\n\nbody"[:6] + b"\n\nbody",
    "nul": TEXT + b"A: b\0\nX-Evil: 1\n\nbody"[:5] + b"\n\nbody",
}


@ways(*SERVERS)
class TestSmuggling:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("name", HIDDEN)
    def test_one_answer(self, running, name, method):
        """E61 to E64: the next request on the client's connection gets its
        own answer, and no field or body of the hidden one."""
        put(running, HIDDEN[name])
        client = http.client.HTTPConnection("127.0.0.1", running.port,
                                            timeout=20)
        fields = dict(sender(SENDER))
        client.request(method, running.base + "/raw/raw", headers=fields)
        answer = client.getresponse()
        body = answer.read()
        assert answer.getheader("X-Evil") is None
        assert b"evil" not in body and body in (b"", b"body") or (
            answer.status == 502)
        client.request("GET", running.base + "/echo", headers=fields)
        answer = client.getresponse()
        assert answer.status == 200 and answer.getheader("X-Evil") is None
        assert answer.read() == echo(b"")
        client.close()
