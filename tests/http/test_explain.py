"""amp-cors explain: what it tells of a request is what the front does with it
[SPEC 1, 2, 7.3]."""

import json
import os
import pty
import re
import shlex
import shutil
import subprocess

import pytest

import fcgi
import kit
from kit import ORIGIN, SENDER, of_fcgi, ours, variables
from test_authorizer import authorizer, head
from test_log import LINE

TOOL = os.environ.get("AMP_CORS", str(kit.ROOT / "amp-cors"))
NOBODY = 65534
SOURCE = "__amp_source_origin="
V1 = {"sender": None, "origin": ORIGIN, "query": SOURCE + SENDER}
WANT = "HTTP_ACCESS_CONTROL_REQUEST_METHOD"
NAMES = "HTTP_ACCESS_CONTROL_REQUEST_HEADERS"
ASKS = {"method": "OPTIONS", "sender": None, "origin": ORIGIN, WANT: "POST"}
CHECK = {"script": "/check", "path": None}

POLICY = """\
[policy]
senders = {sender} *@news.example !bad@news.example *@*.deep.example
senders_file = {dir}/more.txt
origins = https://emailclient.example https://*.clients.example
browser_origins = https://try.example
exec = {handler}

[endpoint run]
path = /amp
[endpoint inner]
path = /amp/inner
expose_headers = X-Page
[endpoint decide]
path = /decide
handler = none
[endpoint report]
path = /report
mode = report
[endpoint one]
path = /one
versions = 1
[endpoint two]
path = /two
versions = 2
[endpoint cookies]
path = /cookies
credentials = yes
[endpoint play]
path = /play
playground = yes
[endpoint kept]
path = /kept
local_part_case = sensitive
[endpoint small]
path = /small
max_body = 4
[endpoint nobody]
path = /nobody
senders =
senders_file =
origins =
"""
MORE = "# one a line\nlisted@list.example\n!*@*.bad.deep.example\n"

