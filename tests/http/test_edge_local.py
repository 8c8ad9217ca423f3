"""What other users of the machine can do, and what handlers can do to the
front: the claims of SECURITY.md."""

import os
import pwd
import signal
import socket
import subprocess
import time

import pytest

import fcgi
import kit
from kit import SENDER, left, of_fcgi, until, variables
from test_doors import fails

NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")

# What one user sees of another one's processes.
LOOK = """
import os, sys
for name in ("environ", "mem", "fd", "cmdline"):
    path = f"/proc/{sys.argv[1]}/{name}"
    try:
        got = os.listdir(path) if name == "fd" else open(path, "rb").read(4096)
        print(name, got)
    except OSError as e:
        print(name, type(e).__name__)
for number in sys.argv[2].split(","):
    try:
        os.kill(int(sys.argv[1]), int(number))
        print("signal", number)
    except PermissionError:
        print("no signal", number)
"""


def as_user(who, script, *args):
    """What a Python script prints that somebody else runs."""
    got = subprocess.run(
        ["/usr/bin/python3", "-c", script, *map(str, args)], cwd="/",
        user=who.pw_uid, group=who.pw_gid, extra_groups=[], timeout=20,
        capture_output=True, text=True)
    assert got.returncode == 0, got.stderr
    return got.stdout.splitlines()


class TestOtherUsers:
    """Neither root nor the front's own user."""

    root_alone = True
    HIDDEN = ["environ PermissionError", "mem PermissionError",
              "fd PermissionError"]

    def look(self, pid):
        return as_user(DAEMON, LOOK, pid, "1,10,15,9")

    @pytest.fixture
    def server(self, front):
        front.configure("timeout = 60", "user = nobody")
        front.path.chmod(0o777)
        front.start()
        assert front.ask().status == 200  # it has become that by now
        front.forget()
        return front

    def test_front(self, server):
        """No signal of theirs reloads, reopens or ends it."""
        seen = self.look(server.child.pid)
        assert seen[:3] == self.HIDDEN
        assert seen[4:] == [f"no signal {n}" for n in (1, 10, 15, 9)]
        assert server.ask().status == 200

    def test_handler(self, server):
        """Cookies and bodies are in no command line, which all can read."""
        with server.connect() as client:
            client.request(variables(path="/silent", query="token=secret",
                                     HTTP_COOKIE="session=secret"))
            pid, = until(server.pids, "a handler")
            seen = self.look(pid)
        assert seen[:3] == self.HIDDEN
        assert seen[3].startswith("cmdline b'") and "secret" not in seen[3]
        assert "@" not in seen[3]
        assert seen[4:] == [f"no signal {n}" for n in (1, 10, 15, 9)]


class TestHandlersUser:
    """Handlers have the front's user, who is not root any more."""

    root_alone = True

    def test_not_dumpable(self, front):
        """Nothing of what root read is in reach of that user's debuggers."""
        front.configure("timeout = 60", "user = nobody")
        front.path.chmod(0o777)
        front.start()
        assert front.ask().status == 200  # it has become that by now
        seen = as_user(NOBODY, LOOK, front.child.pid, "0")
        assert seen[:3] == TestOtherUsers.HIDDEN
        assert seen[4:] == ["signal 0"]  # the same user may end it


def stranger_in(front, name):
    """A folder that belongs to the server's later user."""
    made = front.path / name
    made.mkdir()
    os.chown(made, NOBODY.pw_uid, NOBODY.pw_gid)
    return made


