"""A thousand peers that are slow, or do nothing, beside normal ones: they
cost nobody else anything, and go in time [SPEC 5.3, 5.4; E38, E79, E88,
E96]."""

import os

import pytest

import crowd
import fcgi
import kit
from kit import until, variables

# in seconds, more than any request takes: a machine may be busy
FLOOR = 0.05
# KiB a peer; the sanitizers want more for themselves
ROOM = 64 if kit.MEMORY < 100000 else 512
SERVER = "threads = 16\nhead_timeout = {seconds}\nidle_timeout = 0"


def started(front, seconds):
    crowd.many()
    front.configure(server=SERVER.replace("{seconds}", str(seconds)))
    front.start()
    # then all is open that will be, which the socket is before the rest
    assert front.ask().status == 200
    return front


def fds(front):
    return len(os.listdir(f"/proc/{front.child.pid}/fd"))


@pytest.fixture(scope="class")
def patient(shared):
    return started(shared, 60)


class TestBeside:
    @pytest.mark.parametrize("kind", crowd.PEERS)
    def test_latency(self, patient, kind):
        """Twice what it is without them, at most."""
        before = fds(patient)
        pairs, memory = crowd.compare(patient, kind, crowd.many(), 2, 400)
        for alone, beside in pairs:
            assert beside < 2 * alone + FLOOR
        assert memory < ROOM
        until(lambda: fds(patient) <= before, "their end", 20)


class TestTheirEnd:
    @pytest.mark.parametrize("kind", [
        "silent", "half-record", "half-head", "head-by-bytes",
        "parameters-by-bytes"])
    def test_head_timeout(self, front, kind):
        """E96: a byte now and then gives nobody more time."""
        started(front, 2)
        before = fds(front)
        made = crowd.Crowd(front.socket, kind, crowd.many())
        try:
            assert front.ask().status == 200
            until(lambda: made.open() == 0, "their end", 30)
            until(lambda: fds(front) <= before, "its descriptors", 10)
        finally:
            made.end()
        assert front.ask().status == 200

    def test_idle_stay(self, front):
        """head_timeout is for heads that have begun."""
        started(front, 1)
        made = crowd.Crowd(front.socket, "idle", 50)
        other = crowd.Crowd(front.socket, "half-head", 50)
        try:
            until(lambda: other.open() == 0, "the others' end", 30)
            assert made.open() == 50
        finally:
            made.end()
            other.end()


class TestHandlers:
    """What holds a handler is let go in time; others have theirs."""

    def held(self, front, count, request, body=b""):
        front.forget()
        clients = [front.connect() for _ in range(count)]
        for client in clients:
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(request)) + body)
        until(lambda: len(front.pids()) == count, "the handlers")
        return clients

    def let_go(self, front, clients):
        # the normal ones in between
        assert front.ask().status == 200
        assert front.ask(sender=crowd.NOBODY).status == 403
        until(lambda: not kit.left(front), "the handlers' end", 30)
        for client in clients:
            client.close()

    def test_bodies_that_stall(self, front):
        """408 at body_timeout."""
        started(front, 60)
        clients = self.held(
            front, 12, variables(method="POST", body=b"x" * 1000),
            fcgi.record(fcgi.STDIN, 1, b"x"))
        for client in clients:
            assert kit.of_fcgi(client.answer()).status == 408
        self.let_go(front, clients)

    def test_answers_that_nobody_takes(self, front):
        """Closed at send_timeout, and the handler with it."""
        started(front, 60)
        clients = self.held(front, 12, variables(path="/flood"),
                            fcgi.record(fcgi.STDIN))
        self.let_go(front, clients)
