"""amp-cors replay: the decisions of a log under another policy [SPEC 7.3]; and
how it and amp-cors report take logs that are none."""

import gzip
import json
import os
import re
import shutil
import resource
import signal
import subprocess

import pytest

import kit
from kit import until

TOOL = os.environ.get("AMP_CORS", str(kit.ROOT / "amp-cors"))
NOBODY = 65534
WAIT = 120  # seconds; the sanitizers read a long line slowly
MAIL = "https://mail.google.com"
SOURCE = "__amp_source_origin="

LINE = ('2026-11-21T10:00:00.000Z 0000002a {decision} {status} {reason} '
        'version={version} endpoint={endpoint} method=GET sender="{sender}" '
        'origin={origin} rule={rule} ms=3')
USUAL = {"decision": "allow", "status": 200, "reason": "ok", "version": 2,
         "endpoint": "-", "sender": "a@b.example", "origin": "-",
         "rule": "/old.ini:7"}
DENIED = LINE.format(**{**USUAL, "decision": "deny", "status": 403,
                        "reason": "sender-not-allowed", "rule": "-"}) + "\n"
POLICY = """\
[policy]
senders = a@b.example
handler = none
"""


def line(**values):
    return LINE.format(**{**USUAL, **values}) + "\n"


def run(command, *args, **more):
    """The tool, with what it said."""
    env = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **more.pop("env", {})}
    if "stdout" not in more:
        more["stdout"] = subprocess.PIPE
    return subprocess.run([TOOL, command, *map(str, args)], env=env,
                          stderr=subprocess.PIPE, timeout=WAIT, **more)


class Room:
    """A policy and a log."""

    def __init__(self, folder):
        self.path = folder.make("room")
        self.ini = self.path / "new.ini"
        self.log = self.path / "log"
        self.put(POLICY, line())

    def put(self, policy=None, log=None):
        if policy is not None:
            kit.write(self.ini, policy)
        if log is not None:
            kit.write(self.log, log)
        return self

    def replay(self, *args, **more):
        return run("replay", f"--config={self.ini}", *args,
                   *([] if "input" in more else [self.log]), **more)

    def text(self, *args, status=1, **more):
        p = self.replay(*args, **more)
        assert (p.returncode, p.stderr) == (status, b""), p
        return p.stdout.decode()

    def json(self, *args, **more):
        return json.loads(self.text("--format=json", *args, **more))


@pytest.fixture
def room(folder):
    return Room(folder)


def summary(text):
    """The numbers at its begin."""
    rows = re.findall(r"^([a-z ]+?) +(\d+)$", text.partition("\n\n")[0], re.M)
    return {name: int(n) for name, n in rows}


def changes(text):
    return [row.strip() for row in text.partition("\n\n")[2].splitlines()]


