"""A real browser: its own preflights, and what it lets a page read. Beside
it, the same requests as a mail client's proxy sends and judges them."""

import http.client
import http.server
import json
import os
import re
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import kit
import servers
from kit import ORIGIN, SENDER, Answer, echo, until

# Debian's launcher would add extensions, and keys for what is on the network
CHROMIUM = "/usr/lib/chromium/chromium"
FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage
    --no-first-run --no-default-browser-check --disable-default-apps
    --disable-extensions --disable-breakpad --password-store=basic
    --disable-background-networking --disable-component-update
    --disable-domain-reliability --disable-sync --no-pings --no-proxy-server
    """.split() + ["--disable-features=OptimizationHints,MediaRouter",
                   "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
PAGE = (Path(__file__).parent / "pages" / "visit.html").read_text()
FRAME = '<!DOCTYPE html><iframe sandbox="allow-scripts" src="/null"></iframe>'
BOUND = 120  # seconds for all that the browser does, on a busy machine

SOURCE = "AMP-Access-Control-Allow-Source-Origin"
PARAMETER = "__amp_source_origin="
EVIL = "evil@company.example"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

POLICY = """\
[policy]
senders = {sender}
exec = {dir}/by-case
timeout = 10
body_timeout = 10
send_timeout = 10
"""

# The first segment names the case, the rest is bad-cgi's.
BY_CASE = """\
#!/bin/sh
rest=${PATH_INFO#/}
echo "${rest%%/*} $REQUEST_METHOD $HTTP_COOKIE" >>cases
exec ./handler "/${rest#*/}"
"""

# what the handler says: whole answers
RAW = {
    "expose": "Content-Type: application/json\n"
              "Access-Control-Expose-Headers: X-Page\n"
              "X-Page: 7\nX-Total: 9\nX-Secret: 8\n\n{}",
    "own": "Content-Type: application/json\n"
           "Access-Control-Allow-Origin: *\n"
           "access-control-allow-origin: https://other.example\n"
           "Access-Control-Allow-Credentials: true\n"
           "AMP-Email-Allow-Sender: *\n"
           "Access-Control-Expose-Headers: *, AMP-Email-Allow-Sender\n\n{}",
    "star": "Content-Type: application/json\n"
            "Access-Control-Allow-Origin: *\n\n{}",
    "star-twice": "Content-Type: application/json\n"
                  "Access-Control-Allow-Origin: *\n"
                  "Access-Control-Allow-Origin: *\n\n{}",
    "bad": "no field\n\n{}",
    "html": "Content-Type: text/html\n\n<p>",
    "redirect": "Status: 302\nLocation: https://other.example/\n"
                "Content-Type: application/json\n\n{}",
}


# What a mail client asks of an answer


def is_json(answer):
    types = answer.all("Content-Type")
    try:
        json.loads(answer.body)
    except ValueError:
        return False
    return len(types) == 1 and types[0].startswith("application/json")


def client_accepts(answer, version, origin=ORIGIN, sender=SENDER):
    """The rules of the AMP viewer's proxy and of Gmail's: JSON, no redirect,
    each of our fields once, origin and sender echoed. (Version 2 clients take
    "*" for a sender too; SPEC 2.6 does not.)"""
    ours = [(n.lower(), v) for n, v in kit.ours(answer.headers)]
    said = dict(ours)
    if 300 <= answer.status < 400 or not is_json(answer):
        return False
    if len(said) < len(ours):
        return False
    if version == 2:
        return said.get("amp-email-allow-sender") == sender
    exposed = said.get("access-control-expose-headers", "").lower()
    return (said.get("access-control-allow-origin") == origin
            and said.get(SOURCE.lower()) == sender
            and SOURCE.lower() in re.split(r"\s*,\s*", exposed))


def answer_1(without="", more=(), status=200, body=b"{}",
             kind="application/json"):
    fields = [f for f in kit.version1() if f[0] != without]
    return Answer(status=status, body=body,
                  headers=[("Content-Type", kind)] + fields + list(more))


def answer_2(*senders):
    return Answer(status=200, body=b"{}", headers=[
        ("Content-Type", "application/json; charset=utf-8")] + [
        ("AMP-Email-Allow-Sender", s) for s in senders])


ALLOW = "Access-Control-Allow-Origin"
EXPOSE = "Access-Control-Expose-Headers"
JUDGED = {
    "good-1": (1, answer_1(), True),
    "good-1-error": (1, answer_1(status=502), True),
    "good-1-exposes-more": (
        1, answer_1(EXPOSE, [(EXPOSE, "X-A , " + SOURCE)]), True),
    "good-2": (2, answer_2(SENDER), True),
    "no-sender": (2, answer_2(), False),
    "other-sender": (2, answer_2(EVIL), False),
    "star-sender": (2, answer_2("*"), False),
    "sender-twice": (2, answer_2(SENDER, SENDER), False),
    "no-origin": (1, answer_1(ALLOW), False),
    "star-origin": (1, answer_1(ALLOW, [(ALLOW, "*")]), False),
    "origin-twice": (1, answer_1(more=[(ALLOW, ORIGIN)]), False),
    "origin-twice-other-case": (
        1, answer_1(more=[(ALLOW.lower(), ORIGIN)]), False),
    "source-missing": (1, answer_1(SOURCE), False),
    "other-source": (1, answer_1(SOURCE, [(SOURCE, EVIL)]), False),
    "not-exposed": (1, answer_1(EXPOSE), False),
    "redirect": (1, answer_1(status=302), False),
    "html": (1, answer_1(kind="text/html"), False),
    "type-twice": (1, answer_1(more=[("Content-Type", "text/html")]), False),
    "no-json": (1, answer_1(body=b"<p>"), False),
}


@pytest.mark.parametrize("name", JUDGED)
def test_judge(name):
    """client_accepts can say no."""
    version, answer, good = JUDGED[name]
    assert client_accepts(answer, version) is good


# The cases: what a page asks, and what becomes of it


V2 = "browser_origins = {listed}\naccept_risk = http-origin"
V1 = "origins = {listed}\naccept_risk = http-origin"
PREFLIGHT = "preflight 204 preflight"
OK = "allow 200 ok"


@dataclass
class Case:
    """One endpoint of the front, or of none ("bare")."""

    # what is asked
    version: int = 2
    policy: str = ""          # of the endpoint, instead of V2 or V1
    more: str = ""            # beside them
    origin: str = "listed"    # or other, null
    base: str = "/amp"
    path: str = "/echo"
    method: str = "GET"
    headers: dict = field(default_factory=dict)
    body: str = ""
    sender: str = SENDER
    credentials: str = "omit"
    times: int = 1
    # what becomes of it
    status: int = 200         # that the page reads; 0: it may read nothing
    code: str = ""            # of an error of the front's own
    reads: dict = field(default_factory=dict)  # None: it may not
    log: list = None
    ran: int = None           # as often as something was allowed
    accepted: bool = True     # by a client that is no browser

    def __post_init__(self):
        self.policy = self.policy or (V2 if self.version == 2 else V1)
        if self.log is None:
            self.log = [OK] if self.version == 1 else [PREFLIGHT, OK]
        if self.ran is None:
            self.ran = sum(line.startswith("allow") for line in self.log)

    def target(self, name):
        query = "" if self.version == 2 else "?" + PARAMETER + self.sender
        return f"{self.base}/{name}{self.path}{query}"

    def fields(self):
        if self.version == 1:
            return self.headers
        return {"AMP-Email-Sender": self.sender, **self.headers}

    def step(self, name, site):
        """For the page: the arguments of fetch()."""
        init = {"method": self.method, "headers": self.fields(),
                "credentials": self.credentials}
        if self.body:
            init["body"] = self.body
        return {"name": name, "init": init, "times": self.times,
                "url": f"http://127.0.0.1:{site.port}{self.target(name)}"}


def refused(reason):
    return [f"deny 403 {reason}"]


def post(headers, **more):
    return Case(method="POST", headers=headers, body='{"a":1}', **more)


def null(rule, risk, **more):
    return Case(origin="null", policy=f"{rule}\naccept_risk = {risk}", **more)


def bare(**more):
    """nginx, fcgiwrap and the handler; no front."""
    return Case(base="/bare", log=[], accepted=False, **more)


CASES = {
    # version 2: the sender's field alone makes the browser ask first
    "get": Case(reads={"amp-email-allow-sender": None}),
    "post": post(JSON),
    "post-form": post(FORM),
    "unlisted": Case(origin="other", status=0,
                     log=refused("origin-not-allowed")),
    "unlisted-post": post(JSON, origin="other", status=0,
                          log=refused("origin-not-allowed")),
    "sender": Case(sender=EVIL, status=0, accepted=False,
                   log=[PREFLIGHT] + refused("sender-not-allowed")),
    # 2.3: origins may ask preflights, but are no browser's
    "mail-origin": Case(policy=V1, status=0),
    "mail-origin-star": Case(policy=V1, path="/raw/star", status=0),
    # 2.2: the browser stops what the lists do not offer
    "header-unlisted": Case(headers={"X-Other": "1"}, status=0,
                            log=[PREFLIGHT]),
    "header-listed": Case(headers={"X-Other": "1"},
                          more="request_headers = X-Other"),
    "method-unlisted": Case(method="PUT", body="x", status=0,
                            log=[PREFLIGHT]),
    "method-listed": Case(method="PUT", body="x",
                          more="methods = GET POST PUT"),
    # 4.4, 4.7: what fails can be shown all the same
    "422": Case(path="/status/422", status=422,
                log=[PREFLIGHT, "allow 422 ok"]),
    "500": post(JSON, path="/status/500", status=500,
                log=[PREFLIGHT, "allow 500 ok"]),
    "died": Case(path="/die/3", status=502, code="handler-died",
                 log=[PREFLIGHT, "allow 502 handler-died"]),
    "bad-answer": Case(path="/raw/bad", status=502,
                       code="handler-bad-answer",
                       log=[PREFLIGHT, "allow 502 handler-bad-answer"]),
    "redirect": Case(path="/raw/redirect", status=502,
                     code="handler-redirect",
                     log=[PREFLIGHT, "allow 502 handler-redirect"]),
    "too-large": post(JSON, more="max_body = 3", status=413,
                      code="body-too-large", ran=0,
                      log=[PREFLIGHT, "allow 413 body-too-large"]),
    "own-fields": Case(path="/raw/own",
                       reads={"amp-email-allow-sender": None}),
    # 4.6: the browser follows to where there is nothing
    "redirect-passed": Case(path="/raw/redirect", more="redirects = pass",
                            status=0, accepted=False,
                            log=[PREFLIGHT, "allow 302 ok"]),
    "html": Case(path="/raw/html", accepted=False),
    # 2.3: merged for browsers
    "expose": Case(path="/raw/expose", more="expose_headers = X-Total",
                   reads={"x-page": "7", "x-total": "9", "x-secret": None}),
    # 2.2: how long the answer is remembered
    "remembered": Case(times=3, log=[PREFLIGHT, OK, OK, OK]),
    "forgotten": Case(times=2, more="preflight_max_age = 0",
                      log=[PREFLIGHT, OK, PREFLIGHT, OK]),
    "credentials": Case(credentials="include", more="credentials = yes"),
    "no-credentials": Case(credentials="include", status=0, log=[PREFLIGHT]),

    # version 1: no preflight, unless the page asks for one
    "v1-get": Case(version=1, reads={SOURCE.lower(): SENDER}),
    "v1-form": post(FORM, version=1, reads={SOURCE.lower(): SENDER}),
    "v1-json": post(JSON, version=1, log=[PREFLIGHT, OK],
                    reads={SOURCE.lower(): SENDER}),
    "v1-unlisted": Case(version=1, origin="other", status=0, accepted=False,
                        log=refused("origin-not-allowed")),
    "v1-sender": Case(version=1, sender=EVIL, status=0, accepted=False,
                      log=refused("sender-not-allowed")),
    "v1-json-sender": post(JSON, version=1, sender=EVIL, status=0,
                           accepted=False, log=refused("sender-not-allowed")),
    "v1-browser-origin": Case(version=1, policy=V2, status=0, accepted=False,
                              log=refused("origin-not-allowed")),
    "v1-422": Case(version=1, path="/status/422", status=422,
                   log=["allow 422 ok"], reads={SOURCE.lower(): SENDER}),
    "v1-bad-answer": Case(version=1, path="/raw/bad", status=502,
                          code="handler-bad-answer",
                          log=["allow 502 handler-bad-answer"],
                          reads={SOURCE.lower(): SENDER}),
    "v1-own-fields": Case(version=1, path="/raw/own",
                          reads={SOURCE.lower(): SENDER}),
    "v1-expose": Case(version=1, path="/raw/expose",
                      more="expose_headers = X-Total",
                      reads={"x-page": "7", "x-total": "9",
                             "x-secret": None, SOURCE.lower(): SENDER}),
    "v1-credentials": Case(version=1, credentials="include",
                           more="credentials = yes"),
    "v1-no-credentials": Case(version=1, credentials="include", status=0),
    "v1-own-credentials": Case(version=1, credentials="include", status=0,
                               path="/raw/own"),

    # 3.5: an opaque origin is listed by its name alone
    "null": Case(origin="null", status=0, log=refused("origin-not-allowed")),
    "null-listed": null("browser_origins = null", "null-origin"),
    "null-any": null("browser_origins = *", "any-origin", status=0,
                     log=refused("origin-not-allowed")),
    "v1-null": Case(version=1, origin="null", status=0, accepted=False,
                    log=refused("origin-not-allowed")),
    "v1-null-listed": null("origins = null", "null-origin", version=1,
                           reads={SOURCE.lower(): SENDER}),

    # without the front: that the browser and the judge can say no
    "bare-nothing": bare(version=1, status=0, ran=1),
    "bare-star": bare(version=1, path="/raw/star", ran=1),
    "bare-star-twice": bare(version=1, path="/raw/star-twice", status=0,
                            ran=1),
    "bare-own": bare(version=1, path="/raw/own", status=0, ran=1),
    "bare-credentials": bare(version=1, path="/raw/star", status=0, ran=1,
                             credentials="include"),
    # the handler is asked the preflight, and knows no answer
    "bare-2": bare(path="/raw/star", status=0, ran=1),
}


# The page, its server, and who reads it


class Pages:
    """Two origins with one page, and what it found out."""

    def __init__(self):
        self.site = None
        self.results = {}
        self.servers = [self.serve(name) for name in ("listed", "other")]

    def serve(self, name):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        server.daemon_threads = True
        server.pages, server.name = self, name
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def origin(self, name):
        if name == "null":
            return "null"
        port = self.servers[name == "other"].server_port
        return f"http://127.0.0.1:{port}"

    def page(self, name):
        """The plan of an origin; each page leads to the next."""
        following = {"listed": self.origin("other") + "/",
                     "other": self.origin("listed") + "/frame"}
        steps = [c.step(n, self.site) for n, c in CASES.items()
                 if c.origin == name]
        plan = {"steps": steps, "next": following.get(name)}
        return PAGE.replace("PLAN", json.dumps(plan), 1)

    def missing(self):
        return [name for name in CASES if name not in self.results]

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        pages = self.server.pages
        if self.path == "/":
            self.reply(pages.page(self.server.name))
        elif self.path == "/frame":
            self.reply(FRAME)
        elif self.path == "/null":
            self.reply(pages.page("null"))
        else:
            self.send_error(404)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        result = json.loads(self.rfile.read(length))
        self.server.pages.results[result["name"]] = result
        self.reply("")

    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Set-Cookie", "visitor=seen; Path=/")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Browser:
    """Chromium, without a screen, a bus, a network, or anybody's profile."""

    def __init__(self, home, url):
        self.home = str(home)
        self.child = kit.Child(
            [CHROMIUM, *FLAGS, f"--user-data-dir={home}", url],
            home / "log", cwd=home, env={
                "PATH": os.defpath, "HOME": self.home, "TMPDIR": self.home})

    def members(self):
        """Its processes; some of them are in a session of their own."""
        own = set(self.child.members())
        return own | {pid for pid, _, state, _ in kit.processes()
                      if state != "Z" and self.named(pid)}

    def named(self, pid):
        """Does it say where the profile is?"""
        try:
            text = Path(f"/proc/{pid}/cmdline").read_bytes()
            text += Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return self.home.encode() in text

    def stop(self):
        """Ends it, and returns which processes it had."""
        had = self.members()
        self.child.send_signal(signal.SIGTERM)
        try:
            until(lambda: self.child.ended() and not self.members(),
                  "the browser's end", BOUND)
        finally:
            for pid in self.members():
                os.kill(pid, signal.SIGKILL)
            self.child.stop()
            self.reap(had)
        return had

    @staticmethod
    def reap(pids):
        """Orphans became ours."""
        for pid, parent, state, _ in list(kit.processes()):
            if pid in pids and parent == os.getpid() and state == "Z":
                os.waitpid(pid, 0)


class NginxBare(servers.NginxUnix):
    """The sample; beside it, the same handler without a front."""

    pages = None

    def before(self):
        self.front.put("by-case", BY_CASE, 0o755)
        for name, content in RAW.items():
            self.front.put(name, content)
        self.front.configure(whole=self.policy_file(), server="")
        path = f"{self.run}/wrap.sock"
        self.child("fcgiwrap", ["fcgiwrap", "-s", f"unix:{path}"])
        until(lambda: kit.answers(path), "fcgiwrap")
        super().before()

    def policy_file(self):
        parts = [POLICY]
        for name, case in CASES.items():
            text = case.policy.replace("{listed}", self.pages.origin("listed"))
            parts += [f"[endpoint {name}]", f"path = /amp/{name}", text,
                      case.more]
        return "\n".join(parts) + "\n"

    def more(self):
        return servers.wrapped(
            "location /bare/ {", "include /etc/nginx/fastcgi_params;",
            "fastcgi_split_path_info ^(/bare)(/.*)$;",
            "fastcgi_param PATH_INFO $fastcgi_path_info;",
            f"fastcgi_param SCRIPT_FILENAME {self.front.path}/by-case;",
            f"fastcgi_pass unix:{self.run}/wrap.sock; }}")

    def cases(self):
        """The handler's runs so far: (case, method, cookie)."""
        text = (self.front.path / "cases").read_text()
        return [line.split(" ", 2) for line in text.splitlines()]

    def as_client(self, name, origin):
        """The request of a case, from a mail client's proxy."""
        case = CASES[name]
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=20)
        connection.request(case.method, case.target(name),
                           case.body.encode() or None,
                           {"Origin": origin, **case.fields()})
        return self.take(connection)


