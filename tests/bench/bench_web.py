"""nginx before everything, a load on it, and what the load cost."""
import http.client
import os
import re
import socket
import sys
from pathlib import Path

from bench_place import ALLOWED, AS_ROOT, HERE, children, until

TICK = os.sysconf("SC_CLK_TCK")

NGINX = """\
{user}
daemon off; worker_processes 1; pid {run}/{name}.pid;
error_log {run}/error.log;
events {{ worker_connections 2048; }}
http {{
	access_log off; keepalive_requests 100000000;
	{temps}
	{more}
	{upstreams}
	server {{ listen {listen}; {locations} }}
}}
"""

UPSTREAM = """
upstream {name} {{
	server unix:{socket};
	{keep}
}}
"""

FASTCGI = """
location = /{name} {{
	include /etc/nginx/fastcgi_params;
	fastcgi_param SCRIPT_FILENAME {script};
	fastcgi_pass {name};
	{more}
}}
"""

PROXY = """
location = /{name} {{
	proxy_http_version 1.1;
	proxy_set_header Connection "{connection}";
	proxy_pass http://{name}{uri};
}}
"""


class Web:
    """One nginx: its locations first, then start()."""

    def __init__(self, place, name="nginx"):
        self.place, self.name = place, name
        self.upstreams, self.locations, self.more = [], [], ""
        self.port = self.process = None

    def upstream(self, name, behind, keep):
        self.upstreams.append(UPSTREAM.format(
            name=name, socket=self.place.socket(behind or name),
            keep=f"keepalive {keep}; keepalive_requests 100000000;"
            if keep else ""))

    def fastcgi(self, name, behind=None, keep=0, script="/none", more=""):
        """/NAME goes to the socket behind it, on so many kept connections."""
        self.upstream(name, behind, keep)
        if keep:
            more += " fastcgi_keep_conn on;"
        self.locations.append(FASTCGI.format(
            name=name, script=script, more=more))

    def proxy(self, name, behind=None, keep=0, uri=""):
        self.upstream(name, behind, keep)
        self.locations.append(PROXY.format(
            name=name, uri=uri, connection="" if keep else "close"))

    def location(self, text):
        self.locations.append(text)

    def start(self):
        """On a port that the kernel picked: the open socket is handed over."""
        with socket.create_server(("127.0.0.1", 0), backlog=511) as listening:
            self.port = listening.getsockname()[1]
            number = listening.fileno()
            self.run(f"127.0.0.1:{self.port}", pass_fds=[number],
                     env={**os.environ, "NGINX": f"{number};"})
        return self

    def listen(self, name):
        """On a socket, behind another."""
        self.run(f"unix:{self.place.socket(name)}")
        return self

    def run(self, listen, **more):
        place = self.place
        temps = "".join(f"{kind}_temp_path {place.path}/{kind};" for kind in (
            "client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        conf = place.script(f"{self.name}.conf", NGINX.format(
            user="user root;" if AS_ROOT else "", run=place.path,
            name=self.name, temps=temps, listen=listen, more=self.more,
            upstreams="".join(self.upstreams),
            locations="".join(self.locations)), 0o644)
        self.process = place.spawn(
            ["nginx", "-e", place / "error.log", "-c", conf], self.name,
            **more)
        until(lambda: children(self.process.pid)
              or self.process.poll() is not None, self.name)
        if self.process.poll() is not None:
            sys.exit(f"{self.name}: "
                     + (place / f"{self.name}.err").read_text())

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def ask(url, method="GET", headers=()):
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.request(method, f"/{path}", headers=dict(headers))
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


# --- what it cost ------------------------------------------------------------

def tree(pid):
    """A process and all below it."""
    return [pid] + [p for child in children(pid) for p in tree(child)]


def cpu(processes):
    """Seconds that processes, those below them and those that they have
    reaped have run."""
    ticks = 0
    for process in processes:
        for pid in tree(process.pid):
            try:
                text = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / TICK


class Load:
    """A way to be asked, under a load: who, where, and what is right."""

    def __init__(self, url, connections, headers, good=200, servers=(),
                 own=()):
        self.url, self.connections, self.good = url, connections, good
        self.headers, self.servers, self.own = dict(headers), servers, own

    def first(self):
        method = "OPTIONS" if self.good == 204 else "GET"
        answer = ask(self.url, method, self.headers)
        if answer.status != self.good:
            sys.exit(f"{self.url}: {answer.status} {answer.body}")
        return answer

    def run(self, place, seconds):
        """Requests a second, p99 in us, CPU seconds a request: of all the
        servers, and of the own ones among them."""
        before, own = cpu(self.servers), cpu(self.own)
        out = place.command([
            "wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s",
            "--timeout", "20s", "-s", HERE / "load.lua",
            *[w for n, v in self.headers.items() for w in ("-H", f"{n}: {v}")],
            self.url], env={**os.environ, "METHOD": "OPTIONS"
                            if self.good == 204 else "GET"})
        n, us, p99, refused, failed = map(int, re.search(
            r"^LOAD (\d+) (\d+) (\d+) (\d+) (\d+)$", out, re.M).groups())
        wrong = n - refused if self.good >= 400 else refused
        if wrong or failed or not n:
            sys.exit(f"{self.url}: {wrong} wrong answers, {failed} failed, "
                     f"of {n}")
        return {"rate": n / us * 1e6, "p99": p99,
                "cpu": (cpu(self.servers) - before) / n,
                "own": (cpu(self.own) - own) / n}


def many(n):
    return "1 connection" if n == 1 else f"{n} connections"


def sender(address=ALLOWED):
    return {"AMP-Email-Sender": address}


def rounds(place, loads, args):
    """All of them in turn, in another order each time, after one that warms
    up: a list of what each round gave, by name."""
    for load in loads.values():
        load.first()
        load.run(place, 1)
    got = {name: [] for name in loads}
    names = list(loads)
    for i in range(args.rounds):
        turn = names[i % len(names):] + names[:i % len(names)]
        for name in turn if i % 2 == 0 else turn[::-1]:
            got[name].append(loads[name].run(place, args.seconds))
    return got


def ratios(got, a, b, what="rate"):
    """Of one by the other, round by round."""
    return [x[what] / y[what] for x, y in zip(got[a], got[b]) if y[what]]