class TestText:
    def test_nothing_changes(self, room):
        """0, and no list of changes."""
        text = room.text(status=0)
        assert summary(text) == {
            "lines": 1, "decisions": 1, "other lines": 0, "unchanged": 1,
            "changed": 0, "undecidable": 0}
        assert changes(text) == []

    def test_change(self, room):
        """Counted, the most frequent first, with the rules of both."""
        room.put(log=line() + line(sender="q@b.example") * 3
                 + line(decision="deny", status=403, rule="-",
                        reason="version-not-allowed", version=1, origin=MAIL)
                 .replace("origin=https", 'origin="https')
                 .replace(".com rule", '.com" rule') + line())
        assert changes(room.text()) == [
            '3 × allow → deny sender-not-allowed  "q@b.example" version=2 '
            "(rule /old.ini:7 → none)",
            '1 × deny version-not-allowed → allow  "a@b.example" version=1 '
            f'origin="{MAIL}" (rule none → {room.ini}:2)']

    def test_endpoint_is_gone(self, room):
        room.put("[policy]\nsenders = a@b.example\nhandler = none\n"
                 "[endpoint feed]\npath = /feed\n",
                 line(endpoint="rsvp") + line(endpoint="feed") + line())
        text = room.text()
        assert changes(text) == [
            '1 × allow → deny no-endpoint  "a@b.example" endpoint=rsvp '
            "version=2 (rule /old.ini:7 → none)"]
        assert summary(text)["undecidable"] == 1
        assert re.search(r"^ +1  the line names no endpoint", text, re.M)

    def test_endpoint(self, room):
        """--endpoint: all of them as its requests."""
        room.put("[policy]\nsenders = a@b.example\nhandler = none\n"
                 "[endpoint feed]\npath = /feed\n",
                 line(endpoint="rsvp") + line(endpoint="feed") + line())
        text = room.text("--endpoint=feed", status=0)
        assert summary(text)["unchanged"] == 3

    def test_undecidable(self, room):
        """Counted by what is missing, and never guessed."""
        room.put(log=line(sender="@b.example") + line(sender="@b.example")
                 + line().replace(' sender="a@b.example"', "")
                 + line(sender="a" * 506 + "..."))
        text = room.text(status=0)
        assert summary(text)["undecidable"] == 4
        assert summary(text)["unchanged"] == 0
        assert re.search(r"^ +3  the sender is not in the log", text, re.M)
        assert re.search(r"^ +1  the sender was too long", text, re.M)

    def test_other_lines(self, room):
        """What is no decision; syslog's and journald's are some."""
        room.put(log="amp-cors-cgi: listening on x, 16 handlers\n\n"
                 + "Nov 22 04:49:35 host amp-cors-cgi[123]: " + line()
                 + "0000002a handler: " + line() + "\0\xff\n"
                 + "2026-11-22T04:49:35+0100 host a[1]: " + line().strip())
        assert summary(room.text(status=0)) == {
            "lines": 6, "decisions": 2, "other lines": 4, "unchanged": 2,
            "changed": 0, "undecidable": 0}

    def test_several_logs(self, room):
        """In their order, standard input among them."""
        p = room.replay(room.log, "-", room.log, input=line().encode() * 5)
        assert (p.returncode, p.stderr) == (0, b"")
        assert summary(p.stdout.decode())["decisions"] == 7

    def test_shown(self, room):
        """100 kinds of changes, and all of them with --all."""
        room.put(log="".join(line(sender=f"u{i}@b.example")
                             for i in range(130)))
        shown = changes(room.text())
        assert len(shown) == 101
        assert shown[-1] == "and 30 others, which --all lists"
        assert len(changes(room.text("--all"))) == 130
        assert len(room.json()["changes"]) == 100
        assert len(room.json("--all")["changes"]) == 130

    def test_hostile(self, room):
        """Nothing of a log steers a terminal, or ends a line."""
        sender = '\\x1b[2J\\x0a\\x22\\x5c\\x9b'
        room.put(log=line(sender=sender, endpoint='"\\x1b"'))
        text = room.text()
        assert re.fullmatch(r"[ -~\n×→]*", text)
        assert f'"{sender}"' in text
        assert len(changes(text)) == 1
        assert room.json()["changes"][0]["sender"] == '\x1b[2J\n"\\\ufffd'

    def test_order(self, room):
        """Of those that came equally often, the first one first."""
        room.put(log="".join(line(sender=f"{c}@b.example") for c in "zyx"))
        assert [c["sender"][0] for c in room.json()["changes"]] == list("zyx")


    def test_directions(self, room):
        """How often which decision becomes which, at the top."""
        room.put(log=line(sender="q@b.example") * 3 + DENIED * 2 + line())
        head = room.text().partition("\n\n")[0].splitlines()
        assert head[4:7] == ["changed                5",
                             "                       3  allow → deny",
                             "                       2  deny → allow"]
        assert room.json()["directions"] == [
            {"before": "allow", "after": "deny", "count": 3},
            {"before": "deny", "after": "allow", "count": 2}]

    def test_columns(self, room):
        """Of the summary, all end alike."""
        text = room.text(status=0)
        assert {len(row) for row in text.splitlines()} == {24}

    @pytest.mark.parametrize("locale, signs", [
        ("C", "3 x allow -> deny"), ("C.UTF-8", "3 × allow → deny")])
    def test_signs(self, room, locale, signs):
        """Those that the locale has."""
        room.put(log=line(sender="q@b.example") * 3)
        text = room.text(env={"LC_ALL": locale})
        assert signs in text
        assert text.isascii() == (locale == "C")

    def test_wrong_format(self, room):
        """64, and what is wrong, in one line."""
        p = room.replay("--format=x")
        assert (p.returncode, p.stdout) == (64, b"")
        assert p.stderr == b"amp-cors replay: --format=x: write text or json\n"


