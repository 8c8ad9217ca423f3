"""The command line, and which file runs: E17 to E28, SPEC 4.11 and 5.1."""

import os
import re
import shutil
import subprocess

import pytest

import kit
from kit import FRONT, V2, echo, ours

HOSTILE = [
    ["-h"], ["-V"], ["-n"], ["--version"], ["--help"], ["-c", "id"],
    ["-c", "/etc/passwd"], ["--listen", "127.0.0.1:0"],
    ["/bin/sh", "/etc/passwd", "-c"], ["/bin/sh"], ["--", "/bin/sh"], ["-"],
]

NO_HANDLER = """\
[policy]
senders = {sender}
{policy}
"""


def ids(value):
    return " ".join(value) if isinstance(value, list) else None


class TestClientsWords:
    """Apache makes words of a query without '='."""

    @pytest.mark.parametrize("args", HOSTILE, ids=ids)
    @pytest.mark.parametrize("file", [str(FRONT), None, "/nowhere"])
    def test_never_read(self, front, args, file):
        """E17, E18"""
        answer = front.cgi(args=args, path="/env", SCRIPT_FILENAME=file)
        assert answer.status == 200, answer
        assert answer.arguments() == [str(front.handler)]
        assert ours(answer.headers) == V2

    @pytest.mark.parametrize("args", HOSTILE, ids=ids)
    def test_no_handler_of_them(self, front, args):
        front.configure(whole=NO_HANDLER)
        for file in (str(FRONT), None):
            answer = front.cgi(args=args, SCRIPT_FILENAME=file)
            assert (answer.status, answer.reason()) == (500, "policy-error")
            assert front.ran() == 0

    def test_words_alone_make_no_request_of_it(self, front):
        """E18: GATEWAY_INTERFACE is enough."""
        answer = front.cgi(args=["-h"], method=None)
        assert answer.status == 400


class TestHandlerOnTheLine:
    @pytest.fixture
    def script(self, front):
        front.configure(whole=NO_HANDLER)
        return front.put("x.sh", "#!/front /bin/sh\n"
                         "printf 'Content-Type: text/plain\\n\\n'\n"
                         "printf '<%s>' \"$0\" \"$@\"\n", 0o755)

    def test_interpreter_script(self, front, script):
        """E19; the words behind the script came from the client."""
        for words in ([], ["evil"], ["-c", "evil"]):
            answer = front.cgi(args=["/bin/sh", str(script)] + words,
                               SCRIPT_FILENAME=str(script))
            assert answer.status == 200, answer
            assert answer.body == b"<%s>" % bytes(script)

    def test_interpreter_with_an_option(self, front, script):
        """Linux hands over what follows the front as one argument."""
        kit.write(script, "#!/front /bin/sh -e -u\n" + script.read_text(),
                  0o755)
        answer = front.cgi(args=["/bin/sh -e -u", str(script)],
                           SCRIPT_FILENAME=str(script))
        assert answer.body == b"<%s>" % bytes(script)

    def test_other_name_of_the_script(self, front, script):
        """It is the file that counts, not its name."""
        os.link(script, front.path / "y.sh")
        answer = front.cgi(args=["/bin/sh", str(script)],
                           SCRIPT_FILENAME=str(front.path / "y.sh"))
        assert answer.status == 200

    def test_forged_interpreter(self, front, script):
        """The script's own first line says what the kernel would say."""
        for words in ("/bin/sh -e", "/usr/bin/touch evil", "/bin/s", "sh", ""):
            answer = front.cgi(args=[words, str(script)],
                               SCRIPT_FILENAME=str(script))
            assert (answer.status, answer.reason()) == (
                403, "handler-forbidden"), words

    def test_file_not_named(self, front, script):
        other = front.put("other.sh", "exit 1\n", 0o755)
        answer = front.cgi(args=["/bin/sh", str(other)],
                           SCRIPT_FILENAME=str(script))
        assert (answer.status, answer.reason()) == (500, "policy-error")

    def test_first_line(self, front, script):
        text = script.read_text()
        kit.write(script, f"#!{FRONT} /bin/sh\n{text}", 0o755)
        answer = front.cgi(front=script, args=["evil"],
                           SCRIPT_FILENAME=str(script))
        assert answer.body == b"<%s>" % bytes(script)

    def test_first_line_without_interpreter(self, front, script):
        """E20"""
        kit.write(script, f"#!{FRONT}\n", 0o755)
        answer = front.cgi(front=script, SCRIPT_FILENAME=str(script))
        assert (answer.status, answer.reason()) == (500, "handler-loop")

    def test_assigned(self, front, script):
        """E21"""
        kit.write(script, "#!/bin/sh\n" + script.read_text(), 0o755)
        answer = front.cgi(args=[str(script), "evil"],
                           SCRIPT_FILENAME=str(script), cwd="/")
        assert answer.body == b"<%s>" % bytes(script)

    def test_folder(self, front, script):
        kit.write(script, "#!/front /bin/sh\n"
                  "echo Content-Type: text/plain; echo; pwd\n", 0o755)
        answer = front.cgi(args=["/bin/sh", str(script)],
                           SCRIPT_FILENAME=str(script), cwd="/")
        assert answer.body.decode().strip() == str(front.path)

    def test_policys_handler_wins(self, front, script):
        front.configure()
        answer = front.cgi(args=["/bin/sh", str(script)],
                           SCRIPT_FILENAME=str(script))
        assert answer.body == echo(b"")

    def test_exec_is_the_front(self, front):
        """E20"""
        front.configure(whole=NO_HANDLER, policy=f"exec = {FRONT}")
        for ask in (front.cgi, front.start().ask):
            answer = ask()
            assert (answer.status, answer.reason()) == (500, "handler-loop")

    def test_refused_before(self, front, script):
        answer = front.cgi(args=["/bin/sh", str(script)], sender="a@b.example",
                           SCRIPT_FILENAME=str(script))
        assert answer.reason() == "sender-not-allowed"


