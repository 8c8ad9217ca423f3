#!/usr/bin/python3
"""usage: storm.py SECONDS

Faults under load: nginx, a front of each kind of handler, and 500 requests a
second, while all that can go wrong does, one thing after another. Each
request gets one whole answer or a clean error, and only those fail that were
under way at a fault which costs them something ("make soak"). For a short
time this is tests/http/test_faults_load.py."""

import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import crowd  # noqa: E402
import kit  # noqa: E402
import load  # noqa: E402
import servers  # noqa: E402
import test_php_fpm  # noqa: E402
from kit import SENDER, until  # noqa: E402

AMP_CORS = os.environ.get("AMP_CORS", kit.ROOT / "amp-cors")
RATE = 500
LISTED = "listed@list.example"
COMPILED = "compiled@list.example"
NOBODY = "nobody@elsewhere.example"
GOOGLE = "https://mail.google.com"
# KiB that a front may gain under load; the sanitizers keep what is freed
GROWTH = 3000 if kit.MEMORY < 100000 else kit.MEMORY
LONG = 50000      # lines of a list: a policy that stays is seen
KEPT = 4          # idle connections of nginx's
EXEC, PHP, EVERY = {"exec"}, {"php"}, {"exec", "php", "own"}

POLICY = """\
[policy]
senders = {sender}
timeout = 20
[endpoint run]
path = /amp
exec = {dir}/storm-cgi
[endpoint list]
path = /amp/list
senders =
senders_file = {dir}/list
senders_cdb = {dir}/list.cdb
handler = none
[endpoint scripts]
path = /amp-scripts
scripts = {www}/amp-scripts
[endpoint php]
path = /amp-scripts/h.php
forward = {php}
[server]
stop_grace = 60
threads = 16
queue = 64
queue_timeout = 60
socket_mode = 0666
reload_interval = 1
log = {dir}/log
"""

SCRIPT = """<?php
header("Content-Type: text/plain");
header("X-Id: " . $_SERVER["HTTP_X_ID"]);
echo "id ", $_SERVER["HTTP_X_ID"], "\\n", file_get_contents("php://input");
"""


def sender(address, what=""):
    fields = (f"AMP-Email-Sender: {address}",)
    return fields + ((f"X-What: {what}",) if what else ())


def once(name):
    return f"id {name}\n".encode()


def given_back(name):
    return once(name) + f"body of {name}\n".encode() * 100


def large(name):
    return once(name) * 4096


ALLOWED = {"AMP-Email-Allow-Sender": SENDER}
BARE = {"AMP-Email-Allow-Sender": None,
        "Access-Control-Allow-Origin": None}
DIED = (load.ERROR, load.CUT)


def allowed(name, target, share, what="", **more):
    """Requests that a handler answers; `needs` is what can fail them."""
    more.setdefault("body", once)
    return load.Kind(name, target, share, fields=sender(SENDER, what),
                     has=ALLOWED, **more)


KINDS = {
    "own": [
        load.Kind("refused", "/amp/x", 30, fields=sender(NOBODY), status=403,
                  has=BARE),
        load.Kind("refused-list", "/amp/list", 5, fields=sender(NOBODY),
                  status=403, has=BARE),
        load.Kind("refused-body", "/amp/x", 3, fields=sender(NOBODY),
                  method="POST", post=True, status=403, has=BARE),
        load.Kind("preflight", "/amp/x", 15, method="OPTIONS", status=204,
                  fields=(f"Origin: {GOOGLE}",
                          "Access-Control-Request-Method: POST"),
                  has={"Access-Control-Allow-Origin": GOOGLE}),
        load.Kind("listed", "/amp/list", 5, fields=sender(LISTED),
                  has={"AMP-Email-Allow-Sender": LISTED}, body=lambda _: b""),
        load.Kind("compiled", "/amp/list", 5, fields=sender(COMPILED),
                  has={"AMP-Email-Allow-Sender": COMPILED},
                  body=lambda _: b""),
    ],
    "exec": [
        allowed("exec", "/amp/x", 15),
        allowed("exec-body", "/amp/x", 3, method="POST", post=True,
                body=given_back),
        allowed("exec-large", "/amp/x", 1, "large", body=large),
        allowed("exec-slow", "/amp/x", 1, "slow"),
        allowed("scripts", "/amp-scripts/h.cgi", 4),
        *(allowed(name, "/amp/x", 1, name, outcomes=DIED)
          for name in ("die-before", "die-head", "die-body")),
        allowed("die-sized", "/amp/x", 1, "die-sized"),
    ],
    "php": [
        allowed("php", "/amp-scripts/h.php", 15),
        allowed("php-body", "/amp-scripts/h.php", 3, method="POST",
                post=True, body=given_back),
    ],
}
NEEDS = {kind.name: needs for needs, kinds in KINDS.items() for kind in kinds}


