"""The counters, at a URL and in a file, against the requests that were made;
their text as a parser reads it that takes nothing but the format of Prometheus
[SPEC 7.2]."""

import http.client
import os
import re
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

import fcgi
import kit
import servers
from kit import SENDER, until, variables

GOOGLE = "https://mail.google.com"
QUERY = "__amp_source_origin=" + SENDER
TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+)")
REQUESTS = "amp_cors_requests_total"


def parse(text):
    """{(name, ((label, value), ...)): number}; whatever is no such text, or
    is cut off, fails."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    assert text.endswith("\n"), text[-100:]
    found, family, seen = {}, None, set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = re.fullmatch(rf"# HELP ({NAME}) \S.*", line)[1]
            assert family not in seen, "a family in two places"
            seen.add(family)
            typed = False
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert name == family and kind in ("counter", "gauge")
            assert not typed, "two types"
            typed = True
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample and sample[1] == family and typed, line
            labels = tuple(re.findall(LABEL, sample[2] or ""))
            assert len({n for n, _ in labels}) == len(labels), line
            assert (family, labels) not in found, line
            found[family, labels] = int(line.rpartition(" ")[2])
    return found


@pytest.mark.parametrize("bad", [
    "", "a 1", "a 1\n", "# HELP a b\na 1\n",
    "# HELP a b\n# TYPE a counter\nb 1\n",
    "# HELP a b\n# TYPE a counter\na -1\n",
    "# HELP a b\n# TYPE a counter\na{b=c} 1\n",
    '# HELP a b\n# TYPE a counter\na{b="c} 1\n',
    '# HELP a b\n# TYPE a counter\na{b="\\c"} 1\n',
    '# HELP a b\n# TYPE a counter\na{b="c",b="d"} 1\n',
    "# HELP a b\n# TYPE a counter\na 1\na 2\n",
    "# HELP a b\n# TYPE a counter\na 1\n# HELP a b\n# TYPE a counter\n",
    "# HELP a b\n# TYPE a counter\na 1\n\n",
    "# HELP a b\n# TYPE a counter\na 1",
])
def test_parser(bad):
    with pytest.raises((AssertionError, ValueError, TypeError)):
        parse(bad)


def counts(found):
    """{(endpoint, decision, reason, version): number}"""
    names = ("endpoint", "decision", "reason", "version")
    out = {}
    for (name, labels), number in found.items():
        if name == REQUESTS:
            assert tuple(n for n, _ in labels) == names
            out[tuple(v for _, v in labels)] = number
    return out


def number(found, name, **labels):
    return found[name, tuple(labels.items())]


# Requests, each with the counter that it belongs to

POLICY = """\
[policy]
senders = {sender}
exec = {handler}
kill_grace = 1
[endpoint main]
path = /amp/echo
[endpoint watch]
path = /amp/status
mode = report
[endpoint old]
path = /amp/env
versions = 1
[endpoint die]
path = /amp/die
[endpoint wait]
path = /amp/silent
timeout = 60
[server]
socket_mode = 0666
{server}
"""
V1 = {"sender": None, "origin": GOOGLE, "query": QUERY}
OTHER = {"sender": "other@company.example"}
PREFLIGHT = {"method": "OPTIONS", "sender": None, "origin": GOOGLE,
             "asks": "POST"}
TABLE = [
    (3, {"path": "/echo"}, ("main", "allow", "ok", "2")),
    (2, {"path": "/echo", **V1}, ("main", "allow", "ok", "1")),
    (1, {"path": "/echo", "sender": None},
     ("main", "deny", "no-amp-headers", "0")),
    (4, {"path": "/echo", **OTHER},
     ("main", "deny", "sender-not-allowed", "2")),
    (1, {"path": "/echo", **V1, "query": "__amp_source_origin=x@y.example"},
     ("main", "deny", "sender-not-allowed", "1")),
    (1, {"path": "/echo", **V1, "query": ""},
     ("main", "deny", "source-origin-missing", "1")),
    (1, {"path": "/echo", **V1, "origin": "https://x.example"},
     ("main", "deny", "origin-not-allowed", "1")),
    (2, {"path": "/echo", **PREFLIGHT},
     ("main", "preflight", "preflight", "0")),
    (1, {"path": "/echo", **PREFLIGHT, "origin": "https://x.example"},
     ("main", "deny", "origin-not-allowed", "0")),
    (1, {"path": "/echo", "sender": "a\xe4@b.example"},
     ("main", "deny", "bad-byte", "0")),
    (2, {"path": "/status/200"}, ("watch", "allow", "ok", "2")),
    (3, {"path": "/status/200", **OTHER},
     ("watch", "report", "sender-not-allowed", "2")),
    (1, {"path": "/status/200", "sender": "a\xe4@b.example"},
     ("watch", "deny", "bad-byte", "0")),
    (1, {"path": "/env"}, ("old", "deny", "version-not-allowed", "2")),
    (1, {"path": "/env", **V1}, ("old", "allow", "ok", "1")),
    (2, {"path": "/die/3"}, ("die", "allow", "handler-died", "2")),
    (2, {"path": "/elsewhere"}, ("-", "deny", "no-endpoint", "0")),
]
EXPECTED = Counter()
for times, _, counter in TABLE:
    EXPECTED[counter] += times


class FastCgi:
    """The front, asked as a web server asks it."""

    def __init__(self, front):
        self.front = front

    def ask(self, asks=None, **request):
        more = {} if asks is None else {
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": asks}
        return self.front.ask(**request, **more)


class Http:
    """The same requests, to a web server."""

    def __init__(self, site):
        self.site, self.front = site, site.front

    def ask(self, method="GET", path="", query="", sender=SENDER,
            origin=None, asks=None):
        fields = [("AMP-Email-Sender", sender), ("Origin", origin),
                  ("Access-Control-Request-Method", asks)]
        headers = [(n, v.encode("latin-1")) for n, v in fields
                   if v is not None]
        return self.site.ask(method, path, query, headers)


def fetch(way, path="/metrics", **request):
    answer = way.ask(path=path, sender=None, **request)
    assert answer.status == 200, answer
    assert answer.one("Content-Type") == TYPE
    assert answer.one("Cache-Control") == "no-store"
    return parse(answer.body)


def settled(way, expected):
    """A request is counted when its answer is out, and perhaps later."""
    until(lambda: counts(fetch(way)) == expected,
          f"not {expected} but {counts(fetch(way))}", 3)
    return fetch(way)


def ask_all(way):
    for n, request, _ in TABLE:
        for _ in range(n):
            way.ask(**request)


def front_of(folder, helper, server="metrics = url:/amp/metrics", **more):
    front = kit.Front(folder, helper)
    front.configure(whole=POLICY, server=server, **more)
    return front


class MetricsSite(servers.NginxUnix):
    def before(self):
        self.front.configure(whole=POLICY,
                             server="metrics = url:/amp/metrics")
        super().before()


class TestBehindNginx:
    """Behind nginx, as its sample says."""

    way = MetricsSite

    def test_counts(self, site):
        way = Http(site)
        assert counts(fetch(way)) == {}
        ask_all(way)
        settled(way, EXPECTED)
        answer = way.ask(method="HEAD", path="/metrics", sender=None)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.one("Content-Type") == TYPE
        assert way.ask(method="POST", path="/metrics").status == 404

    def test_who_may(self, site):
        """Others than the sample's addresses get nginx's own 403."""
        c = http.client.HTTPConnection("127.0.0.1", site.port, timeout=kit.WAIT,
                                       source_address=("127.0.0.2", 0))
        c.request("GET", "/amp/metrics")
        answer = c.getresponse()
        assert answer.status == 403
        assert b"amp_cors" not in answer.read()
        c.close()


class TestFastCgi:
    @pytest.fixture
    def way(self, front):
        front.configure(whole=POLICY, server="metrics = url:/amp/metrics\n"
                        "reload_interval = 0")
        front.start()
        return FastCgi(front)

    def test_counts(self, way):
        assert counts(fetch(way)) == {}
        ask_all(way)
        settled(way, EXPECTED)
        ask_all(way)
        found = settled(way, EXPECTED + EXPECTED)
        assert number(found, "amp_cors_reloads_total", result="ok") == 0
        # they are no requests for an endpoint, and no decisions
        assert len(way.front.decisions()) == 2 * sum(EXPECTED.values())

    def test_repeated(self, way):
        """What nobody says by way of a web server [SPEC 1.3]; and HEAD, from
        which nginx may go before the handler's end."""
        assert way.ask(path="/echo", method="HEAD").status == 200
        way.front.ask(path="/echo", extra=[("HTTP_ORIGIN", "x"),
                                           ("HTTP_ORIGIN", "x")])
        way.front.ask(path="/echo", CONTENT_LENGTH="x")
        settled(way, {("main", "allow", "ok", "2"): 1,
                      ("main", "deny", "variable-repeated", "0"): 1,
                      ("main", "deny", "bad-request", "0"): 1})

    def test_reloads(self, way):
        """They go on, whatever becomes of the policy."""
        front = way.front
        ask_all(way)
        first = settled(way, EXPECTED)
        text = front.ini.read_text()
        front.ini.write_text(text + "nonsense\n")
        front.child.send_signal(signal.SIGHUP)
        until(lambda: "not loaded" in front.log(), "a reload that fails")
        front.ini.write_text(text.replace("[endpoint old]\npath = /amp/env",
                                          "[endpoint new]\npath = /amp/count"))
        front.child.send_signal(signal.SIGHUP)
        until(lambda: "loaded again" in front.log(), "one that does not")
        second = settled(way, EXPECTED)
        for result, n in (("ok", 1), ("failed", 1)):
            assert number(first, "amp_cors_reloads_total", result=result) == 0
            assert number(second, "amp_cors_reloads_total", result=result) == n
        assert second["amp_cors_start_timestamp_seconds", ()] == first[
            "amp_cors_start_timestamp_seconds", ()]
        loaded = "amp_cors_policy_loaded_timestamp_seconds", ()
        assert second[loaded] >= first[loaded]
        for path in ("/echo", "/count", "/env"):
            way.ask(path=path)
        settled(way, EXPECTED + Counter({
            ("main", "allow", "ok", "2"): 1,
            ("new", "deny", "version-not-allowed", "2"): 1,
            ("-", "deny", "no-endpoint", "0"): 1}))

    def test_nobody_is_lost(self, way):
        """Many at once."""
        def ask():
            with way.front.connect() as client:
                for _ in range(50):
                    client.request(variables(path="/echo", **OTHER),
                                   flags=fcgi.KEEP)
                    assert client.answer().ended

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        settled(way, {("main", "deny", "sender-not-allowed", "2"): 300})

    def test_gone(self, way):
        with way.front.connect() as client:
            client.request(variables(path="/silent"))
            until(lambda: way.front.ran() == 1, "the handler")
        settled(way, {("wait", "allow", "client-gone", "2"): 1})

    def test_head_and_others(self, way):
        answer = way.ask(method="HEAD", path="/metrics", sender=None)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.one("Content-Type") == TYPE
        settled(way, {})
        # whoever asks, and however
        fetch(way, origin="\n", query="a=b")
        for i, method in enumerate(("POST", "OPTIONS", "PUT", "get")):
            answer = way.ask(method=method, path="/metrics")
            assert answer.reason() == "no-endpoint"
            settled(way, {("-", "deny", "no-endpoint", "0"): i + 1})
        for path in ("/metrics/", "/metrics/x", "/Metrics", "/metric"):
            assert way.ask(path=path).status == 404

    def test_body(self, way):
        """One that nobody wants is read, and the next request is in step."""
        with way.front.connect() as client:
            for _ in range(2):
                client.request(variables(path="/metrics", body=b"x" * 99999),
                               b"x" * 99999, flags=fcgi.KEEP)
                parse(kit.of_fcgi(client.answer()).body)


