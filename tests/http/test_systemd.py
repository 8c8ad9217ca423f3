"""systemd: the units of etc/systemd as they are, and the sockets that are
handed over [SPEC 5.2, 5.5]. systemd need not run here: its tools read the
units, systemd-socket-activate hands sockets over, and the system call filter
is laid on by libseccomp."""

import ctypes
import errno
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import fcgi
import kit
import servers
from kit import of_fcgi, until, variables
from test_ways import Ways

UNITS = servers.ETC / "systemd"
NAMES = ("amp-cors-cgi.service", "amp-cors-cgi.socket")
EXPOSURE = 1.0  # of 10, by systemd-analyze security; it is 0.8
USAGE, OSERR = 64, 71


class Unit:
    """A unit file: its keys as systemd reads them."""

    def __init__(self, name):
        self.text = (UNITS / name).read_text()
        self.keys = {}
        for line in self.text.splitlines():
            if line[:1].isalpha():
                key, equals, value = line.partition("=")
                assert equals, line
                values = self.keys.setdefault(key, [])
                values[:] = values + [value] if value else []

    def all(self, key):
        return self.keys[key]

    def one(self, key):
        values = self.keys[key]
        assert len(values) == 1, f"{key}: {values}"
        return values[0]

    def words(self, key):
        return " ".join(self.keys[key]).split()


SERVICE = Unit(NAMES[0])
SOCKET = Unit(NAMES[1])


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **more)


# The units


@pytest.fixture
def units(folder):
    """Both units, with the program that is tested."""
    where = folder.make("units")
    for name in NAMES:
        paths = {servers.PROGRAM: kit.FRONT} if name == NAMES[0] else {}
        kit.write(where / name, servers.sample(f"systemd/{name}", paths))
    return where


def verify(units):
    return run("systemd-analyze", "verify", "--man=no",
               *(units / name for name in NAMES))


