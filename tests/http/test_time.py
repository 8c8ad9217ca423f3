"""Time, abort and load: E74 to E77, E79 to E82, SPEC 4.7, 4.8, 4.10, 5.5."""

import os
import resource
import signal
import time

import pytest

import fcgi
from kit import (MEMORY, V2, WAIT, left, memory, of_fcgi, ours, until,
                 variables)

MIB = 1 << 20


class TestTimeout:
    @pytest.mark.parametrize("path", ["/silent", "/grandchild"])
    def test_silence(self, way, path):
        """E74, E76: the whole group goes."""
        way.front.forget()
        start = time.monotonic()
        answer = way.ask(path=path)
        took = time.monotonic() - start
        assert (answer.status, answer.reason()) == (504, "handler-timeout")
        assert ours(answer.headers) == V2
        assert 1.5 < took < 5
        assert len(way.front.pids()) == (2 if path == "/grandchild" else 1)
        until(lambda: not left(way.front), "the group's end", 3)

    def test_ignores_term(self, way):
        """E76: KILL after kill_grace."""
        way.front.forget()
        start = time.monotonic()
        answer = way.ask(path="/stubborn")
        assert answer.reason() == "handler-timeout"
        until(lambda: not left(way.front), "KILL", 4)
        assert time.monotonic() - start > 2.5

    def test_term_comes_first(self, way):
        (way.front.path / "told").unlink(missing_ok=True)
        answer = way.ask(path="/listening")
        assert answer.reason() == "handler-timeout"
        until(lambda: (way.front.path / "told").exists(), "TERM", 3)

    def test_each_byte_counts(self, way):
        """2.7 seconds in all, never 2 without a byte."""
        assert way.ask(path="/slow/9").body == b"line\n" * 9

    def test_waiting_for_the_client_is_not_silence(self, front):
        """Only while the handler has all the input that is there."""
        front.start()
        with front.connect() as client:
            items = variables(method="POST", CONTENT_LENGTH="6")
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(items)))
            for _ in range(3):
                time.sleep(1)
                client.send(fcgi.record(fcgi.STDIN, 1, b"ab"))
            assert of_fcgi(client.answer()).status == 200


class TestTimeLimit:
    policy = "time_limit = 1"

    def test_whole(self, way):
        """However busy it is."""
        way.front.forget()
        answer = way.ask(path="/slow/40")
        assert answer.broken
        assert 1 < len(answer.body.splitlines()) < 12
        until(lambda: not left(way.front), "the handler's end", 3)

    def test_silent(self, way):
        answer = way.ask(path="/silent")
        assert (answer.status, answer.reason()) == (504, "handler-timeout")


class TestClientLeaves:
    """E77: noticed within a second, also in silence."""

    def test_fastcgi_closes(self, front):
        front.configure("timeout = 60")
        front.start()
        client = front.connect()
        client.request(variables(path="/silent"))
        until(front.pids, "a handler")
        client.close()
        until(lambda: not left(front), "the handler's end", 2)
        assert front.ask().status == 200

    def test_fastcgi_shuts_down(self, front):
        """A half-closed connection is no longer read by anybody."""
        front.configure("timeout = 60")
        front.start()
        with front.connect() as client:
            client.request(variables(path="/stubborn"))
            until(front.pids, "a handler")
            client.socket.shutdown(2)
            until(lambda: not left(front), "KILL", 4)

    def test_fastcgi_in_the_body(self, front):
        front.start()
        client = front.connect()
        items = variables(method="POST", CONTENT_LENGTH="1000000")
        client.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.pairs(items))
                    + fcgi.record(fcgi.STDIN, 1, b"x" * 1000))
        until(front.pids, "a handler")
        client.close()
        until(lambda: not left(front), "the handler's end", 2)

    def test_fastcgi_in_the_answer(self, front):
        front.start()
        client = front.connect()
        client.request(variables(path="/flood"))
        client.record()
        client.close()
        until(lambda: not left(front), "the handler's end", 2)
        assert front.ask().status == 200

    @pytest.mark.parametrize("path", ["/silent", "/flood"])
    def test_cgi(self, front, path):
        front.configure("timeout = 60")
        process = front.cgi_start(path=path)
        until(front.pids, "a handler")
        process.stdout.close()
        until(lambda: not left(front), "the handler's end", 2)
        process.wait(WAIT)
        process.stderr.close()
        process.stdin.close()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_cgi_is_told_to_end(self, front, number):
        """SPEC 5.1: TERM and INT go on to the handler's group."""
        process = front.cgi_start(path="/silent")
        until(front.pids, "a handler")
        process.send_signal(number)
        until(lambda: not left(front), "the handler's end", 2)
        process.communicate(timeout=WAIT)

    def test_takes_nothing(self, front):
        """E79: send_timeout, and memory that does not grow."""
        front.start()
        with front.connect() as client:
            client.request(variables(path="/flood"))
            until(front.pids, "a handler")
            time.sleep(1)
            assert memory(front.child.pid) < MEMORY
            until(lambda: not left(front), "the handler's end", 5)
        assert front.ask().status == 200

    def test_cgi_takes_nothing(self, front):
        process = front.cgi_start(path="/flood")
        until(front.pids, "a handler")
        until(lambda: not left(front), "the handler's end", 6)
        process.communicate(timeout=WAIT)
        assert process.returncode == 70

    def test_slow_reader(self, front):
        """Slower than the handler, but never still: all of it arrives."""
        front.start()
        with front.connect() as client:
            client.request(variables(path="/body/3000000"))
            total = 0
            for _ in range(4):
                time.sleep(0.7)
                for _ in range(10):
                    total += client.record()[2].count(b"b")
            assert total + client.answer().out.count(b"b") == 3000000