class TestFastCgiLine:
    def test_handler_and_its_arguments(self, front):
        front.configure(whole=NO_HANDLER)
        front.start("--listen", f"unix:{front.socket}", "--",
                    str(front.handler), "/env", "x y")
        answer = front.ask(path="/echo")
        assert answer.arguments() == [str(front.handler), "/env", "x y"]

    def test_policys_handler_wins(self, front):
        front.start("--listen", f"unix:{front.socket}", "--", "/bin/false")
        assert front.ask().body == echo(b"")


@pytest.fixture(scope="class")
def scripts(way):
    """A folder of scripts, and its neighbours."""
    front = way.front
    root = front.path / "scripts"
    if not root.exists():
        fill(front, root)
    front.configure(whole="[policy]\nsenders = {sender}\n"
                    f"scripts = {root}\n[server]\n")
    if way.name == "fastcgi":
        front.restart()
    way.root = root
    return way


def fill(front, root):
    (root / "sub").mkdir(parents=True)
    (root / "sub").chmod(0o777)
    root.chmod(0o777)
    for name in ("h.cgi", "nph-h.cgi", "sub/h.cgi", "../outside.cgi"):
        shutil.copy(front.handler, root / name)
    (root / "inside").symlink_to("sub/h.cgi")
    (root / "inside-dir").symlink_to("sub")
    (root / "out").symlink_to("../outside.cgi")
    (root / "out-absolute").symlink_to("/bin/true")
    (root / "out-dir").symlink_to("..")
    (root / "dangling").symlink_to("nowhere")
    (root / "round").symlink_to("round")
    kit.write(root / "plain.cgi", "#!/bin/sh\necho evil\n", 0o644)
    os.mkfifo(root / "fifo", 0o755)
    for name, text in {
            "no-interpreter": "#!/no/such/interpreter\n",
            "crlf": "#!/bin/sh\r\necho\r\n",
            "no-line": "echo Content-Type: text/plain; echo; echo evil\n",
            "empty": "",
            "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 100,
    }.items():
        kit.write(root / name, text, 0o755)
    sibling = root.parent / "scripts-2"
    sibling.mkdir()
    shutil.copy(front.handler, sibling / "h.cgi")