class TestElsewhere:
    def test_path_of_an_endpoint(self, front):
        """Below it, it is no longer the endpoint's, but for what is not a
        GET."""
        front.configure(whole=POLICY, server="metrics = url:/amp/echo/x")
        front.start()
        way = FastCgi(front)
        answer = way.ask(path="/echo/x")
        assert answer.one("Content-Type") == TYPE
        assert front.ran() == 0
        assert way.ask(path="/echo/x", method="POST").status == 200
        assert way.ask(path="/echo").status == 200
        assert front.ran() == 2

    def test_off(self, front):
        front.configure(whole=POLICY, server="metrics = off")
        front.start()
        assert FastCgi(front).ask(path="/metrics").reason() == "no-endpoint"

    def test_cgi(self, front):
        """One process, one request: there is nothing to be counted."""
        prom = front.path / "x.prom"
        front.configure(whole=POLICY, server="metrics = url:/amp/metrics "
                        f"file:{prom}")
        assert front.cgi(path="/metrics").reason() == "no-endpoint"
        assert front.cgi(path="/echo").status == 200
        assert not prom.exists()


class TestFullSlots:
    """Who waits for a handler does not stand in the way."""

    def start(self, front, server):
        front.configure(whole=POLICY, server="metrics = url:/amp/metrics\n"
                        "threads = 1\nreload_interval = 0\n" + server)
        front.start()
        return FastCgi(front)

    def hold(self, front, client):
        """The only slot."""
        ran = front.ran()
        client.request(variables(path="/silent"))
        until(lambda: front.ran() == ran + 1, "the handler")

    def test_small(self, front):
        way = self.start(front, "queue = 0")
        with front.connect() as client:
            self.hold(front, client)
            assert way.ask(path="/echo").reason() == "busy"
            settled(way, {("main", "allow", "busy", "2"): 1})

    def test_large(self, front):
        """More than 16 KiB may have to wait, and so takes a slot."""
        way = self.start(front, "queue = 1\nqueue_timeout = 1")
        names = [f"endpoint-{i}-" + "x" * 40 for i in range(200)]
        front.ini.write_text(front.ini.read_text() + "".join(
            f"[endpoint {n}]\npath = /amp/{n}\n" for n in names))
        front.child.send_signal(signal.SIGHUP)
        until(lambda: "loaded again" in front.log(), "the reload")
        for name in names:
            way.ask(path="/" + name, **OTHER)
        settled(way, {(n, "deny", "sender-not-allowed", "2"): 1
                      for n in names})
        assert len(way.ask(path="/metrics").body) > 20000
        with front.connect() as client:
            self.hold(front, client)
            assert way.ask(path="/metrics").reason() == "busy"
            assert way.ask(path="/metrics", method="HEAD").status == 200


