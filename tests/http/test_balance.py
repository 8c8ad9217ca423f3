"""Several fronts behind HAProxy and nginx, as the samples in etc/ say; and
HAProxy as a way in."""

import collections
import http.client
import signal
import socket
import threading
import time
from dataclasses import dataclass

import pytest

import fcgi
import kit
import servers
import test_ways_more as more
from kit import SENDER, V2, echo, ours, until, write
from test_ways import Ways, body_of, sender

running = more.running
ways = more.ways

BALANCER = "127.0.0.9"
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")

POLICY = f"""\
[policy]
senders = {{sender}}
exec = {{dir}}/handler.sh
[server]
peers = {BALANCER}
"""

# Each run leaves the request's id behind before it does anything else. What
# is held waits for the file "go".
HANDLER = """\
#!/bin/sh
id=${QUERY_STRING#id=}
echo "$REQUEST_METHOD $id" >>seen
n=0
case $id in held*) n=200 ;; esac
sleep 0.05
while [ $n -gt 0 ] && [ ! -e go ]; do
	n=$((n - 1))
	sleep 0.05
done
printf 'Content-Type: application/json\\r\\n\\r\\n{"id":"%s"}' "$id"
"""


def port_at(host):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


class Machine:
    """A front with an address, a policy and a handler of its own."""

    def __init__(self, host, folder, helper):
        self.host = host
        self.front = kit.Front(folder, helper)
        self.front.put("handler.sh", HANDLER, 0o755)
        self.front.configure(whole=POLICY)
        for _ in range(5):
            self.port = port_at(host)
            self.start()
            if not self.front.child.ended():
                return
            # somebody else took the port in between
            assert "in use" in self.front.log(), self.front.log()
        raise AssertionError("no free port")

    def start(self):
        at = (self.host, self.port)
        self.front.start("--listen", "%s:%d" % at, ready=at, wait=False)
        child = self.front.child
        until(lambda: child.ended() or kit.answers(at), "a front")

    def kill(self):
        """Without a word; between which two moments it was."""
        child, self.front.child = self.front.child, None
        began = time.monotonic()
        child.send_signal(signal.SIGKILL)
        child.wait()
        ended = time.monotonic()
        self.release()
        child.stop()
        return began, ended

    def tell(self):
        """To stop, in order."""
        self.front.child.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in self.front.log(), "the front's word")

    def wait(self):
        """For its end; the exit status."""
        child, self.front.child = self.front.child, None
        status = child.wait(20)
        child.stop()
        return status

    def release(self):
        self.front.put("go", "")

    def hold(self):
        (self.front.path / "go").unlink(missing_ok=True)

    def seen(self):
        """The requests that a handler was started for, in their order."""
        seen = self.front.path / "seen"
        return seen.read_text().splitlines() if seen.exists() else []


class Balancer:
    def __init__(self, folder, machines):
        self.run = folder.make("run")
        self.machines = machines
        self.child = None
        self.port = None

    def addresses(self):
        """What stands in the samples, and what is there now."""
        found = {"192.0.2.9": BALANCER}
        for i, machine in enumerate(self.machines):
            found[f"192.0.2.1{i + 1}:9000"] = f"{machine.host}:{machine.port}"
        return found

    def start(self):
        for _ in range(5):
            self.port = kit.free_port()
            self.child = self.server()
            at = ("127.0.0.1", self.port)
            until(lambda: self.child.ended() or kit.answers(at), "a balancer")
            if not self.child.ended():
                return self
            assert "in use" in self.said(), self.said()
        raise AssertionError("no free port")

    def said(self):
        return self.child.said()

    def stop(self):
        if self.child:
            self.child.stop()


