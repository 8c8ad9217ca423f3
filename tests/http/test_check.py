"""amp-cors check: everything that can be said of a policy, each with its word
and its place [SPEC 6.6, 6.7, 7.3]."""

import json
import os
import pwd
import re
import resource
import shutil
import subprocess
import threading
from dataclasses import dataclass

import pytest

import kit
from kit import until, write

TOOL = os.environ.get("AMP_CORS", str(kit.ROOT / "amp-cors"))
WATCHED = "asan" in TOOL
PATIENCE = 60
MANUAL = kit.ROOT / "man" / "amp-cors.1"
HEAD = "[policy]\nsenders = a@b.example\n"
FAULT = re.compile(r"(?P<file>[^:]*)(:(?P<line>\d+):(?P<column>\d+))?: "
                   r"(?P<severity>error|warning|note): (?P<text>.*) "
                   r"\[(?P<code>[a-z-]+)\]")


def words():
    """The codes that there are."""
    source = (kit.ROOT / "lib" / "fault.c").read_text()
    return re.findall(r'\[FAULT_\w+\] = "([a-z-]+)"', source)


class Room:
    """A folder with a policy in it."""

    def __init__(self, folder):
        self.path = folder.path / "policy"
        self.path.mkdir(mode=0o755)
        self.ini = self.path / "amp-cors.ini"

    def put(self, name, content, mode=0o644):
        return write(self.path / name, content, mode)

    def policy(self, text):
        text = text.replace("{dir}", str(self.path))
        text = text.replace("{front}", str(kit.FRONT))
        self.ini.write_text(text, encoding="utf-8")

    def run(self, *args, env=None, tool=TOOL, **more):
        """amp-cors check; the policy's own name comes last."""
        environment = {"PATH": f"{kit.FRONT.parent}:{os.defpath}"}
        environment.update(env or {})
        more.setdefault("stdout", subprocess.PIPE)
        argv = [tool, "check", *args]
        return subprocess.run(
            [os.fsencode(a) for a in argv], env=environment, cwd=self.path,
            timeout=PATIENCE, stderr=subprocess.PIPE, text=True,
            errors="surrogateescape", **more)

    def check(self, *args, **more):
        return self.run(*args, self.ini, **more)

    def faults(self, *args, **more):
        """What is said, and of the summary what follows the name."""
        p = self.check(*args, **more)
        assert p.returncode in (0, 1) and p.stderr == "", p
        return Said(p.stdout.splitlines(), self.ini)


class Said:
    """The lines that were printed, taken apart."""

    def __init__(self, lines, ini):
        assert lines and lines[-1].startswith(f"{ini}: "), lines
        self.summary = lines.pop()[len(f"{ini}: "):]
        self.all = []
        for line in lines:
            if line.startswith("\t"):
                self.all[-1]["hint"] = line[1:]
            else:
                found = FAULT.fullmatch(line)
                assert found, line
                self.all.append({**found.groupdict(), "hint": None})

    def of(self, code):
        return [f for f in self.all if f["code"] == code]

    def words(self):
        return {f["code"] for f in self.all} - {"old-suffixes"}


@pytest.fixture
def room(folder):
    return Room(folder)


@dataclass
class Case:
    """A line that draws a fault, and what stands around it.

    The fault is at this column of that line, or in no place (0)."""

    severity: str
    column: int
    line: str
    before: str = HEAD
    after: str = "\n"
    args: tuple = ()


ENDPOINT = HEAD + "[endpoint rsvp]\n"
SERVER = HEAD + "handler = none\n[server]\n"
LISTEN = SERVER + "listen = unix:/run/amp-cors/front.sock\n"
AS_NOBODY = ("--user=nobody",) if os.geteuid() == 0 else ()
LONG = "# " + "x" * 1000

