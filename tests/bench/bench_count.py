"""What is the same on every run: system calls and instructions of a request.

A FastCGI client of its own asks as nginx does.  Of two runs the difference is
counted, so that start and end are in no figure.
"""
import os
import re
import socket
import struct
import subprocess
import sys
from collections import Counter

from bench_place import ALLOWED, FRONT, ORIGIN, REFUSED, ROOT, end

sys.path.insert(0, str(ROOT / "tests/http"))
import fcgi  # noqa: E402

FEW, MANY = 40, 240
CLOCK = 0.05  # calls a request that a clock may make, and no request

# What nginx sends with Debian's fastcgi_params.
NGINX = {
    "QUERY_STRING": "", "REQUEST_METHOD": "GET", "CONTENT_TYPE": "",
    "CONTENT_LENGTH": "", "SCRIPT_NAME": "/amp/list",
    "REQUEST_URI": "/amp/list", "DOCUMENT_URI": "/amp/list",
    "DOCUMENT_ROOT": "/usr/share/nginx/html", "SERVER_PROTOCOL": "HTTP/1.1",
    "REQUEST_SCHEME": "http", "GATEWAY_INTERFACE": "CGI/1.1",
    "SERVER_SOFTWARE": "nginx/1.22.1", "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "41234", "SERVER_ADDR": "127.0.0.1",
    "SERVER_PORT": "8080", "SERVER_NAME": "localhost",
    "REDIRECT_STATUS": "200", "HTTP_HOST": "127.0.0.1:8080",
}
PREFLIGHT = {
    "REQUEST_METHOD": "OPTIONS", "HTTP_ORIGIN": ORIGIN,
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
}


def variables(sender=None, **more):
    found = {**NGINX, **{n: str(v) for n, v in more.items()}}
    if sender:
        found["HTTP_AMP_EMAIL_SENDER"] = sender
    return found


def padded(kind, content=b""):
    """A record as nginx pads it: to a multiple of eight bytes."""
    return fcgi.record(kind, 1, content, -len(content) % 8)


def request(env, keep):
    params = fcgi.pairs(env.items())
    return (fcgi.begin(1, flags=fcgi.KEEP if keep else 0)
            + padded(fcgi.PARAMS, params) + padded(fcgi.PARAMS)
            + padded(fcgi.STDIN))


def answer(s):
    """What came before the end of the request, then that end."""
    data, at = b"", 0
    while True:
        while len(data) - at >= 8:
            kind, size, padding = struct.unpack_from("!xBxxHBx", data, at)
            if kind == fcgi.END and len(data) >= at + 8 + size:
                return data
            at += 8 + size + padding
        piece = s.recv(65536)
        if not piece:
            sys.exit(f"ended in the middle of an answer: {data}")
        data += piece


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(str(path))
    return s


def ask(path, n, env, keep):
    """So many requests, one after the other, and the last one's answer."""
    data, got = request(env, keep), b""
    s = connect(path) if keep else None
    for _ in range(n):
        if not keep:
            s = connect(path)
        s.sendall(data)
        got = answer(s)
        if not keep:
            s.close()
    if keep:
        s.close()
    return got


# --- system calls ------------------------------------------------------------

def traced(text):
    """Calls by name: the server's own, and those of programs that it ran."""
    own, others, ran, first = Counter(), Counter(), set(), None
    for line in text.splitlines():
        found = re.match(r"(\d+) +(\w+)\(", line)
        if not found:
            continue  # a signal, an end, or the rest of a call
        pid, call = found.groups()
        first = first or pid
        (others if pid in ran else own)[call] += 1
        if call == "execve" and pid != first and " = -1 " not in line:
            ran.add(pid)
    return own, others


class Server:
    """Something that serves FastCGI: how it is started, and the request."""

    def __init__(self, place, name, start, env, keep=False, status=None):
        self.place, self.name, self.start = place, name, start
        self.env, self.keep, self.status = env, keep, status

    def run(self, n, before):
        server = self.start(self.name, before)
        got = ask(self.place.socket(self.name), n, self.env, self.keep)
        if self.status and f"Status: {self.status}".encode() not in got:
            sys.exit(f"{self.name}: not {self.status}: {got}")
        end(server)

    def trace(self, n):
        out = self.place / "strace.out"
        self.run(n, ["strace", "-f", "-o", out])
        return traced(out.read_text())

    def calls(self):
        """Of one request: (own, of what it ran), each by name."""
        few, many = self.trace(FEW), self.trace(MANY)
        return tuple(
            {call: (n - a.get(call, 0)) / (MANY - FEW)
             for call, n in b.items()
             if n - a.get(call, 0) > CLOCK * (MANY - FEW)}
            for a, b in zip(few, many))

    def work(self, n):
        out = self.place / "callgrind.out"
        out.unlink(missing_ok=True)
        self.run(n, ["valgrind", "-q", "--tool=callgrind",
                     f"--callgrind-out-file={out}"])
        return total(out)

    def instructions(self):
        return (self.work(MANY) - self.work(FEW)) / (MANY - FEW)


