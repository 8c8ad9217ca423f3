"""Another policy for a server that runs: SIGHUP, and files that change; not
one request fails, or sees half of a policy [SPEC 5.5, 6.8]."""

import http.client
import itertools
import os
import pwd
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import fcgi
import kit
import servers
from kit import of_fcgi, ours, until, variables

AMP_CORS = os.environ.get("AMP_CORS", kit.ROOT / "amp-cors")
GOOGLE = "https://mail.google.com"
BOTH, ONE, TWO = (n + "@company.example" for n in ("both", "one", "two"))
SENDERS = {"A": ONE, "B": TWO}

# in which A and B differ: who may ask, what is exposed, and what runs
POLICY = """\
[policy]
senders = both@company.example {sender}
senders_file = {dir}/list
expose_headers = X-{name}
exec = {dir}/{name}
[server]
threads = 8
socket_mode = 0666
{server}
"""
SCRIPT = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s'\n"


def prepare(front, server=""):
    """The files of both policies, A in force."""
    for name in SENDERS:
        front.put(name, SCRIPT % name, 0o755)
    front.put("list", "".join(f"u{i}@list.example\n" for i in range(2000)))
    front.server = server
    put(front, "A")


def put(front, name):
    """One of them in the policy file's place, by rename(2)."""
    text = POLICY
    for key, value in (("name", name), ("sender", SENDERS[name]),
                       ("dir", front.path), ("server", front.server)):
        text = text.replace("{%s}" % key, str(value))
    os.rename(front.put("new", text), front.ini)


def loads(front):
    return front.log().count(": loaded again, ")


def reload(front, good=True, by="SIGHUP"):
    """SIGHUP, or by itself; the log's part about it."""
    words = f": {'loaded again' if good else 'not loaded'}, {by}"
    before = front.log()
    if by == "SIGHUP":
        front.child.send_signal(signal.SIGHUP)
    until(lambda: front.log().count(words) > before.count(words), words)
    return front.log()[len(before):]


def v1(sender):
    return {"origin": GOOGLE, "sender": None, "path": "/",
            "query": "__amp_source_origin=" + sender}


def brief(answer):
    """All of an answer that a policy decides."""
    if answer.status == 403:
        assert ours(answer.headers) == []
        return 403, answer.reason()
    return (answer.status, answer.one("Access-Control-Expose-Headers"),
            answer.one("AMP-Access-Control-Allow-Source-Origin"),
            answer.body)


def allowed(name, sender):
    exposed = "AMP-Access-Control-Allow-Source-Origin, X-" + name
    return 200, exposed, sender, name.encode()


REFUSED = 403, "sender-not-allowed"
WHOLE = {BOTH: [allowed("A", BOTH), allowed("B", BOTH)],
         ONE: [allowed("A", ONE), REFUSED], TWO: [REFUSED, allowed("B", TWO)]}


# Clients: each asks for a sender, and says what came back


class FastCgi:
    def __init__(self, front, kept):
        self.front, self.kept = front, kept
        self.client = front.connect() if kept else None

    def __call__(self, sender):
        if not self.kept:
            return self.front.ask(**v1(sender))
        self.client.request(variables(**v1(sender)), flags=fcgi.KEEP)
        return of_fcgi(self.client.answer())

    def close(self):
        if self.kept:
            self.client.close()


class Http:
    def __init__(self, port, kept):
        self.port, self.kept = port, kept
        self.connection = None

    def __call__(self, sender):
        if self.connection is None or not self.kept:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=20)
        self.connection.request(
            "GET", "/amp?__amp_source_origin=" + sender,
            headers={"Origin": GOOGLE})
        response = self.connection.getresponse()
        answer = kit.Answer(status=response.status,
                            headers=response.getheaders(),
                            body=response.read())
        if not self.kept:
            self.connection.close()
        return answer

    def close(self):
        if self.connection is not None:
            self.connection.close()


class Load:
    """Clients that ask all the time, each in its thread."""

    def __init__(self, clients):
        self.clients = clients
        self.over = False
        self.seen = []       # (sender, what came)
        self.broken = []     # what went wrong otherwise
        self.threads = [threading.Thread(target=self.ask, args=(c,))
                        for c in clients]

    def ask(self, client):
        senders = itertools.cycle(WHOLE)
        try:
            while not self.over:
                sender = next(senders)
                self.seen.append((sender, brief(client(sender))))
        except Exception as e:  # pylint: disable=broad-except
            self.broken.append(repr(e))
        finally:
            client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join()

    def go_on(self, n=None):
        """Until that many more have been answered."""
        n = len(self.clients) if n is None else n
        enough = len(self.seen) + n
        until(lambda: len(self.seen) >= enough or self.broken, "the load", 30)
        assert not self.broken, self.broken

    def wrong(self):
        return [s for s in self.seen if s[1] not in WHOLE[s[0]]]