# what is asked, as kit.variables() has it; the path is /amp/echo
ASKED = {
    # version 2
    "2": {},
    "2-head": {"method": "HEAD"},
    "2-post": {"method": "POST", "body": b"1234"},
    "2-options": {"method": "OPTIONS"},
    "2-blanks": {"sender": f" \t{SENDER} "},
    "2-case": {"sender": SENDER.upper()},
    "2-kept": {"sender": "Sender@COMPANY.example", "script": "/kept"},
    "2-kept-same": {"sender": "sender@COMPANY.example", "script": "/kept"},
    "2-origin": {"origin": ORIGIN},
    "2-browser": {"origin": "https://try.example"},
    "2-expose": {"origin": "https://try.example", "script": "/amp/inner"},
    "2-cookies": {"origin": "https://try.example", "script": "/cookies"},
    "2-not-1": {"sender": "no@body.example", "origin": ORIGIN,
                "query": SOURCE + SENDER},
    "2-domain": {"sender": "any@news.example"},
    "2-denied": {"sender": "bad@news.example"},
    "2-deep": {"sender": "a@x.y.deep.example"},
    "2-deep-denied": {"sender": "a@x.bad.deep.example"},
    "2-not-deep": {"sender": "a@deep.example"},
    "2-file": {"sender": "listed@list.example"},
    "2-nobody": {"script": "/nobody"},
    "2-quoted": {"sender": f'"{SENDER}"'},
    "2-two": {"sender": f"{SENDER}, {SENDER}"},
    "2-no-address": {"sender": "nobody"},
    "2-version": {"script": "/one"},
    "2-long": {"sender": "a" * 300 + "@news.example"},
    "2-too-large": {"method": "POST", "script": "/small", "body": b"12345"},
    "2-fits": {"method": "POST", "script": "/small", "body": b"1234"},
    # version 1
    "1": V1,
    "1-encoded": {**V1, "query": SOURCE + SENDER.replace("@", "%40")},
    "1-more": {**V1, "query": f"a=%zz&{SOURCE}{SENDER}&b"},
    "1-wildcard": {**V1, "origin": "https://a.clients.example"},
    "1-cookies": {**V1, "script": "/cookies"},
    "1-expose": {**V1, "script": "/amp/inner"},
    "1-origin": {**V1, "origin": "https://evil.example"},
    "1-slash": {**V1, "origin": ORIGIN + "/"},
    "1-null": {**V1, "origin": "null"},
    "1-browser": {**V1, "origin": "https://try.example"},
    "1-no-origin": {**V1, "origin": None},
    "1-missing": {**V1, "query": "a=b"},
    "1-empty": {**V1, "query": SOURCE},
    "1-twice": {**V1, "query": f"{SOURCE}{SENDER}&{SOURCE}{SENDER}"},
    "1-hidden-twin": {**V1, "query": f"%5F_amp_source_origin=x&"
                                     f"{SOURCE}{SENDER}"},
    "1-encoding": {**V1, "query": SOURCE + "%4"},
    "1-bad-byte": {**V1, "query": SOURCE + "a%0d%0a@b.example"},
    "1-nobody": {**V1, "query": SOURCE + "no@body.example"},
    "1-literal": {**V1, "query": SOURCE + "https://playground.amp.dev"},
    "1-version": {**V1, "script": "/two"},
    "1-long": {**V1, "query": SOURCE + "a" * 400},
    # playgrounds
    "play-pair": {**V1, "script": "/play", "origin": "https://amp.gmail.dev",
                  "query": SOURCE + "amp@gmail.dev"},
    "play-other": {**V1, "script": "/play",
                   "origin": "https://amp.gmail.dev"},
    "play-2": {"script": "/play", "sender": "amp@gmail.dev",
               "origin": "https://amp.gmail.dev"},
    # preflights
    "preflight": ASKS,
    "preflight-headers": {**ASKS, NAMES: "content-type, x-evil"},
    "preflight-sender": {**ASKS, "query": SOURCE + SENDER},
    "preflight-no": {**ASKS, "query": SOURCE + "no@body.example"},
    "preflight-origin": {**ASKS, "origin": "https://evil.example"},
    "preflight-none": {**ASKS, "origin": None},
    "preflight-cookies": {**ASKS, "script": "/cookies", WANT: "PUT"},
    "preflight-no-more": {**ASKS, "sender": SENDER},
    "preflight-blanks": {**ASKS, "sender": " \t"},
    "preflight-report": {**ASKS, "script": "/report", "origin": "null"},
    "preflight-decide": {**ASKS, "script": "/decide", "path": None},
    # neither, and no request at all
    "neither": {"sender": None},
    "neither-head": {"sender": None, "method": "HEAD"},
    "bad-byte": {"sender": "a\x01@b.example"},
    "bad-origin": {"origin": 'x\n"y'},
    "no-method": {"method": None},
    "length": {"CONTENT_LENGTH": "+5"},
    "repeated": {"extra": [("HTTP_AMP_EMAIL_SENDER", SENDER)]},
    "repeated-empty": {"extra": [("HTTP_ORIGIN", ""), ("HTTP_ORIGIN", "")]},
    "repeated-path": {"extra": [("PATH_INFO", "/other")]},
    "repeated-equal": {"extra": [("PATH_INFO", "/echo")]},
    "repeated-other": {"extra": [("SERVER_PORT", "81")]},
    "repeated-length": {"extra": [("CONTENT_LENGTH", "")] * 2},
    # other endpoints, and none
    "none": {"script": "/none"},
    "none-bad-byte": {"script": "/none", "sender": "\x7f"},
    "none-beside": {"script": "/amplify"},
    "dots": {"path": "/../decide"},
    "slashes": {"path": "//echo"},
    # mode = report
    "report-ok": {"script": "/report"},
    "report": {"script": "/report", "sender": "no@body.example"},
    "report-neither": {"script": "/report", "sender": None},
    "report-bad-byte": {"script": "/report", "sender": "\x80"},
    # handler = none, by the URI [1.7, E6]
    "decide": {**CHECK, "REQUEST_URI": "/decide/x"},
    "decide-1": {**CHECK, **V1, "query": "",
                 "REQUEST_URI": f"/decide?{SOURCE}{SENDER}"},
    "decide-1-no-uri": {**V1, "script": "/decide", "path": None},
    "decide-same": {**CHECK, **V1,
                    "REQUEST_URI": f"/decide?{SOURCE}{SENDER}"},
    "decide-differ": {**CHECK, **V1, "REQUEST_URI": "/decide?a=b"},
    "decide-differ-byte": {**CHECK, **V1, "origin": "\x7f",
                           "REQUEST_URI": "/decide?a=b"},
    "decide-refused": {**CHECK, "sender": None, "REQUEST_URI": "/decide"},
    "decide-escaped": {**CHECK, "REQUEST_URI": "/%64ecide/%2E%2e"},
    "decide-fragment": {**CHECK, "REQUEST_URI": "/decide#x"},
    "decide-head": {**CHECK, "method": "HEAD", "REQUEST_URI": "/decide"},
    "uri-of-a-program": {**V1, "query": "",
                         "REQUEST_URI": f"/amp/echo?{SOURCE}{SENDER}"},
}