CASES = {
    "bad-text": Case("error", 23, "senders = a@b.example \x07", "[policy]\n"),
    "long-line": Case("error", 1001, LONG),
    "bad-line": Case("error", 1, "origins https://mail.google.com"),
    "bad-quote": Case("error", 11, "senders = \"a@b.example", "[policy]\n"),
    "bad-comment": Case("error", 23, "senders = a@b.example # me",
                        "[policy]\n"),
    "bad-section": Case("error", 9, "[policy] for all", "", "\n"),
    "bad-name": Case("error", 2, "[endpoint RSVP]"),
    "no-section": Case("error", 1, "senders = a@b.example", ""),
    "unknown-section": Case("error", 2, "[polici]"),
    "repeated-section": Case("error", 2, "[policy]"),
    "unknown-key": Case("error", 1, "sender = a@b.example"),
    "misplaced-key": Case("error", 1, "threads = 4"),
    "repeated-key": Case("error", 1, "senders = c@d.example"),
    "useless-key": Case("warning", 19,
                        "browser_origins = https://play.example",
                        HEAD + "versions = 1\n"),
    "bad-value": Case("error", 11, "timeout = 1m"),
    "bad-rule": Case("error", 11, "senders = news*@company.example",
                     "[policy]\n"),
    "bad-origin": Case("error", 11, "origins = https://mail.example/"),
    "no-account": Case("error", 8, "user = nosuchuser", LISTEN),
    "no-directory": Case("error", 11, "scripts = /nonexistent"),
    "bad-peer": Case("error", 9, "peers = 192.0.2.1", LISTEN),
    "open-to-all": Case("error", 10, "listen = 0.0.0.0:9000", SERVER),
    "no-handler": Case("warning", 2, "[endpoint rsvp]", HEAD,
                       "\n[server]\nlisten = 127.0.0.1:9000\n"),
    "bad-handler": Case("error", 8, "exec = {dir}/rsvp.cgi"),
    "two-handlers": Case("error", 1, "handler = none",
                         HEAD + "forward = 127.0.0.1:9000\n"),
    "exec-mode": Case("error", 13, "exec_mode = replace", args=(
        "--for=server",)),
    "forward-loop": Case("error", 10, "listen = 127.0.0.1:9000",
                         HEAD + "forward = 127.0.0.1:9000\n[server]\n"),
    "same-path": Case("error", 8, "path = /amp", ENDPOINT
                      + "path = /amp\n[endpoint news]\n"),
    "sandbox": Case("error", 11, "sandbox = on",
                    HEAD + "exec = /bin/true\n[server]\n",
                    args=("--for=server",)),
    "catch-all": Case("error", 2, "[endpoint all]", ENDPOINT
                      + "path = /amp\nhandler = none\n", "\n"),
    "no-senders": Case("warning", 2, "[policy]", ""),
    "list-unreadable": Case("error", 0,
                            "senders_file = {dir}/senders.txt"),
    "list-damaged": Case("error", 0, "senders_cdb = {dir}/senders.cdb"),
    "any-sender": Case("error", 11, "senders = *", "[policy]\n"),
    "public-suffix": Case("error", 11, "senders = *@co.uk", "[policy]\n"),
    "free-mail": Case("error", 11, "senders = *@gmail.com", "[policy]\n"),
    "any-origin": Case("error", 11, "origins = *"),
    "null-origin": Case("error", 11, "origins = null"),
    "http-origin": Case("error", 11, "origins = http://mail.example"),
    "repeated-rule": Case("warning", 23,
                          "senders = a@b.example A@B.example", "[policy]\n"),
    "covered-rule": Case("warning", 24,
                         "senders = *@b.example, a@b.example", "[policy]\n"),
    "allow-and-deny": Case("warning", 11,
                           "senders = a@b.example !a@b.example",
                           "[policy]\n"),
    "denies-nothing": Case("warning", 23,
                           "senders = a@b.example !c@d.example",
                           "[policy]\n"),
    "repeated-origin": Case(
        "warning", 35,
        "origins = https://mail.google.com https://mail.google.com"),
    "covered-origin": Case(
        "warning", 11,
        "origins = https://mail.google.com https://*.google.com"),
    "odd-origin": Case("warning", 11, "origins = https://127.1"),
    "misplaced-origin": Case(
        "warning", 35,
        "origins = https://mail.google.com https://amp.gmail.dev"),
    "bad-idn": Case("warning", 11, "senders = news@xn--0.example",
                    "[policy]\n"),
    "handler-loop": Case("error", 8, "exec = {front}"),
    "backend-refused": Case("warning", 11,
                            "forward = unix:{dir}/php-fpm.sock"),
    "no-access": Case("warning", 7, "log = /usr/amp-cors.log",
                      HEAD + "[server]\n", args=AS_NOBODY),
    "one-version": Case("warning", 12, "versions = 1"),
    "no-gmail": Case("note", 11, "origins = https://mail.example"),
    "credentials": Case("note", 15, "credentials = yes"),
    "playground": Case("note", 14, "playground = yes"),
    "report-mode": Case("warning", 8, "mode = report"),
    "metrics-endpoint": Case("warning", 11, "metrics = url:/amp/metrics",
                             ENDPOINT + "path = /amp\n[server]\n",
                             args=("--for=server",)),
    "unseen": Case("warning", 13, "log_level = error", HEAD + "[server]\n"),
    "other-use": Case("note", 0, "user = nosuchuser", HEAD + "[server]\n"),
}

