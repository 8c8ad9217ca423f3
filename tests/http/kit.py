"""What the tests of the running front share: processes that end, answers
taken apart, and one front with its policy and its misbehaving handler."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import fcgi

ROOT = Path(__file__).resolve().parents[2]
FRONT = Path(os.environ.get("FRONT", ROOT / "amp-cors-cgi"))
SENDER = "sender@company.example"
ORIGIN = "https://emailclient.example"
WAIT = 10  # seconds that nothing here may take
# 32 and 33 are glibc's own: its posix_spawn(3), as of make, leaves them
# ignored, and no program can change that through glibc
LIBC_SIGNALS = 3 << 31


def until(condition, what, seconds=WAIT):
    """Waits for a condition, and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.01)


# Processes


def processes():
    """(pid, parent, state, session) of all there are."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path("/proc", name, "stat").read_text()
        except OSError:
            continue
        words = stat[stat.rindex(")") + 2:].split()
        yield int(name), int(words[1]), words[0], int(words[3])


def alive(pid):
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children(pid):
    """The states of a process's children; 'Z' is one that nobody reaped."""
    return [s for _, parent, s, _ in processes() if parent == pid]


class Child:
    """A server in the foreground, in a session of its own."""

    def __init__(self, argv, log, env=None, cwd=None, **more):
        self.log = Path(log)
        self.argv = [str(a) for a in argv]
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.argv, stdin=more.pop("stdin", subprocess.DEVNULL),
                stdout=out, stderr=out, env=env, cwd=cwd,
                start_new_session=True, **more)
        self.pid = self.process.pid

    def said(self):
        return self.log.read_text(errors="replace")

    def ended(self):
        return self.process.poll() is not None

    def wait(self, seconds=WAIT):
        return self.process.wait(seconds)

    def send_signal(self, number):
        self.process.send_signal(number)

    def members(self):
        return [p for p, _, s, session in processes()
                if session == self.pid and s != "Z"]

    def stop(self, number=signal.SIGTERM):
        """Ends it; nothing of its session may be left a second later."""
        if not self.ended():
            self.send_signal(number)
        try:
            status = self.wait()
            until(lambda: not self.members(), f"{self.argv[0]}: gone", 3)
            return status
        finally:
            for pid in self.members():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            reap(self.pid)


def reap(session):
    """We are the subreaper: orphans of a session become our zombies."""
    for pid, parent, state, its in list(processes()):
        if its == session and parent == os.getpid() and state == "Z":
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


# KiB; a program that the sanitizers watch needs more for itself
MEMORY = 300000 if "asan" in os.environ.get("FRONT", "") else 20000


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


# Ports and folders


def free_port(family=socket.AF_INET):
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def answers(address):
    """Does anybody listen there?"""
    family = socket.AF_UNIX
    if isinstance(address, tuple):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(1)
        try:
            s.connect(address)
        except OSError:
            return False
        return True


class Folder:
    """A folder that other users can enter: Apache's handlers are not root's
    even where the tests are."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="amp-http-"))
        self.path.chmod(0o755)

    def make(self, name):
        made = self.path / name
        made.mkdir(parents=True, exist_ok=True)
        made.chmod(0o777)
        return made

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def write(path, content, mode=0o644):
    path = Path(path)
    if isinstance(content, str):
        content = content.encode("latin-1")
    path.write_bytes(content)
    path.chmod(mode)
    return path


# Answers


def ours(headers):
    """The fields that the policy owns: what tests compare as a whole."""
    return sorted((n, v) for n, v in headers if n.lower().startswith(
        ("access-control-", "amp-", "variable-")))


V2 = [("AMP-Email-Allow-Sender", SENDER)]


def version1(origin=ORIGIN, source=SENDER):
    return [
        ("AMP-Access-Control-Allow-Source-Origin", source),
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers",
         "AMP-Access-Control-Allow-Source-Origin"),
    ]


def echo(data):
    """What bad-cgi's echo says of a body."""
    return b'{"length":%d,"sum":"%08x"}\n' % (len(data), zlib.adler32(data))