def tool(*args, env=None, **more):
    """One run: (status, output, errors), both as text."""
    environment = {"PATH": os.defpath, **(env or {})}
    more.setdefault("stdout", subprocess.PIPE)
    p = subprocess.run([os.fsencode(a) for a in (TOOL, "explain", *args)],
                       env=environment, stderr=subprocess.PIPE, timeout=60,
                       **more)
    out = "" if p.stdout is None else p.stdout.decode("ascii")
    return p.returncode, out, p.stderr.decode("ascii")


def saved(path, pairs, end=b"\0"):
    """An environment as the kernel shows it."""
    return kit.write(path, b"".join(
        (n + "=" + v).encode("latin-1") + end for n, v in pairs))


@pytest.fixture(scope="class")
def policy(shared):
    """A front with this policy."""
    shared.configure(whole=POLICY)
    shared.put("more.txt", MORE)
    return shared


class Told:
    """What explain says of a request, as an object."""

    def __init__(self, front, pairs, *more):
        file = saved(front.path / "environment", pairs)
        self.status, out, errors = tool(
            f"--config={front.ini}", f"--environment={file}",
            "--format=json", *more)
        assert errors == ""
        self.all = json.loads(out)
        for key, value in self.all.items():
            setattr(self, key, value)

    def rule(self):
        at = self.decision["rule"]
        return f"{at['file']}:{at['line']}" if at else "-"

    def fields(self):
        """Those that go out, the front's own."""
        return ours((f["name"], f["value"]) for f in self.answer["fields"]
                    if f["value"])


def assert_log(told, answer):
    """The decision's line says the same."""
    (line,) = [m for m in map(LINE.match, answer.errors.splitlines()) if m]
    decision, status, reason, rest = line.groups()[1:]
    assert decision == told.decision["decision"]
    assert reason == (told.answer["reason"] or told.decision["reason"]) or (
        decision == "report" and reason == told.decision["reason"])
    words = dict(w.split("=", 1) for w in rest.split(" ") if "=" in w)
    assert words["version"] == str(told.decision["version"] or "-")
    assert words["endpoint"] == (told.endpoint or {"name": "-"})["name"]
    assert words["rule"] == told.rule()
    assert int(status) == answer.status


def assert_steps(told):
    """They end in the decision, and one of them made it."""
    assert told.steps[-1]["reason"] == told.decision["reason"]
    (by,) = [s for s in told.steps if s["decided"]]
    refused = told.decision["decision"] in ("deny", "report")
    assert (by["found"] == "deny") == refused
    if refused:
        assert by["reason"] == told.decision["reason"]