# where no line of a policy alone draws it, a test of its own below does
OTHERS = {"unreadable", "file-changed", "out-of-memory", "more-faults",
          "writable", "too-many-sections", "not-checked", "list-outdated"}
# the age of the system's list is nobody's choice
UNIT = {"old-suffixes": "tests/unit/test_check.c"}


class TestCodes:
    """Each code is drawn by an example, and explained."""

    def test_none_is_missing(self):
        assert len(set(words())) == len(words()) > 60
        assert set(words()) == {*CASES, *OTHERS, *UNIT}
        for code, test in UNIT.items():
            assert code in (kit.ROOT / test).read_text()

    @pytest.mark.parametrize("code", CASES)
    def test_case(self, room, code):
        """The word, how bad it is, and the place."""
        case = CASES[code]
        room.put("senders.cdb", "no compiled list\n")
        room.policy(case.before + case.line + case.after)
        said = room.faults(*case.args)
        found = said.of(code)
        assert len(found) == 1, said.all
        fault = found[0]
        assert fault["severity"] == case.severity
        assert fault["hint"]
        line = str(case.before.count("\n") + 1)
        if case.column:
            assert fault["file"] == str(room.ini)
            assert (fault["line"], fault["column"]) == (line,
                                                        str(case.column))
        else:
            assert fault["line"] is None

    def test_manual(self):
        """amp-cors(1) has every code, with the example that is tested."""
        entries = manual()
        assert set(entries) == set(words())
        for code, case in CASES.items():
            line = case.line.replace("{dir}", "/etc/amp-cors")
            line = line.replace("{front}", "/usr/bin/amp-cors-cgi")
            severities, example = entries[code]
            assert case.severity in severities, code
            # what cannot be printed, or is too long to be
            if code not in ("bad-text", "long-line"):
                assert example == line, code


def manual():
    """Code: its severities and its example, of the manual's list."""
    entries, code = {}, None
    for line in MANUAL.read_text().splitlines():
        line = line.replace("\\-", "-").replace("\\(dq", '"')
        item = re.match(r"\.It Cm (\S+) Pq ((error|warning|note).*)", line)
        if item:
            code = item[1]
            entries[code] = (item[2].split(" or "), None)
        elif line.startswith(".Dl ") and code and entries[code][1] is None:
            entries[code] = (entries[code][0], line[4:])
        elif line.startswith(".El"):
            code = None
    return entries