class Haproxy(Balancer):
    def server(self):
        text = servers.sample("haproxy.cfg", {
            ":443 ssl crt /etc/haproxy/site.pem": f"127.0.0.1:{self.port}",
            **self.addresses()})
        conf = kit.write(self.run / "haproxy.cfg", servers.wrapped(
            "global", "log stderr format raw local0",
            f"stats socket {self.run}/stats", "defaults", "log global",
            text))
        return kit.Child(["haproxy", "-db", "-f", conf], self.run / "log")

    def start(self):
        super().start()
        until(lambda: kit.answers(f"{self.run}/stats"), "its statistics")
        return self

    def states(self):
        """What its health checks say of each front."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.run}/stats")
            s.sendall(b"show stat\n")
            text = b""
            while piece := s.recv(65536):
                text += piece
        head, *rows = text.decode().lstrip("# ").strip().split("\n")
        rows = [dict(zip(head.split(","), row.split(","))) for row in rows]
        return {row["svname"]: row["status"] for row in rows}

    def wait_for(self, machine, well):
        name = f"front{self.machines.index(machine) + 1}"
        state = "UP" if well else "DOWN"
        until(lambda: self.states()[name] == state, f"{name} {state}", 12)


class Nginx(Balancer):
    def server(self):
        text = servers.sample("nginx-upstream.conf", {
            "443 ssl": f"127.0.0.1:{self.port}",
            "\tssl_certificate /etc/nginx/site.pem;\n": "",
            "\tssl_certificate_key /etc/nginx/site.key;\n": "",
            **self.addresses()})
        temps = "".join(f"{kind}_temp_path {self.run}/{kind};\n" for kind in (
            "client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        conf = kit.write(self.run / "nginx.conf", servers.wrapped(
            "user root;" if servers.ROOT else "",
            f"daemon off; worker_processes 1; pid {self.run}/nginx.pid;",
            f"error_log {self.run}/error.log info;",
            "events { worker_connections 128; }",
            f"http {{ access_log off; {temps}", text, "}"))
        return kit.Child(["nginx", "-e", self.run / "error.log", "-c", conf],
                         self.run / "error.log")

    def wait_for(self, machine, well):
        """It asks nobody: a front is well as soon as it is used."""
        if well:
            before = len(machine.seen())
            until(lambda: len(machine.seen()) > before, "a request", 12)


@dataclass
class Outcome:
    """What came of one request."""

    id: str
    method: str
    began: float
    ended: float
    status: int      # 0: the connection closed without an answer
    allowed: list
    body: bytes

    def key(self):
        return f"{self.method} {self.id}"

    def good(self):
        return self.status == 200


class Load:
    """Six clients, half of which keep their connections."""

    def __init__(self, port):
        self.port = port
        self.outcomes = []
        self.ending = threading.Event()
        self.threads = []

    def __enter__(self):
        for number in range(6):
            self.run(self.client, number)
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join()

    def run(self, *call):
        thread = threading.Thread(target=call[0], args=call[1:])
        self.threads.append(thread)
        thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def client(self, number):
        connection = self.connect()
        n = 0
        while not self.ending.is_set():
            n += 1
            outcome = self.one(connection, f"{number}-{n}",
                               "POST" if n % 2 else "GET")
            self.outcomes.append(outcome)
            if number % 2 or not outcome.status:
                connection.close()
                connection = self.connect()
            time.sleep(0.03)
        connection.close()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)

    @staticmethod
    def one(connection, id, method):
        began = time.monotonic()
        status, allowed, body = 0, [], b""
        try:
            connection.request(method, f"/amp/x?id={id}",
                               b"body" if method == "POST" else None,
                               {"AMP-Email-Sender": SENDER})
            response = connection.getresponse()
            allowed = response.headers.get_all("AMP-Email-Allow-Sender") or []
            body = response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            pass
        return Outcome(id, method, began, time.monotonic(), status, allowed,
                       body)

    def go_on(self, n=40):
        """Until so many more requests are through."""
        goal = len(self.outcomes) + n
        until(lambda: len(self.outcomes) >= goal, "the load", 20)


class Held(Load):
    """Requests whose handlers wait: twelve, and more until one of the
    machines has both methods. Who gets which is the balancer's affair."""

    MOST = 24   # as many as the machines can hold beside the load

    def __init__(self, port, name, machines):
        super().__init__(port)
        self.ids = set()
        self.machines = machines
        for machine in machines:
            machine.hold()
        while len(self.ids) < 12 or not self.mixed():
            assert len(self.ids) < self.MOST, "no machine has both methods"
            self.add(f"held-{name}-{len(self.ids) // 2}")

    def add(self, name):
        pair = {f"{method} {name}" for method in ("GET", "POST")}
        self.ids |= pair
        for each in pair:
            self.run(self.ask, *each.split())
        until(lambda: pair <= {s for m in self.machines for s in m.seen()},
              "the handlers")

    def mixed(self):
        """Those that hold a GET and a POST, the busiest first."""
        found = [m for m in self.machines
                 if {k.split()[0] for k in self.at(m)} == {"GET", "POST"}]
        return sorted(found, key=lambda m: -len(self.at(m)))

    def ask(self, method, id):
        connection = self.connect()
        self.outcomes.append(self.one(connection, id, method))
        connection.close()

    def at(self, machine):
        return self.ids & set(machine.seen())

    def results(self):
        self.join()
        assert len(self.outcomes) == len(self.ids)
        return self.outcomes