class TestSame:
    """The front and explain, asked the same."""

    @pytest.mark.parametrize("name", ASKED)
    def test_cgi(self, policy, name):
        request = {"path": "/echo", **ASKED[name]}
        answer = policy.cgi(**request)
        told = Told(policy, variables(**request))
        assert told.policy == str(policy.ini)
        assert_steps(told)
        if name != "behind-a-front":  # which has no decision to log
            assert_log(told, answer)
        assert ours(answer.headers) == told.fields()
        if told.answer["raw"] is not None:
            assert told.answer["raw"].encode("latin-1") == answer.raw
            assert told.answer["status"] == answer.status
        else:
            assert told.answer["status"] is None
            assert answer.body == (b"" if request.get("method") == "HEAD"
                                   else kit.echo(request.get("body", b"")))
        assert told.status == (told.decision["decision"] == "deny")

    AUTHORIZER = {
        "2": {},
        "1": {**V1, "uri": f"/amp/x?{SOURCE}{SENDER}", "query": None},
        "1-own-query": {**V1, "uri": "/amp/x?a=b"},
        "2-browser": {"origin": "https://try.example"},
        "refused": {"sender": "no@body.example"},
        "neither": {"sender": None},
        "preflight": ASKS,
        "report": {"uri": "/report", "sender": None},
        "none": {"uri": "/none"},
        "head": {"method": "HEAD", "sender": None},
        "large": {"uri": "/small", "CONTENT_LENGTH": "5"},
        "repeated": {"extra": [("HTTP_ORIGIN", ORIGIN)] * 2},
    }

    @pytest.mark.parametrize("name", AUTHORIZER)
    def test_authorizer(self, policy, name):
        """In the other role every answer is the front's own."""
        if policy.child is None:
            policy.start()
        items = authorizer(**self.AUTHORIZER[name])
        with policy.connect() as client:
            client.send(head(items) + fcgi.record(fcgi.STDIN))
            answer = of_fcgi(client.answer())
        told = Told(policy, items, "--authorizer")
        assert_steps(told)
        assert told.answer["raw"].encode("latin-1") == answer.raw
        assert told.request["authorizer"] is True

    def test_enough(self):
        """Each reason that a request alone can have is in the table."""
        assert len(ASKED) >= 60


def options_of(request):
    """The same request by options; None where they cannot say it."""
    known = {"method": "--method", "query": "--query", "sender": "--sender",
             "origin": "--origin", WANT: "--request-method"}
    request = {"path": "/echo", "sender": SENDER, "method": "GET",
               "script": "/amp", **request}
    path = request.pop("script") + (request.pop("path") or "")
    length = len(request.pop("body", b"") or b"")
    args = [f"--path={path}"]
    if length:
        args.append(f"--header=Content-Length: {length}")
    if NAMES in request:
        args.append("--header=Access-Control-Request-Headers: "
                    + request.pop(NAMES))
    if set(request) - set(known) or request["method"] is None:
        return None
    return args + [f"{known[k]}={v}".encode("latin-1")
                   for k, v in request.items() if v is not None]


BY_OPTIONS = [n for n in ASKED if options_of(ASKED[n])]