def descriptors(front):
    return len(os.listdir(f"/proc/{front.child.pid}/fd"))


SIGNALS, CHANGES = 97, 3
# KiB; one list that is left behind each time makes ten times as much, and the
# sanitizers keep what is freed for a while
GROWS = kit.MEMORY if "asan" in str(kit.FRONT) else 2500


def exchange(front, load):
    """A hundred reloads under load; the resident KiB after ten of them."""
    for i in range(SIGNALS):
        put(front, "BA"[i % 2])
        reload(front)
        load.go_on()
        if i == 10:
            early = kit.memory(front.child.pid)
    for i in range(CHANGES):
        put(front, "AB"[i % 2])
        reload(front, by=f"{front.ini} has changed")
        load.go_on()
    return early


def assert_steady(front, load):
    """What every client has seen, and what is left."""
    assert not load.broken, load.broken
    assert load.wrong() == []
    for sender, answers in WHOLE.items():
        for answer in answers:
            assert (sender, answer) in load.seen, (sender, answer)
    assert loads(front) == SIGNALS + CHANGES
    assert "not loaded" not in front.log()


def hundred(front, clients):
    front.ask(**v1(BOTH))
    before = descriptors(front)
    with Load(clients) as load:
        early = exchange(front, load)
        grown = kit.memory(front.child.pid) - early
    assert_steady(front, load)
    until(lambda: descriptors(front) <= before,
          f"{before} descriptors, as before")
    assert grown < GROWS, f"{grown} KiB more"


class TestHundred:
    def test_fastcgi(self, front):
        prepare(front, "reload_interval = 1")
        front.start()
        hundred(front, [FastCgi(front, kept) for kept in (True, False) * 2])


class SteadySite(servers.NginxUnixKept):
    def before(self):
        prepare(self.front, "reload_interval = 1")
        super().before()


class TestHundredBehindNginx:
    way = SteadySite

    def test_nginx(self, site):
        front = site.front
        before = descriptors(front)
        clients = [Http(site.port, kept) for kept in (True, False) * 2]
        with Load(clients) as load:
            load.go_on(50)
            early = exchange(front, load)
            grown = kit.memory(front.child.pid) - early
        assert_steady(front, load)
        assert grown < GROWS, f"{grown} KiB more"
        assert "upstream" not in site.errors(), site.errors()
        # nginx keeps four connections
        until(lambda: descriptors(front) <= before + 4,
              f"{before} descriptors, as before")


class TestMemory:
    def test_long_list(self, front):
        """There is one of it at a time, but for the moment of a reload."""
        front.configure(f"senders_file = {front.path}/list")
        front.put("list", "short@list.example\n")
        front.start()
        bare = kit.memory(front.child.pid)
        front.put("list", "".join(f"user{i}@domain{i % 99}.example\n"
                                  for i in range(300000)))
        front.restart()
        at_first = kit.memory(front.child.pid)
        assert at_first > bare + 10000
        for _ in range(4):
            reload(front)
        grown = kit.memory(front.child.pid) - at_first
        if "asan" not in str(kit.FRONT):  # it keeps what is freed
            assert grown < (at_first - bare) // 4, f"{grown} KiB more"


# Requests that are on their way

SLOW = """\
#!/bin/sh
printf 'Content-Type: text/plain\\n\\nbefore '
: >{dir}/begun.$$
while [ ! -e {dir}/go ]; do sleep 0.02; done
printf 'after'
"""


class Asker(threading.Thread):
    """One request that takes its time."""

    def __init__(self, front, **request):
        super().__init__()
        self.front, self.request = front, request
        self.answer = None
        self.start()

    def run(self):
        self.answer = self.front.ask(**self.request)

    def got(self):
        self.join()
        return self.answer


def begun(front):
    return len(list(front.path.glob("begun.*")))