class TestLoad:
    """E80, SPEC 4.7: more requests than handlers."""

    def busy(self, front, path="/wait/1500", n=1):
        clients = []
        for _ in range(n):
            client = front.connect()
            client.request(variables(path=path))
            clients.append(client)
        until(lambda: front.ran() >= n, "the handlers")
        return clients

    def test_full(self, front):
        front.configure(server="threads = 1\nqueue = 0")
        front.start()
        first, = self.busy(front)
        start = time.monotonic()
        answer = front.ask()
        assert (answer.status, answer.reason()) == (503, "busy")
        assert int(answer.one("Retry-After")) > 0
        assert ours(answer.headers) == V2
        # refusals and preflights are answered all the same
        for _ in range(20):
            answer = front.ask(sender="a@b.example")
            assert answer.reason() == "sender-not-allowed"
            answer = front.ask(
                method="OPTIONS", sender=None,
                origin="https://mail.google.com",
                HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST")
            assert answer.status == 204
        assert time.monotonic() - start < 1
        assert of_fcgi(first.answer()).status == 200
        first.close()
        assert front.ask().status == 200
        assert front.ran() == 2

    def test_full_with_a_body(self, front):
        """5.3: also a 503 arrives when its body was not wanted."""
        front.configure(server="threads = 1\nqueue = 0")
        front.start()
        first, = self.busy(front)
        answer = front.ask(method="POST", body=bytes(4 * MIB))
        assert answer.reason() == "busy"
        first.close()

    def test_parked(self, front):
        front.configure(server="threads = 2\nqueue = 4")
        front.start()
        clients = self.busy(front, "/wait/700", 2)
        parked = []
        for i in range(4):
            client = front.connect()
            body = b"x" * i * 1000
            client.request(variables(method="POST", body=body), body)
            parked.append(client)
        time.sleep(0.2)
        assert front.ran() == 2
        assert front.ask().reason() == "busy"
        for client in clients + parked:
            assert of_fcgi(client.answer()).status == 200
            client.close()
        assert front.ran() == 6

    def test_queue_timeout(self, front):
        front.configure(server="threads = 1\nqueue = 4\nqueue_timeout = 1")
        front.start()
        first, = self.busy(front, "/silent")
        start = time.monotonic()
        answer = front.ask()
        assert answer.reason() == "busy"
        assert 0.7 < time.monotonic() - start < 2.5
        first.close()

    def test_parked_client_leaves(self, front):
        """E77: it never runs."""
        front.configure(server="threads = 1\nqueue = 1")
        front.start()
        first, = self.busy(front)
        second = front.connect()
        second.request(variables())
        time.sleep(0.2)
        second.close()
        # its place is free again within a second
        time.sleep(1)
        with front.connect() as third:
            third.request(variables())
            assert of_fcgi(third.answer()).status == 200
        assert of_fcgi(first.answer()).status == 200
        first.close()
        assert front.ran() == 2

    def test_burst(self, front):
        front.configure(server="threads = 4\nqueue = 64")
        front.start()
        clients = [front.connect() for _ in range(60)]
        for client in clients:
            client.request(variables(path="/wait/20"))
        for client in clients:
            assert of_fcgi(client.answer()).status == 200
            client.close()
        assert front.ran() == 60


class TestShortage:
    """E81: what fails on our side costs a request, never the program."""

    def limited(self, front, kind, n):
        def limit():
            resource.setrlimit(kind, (n, n))
        return front.start(preexec_fn=limit)

    def test_descriptors(self, front):
        front.configure(server="threads = 4\nhead_timeout = 60")
        self.limited(front, resource.RLIMIT_NOFILE, 32)
        # so that all threads have begun
        front.ask()
        folder = f"/proc/{front.child.pid}/fd"
        clients = []
        try:
            # leave one at most: too few for a handler's pipes
            while len(os.listdir(folder)) < 31:
                assert len(clients) < 32
                clients.append(front.connect())
                time.sleep(0.02)
            reasons = []
            for client in clients[:3]:
                client.request(variables())
                answer = of_fcgi(client.answer())
                if answer.status != 200:
                    assert answer.status == 503, answer
                    assert ours(answer.headers) == V2
                    reasons.append(answer.reason())
                client.close()
            assert "overloaded" in reasons
        finally:
            for client in clients:
                client.close()
        assert front.ask().status == 200

    def test_no_descriptor_for_a_connection(self, front):
        """accept fails: no busy loop, no end, and it goes on later."""
        front.configure(server="threads = 4\nhead_timeout = 60")
        self.limited(front, resource.RLIMIT_NOFILE, 32)
        front.ask()
        clients = [front.connect() for _ in range(60)]
        time.sleep(0.3)
        before = cpu(front.child.pid)
        time.sleep(1)
        assert cpu(front.child.pid) - before < 0.5
        for client in clients:
            client.close()
        # those that still wait in the queue are taken, seen to be gone
        # and closed first: until then a handler may lack descriptors
        end = time.monotonic() + 15
        while (answer := front.ask()).status == 503:
            assert answer.reason() == "overloaded"
            assert time.monotonic() < end
            time.sleep(0.02)
        assert answer.status == 200


def cpu(pid):
    """Seconds of processor time."""
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class TestStop:
    """E82, SPEC 5.5"""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_idle(self, front, number):
        front.start()
        front.ask()
        client = front.connect()
        client.request(variables(), flags=fcgi.KEEP)
        client.answer()
        start = time.monotonic()
        front.child.send_signal(number)
        assert front.child.wait() == 0
        assert time.monotonic() - start < 2
        assert not os.path.exists(front.socket)
        client.close()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_request_in_flight(self, front, number):
        front.start()
        with front.connect() as client:
            client.request(variables(path="/wait/1000", method="POST",
                                     body=b"abc"), b"abc")
            until(front.pids, "a handler")
            front.child.send_signal(number)
            answer = of_fcgi(client.answer())
        assert answer.status == 200 and not answer.broken
        assert front.child.wait() == 0

    def test_parked_requests_too(self, front):
        front.configure(server="threads = 1\nqueue = 4")
        front.start()
        clients = []
        for _ in range(3):
            client = front.connect()
            client.request(variables(path="/wait/400"))
            clients.append(client)
        until(front.pids, "a handler")
        time.sleep(0.2)
        front.child.send_signal(signal.SIGTERM)
        for client in clients:
            assert of_fcgi(client.answer()).status == 200
            client.close()
        assert front.child.wait() == 0

    def test_request_on_its_way(self, front):
        """Sent before the signal: it is not lost."""
        front.start()
        for _ in range(20):
            with front.connect() as client:
                client.request(variables(sender="a@b.example"))
                front.child.send_signal(signal.SIGTERM)
                assert of_fcgi(client.answer()).status == 403
            assert front.child.wait() == 0
            front.restart()

    def test_nothing_new(self, front):
        front.start()
        with front.connect() as client:
            client.request(variables(path="/wait/700"))
            until(front.pids, "a handler")
            front.child.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            with pytest.raises(OSError):
                with front.connect() as other:
                    other.send(fcgi.request(variables()))
                    assert not other.answer().out
                    raise ConnectionResetError
            assert of_fcgi(client.answer()).status == 200

    def test_stop_grace(self, front):
        """What does not end in time is ended."""
        front.configure("timeout = 60", "stop_grace = 1")
        front.start()
        with front.connect() as client:
            client.request(variables(path="/silent"))
            until(front.pids, "a handler")
            start = time.monotonic()
            front.child.send_signal(signal.SIGTERM)
            assert front.child.wait() == 0
            assert 0.7 < time.monotonic() - start < 4
            assert not left(front)

    def test_stop_grace_and_stubborn(self, front):
        front.configure("timeout = 60", "stop_grace = 1")
        front.start()
        with front.connect() as client:
            client.request(variables(path="/stubborn"))
            until(front.pids, "a handler")
            front.child.send_signal(signal.SIGTERM)
            assert front.child.wait() == 0
            assert not left(front)

    def test_second_signal(self, front):
        """Somebody who cannot wait for the grace."""
        front.configure("timeout = 60")
        front.start()
        with front.connect() as client:
            client.request(variables(path="/silent"))
            until(front.pids, "a handler")
            start = time.monotonic()
            front.child.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            front.child.send_signal(signal.SIGINT)
            assert front.child.wait() == 0
            assert time.monotonic() - start < 4
            assert not left(front)

    def test_other_signals(self, front):
        """A web server's PIPE, and children's ends, stop nothing."""
        front.start()
        for number in (signal.SIGPIPE, signal.SIGCHLD):
            front.child.send_signal(number)
        assert front.ask().status == 200
