"""Calls of libc that fail in a front that begins, that runs for one request
alone, that loads a policy, or that writes; and many of them at once [SPEC
4.7, 5.1, 5.5, 6.7, 6.8; E81, E83]."""

import os
import random
import re
import signal
import subprocess
import threading

import pytest

import backend
import kit
from failing import Plan
from kit import SENDER, ours, until
from test_faults_calls import (AMP_CORS, COSTLY, HARMLESS, NOBODY, REFUSED,
                               REQUESTS, WHICH, Server, asked, brief, fault,
                               is_clean, prepare, shown, table)

WORDS = {function: " ".join(filter(None, (HARMLESS.get(function),
                                          COSTLY.get(function))))
         for function in {**HARMLESS, **COSTLY}}


def preloaded(front, plan, *argv, **more):
    """A program of ours with the plan, to its end."""
    return subprocess.run([str(a) for a in argv], timeout=30, text=True,
                          env={"PATH": os.defpath, "TMPDIR": str(front.path),
                               **plan.env()},
                          capture_output=True, **more)


# Plain CGI

ONCE = ("refused", "refused-body", "refused-list", "preflight", "exec",
        "exec-body", "exec-spool", "forward", "scripts", "list")
CGI = {
    **{f: w for f, w in WORDS.items()
       if f not in ("accept4", "epoll_ctl", "epoll_wait", "pidfd_open",
                    "send")},
    "fopen": "EMFILE ENFILE EACCES EIO ENOMEM",
    "mmap": "ENOMEM",
    "signalfd": "EMFILE ENFILE ENOMEM",
}


class Once:
    """The front as a CGI program, and what its requests get in peace."""

    def __init__(self, front, helper):
        self.front, self.program = front, helper / "front"
        prepare(front)
        self.plan = Plan(front.path / "plan", helper)
        self.backend = backend.Backend(front.path / "backend.sock")
        self.backend.start()
        self.right = {n: shown(self.ask(n)) for n in ONCE}

    def ask(self, name):
        return self.front.cgi(
            front=self.program, env=list(self.plan.env().items()),
            **asked(self.front, name))

    def calls(self, function, word):
        """As each_call() of a server."""
        failed = 0
        for name in ONCE:
            for k in WHICH:
                self.front.forget()
                rule = self.plan.add(function, fault(word), first=k)
                answer = self.ask(name)
                hits = rule.hits
                self.plan.clear()
                until(lambda: not kit.left(self.front), "its handler's end")
                if not hits:
                    break
                failed += 1
                yield name, k, answer
        assert failed, "no such call is made"


@pytest.fixture(scope="class")
def once(shared, helper):
    made = Once(shared, helper)
    yield made
    made.backend.stop()


class TestCgi:
    """One clear answer; or none, and a status that says so."""

    @pytest.mark.parametrize("function, word", table(CGI))
    def test_each_call(self, once, function, word):
        other = []
        for name, k, answer in once.calls(function, word):
            right = once.right[name]
            silent = not answer.raw and answer.exit in (70, 71)
            if shown(answer) != right and not silent and \
                    not self.is_clean(answer, right, word):
                other.append((name, k, brief(answer), answer.exit))
            if name in REFUSED:
                assert answer.status not in (200, 204)
                assert not ours(answer.headers) and not once.front.ran()
        assert not other

    def is_clean(self, answer, right, word):
        # 500 and 503 also where the policy cannot be read [6.7, 6.8]
        return is_clean(answer, right, word) and (answer.exit == 0
                                                  or answer.broken)


# The beginning of a server

START = {
    "epoll_create1": "EMFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC", "eventfd": "EMFILE ENOMEM",
    "fcntl": "EBADF", "fopen": "EMFILE EACCES EIO ENOMEM",
    "fstat": "EIO ENOMEM", "listen": "EADDRINUSE",
    "mmap": "ENOMEM", "open": "EMFILE ENFILE EACCES EIO",
    "pread": "EIO EINTR cut", "pthread_create": "EAGAIN",
    "read": "EIO EINTR cut", "signalfd": "EMFILE ENOMEM",
    "socket": "EMFILE ENFILE ENOBUFS EACCES", "stat": "EIO EACCES",
}


