"""No body and no answer is ever held whole, whichever way it goes: SPEC 1.6,
4.3, 4.4. AMP_TEST_SIZE=1G does the same with other sizes, and for every way;
"pytest -s" then shows what each front has grown by."""

import contextlib
import functools
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest

import backend
import fcgi
import kit
import servers
from kit import SENDER, WAIT, until, variables
from test_php_fpm import PhpApache, PhpKept, PhpLighttpd, PhpTcp, PhpUnix
from test_ways_more import LighttpdStream, Unbuffered

MIB = 1 << 20
UNITS = {"M": MIB, "G": 1 << 30}
ASKED = os.environ.get("AMP_TEST_SIZE")
SIZE = int((ASKED or "128M")[:-1]) * UNITS[(ASKED or "128M")[-1]]
SMALL = 32 * MIB       # more than may be held, for what is slow on purpose
LIMIT = 8 * 1024       # KiB
PAUSE = 0.5            # of somebody slow
PATIENCE = 300         # a web server may write all of it to a disk first
POLICY = "spool_max = 2G\ntimeout = 60\nbody_timeout = 60\nsend_timeout = 60"

# as bad-cgi has it; a prime number of bytes fits no buffer
BLOCK = bytes((i * 31 + i // 251) & 255 for i in range(65521))


# What is sent, and what it comes to


def pieces(n, block=BLOCK * 16):
    for _ in range(n // len(block)):
        yield block
    yield block[:n % len(block)]


def add_up(stream, pause=0):
    """Its length and sum, as bad-cgi's echo says it, with nothing kept."""
    n, total = 0, 1
    for piece in stream:
        n += len(piece)
        total = zlib.adler32(piece, total)
        time.sleep(pause)
        pause = 0
    return {"length": n, "sum": f"{total:08x}"}


@functools.lru_cache
def expected(n):
    return add_up(pieces(n))


# What a front holds


def private(pid):
    """KiB that it has for itself, and in files that are memory."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = sum(map(int, re.findall(r"^Private_\w+: *(\d+) kB", rollup, re.M)))
    for fd in os.scandir(f"/proc/{pid}/fd"):
        if os.readlink(fd.path).startswith("/memfd:"):
            kib += os.stat(fd.path).st_blocks // 2
    return kib


def peak(pid):
    """KiB of memory that it had at most, up to now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int((re.findall(r"^VmHWM:\s*(\d+) kB", status, re.M) or [0])[0])


def running_as(program):
    """The processes of a program that nobody else runs."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(
                    f"/proc/{name}/exe") == str(program):
                yield int(name)
        except OSError:
            pass  # it has ended, or is another user's


class Watch:
    """The most that processes held while a request was on its way. The
    handler waits with its last word until we have looked."""

    def __init__(self, site):
        self.site = site
        self.private = self.peak = self.looks = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look_on, daemon=True)

    def __enter__(self):
        self.site.prepare()
        for pid in self.site.fronts():
            with contextlib.suppress(OSError):
                # proc(5): the peak begins anew
                Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def look_on(self):
        pids = []
        while not self.over.wait(0.01):
            held = self.site.held()
            if not pids or held:
                pids = list(self.site.fronts())
            pids = [p for p in pids if self.look(p)]
            if held and pids:
                self.site.go_on()

    def look(self, pid):
        """Is it still there?"""
        try:
            here = peak(pid)
            self.private = max(self.private, private(pid))
        except OSError:
            return False
        self.peak = max(self.peak, here)
        self.looks += here > 0
        return here > 0  # else it has ended

    def grown(self, before):
        """KiB since another one."""
        assert self.looks and before.looks, "no front was seen"
        return max(self.private - before.private, self.peak - before.peak)


# Ways in


class Handler:
    """bad-cgi: it says that it waits, and is told to go on, by a file."""

    def folders(self):
        return [self.front.path]

    def prepare(self):
        for folder in self.folders():
            for name in ("held", "go"):
                (folder / name).unlink(missing_ok=True)

    def held(self):
        return any((f / "held").exists() for f in self.folders())

    def go_on(self):
        for folder in self.folders():
            (folder / "go").touch()


class Large(Handler):
    """Before a web server's class: limits that let large bodies pass."""

    def folders(self):
        return [self.front.path, self.scripts]

    def before(self):
        table = servers.TABLE_POLICY
        for key in ("timeout", "body_timeout", "send_timeout"):
            table = re.sub(f"(?m)^{key} = 10\n", "", table)
        self.front.configure(f"{self.policy}\n{POLICY}",
                             "socket_mode = 0666", table)
        super().before()

    def location(self):
        """nginx keeps answers on a disk, too, if it is not told otherwise."""
        return super().location().replace(
            "client_max_body_size 16m;",
            "client_max_body_size 0;\nfastcgi_max_temp_file_size 0;")

    def fronts(self):
        return running_as(self.program)

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=PATIENCE)
        headers["AMP-Email-Sender"] = SENDER
        try:
            connection.request(
                method, self.base + path, body, {
                    n.replace("_", "-"): v for n, v in headers.items()},
                encode_chunked="Transfer_Encoding" in headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer says why
        return connection

    def post(self, path, n, known=True):
        length = {"Content_Length": str(n)} if known else {
            "Transfer_Encoding": "chunked"}
        answer = self.take(self.request("POST", path, pieces(n), **length))
        assert answer.status == 200, (answer, self.errors()[-2000:])
        return json.loads(answer.body)

    def get(self, path, pause=0):
        connection = self.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, (response.read(), self.errors())
        got = add_up(iter(lambda: response.read(MIB), b""), pause)
        connection.close()
        return got


def beheaded(stream):
    """The body of a CGI answer."""
    head = b""
    for piece in stream:
        head += piece
        head, blank, rest = head.partition(b"\r\n\r\n")
        if blank:
            break
    assert head.startswith(b"Status: 200 "), head
    yield rest
    yield from stream


class Direct(Handler):
    """Without a web server."""

    policy = "exec = {handler}"

    def __init__(self, folder, helper):
        self.folder = folder
        self.run = folder.make("run")
        self.front = kit.Front(folder, helper)
        self.front.usual = {"senders": "{sender}"}
        self.pid = None

    def start(self):
        self.before()
        return self

    def before(self):
        self.front.configure(f"{self.policy}\n{POLICY}")

    def fronts(self):
        return [self.pid] if self.pid else []

    def post(self, path, n, known=True):
        stream = self.ask(path, pieces(n, BLOCK), method="POST",
                          CONTENT_LENGTH=str(n) if known else None)
        return json.loads(b"".join(stream))

    def get(self, path, pause=0):
        return add_up(self.ask(path, []), pause)

    def stop(self):
        assert self.front.stop() in (None, 0)


class Fcgi(Direct):
    """A plain FastCGI client, with a connection for each request."""

    def before(self):
        super().before()
        self.front.start()
        self.pid = self.front.child.pid

    def ask(self, path, body, **more):
        with fcgi.Client(self.front.socket, PATIENCE) as client:
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(variables(path=path, **more))))
            for piece in body:
                if piece:
                    client.send(fcgi.record(fcgi.STDIN, 1, piece))
            client.send(fcgi.record(fcgi.STDIN))
            yield from beheaded(self.output(client))

    @staticmethod
    def output(client):
        while (record := client.record())[0] != fcgi.END:
            if record[0] == fcgi.STDOUT:
                yield record[2]


class Cgi(Direct):
    """A plain CGI program."""

    def ask(self, path, body, **more):
        process = self.front.cgi_start(path=path, **more)
        self.pid = process.pid
        for piece in body:
            process.stdin.write(piece)
        process.stdin.close()
        yield from beheaded(iter(lambda: process.stdout.read1(MIB), b""))
        assert process.wait(WAIT) == 0, process.stderr.read()
        self.pid = None
        process.stdout.close()
        process.stderr.close()


# Handlers elsewhere


def arriving(request):
    """The body, which is not kept here either."""
    while request.take():
        yield bytes(request.body)
        request.body.clear()
        request.link.raw.clear()


class ToSink:
    """With "forward" to a server of ours, which does as bad-cgi does."""

    keep = 0
    where = None

    def before(self):
        self.sink = backend.Backend(self.where or self.run / "sink.sock",
                                    seconds=PATIENCE)
        self.sink.play = self.play
        self.sink.start()
        if not self.sink.tcp:
            # CGI programs run as the web server's user
            os.chmod(self.sink.where, 0o666)
        self.policy = (f"forward = {self.sink.name}\n"
                       f"forward_keep = {self.keep}")
        super().before()

    def prepare(self):
        self.waits, self.goes_on = threading.Event(), threading.Event()

    def held(self):
        return self.waits.is_set()

    def go_on(self):
        self.goes_on.set()

    def hold(self):
        self.waits.set()
        assert self.goes_on.wait(60)

    def play(self, request):
        what, arg = (request.get("PATH_INFO")[1:] + "/").split("/")[:2]
        time.sleep(int(arg) / 1000 if what == "sink" and arg else 0)
        got = json.dumps(add_up(arriving(request)))
        if what == "sink":
            self.hold()
            request.send(request.whole_answer(backend.TYPE + got.encode()))
            return
        length = f"Content-Length: {arg}\r\n" if "sized" in what else ""
        request.send(request.out(length.encode() + backend.TYPE))
        for piece in pieces(int(arg), BLOCK):
            if len(piece) < len(BLOCK):
                self.hold()
            request.send(request.out(piece))
        request.send(request.eof(), request.end())

    def stop(self):
        super().stop()
        self.sink.stop()


class ToSinkTcp(ToSink):
    where = ("127.0.0.1", 0)


class ToSinkKept(ToSink):
    keep = 1


PHP = r"""<?php
[$what, $arg] = explode("/", substr($_SERVER["PATH_INFO"], 1) . "/", 3);

function hold() {
    flush();
    touch(__DIR__ . "/held");
    for ($i = 0; $i < 6000 && !file_exists(__DIR__ . "/go"); $i++)
        usleep(10000);
}

if ($what == "sink") {
    $sum = hash_init("adler32");
    $n = hash_update_stream($sum, fopen("php://input", "rb"));
    hold();
    printf("{\"length\":%d,\"sum\":\"%s\"}\n", $n, hash_final($sum));
    exit;
}
header("Content-Type: application/octet-stream");
if ($what == "pour-sized")
    header("Content-Length: $arg");
for ($block = "", $i = 0; $i < 65521; $i++)
    $block .= chr(($i * 31 + intdiv($i, 251)) & 255);
for ($left = (int)$arg; $left > 65521; $left -= 65521)
    echo $block;
hold();
echo substr($block, 0, $left);
"""


class LargePhp(Large):
    """PHP-FPM, which keeps a body in a file until the script reads it."""

    policy = POLICY

    @property
    def pool(self):
        size = "php_admin_value[post_max_size] = "
        end = "request_terminate_timeout = "
        return {size + "16M": f"{size}0\nphp_admin_value[upload_tmp_dir] = "
                f"{self.run}", end + "50": end + "0"}

    def make_scripts(self):
        super().make_scripts()
        kit.write(self.scripts / "h.php", PHP)

    def before(self):
        # the policy's own lines go before those of the table
        super(Large, self).before()


# Which of them are tried, and how

UP, DOWN = ("up",), ("down",)
BOTH = UP + DOWN
SIZED = BOTH + ("down-sized",)
CHUNKED = BOTH + ("up-chunked",)
ALL = SIZED + ("up-chunked",)
SLOW = ("slow-client", "slow-handler")

# class, what stands before it, what is tried
WAYS = [
    (Fcgi, (), ALL + SLOW),
    (Fcgi, (ToSink,), ALL + SLOW),
    (Fcgi, (ToSinkTcp,), CHUNKED),
    (Fcgi, (ToSinkKept,), ALL + SLOW),
    (Cgi, (), ALL + SLOW),
    (Cgi, (ToSink,), ALL + SLOW),
    (servers.NginxUnix, (Large,), SIZED),
    (servers.NginxUnixKept, (Large,), BOTH),
    (servers.NginxIpv4, (Large,), BOTH),
    (servers.NginxSpawnFcgi, (Large,), BOTH),
    (servers.NginxSystemd, (Large,), BOTH),
    (Unbuffered, (Large,), CHUNKED + SLOW),
    (servers.LighttpdSocket, (Large,), ALL),
    (LighttpdStream, (Large,), BOTH),
    (servers.LighttpdSpawn, (Large,), BOTH),
    (servers.ApacheProxy, (Large,), ALL),
    (servers.Caddy, (Large,), CHUNKED),
    (servers.Haproxy, (Large,), SIZED),
    (servers.LighttpdCgi, (Large,), SIZED),
    (servers.LighttpdInterpreter, (Large,), BOTH),
    (servers.LighttpdShebang, (Large,), BOTH),
    (servers.ApacheCgi, (Large,), ALL),
    (servers.ApacheAction, (Large,), BOTH),
    (servers.ApacheShebang, (Large,), BOTH),
    (servers.NginxFcgiwrap, (Large,), BOTH),
    (servers.NginxFcgiwrapShebang, (Large,), BOTH),
    (PhpUnix, (LargePhp,), ALL),
    (PhpApache, (LargePhp,), CHUNKED),
    (servers.LighttpdCgi, (ToSink, Large), BOTH),
]
# for the front the same as another one
TWINS = [
    (servers.NginxScripts, (Large,), BOTH),
    (servers.NginxIpv4Kept, (Large,), BOTH),
    (servers.NginxIpv6, (Large,), BOTH),
    (servers.NginxUnixClosing, (Large,), BOTH),
    (servers.LighttpdScripts, (Large,), BOTH),
    (servers.ApacheProxyScripts, (Large,), BOTH),
    (servers.CaddyIpv4, (Large,), BOTH),
    (servers.CaddyScripts, (Large,), BOTH),
    (servers.HaproxyScripts, (Large,), BOTH),
    (PhpTcp, (LargePhp,), BOTH),
    (PhpKept, (LargePhp,), BOTH),
    (PhpLighttpd, (LargePhp,), BOTH),
    (servers.ApacheCgi, (ToSink, Large), BOTH),
    (servers.NginxFcgiwrap, (ToSink, Large), BOTH),
]


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", metafunc.cls.kinds)


@pytest.fixture(scope="class")
def running(request, class_folder, helper):
    """The way, and what its front holds for a request that is small."""
    made = request.cls.way(class_folder, helper)
    try:
        made.start()
        with Watch(made) as made.idle:
            made.post("/sink", 1)
        yield made
    finally:
        made.stop()


def up(site):
    return site.post("/sink", SIZE), SIZE


def up_chunked(site):
    return site.post("/sink", SIZE, known=False), SIZE


def down(site):
    return site.get(f"/pour/{SIZE}"), SIZE


def down_sized(site):
    return site.get(f"/pour-sized/{SIZE}"), SIZE


def slow_client(site):
    return site.get(f"/pour/{SMALL}", PAUSE), SMALL


def slow_handler(site):
    return site.post(f"/sink/{PAUSE * 1000:.0f}", SMALL), SMALL


class Passes:
    """A class for each way in is made of this."""

    def test_passes_through(self, running, kind):
        move = globals()[kind.replace("-", "_")]
        began = time.monotonic()
        with Watch(running) as watch:
            got, size = move(running)
        took = time.monotonic() - began
        grown = watch.grown(running.idle)
        print(f"\n{type(running).__name__:28} {kind:12} {size // MIB:5} MiB "
              f"{took:6.1f} s {watch.looks:5} looks, grown by {grown} KiB")
        assert got == expected(size)
        assert grown < LIMIT


for way, before, kinds in WAYS + (TWINS if ASKED else []):
    name = way.__name__ + "".join(
        c.__name__ for c in before if c not in (Large, LargePhp))
    globals()["Test" + name] = type("Test" + name, (Passes,), {
        "way": type(name, before + (way,), {}), "kinds": kinds})


HOLDS = """\
import os, sys
held = {"nothing": lambda: None,
        "private": lambda: bytes(range(256)) * 65536,
        "file": lambda: os.write(os.memfd_create("x"), bytes(16 << 20)),
        "released": lambda: len(bytes(range(256)) * 65536)}[sys.argv[1]]()
print(flush=True)
sys.stdin.read()
"""


class Holder(Handler):
    """A process that holds something, and is no front."""

    def __init__(self, what):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, what], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)

    def folders(self):
        return []

    def fronts(self):
        return [self.process.pid]


def look_at(what):
    holder = Holder(what)
    with holder.process, Watch(holder) as watch:
        holder.process.stdout.readline()
        before = watch.looks
        until(lambda: watch.looks > before + 1, "a look")
    return watch


@pytest.mark.parametrize("what", ["private", "file", "released"])
def test_holding_is_seen(what):
    """The measure is none if it sees nothing."""
    grown = look_at(what).grown(look_at("nothing"))
    assert grown > 2 * LIMIT - 2048