class Visit:
    """All that the browser did, once, and what it left in the logs."""

    def __init__(self, folder, helper, pages):
        self.pages = pages
        self.site = NginxBare(folder, helper)
        self.site.pages = pages

    def start(self):
        self.pages.site = self.site.start()
        home = self.site.folder.make("browser")
        browser = Browser(home, self.pages.origin("listed") + "/")
        try:
            until(lambda: browser.child.ended() or not self.pages.missing(),
                  "the browser", BOUND)
        except AssertionError:
            print(browser.child.said()[-5000:], self.site.errors())
            raise AssertionError(f"no word of {self.pages.missing()}")
        finally:
            self.had = browser.stop()
        assert not self.pages.missing(), browser.child.said()
        self.left = [pid for pid in self.had if kit.alive(pid)]
        self.take_logs()

    def take_logs(self):
        """A front that ended has written all its lines."""
        child = self.site.front.child
        assert self.site.front.stop() == 0
        self.decisions = [line for line in child.said().splitlines()
                          if line.startswith("20")]
        self.runs = self.site.cases()
        self.site.front.start(front=self.site.program)

    def log(self, name):
        """Decision, status and reason of each request of a case."""
        return [" ".join(line.split(" ")[2:5]) for line in self.decisions
                if f" endpoint={name} " in line]

    def ran(self, name):
        return [run for run in self.runs if run[0] == name]

    def answers(self, name):
        return self.pages.results[name]["answers"]

    def stop(self):
        self.site.stop()


