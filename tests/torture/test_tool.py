"""amp-cors, with memory refused: it tells so, and leaves no half file."""

import os
import subprocess
from pathlib import Path

import pytest
import torture
from kit import ROOT, WAIT, write

TOOL = Path(os.environ.get("AMP_CORS", ROOT / "amp-cors"))

POLICY = """[policy]
senders = a@b.example *@c.example
senders_file = {dir}/list
[endpoint one]
path = /one
exec = /bin/true
[endpoint two]
path = /two
handler = none
senders = x@y.example
"""
LIST = "!a@d.example\n*@d.example\nq@e.example\n"
LOG = "".join(
    f"2026-11-22T08:00:0{n}.000Z 000000000000000{n} {decision} version=2 "
    f'endpoint=one method=GET sender="{sender}" origin=- rule=- ms=1\n'
    for n, (decision, sender) in enumerate([
        ("allow 200 ok", "a@b.example"), ("allow 200 ok", "z@b.example"),
        ("deny 403 sender-not-allowed", "x@c.example")]))

# command, what it ends with, and what else it may end with where memory is
# out: 71, or what amp-cors(1) has for a file that cannot be read or written
COMMANDS = {
    "check": ("check {dir}/ini", 0, {1, 66, 71}),
    "check as JSON": ("check --format=json {dir}/ini", 0, {1, 66, 71}),
    "compile": ("compile {dir}/list {dir}/out/cdb", 0, {66, 71}),
    "explain": ("explain --config={dir}/ini --path=/one --sender=a@b.example",
                0, {66, 69, 71}),
    "explain as JSON": ("explain --config={dir}/ini --path=/one --format=json "
                        "--sender=z@b.example", 1, {66, 69, 71}),
    "replay": ("replay --config={dir}/ini {dir}/log", 1, {66, 69, 71, 78}),
    "report": ("report --output={dir}/out/html {dir}/log", 0, {66, 71, 73}),
}


class Tool:
    def __init__(self, folder, control):
        self.dir = folder.make("tool")
        self.dir.chmod(0o755)
        self.out = folder.make("tool/out")
        self.control = control
        for name, text in (("ini", POLICY), ("list", LIST), ("log", LOG)):
            write(self.dir / name, text.replace("{dir}", str(self.dir)))

    def files(self):
        return {p.name: p.read_bytes() for p in self.out.iterdir()}

    def run(self, command):
        """Its exit status, what it printed, what it complained of."""
        for old in self.out.iterdir():
            old.unlink()
        argv = command.replace("{dir}", str(self.dir)).split()
        done = subprocess.run([TOOL, *argv], capture_output=True,
                              timeout=6 * WAIT,
                              env={**os.environ, **self.control.env(),
                                   "LC_ALL": "C"})
        assert torture.fault(done.stdout + done.stderr) is None, done
        return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_tells(folder, control, name):
    command, good, bad = COMMANDS[name]
    tool = Tool(folder, control)
    want = tool.run(command)
    files = tool.files()
    total = control.asked()
    assert want[0] == good and want[2] == b"", want
    for case in torture.cases(total):
        control.refuse(*case)
        got = tool.run(command)
        control.spare()
        # a page has the time in it
        same = got == want and tool.files().keys() == files.keys()
        assert same or (got[0] in bad and b"memory" in got[1] + got[2]), (
            torture.named(case, total), got)
        for file, text in tool.files().items():
            assert file in files and len(text) == len(files[file]), (
                torture.named(case, total), file)


def test_old_file_stays(folder, control):
    """A list that cannot be compiled leaves the one of before."""
    tool = Tool(folder, control)
    command = "compile {dir}/list {dir}/out/../cdb"
    tool.run(command)
    total, cdb = control.asked(), tool.dir / "cdb"
    old = cdb.read_bytes()
    write(tool.dir / "list", LIST + "new@f.example\n")
    for case in torture.cases(total):
        control.refuse(*case)
        got = tool.run(command)
        control.spare()
        if cdb.read_bytes() != old:
            write(cdb, old)
        else:
            assert got[0] != 0, torture.named(case, total)
        assert sorted(p.name for p in tool.dir.iterdir()) == [
            "cdb", "ini", "list", "log", "out"], torture.named(case, total)