class TestUnits:
    def test_verify(self, units):
        got = verify(units)
        assert got.returncode == 0 and got.stdout == ""

    @pytest.mark.parametrize("name", NAMES)
    def test_verify_sees_faults(self, units, name):
        with open(units / name, "a") as f:
            f.write("NoSuchKey=1\n")
        assert "NoSuchKey" in verify(units).stdout

    def test_verify_sees_the_program(self, units):
        """The path was replaced, and is looked at."""
        kit.write(units / NAMES[0], SERVICE.text.replace(
            servers.PROGRAM, "/nowhere/amp-cors-cgi"))
        assert "/nowhere/amp-cors-cgi" in verify(units).stdout

    def exposure(self, units):
        return run("systemd-analyze", "security", "--offline=true",
                   "--no-pager", f"--threshold={int(EXPOSURE * 10)}",
                   units / NAMES[0])

    def test_security(self, units):
        got = self.exposure(units)
        assert got.returncode == 0, got.stdout

    def test_security_sees_less(self, units):
        """A threshold that nothing can miss would say nothing."""
        kit.write(units / NAMES[0], "".join(
            line + "\n" for line in SERVICE.text.splitlines()
            if not line.startswith(("SystemCallFilter", "Protect"))))
        assert self.exposure(units).returncode != 0

    @pytest.mark.parametrize("key, value", [
        ("NoNewPrivileges", "yes"), ("PrivateTmp", "yes"),
        ("ProtectSystem", "strict"), ("ProtectHome", "yes"),
        ("SystemCallErrorNumber", "EPERM"), ("KillMode", "mixed"),
        ("User", "amp-cors")])
    def test_service_key(self, key, value):
        assert SERVICE.one(key) == value

    @pytest.mark.parametrize("key", [
        "CapabilityBoundingSet", "AmbientCapabilities"])
    def test_empty(self, key):
        assert SERVICE.all(key) == []

    def test_runtime_directory(self):
        """It would be removed at the end, and the socket with it."""
        assert "RuntimeDirectory" not in SERVICE.keys

    def test_private_users(self):
        """Every peer would be nobody."""
        assert "PrivateUsers" not in SERVICE.keys

    def test_socket(self):
        """The samples of the web servers name this very socket."""
        assert SOCKET.one("ListenStream") == servers.SOCKET
        assert SOCKET.one("Accept") == "no"
        assert int(SOCKET.one("SocketMode"), 8) & 0o117 == 0
        assert SOCKET.one("SocketGroup") == "www-data"

    def test_time_to_stop(self):
        """SPEC 5.5: systemd kills nobody who may still take its time."""
        ini = (servers.ETC / "amp-cors.ini").read_text()
        grace = [int(re.search(rf"^#{key} = (\d+)$", ini, re.M)[1])
                 for key in ("stop_grace", "kill_grace")]
        # two seconds more is what serve waits for the killed
        assert int(SERVICE.one("TimeoutStopSec")) >= sum(grace) + 5

    def test_not_started_again(self, front):
        """The statuses of what does not mend itself are the front's."""
        prevented = SERVICE.words("RestartPreventExitStatus")
        front.configure("nonsense = 1")
        assert str(run(kit.FRONT, "-c", front.ini).returncode) in prevented
        assert str(run(kit.FRONT, "--nonsense").returncode) in prevented

    def test_descriptors(self, front):
        """LimitNOFILE has room for what its comment counts: handlers that
        run, requests that wait, and connections that are kept."""
        front.configure("timeout = 60", "queue_timeout = 60")
        front.start()
        own = self.open_files(front)
        clients = [front.connect() for _ in range(16 + 64 + 100)]
        try:
            for client in clients[80:]:
                client.request(variables(sender="a@b.example"),
                               flags=fcgi.KEEP)
                assert client.answer().ended
            for client in clients[:80]:
                client.request(variables(path="/silent"))
            until(lambda: len(front.pids()) == 16, "the handlers")
            used = self.open_files(front) - own
        finally:
            for client in clients:
                client.close()
        assert 16 * 3 + 64 + 100 <= used <= 16 * 8 + 64 + 100
        assert int(SERVICE.one("LimitNOFILE")) > 4 * (own + used)

    @staticmethod
    def open_files(front):
        return len(os.listdir(f"/proc/{front.child.pid}/fd"))


class TestInstall:
    """INSTALL's own lines, in a folder instead of /."""

    def line(self, begin):
        text = (kit.ROOT / "INSTALL").read_text().replace("\\\n", " ")
        found = [line.split() for line in text.splitlines()
                 if line.startswith("\t" + begin)]
        assert len(found) == 1, (begin, found)
        return found[0]

    def test_enable(self, folder):
        """Both are started at a boot, without another file."""
        system = folder.make("etc/systemd/system")
        for name in NAMES:
            shutil.copy(UNITS / name, system)
        words = self.line("systemctl enable --now")
        assert sorted(words[3:]) == sorted(NAMES)
        got = run("systemctl", f"--root={folder.path}", "enable", *words[3:])
        assert got.returncode == 0, got.stdout
        for target, name in zip(("multi-user", "sockets"), NAMES):
            link = system / f"{target}.target.wants" / name
            assert link.is_symlink(), got.stdout

    def test_check(self, front):
        """The check that goes before a restart reads the policy as the
        server does: without a handler it is no good."""
        words = self.line("amp-cors-cgi -n --listen")
        words = words[:words.index("&&")]
        assert words[-1] == f"unix:{servers.SOCKET}"
        env = {"PATH": os.defpath, "AMP_CORS_CONFIG": str(front.ini)}
        got = run(kit.FRONT, *words[1:], env=env)
        assert got.returncode == 0 and "error:" not in got.stdout, got.stdout
        front.configure(whole="[policy]\nsenders = {sender}\n")
        assert run(kit.FRONT, *words[1:], env=env).returncode == 78