def story(balancer, machines):
    """One is killed and comes back, another one is stopped, under load."""
    with Load(balancer.port) as load:
        load.go_on()
        killed = kill_one(load, balancer, machines)
        come_back(load, balancer, killed.machine)
        stop_one(load, balancer, machines, killed.machine)
    return killed, load.outcomes


@dataclass
class Killed:
    machine: Machine
    began: float
    ended: float
    held: set   # what its handlers were busy with

    def over(self, outcome):
        """Was this one on its way then?"""
        return outcome.began <= self.ended and outcome.ended >= self.began


def kill_one(load, balancer, machines):
    held = Held(balancer.port, "kill", machines)
    machine = held.mixed()[0]
    its = held.at(machine)
    began, ended = machine.kill()
    for other in machines:
        other.release()
    load.outcomes += held.results()
    balancer.wait_for(machine, False)
    load.go_on()
    return Killed(machine, began, ended, its)


def come_back(load, balancer, machine):
    """The same address, and requests again."""
    before = len(machine.seen())
    machine.start()
    balancer.wait_for(machine, True)
    until(lambda: len(machine.seen()) > before, "a request for it", 12)
    load.go_on()


def stop_one(load, balancer, machines, killed):
    """It finishes what it has, and is not missed."""
    held = Held(balancer.port, "stop", machines)
    others = [m for m in machines if m is not killed]
    machine = max(others, key=lambda m: len(held.at(m)))
    assert held.at(machine)
    machine.tell()
    load.go_on()
    for each in machines:
        each.release()
    assert machine.wait() == 0, machine.front.log()
    load.outcomes += held.results()
    bad = [o for o in held.outcomes if not o.good()]
    assert bad == [], machine.front.log()
    load.go_on()


@dataclass
class Told:
    machines: list
    balancer: Balancer
    killed: Killed
    outcomes: list   # of everybody

    def runs(self):
        """How often a handler was started for each request."""
        return collections.Counter(
            k for machine in self.machines for k in machine.seen())

    def held_there(self):
        return [o for o in self.outcomes if o.key() in self.killed.held]