@dataclass
class Window:
    """When a fault may have cost requests something, and which ones."""

    fault: str
    kinds: set
    start: float
    end: float = float("inf")

    def covers(self, shot):
        return NEEDS[shot.kind.name] in self.kinds and \
            shot.start <= self.end and shot.end >= self.start


class Site(test_php_fpm.Php, servers.NginxUnixKept):
    """The web server, the front, PHP-FPM, and all of their files."""

    def __init__(self, folder, helper):
        super().__init__(folder, helper)
        for place in (self.front.path, self.scripts):
            shutil.copy(helper / "storm-cgi", place)
        (self.scripts / "storm-cgi").rename(self.scripts / "h.cgi")
        kit.write(self.scripts / "h.php", SCRIPT)
        self.senders = 0

    def before(self):
        for _ in range(5):
            self.address = f"unix:{self.run}/fpm.sock"
            if self.start_fpm():
                break
        self.put_lists()
        self.put_policy()
        self.start_front()

    def start_front(self):
        self.front.start(front=self.program)
        self.read = 0

    def put_policy(self, broken=False):
        text = POLICY.replace("{www}", str(self.www))
        text = text.replace("{php}", self.address)
        if broken:
            text = text.replace("timeout = 20", "timeout = twenty")
        self.front.configure(whole=text)

    def put_lists(self):
        """The same senders as ever, and others beside them."""
        self.senders += 1
        more = "".join(f"u{self.senders}-{i}@list.example\n"
                       for i in range(LONG))
        dir = self.front.path
        os.rename(self.front.put("new", more + LISTED + "\n"), dir / "list")
        self.front.put("text", more + COMPILED + "\n")
        subprocess.run([AMP_CORS, "compile", dir / "text", dir / "list.cdb"],
                       check=True, stdout=subprocess.DEVNULL)

    def said(self, words):
        """Has the log come to say so? It is read once."""
        log = self.front.path / "log"
        with open(log, "rb") as f:
            f.seek(self.read)
            text = f.read()
        found = text.find(words.encode())
        if found != -1:
            self.read += found + len(words)
        return found != -1

    def workers(self):
        """nginx's."""
        return [p for p, parent, state, _ in kit.processes()
                if parent == self.children[-1].pid and state != "Z"]