class TestOnTheirWay:
    def start(self, front, server=""):
        prepare(front, server)
        front.put("A", SLOW.replace("{dir}", str(front.path)), 0o755)
        front.start()

    def go(self, front):
        front.put("go", "")

    def expect(self, answer):
        exposed = "AMP-Access-Control-Allow-Source-Origin, X-A"
        assert brief(answer) == (200, exposed, ONE, b"before after")

    def test_handler_runs(self, front):
        """It ends by the policy that it began with, which is gone."""
        self.start(front)
        slow = [Asker(front, **v1(ONE)) for _ in range(3)]
        until(lambda: begun(front) == 3, "the handlers")
        for name in "BBB":
            put(front, name)
            reload(front)
            assert brief(front.ask(**v1(ONE))) == REFUSED
            assert brief(front.ask(**v1(TWO))) == allowed("B", TWO)
        self.go(front)
        for request in slow:
            self.expect(request.got())

    def test_parked(self, front):
        """So does one that had not begun yet."""
        self.start(front, "queue = 2\nqueue_timeout = 60")
        front.configure(whole=front.ini.read_text().replace(
            "threads = 8", "threads = 1"))
        front.restart()
        slow = [Asker(front, **v1(ONE))]
        until(lambda: begun(front) == 1, "a handler")
        slow += [Asker(front, **v1(ONE)) for _ in range(3)]
        # where one finds no place any more, two have one
        until(lambda: not all(s.is_alive() for s in slow), "a full queue")
        put(front, "B")
        reload(front)
        assert brief(front.ask(**v1(ONE))) == REFUSED
        assert begun(front) == 1
        self.go(front)
        answers = [request.got() for request in slow]
        busy = [a for a in answers if a.status == 503]
        assert [a.reason() for a in busy] == ["busy"]
        for answer in answers:
            if answer not in busy:
                self.expect(answer)
        assert begun(front) == 3
        assert brief(front.ask(**v1(TWO))) == allowed("B", TWO)

    def test_killed_by_its_own_limits(self, front):
        """Those of the old policy."""
        self.start(front)
        text = front.ini.read_text()
        front.put("amp-cors.ini", text.replace(
            "[server]", "time_limit = 1\n[server]"))
        reload(front)
        slow = Asker(front, **v1(ONE))
        until(lambda: begun(front) == 1, "the handler")
        put(front, "B")
        reload(front)
        assert slow.got().broken
        until(lambda: "handler-timeout" in front.log(), "the log")


# Policies that are not taken


class TestRefused:
    def is_kept(self, front):
        assert brief(front.ask(**v1(ONE))) == allowed("A", ONE)
        assert brief(front.ask(**v1(TWO))) == REFUSED

    @pytest.mark.parametrize("how", ["SIGHUP", "change"])
    def test_broken(self, front, how):
        prepare(front, "reload_interval = 1")
        front.start()
        by = how if how == "SIGHUP" else f"{front.ini} has changed"
        front.put("new", "[policy]\nsenders = two@company.example\n"
                  "  sender = x\nversions = 3\n")
        os.rename(front.path / "new", front.ini)
        said = reload(front, False, by)
        assert (f"amp-cors-cgi: {front.ini}:3:3: error: unknown key 'sender' "
                "[unknown-key]; did you mean senders?\n") in said
        assert re.search(re.escape(f"{front.ini}:4:12: error: ")
                         + r".* \[bad-value\]; ", said)
        assert said.count("error") == 2
        assert (f"{front.ini}: not loaded, {by}: what was in force before "
                "stays\n") in said
        self.is_kept(front)
        put(front, "B")
        reload(front, True, by)
        assert brief(front.ask(**v1(TWO))) == allowed("B", TWO)

    def test_no_handler(self, front):
        """What only shows on this machine, and with this command line."""
        prepare(front)
        front.start()
        front.put("amp-cors.ini", "[policy]\nsenders = two@company.example\n")
        said = reload(front, False)
        assert f"{front.ini}:1:2: error: no handler for any path [no-han" in (
            said)
        self.is_kept(front)

    def test_missing_program(self, front):
        """That is a warning, and may be mended without us."""
        prepare(front)
        front.start()
        put(front, "B")
        (front.path / "B").unlink()
        said = reload(front)
        assert f"{front.ini}:5:8: warning: exec = {front.path}/B " in said
        assert front.ask(**v1(TWO)).reason() == "handler-missing"

    def test_gone(self, front):
        prepare(front)
        front.start()
        front.ini.unlink()
        said = reload(front, False)
        assert f"{front.ini}: error: No such file" in said
        self.is_kept(front)


# Lists


def compile_list(front, *rules):
    front.put("text", "".join(r + "\n" for r in rules))
    subprocess.run([AMP_CORS, "compile", front.path / "text",
                    front.path / "cdb"], check=True, capture_output=True,
                   timeout=20)
    return front.path / "cdb"