def by_name(way, name, info="/echo", **more):
    """As a web server that splits rightly says it."""
    return way.ask(script="/s/" + name, path=info,
                   SCRIPT_FILENAME=f"{way.root}/{name}", **more)


# name below the folder: status, reason
FILES = {
    "h.cgi": (200, None),
    "nph-h.cgi": (200, None),
    "sub/h.cgi": (200, None),
    "inside": (200, None),
    "inside-dir/h.cgi": (200, None),
    "missing.cgi": (404, "handler-missing"),
    "sub": (404, "handler-missing"),
    "dangling": (404, "handler-missing"),
    "round": (404, "handler-missing"),
    "plain.cgi": (403, "handler-forbidden"),
    "fifo": (403, "handler-forbidden"),
    "out": (None, None),
    "out-absolute": (None, None),
    "out-dir/outside.cgi": (None, None),
    "out-dir/scripts-2/h.cgi": (None, None),
    "no-interpreter": (502, "handler-not-started"),
    "crlf": (502, "handler-not-started"),
    "no-line": (502, "handler-not-started"),
    "empty": (502, "handler-not-started"),
    "elf": (502, "handler-not-started"),
}


class TestScripts:
    @pytest.mark.parametrize("name", FILES)
    def test_file(self, scripts, name):
        """E24 to E26"""
        status, reason = FILES[name]
        answer = by_name(scripts, name)
        if status == 200:
            assert answer.status == 200, answer
            assert answer.body == echo(b"")
            return
        assert str(scripts.root) not in answer.raw.decode("latin-1")
        assert ours(answer.headers) == V2
        if status is None:
            assert answer.reason() in ("handler-forbidden", "handler-missing")
            assert answer.status in (403, 404)
        else:
            assert (answer.status, answer.reason()) == (status, reason)
        if reason == "handler-not-started":
            assert any(e in scripts.log(answer) for e in (
                "interpreter", "is no program"))

    @pytest.mark.parametrize("path", [
        "/s/../h.cgi", "/s/./h.cgi", "/s//h.cgi", "//s/h.cgi",
        "/s/sub/../h.cgi", "/s/h.cgi/..", "/.."])
    def test_path(self, scripts, path):
        """E24: such a path matches no endpoint at all."""
        answer = scripts.ask(script=path, path=None,
                             SCRIPT_FILENAME=f"{scripts.root}/h.cgi")
        assert (answer.status, answer.reason()) == (404, "no-endpoint")
        answer = scripts.ask(script="/s", path=path,
                             SCRIPT_FILENAME=f"{scripts.root}/h.cgi")
        assert (answer.status, answer.reason()) == (404, "no-endpoint")

    @pytest.mark.parametrize("file", [
        "../outside.cgi", "sub/../../outside.cgi", "../scripts-2/h.cgi",
        "/bin/true", "/etc/passwd", "-2/h.cgi"])
    def test_outside(self, scripts, file):
        """E24: whatever the server says."""
        name = file if file.startswith("/") else f"{scripts.root}/{file}"
        if file.startswith("-"):
            name = f"{scripts.root}{file}"
        answer = scripts.ask(script="/s/x", path=None, SCRIPT_FILENAME=name)
        assert answer.status in (403, 404), answer
        assert answer.reason() in ("handler-forbidden", "handler-missing")

    @pytest.mark.parametrize("file, script, info", [
        ("h.cgi/env/x", "/s/h.cgi/env/x", ""),
        ("h.cgi", "/s/h.cgi", "/env/x"),
        ("h.cgi/env/x", "/s/h.cgi", "/env/x"),
        ("", "/s", "/h.cgi/env/x"),
    ], ids=["too-long", "right", "file-too-long", "too-short"])
    def test_split(self, scripts, file, script, info):
        """E27"""
        name = f"{scripts.root}/{file}".rstrip("/")
        answer = scripts.ask(script=script, path=info, SCRIPT_FILENAME=name)
        assert answer.status == 200, answer
        got = answer.variables()
        assert got["SCRIPT_NAME"] == "/s/h.cgi"
        assert got["PATH_INFO"] == "/env/x"
        assert got["SCRIPT_FILENAME"] == f"{scripts.root}/h.cgi"
        assert answer.cwd() == str(scripts.root)

    @pytest.mark.parametrize("prefix", [
        "proxy:fcgi://127.0.0.1:9000", "proxy:fcgi://localhost",
        "proxy:balancer://name"])
    def test_proxy_prefix(self, scripts, prefix):
        """E12"""
        answer = scripts.ask(
            script="/s/h.cgi", path="/env",
            SCRIPT_FILENAME=f"{prefix}{scripts.root}/h.cgi")
        assert answer.status == 200, answer
        assert answer.variables()["SCRIPT_FILENAME"] == (
            f"{scripts.root}/h.cgi")

    def test_no_file_named(self, scripts):
        answer = scripts.ask(script="/s/h.cgi", path="/echo")
        assert answer.reason() in ("handler-missing", "policy-error")
        assert answer.status in (404, 500)