class TestJson:
    def test_whole(self, room):
        room.put(log="x\n" + line(sender="@c.example") + line() * 2
                 + line(sender="q@b.example", endpoint="e"))
        got = room.json()
        assert got.pop("changes") == [{
            "count": 1, "version": 2, "endpoint": "e",
            "sender": "q@b.example", "origin": None, "preflight": False,
            "before": {"decision": "allow", "reason": "ok",
                       "rule": {"file": "/old.ini", "line": 7}},
            "after": {"decision": "deny", "reason": "sender-not-allowed",
                      "rule": None}}]
        assert got.pop("undecidable_why")["sender-hidden"] == 1
        assert got == {"lines": 5, "decisions": 4, "unchanged": 2,
                       "changed": 1, "undecidable": 1,
                       "directions": [{"before": "allow", "after": "deny",
                                       "count": 1}],
                       "kinds_of_changes": 1, "changed_beyond_these": 0}

    def test_no_version(self, room):
        """null, of a request that came to none."""
        room.put(POLICY + "mode = report\n", line(
            decision="deny", status=403, version="-", sender="",
            reason="no-amp-headers").replace('sender=""', "sender=-"))
        change, = room.json()["changes"]
        assert change["version"] is None

    def test_nothing(self, room):
        assert room.put(log="").json(status=0)["changes"] == []


# What the front itself decides


POLICY_A = """\
[policy]
senders = {sender} !evil@company.example *@shop.example
exec = {handler}
[server]
log_format = FORMAT
"""
POLICY_B = """\
[policy]
senders = *@company.example
origins = https://mail.google.com https://other.example
versions = 2
exec = {handler}
[server]
log_format = FORMAT
"""


def v2(sender, **more):
    return {"sender": sender, **more}


def v1(source, origin=MAIL, **more):
    return {"sender": None, "origin": origin, "query": SOURCE + source, **more}