class TestOptions:
    @pytest.mark.parametrize("name", BY_OPTIONS)
    def test_same(self, policy, name):
        """A request by options is the one of the environment."""
        told = Told(policy, variables(**{"path": "/echo", **ASKED[name]}))
        status, out, errors = tool(
            f"--config={policy.ini}", "--format=json",
            *options_of(ASKED[name]))
        said = json.loads(out)
        assert (status, errors) == (told.status, "")
        for key in ("decision", "answer", "client", "hints"):
            assert said[key] == told.all[key]
        # those of handler = none have a URI now, and its query
        skip = {"query", "endpoint"}
        assert [s for s in said["steps"] if s["step"] not in skip] == [
            s for s in told.steps if s["step"] not in skip]

    def test_most(self):
        assert len(BY_OPTIONS) > 50

    def ask(self, policy, *args, **more):
        status, out, errors = tool(f"--config={policy.ini}",
                                   "--format=json", *args, **more)
        assert errors == ""
        return status, json.loads(out)

    def test_default(self, policy):
        """GET of the path /, with nothing in it."""
        status, said = self.ask(policy)
        assert (status, said["decision"]["reason"]) == (1, "no-endpoint")
        assert said["request"]["method"] == "GET"
        assert said["request"]["request_uri"] == "/"

    def test_source(self, policy):
        """The client's own encoding, behind what else is asked."""
        _, said = self.ask(policy, "--path=/amp", "--query=a=b",
                           "--source=x+y&z@b.example")
        query = f"a=b&{SOURCE}x%2By%26z%40b.example"
        assert said["request"]["query"] == query
        assert said["request"]["request_uri"] == f"/amp?{query}"

    def test_preflight(self, policy):
        status, said = self.ask(policy, "--path=/amp", f"--origin={ORIGIN}",
                                "--request-method=POST")
        assert (status, said["decision"]["decision"]) == (0, "preflight")
        assert said["request"]["method"] == "OPTIONS"

    def test_method_wins(self, policy):
        _, said = self.ask(policy, "--method=GET", "--request-method=POST")
        assert said["request"]["method"] == "GET"

    @pytest.mark.parametrize("args", [
        ["--sender=" + SENDER] * 2,
        ["--sender=" + SENDER, f"--header=amp-email-sender: {SENDER}"],
        ["--origin=" + ORIGIN] * 2,
    ])
    def test_repeat(self, policy, args):
        """A field twice is a variable twice [SPEC 1.3]."""
        status, said = self.ask(policy, "--path=/amp", *args)
        assert (status, said["decision"]["reason"]) == (
            1, "variable-repeated")

    def test_above_the_environment(self, policy):
        """An option takes a variable's place, and a path all of a path."""
        file = saved(policy.path / "below", variables(
            sender="no@body.example", path="/gone", query="a=b",
            REQUEST_URI="/amp/gone?a=b", HTTP_X="kept"))
        _, said = self.ask(policy, f"--environment={file}",
                           f"--sender={SENDER}", "--path=/decide")
        assert said["decision"]["reason"] == "ok"
        assert said["request"]["path_info"] is None
        assert said["request"]["request_uri"] == "/decide?a=b"
        _, said = self.ask(policy, f"--environment={file}",
                           "--header=AMP-Email-Sender: x@news.example")
        assert said["decision"]["sender"] == "x@news.example"

    def test_standard_input(self, policy):
        pairs = "".join(f"{n}={v}\n" for n, v in variables())
        status, said = self.ask(policy, "--environment=-",
                                input=pairs.encode())
        assert (status, said["decision"]["decision"]) == (0, "allow")

    HANDLERS = [("AMP_CORS_FRONT", "1"), ("AMP_CORS_VERSION", "2"),
                ("AMP_CORS_SENDER", SENDER), ("AMP_CORS_ORIGIN", ORIGIN)]

    @pytest.mark.parametrize("more", [[]] + [[h] for h in HANDLERS]
                             + [HANDLERS])
    def test_of_a_handler(self, policy, more):
        """What a handler saved is the request that its front had."""
        file = saved(policy.path / "environment", [
            *variables(path="/echo"), *more])
        args = [f"--config={policy.ini}", f"--environment={file}"]
        status, out, _ = tool(*args, "--format=json")
        said = json.loads(out)
        assert (status, said["decision"]["reason"]) == (0, "ok")
        remark = "taken out, as a front's handler got them"
        assert (remark in (said["request"]["note"] or "")) == bool(more)
        text = " ".join(tool(*args)[1].split())
        assert (remark in text) == bool(more)

    def test_config_of_the_environment(self, policy):
        """As the front finds it [SPEC 6.1]."""
        for value, wanted in ((str(policy.ini), 1), ("/nowhere", 66)):
            env = {"AMP_CORS_CONFIG": value}
            assert tool(env=env)[0] == wanted
            assert tool(f"--config={policy.ini}", env=env)[0] == 1


def shell_saved(policy, shell, script, pairs):
    """What a real shell, or env(1), prints of its environment."""
    env = {"PATH": os.defpath, **dict(pairs)}
    out = subprocess.run([shell, "-c", script], env=env, check=True,
                         stdout=subprocess.PIPE).stdout
    return kit.write(policy.path / "printed", out)


class TestSaved:
    @pytest.mark.parametrize("shell, script", [
        ("sh", "env"), ("sh", "env -0"), ("sh", "export -p"),
        ("bash", "export -p"), ("bash", "cat /proc/$$/environ"),
        ("dash", "export -p")])
    def test_printed(self, policy, shell, script):
        """Values that every one of them prints in its own way."""
        query = f"a='b'\"c\"\\d$e`f` g&{SOURCE}{SENDER}"
        file = shell_saved(policy, shell, script, variables(
            **{**V1, "query": query}))
        status, out, errors = tool(f"--config={policy.ini}",
                                   f"--environment={file}", "--format=json")
        assert (status, errors) == (0, "")
        assert json.loads(out)["request"]["query"] == query

    def test_line_break(self, policy):
        """What lines cannot tell is refused, and what can is read."""
        pairs = variables(sender="a\nb@b.example")
        file = shell_saved(policy, "sh", "env -0", pairs)
        _, out, _ = tool(f"--config={policy.ini}", f"--environment={file}")
        assert "a\\x0ab@b.example" in out
        file = shell_saved(policy, "sh", "env", pairs)
        # what follows the break has no '=', and is a line of its own
        status, out, errors = tool(f"--config={policy.ini}",
                                   f"--environment={file}")
        number = file.read_text().split("\n").index("b@b.example") + 1
        assert (status, out) == (65, "")
        assert errors.startswith(f"amp-cors explain: {file}:{number}: no '='")