class TestLinks:
    """Started as root, with folders that its later user may write to."""

    root_alone = True

    @pytest.fixture
    def victim(self, front):
        folder = front.path / "root-only"
        folder.mkdir(mode=0o755)
        return kit.write(folder / "file", "as it was\n", 0o640)

    def start(self, front, victim, target, **more):
        logs = stranger_in(front, "logs")
        (logs / "log").symlink_to(target)
        os.lchown(logs / "log", more.get("owner", NOBODY.pw_uid), -1)
        front.configure(server=f"user = nobody\nlog = {logs}/log")
        front.path.chmod(0o755)
        front.path.parent.chmod(0o777)
        front.start(wait=False)

    @pytest.mark.parametrize("name", ["file", "new"])
    def test_log(self, front, victim, name):
        """Else root would make files wherever that user likes, and give them
        to him."""
        before = sorted(os.listdir(victim.parent))
        self.start(front, victim, victim.parent / name)
        assert "front/logs/log: Too many levels" in fails(front, 78)
        assert sorted(os.listdir(victim.parent)) == before
        info = victim.stat()
        assert (info.st_uid, info.st_mode & 0o777) == (0, 0o640)
        assert victim.read_text() == "as it was\n"

    def test_log_by_roots_link(self, front, victim):
        """What root has put there is followed."""
        self.start(front, victim, victim, owner=0)
        until(lambda: kit.answers(front.socket), "the front")
        front.ask()
        until(lambda: SENDER in victim.read_text(), "the log")

    def test_socket(self, front, victim):
        """A link in the socket's place, between its making and its mode."""
        run = stranger_in(front, "run")
        front.configure(server="user = nobody\nsocket_mode = 0666")
        path = run / "s"
        slow = ["strace", "-f", "-o", front.path / "trace", "-e",
                "trace=bind", "-e", "inject=bind:delay_exit=700000"]
        front.child = kit.Child(
            [*slow, kit.FRONT, "-c", front.ini, "--listen", f"unix:{path}"],
            front.path / "stderr", env={  # LeakSanitizer is a tracer, too
                "PATH": os.defpath, "ASAN_OPTIONS": "detect_leaks=0"})
        until(lambda: path.is_socket(), "the socket")
        path.unlink()
        path.symlink_to(victim)
        fails(front, 71)
        assert victim.stat().st_mode & 0o777 == 0o640
        assert not os.path.lexists(path)


def unnamed(fds):
    """The file that a process holds and that is in no folder."""
    for number in os.listdir(fds):
        try:
            name = os.readlink(f"{fds}/{number}")
            info = os.stat(f"{fds}/{number}")
        except FileNotFoundError:  # closed meanwhile
            continue
        if name.endswith(" (deleted)") and "memfd:" not in name:
            return info
    return None


class TestFiles:
    """What is made, and for whom."""

    @pytest.mark.parametrize("umask", [0, 0o077])
    def test_log(self, front, umask):
        log = front.path / "log"
        front.configure(server=f"log = {log}")
        front.start(preexec_fn=lambda: os.umask(umask))
        front.ask()
        until(lambda: log.stat().st_size, "the log")
        assert log.stat().st_mode & 0o777 == 0o640 & ~umask

    def test_body(self, front):
        """A body that is kept has no name, and is nobody else's to open."""
        front.configure("body_timeout = 20")
        front.start()
        with front.connect() as client:
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(variables(method="POST")))
                + fcgi.stream(fcgi.STDIN, b"x" * 200000, close=False))
            fds = f"/proc/{front.child.pid}/fd"
            info = until(lambda: unnamed(fds), "the file")
            assert info.st_nlink == 0 and info.st_mode & 0o777 == 0o600
            client.send(fcgi.record(fcgi.STDIN))
            assert of_fcgi(client.answer()).status == 200


class TestLog:
    SECRETS = {"HTTP_COOKIE": "secret=1", "HTTP_AUTHORIZATION": "Basic secret",
               "HTTP_X_TOKEN": "secret", "HTTP_REFERER": "https://x/?secret"}

    @pytest.mark.parametrize("level", ["info", "debug"])
    @pytest.mark.parametrize("form", ["text", "json"])
    @pytest.mark.parametrize("path", ["/echo", "/die/3", "/raw/none"])
    def test_nothing_else(self, front, level, form, path):
        """Query, body, cookies and the like are in no line of it."""
        front.configure("pass_authorization = yes\ntimeout = 5",
                        f"log_level = {level}\nlog_format = {form}")
        front.start()
        for who in (SENDER, "a@b.example"):
            front.ask(method="POST", path=path, query="token=secret",
                      sender=who, body=b"secret", **self.SECRETS)
        until(lambda: "a@b.example" in front.log(), "the lines")
        assert "secret" not in front.log()