@pytest.fixture(scope="module")
def visit(helper):
    folder = kit.Folder()
    pages = Pages()
    made = Visit(folder, helper, pages)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        pages.stop()
        folder.remove()


class TestBrowser:
    """SPEC 2.2 to 2.4, 2.9, 4.4, 4.7, as a browser takes them."""

    @pytest.mark.parametrize("name", CASES)
    def test_page(self, visit, name):
        """What the page could read, and where it was."""
        case = CASES[name]
        result = visit.pages.results[name]
        assert result["from"] == visit.pages.origin(case.origin)
        assert len(result["answers"]) == case.times
        for answer in result["answers"]:
            if case.status == 0:
                assert answer == {"error": "TypeError"}
            else:
                self.check_answer(case, answer)

    @staticmethod
    def check_answer(case, answer):
        assert answer.get("status") == case.status, answer
        if case.code:
            assert json.loads(answer["body"])["error"]["code"] == case.code
        elif case.path.startswith("/raw/"):
            expected = RAW[case.path[5:]].partition("\n\n")[2]
            assert answer["body"] == expected
        else:
            assert answer["body"].encode() == echo(case.body.encode())
        for header, value in case.reads.items():
            assert answer["headers"].get(header) == value, answer

    @pytest.mark.parametrize("name", CASES)
    def test_decisions(self, visit, name):
        """The front saw the preflights that the browser sent, no more."""
        assert visit.log(name) == CASES[name].log

    @pytest.mark.parametrize("name", CASES)
    def test_handler_ran(self, visit, name):
        """As often as it should, with the page server's cookie where the
        page sends it."""
        case = CASES[name]
        ran = visit.ran(name)
        assert len(ran) == case.ran, ran
        expected = "OPTIONS" if name == "bare-2" else case.method
        cookie = "visitor=seen" if case.credentials == "include" else ""
        assert all(run[1:] == [expected, cookie] for run in ran), ran

    @pytest.mark.parametrize("name", CASES)
    def test_mail_client(self, visit, name):
        """The same request, from one that is no browser."""
        case = CASES[name]
        origin = visit.pages.origin(case.origin)
        answer = visit.site.as_client(name, origin)
        got = client_accepts(answer, case.version, origin, case.sender)
        assert got is case.accepted, answer

    def test_all_accounted_for(self, visit):
        """No decision and no run beside those of the cases."""
        assert len(visit.decisions) == sum(len(c.log) for c in CASES.values())
        assert len(visit.runs) == sum(c.ran for c in CASES.values())

    def test_nothing_is_left(self, visit):
        """Neither of the browser's session nor of another one."""
        assert len(visit.had) > 1
        assert visit.left == []