class TestText:
    @pytest.mark.parametrize("name", ASKED)
    def test_page(self, policy, name):
        """Plain, within 80 columns where it can be folded, and whole."""
        file = saved(policy.path / "environment", variables(
            **{"path": "/echo", **ASKED[name]}))
        status, out, errors = tool("--config=amp-cors.ini",
                                   f"--environment={file}", cwd=policy.path)
        assert errors == "" and out.endswith("\n")
        assert all(c == "\n" or " " <= c <= "~" for c in out)
        # the bytes of an answer, a value, a line to be copied stay in one
        whole = re.compile(r"  (\{|[A-Za-z-]+: |query |AMP-Email|URI )"
                           r"|      (senders|origins) = ")
        for line in out.split("\n"):
            long = len(line.split(" ")[-1]) > 60
            assert len(line) <= 80 or whole.match(line) or long, line
        parts = re.findall(r"^(\S.*)$", out, re.M)
        parts = [p for p in parts if not p.startswith("=>")]
        assert parts[:4] == ["Request", "Endpoint", "Steps", "Decision"]
        assert out.count("\n=> ") == 1

    def test_answer(self, policy):
        """A refusal's bytes, as they are."""
        status, out, _ = tool(f"--config={policy.ini}", "--path=/amp")
        assert status == 1
        answer = policy.cgi(path=None, sender=None).raw.decode()
        shown = "".join(f"  {line}\n" if line else "\n"
                        for line in answer.split("\r\n"))
        assert shown in out

    def test_places(self, policy):
        """Each key that was asked, and where the rule stands."""
        _, out, _ = tool("--config=amp-cors.ini", "--path=/amp",
                         "--sender=a@x.bad.deep.example", cwd=policy.path)
        assert re.search(r" a@x\.bad\.deep\.example +no rule\n"
                         r" +\*@x\.bad\.deep\.example +no rule\n"
                         r" +\*@\*\.bad\.deep\.example +deny,\s+\S+/more.txt:3"
                         r"\n", out), out
        assert re.search(r"  rule +\S+/more.txt:3\n", out)
        assert "policy            amp-cors.ini:8\n" in out

    def test_forged(self, policy):
        """Nothing that comes in reaches the terminal as it is."""
        evil = "\x1b]0;x\x07\r\n=> \xe4\x9b"
        args = [f"{name}={evil}".encode("latin-1") for name in (
            "--sender", "--query", "--method", "--request-method")]
        for more in ([], ["--format=json"]):
            _, out, errors = tool(
                f"--config={policy.ini}", f"--path=/{evil}".encode("latin-1"),
                *args, *more)
            assert errors == ""
            assert all(c == "\n" or " " <= c <= "~" for c in out)
            assert out.count("=> ") < 20
        assert json.loads(out)["decision"]["reason"] == "bad-byte"

    def on_terminal(self, *args, env):
        """What a terminal gets."""
        ours_, theirs = pty.openpty()
        try:
            p = subprocess.Popen([TOOL, "explain", *args], stdout=theirs,
                                 env={"PATH": os.defpath, **env})
            os.close(theirs)
            pieces = []
            while True:
                try:
                    piece = os.read(ours_, 65536)
                except OSError:  # the last one has closed it
                    break
                if not piece:
                    break
                pieces.append(piece)
            p.wait(kit.WAIT)
        finally:
            os.close(ours_)
        return b"".join(pieces).decode()

    @pytest.mark.parametrize("env, coloured", [
        ({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({}, False)])
    def test_colours(self, policy, env, coloured):
        """On a terminal alone; without them, the text is the same."""
        args = [f"--config={policy.ini}", "--path=/amp"]
        shown = self.on_terminal(*args, env=env).replace("\r\n", "\n")
        assert ("\x1b[" in shown) == coloured
        plain = re.sub(r"\x1b\[\d+m", "", shown)
        assert plain == tool(*args)[1]
        assert "\x1b[" not in self.on_terminal(*args, "--format=json",
                                               env=env)


class TestClient:
    """A part of what is said; the unit tests have all of it."""

    @pytest.mark.parametrize("args, level, text", [
        (["--sender=no@body.example"], "error", "shows nothing"),
        (["--query=" + SOURCE + SENDER], "note", "No mail client asks"),
        (["--sender=" + SENDER, "--origin=" + ORIGIN], "note",
         "could not read the answer"),
        (["--sender=" + SENDER.title()], "note", "upper-case"),
        (["--origin=" + ORIGIN, "--request-method=PUT"], "error",
         "methods does not have PUT"),
    ])
    def test_remark(self, policy, args, level, text):
        _, out, _ = tool(f"--config={policy.ini}", "--format=json",
                         "--path=/amp", *args)
        said = json.loads(out)["client"]
        assert [s for s in said if s["level"] == level and text in s["text"]]

    def test_hint_opens_no_other_endpoint(self, policy):
        """Whoever has [policy]'s senders is named; the line is its own."""
        args = [f"--config={policy.ini}", "--path=/amp/echo",
                "--sender=new@new.example", "--format=json"]
        add = json.loads(tool(*args)[1])["hints"][-1]
        assert add["at"] is None
        assert "[endpoint cookies]" in add["text"]
        assert "[endpoint nobody]" not in add["text"]
        text = policy.ini.read_text().replace(
            "path = /amp\n", f"path = /amp\n{add['line']}\n")
        mended = policy.put("mended.ini", text)
        assert tool(*args, f"--config={mended}")[0] == 0
        assert tool(*args, f"--config={mended}", "--path=/cookies")[0] == 1

    def test_hint_for_a_playground(self, policy):
        """Never origins, from where it would speak for every sender."""
        _, out, _ = tool(f"--config={policy.ini}", "--path=/amp/echo",
                         "--origin=https://amp.gmail.dev",
                         "--request-method=POST", "--format=json")
        hint, = json.loads(out)["hints"]
        assert hint["line"] == "playground = yes"
        assert "origins" not in hint["text"]

    def test_no_version(self, policy):
        """null in JSON."""
        _, out, _ = tool(f"--config={policy.ini}", "--format=json")
        assert json.loads(out)["decision"]["version"] is None

    def test_hint_is_a_line(self, policy):
        """Put into the file, it allows the request."""
        args = [f"--config={policy.ini}", "--path=/amp/echo",
                "--sender=sendr@company.example"]
        ini = policy.put("one.ini", policy.ini.read_text().partition(
            "[endpoint inner]")[0])
        args[0] = f"--config={ini}"
        status, out, _ = tool(*args, "--format=json")
        near, add = json.loads(out)["hints"]
        assert status == 1
        assert f"{ini}:2 has {SENDER}," in near["text"]
        lines = ini.read_text().split("\n")
        lines[add["at"]["line"] - 1] = add["line"]
        mended = policy.put("mended.ini", "\n".join(lines))
        assert tool(*args, f"--config={mended}")[0] == 0


class TestPolicy:
    def test_faults(self, policy):
        """All of them, as the front prints them; and no decision."""
        bad = policy.put("bad.ini", "[policy]\nsender = a@b.example\n"
                         "origins = https://x.example/\n")
        status, out, errors = tool(f"--config={bad}", "--sender=a@b.example")
        assert (status, out) == (78, "")
        assert f"{bad}:2:1: error: " in errors
        assert f"{bad}:3:" in errors
        assert "amp-cors explain: the policy does not check" in errors

    @pytest.mark.parametrize("n", [20, 21, 300])
    def test_many_faults(self, policy, n):
        """20 of them are printed, and how many more there are."""
        bad = policy.put("bad.ini", "[policy]\n" + "".join(
            f"key{i} = x\n" for i in range(n)))
        status, out, errors = tool(f"--config={bad}")
        assert (status, out) == (78, "")
        assert errors.count(": error: ") == 20
        more = f"\nand {n - 20} more; amp-cors check has all of them\n"
        assert (more in errors) == (n > 20)

    def test_warnings_are_not_its_affair(self, policy):
        ini = policy.put("empty.ini", "[policy]\nhandler = none\n")
        status, out, errors = tool(f"--config={ini}", "--sender=a@b.example")
        assert (status, errors) == (1, "")

    @pytest.mark.parametrize("name", ["nowhere.ini", "", "zeros"])
    def test_no_policy(self, policy, name):
        """Missing, a directory, a binary."""
        kit.write(policy.path / "zeros", bytes(1000))
        status, out, errors = tool(f"--config={policy.path / name}")
        assert (status, out) == (78 if name == "zeros" else 66, "")
        assert str(policy.path / name).rstrip("/") in errors

    def test_list(self, policy):
        """69, as it would be 503 policy-unavailable [SPEC 6.8]."""
        ini = policy.put("list.ini",
                         "[policy]\nsenders_file = {dir}/none.txt\n".replace(
                             "{dir}", str(policy.path)))
        status, out, errors = tool(f"--config={ini}")
        assert (status, out) == (69, "")
        assert "none.txt: error: " in errors
        assert "policy-unavailable" in errors

    def test_without_endpoints(self, policy):
        """[policy] alone guards every path [SPEC 6.2]."""
        ini = policy.put("two.ini", f"[policy]\nsenders = {SENDER}\n")
        status, out, errors = tool(f"--config={ini}", f"--sender={SENDER}",
                                   "--format=json")
        said = json.loads(out)
        assert (status, errors) == (0, "")
        assert said["endpoint"]["name"] == "-"
        assert said["endpoint"]["handler"] == "command-line"


class TestBadInput:
    USAGE = [["--nonsense"], ["--format=xml"], ["--path=amp"],
             ["--path=/a?b"], ["--header=Origin"], ["--header=a b: c"],
             ["word"], ["--sender"]]

    @pytest.mark.parametrize("args", USAGE, ids=shlex.join)
    def test_usage(self, args):
        status, out, errors = tool(*args)
        assert (status, out) == (64, "")
        assert errors

    def test_help(self):
        status, out, errors = tool("--help")
        assert (status, errors) == (0, "")
        assert out.startswith("usage: amp-cors explain ")
        assert max(map(len, out.split("\n"))) <= 80

    def refused(self, policy, file, status, text, **more):
        """One clear line, and nothing else."""
        got, out, errors = tool(f"--config={policy.ini}",
                                f"--environment={file}", **more)
        assert (got, out) == (status, "")
        assert errors.startswith("amp-cors explain: ")
        assert errors.count("\n") == 1 and errors.endswith("\n")
        assert text in errors

    def test_missing(self, policy):
        self.refused(policy, policy.path / "nowhere", 66, "No such file")

    def test_directory(self, policy):
        self.refused(policy, policy.path, 66, "Is a directory")

    def test_binary(self, policy):
        with open(TOOL, "rb") as f:
            file = kit.write(policy.path / "binary", f.read(100000))
        self.refused(policy, file, 65, "no '='")

    def test_long_line(self, policy):
        """A gibibyte is not read to its end."""
        file = policy.path / "long"
        with open(file, "wb") as f:
            f.truncate(1 << 30)
        self.refused(policy, file, 66, "is too large")
        file.unlink()

    def test_no_permission(self, policy, monkeypatch):
        # nobody may not reach it where it was built
        there = shutil.copy(TOOL, policy.path / "amp-cors")
        monkeypatch.setattr("test_explain.TOOL", str(there))
        file = kit.write(policy.path / "secret", "A=1\n", 0)
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} \
            if os.geteuid() == 0 else {}
        self.refused(policy, file, 66, "Permission denied", **who)

    @pytest.mark.parametrize("args", [[], ["--format=json"], ["--help"]])
    def test_full_disk(self, policy, args):
        with open("/dev/full", "wb") as full:
            status, _, errors = tool(f"--config={policy.ini}", *args,
                                     stdout=full)
        assert status == 74
        assert "No space left on device" in errors
        assert errors.count("\n") == 1