class TestOthers:
    """Codes that take more than a line."""

    def test_unreadable(self, room):
        p = room.check()
        assert (p.returncode, p.stdout) == (66, "")
        assert p.stderr == (f"amp-cors check: {room.ini}: No such file or "
                            "directory [unreadable]\n")

    def test_unreadable_json(self, room):
        """A program gets its document all the same."""
        p = room.check("--format=json")
        assert (p.returncode, p.stderr) == (66, "")
        whole = json.loads(p.stdout)
        assert whole["errors"] == 1 and whole["file"] == str(room.ini)
        (fault,) = whole["faults"]
        assert (fault["code"], fault["severity"], fault["line"]) == (
            "unreadable", "error", 0)
        assert "No such file" in fault["text"] and fault["hint"]

    @pytest.mark.parametrize("case", ["insensitive", "sensitive"])
    def test_list_outdated(self, room, case):
        """SPEC 3.7: the text has changed since it was compiled."""
        text = room.put("senders.txt", "a@b.example\n")
        cdb = room.path / "senders.cdb"
        args = ["--local-part-case=sensitive"] if case == "sensitive" else []
        subprocess.run([TOOL, "compile", "--quiet", *args, text, cdb],
                       check=True)
        room.policy(f"[policy]\nsenders_cdb = {cdb}\n"
                    f"local_part_case = {case}\n")
        made = cdb.stat().st_mtime_ns
        os.utime(text, ns=(made, made))
        assert room.faults().words() == set()
        os.utime(text, ns=(made, made + 1))
        (fault,) = room.faults().of("list-outdated")
        assert (fault["file"], fault["line"], fault["severity"]) == (
            str(cdb), None, "warning")
        assert str(text) in fault["text"]
        assert fault["hint"] == " ".join(
            ["amp-cors compile", *args, str(text), str(cdb)])
        text.unlink()
        assert room.faults().words() == set()

    def test_old_suffixes(self, room):
        """What nobody can mend here is told where all is asked for."""
        room.policy("[policy]\nsenders = *@b.example\n")
        assert "old-suffixes" not in room.check().stdout
        whole = json.loads(room.check("--format=json").stdout)
        assert (whole["notes"], whole["faults"]) == (0, [])
        p = room.check("--strict")
        assert p.returncode == 0

    def test_writable(self, room):
        room.policy(HEAD)
        assert room.faults().words() == set()
        room.ini.chmod(0o664)
        (fault,) = room.faults().of("writable")
        assert (fault["severity"], fault["line"]) == ("warning", None)

    def test_more_faults(self, room):
        room.policy("[policy]\n" + "x\n" * 1100)
        said = room.faults()
        (fault,) = said.of("more-faults")
        assert fault["text"].startswith("100 more"), fault
        assert len(said.of("bad-line")) == 1000

    def test_too_many_sections(self, room):
        room.policy(HEAD + "".join(
            f"[endpoint e{i}]\npath = /{i}\n" for i in range(1000)))
        (fault,) = room.faults().of("too-many-sections")
        assert fault["line"] == "2001"

    def test_file_changed(self, room):
        """Another file with other values, while a CGI request reads it; the
        check itself reads it once."""
        texts = [HEAD.replace("a@", f"{c * 9}@") + "# comment\n" * 90000
                 for c in "ab"]
        over = threading.Event()

        def seen():
            p = subprocess.run(
                [kit.FRONT, "/bin/true"], stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=PATIENCE, env={
                    "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET",
                    "AMP_CORS_CONFIG": str(room.ini)})
            return "[file-changed]" in p.stderr

        def exchange():
            while not over.is_set():
                for text in texts:
                    room.put("new", text).rename(room.ini)

        room.policy(texts[0])
        thread = threading.Thread(target=exchange)
        thread.start()
        try:
            until(seen, "a change that is seen", PATIENCE)
        finally:
            over.set()
            thread.join()

    @pytest.mark.parametrize("how", ["plain", "json"])
    def test_out_of_memory(self, room, how):
        """Somewhere between too little to start and enough."""
        room.policy(HEAD + "".join(
            f"[endpoint e{i}]\npath = /{i}\n" for i in range(900)))

        def limited(size):
            def limit():
                resource.setrlimit(resource.RLIMIT_AS, (size, size))
            return room.check(*(["--format=json"] if how == "json" else []),
                              preexec_fn=limit)

        if WATCHED:  # the sanitizers need terabytes of addresses
            return
        seen = set()
        enough = next(size for size in range(8 << 20, 200 << 20, 1 << 20)
                      if limited(size).returncode == 0)
        for size in range(enough - (2 << 20), enough + 1, 1 << 14):
            p = limited(size)
            # 66: not even the file found room
            assert p.returncode in (0, 1, 66, 71, 127), (size, p)
            if p.returncode in (1, 71):
                said = p.stdout + p.stderr
                assert "out of memory" in said or "out-of-memory" in said, p
                seen.add(p.returncode)
        assert p.returncode == 0 and seen


