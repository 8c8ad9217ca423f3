"""etc/bash-completion/amp-cors: it holds what the programs take, no less and
no more, and completes under the Tab key of a real bash."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from kit import FRONT, ROOT, WAIT, until, write

AMP_CORS = os.environ.get("AMP_CORS", str(ROOT / "amp-cors"))
FILE = ROOT / "etc" / "bash-completion" / "amp-cors"
ENV = {"PATH": os.defpath, "LC_ALL": "C", "TERM": "dumb", "HOME": "/",
       "INPUTRC": "/dev/null", "PS1": "$ "}

# the function of a program, asked as bash asks it
DRIVER = """\
compopt() { said+=" ${*//-o /}"; }
source "$1"
function=$2
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) said=
"$function"
printf '%s\\n' "$said" "${COMPREPLY[@]}"
"""


def run(*command):
    return subprocess.run([str(c) for c in command], env=ENV, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=WAIT)


def completed(*words, cwd="/"):
    """What is offered for the last of these words; and how."""
    function = "_amp_cors_cgi" if words[0] == "amp-cors-cgi" else "_amp_cors"
    p = subprocess.run(["bash", "-u", "-c", DRIVER, "bash", FILE, function,
                        *words], env=ENV, text=True, cwd=cwd,
                       capture_output=True, timeout=WAIT, check=True)
    assert p.stderr == ""
    said, *offered = p.stdout.split("\n")[:-1]
    return [o for o in offered if o], said.split()


def commands():
    return re.findall(r"^  ([a-z]+) ", run(AMP_CORS, "--help").stdout, re.M)


# (the words of a program or command, as it is run)
PROGRAMS = [("amp-cors-cgi",), ("amp-cors",)] + [
    ("amp-cors", c) for c in commands()]


def run_program(words, *more):
    program = FRONT if words[0] == "amp-cors-cgi" else AMP_CORS
    return run(program, *words[1:], *more)


def options(words):
    return completed(*words, "-")[0]


def choices(words):
    """What is offered behind options, but for what this machine has."""
    offered = {o: completed(*words, o[:-1], "=", "")
               for o in options(words) if o not in ("--listen=", "--user=")}
    return {o: values for o, (values, how) in offered.items()
            if o[-1] == "=" and values and not how}


def ids(words):
    return "-".join(words)


@pytest.mark.parametrize("words", PROGRAMS, ids=ids)
class TestComplete:
    def test_every_option(self, words):
        """--help names what there is."""
        told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*",
                              run_program(words, "--help").stdout))
        offered = {o.rstrip("=") for o in options(words)}
        if words == ("amp-cors",):
            told |= {"--version"}  # told as -hV
        assert offered == told | {"--help"}

    def test_arguments(self, words):
        """An '=' stands where getopt_long(3) wants a value."""
        if words == ("amp-cors",):
            assert not [o for o in options(words) if "=" in o]
            return
        for option in options(words):
            if option.endswith("="):
                got = run_program(words, option[:-1])
                fault = "requires an argument"
            else:
                got = run_program(words, option + "=x")
                fault = "doesn't allow an argument"
            assert got.returncode == 64, (option, got)
            assert fault in got.stderr, option

    def test_choices(self, words):
        """--help writes them as a|b, and each of them is taken."""
        told = dict(re.findall(r"(--[a-z-]+=)(\w+(?:\|\w+)+)",
                               run_program(words, "--help").stdout))
        assert choices(words) == {o: v.split("|") for o, v in told.items()}
        for option, values in choices(words).items():
            for value in values:
                got = run_program(words, option + value, "--help")
                assert got.returncode == 0, (option, value, got)


def test_commands():
    """And help, which takes each of them."""
    assert completed("amp-cors", "")[0] == sorted([*commands(), "help"])
    assert completed("amp-cors", "help", "")[0] == sorted(commands())
    for command in commands():
        asked = run(AMP_CORS, "help", command)
        assert asked.stdout == run(AMP_CORS, command, "--help").stdout
        assert (asked.returncode, asked.stderr) == (0, "")


@pytest.fixture
def files(folder):
    for name in ("a.ini", "b c.ini", "list.txt", "list.cdb", "log"):
        write(folder.path / name, "")
    folder.make("dir.d")
    return folder.path


INI = ["a.ini", "b c.ini", "dir.d"]
CDB = ["dir.d", "list.cdb"]
ALL = ["a.ini", "b c.ini", "dir.d", "list.cdb", "list.txt", "log"]
OPEN = ["--config=", "--check"]
ADDRESSES = ["unix:/", "127.0.0.1:", "[::1]:"]
CASES = ["insensitive", "sensitive"]

# words as bash cuts them: what is offered
OFFERED = {
    "command": ("amp-cors pro", ["probe"]),
    "no command": ("amp-cors nothing", []),
    "of no command": ("amp-cors nothing -", []),
    "behind a command": ("amp-cors probe --only = v1 --he", [
        "--header=", "--help"]),
    "behind =": ("amp-cors compile --local-part-case =", CASES),
    "value": ("amp-cors compile --local-part-case = s", ["sensitive"]),
    "value, = no break": ("amp-cors compile --local-part-case=s", [
        "--local-part-case=sensitive"]),
    "value alone": ("amp-cors compile --local-part-case ", CASES),
    "behind a value": ("amp-cors compile --local-part-case sensitive --q", [
        "--quiet"]),
    "value as an option": ("amp-cors probe --only --format --method = P", [
        "POST"]),
    "no value": ("amp-cors compile --quiet = ", []),
    "free value": ("amp-cors probe --sender ", []),
    "ini": ("amp-cors replay --config = ", INI),
    "ini, = no break": ("amp-cors replay --config=", [
        "--config=" + i for i in INI]),
    "ini, alone": ("amp-cors-cgi -c ", INI),
    "first operand": ("amp-cors compile li", ["list.cdb", "list.txt"]),
    "second operand": ("amp-cors compile list.txt ", CDB),
    "third operand": ("amp-cors compile a b ", CDB),
    "operand behind options": (
        "amp-cors compile --local-part-case = sensitive - ", CDB),
    "operand behind --": ("amp-cors compile -- --quiet ", CDB),
    "option behind --": ("amp-cors compile -- --q", []),
    "formats": ("amp-cors explain --format = ", ["text", "json"]),
    "whom for": ("amp-cors check --for = c", ["cgi"]),
    "user": ("amp-cors check --user = roo", ["root"]),
    "ini or folder": ("amp-cors check ", INI),
    "url": ("amp-cors probe ", ["https://"]),
    "url, cut": ("amp-cors probe https :", ["//"]),
    "url, there": ("amp-cors probe https : //a.example/", []),
    "front": ("amp-cors-cgi --c", OPEN),
    "listen": ("amp-cors-cgi --listen = ", ADDRESSES),
    "listen, short": ("amp-cors-cgi -l ", ADDRESSES),
    "listen, cut": ("amp-cors-cgi --listen = unix :", ["/"]),
    "listen, v6": ("amp-cors-cgi -l [ :: 1]", ["1]:"]),
    "socket": ("amp-cors-cgi --listen = unix : {dir}/dir", ["{dir}/dir.d"]),
    "socket, no break": ("amp-cors-cgi -l unix:{dir}/dir", [
        "unix:{dir}/dir.d"]),
    "handler": ("amp-cors-cgi ", ALL),
    "handler behind --": ("amp-cors-cgi --check -- ", ALL),
    "handler's option": ("amp-cors-cgi ./log --c", []),
    "handler's operand": ("amp-cors-cgi ./log --config li", [
        "list.cdb", "list.txt"]),
}


@pytest.mark.parametrize("name", OFFERED)
def test_offered(files, name):
    words, want = OFFERED[name]
    words = words.replace("{dir}", str(files)).split(" ")
    offered, _ = completed(*words, cwd=files)
    want = [w.replace("{dir}", str(files)) for w in want]
    if want and want[0].rpartition("=")[2] in INI + CDB + ALL:
        offered.sort()  # as the folder has them
    assert offered == want


class Bash:
    """A bash with a terminal, in which the programs print their words."""

    def __init__(self, folder):
        self.master, slave = pty.openpty()
        self.said = ""
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=slave,
            stdout=slave, stderr=slave, cwd=folder, env=ENV,
            start_new_session=True)
        os.close(slave)
        self.type(f"source {FILE}; unset HISTFILE\n")
        for program in ("amp-cors", "amp-cors-cgi"):
            self.type(f"{program}() {{ printf '<%s>' \"$@\"; echo; }}\n")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.said += os.read(self.master, 4096).decode()
            except OSError:  # bash has ended
                return

    def arguments(self, keys):
        """Types a line; what the program got."""
        self.type(keys + "\n")
        self.type("echo e''nd\n")
        start = len(self.said)

        def ended():
            self.read()
            return re.search(r"^end\r$", self.said[start:], re.M)
        until(ended, f"{keys!r}: {self.said}")
        got = re.findall(r"^(<.*>)\r$", self.said[start:], re.M)
        assert len(got) == 1, self.said[start:]
        return got[0][1:-1].split("><")

    def close(self):
        self.type("\nexit\n")
        end = time.monotonic() + WAIT
        while self.process.poll() is None and time.monotonic() < end:
            self.read()  # else it may wait for us
            time.sleep(0.01)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def bash(files):
    made = Bash(files)
    yield made
    made.close()


# what is typed: what the program gets
TYPED = {
    "amp-cors comp\t--q\tli\ttx\tli\t": [
        "compile", "--quiet", "list.txt", "list.cdb"],
    # no blank behind '=', one behind the value
    "amp-cors compile --lo\ts\tx": [
        "compile", "--local-part-case=sensitive", "x"],
    "amp-cors compile --local-part-case s\tx": [
        "compile", "--local-part-case", "sensitive", "x"],
    # names that bash must quote, and those of folders
    "amp-cors replay --config=b\tlo\t": [
        "replay", "--config=b c.ini", "log"],
    "amp-cors replay --config=b\\ \tlo\t": [
        "replay", "--config=b c.ini", "log"],
    "amp-cors replay --config='b \tlo\t": [
        "replay", "--config=b c.ini", "log"],
    "amp-cors-cgi -c d\tx": ["-c", "dir.d/x"],
    # no such file with the right ending: any
    "amp-cors-cgi -c lo\tx": ["-c", "log", "x"],
    "amp-cors-cgi --lis\tu\t{dir}/dir\ts": ["--listen=unix:/{dir}/dir.d/s"],
    "amp-cors-cgi -l 12\t9": ["-l", "127.0.0.1:9"],
    "amp-cors-cgi -- ./lo\t--ch\t": ["--", "./log", "--ch"],
    "amp-cors probe ht\ta": ["probe", "https://a"],
}


@pytest.mark.parametrize("keys", TYPED, ids=lambda k: k.strip().replace(
    "\t", "<Tab>"))
def test_typed(bash, files, keys):
    want = [w.replace("{dir}", str(files)) for w in TYPED[keys]]
    assert bash.arguments(keys.replace("{dir}", str(files))) == want


def test_of_another_user(bash, files):
    """Words that the user's own settings would cut otherwise."""
    bash.type("COMP_WORDBREAKS=${COMP_WORDBREAKS//[:=]}; set -u; IFS=a\n")
    assert bash.arguments("amp-cors compile --lo\ts\tx") == [
        "compile", "--local-part-case=sensitive", "x"]
    assert bash.arguments(f"amp-cors-cgi -l unix:{files}/lo\tx") == [
        "-l", f"unix:{files}/log", "x"]