def total(out):
    return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(),
                         re.M)[1])


class Program:
    """A whole process of plain CGI, with what it starts."""

    def __init__(self, place, name, argv, env, status=None):
        self.place, self.name, self.argv = place, name, argv
        self.env = {"PATH": os.defpath, **env}
        self.status = status

    def run(self, before):
        p = subprocess.Popen(
            [str(a) for a in [*before, *self.argv]], env=self.env,
            cwd=self.place.path, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE)
        said = p.communicate()[0]
        if self.status and f"Status: {self.status}".encode() not in said:
            sys.exit(f"{self.name}: not {self.status}: {said}")
        return p.pid

    def calls(self):
        out = self.place / "strace.out"
        self.run(["strace", "-f", "-o", out])
        return traced(out.read_text())

    def instructions(self):
        """What is left behind by an execve is in a dump of its own.  A child's
        dump begins with what its parent did: those are left out."""
        for old in self.place.path.glob("callgrind.*"):
            old.unlink()
        pid = self.run([
            "valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
            "--dump-before=execve",
            f"--callgrind-out-file={self.place.path}/callgrind.%p"])
        return sum(total(f) for f in self.place.path.glob("callgrind.*")
                   if f.name.count(".") == 1 or f".{pid}." in f.name)


# --- the parts that are counted ----------------------------------------------

SCRIPT = """\
#!/bin/dash
printf 'Status: 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n{}'
"""


def scripts(place):
    """A folder with the tiny program and the dash script."""
    place.script("www/tiny.sh", SCRIPT)
    if not (place / "www/tiny").exists():
        os.link(place.tiny(), place / "www/tiny")
    return place / "www"


def front(place, lines, env, status, keep=False, **more):
    def start(name, before):
        return place.front(name, lines, before=before, **more)
    return Server(place, "counted", start, env, keep, status)


def plain(place, env, keep=False):
    def start(name, before):
        return place.plain(name, 16, before)
    return Server(place, "counted-plain", start, env, keep, 403)


def wrapping(place, file):
    www = scripts(place)
    return front(place, f"scripts = {www}", variables(
        ALLOWED, SCRIPT_FILENAME=www / file), 200, threads=8)


def fcgiwrap(place, file):
    def start(name, before):
        return place.fcgiwrap(name, 1, before)
    return Server(place, "counted-fcgiwrap", start, variables(
        ALLOWED, SCRIPT_FILENAME=scripts(place) / file), False, 200)


PHP = '<?php header("Content-Type: application/json"); echo "{}";\n'


def forwarding(place, keep):
    place.script("tiny.php", PHP, 0o644)
    if not place.socket("counted-php").exists():
        place.fpm("counted-php", 2)
    lines = (f"forward = unix:{place.socket('counted-php')}\n"
             f"forward_keep = {int(keep)}")
    return front(place, lines, variables(
        ALLOWED, SCRIPT_FILENAME=place / "tiny.php"), None, keep)


def cgi(place, sender, mode, status):
    ini = place.policy("cgi", f"exec = {place.tiny()}\nexec_mode = {mode}")
    return Program(place, "cgi", [FRONT], {
        **variables(sender), "AMP_CORS_CONFIG": str(ini)}, status)


PARTS = {
    "refuse": lambda p: front(p, None, variables(REFUSED), 403),
    "refuse-kept": lambda p: front(p, None, variables(REFUSED), 403, True),
    "refuse-quiet": lambda p: front(p, None, variables(REFUSED), 403,
                                    level="warning"),
    "preflight": lambda p: front(p, None, variables(**PREFLIGHT), 204),
    "preflight-kept": lambda p: front(p, None, variables(**PREFLIGHT), 204,
                                      True),
    "plain": lambda p: plain(p, variables(REFUSED)),
    "plain-kept": lambda p: plain(p, variables(REFUSED), True),
    "wrap": lambda p: wrapping(p, "tiny"),
    "wrap-dash": lambda p: wrapping(p, "tiny.sh"),
    "fcgiwrap": lambda p: fcgiwrap(p, "tiny"),
    "fcgiwrap-dash": lambda p: fcgiwrap(p, "tiny.sh"),
    "forward": lambda p: forwarding(p, False),
    "forward-kept": lambda p: forwarding(p, True),
    "cgi-alone": lambda p: Program(p, "alone", [p.tiny()],
                                   variables(ALLOWED), 200),
    "cgi-refuse": lambda p: cgi(p, REFUSED, "filter", 403),
    "cgi-filter": lambda p: cgi(p, ALLOWED, "filter", 200),
    "cgi-replace": lambda p: cgi(p, ALLOWED, "replace", 200),
}