def with_list(front, key, name, server=""):
    front.configure(f"senders =\n{key} = {front.path}/{name}", server)
    front.start()


def status(front, sender):
    answer = front.ask(sender=sender)
    if answer.status == 200:
        return 200
    assert ours(answer.headers) == []
    return answer.status, answer.reason()


class TestTextList:
    def test_replaced(self, front):
        front.put("list", ONE + "\n")
        with_list(front, "senders_file", "list", "reload_interval = 1")
        assert status(front, ONE) == 200
        front.put("new", TWO + "\n\n")
        os.rename(front.path / "new", front.path / "list")
        said = reload(front, True, f"{front.path}/list has changed")
        assert said.count("amp-cors-cgi: ") == 1
        assert status(front, TWO) == 200
        assert status(front, ONE) == REFUSED

    def test_bad(self, front):
        """In place: what was loaded stays, whatever becomes of the file."""
        front.put("list", ONE + "\n")
        with_list(front, "senders_file", "list", "reload_interval = 1")
        front.put("list", TWO + "\n!*@\n")
        said = reload(front, False, f"{front.path}/list has changed")
        assert f"{front.path}/list:2:1: error: " in said
        assert "[bad-rule]" in said
        assert status(front, ONE) == 200
        assert status(front, TWO) == REFUSED
        (front.path / "list").unlink()
        said = reload(front, False)
        assert f"{front.path}/list: error: No such file" in said
        assert "[list-unreadable]" in said
        assert status(front, ONE) == 200
        front.put("list", f"{ONE}\n{TWO}\n")
        reload(front)
        assert status(front, TWO) == 200


class TestCompiledList:
    def test_replaced(self, front):
        """By the tool, under load: not one request fails."""
        compile_list(front, BOTH, ONE)
        with_list(front, "senders_cdb", "cdb", "reload_interval = 1")
        seen, over = [], threading.Event()

        def ask():
            while not over.is_set():
                seen.append(status(front, BOTH))

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for who in (TWO, ONE, TWO):
                compile_list(front, BOTH, who)
                reload(front, True, f"{front.path}/cdb has changed")
                assert status(front, who) == 200
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert set(seen) == {200}
        assert status(front, ONE) == REFUSED

    @pytest.mark.parametrize("part", [0, 0.01, 0.5, 0.99])
    def test_truncated(self, front, part):
        """Under the running server: no allow, no signal, and a word."""
        cdb = compile_list(front, *(f"u{i}@a.example" for i in range(3000)))
        good = cdb.read_bytes()
        with_list(front, "senders_cdb", "cdb", "reload_interval = 0")
        asked = ["u0@a.example", "u2999@a.example", "x@b.example"]
        assert [status(front, s) for s in asked] == [200, 200, REFUSED]
        os.truncate(cdb, int(len(good) * part))
        unavailable = 503, "policy-unavailable"
        assert [status(front, s) for s in asked] == [unavailable] * 3
        said = reload(front, False)
        assert f"{cdb}: error: " in said and "[list-damaged]" in said
        assert [status(front, s) for s in asked] == [unavailable] * 3
        cdb.write_bytes(good)
        reload(front)
        assert [status(front, s) for s in asked] == [200, 200, REFUSED]

    def test_written_over(self, front):
        """Of the same size, and with the same time."""
        cdb = compile_list(front, *(f"u{i}@a.example" for i in range(3000)))
        with_list(front, "senders_cdb", "cdb", "reload_interval = 0")
        was, size = cdb.stat(), cdb.stat().st_size
        with open(cdb, "r+b") as f:
            f.write(os.urandom(size))
        os.utime(cdb, ns=(was.st_atime_ns, was.st_mtime_ns))
        for i in range(0, 3000, 100):
            assert status(front, f"u{i}@a.example") == (
                503, "policy-unavailable")


# Signals