class TestFile:
    def start(self, front, file, server=""):
        front.configure(whole=POLICY, server=f"metrics = file:{file}\n"
                        + server)
        front.start()
        return FastCgi(front)

    def test_at_the_end(self, front):
        """All that came is in it, and it belongs to whoever collects it."""
        out = front.path / "out"
        out.mkdir()
        way = self.start(front, out / "amp.prom")
        until(lambda: (out / "amp.prom").exists(), "the file")
        assert counts(parse((out / "amp.prom").read_bytes())) == {}
        ask_all(way)
        assert front.stop() == 0
        assert counts(parse((out / "amp.prom").read_bytes())) == EXPECTED
        assert (out / "amp.prom").stat().st_mode & 0o7777 == 0o644
        assert [f.name for f in out.iterdir()] == ["amp.prom"]

    def test_always_whole(self, front):
        """Whoever reads it in a loop never sees a part of it."""
        file = front.path / "amp.prom"
        over, seen = threading.Event(), []

        def read():
            while not over.is_set():
                seen.append(file.read_bytes())

        way = self.start(front, file)
        until(file.exists, "the file")
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(10):
                ask_all(way)
                front.restart()
        finally:
            over.set()
            reader.join()
        assert len(seen) > 20
        totals = {sum(counts(parse(text)).values()) for text in set(seen)}
        assert sum(EXPECTED.values()) in totals and min(totals) == 0

    def test_url_and_file(self, front):
        file = front.path / "amp.prom"
        front.configure(whole=POLICY, server="metrics = url:/amp/metrics, "
                        f"file:{file}")
        front.start()
        ask_all(FastCgi(front))
        found = settled(FastCgi(front), EXPECTED)
        front.stop()
        assert parse(file.read_bytes()) == found

    def test_no_folder(self, front):
        """Said once, and the front serves."""
        file = front.path / "none" / "amp.prom"
        way = self.start(front, file)
        until(lambda: "No such file" in front.log(), "the log")
        assert way.ask(path="/echo").status == 200
        front.stop()
        text = (front.path / "stderr").read_text()
        assert text.count(f"metrics = file:{file}: No such file") == 1
        assert not file.parent.exists()

    @pytest.mark.parametrize("what", ["folder", "device"])
    def test_no_file(self, front, what):
        """What is there and is no file stays as it is."""
        file = front.path / "amp.prom"
        if what == "folder":
            file.mkdir()
        else:
            file.symlink_to("/dev/full")
        way = self.start(front, file)
        assert way.ask(path="/echo").status == 200
        front.stop()
        left = [f.name for f in front.path.iterdir()]
        assert [n for n in left if "prom" in n] == ["amp.prom"]
        assert file.is_dir() if what == "folder" else file.is_symlink()
        text = (front.path / "stderr").read_text()
        assert text.count(f"metrics = file:{file}: ") == 1


class TestUser:
    """What only root can do: conftest leaves it out for others."""

    root_alone = True

    def test_not_writable(self, front):
        """For the user that it has become."""
        front.path.chmod(0o755)
        out = front.path / "out"
        out.mkdir()
        file = out / "amp.prom"
        front.configure(whole=POLICY, server=f"metrics = file:{file}\n"
                        "user = nobody")
        front.start()
        said = f"metrics = file:{file}: Permission denied"
        until(lambda: said in front.log(), "the log")
        out.chmod(0o777)
        front.stop()
        assert counts(parse(file.read_bytes())) == {}
        assert Path(file).owner() == "nobody"
        text = (front.path / "stderr").read_text()
        assert text.count("metrics = file:") == 1
        assert os.listdir(out) == ["amp.prom"]
