"""Calls of libc that fail, or are cut short, in a front that runs: that may
cost an answer, and nothing that lasts [SPEC 4.7, 4.10; E81]."""

import os
import signal
import subprocess

import pytest

import backend
import fcgi
import kit
from failing import Plan
from kit import SENDER, ours, until

AMP_CORS = os.environ.get("AMP_CORS", kit.ROOT / "amp-cors")
NOBODY = "nobody@elsewhere.example"
GOOGLE = "https://mail.google.com"
SMALL = b"x" * 3000
LARGE = bytes(range(256)) * 800     # more than a spool holds in memory
WHICH = 1, 2, 3, 4, 6, 9, 14        # calls of one kind that fail, one by one

POLICY = """\
[policy]
senders = {sender}
timeout = 3
body_timeout = 3
send_timeout = 3
kill_grace = 1
[endpoint exec]
path = /exec
exec = {dir}/handler
[endpoint scripts]
path = /scripts
scripts = {dir}
[endpoint forward]
path = /forward
timeout = 1
forward = unix:{dir}/backend.sock
[endpoint list]
path = /list
senders =
senders_cdb = {dir}/list.cdb
handler = none
[server]
threads = 3
queue = 4
reload_interval = 0
log = {dir}/log
"""

# the requests, each of which asks for something else of the system
REFUSED = {
    "refused": dict(script="/exec", sender=NOBODY),
    "refused-body": dict(script="/exec", sender=NOBODY, method="POST",
                         body=SMALL),
    "refused-list": dict(script="/list", sender=NOBODY),
}
ALLOWED = {
    "preflight": dict(script="/exec", method="OPTIONS", sender=None,
                      origin=GOOGLE,
                      HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST"),
    "exec": dict(script="/exec"),
    "exec-body": dict(script="/exec", method="POST", body=SMALL),
    "exec-large": dict(script="/exec", method="POST", body=LARGE,
                       path="/talk/200000"),
    "exec-spool": dict(script="/exec", method="POST", body=LARGE,
                       CONTENT_LENGTH="-1"),
    "scripts": dict(script="/scripts/handler"),
    "scripts-link": dict(script="/scripts/link"),
    "forward": dict(script="/forward", method="POST", body=SMALL),
    "forward-large": dict(script="/forward", method="POST", body=LARGE),
    "forward-spool": dict(script="/forward", method="POST", body=LARGE,
                          CONTENT_LENGTH="-1"),
    "list": dict(script="/list"),
}
REQUESTS = {**REFUSED, **ALLOWED}
# a handler that goes on for a moment after its answer
LATE = dict(script="/exec", path="/stderr/late")

# what each function may say without a program's fault: first what costs
# nothing at all, then what may cost an answer; "cut": it moves one byte
HARMLESS = {
    "accept4": "EINTR ECONNABORTED",
    "connect": "EINTR",
    "epoll_wait": "EINTR",
    "openat2": "EMFILE ENFILE ENOMEM ENOSYS",
    "pidfd_open": "EMFILE ENFILE ENOMEM ENOSYS",
    "poll": "EINTR",
    "pread": "EINTR cut",
    "read": "EINTR cut",
    "recv": "EINTR EAGAIN cut",
    "send": "EINTR EAGAIN cut",
    "sendfile": "EINTR cut",
    "sendmsg": "EINTR EAGAIN cut",
    "waitid": "EINTR",
    "write": "EINTR cut",
}
COSTLY = {
    "accept4": "EMFILE ENFILE ENOBUFS ENOMEM",
    "chdir": "EACCES ENOENT EIO ENOMEM",
    "close_range": "EMFILE ENOSYS",
    "connect": "ECONNREFUSED ENOENT EACCES EAGAIN ETIMEDOUT",
    "dup2": "EMFILE EBUSY EINTR",
    "epoll_ctl": "ENOMEM ENOSPC",
    "execve": "EACCES ENOENT EIO EMFILE ENOMEM EAGAIN E2BIG ETXTBSY",
    "fcntl": "EBADF",
    "fstat": "EIO ENOMEM",
    "lseek": "EIO",
    "memfd_create": "EMFILE ENFILE ENOMEM",
    "open": "EMFILE ENFILE ENOMEM ENOSPC EIO EINTR",
    "pipe2": "EMFILE ENFILE",
    "poll": "ENOMEM",
    "pread": "EIO ENOMEM",
    "read": "EIO",
    "realpath": "EIO ENOMEM",
    "recv": "ECONNRESET ETIMEDOUT ENOMEM",
    "send": "ECONNRESET EPIPE ENOBUFS ENOMEM",
    "sendfile": "EIO ENOSPC ENOMEM",
    "sendmsg": "ECONNRESET EPIPE ENOBUFS ENOMEM",
    "setpgid": "EPERM",
    "socket": "EMFILE ENFILE ENOBUFS ENOMEM EACCES",
    "stat": "EIO ENOMEM ELOOP",
    "vfork": "EAGAIN ENOMEM",
    "write": "EIO ENOSPC EDQUOT",
}


def table(words):
    return [(function, word) for function, line in words.items()
            for word in line.split()]


def fault(word):
    return None if word == "cut" else word


def prepare(front):
    """The policy's files; the handler is also a script that is asked for."""
    front.put("list.txt", f"{SENDER}\n*@list.example\n")
    subprocess.run([AMP_CORS, "compile", front.path / "list.txt",
                    front.path / "list.cdb"], check=True,
                   stdout=subprocess.DEVNULL)
    front.configure(whole=POLICY)
    (front.path / "link").symlink_to(front.handler)


def asked(front, name):
    request = dict(LATE if name == "late" else REQUESTS[name])
    if name == "scripts":
        request["SCRIPT_FILENAME"] = str(front.handler)
    if name == "scripts-link":
        request["SCRIPT_FILENAME"] = str(front.path / "link")
    return request


def shown(answer):
    return (answer.status, ours(answer.headers), answer.body, answer.broken)


def brief(answer):
    """For whoever reads that a test has failed."""
    return (answer.status, answer.body[:60], len(answer.body),
            "broken" if answer.broken else "ended")


# what a file may be to whom it is said, and what says that we want for
# something
PLACE = ("ENOENT", "EACCES", "ELOOP", "EPERM", "any")
WANT = ("ENOMEM", "ENOBUFS", "EMFILE", "ENFILE")


def is_clean(answer, right, word="any"):
    """An error of the front's own, or an end that nobody takes for one of
    an answer."""
    if not answer.raw or answer.broken:
        status, headers, body, _ = right
        return not answer.status or (
            answer.status == status and ours(answer.headers) == headers
            and body.startswith(answer.body))
    reason = answer.reason()
    # a handler that cannot be found or run is refused so [2.11]
    if answer.status not in (500, 502, 503, 504) and not (
            reason == "not-redirected" or word in PLACE and reason in (
                "handler-missing", "handler-forbidden")):
        return False
    # and nobody waits for what will not come
    if answer.status == 504 and word in WANT:
        return False
    # with the headers of what was allowed, or with none
    return ours(answer.headers) in ([], right[1])


class Asker(fcgi.Client):
    """A client that takes half a record at the end for the end."""

    def record(self):
        while len(self.buffer) < 8:
            if not self.more():
                return None
        return super().record()


class Server:
    """A front with a plan, and what its requests are answered in peace."""

    def __init__(self, front, helper):
        self.front = front
        front.connect = lambda: Asker(front.socket)
        self.good = self.held = True
        prepare(front)
        self.plan = Plan(front.path / "plan", helper)
        self.backend = backend.Backend(front.path / "backend.sock")
        self.backend.start()
        front.start(env=self.plan.env(), front=helper / "front")
        self.pid = front.child.pid
        self.right = {n: shown(self.ask(n)) for n in [*REQUESTS, "late"]}
        self.at_rest()
        self.open = self.fds()

    def ask(self, name):
        return self.front.ask(**asked(self.front, name))

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def at_rest(self):
        until(lambda: not kit.children(self.pid), "its handlers' end")

    def over(self, name):
        """The fault is over: nothing is left of it."""
        assert not self.front.child.ended(), self.front.log()
        assert shown(self.ask(name)) == self.right[name]
        self.at_rest()
        until(lambda: self.fds() <= self.open, "its descriptors' end")

    def end(self):
        self.plan.clear()
        try:
            assert self.front.stop() == 0
        finally:
            self.backend.stop()


@pytest.fixture(scope="class")
def servers(shared, helper):
    """One for all tests, and another one where a test has spoilt it."""
    made = []

    def server():
        if made and not made[-1].good:
            made.pop().end()
        if not made:
            made.append(Server(shared, helper))
        return made[-1]

    yield server
    if made:
        made.pop().end()


@pytest.fixture
def server(servers):
    made = servers()
    made.good = False
    yield made
    made.good = made.held


def each_call(server, function, word):
    """The answers to each request whose first call of a function fails, then
    its second one, and so on, as many as it makes."""
    failed = 0
    names = ["late"] if function == "pidfd_open" else REQUESTS
    server.held = False
    for name in names:
        for k in WHICH:
            server.front.forget()
            rule = server.plan.add(function, fault(word), first=k)
            if function == "send":  # what sendmsg() has left over
                server.plan.add("sendmsg", every=1, most=1000)
            answer = server.ask(name)
            hits = rule.hits
            server.plan.clear()
            if not hits:
                break
            failed += 1
            yield name, k, answer
            server.over(name)
    server.held = True
    assert failed, "no such call is made"


class TestServer:
    """Each call of each request, one after another."""

    @pytest.mark.parametrize("function, word", table(HARMLESS))
    def test_harmless(self, server, function, word):
        """What may be tried again changes nothing."""
        other = [(name, k, brief(answer)) for name, k, answer
                 in each_call(server, function, word)
                 if shown(answer) != server.right[name]]
        assert not other

    @pytest.mark.parametrize("function, word", table(COSTLY))
    def test_costly(self, server, function, word):
        """SPEC 4.7: one clear answer, or a clean end; and whatever fails,
        nothing is allowed for that."""
        other = []
        for name, k, answer in each_call(server, function, word):
            right = server.right[name]
            if shown(answer) != right and \
                    not is_clean(answer, right, word):
                other.append((name, k, brief(answer)))
            if name in REFUSED:
                assert answer.status not in (200, 204)
                assert not ours(answer.headers) and not server.front.ran()
        assert not other

class TestDoor:
    """E81: whoever stands there comes in once there is room."""

    @pytest.mark.parametrize("word", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
    def test_closed_for_a_time(self, server, word):
        server.held = False
        # the reserve does not help, and then the door does not open at once
        server.plan.add("accept4", word, every=1)
        later = server.plan.add("epoll_ctl", "ENOMEM", first=2)
        items = kit.variables(**asked(server.front, "refused"))
        with server.front.connect() as client:
            client.request(items)
            until(lambda: later.hits, "a door that did not open")
            server.plan.clear()
            # nobody else comes, who would be an event
            assert shown(kit.of_fcgi(client.answer())) == \
                server.right["refused"]
        server.over("refused")
        server.held = True