def kill_child(pid, parent):
    """This very process, not one that has got its number since."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            if (pid, parent) in [p[:2] for p in kit.processes()]:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)


class Storm:
    """The site under load, and what can be done to it."""

    def __init__(self, folder, helper, rate=RATE):
        self.site = Site(folder, helper).start()
        self.windows = []
        every = [k for kinds in KINDS.values() for k in kinds]
        self.load = load.Load(self.site.port, every, rate)
        self.samples = []
        self.began = time.monotonic()
        self.load.start()

    # the faults

    def window(self, fault, kinds):
        made = Window(fault, kinds, time.monotonic())
        self.windows.append(made)
        return made

    def close(self, window):
        """It is over for those that begin now."""
        window.end = time.monotonic()

    def kill_worker(self):
        """One of nginx's: what it had in hand is lost."""
        old = self.site.workers()
        window = self.window("worker", EVERY)
        os.kill(old[0], signal.SIGKILL)
        until(lambda: set(self.site.workers()) - set(old), "a new worker")
        self.close(window)

    def kill_handlers(self):
        """Whatever runs at the moment, wherever it has come to."""
        front = self.site.front.child.pid
        window = self.window("handlers", EXEC)
        for _ in range(20):
            for pid, parent, _, _ in list(kit.processes()):
                if parent == front:
                    kill_child(pid, front)
            time.sleep(0.01)
        self.close(window)

    def restart_php(self):
        window = self.window("php", PHP)
        self.site.stop_fpm()
        assert self.site.start_fpm()
        self.close(window)

    def reload(self):
        """SIGHUP: costs nobody anything."""
        self.hang_up("loaded again, SIGHUP")

    def break_policy(self):
        """What does not check is not taken; nobody sees it."""
        self.site.put_policy(broken=True)
        self.hang_up("not loaded, SIGHUP")
        self.site.put_policy()
        self.hang_up("loaded again, SIGHUP")

    def hang_up(self, words):
        self.site.front.child.send_signal(signal.SIGHUP)
        until(lambda: self.site.said(words), words, 30)

    def change_lists(self):
        """Seen by the front itself."""
        self.site.put_lists()
        until(lambda: self.site.said("list.cdb has changed")
              or self.site.said("list has changed"), "the new lists", 30)

    def rotate_log(self):
        log = self.site.front.path / "log"
        os.rename(log, self.site.front.path / "log.1")
        self.site.front.child.send_signal(signal.SIGUSR1)
        until(log.exists, "a new log")
        self.site.read = 0

    def restart_front(self):
        """TERM ends what runs; the next one takes the same socket."""
        window = self.window("front", EVERY)
        assert self.site.front.stop() == 0
        self.site.start_front()
        self.close(window)

    FAULTS = (kill_worker, kill_handlers, restart_php, reload, break_policy,
              change_lists, rotate_log)

    # what is left of them

    def sample(self, name):
        """At rest: descriptors, children and memory of the front."""
        self.load.rest()
        pid = self.site.front.child.pid
        until(lambda: not kit.children(pid), "its handlers' end", 30)
        fds = self.descriptors(pid)
        threads = len(os.listdir(f"/proc/{pid}/task"))
        self.samples.append((time.monotonic() - self.began, pid, name, fds,
                             threads, kit.memory(pid)))
        self.load.go_on()
        return self.samples[-1]

    def descriptors(self, pid):
        """Its connections may be about to end: those that do not, count."""
        first = next((s[3] for s in self.samples if s[1] == pid), None)

        def count():
            return len(os.listdir(f"/proc/{pid}/fd"))

        with contextlib.suppress(AssertionError):
            until(lambda: first is None or count() <= first + KEPT, "less")
        return count()

    def run(self, seconds, pause):
        """Every fault in turn, and the front's restart now and then."""
        end = time.monotonic() + seconds
        self.begin(pause)
        turns = 0
        while turns == 0 or time.monotonic() < end:
            for fault in self.FAULTS:
                fault(self)
                time.sleep(pause)
            self.sample("faults")
            turns += 1
            if turns % 50 == 1:
                self.restart_front()
                self.begin(pause)
        return turns

    def begin(self, pause):
        """As it is in peace, once all has been in use."""
        time.sleep(pause)
        self.change_lists()
        time.sleep(pause)
        self.sample("begins")

    def stop(self):
        """Whatever one of them says to it, the others end too."""
        with contextlib.ExitStack() as last:
            last.callback(self.stop_php)
            last.callback(self.site.stop)
            last.callback(self.load.stop)

    def stop_php(self):
        if self.site.fpm is not None:
            self.site.stop_fpm()

    # what came of it

    def lost(self):
        """Requests that failed, and no fault is to blame for it."""
        return [str(s) for s in self.load.odd
                if s.outcome in (load.WRONG, load.LATE)
                or not any(w.covers(s) for w in self.windows)]

    def leaks(self):
        """Fronts that have more than when they had begun."""
        first, found = {}, []
        for sample in self.samples:
            _, pid, _, fds, threads, rss = sample
            _, _, _, fds0, threads0, rss0 = first.setdefault(pid, sample)
            if fds > fds0 + KEPT or threads != threads0 or \
                    rss > rss0 + GROWTH:
                found.append((first[pid], sample))
        return found

    def table(self):
        """How many requests of each kind came out how."""
        count = collections.Counter()
        for (name, outcome, status, reason), n in self.load.counts.items():
            count[(NEEDS[name], name, f"{outcome} {status} {reason}")] += n
        return [f"{name:14} {outcome:32} {n:8}"
                for (_, name, outcome), n in sorted(count.items())]

    def report(self):
        took = time.monotonic() - self.began
        for line in self.table():
            print(line)
        print(f"{self.load.asked} requests in {took:.0f} s, the longest "
              f"{self.load.longest:.2f} s")
        failed = collections.Counter(
            next((w.fault for w in self.windows if w.covers(s)), "none")
            for s in self.load.odd)
        print("failed at a fault:", dict(failed), "of",
              dict(collections.Counter(w.fault for w in self.windows)))
        for at, pid, name, fds, threads, rss in self.samples:
            print(f"{at:6.0f} s {name:8} process {pid} {fds} descriptors "
                  f"{threads} threads {rss} KiB")


def slow_peers(helper):
    folder = kit.Folder()
    front = kit.Front(folder, helper)
    crowd.many()
    front.configure(server="threads = 16\nhead_timeout = 60")
    try:
        crowd.report(front.start())
    finally:
        front.stop()
        folder.remove()


def main():
    helper = Path(os.environ.get("TEST_HELPERS", kit.ROOT / "build/helpers"))
    folder = kit.Folder()
    os.umask(0o022)
    storm = Storm(folder, helper)
    try:
        storm.run(float(sys.argv[1]), 1)
    finally:
        storm.stop()
        folder.remove()
    storm.report()
    slow_peers(helper)
    lost, leaks = storm.lost(), storm.leaks()
    for line in lost[:20]:
        print("LOST", line)
    for line in leaks:
        print("LEAK", line)
    return 1 if lost or leaks else 0


if __name__ == "__main__":
    sys.exit(main())