class TestInstallAsRoot:
    root_alone = True

    def test_user(self, folder):
        """The user that INSTALL makes is the unit's."""
        etc = folder.make("etc")
        for name in ("passwd", "group", "shadow", "gshadow"):
            kit.write(etc / name, "")
        words = TestInstall().line("useradd")
        got = run(words[0], "--prefix", folder.path, *words[1:])
        assert got.returncode == 0, got.stdout
        entry = (etc / "passwd").read_text().split(":")
        assert entry[0] == SERVICE.one("User") and int(entry[2]) < 1000
        assert entry[6] == "/usr/sbin/nologin\n"
        group = (etc / "group").read_text()
        assert group.startswith(SERVICE.one("Group") + ":x:" + entry[3])


# systemd-socket-activate


def program(front):
    """The front's own words, as the unit has them."""
    words = shlex.split(SERVICE.one("ExecStart"))
    assert words[0] == servers.PROGRAM
    return [kit.FRONT, *words[1:]]


def activate(front, *addresses, options=()):
    """The front behind systemd-socket-activate; it starts with the first
    connection. A port of 0 is replaced; what is listened on is returned."""
    for _ in range(5):
        places = [place(a) for a in addresses]
        listen = [w for p in places for w in ("-l", shown(p))]
        child = kit.Child(
            ["systemd-socket-activate", *listen, "-E", "PATH", "-E",
             f"AMP_CORS_CONFIG={front.ini}", *options, *program(front)],
            front.path / "stderr",
            env={"PATH": os.environ["PATH"], "TMPDIR": str(front.path)})
        until(lambda: child.ended() or f"Listening on {shown(places[-1])}"
              in child.said(), "systemd-socket-activate")
        if not child.ended():
            front.child = child
            return places
        assert "in use" in child.said(), child.said()
    raise AssertionError("no free port")


def place(address):
    """(host, port) with a port that is free, or a path."""
    if isinstance(address, str):
        return address
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return address[0], kit.free_port(family)


def shown(address):
    if isinstance(address, str):
        return address
    return "[%s]:%d" % address if ":" in address[0] else "%s:%d" % address


def ask(address, **request):
    with fcgi.Client(address) as client:
        client.request(variables(**request), request.get("body") or b"")
        return of_fcgi(client.answer())


V4, V6 = ("127.0.0.1", 0), ("::1", 0)