class TestStart:
    """It serves, or it ends and says why; nothing in between."""

    @pytest.mark.parametrize("function, word", table(START))
    def test_each_call(self, front, helper, function, word):
        prepare(front)
        plan = Plan(front.path / "plan", helper)
        failed = 0
        for k in (*WHICH, 30):
            rule = plan.add(function, fault(word), first=k)
            front.start(env=plan.env(), front=helper / "front", wait=False)
            until(lambda: self.status(front) is not None, "a beginning")
            hits = rule.hits
            plan.clear()
            until(lambda: self.status(front), "an answer, or an end")
            self.judge(front)
            if not hits:
                break
            failed += 1
        assert failed, "no such call is made"

    def status(self, front):
        """Of an answer, 0 for none; 71 or so of an end; None: not yet."""
        if front.child.ended():
            return front.child.wait()
        try:
            return front.ask(**REQUESTS["refused"]).status
        except OSError:
            return None

    def judge(self, front):
        if front.child.ended():
            log = front.path / "log"
            assert front.child.wait() in (71, 78)
            assert front.log() or log.read_text()
            assert not os.path.exists(front.socket)
            front.child = None
            return
        assert front.ask(**REQUESTS["refused"]).status == 403
        assert front.ask(**REQUESTS["refused-list"]).status == 403
        assert front.ask(**REQUESTS["exec"]).status == 200
        assert front.stop() == 0


# Another policy

LOAD = {
    "fopen": "EMFILE ENFILE EIO", "fstat": "EIO ENOMEM",
    "open": "EMFILE ENFILE EIO ENOMEM EINTR", "pread": "EIO EINTR cut",
    "read": "EIO EINTR cut", "stat": "EIO EACCES ENOMEM",
}
OTHER = "other@company.example"


class TestReload:
    """The new one whole, or the old one [5.5, 6.8]."""

    def allows(self, server, sender):
        return server.front.ask(script="/exec", sender=sender).status == 200

    def put(self, server, sender):
        text = server.front.ini.read_text()
        kit.write(server.front.ini, re.sub(
            "(?m)^senders = .+$", f"senders = {sender}", text))

    def reload(self, server):
        """Was it taken?"""
        log = server.front.path / "log"
        before = len(log.read_text())
        server.front.child.send_signal(signal.SIGHUP)
        return until(lambda: re.findall(
            "(loaded again|not loaded), SIGHUP",
            log.read_text()[before:]), "SIGHUP")[0] == "loaded again"

    @pytest.mark.parametrize("function, word", table(LOAD))
    def test_each_call(self, front, helper, function, word):
        server = Server(front, helper)
        failed = 0
        try:
            for k in (*WHICH, 30):
                self.put(server, OTHER)
                with server.plan.failing(function, fault(word),
                                         first=k) as rule:
                    taken = self.reload(server)
                    hits = rule.hits
                assert self.allows(server, OTHER) == taken
                assert self.allows(server, SENDER) != taken
                assert not self.allows(server, NOBODY)
                # it is over: what was refused is taken, and back again
                assert self.reload(server)
                assert self.allows(server, OTHER)
                self.put(server, SENDER)
                assert self.reload(server)
                server.over("exec")
                if not hits:
                    break
                failed += 1
        finally:
            server.end()
        assert failed, "no such call is made"


# What is written

class TestLog:
    """A log that takes nothing, or half a line, is no reason to stop."""

    @pytest.mark.parametrize("plans", [
        [("write", "ENOSPC", 1, 1)], [("write", "EIO", 1, 2)],
        [("write", "ENOSPC", 2, 2), ("write", None, 1, 2)],
        [("write", "EINTR", 1, 2), ("write", None, 1, 1)]])
    def test_lines(self, front, helper, plans):
        server = Server(front, helper)
        for function, word, first, every in plans:
            server.plan.add(function, word, first, every, most=10)
        try:
            for name in ("refused", "exec", "preflight", "list") * 5:
                assert shown(server.ask(name)) == server.right[name]
            assert server.plan.clear()
            for name in ("refused", "exec"):
                server.over(name)
        finally:
            server.end()
        lines = (front.path / "log").read_text().splitlines()
        assert all(len(re.findall(r"20\d\d-\d\d-\d\dT", line)) <= 1
                   for line in lines)
        if "EINTR" in (p[1] for p in plans):  # then nothing is lost
            assert sum("sender-not-allowed" in line for line in lines) == \
                3 + 5 + 1

    def test_reopened(self, front, helper):
        """The old one goes on where there is no new one."""
        server = Server(front, helper)
        log = front.path / "log"
        try:
            os.rename(log, front.path / "old")
            with server.plan.failing("open", "EMFILE", first=1):
                front.child.send_signal(signal.SIGUSR1)
                until(lambda: "cannot be opened again"
                      in (front.path / "old").read_text(), "a complaint")
            assert not log.exists()
            server.over("refused")
            front.child.send_signal(signal.SIGUSR1)
            until(log.exists, "a new log")
            server.over("refused")
            until(lambda: "sender-not-allowed" in log.read_text(), "a line")
        finally:
            server.end()