class TestAction:
    """Apache's Action names its script in PATH_TRANSLATED: E22, E23."""

    @pytest.fixture
    def ask(self, front):
        root = front.path / "scripts"
        fill(front, root)
        front.configure(whole=f"[policy]\nsenders = {{sender}}\n"
                        f"scripts = {root}\n")

        def action(file="h.cgi/env/x", redirect="200", info="/s/h.cgi/env/x",
                   **more):
            return front.cgi(script="/cgi-bin/front", path=info,
                             SCRIPT_FILENAME=str(FRONT),
                             PATH_TRANSLATED=f"{root}/{file}",
                             REDIRECT_STATUS=redirect, **more)
        action.root = root
        action.front = front
        return action

    def test_runs(self, ask):
        answer = ask()
        assert answer.status == 200, answer
        got = answer.variables()
        assert got["SCRIPT_NAME"] == "/s/h.cgi"
        assert got["PATH_INFO"] == "/env/x"
        assert got["SCRIPT_FILENAME"] == f"{ask.root}/h.cgi"
        assert answer.cwd() == str(ask.root)

    @pytest.mark.parametrize("redirect", [None, ""])
    def test_asked_directly(self, ask, redirect):
        answer = ask(redirect=redirect)
        assert (answer.status, answer.reason()) == (403, "not-redirected")

    @pytest.mark.parametrize("file", ["../outside.cgi", "out"])
    def test_outside(self, ask, file):
        answer = ask(file=file)
        assert answer.status in (403, 404)

    def test_command_line_plays_no_part(self, ask):
        script = ask.front.put("x.sh", "echo evil\n", 0o755)
        answer = ask(args=["/bin/sh", str(script)])
        assert "evil" not in answer.raw.decode("latin-1")
        assert answer.status == 200


OPTIONS = {
    "no-work": ([], 64, "usage"),
    "unknown": (["-x"], 64, "usage"),
    "unknown-long": (["--forward"], 64, "usage"),
    "no-argument": (["-c"], 64, "usage"),
    "no-file": (["-c", "/nowhere.ini", "--listen", "127.0.0.1:0"], 78,
                "/nowhere.ini"),
    "bad-listen": (["-c", "{ini}", "--listen", "nonsense"], 64, "nonsense"),
    "bad-port": (["-l", "127.0.0.1:99999"], 64, "127.0.0.1:99999"),
    "relative-socket": (["-n", "-l", "unix:sock"], 64, "unix:sock"),
    "no-handler": (["-n", "-c", "{ini}", "--", "/nowhere.sh"], 78,
                   "/nowhere.sh: no such file"),
    "folder-handler": (["-n", "-c", "{ini}", "--", "/etc"], 78,
                       "/etc is a directory"),
    "plain-handler": (["-n", "-c", "{ini}", "--", "/etc/passwd"], 78,
                      "/etc/passwd is not executable"),
}