@dataclass
class Answer:
    """What came back, whichever way the request went in."""

    status: int = 0
    status_line: str = ""
    headers: list = field(default_factory=list)
    body: bytes = b""
    errors: str = ""       # for the web server's error log
    broken: bool = False   # ended early, and visibly (E52)
    exit: int = 0          # of plain CGI; appStatus of FastCGI
    raw: bytes = b""

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def one(self, name):
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values}"
        return values[0]

    def reason(self):
        """The word of an answer of the front's own [SPEC 2.10]."""
        assert self.one("Content-Type") == "application/json", self.raw
        error = json.loads(self.body)["error"]
        assert set(error) == {"code", "message"}
        return error["code"]

    def variables(self):
        """The environment that bad-cgi's env told."""
        lines = [e.decode("latin-1") for e in self.body.split(b"\0")]
        pairs = [e[4:].split("=", 1) for e in lines if e.startswith("env ")]
        names = [p[0] for p in pairs]
        assert len(set(names)) == len(names), f"repeated: {names}"
        return dict(pairs)

    def cwd(self):
        return self.body.split(b"\0")[0].decode()[4:]

    def arguments(self):
        return [e.decode("latin-1") for e in self.body.split(b"\0")[1:-1]
                if not e.startswith(b"env ")]


def take_apart(raw, **more):
    """A CGI answer as the front must write it: CRLF, Status first or not."""
    answer = Answer(raw=raw, **more)
    head, blank, answer.body = raw.partition(b"\r\n\r\n")
    if not blank:
        answer.body = raw
        return answer
    for line in head.split(b"\r\n"):
        assert b"\n" not in line and b"\r" not in line, raw
        name, colon, value = line.decode("latin-1").partition(": ")
        assert colon, raw
        if name.lower() == "status":
            assert not answer.status, f"two of Status: {raw}"
            answer.status_line, answer.status = value, int(value[:3])
        else:
            answer.headers.append((name, value))
    assert answer.status, f"no Status: {raw}"
    assert answer.status_line[3:4] == " " and answer.status_line[4:], raw
    return answer


# Requests


def variables(method="GET", path="/echo", query="", sender=SENDER, origin=None,
              body=None, script="/amp", **more):
    """CGI variables as (name, value) pairs; None leaves one out."""
    env = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "test",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_AMP_EMAIL_SENDER": sender,
        "HTTP_ORIGIN": origin,
    }
    if body is not None:
        env["CONTENT_LENGTH"] = str(len(body))
        env["CONTENT_TYPE"] = "application/octet-stream"
    extra = more.pop("extra", [])
    env.update(more)
    return [(n, v) for n, v in env.items() if v is not None] + list(extra)