class TestActivation:
    @pytest.mark.parametrize("kind", ["unix", "v4", "v6"])
    def test_one(self, front, kind):
        """The request that starts the front is answered, and so is the
        next one; TERM ends it with 0."""
        address, = activate(front, {"unix": front.socket, "v4": V4,
                                    "v6": V6}[kind])
        for body in (b"first", b"second"):
            answer = ask(address, method="POST", body=body)
            assert answer.status == 200 and answer.body == kit.echo(body)
        assert front.stop() == 0

    def test_all_three(self, front):
        """LISTEN_FDS=3: each of them is served."""
        addresses = activate(front, front.socket, V4, V6)
        for address in addresses * 2:
            assert ask(address).status == 200
        assert "LISTEN_FDS" in front.log()

    def test_sixteen(self, front):
        addresses = activate(front, *[front.socket + str(i)
                                      for i in range(16)])
        for address in addresses:
            assert ask(address).status == 200

    def test_seventeen(self, front):
        """More than there is room for: none is left unserved in silence."""
        addresses = activate(front, *[front.socket + str(i)
                                      for i in range(17)])
        kit.answers(addresses[0])
        child, front.child = front.child, None
        assert child.wait() == OSERR
        assert "LISTEN_FDS: 17 sockets; write at most 16" in child.said()

    def test_names(self, front):
        """LISTEN_FDNAMES says nothing to the front, nor to handlers."""
        addresses = activate(front, front.socket, V4,
                             options=["--fdname=one:two"])
        for address in addresses:
            answer = ask(address, path="/env")
            assert answer.status == 200
            assert not [n for n in answer.variables()
                        if n.startswith("LISTEN_")]

    def test_policy_by_option(self, front):
        other = front.put("other.ini", "nonsense")
        activate(front, front.socket,
                 options=["-E", f"AMP_CORS_CONFIG={other}"])
        kit.answers(front.socket)
        assert front.child.wait() == 78
        assert f"{other}:1:1: error: " in front.log()
        front.child = None

    def test_environment(self, front):
        """What the manager sets reaches a handler by its name alone."""
        front.configure("environment = MINE")
        activate(front, front.socket, options=["-E", "MINE=here", "-E",
                                               "OTHER=not"])
        got = ask(front.socket, path="/env").variables()
        assert got["MINE"] == "here" and "OTHER" not in got

    def test_datagrams(self, front):
        """A socket that cannot be listened on: 71, and which one it is."""
        activate(front, front.socket, options=["--datagram"])
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", front.socket)
        assert front.child.wait() == OSERR
        assert "descriptor 3 does not listen" in front.log()
        front.child = None

    def test_handed_over_before_the_policy(self, front):
        """`listen` in the policy is for those who get no socket."""
        other = front.path / "other.sock"
        front.configure(server=f"listen = unix:{other}")
        activate(front, front.socket)
        assert ask(front.socket).status == 200
        assert not other.exists()

    def test_socket_stays(self, front):
        """It is systemd's, and is used again."""
        activate(front, front.socket)
        assert ask(front.socket).status == 200
        before = os.stat(front.socket)
        assert front.stop() == 0
        after = os.stat(front.socket)
        assert (before.st_ino, before.st_mode) == (after.st_ino,
                                                   after.st_mode)

    def test_stop_with_a_request(self, front):
        """SPEC 5.5: what runs is finished, and then it ends with 0."""
        activate(front, front.socket)
        with front.connect() as client:
            client.request(variables(path="/wait/700"))
            until(front.pids, "a handler")
            front.child.send_signal(signal.SIGTERM)
            assert of_fcgi(client.answer()).status == 200
        assert front.child.wait() == 0
        assert not kit.left(front)


class TestNginxActivated(Ways):
    """The whole table, with nginx's sample before it."""

    class way(servers.NginxUnix):
        def before(self):
            activate(self.front, self.front.socket)


# LISTEN_PID and LISTEN_FDS, by hand


def handed(front, listening, more=(), pid="$$", fds="1"):
    """Descriptor 3, as systemd leaves it."""
    script = f'LISTEN_FDS={fds} LISTEN_PID={pid} exec "$@" 3<&0 </dev/null'
    return kit.Child(
        ["/bin/sh", "-c", script, "sh", kit.FRONT, "-c", front.ini, *more],
        front.path / "stderr", env={"PATH": os.defpath}, stdin=listening)


@pytest.fixture
def listening(front):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(front.socket)
        s.listen(64)
        yield s


def stop_in_a_crowd(front):
    """Everybody is at the door when the front is told to stop, once: a second
    TERM would end the handlers."""
    front.child.send_signal(signal.SIGSTOP)
    until(lambda: "State:\tT" in kit.Path(
        f"/proc/{front.child.pid}/status").read_text(), "a halt")
    time.sleep(0.1)
    front.child.send_signal(signal.SIGTERM)
    front.child.send_signal(signal.SIGCONT)
    front.child.wait()