class Story:
    """A class for each balancer tells it once, and looks at all sides."""

    @pytest.fixture(scope="class")
    def told(self, request, helper):
        folders = [kit.Folder() for _ in range(4)]
        machines, balancer = [], None
        try:
            for host, folder in zip(HOSTS, folders):
                machines.append(Machine(host, folder, helper))
            balancer = self.balancer(folders[3], machines)
            balancer.start()
            killed, outcomes = story(balancer, machines)
            yield Told(machines, balancer, killed, outcomes)
        finally:
            if balancer:
                balancer.stop()
            for machine in machines:
                machine.front.stop()
            for folder in folders:
                folder.remove()

    def test_answers(self, told):
        """Each has its own answer, with the field that the client wants."""
        good = [o for o in told.outcomes if o.good()]
        assert len(good) > 150
        assert [o for o in good if o.allowed != [SENDER]] == []
        assert [o for o in good
                if o.body != b'{"id":"%s"}' % o.id.encode()] == []

    def test_failures(self, told):
        """Only what was on its way to the one that was killed."""
        bad = [o for o in told.outcomes if not o.good()]
        assert {o.status for o in bad} <= {0, 502, 503, 504}
        assert [o for o in bad if not told.killed.over(o)] == []
        elsewhere = {k for m in told.machines if m is not told.killed.machine
                     for k in m.seen()}
        assert [o for o in bad if o.key() in elsewhere] == []

    def test_handlers(self, told):
        """Never twice for a POST; once for each answer."""
        runs = told.runs()
        posts = [o for o in told.outcomes if o.method == "POST"]
        assert len(posts) > 75
        assert [o for o in posts if runs[o.key()] > 1] == []
        assert [o for o in told.outcomes
                if o.good() and not runs[o.key()]] == []

    def test_nothing_else(self, told):
        """No handler runs for a health check."""
        assert set(told.runs()) <= {o.key() for o in told.outcomes}

    def test_each_has_a_share(self, told):
        assert [m.host for m in told.machines if len(m.seen()) < 10] == []

    def test_stray(self, told):
        """Who is not the balancer is closed, and logged: SPEC 5.2."""
        machine = next(m for m in told.machines if m.front.child)
        before = len(machine.front.log())
        with fcgi.Client((machine.host, machine.port)) as client:
            client.request(kit.variables(query="id=stray"))
            assert not client.answer().ended
        until(lambda: "127.0.0.1" in machine.front.log()[before:], "the log")
        assert "GET stray" not in machine.seen()


class TestHaproxyStory(Story):
    balancer = Haproxy

    def test_killed(self, told):
        """HAProxy sends nothing twice."""
        assert [o for o in told.held_there() if o.good()] == []
        assert {o.status for o in told.held_there()} <= {0, 502}
        assert [k for k, n in told.runs().items() if n > 1] == []

    def test_health_is_logged(self, told):
        said = told.balancer.said()
        name = f"front{told.machines.index(told.killed.machine) + 1}"
        assert f"Server amp-fronts/{name} is DOWN" in said
        assert f"Server amp-fronts/{name} is UP" in said


class TestNginxStory(Story):
    balancer = Nginx

    def test_killed(self, told):
        """nginx asks another front for a GET, and never for a POST."""
        runs = told.runs()
        for outcome in told.held_there():
            get = outcome.method == "GET"
            assert outcome.status == (200 if get else 502)
            assert runs[outcome.key()] == (2 if get else 1)
        again = [o for o in told.outcomes if runs[o.key()] > 1]
        assert [o for o in again if not told.killed.over(o)] == []


class TestHaproxyHealth:
    """What the check of the sample takes for a front that is well."""

    @pytest.fixture
    def pair(self, helper):
        folders = [kit.Folder(), kit.Folder()]
        machine = Machine(HOSTS[0], folders[0], helper)
        balancer = Haproxy(folders[1], [machine] * 3)
        try:
            yield machine, balancer
        finally:
            balancer.stop()
            machine.front.stop()
            for folder in folders:
                folder.remove()

    def test_front_that_guards_it(self, pair):
        machine, balancer = pair
        balancer.start()
        until(lambda: machine.front.log().count(" preflight 204 ") > 3,
              "a second round of checks")
        balancer.wait_for(machine, True)
        assert machine.seen() == []

    def test_front_that_does_not(self, pair):
        """404, no-endpoint: it listens, and is of no use."""
        machine, balancer = pair
        machine.tell()
        assert machine.wait() == 0
        machine.front.configure(
            whole=POLICY + "[endpoint other]\npath = /other\n")
        machine.start()
        balancer.start().wait_for(machine, False)
        until(lambda: 'code: 404, info: "Not Found"' in balancer.said(),
              "the log")

    def test_port_without_a_front(self, pair):
        machine, balancer = pair
        machine.kill()
        balancer.start().wait_for(machine, False)