class Front:
    """One front: a folder with its policy and its handler."""

    # what a test's own lines may replace
    usual = {"senders": "{sender}", "exec": "{handler}", "timeout": "2",
             "body_timeout": "2", "send_timeout": "2", "kill_grace": "1"}

    def __init__(self, folder, helper):
        self.path = folder.make("front")
        self.handler = self.path / "handler"
        shutil.copy(helper / "bad-cgi", self.handler)
        self.run_env = helper / "run-env"
        self.ini = self.path / "amp-cors.ini"
        self.socket = str(folder.path / "front.sock")
        self.child = None
        self.configure()

    def configure(self, policy="", server="", whole=None):
        """Writes the policy file: lines beside the usual ones, or all."""
        if whole is None:
            mine = {line.split("=")[0].strip() for line in policy.split("\n")}
            usual = [f"{k} = {v}" for k, v in self.usual.items()
                     if k not in mine]
            whole = "\n".join(["[policy]", *usual, "{policy}", "[server]",
                               "{server}", ""])
        for name, value in (("policy", policy), ("server", server),
                            ("sender", SENDER), ("handler", self.handler),
                            ("dir", self.path)):
            whole = whole.replace("{%s}" % name, str(value))
        write(self.ini, whole)

    def put(self, name, content, mode=0o644):
        return write(self.path / name, content, mode)

    def ran(self):
        """How often the handler was started."""
        try:
            return (self.path / "ran").stat().st_size
        except FileNotFoundError:
            return 0

    def pids(self):
        try:
            return [int(n) for n in (self.path / "pids").read_text().split()]
        except FileNotFoundError:
            return []

    def forget(self):
        for name in ("ran", "pids"):
            (self.path / name).unlink(missing_ok=True)

    # plain CGI

    def cgi_start(self, args=(), front=FRONT, stdin=subprocess.PIPE,
                  stdout=subprocess.PIPE, env=(), cwd=None, **request):
        pairs = variables(**request)
        pairs += [("AMP_CORS_CONFIG", str(self.ini)), ("PATH", os.defpath)]
        pairs += [("TMPDIR", str(self.path))] + list(env)
        # bytes, since a value may hold what no text does
        argv = [os.fsencode(str(self.run_env))]
        argv += [(n + "=" + v).encode("latin-1") for n, v in pairs]
        argv += [b"--", os.fsencode(str(front))]
        argv += [os.fsencode(str(a)) for a in args]
        return subprocess.Popen(argv, stdin=stdin, stdout=stdout, cwd=cwd,
                                stderr=subprocess.PIPE,
                                start_new_session=True)

    def cgi(self, send=None, seconds=WAIT, **request):
        """Runs the front once; send replaces what standard input holds."""
        body = request.get("body") or b""
        process = self.cgi_start(**request)
        try:
            out, err = process.communicate(
                body if send is None else send, seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return take_apart(out, errors=err.decode(errors="replace"),
                          exit=process.returncode,
                          broken=process.returncode == 70)

    # FastCGI

    def start(self, *args, ready=None, env=None, front=FRONT, wait=True,
              **more):
        """The FastCGI server on a Unix socket of its own."""
        ready = self.socket if ready is None else ready
        argv = [front, "-c", self.ini]
        argv += args or ["--listen", f"unix:{self.socket}"]
        environment = {"PATH": os.defpath, "TMPDIR": str(self.path)}
        environment.update(env or {})
        self.child = Child(argv, self.path / "stderr", env=environment, **more)
        if wait:
            until(lambda: self.child.ended() or answers(ready), "the front")
            assert not self.child.ended(), self.child.said()
        return self

    def restart(self, *args, **more):
        self.stop()
        (self.path / "stderr").unlink(missing_ok=True)
        return self.start(*args, **more)

    def connect(self):
        return fcgi.Client(self.socket)

    def ask(self, send=None, **request):
        """One FastCGI request on a connection of its own."""
        body = request.get("body") or b""
        body = body if send is None else send
        with self.connect() as client:
            # a web server sends and receives at the same time
            sending = threading.Thread(
                target=client.request, args=(variables(**request), body))
            sending.start()
            got = client.answer()
            client.shut()
            sending.join()
            return of_fcgi(got)

    def log(self):
        return self.child.said()

    def decisions(self):
        """The decision lines of the log so far."""
        return [line for line in self.log().splitlines()
                if line[:2] == "20" and "T" in line[:12]]

    def stop(self):
        if self.child is None:
            return None
        child, self.child = self.child, None
        return child.stop()


def left(front):
    """Which of the handler's processes are still there."""
    return [p for p in front.pids() if alive(p)]


def finish(front):
    for pid in left(front):
        os.kill(pid, signal.SIGKILL)


def of_fcgi(got):
    return take_apart(got.out, errors=got.err.decode(errors="replace"),
                      exit=got.app_status or 0, broken=not got.ended)


class ByCgi:
    """The front as a CGI program, asked like a FastCGI server."""

    name = "cgi"

    def __init__(self, front):
        self.front = front

    def ask(self, **request):
        return self.front.cgi(**request)

    def log(self, answer):
        return answer.errors


class ByFastCgi:
    name = "fastcgi"

    def __init__(self, front):
        self.front = front
        front.start()

    def ask(self, **request):
        return self.front.ask(**request)

    def log(self, answer):
        return answer.errors + self.front.log()