class TestNotChecked:
    root_alone = True

    def tool(self, room):
        """Where every user can run it."""
        return shutil.copy(TOOL, room.path / "amp-cors")

    @pytest.mark.parametrize("args, said", [
        ((), False), (("--strict",), True), (("--user=daemon",), True)])
    def test_another_user(self, room, args, said):
        """A note, and only where it is asked for."""
        room.policy(SERVER + "user = daemon\n")
        p = room.check("--for=server", *args, tool=self.tool(room),
                       user=65534, group=65534, extra_groups=[])
        assert p.returncode == 0, p
        assert ("[not-checked]" in p.stdout) == said, p.stdout
        assert ": checks (1 endpoint, 1 rule)\n" in p.stdout

    def test_access(self, room):
        """SPEC 7.3: lists that the user that will run cannot read."""
        text = room.put("senders.txt", "c@d.example\n", 0o600)
        room.policy(SERVER.replace("[server]", f"senders_file = {text}\n"
                                   "[server]") + "user = nobody\n"
                    "listen = unix:/run/amp-cors/front.sock\n")
        (fault,) = room.faults().of("no-access")
        assert (fault["file"], fault["line"], fault["severity"]) == (
            str(text), None, "warning")
        assert "reloads will fail" in fault["hint"]
        (fault,) = room.faults("--for=cgi", "--user=nobody").of("no-access")
        assert fault["severity"] == "error"
        assert room.faults("--for=cgi").of("no-access") == []
        p = room.check("--for=server", "--user=nobody")
        assert p.returncode == 1 and "error: Permission denied" in p.stdout
        text.chmod(0o644)
        assert room.faults().of("no-access") == []

    @pytest.mark.parametrize("use", ["cgi", "server"])
    def test_own_policy(self, room, use):
        """A policy of root's that its user cannot read is an error."""
        room.policy(HEAD + "handler = none\n")
        room.ini.chmod(0o600)
        said = room.faults(f"--for={use}", "--user=nobody")
        assert [(f["code"], f["severity"], f["file"]) for f in said.all] == [
            ("no-access", "error", str(room.ini))]
        assert said.summary == "1 error"


class TestSummary:
    @pytest.mark.parametrize("text, args, status, summary", [
        (HEAD, (), 0, "checks (1 endpoint, 1 rule)"),
        ("[policy]\nsenders = *@b.example !a@b.example\n"
         "[endpoint a]\npath = /a\n[endpoint b]\npath = /b\n", (), 0,
         "checks (2 endpoints, 2 rules)"),
        (HEAD + "mode = report\n", (), 0,
         "checks with 1 warning (1 endpoint, 1 rule)"),
        (HEAD + "mode = report\n", ("--strict",), 1, "1 warning"),
        (HEAD + "playground = yes\n", ("--strict",), 0,
         "checks (1 endpoint, 1 rule)"),
        (HEAD + "mode = report\nx\ny\n", (), 1, "2 errors, 1 warning"),
        (HEAD + "x\n", (), 1, "1 error"),
    ])
    def test_line(self, room, text, args, status, summary):
        room.policy(text)
        p = room.check(*args)
        assert p.returncode == status
        assert p.stdout.splitlines()[-1] == f"{room.ini}: {summary}"

    def test_large_numbers(self, room):
        text = room.put("senders.txt", "".join(
            f"u{i}@b.example\n" for i in range(12345)))
        room.policy(f"[policy]\nsenders_file = {text}\n")
        assert room.faults().summary == "checks (1 endpoint, 12,345 rules)"

    def test_many(self, room):
        """Some hundred are printed, and all are counted."""
        text = room.put("senders.txt", "".join(
            f"u{i}@b.example\n" for i in range(100000)))
        room.policy(f"[policy]\nsenders = *@b.example\n"
                    f"senders_file = {text}\n")
        said = room.faults()
        assert len(said.of("covered-rule")) == 200
        assert said.all[-1]["text"] == "99800 more of 'covered-rule'"
        assert said.summary == ("checks with 100,000 warnings (1 endpoint, "
                                "100,001 rules)")
        whole = json.loads(room.check("--format=json").stdout)
        assert whole["warnings"] == 100000
        assert len(whole["faults"]) in (201, 202)