class TestVariables:
    @pytest.mark.parametrize("pid, fds", [
        ("1", "1"), ("$PPID", "1"), ("", "1"), ("0", "1"), ("-1", "1"),
        ("$$x", "1"), ("'$$ '", "1"), ("99999999999999999999", "1"),
        ("$$", "0"), ("$$", ""), ("$$", "-1"), ("$$", "1x"),
        ("$$", "18446744073709551617")])
    def test_ignored(self, front, listening, pid, fds):
        """Not for this process, or no number: there is no socket."""
        child = handed(front, listening, pid=pid, fds=fds)
        assert child.wait() == USAGE, child.said()
        assert "no socket to serve" in child.said()

    def test_used(self, front, listening):
        """The same with the right ones."""
        front.child = handed(front, listening)
        assert front.ask().status == 200

    def test_option_first(self, front, listening):
        """--listen comes before what was handed over [SPEC 5.2]."""
        other = str(front.path / "other.sock")
        front.child = handed(front, listening,
                             more=["--listen", f"unix:{other}"])
        until(lambda: kit.answers(other), "the front")
        assert ask(other).status == 200
        listening.setblocking(False)
        with front.connect():
            listening.accept()[0].close()  # nobody else took it

    @pytest.mark.parametrize("what", ["file", "connection", "deaf", "more"])
    def test_no_listener(self, front, listening, what):
        a, b = socket.socketpair()
        with a, b, open(front.ini) as file, socket.socket() as deaf:
            child = handed(front, {"file": file, "connection": a,
                                   "deaf": deaf, "more": listening}[what],
                           fds="2" if what == "more" else "1")
            assert child.wait() == OSERR, child.said()
        assert re.search(r"descriptor [34] does not listen", child.said())

    def test_restart(self, front, listening):
        """SPEC 5.5: the socket outlives the front, and no request is lost
        while one ends and the next one begins."""
        ended, answers, stop = [], [], threading.Event()

        def client():
            while not stop.is_set():
                answers.append(front.ask(method="POST", body=b"x").status)

        threads = [threading.Thread(target=client) for _ in range(8)]
        front.child = handed(front, listening)
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                seen = len(answers)
                until(lambda: len(answers) > seen + 20, "answers")
                stop_in_a_crowd(front)
                ended.append(front.stop())
                front.child = handed(front, listening)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert ended == [0] * 5
        assert set(answers) == {200}, answers


# The system call filter: seen with strace, and laid on


def groups():
    """systemd's groups of system calls."""
    known, group = {}, None
    for line in run("systemd-analyze", "syscall-filter",
                    "--no-pager").stdout.splitlines():
        line = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if line.startswith("@"):
            group = known.setdefault(line.strip(), [])
        elif line.startswith(" ") and group is not None:
            group += [w for w in [line.strip()] if not w.startswith("#")]
        else:
            group = None
    return known


def expand(name, known):
    if not name.startswith("@"):
        return {name}
    return set().union(*(expand(n, known) for n in known[name]))