class HaproxyWays(Ways):
    def test_refused_with_a_body(self, site):
        """HAProxy takes no more of a body once the answer is whole: a client
        that has more to send gets its answer, if it looks."""
        before = site.ran()
        for size in (1, 65536):
            answer = site.ask("POST", headers=sender("a@b.example"),
                              body=body_of(size))
            assert answer.status == 403, (size, answer, site.errors())
            assert answer.reason() == "sender-not-allowed"
        told = self.look_while_sending(site, 64 << 20)
        assert told.startswith(b"HTTP/1.1 403 ")
        assert b'"sender-not-allowed"' in told
        assert site.ran() == before

    @staticmethod
    def look_while_sending(site, size):
        """What comes back until the error's last byte."""
        with socket.create_connection(("127.0.0.1", site.port)) as s:
            s.settimeout(kit.WAIT)
            s.sendall(b"POST %s/echo HTTP/1.1\r\nHost: x\r\n"
                      b"AMP-Email-Sender: a@b.example\r\n"
                      b"Content-Length: %d\r\n\r\n" % (
                          site.base.encode(), size))
            sending = threading.Thread(target=send_all, args=(s, size))
            sending.start()
            told = b""
            try:
                while not told.endswith(b"}}"):
                    told += s.recv(65536)
            finally:
                s.shutdown(socket.SHUT_RDWR)
                sending.join()
        return told


def send_all(s, size):
    try:
        s.sendall(bytes(size))
    except OSError:
        pass


class TestHaproxy(HaproxyWays):
    way = servers.Haproxy


class TestHaproxyScripts(HaproxyWays):
    way = servers.HaproxyScripts


@ways(servers.Haproxy)
class TestHaproxyChunked:
    """E35: HAProxy wants all of such a body in one buffer of its own."""

    def test_small(self, running):
        answer = more.chunked(running, "/echo", body_of(10000))
        assert answer.status == 200, (answer, running.errors())
        assert answer.body == echo(body_of(10000))
        assert ours(answer.headers) == V2

    test_length = more.TestChunked.test_length_is_true

    def test_large(self, running):
        """Its own answer, without a field of ours."""
        before = running.ran()
        answer = more.chunked(running, "/echo", body_of(65536))
        assert answer.status == 400
        assert b"Your browser sent an invalid request" in answer.body
        assert ours(answer.headers) == []
        assert running.ran() == before


@ways(servers.Haproxy)
class TestHaproxyAnswers:
    @pytest.mark.parametrize("size, status", [(14000, 200), (17000, 502)])
    def test_header_block(self, running, size, status):
        """E65: one buffer of 16 KiB."""
        write(running.front.path / "long",
              b"Content-Type: text/plain\nX: " + b"y" * size + b"\n\nbody")
        answer = running.ask(path="/raw/long", headers=sender(SENDER))
        assert answer.status == status, running.errors()

    def test_broken(self, running):
        """E52: both are told."""
        assert not more.whole(running, "/half/9")
        write(running.front.path / "short",
              b"Content-Type: text/plain\nContent-Length: 40\n\nbody")
        assert not more.whole(running, "/raw/short")

    test_line_by_line = more.TestUnbuffered.test_line_by_line

    @pytest.mark.parametrize("what", ["lines", "bytes", "flood", "late"])
    def test_stderr(self, running, what):
        """HAProxy 2.6.12 crashes where the content of such a record is the
        last of what it has read: so there is always padding behind it."""
        for _ in range(10):
            answer = running.ask(path=f"/stderr/{what}",
                                 headers=sender(SENDER))
            assert answer.status == 200, running.errors()
            assert answer.body == b'{"deaf":true}'


@ways(servers.Haproxy)
class TestHaproxyRaw:
    raw = more.TestRawRequests.raw
    test_underscores = more.TestRawRequests.test_underscores
    test_proxy = more.TestRawRequests.test_proxy
    test_authorization = more.TestRawRequests.test_authorization
    test_our_fields_once = more.TestRawRequests.test_our_fields_once


@ways(servers.HaproxyScripts)
class TestHaproxyScriptsVariables:
    test_path = more.TestScriptsVariables.test_path
    test_no_path_info = more.TestScriptsVariables.test_no_path_info


@ways(servers.hasty(servers.Haproxy))
class TestHaproxyClientLeaves:
    def test_not_told(self, running):
        servers.leave(running)
        assert " 504 handler-timeout " in "".join(running.front.decisions())