class TestHostileHandler:
    """It has the front's user and a process group of its own, no more."""

    def test_cannot_outlive_its_time(self, front):
        """E76: one that leaves its group outlives it, and holds nothing up;
        what stays in the group does not."""
        front.put("daemon.py", """#!/usr/bin/python3
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("escaped", "w").write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
open("pids", "w").write(str(os.getpid()))
time.sleep(60)
""", 0o755)
        front.path.chmod(0o777)
        front.configure("exec = {dir}/daemon.py\ntimeout = 1")
        front.start()
        start = time.monotonic()
        assert front.ask().reason() == "handler-timeout"
        assert time.monotonic() - start < 8
        until(lambda: not left(front), "its end")
        escaped = int(until(lambda: (front.path / "escaped").read_text(),
                            "the other one"))
        assert kit.alive(escaped)
        os.kill(escaped, signal.SIGKILL)
        assert front.ask(sender="a@b.example").status == 403

    @pytest.mark.parametrize("target", ["group", "parent"])
    def test_signals(self, front, target):
        """kill(0), as careless scripts do, ends its own group alone; only
        the front by its number would end the front, and that is told."""
        front.put("kill.sh", "#!/bin/sh\nkill -9 %s\n" % (
            "0" if target == "group" else "-0 $PPID"), 0o755)
        front.configure("exec = {dir}/kill.sh")
        front.start()
        got = front.ask()
        assert got.reason() in ("handler-died", "handler-bad-answer")
        assert not front.child.ended()

    def test_no_terminal(self, front):
        """Nor that of whoever started the front by hand, to type into it."""
        front.put("tty.sh", "#!/bin/sh\nprintf 'Content-Type: a\\n\\n'\n"
                  "(: </dev/tty) 2>&1 && echo there\n", 0o755)
        front.configure("exec = {dir}/tty.sh")
        ours, theirs = os.openpty()
        name = os.ttyname(theirs)
        # a shell with that terminal, and the front in its foreground
        front.child = kit.Child(
            ["/bin/sh", "-c", "trap 'kill $p' TERM; (: </dev/tty) && "
             "echo has one; \"$@\" & p=$!; wait; wait $p", "sh", kit.FRONT,
             "-c", front.ini, "-l", f"unix:{front.socket}"],
            front.path / "stderr", preexec_fn=lambda: os.open(
                name, os.O_RDWR))
        until(lambda: kit.answers(front.socket), "the front")
        answer = front.ask()
        assert "has one" in front.log()
        assert answer.status == 200 and b"there" not in answer.body
        front.stop()
        os.close(ours)
        os.close(theirs)

    def test_no_way_to_others(self, front):
        """E72: with everything open that a front can have open."""
        log, metrics = front.path / "log", front.path / "m.prom"
        front.put("list", "other@company.example\n")
        front.configure("senders_file = {dir}/list", f"log = {log}\n"
                        f"metrics = file:{metrics}\nreload_interval = 1")
        front.start()
        with front.connect() as kept, front.connect() as half, \
                front.connect() as busy:
            kept.request(variables(), flags=fcgi.KEEP)
            assert kept.answer().ended
            half.send(fcgi.begin())
            busy.request(variables(path="/wait/1500", method="POST",
                                   body=b"abc"), b"abc")
            until(lambda: front.ran() >= 2, "two handlers")
            got = front.ask(path="/fds").body.split()
        assert got == [b"0", b"1", b"2"]


class TestTrust:
    """Whoever may connect is believed, variables and all: why the socket is
    private."""

    def test_variables_are_the_handlers(self, front):
        front.start()
        got = front.ask(path="/env", LD_LIBRARY_PATH="/x",
                        REMOTE_USER="root").variables()
        assert got["LD_LIBRARY_PATH"] == "/x"
        assert got["REMOTE_USER"] == "root"

    def test_private_by_default(self, front):
        front.start()
        assert os.stat(front.socket).st_mode & 0o777 == 0o660

    def test_abstract_or_relative_names_are_none(self, front):
        """A name in no folder would be anybody's."""
        for name in ("unix:@amp", "unix:amp.sock", "unix:"):
            front.start("--listen", name, wait=False)
            fails(front, 64)

    def test_peer_that_is_no_web_server(self, front):
        """It learns nothing, and costs nothing."""
        front.start()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(front.socket)
            s.sendall(b"GET /amp HTTP/1.1\r\nAMP-Email-Sender: "
                      + SENDER.encode() + b"\r\n\r\n")
            s.settimeout(5)
            assert s.recv(100) == b""
        assert front.ran() == 0