class TestJson:
    @pytest.mark.parametrize("code", sorted(set(CASES) - {"bad-text"}))
    def test_the_same(self, room, code):
        """As text says it."""
        case = CASES[code]
        room.put("senders.cdb", "no compiled list\n")
        room.policy(case.before + case.line + case.after)
        text = room.faults(*case.args)
        p = room.check("--format=json", *case.args)
        whole = json.loads(p.stdout)
        assert p.stderr == ""
        assert whole["file"] == str(room.ini)
        assert whole["faults"] == [
            {"file": f["file"], "line": int(f["line"] or 0),
             "column": int(f["column"] or 0), "severity": f["severity"],
             "code": f["code"], "text": f["text"], "hint": f["hint"]}
            for f in text.all]
        for severity in ("error", "warning", "note"):
            assert whole[severity + "s"] == len(
                [f for f in text.all if f["severity"] == severity])
        assert p.returncode == (1 if whole["errors"] else 0)

    def test_any_bytes(self, room):
        """Valid whatever is written, and nothing steers a terminal."""
        room.ini.write_bytes(
            HEAD.encode() + b"\x9b\xff\xc3 = 1\n\xe2\x80\xae\"\\ = 2\n"
            b"timeout = \x1b[2J\xf0\x9f\x92\xa9\n")
        p = room.check("--format=json")
        p.stdout.encode("utf-8")  # no surrogate: no byte of another kind
        assert json.loads(p.stdout)["errors"] == 3
        p = room.check()
        assert re.fullmatch(r"[\t\n -~]*", p.stdout), p.stdout
        assert "\\xf0" not in p.stdout  # a control byte, and no more of it

    def test_strange_name(self, room):
        name = room.put("a\x1b\xff\n.ini", HEAD)
        p = room.run(name)
        assert p.stdout.endswith("/a\\x1b\\xc3\\xbf\\x0a.ini: checks "
                                 "(1 endpoint, 1 rule)\n")
        whole = json.loads(room.run("--format=json", name).stdout)
        assert whole["file"] == str(name)


class TestNames:
    """Internationalised names, as they are written and as they must be."""

    def test_hints(self, room):
        text = room.put("senders.txt", "ok@b.example\nb@büro.example\n"
                        .encode())
        room.policy("[policy]\nsenders = *@bücher.example ü@b.example "
                    f"\"x@y.example\nsenders_file = {text}\n"
                    "origins = https://*.BÜCHER.example https://ü_.example\n")
        said = room.faults()
        hints = {(f["line"], f["column"]): f["hint"]
                 for f in said.of("bad-rule") + said.of("bad-origin")}
        assert hints == {
            ("2", "11"): "write *@xn--bcher-kva.example",
            ("2", "29"): "write an internationalised domain in its xn-- "
                         "form; a local part is ASCII",
            ("2", "42"): "write the bare address, without name, quotes or "
                         "brackets",
            ("4", "11"): "write https://*.xn--bcher-kva.example",
            # of the list
            ("2", "1"): "write b@xn--bro-hoa.example",
            ("4", "37"): "write https://host, https://*.host, * or null, "
                         "the host in ASCII (xn--)",
        }

    def test_quoted(self, room):
        room.policy('[policy]\nsenders = "a@b.example, c@bücher.example"\n')
        (fault,) = room.faults().of("bad-rule")
        assert fault["hint"] == "write c@xn--bcher-kva.example"


class TestLists:
    """SPEC 3.7: all of an endpoint's sources are one list."""

    def test_over_sources(self, room):
        text = room.put("senders.txt", "a@b.example\nc@d.example\n")
        old = room.put("old.txt", "# old\n*@d.example\nx@y.example\n")
        cdb = room.path / "old.cdb"
        subprocess.run([TOOL, "compile", old, cdb], check=True,
                       stdout=subprocess.DEVNULL)
        room.policy("[policy]\nsenders = x@y.example *@b.example\n"
                    f"senders_file = {text}\nsenders_cdb = {cdb}\n")
        said = room.faults()
        places = [(f["file"], f["line"], f["code"]) for f in said.all
                  if f["code"] != "old-suffixes"]
        assert places == [
            (str(old), "3", "repeated-rule"),
            (str(text), "1", "covered-rule"),
            (str(text), "2", "covered-rule")]
        assert said.of("covered-rule")[1]["hint"] == (
            f"leave it out; {old}:2 has '*@d.example'")