def allowed_calls():
    """What the unit's lines leave, one after the other."""
    known, allowed = groups(), set()
    for line in SERVICE.all("SystemCallFilter"):
        calls = set().union(*(expand(n, known)
                              for n in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


SHELL = """#!/bin/sh
set -e
t=$(mktemp)
trap 'rm -f "$t"' EXIT
cat >"$t"
sum=$(sort "$t" | tr a-z A-Z)
(umask 027; date >/dev/null; ulimit -n >/dev/null) &
wait
printf 'Status: 200 OK\\nContent-Type: text/plain\\n\\n%s' "$sum"
"""

PERL = """#!/usr/bin/perl
use strict; use Fcntl ':flock'; use File::Temp; use Socket;
local $SIG{ALRM} = sub { die };
alarm 30;
my $t = File::Temp->new; flock($t, LOCK_EX) or die;
print $t <STDIN>; $t->flush; seek($t, 0, 0) or die;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
my @me = getpwuid($<);
my $text = uc join '', <$t>;
my $pid = fork; exit 0 if !$pid; waitpid $pid, 0;
rename "$t", "$t.new" or die; unlink "$t.new";
print "Content-Type: text/plain\\n\\n$text";
"""

PYTHON = """#!/usr/bin/python3
import fcntl, os, select, socket, sqlite3, subprocess, sys, tempfile
import threading
body = sys.stdin.buffer.read()
with tempfile.TemporaryDirectory() as d:
    with open(d + "/data", "wb+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.write(body)
        os.fsync(f.fileno())
    with sqlite3.connect(d + "/db") as db:
        db.execute("create table t (v)")
        db.execute("insert into t values (?)", (body,))
        body, = db.execute("select v from t").fetchone()
    a, b = socket.socketpair()
    t = threading.Thread(target=a.sendall, args=(body,))
    t.start()
    t.join()
    select.epoll().close()
    got = subprocess.run(["tr", "a-z", "A-Z"], input=b.recv(9999),
                         stdout=subprocess.PIPE, check=True)
print("Content-Type: text/plain\\n")
sys.stdout.flush()
sys.stdout.buffer.write(got.stdout)
"""

HANDLERS = {"sh": SHELL, "perl": PERL, "python": PYTHON}

ENDPOINTS = """\
[policy]
senders = {sender}
timeout = 1
kill_grace = 1
exec = {handler}
[endpoint usual]
path = /amp
""" + "".join(f"[endpoint {n}]\npath = /{n}\nexec = {{dir}}/{n}\n"
              for n in [*HANDLERS, "hello"]) + """\
[server]
threads = 2
peers = %s
""" % os.geteuid()


def prepare(front):
    front.configure(whole=ENDPOINTS)
    for name, text in HANDLERS.items():
        front.put(name, text, 0o755)
    shutil.copy(servers.ETC / "examples" / "hello.sh", front.path / "hello")


def exercise(front):
    """Every handler, and what the front itself does."""
    for name in HANDLERS:
        answer = front.ask(method="POST", script=f"/{name}", path="",
                           body=b"some text")
        assert answer.status == 200, (name, answer, front.log())
        assert answer.body == b"SOME TEXT", (name, answer)
    assert front.ask(script="/hello", path="").status == 200
    big = b"x" * 300000
    assert front.ask(method="POST", body=big).body == kit.echo(big)
    unknown = front.ask(method="POST", send=big, CONTENT_LENGTH="-1")
    assert unknown.body == kit.echo(big)  # by a file in TMPDIR
    assert front.ask(sender="a@b.example").status == 403
    assert front.ask(method="OPTIONS", sender=None,
                     origin="https://mail.google.com",
                     HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST").status == 204
    assert front.ask(path="/stubborn").reason() == "handler-timeout"
    clients = [front.connect() for _ in range(4)]  # two of them wait
    for client in clients:
        client.request(variables(path="/wait/200"), flags=fcgi.KEEP)
    for client in clients:
        assert of_fcgi(client.answer()).status == 200
        client.close()


# option of the unit: what of a trace it would refuse; each is tried by NAUGHTY
REFUSED = {
    "LockPersonality": r"personality\((?!0xffffffff)",
    "MemoryDenyWriteExecute":
        r"mmap\([^)]*PROT_WRITE\|PROT_EXEC|mprotect\([^)]*PROT_EXEC"
        r"|shmat\([^)]*SHM_EXEC",
    "RestrictAddressFamilies": r"socket\((?!%s)",
    "RestrictNamespaces": r"unshare\(|setns\(|clone3?\([^)]*CLONE_NEW",
    "RestrictRealtime": r"sched_set(scheduler|attr)\(",
    "RestrictSUIDSGID":
        r"(chmod|mkdir|mknod|open)(at)?\([^)]*, (S_IS[UG]ID|0[2-7]\d{3}\b)",
}

NAUGHTY = """
import ctypes, mmap, os, socket
c = ctypes.CDLL(None)
c.personality(0x40000)
mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
socket.socket(socket.AF_INET).close()
c.unshare(0x10000000)
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
open("naughty", "w").close()
os.chmod("naughty", 0o4755)
"""


def refused(option):
    families = "|".join(SERVICE.words("RestrictAddressFamilies"))
    pattern = REFUSED[option]
    return re.compile(r"^\d+ +(\w*%s)" % (
        pattern % families if "%s" in pattern else f"(?:{pattern})"), re.M)


# neither strace nor the filter lets the sanitizers look for leaks
NO_LEAKS = {"ASAN_OPTIONS": "detect_leaks=0"}


def strace(trace):
    return ["strace", "-D", "-f", "-qq", "-o", trace]


@pytest.fixture(scope="class")
def trace(class_folder, helper):
    """What the front and its handlers asked of the kernel."""
    front = kit.Front(class_folder, helper)
    prepare(front)
    path = front.path / "trace"
    front.child = kit.Child(
        [*strace(path), kit.FRONT, "-c", front.ini, "--listen",
         f"unix:{front.socket}"], front.path / "stderr",
        env={"PATH": os.defpath, "TMPDIR": str(front.path), **NO_LEAKS})
    try:
        until(lambda: front.child.ended() or kit.answers(front.socket),
              "the front")
        exercise(front)
    finally:
        assert front.stop() == 0
    return path.read_text(errors="replace")


@pytest.fixture(scope="class")
def naughty(class_folder):
    """What one handler asks that may not."""
    path = class_folder.path / "naughty.trace"
    child = kit.Child([*strace(path), "/usr/bin/python3", "-c", NAUGHTY],
                      class_folder.path / "naughty.out",
                      cwd=class_folder.path)
    assert child.wait() == 0, child.said()
    child.stop()
    return path.read_text(errors="replace")


class TestSystemCalls:
    def test_groups(self):
        """They were read, and expanded."""
        calls = allowed_calls()
        assert {"execve", "clone3", "futex", "accept4", "splice"} <= calls
        assert not calls & {"chroot", "mount", "ptrace", "nice", "setuid"}

    def test_filter(self, trace):
        calls = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace, re.M))
        # the trace is one of everything that was asked for
        assert {"accept4", "execve", "vfork", "kill", "epoll_wait",
                "getsockopt", "flock", "rename"} <= calls
        assert calls - allowed_calls() == set()

    @pytest.mark.parametrize("option", REFUSED)
    def test_other_option(self, trace, option):
        assert SERVICE.one(option) in ("yes", "AF_UNIX")
        found = refused(option).search(trace)
        assert found is None, found[0]

    @pytest.mark.parametrize("option", REFUSED)
    def test_it_would_be_seen(self, naughty, option):
        assert refused(option).search(naughty), naughty[-2000:]

    def test_filter_would_be_seen(self, naughty):
        calls = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", naughty, re.M))
        assert "sched_setscheduler" in calls - allowed_calls()


ALLOW, FAIL = 0x7FFF0000, 0x00050000  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO


def filter_of(calls, number):
    """A filter of libseccomp, to be loaded in a child."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(FAIL | number))
    for call in calls:
        n = lib.seccomp_syscall_resolve_name(call.encode())
        if n >= 0:  # below: of another machine
            assert lib.seccomp_rule_add(context, ALLOW, n, 0) == 0, call
    return lambda: lib.seccomp_load(context)


NICE = """#!/usr/bin/python3
import os
try:
    os.nice(1)
    got = "done"
except OSError as e:
    got = e.strerror
print("Content-Type: text/plain\\n\\n" + got, end="")
"""


class TestFilter:
    """The filter itself, laid on as systemd does it."""

    def start(self, front):
        number = getattr(errno, SERVICE.one("SystemCallErrorNumber"))
        front.start(preexec_fn=filter_of(allowed_calls(), number),
                    env=NO_LEAKS)

    def test_everything_works(self, front):
        prepare(front)
        self.start(front)
        with open(f"/proc/{front.child.pid}/status") as f:
            status = f.read()
        assert re.search(r"^Seccomp:\t2$", status, re.M)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
        exercise(front)
        assert front.stop() == 0

    def test_it_holds(self, front):
        """A handler gets an error, and goes on."""
        front.configure("exec = {dir}/nice")
        front.put("nice", NICE, 0o755)
        front.start()
        assert front.ask().body == b"done"
        front.stop()
        self.start(front)
        answer = front.ask()
        assert answer.status == 200
        assert answer.body == os.strerror(errno.EPERM).encode()
