"""Where the measured servers live: one folder, one process each, all of them
ended by what started them."""
import glob
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FRONT = Path(os.environ.get("FRONT", ROOT / "amp-cors-cgi"))
TOOL = Path(os.environ.get("AMP_CORS", ROOT / "amp-cors"))
REFUSED, ALLOWED = "evil@elsewhere.example", "sender@company.example"
ORIGIN = "https://mail.google.com"
AS_ROOT = os.geteuid() == 0

POLICY = """\
[policy]
senders = {sender}
{lines}
[server]
threads = {threads}
log = {log}
log_level = {level}
"""

FPM = """\
[global]
error_log = {run}/fpm.log
[php]
{user}
listen = {socket}
listen.mode = 0666
listen.backlog = 511
pm = static
pm.max_children = {n}
"""


def until(condition, what, seconds=20):
    end_of_it = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end_of_it:
            sys.exit(f"{what}: it does not come")
        time.sleep(0.01)


def is_open(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(str(path)) == 0


def children(pid):
    """Those that are there; a process may end while it is looked at."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
            found += map(int, text.split())
    except OSError:
        pass
    return found


def end(process):
    """Ends a server, whether or not a tracer stands before it, and then what
    it has left behind: fcgiwrap leaves its workers."""
    traced = "strace" in process.args[0]
    pid = children(process.pid)[0] if traced else process.pid
    os.kill(pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    finally:
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


class Place:
    """A folder, what is compiled into it, and the servers that run in it."""

    def __init__(self, path, stack):
        self.path, self.stack = Path(path), stack
        self.path.chmod(0o755)

    def __truediv__(self, name):
        return self.path / name

    # programs

    def compile(self, name, *more):
        if not (self / name).exists():
            self.command([
                "gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-o",
                self / name, HERE / f"{name}.c", *more])
        return self / name

    def tiny(self):
        return self.compile("tiny", "-static")

    def script(self, name, text, mode=0o755):
        """A file of that text in the folder."""
        path = self / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def command(self, argv, **more):
        p = subprocess.run([str(a) for a in argv], cwd=self.path, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           **more)
        if p.returncode:
            sys.exit(f"{argv[0]}: {p.stdout}")
        return p.stdout

    # processes

    def spawn(self, argv, name, **more):
        with open(self / f"{name}.err", "ab") as err:
            process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL,
                stdout=err, stderr=err, cwd=self.path,
                start_new_session=True, **more)
        self.stack.callback(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        if process.poll() is None:
            end(process)

    def socket(self, name):
        return self / f"{name}.sock"

    def serve(self, name, argv, before=(), **more):
        """Starts what listens on the socket of that name."""
        path = self.socket(name)
        path.unlink(missing_ok=True)
        process = self.spawn([*before, *argv], name, **more)
        until(lambda: is_open(path) or process.poll() is not None, name, 60)
        if process.poll() is not None:
            sys.exit(f"{name}: " + (self / f"{name}.err").read_text())
        return process

    def policy(self, name, lines, threads=16, level="info", sender=ALLOWED):
        return self.script(f"{name}.ini", POLICY.format(
            sender=sender, lines=lines, threads=threads, level=level,
            log=self / f"{name}.log"), 0o644)

    def front(self, name, lines=None, before=(), **more):
        """The front; without lines, before the tiny program."""
        lines = f"exec = {self.tiny()}" if lines is None else lines
        return self.serve(name, [
            FRONT, "-c", self.policy(name, lines, **more),
            "--listen", f"unix:{self.socket(name)}"], before)

    def forwarding(self, name, behind, keep=0, **more):
        return self.front(name, f"forward = unix:{self.socket(behind)}\n"
                          f"forward_keep = {keep}", **more)

    def plain(self, name, threads=16, before=(), answer=()):
        program = self.compile("plain403", "-lfcgi", "-pthread")
        return self.serve(name, [program, self.socket(name), threads,
                                 *answer], before)

    def fcgiwrap(self, name, workers=8, before=()):
        return self.serve(name, ["fcgiwrap", "-c", workers, "-s",
                                 f"unix:{self.socket(name)}"], before)

    def fpm(self, name, workers):
        """PHP-FPM with a pool of processes; nobody else has a part in it."""
        conf = self.script(f"{name}.conf", FPM.format(
            run=self.path, socket=self.socket(name), n=workers,
            user="user = root\ngroup = root" if AS_ROOT else ""), 0o644)
        return self.serve(name, [
            sorted(glob.glob("/usr/sbin/php-fpm[0-9]*"))[-1], "-F",
            *["-R"] * AS_ROOT, "-n", "-y", conf])