class TestUse:
    """For whom it is read: as the front's own -n does."""

    policy = HEAD + "exec = /bin/true\nexec_mode = replace\n"

    def test_cgi(self, room):
        room.policy(self.policy)
        assert room.faults().words() == {"other-use"}
        assert room.faults("--for=cgi").words() == set()
        assert room.faults("--for=server").words() == {"exec-mode"}

    def test_listen(self, room):
        room.policy(self.policy + "[server]\n"
                    "listen = unix:/run/amp-cors/front.sock\n")
        assert room.faults().words() == {"exec-mode"}
        assert room.faults("--for=server").words() == {"exec-mode"}
        assert room.faults("--for=cgi").words() == set()

    def test_json_says_which(self, room):
        room.policy(HEAD)
        for args, use in ((), "cgi"), (("--for=server",), "server"):
            p = room.check("--format=json", *args)
            assert json.loads(p.stdout)["for"] == use

    @pytest.mark.parametrize("name", sorted(
        p.name for p in (kit.ROOT / "tests/data/conf/good").glob("*.ini")))
    def test_good_files(self, room, name):
        """What the front takes has no error but of this machine."""
        source = kit.ROOT / "tests/data/conf/good" / name
        (room.path / "scripts").mkdir()
        (room.path / "link").symlink_to("scripts")
        (room.path / "lists").symlink_to(kit.ROOT / "tests/data/conf/lists")
        subprocess.run([TOOL, "compile", "--quiet",
                        "--local-part-case=sensitive",
                        room.put("list.txt", "Cdb@c.example\n"),
                        room.path / "exact.cdb"], check=True)
        text = source.read_text().replace("@DIR@", str(room.path))
        room.ini.write_text(text)
        said = room.faults("--for=server" if name.startswith("server-")
                           else "--for=cgi")
        errors = {f["code"] for f in said.all if f["severity"] == "error"}
        assert errors <= {"bad-handler", "public-suffix"}, said.all

    def test_sample(self, room):
        """etc/amp-cors.ini, as it is installed."""
        shutil.copy(kit.ROOT / "etc/amp-cors.ini", room.ini)
        room.ini.chmod(0o644)
        assert room.faults("--strict").words() == set()


class TestBadInput:
    """One clear line and a status, whatever the file is."""

    def one_line(self, p, status, words_of):
        assert (p.returncode, p.stdout) == (status, ""), p
        assert p.stderr.count("\n") == 1 and p.stderr.endswith("\n")
        assert p.stderr.startswith("amp-cors check: ")
        assert words_of in p.stderr

    def test_missing(self, room):
        self.one_line(room.check(), 66, "No such file")

    def test_directory(self, room):
        self.one_line(room.run(room.path), 66, "is a directory")

    def test_fifo(self, room):
        os.mkfifo(room.ini)
        self.one_line(room.check(), 66, "is not a regular file")

    def test_gigabyte(self, room):
        """A line of it, and without a byte on the disk."""
        with open(room.ini, "wb") as f:
            f.truncate(1 << 30)
        self.one_line(room.check(), 66, "is too large")

    def test_gigabyte_list(self, room):
        with open(room.put("senders.txt", ""), "wb") as f:
            f.truncate(1 << 30)
        room.policy("[policy]\nsenders_file = {dir}/senders.txt\n")
        (fault,) = room.faults().of("list-unreadable")
        assert fault["text"] == "is too large"

    @pytest.mark.parametrize("args", [(), ("--format=json",)])
    def test_binary(self, room, args):
        """Where it begins to be one, and no more."""
        room.ini.write_bytes(b"[policy]\n" + bytes(range(1, 256)) * 9
                             + b"\0" + bytes(1000))
        p = room.check(*args)
        assert p.returncode == 1 and p.stderr == ""
        if args:
            (fault,) = json.loads(p.stdout)["faults"]
            assert (fault["line"], fault["code"]) == (11, "bad-text")
        else:
            assert p.stdout.count("[bad-text]") == 1
            assert p.stdout.endswith(": 1 error\n")

    def test_garbage(self, room):
        """Also one that has no NUL."""
        room.ini.write_bytes(b"ok\n\x7fELF" + bytes(range(1, 256)) * 9)
        p = room.check()
        assert p.returncode == 1
        assert p.stdout.splitlines() == [
            f"{room.ini}:2:5: error: this is no text [bad-text]",
            "\ta policy file is plain text in ASCII or UTF-8",
            f"{room.ini}: 1 error"]

    def test_foreign_text(self, room):
        """Letters that are not ASCII are text, and some odd bytes, too."""
        room.policy(HEAD + "# " + "\u00fc\u0416" * 100 + "\n")
        assert room.faults().words() == set()
        room.ini.write_bytes(HEAD.encode() + b"\x01\n\x02\n")
        assert len(room.faults().of("bad-text")) == 2

    @pytest.mark.parametrize("args", [(), ("--format=json",)])
    def test_full_disk(self, room, args):
        room.policy(HEAD)
        with open("/dev/full", "w") as full:
            p = room.check(*args, stdout=full)
        assert p.returncode == 74
        assert p.stderr == ("amp-cors check: standard output: No space left "
                            "on device\n")

    def test_many_faults_on_a_full_disk(self, room):
        room.policy("[policy]\n" + "x\n" * 1000)
        with open("/dev/full", "w") as full:
            p = room.check(stdout=full)
        assert p.returncode == 74 and p.stderr.count("\n") == 1


