"""amp-cors-cgi, with memory refused: a request may get a 5xx, and never what
it is not allowed; the program lives on [SPEC 4.10, E81]."""

import signal

import pytest
import torture
from kit import SENDER, V2, WAIT, answers, ours, until

STRANGER = "stranger@other.example"
PREFLIGHT = {"method": "OPTIONS", "sender": None,
             "origin": "https://mail.google.com",
             "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}
# what is asked, and the status of the answer
REQUESTS = {
    "allowed": ({}, 200),
    "refused": ({"sender": STRANGER}, 403),
    "preflight": (PREFLIGHT, 204),
    "a body": ({"method": "POST", "body": b"x" * 3000}, 200),
    "a body of unknown length": ({"method": "POST", "body": b"x" * 3000,
                                  "CONTENT_LENGTH": None}, 200),
}
# of what fails on our side, and of a policy that cannot be loaded
FAILURES = {(500, "policy-error"), (503, "policy-unavailable"),
            (503, "overloaded")}


# the second is what pthread_create(3) calls it
NO_MEMORY = "memory", "Resource temporarily unavailable"


def check(answer, want, name):
    """Right, or an error of ours, or nothing at all."""
    assert torture.fault(answer.errors.encode()) is None, answer.errors
    if not answer.raw or answer.broken:
        # not even that could be said, or the rest could not
        assert answer.status in (0, want), (name, answer)
    elif answer.status != want:
        reason = answer.status, answer.reason()
        assert reason in FAILURES, (name, reason, answer.errors)
    elif want == 200:
        assert ours(answer.headers) == V2, (name, answer)
    elif want == 403:
        assert not ours(answer.headers), (name, answer)


@pytest.mark.parametrize("name", REQUESTS)
def test_cgi(front, control, name):
    request, want = REQUESTS[name]
    env = list(control.env().items())
    answer = front.cgi(env=env, **request)
    total = control.asked()
    assert answer.status == want and total > 20, answer
    for case in torture.cases(total):
        control.refuse(*case)
        answer = front.cgi(env=env, seconds=6 * WAIT, **request)
        control.spare()
        check(answer, want, torture.named(case, total))
        if not answer.raw:
            assert answer.exit in (70, 71), (case, answer)


class Server:
    """A FastCGI server; what it said is looked through when it has ended."""

    def __init__(self, front, control):
        self.front, self.control = front, control

    def start(self, **more):
        return self.front.start(env=self.control.env(), **more)

    def stop(self):
        status, said = None, ""
        if self.front.child is not None:
            child = self.front.child
            status = self.front.stop()
            said = child.said()
        assert torture.fault(said.encode()) is None, said
        return status, said

    def asks(self, name, seconds=6 * WAIT):
        """The allocations that a request makes, once all is warm."""
        for _ in range(3):
            before = self.control.asked()
            self.right(name)
        return self.control.asked() - before

    def serves(self):
        """Not so while it has a socket, but has not begun."""
        try:
            return self.front.ask(sender=STRANGER).status == 403
        except OSError:
            return False

    def right(self, name, **other):
        request, want = REQUESTS[name]
        answer = self.front.ask(**{**request, **other})
        assert answer.status == want, answer


@pytest.fixture
def server(front, control):
    made = Server(front, control)
    yield made
    made.stop()


def test_start(server, control):
    """It is told, 71 or 78; or it serves, and rightly."""
    server.start()
    total = control.asked()
    server.stop()
    for case in torture.cases(total):
        name = torture.named(case, total)
        control.refuse(*case)
        server.start(wait=False)
        child = server.front.child
        until(lambda: child.ended() or answers(server.front.socket), name)
        control.spare()
        until(lambda: child.ended() or server.serves(), name)
        if not child.ended():
            server.right("allowed")
        status, said = server.stop()
        told = any(words in said for words in NO_MEMORY)
        assert status == 0 or status in (71, 78) and told, (
            name, status, said)
        child.log.unlink()


@pytest.mark.parametrize("name", REQUESTS)
def test_serving(server, control, name):
    """The request costs a 5xx at most, and the next one nothing."""
    request, want = REQUESTS[name]
    server.start()
    total = server.asks(name)
    for case in torture.cases(total):
        control.refuse(*case)
        answer = server.front.ask(**request)
        control.spare()
        check(answer, want, torture.named(case, total))
        server.right("allowed")
        server.right("refused")
    assert server.stop()[0] == 0


def lines(server, *words):
    return sum(any(w in line for w in words)
               for line in server.front.log().splitlines())


def hup(server):
    """Loads the policy again; whether that went well."""
    good, bad = "loaded again, SIGHUP", "not loaded, SIGHUP"
    before = lines(server, good), lines(server, good, bad)
    server.front.child.send_signal(signal.SIGHUP)
    until(lambda: lines(server, good, bad) > before[1], "SIGHUP")
    return lines(server, good) > before[0]


@pytest.fixture
def lists(server):
    """Two policies of which the second lets the stranger in, too."""
    front = server.front
    senders = {}
    for n, more in enumerate(("", f" {STRANGER}")):
        front.put(f"senders{n}", "x@list.example\n")
        senders[n] = (f"senders = {SENDER}{more}\n"
                      f"senders_file = {front.path}/senders{n}")

    def put(n):
        front.configure(senders[n], "reload_interval = 1")

    put(0)
    return put


def test_reload(server, control, lists):
    """What was in force stays, it is told, and tried again [SPEC 5.5]."""
    server.start()
    lists(1)
    before = control.asked()
    assert hup(server)
    total = control.asked() - before
    lists(0)
    assert hup(server)
    # each takes seconds
    for case in torture.cases(total, (torture.POINTS + 1) // 2):
        name = torture.named(case, total)
        control.refuse(*case)
        lists(1)
        loaded = hup(server)
        control.spare()
        server.right("allowed")
        answer = server.front.ask(sender=STRANGER)
        assert answer.status == (200 if loaded else 403), (name, answer)
        until(lambda: server.front.ask(sender=STRANGER).status == 200, name)
        lists(0)
        until(lambda: hup(server), name)
        server.right("refused")
    assert server.stop()[0] == 0