class TestLogrotate:
    def test_no_line_is_lost(self, front):
        """SIGUSR1 while requests come: each has one line, in some log."""
        log = front.path / "log"
        prepare(front, f"log = {log}")
        front.start()
        with Load([FastCgi(front, k) for k in (True, True, False)]) as load:
            for i in range(20):
                load.go_on()
                os.rename(log, front.path / f"log.{i}")
                front.child.send_signal(signal.SIGUSR1)
                until(log.exists, "a new log")
        assert not load.broken and load.wrong() == []
        asked = len(load.seen)

        def lines():
            logs = front.path.glob("log*")
            return [li for f in logs for li in f.read_text().splitlines()
                    if re.match(r"20\S+Z \w+ (allow|deny) ", li)]

        until(lambda: len(lines()) >= asked, "all lines")
        ids = [li.split(" ")[1] for li in lines()]
        assert len(ids) == len(set(ids)) == asked
        assert loads(front) == 0
        assert front.child.said().count("\n") <= 2  # before the log was open

    def test_no_new_log(self, front):
        folder = front.path / "logs"
        folder.mkdir()
        prepare(front, f"log = {folder}/log")
        front.start()
        os.rename(folder, front.path / "moved")
        front.child.send_signal(signal.SIGUSR1)
        log = front.path / "moved" / "log"
        until(lambda: "cannot be opened again: No such file" in
              log.read_text(), "the old log")
        assert front.ask(**v1(ONE)).status == 200
        until(lambda: " allow 200 ok " in log.read_text(), "the old log")


def blocked(child):
    with open(f"/proc/{child.pid}/status") as f:
        mask = re.search(r"SigBlk:\t(\w+)", f.read())[1]
    return int(mask, 16)


class TestEarly:
    def test_signals_before_it_serves(self, front):
        """They wait until there is somebody for them."""
        fifo = front.path / "log"
        os.mkfifo(fifo)
        prepare(front, f"log = {fifo}")
        front.start(wait=False)
        until(lambda: blocked(front.child) & 1, "SIGHUP blocked")
        front.child.send_signal(signal.SIGUSR1)
        front.child.send_signal(signal.SIGHUP)
        got = b""
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        try:
            until(lambda: kit.answers(front.socket), "the front")

            def more():
                nonlocal got
                try:
                    got += os.read(reader, 65536)
                except BlockingIOError:
                    pass
                return b": loaded again, SIGHUP\n" in got

            until(more, "the log")
        finally:
            os.close(reader)
        assert front.ask(**v1(ONE)).status == 200


class TestServer:
    def test_takes_a_restart(self, front):
        """[server] stays; what has changed is named, the rest is loaded."""
        prepare(front, "queue = 3")
        front.start()
        front.server = ("queue = 4\nlog_format = json\nlisten = unix:/x/y\n"
                        "log_level = info")
        put(front, "B")
        said = reload(front)
        told = re.findall(r"amp-cors\.ini: (\w+) of \[server\] has changed: "
                          "it takes a restart", said)
        assert sorted(told) == ["listen", "log_format", "queue"]
        assert brief(front.ask(**v1(TWO))) == allowed("B", TWO)
        until(lambda: front.decisions(), "a line, as text")
        front.server = "queue = 3"
        put(front, "B")
        assert "restart" not in reload(front)

    def test_socket_of_the_first_policy(self, front):
        """It is removed at the end, whatever was loaded meanwhile."""
        prepare(front, f"listen = unix:{front.socket}")
        front.child = kit.Child([kit.FRONT, "-c", front.ini],
                                front.path / "stderr",
                                env={"PATH": os.defpath})
        until(lambda: kit.answers(front.socket), "the front")
        front.server = f"listen = unix:{front.path}/other"
        put(front, "B")
        for _ in range(3):
            reload(front)
        assert front.stop() == 0
        assert not os.path.exists(front.socket)


class TestUser:
    """What only root can do: conftest leaves it out for others."""

    root_alone = True

    def test_reload(self, front):
        front.path.chmod(0o755)
        prepare(front, "user = nobody\nreload_interval = 1")
        front.start()
        uid = pwd.getpwnam("nobody")[2]
        until(lambda: os.stat(f"/proc/{front.child.pid}").st_uid == uid,
              "another user")
        put(front, "B")
        reload(front)
        assert brief(front.ask(**v1(TWO))) == allowed("B", TWO)
        # readable for root alone: as it was at the start, so it stays
        put(front, "A")
        front.ini.chmod(0o600)
        said = reload(front, False, f"{front.ini} has changed")
        assert f"{front.ini}: error: Permission denied [unreadable]" in said
        assert brief(front.ask(**v1(TWO))) == allowed("B", TWO)
        front.ini.chmod(0o644)
        reload(front, True, f"{front.ini} has changed")
        assert brief(front.ask(**v1(ONE))) == allowed("A", ONE)


class TestCgi:
    def test_hup(self, front):
        """One request, one policy: the signal does what it always does."""
        process = front.cgi_start(path="/silent")
        try:
            until(lambda: front.ran() == 1, "the handler")
            process.send_signal(signal.SIGHUP)
            assert process.wait(kit.WAIT) == -signal.SIGHUP
        finally:
            process.kill()
            process.communicate()
            kit.finish(front)