class TestNoPermission:
    root_alone = True

    def test_file(self, room):
        room.policy(HEAD)
        room.ini.chmod(0o600)
        tool = shutil.copy(TOOL, room.path / "amp-cors")
        p = room.check(tool=tool, user=65534, group=65534, extra_groups=[])
        TestBadInput().one_line(p, 66, "Permission denied")


class TestCommandLine:
    def test_default_file(self, room):
        """As the front's: AMP_CORS_CONFIG, then the one in /etc."""
        room.policy(HEAD)
        p = room.run(env={"AMP_CORS_CONFIG": str(room.ini)})
        assert p.stdout == f"{room.ini}: checks (1 endpoint, 1 rule)\n"
        other = room.path / "other.ini"
        p = room.run(other, env={"AMP_CORS_CONFIG": str(room.ini)})
        assert p.returncode == 66 and str(other) in p.stderr

    def test_help(self, room):
        p = room.run("--help")
        assert (p.returncode, p.stderr) == (0, "")
        assert p.stdout.startswith("usage: amp-cors check ")
        assert max(map(len, p.stdout.splitlines())) < 80
        for option in ("--for", "--format", "--strict", "--user"):
            assert option in p.stdout

    @pytest.mark.parametrize("args, text", [
        (("--nonsense",), "--nonsense"),
        (("--for=apache",), "--for is cgi or server"),
        (("--format=xml",), "--format is text or json"),
        (("--user=nosuchuser",), "there is no user nosuchuser"),
        (("--user",), "--user"),
        (("a", "b"), "amp-cors check: b: it takes one file\n"),
    ])
    def test_usage(self, room, args, text):
        room.policy(HEAD)
        p = room.run(*args)
        assert (p.returncode, p.stdout) == (64, "")
        assert text in p.stderr and "usage: amp-cors check " in p.stderr

    def test_options_of_the_manual(self):
        """Each option is in amp-cors(1)."""
        text = MANUAL.read_text().replace("\\-", "-")
        section = text.partition(".Ss check\n")[2]
        for option in ("for", "format", "help", "strict", "user"):
            assert f"Fl -{option}" in section, option

    def test_own_user(self, room):
        """The one who asks needs no root."""
        room.policy(HEAD)
        name = pwd.getpwuid(os.geteuid()).pw_name
        p = room.check(f"--user={name}", "--strict")
        assert p.returncode == 0 and "not-checked" not in p.stdout


class TestEveryCommand:
    """What all commands have in common [SPEC 7.3]."""

    names = ("check", "compile", "explain", "probe", "replay", "report")

    def run(self, *args):
        return subprocess.run([TOOL, *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True,
                              timeout=PATIENCE)

    @pytest.mark.parametrize("name", names)
    def test_help(self, name):
        """-h, --help and help are one."""
        said = self.run(name, "--help")
        assert said.stdout.startswith(f"usage: amp-cors {name} ")
        for args in (name, "-h"), ("help", name):
            p = self.run(*args)
            assert (p.returncode, p.stderr) == (0, "")
            assert p.stdout == said.stdout

    @pytest.mark.parametrize("name", names)
    def test_wrong_option(self, name):
        """getopt_long(3) says whose option it is."""
        p = self.run(name, "--nonsense")
        assert (p.returncode, p.stdout) == (64, "")
        assert p.stderr.startswith(f"amp-cors {name}: unrecognized option ")

    @pytest.mark.parametrize("args, status", [
        (("help",), 0), (("help", "help"), 0), (("help", "--help"), 0),
        (("help", "nothing"), 64), (("help", "check", "probe"), 64)])
    def test_help_alone(self, args, status):
        """The commands; and what is wrong comes before."""
        p = self.run(*args)
        assert p.returncode == status
        told = self.run("--help").stdout
        assert told.startswith("usage: amp-cors ") and "help" in told
        if status == 0:
            assert (p.stdout, p.stderr) == (told, "")
        else:
            assert p.stdout == "" and p.stderr.endswith("\n" + told)
            assert p.stderr.startswith("amp-cors: ")
