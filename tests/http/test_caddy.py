"""Caddy as the way in: the table of all ways, and what is Caddy's own."""

import pytest

import servers
import test_ways_more as more
from kit import SENDER, until, write
from test_ways import Ways, body_of, sender
from test_ways_more import impatient, small, ways

running = more.running


class CaddyWays(Ways):
    def test_error_log(self, site):
        """Caddy 2.6 reads the handler's standard error and logs none of it,
        whatever capture_stderr says; the decision is in the front's log."""
        answer = site.ask(path="/stderr/lines", headers=sender(SENDER))
        assert answer.status == 200
        log = self.all_logs(site)
        assert "allow 200 ok" in log
        assert "first line" not in log


class TestCaddyUnix(CaddyWays):
    way = servers.Caddy


class TestCaddyIpv4(CaddyWays):
    way = servers.CaddyIpv4


class TestCaddyScripts(CaddyWays):
    way = servers.CaddyScripts


@ways(small(servers.Caddy))
class TestChunked:
    """E11, E35: CONTENT_LENGTH is -1, and the front finds the length."""

    test_arrives = more.TestChunked.test_arrives
    test_length_is_true = more.TestChunked.test_length_is_true

    def test_too_long(self, running):
        """Caddy waits for no end of the body: this is our answer."""
        before = running.ran()
        answer = more.chunked(running, "/echo", body_of(200000))
        assert answer.reason() == "body-too-large"
        assert running.ran() == before


@ways(servers.Caddy)
class TestAnswers:
    @pytest.mark.parametrize("path", ["/echo", "/status/404", "/die/3"])
    @pytest.mark.parametrize("who", [SENDER, "a@b.example"])
    def test_no_status_field(self, running, path, who):
        """CGI's Status goes no further."""
        answer = running.ask(path=path, headers=sender(who))
        assert answer.all("Status") == []

    def test_long_header_block(self, running):
        """E65"""
        write(running.front.path / "long",
              b"Content-Type: text/plain\nX: " + b"y" * 60000 + b"\n\nbody")
        answer = running.ask(path="/raw/long", headers=sender(SENDER))
        assert answer.status == 200
        assert answer.one("X") == "y" * 60000

    def test_not_read(self, running):
        """E30"""
        answer = running.ask("POST", "/deaf", headers=sender(SENDER),
                             body=body_of(8 << 20))
        assert answer.body == b'{"deaf":true}'

    def test_broken(self, running):
        """E52: it takes every end for one, unless there is a length."""
        assert more.whole(running, "/half/9")
        write(running.front.path / "short",
              b"Content-Type: text/plain\nContent-Length: 40\n\nbody")
        assert not more.whole(running, "/raw/short")

    test_it_is_logged = more.TestBroken.test_it_is_logged


@ways(impatient(servers.Caddy))
class TestAnswerFirst:
    """Caddy takes no byte of an answer before the body's last is gone."""

    def test_little(self, running):
        answer = running.ask("POST", "/talk/1", headers=sender(SENDER),
                             body=body_of(8 << 20))
        assert answer.body == b"t|%d" % (8 << 20)

    def test_much(self, running):
        answer = running.ask("POST", "/talk/3000000", headers=sender(SENDER),
                             body=body_of(8 << 20))
        assert answer.status == 502
        until(lambda: " allow 200 client-gone " in running.front.log(),
              "the log")


class Flushing(servers.Caddy):
    """As INSTALL says, for answers that come piece by piece."""

    def adapt(self, text):
        return text.replace("header_down",
                            "flush_interval -1\n\t\t\theader_down")


@ways(Flushing)
class TestFlushing:
    test_line_by_line = more.TestUnbuffered.test_line_by_line


@ways(servers.hasty(servers.Caddy))
class TestClientLeaves:
    def test_not_told(self, running):
        """E77: the handler runs to its end, or to its timeout."""
        servers.leave(running)
        assert " 504 handler-timeout " in running.front.decisions()[-1]


@ways(servers.CaddyScripts)
class TestScriptsVariables:
    test_path = more.TestScriptsVariables.test_path
    test_no_path_info = more.TestScriptsVariables.test_no_path_info


@ways(servers.Caddy)
class TestRawRequests:
    raw = more.TestRawRequests.raw
    test_underscores = more.TestRawRequests.test_underscores
    test_proxy = more.TestRawRequests.test_proxy
    test_authorization = more.TestRawRequests.test_authorization
    test_our_fields_once = more.TestRawRequests.test_our_fields_once