class TestOptions:
    def run(self, front, args, **env):
        env = {"PATH": os.defpath, **env}
        argv = [FRONT] + [a.replace("{ini}", str(front.ini)) for a in args]
        return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=10, text=True)

    @pytest.mark.parametrize("name", OPTIONS)
    def test_mistake(self, front, name):
        args, status, word = OPTIONS[name]
        got = self.run(front, args, AMP_CORS_CONFIG=str(front.ini))
        assert got.returncode == status, got
        assert word in got.stderr.lower()
        assert got.stdout == ""

    def test_help(self, front):
        got = self.run(front, ["-h"])
        assert got.returncode == 0
        assert "amp-cors-cgi" in got.stdout and "--listen" in got.stdout

    def test_version(self, front):
        got = self.run(front, ["-V"])
        assert got.returncode == 0
        assert got.stdout.startswith("amp-cors-cgi ")
        assert got.stdout.count("\n") == 1

    def test_check(self, front):
        got = self.run(front, ["-n", "-c", "{ini}"])
        assert got.returncode == 0, got
        got = self.run(front, ["-n"], AMP_CORS_CONFIG=str(front.ini))
        assert got.returncode == 0, got
        front.configure("nonsense = 1")
        got = self.run(front, ["-n", "-c", "{ini}"])
        assert got.returncode == 78
        assert f"{front.ini}:8:1: error: " in got.stderr

    def test_check_starts_nothing(self, front):
        front.configure(server=f"listen = unix:{front.socket}")
        got = self.run(front, ["-n", "-c", "{ini}"])
        assert got.returncode == 0, got
        assert not os.path.exists(front.socket)

    def test_check_as_server(self, front):
        """What only shows on this machine is checked with the policy."""
        front.configure(server=f"listen = unix:{front.socket}\n"
                        "user = no.such\ngroup = no.such\n"
                        "socket_owner = no.such\nsocket_group = no.such\n"
                        "peers = no.such")
        got = self.run(front, ["-n", "-c", "{ini}"])
        assert got.returncode == 78, got
        lines = front.ini.read_text().splitlines()
        for key in "user", "group", "socket_owner", "socket_group", "peers":
            line = f"{key} = no.such"
            at = f"{lines.index(line) + 1}:{len(key) + 4}"
            said = "'no.such'" if key == "peers" else line
            assert f"{front.ini}:{at}: error: {said}" in got.stderr
        assert len(got.stderr.splitlines()) == 5
        assert len(got.stderr.splitlines()) == 5
        got = self.run(front, ["-c", "{ini}"])
        assert got.returncode == 78, got

    def test_check_for_which_way(self, front):
        front.configure("exec_mode = replace")
        assert self.run(front, ["-n", "-c", "{ini}"]).returncode == 0
        for more in (["-l", "127.0.0.1:0"], ["--", "/bin/true"]):
            got = self.run(front, ["-n", "-c", "{ini}"] + more)
            assert got.returncode == 78, got
            assert "exec_mode" in got.stderr

    def test_exec_that_cannot_run(self, front):
        front.configure("exec = /nowhere",
                        server=f"listen = unix:{front.socket}")
        got = self.run(front, ["-n", "-c", "{ini}"])
        assert got.returncode == 78, got
        assert re.search(
            re.escape(str(front.ini)) + r":\d+:8: error: exec = /nowhere "
            r"is not there \[bad-handler\]; [^\n]+\n", got.stderr)

    def test_option_before_environment(self, front):
        other = front.put("other.ini", "nonsense")
        got = self.run(front, ["-n", "-c", "{ini}"],
                       AMP_CORS_CONFIG=str(other))
        assert got.returncode == 0, got

    def test_no_handler(self, front):
        front.configure(whole=NO_HANDLER)
        got = self.run(front, ["-c", "{ini}", "--listen",
                               f"unix:{front.socket}"])
        assert got.returncode == 78, got
        assert "handler" in got.stderr