def preflight(**more):
    return {"sender": None, "method": "OPTIONS", "origin": MAIL,
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", **more}


REQUESTS = {
    "v2": v2("sender@company.example"),
    "v2-other": v2("other@company.example"),
    "v2-denied": v2("evil@company.example"),
    "v2-shop": v2("a@shop.example"),
    "v2-unknown": v2("a@b.example"),
    "v2-no-address": v2('"<x>" <a@b.example>'),
    "v2-long": v2("a" * 600 + "@b.example"),
    "v2-bad-byte": v2("a\x80@b.example"),
    "v2-died": v2("sender@company.example", path="/die/3"),
    "v2-422": v2("a@shop.example", path="/status/422"),
    "v2-preflight": v2("a@shop.example", method="OPTIONS",
                       HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST"),
    "v1": v1("sender@company.example"),
    "v1-plus": v1("a+b%40shop.example"),
    "v1-elsewhere": v1("sender@company.example", "https://other.example"),
    "v1-null": v1("sender@company.example", "null"),
    "v1-slash": v1("sender@company.example", MAIL + "/"),
    "v1-unknown": v1("a@b.example"),
    "v1-literal": v1("https://playground.amp.dev"),
    "v1-missing": {"sender": None, "origin": MAIL},
    "v1-empty": v1(""),
    "v1-twice": v1("a@b.example&" + SOURCE + "a@b.example"),
    "v1-encoding": v1("%4"),
    "v1-bad-byte": v1("a%0ab"),
    "v1-long": v1("a" * 400),
    "neither": {"sender": None, "query": SOURCE + "a@b.example"},
    "preflight": preflight(),
    "preflight-sender": preflight(query=SOURCE + "a@shop.example"),
    "preflight-unknown": preflight(query=SOURCE + "a@b.example"),
    "preflight-elsewhere": preflight(origin="https://other.example"),
    "preflight-long": preflight(query=SOURCE + "a" * 400),
    "repeated": v2("a@b.example", extra=[
        ("HTTP_AMP_EMAIL_SENDER", "a@b.example")]),
    "bad-request": v2("a@b.example", CONTENT_LENGTH="x"),
}


def lines_of(front, form):
    has = '"decision":' if form == "json" else " version="
    return [row for row in front.log().splitlines() if has in row]


def asked(front, policy, form):
    """A line of each of the requests, in their order."""
    front.configure(whole=policy.replace("FORMAT", form))
    front.restart()
    for n, request in enumerate(REQUESTS.values(), 1):
        front.ask(**request)
        until(lambda: len(lines_of(front, form)) == n, f"line {n}")
    return dict(zip(REQUESTS, lines_of(front, form)))


def decision(text):
    """(decision, the policy's own reason) of a line."""
    if text.startswith("{"):
        whole = json.loads(text)
        word, why = whole["decision"], whole["reason"]
    else:
        word, _, why = text.split(" ")[2:5]
    return word, {"allow": "ok"}.get(word, why)


@pytest.mark.parametrize("form", ["text", "json"])
def test_as_the_front(front, form):
    """Whatever the front logs by one policy is decided by another as the
    front decides it by that."""
    by_b = asked(front, POLICY_B, form)
    policy_b = kit.write(front.path / "b.ini", front.ini.read_bytes())
    by_a = asked(front, POLICY_A, form)
    for name, row in by_a.items():
        same = run("replay", f"--config={front.ini}", "-",
                   input=row.encode())
        assert same.returncode == 0, (name, row, same.stdout)
        p = run("replay", f"--config={policy_b}", "--format=json", "-",
                input=row.encode())
        got = json.loads(p.stdout)
        assert got["undecidable"] == 0, (name, row, got)
        was, now = decision(row), decision(by_b[name])
        assert p.returncode == (was != now), (name, row, got)
        for change in got["changes"]:
            assert was == tuple(list(change["before"].values())[:2]), name
            assert now == tuple(list(change["after"].values())[:2]), name


class TestPolicy:
    def test_broken(self, room):
        """78, and each of its faults."""
        p = room.put("[policy]\nsender = a@b.example\nversions = 3\n").replay()
        assert (p.returncode, p.stdout) == (78, b"")
        assert re.findall(r":(\d):\d+: error: ", p.stderr.decode()) == \
            ["2", "3"]

    def test_missing(self, room):
        room.ini.unlink()
        p = room.replay()
        assert (p.returncode, p.stdout) == (66, b"")
        assert str(room.ini) in p.stderr.decode()

    def test_list(self, room):
        """A list's rules are said to be the list's."""
        kit.write(room.path / "list", "# none\nq@b.example\n")
        room.put(f"[policy]\nsenders_file = {room.path}/list\n"
                 "handler = none\n",
                 line(decision="deny", status=403, rule="-",
                      reason="sender-not-allowed", sender="q@b.example"))
        assert room.json()["changes"][0]["after"]["rule"] == {
            "file": f"{room.path}/list", "line": 2}

    @pytest.mark.parametrize("policy", [
        "exec = /bin/true\nexec_mode = replace",
        "handler = none\n[server]\nuser = no-such-user-here",
        "handler = none"])
    def test_of_another_machine(self, room, policy):
        """For CGI or a server; its accounts need not be here."""
        room.put(f"[policy]\nsenders = a@b.example\n{policy}\n")
        assert summary(room.text(status=0))["unchanged"] == 1

    def test_default(self, room):
        """AMP_CORS_CONFIG, where no --config is given."""
        p = run("replay", room.log, env={"AMP_CORS_CONFIG": str(room.ini)})
        assert p.returncode == 0
        other = room.path / "none.ini"
        p = run("replay", room.log, env={"AMP_CORS_CONFIG": str(other)})
        assert p.returncode == 66
        assert str(other) in p.stderr.decode()

    def test_no_such_endpoint(self, room):
        p = room.replay("--endpoint=feed")
        assert (p.returncode, p.stdout) == (64, b"")
        assert "no endpoint feed" in p.stderr.decode()


# Both commands, and what they are given


COMMANDS = ["replay", "report"]


class Both(Room):
    def run(self, command, *args, **more):
        config = [f"--config={self.ini}"] if command == "replay" else []
        return run(command, *config, *args, **more)


@pytest.fixture
def both(folder):
    return Both(folder)


def is_one_line(p, command):
    """The fault, and nothing else."""
    return p.stdout in (b"", None) and re.fullmatch(
        rb"amp-cors " + command.encode() + rb": [ -~]+\n", p.stderr)


@pytest.mark.parametrize("command", COMMANDS)
class TestInput:
    def test_missing(self, both, command):
        p = both.run(command, both.log, both.path / "none\n")
        assert p.returncode == 66
        assert is_one_line(p, command), p
        assert b"none\\x0a: No such file" in p.stderr

    def test_directory(self, both, command):
        p = both.run(command, both.path)
        assert p.returncode == 66
        assert is_one_line(p, command), p

    def test_no_permission(self, both, command, monkeypatch):
        # nobody may not reach it where it was built
        there = shutil.copy(TOOL, both.path / "amp-cors")
        monkeypatch.setattr("test_replay.TOOL", str(there))
        both.log.chmod(0)
        user = {"user": NOBODY} if os.geteuid() == 0 else {}
        p = both.run(command, both.log, **user)
        assert p.returncode == 66
        assert is_one_line(p, command), p

    @pytest.mark.parametrize("name", ["binary", "zeroes", "text"])
    def test_no_log(self, both, command, name):
        """65: there are lines, and no decision."""
        kit.write(both.log, {"binary": open(TOOL, "rb").read(1 << 20),
                             "zeroes": bytes(1 << 20),
                             "text": "GET / HTTP/1.1\n\n"}[name])
        p = both.run(command, both.log)
        assert p.returncode == 65
        assert is_one_line(p, command), p
        assert b": no decision in " in p.stderr

    def test_gzip(self, both, command):
        """As logrotate leaves it."""
        kit.write(both.log, gzip.compress(line().encode()))
        p = both.run(command, both.log)
        assert p.returncode == 65
        assert is_one_line(p, command), p
        assert b"is compressed; zcat it and give - as the log" in p.stderr

    def test_empty(self, both, command):
        """A log that was just begun is in order."""
        both.put(log="")
        p = both.run(command, both.log)
        assert (p.returncode, p.stderr) == (0, b"")
        assert p.stdout

    def test_long_line(self, both, command):
        """1 GiB without a line feed, in a few MiB."""
        both.put(log="")
        os.truncate(both.log, 1 << 30)
        with open(both.log, "ab") as f:
            f.write(b"\n" + line().encode())
        argv = [TOOL, command, str(both.log)]
        p = subprocess.Popen(argv, env={"AMP_CORS_CONFIG": str(both.ini)},
                             stdout=subprocess.PIPE)
        out = p.stdout.read().decode()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        p.stdout.close()
        assert p.returncode == 0
        assert usage.ru_maxrss < (300 << 10), usage
        if command == "replay":
            assert summary(out)["decisions"] == 1
            assert summary(out)["lines"] == 2
        else:
            assert "2 lines, 1 without a decision (1 too long for one)." in out

    def test_full_disk(self, both, command):
        """Of standard output."""
        with open("/dev/full", "wb") as full:
            p = both.run(command, both.log, stdout=full)
        assert p.returncode == 74
        assert is_one_line(p, command), p

    @pytest.mark.parametrize("args", [
        [], ["--no-such-option", "log"], ["--help=1", "log"]])
    def test_usage(self, both, command, args):
        p = both.run(command, *args)
        assert (p.returncode, p.stdout) == (64, b"")
        assert b"usage: amp-cors " + command.encode() in p.stderr
        assert args or b"name a log, or - for standard input" in p.stderr

    @pytest.mark.parametrize("option", ["--help", "-h"])
    def test_help(self, both, command, option):
        p = both.run(command, option)
        assert (p.returncode, p.stderr) == (0, b"")
        assert p.stdout.startswith(b"usage: amp-cors " + command.encode())


def test_format(room):
    p = room.replay("--format=xml")
    assert (p.returncode, p.stdout) == (64, b"")


def limit_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


class TestOutput:
    """report --output: whole or not at all."""

    def report(self, room, *args, **more):
        return run("report", *args, room.log, cwd=room.path, **more)

    def test_file(self, room):
        p = self.report(room, "--output=page.html", umask=0o027)
        assert (p.returncode, p.stdout, p.stderr) == (0, b"", b"")
        page = room.path / "page.html"
        assert page.read_bytes() == self.report(room).stdout
        assert page.stat().st_mode & 0o7777 == 0o640
        assert sorted(os.listdir(room.path)) == ["log", "new.ini",
                                                 "page.html"]

    def test_again(self, room):
        """It keeps its mode, and is reached by its link."""
        page = kit.write(room.path / "page.html", "old", 0o600)
        (room.path / "link").symlink_to("page.html")
        assert self.report(room, "--output=link").returncode == 0
        assert page.read_bytes().startswith(b"<!DOCTYPE html>")
        assert page.stat().st_mode & 0o7777 == 0o600
        assert (room.path / "link").is_symlink()

    @pytest.mark.parametrize("output, words", [
        (".", b"is a directory"), ("/dev/full", b"not a regular file"),
        ("none/page", b"No such file"), ("log/page", b"Not a directory"),
        ("x" * 5000, b"too long"), ("x" * 256, b"too long")],
        ids=["directory", "device", "no folder", "no folder either",
             "long path", "long name"])
    def test_cannot(self, room, output, words):
        """73."""
        p = self.report(room, f"--output={output}")
        assert p.returncode == 73
        assert is_one_line(p, "report") and words in p.stderr, p
        assert sorted(os.listdir(room.path)) == ["log", "new.ini"]

    def test_full_disk(self, room):
        """74; the page that was there stays, and nothing is beside it."""
        page = kit.write(room.path / "page.html", "old")
        p = self.report(room, "--output=page.html", preexec_fn=limit_files)
        assert p.returncode == 74
        assert is_one_line(p, "report"), p
        assert page.read_text() == "old"
        assert sorted(os.listdir(room.path)) == ["log", "new.ini",
                                                 "page.html"]

    @pytest.mark.parametrize("args", [
        ["--output=log", "log"], ["--output=./log", "new.ini", "log"],
        ["--output=link", "log"], ["--output=hard", "log"],
        ["--output=log", "-"]])
    def test_page_is_log(self, room, args):
        """64: the log stays as it was, whatever name it goes by."""
        (room.path / "link").symlink_to("log")
        os.link(room.log, room.path / "hard")
        with open(room.log, "rb") as log:
            p = run("report", *args, cwd=room.path, stdin=log)
        assert p.returncode == 64
        assert is_one_line(p, "report"), p
        assert b"is a log and the page at once" in p.stderr
        assert room.log.read_text() == line()
        assert len(os.listdir(room.path)) == 4

    def test_no_name(self, room):
        p = self.report(room, "--output=")
        assert p.returncode == 64
        assert b"--output=: name a file\n" in p.stderr

    def test_no_log(self, room):
        """Nothing is written where there is nothing to say."""
        room.log.unlink()
        p = self.report(room, "--output=page.html")
        assert p.returncode == 66
        assert os.listdir(room.path) == ["new.ini"]