FILES = {
    "fchmod": "EPERM", "fsync": "EIO ENOSPC EINTR",
    "open": "EMFILE ENOSPC EACCES", "rename": "EACCES ENOSPC EIO",
    "write": "ENOSPC EIO EDQUOT EINTR cut",
}


def strays(folder):
    return [f.name for f in folder.iterdir()
            if f.name.startswith(".amp-cors")]


class TestFiles:
    """A file is the old one or the new one, and nothing is left beside."""

    @pytest.mark.parametrize("function, word", table(FILES))
    def test_compile(self, front, helper, function, word):
        plan = Plan(front.path / "plan", helper)
        old, new = (self.compiled(front, n) for n in (10, 5000))
        cdb, failed = front.path / "list.cdb", 0
        for k in WHICH:
            cdb.write_bytes(old)
            rule = plan.add(function, fault(word), first=k)
            done = preloaded(front, plan, AMP_CORS, "compile",
                             front.path / "list", cdb)
            hits = rule.hits
            plan.clear()
            # after rename(2), it is the folder that could not be synced
            assert cdb.read_bytes() in \
                ([new] if done.returncode == 0 else [old, new]), (k, done)
            assert done.returncode == 0 or done.stderr
            assert not strays(front.path)
            if not hits:
                break
            failed += 1
        assert failed, "no such call is made"

    def compiled(self, front, n):
        rules = "".join(f"u{i}@list.example\n" for i in range(n))
        front.put("list", rules)
        subprocess.run([AMP_CORS, "compile", front.path / "list",
                        front.path / "list.cdb"], check=True,
                       stdout=subprocess.DEVNULL)
        return (front.path / "list.cdb").read_bytes()

    @pytest.mark.parametrize("function, word", [
        ("open", "ENOSPC"), ("write", "ENOSPC"), ("write", "EINTR"),
        ("write", "cut"), ("fchmod", "EPERM"), ("rename", "EIO")])
    def test_metrics(self, front, helper, function, word):
        """Written at the beginning and at the end."""
        metrics = front.path / "metrics"
        front.configure(server=f"metrics = file:{metrics}\n"
                        f"log = {front.path}/log")
        plan = Plan(front.path / "plan", helper)
        front.start(env=plan.env(), front=helper / "front")
        until(metrics.exists, "the first ones")
        old = metrics.read_bytes()
        assert front.ask(**REQUESTS["refused"]).status == 403
        # a call that is interrupted for ever would never end
        plan.add(function, fault(word), every=2 if word == "EINTR" else 1,
                 most=10)
        assert front.stop() == 0
        assert plan.clear()
        if word in ("EINTR", "cut"):
            assert b"sender-not-allowed" in metrics.read_bytes()
        else:
            assert metrics.read_bytes() == old
        assert not strays(front.path)


# All at once

MILD = [(f, w) for f, w in table(HARMLESS) if f != "accept4"] + \
    [("accept4", "EINTR")]
HARD = [(f, w) for f, w in table(COSTLY)
        if w in ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ENOSPC", "EIO",
                 "EAGAIN") and f not in ("poll",)][:30]
ROUNDS = 4


class TestAtOnce:
    """Every call with a chance to fail, and eight clients."""

    def ask_all(self, server, seed, into):
        names = list(REQUESTS) * ROUNDS
        random.Random(seed).shuffle(names)
        for name in names:
            try:
                answer = server.ask(name)
            except OSError as e:  # nothing came in time
                answer = kit.Answer(status=-1, errors=str(e))
            if shown(answer) != server.right[name]:
                into.append((name, answer))

    def storm(self, server, faults, chance):
        for i, (function, word) in enumerate(faults):
            server.plan.add(function, fault(word), chance=chance, most=7,
                            seed=i + 1)
        other = []
        clients = [threading.Thread(target=self.ask_all,
                                    args=(server, i, other))
                   for i in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert server.plan.clear()
        return other

    def test_interrupted_and_cut_short(self, front, helper):
        """Nobody can tell."""
        server = Server(front, helper)
        try:
            other = self.storm(server, MILD, 300000)
            assert not [(name, brief(a)) for name, a in other]
            server.over("exec")
        finally:
            server.end()

    def test_failing(self, front, helper):
        server = Server(front, helper)
        try:
            other = self.storm(server, HARD, 30000)
            assert other
            assert not [(name, brief(a)) for name, a in other
                        if not is_clean(a, server.right[name])]
            for name in REQUESTS:
                server.over(name)
        finally:
            server.end()
