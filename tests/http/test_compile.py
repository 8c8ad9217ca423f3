"""amp-cors compile: a text list becomes a compiled one, whole or not at all
[SPEC 3.7, 6.8, 7.3]."""

import os
import re
import resource
import shutil
import signal
import stat
import struct
import subprocess
import time

import pytest

import kit

TOOL = os.environ.get("AMP_CORS", str(kit.ROOT / "amp-cors"))
PATIENCE = 120  # seconds, for a million rules where the sanitizers watch
NOBODY = 65534
GOOD = "# who may ask\n\na@Company.example\n!*@*.company.example\r\n*\n"


class Room:
    """A folder with a list in it, and the tool beside it."""

    def __init__(self, folder):
        self.path = folder.make("lists")
        self.list = kit.write(self.path / "list.txt", GOOD)
        self.cdb = self.path / "list.cdb"

    def run(self, *args, before=(), **more):
        """The tool's compile, from the folder of the lists."""
        argv = [*before, TOOL, "compile", *args]
        return subprocess.run([os.fsencode(a) for a in argv],
                              cwd=self.path, timeout=PATIENCE,
                              capture_output="stdout" not in more, **more)

    def compile(self, *args, **more):
        """One that goes well; what it says."""
        p = self.run(*args, "list.txt", "list.cdb", **more)
        assert (p.returncode, p.stderr) == (0, b""), p
        return p.stdout.decode()

    def names(self):
        return sorted(os.listdir(self.path))

    def old(self):
        """Makes a list that nothing may change from now on."""
        self.compile()
        return self.names(), self.cdb.read_bytes()


@pytest.fixture
def room(folder):
    return Room(folder)


def many(n):
    return "".join(f"user{i}@company.example\n" for i in range(n))


def hashed(key):
    h = 5381
    for c in key:
        h = (h * 33 ^ c) & 0xffffffff
    return h


def find(data, key):
    """Every value of a key, by the description of the format alone."""
    h = hashed(key)
    table, slots = struct.unpack_from("<II", data, h % 256 * 8)
    for i in range(slots):
        slot = (h // 256 + i) % slots
        its, at = struct.unpack_from("<II", data, table + slot * 8)
        if at == 0:
            return
        if its == h:
            nkey, nvalue = struct.unpack_from("<II", data, at)
            value = at + 8 + nkey
            if data[at + 8:value] == key:
                yield data[value:value + nvalue]


def said(data, key):
    """(denied, line) of a rule's key, which is there once or never."""
    found = [struct.unpack("<I", v[:4])[0] for v in find(data, key)]
    assert len(found) < 2, found
    return [(bool(v & 1), v >> 1) for v in found]


class TestWhatItMakes:
    def test_rules(self, room):
        """Each rule by its key, with its line; nothing else."""
        out = room.compile()
        data = room.cdb.read_bytes()
        assert out == f"list.cdb: 3 rules from 3 lines, {len(data)} bytes\n"
        assert said(data, b"a@company.example") == [(False, 3)]
        assert said(data, b".company.example") == [(True, 4)]
        assert said(data, b"*") == [(False, 5)]
        assert said(data, b"@company.example") == []
        assert len(list(find(data, b"amp-cors list"))) == 1
        assert os.fsencode(room.list.resolve()) in data

    def test_repeated(self, room):
        """A key is there once, and as a deny where one of them is."""
        kit.write(room.list, "a@b.example\nA@B.example\n!c@b.example\n"
                             "c@b.example\nd@b.example\n!d@b.example\n")
        out = room.compile().splitlines()
        assert out[:2] == [
            "list.txt: repeated rules: 3 (lines 2, 4, 6)",
            "list.txt: allowed and denied at once; deny holds: lines 3, 6"]
        assert out[2].startswith("list.cdb: 3 rules from 6 lines, "), out
        data = room.cdb.read_bytes()
        assert said(data, b"a@b.example") == [(False, 1)]
        assert said(data, b"c@b.example") == [(True, 3)]
        assert said(data, b"d@b.example") == [(True, 6)]

    @pytest.mark.parametrize("text, told", [
        ("a\na\n", ["1 (line 2)"]),
        ("a\n" * 6, ["5 (lines 2, 3, 4, 5, 6)"]),
        ("a\n" * 9, ["8 (lines 2, 3, 4, 5, 6, ...)"]),
        ("!a\n!a\n", ["1 (line 2)"]),
        ("a\n!a\n!a\n", ["2 (lines 2, 3)", "line 2"]),
        ("!a\na\na\n", ["2 (lines 2, 3)", "line 1"]),
        ("!a\n!a\na\n", ["2 (lines 2, 3)", "line 1"]),
        ("".join(f"!{c}\n{c}\n" for c in "abcdef"),
         ["6 (lines 2, 4, 6, 8, 10, ...)", "lines 1, 3, 5, 7, 9, ..."])])
    def test_lines_of_repeated(self, room, text, told):
        """The first few are named, and apart from them where denies hold."""
        kit.write(room.list, text.replace("\n", "@b.example\n"))
        starts = ["list.txt: repeated rules: ",
                  "list.txt: allowed and denied at once; deny holds: "]
        assert room.compile().splitlines()[:-1] == [
            a + b for a, b in zip(starts, told)]

    @pytest.mark.parametrize("case, rules", [
        ("insensitive", 1), ("sensitive", 2)])
    def test_case(self, room, case, rules):
        kit.write(room.list, "A@b.example\na@b.example\n")
        out = room.compile(f"--local-part-case={case}")
        assert f": {rules} rule{'s' * (rules > 1)} from 2 lines, " in out
        assert bool(said(room.cdb.read_bytes(), b"A@b.example")) == (rules > 1)

    def test_quiet(self, room):
        kit.write(room.list, "a@b.example\n" * 2)
        assert room.compile("--quiet") == ""
        assert said(room.cdb.read_bytes(), b"a@b.example") == [(False, 1)]

    def test_standard_input(self, room):
        """Its lines are then said to be the compiled list's."""
        p = room.run("-", "list.cdb", input=b"\n a@b.example")
        assert (p.returncode, p.stderr) == (0, b""), p
        data = room.cdb.read_bytes()
        assert said(data, b"a@b.example") == [(False, 2)]
        assert os.fsencode(room.cdb.resolve()) in data

    def test_empty(self, room):
        kit.write(room.list, "")
        assert room.compile().startswith("list.cdb: 0 rules from 0 lines, ")

    def test_one(self, room):
        kit.write(room.list, "a@b.example\n")
        assert room.compile().startswith("list.cdb: 1 rule from 1 line, ")

    def test_mode(self, room):
        """That of the list that is replaced."""
        room.compile()
        assert stat.S_IMODE(room.cdb.stat().st_mode) == 0o644
        room.cdb.chmod(0o640)
        room.compile()
        assert stat.S_IMODE(room.cdb.stat().st_mode) == 0o640

    def test_replaced(self, room):
        """Who has the old one open keeps it, and nothing else is left."""
        room.compile()
        with open(room.cdb, "rb") as old:
            before = old.read()
            kit.write(room.list, "other@company.example\n")
            room.compile()
            old.seek(0)
            assert old.read() == before
        assert room.cdb.read_bytes() != before
        assert room.names() == ["list.cdb", "list.txt"]

    def test_million(self, room):
        """In a few seconds and some hundred MB."""
        kit.write(room.list, many(1000000))
        assert ": 1000000 rules from 1000000 lines, " in room.compile()
        data = room.cdb.read_bytes()
        for i in (0, 4711, 999999):
            key = b"user%d@company.example" % i
            assert said(data, key) == [(False, i + 1)]
        assert said(data, b"user1000000@company.example") == []
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        assert used < 1 << 20  # KiB


class TestBadLines:
    def test_all_at_once(self, room):
        """Each with its place and what would be right; nothing is made."""
        before = room.old()
        kit.write(room.list, "a@b.example\nnobody\n  *@*\n# x\n"
                             "c@d.example # not here\n\xff\n")
        p = room.run("list.txt", "list.cdb")
        assert (p.returncode, p.stdout) == (65, b"")
        *lines, last = p.stderr.decode().splitlines()
        assert last == "amp-cors compile: list.cdb: nothing was made"
        assert lines[::2] == [
            f"list.txt:{n}:{column}: error: no sender rule [bad-rule]"
            for n, column in ((2, 1), (3, 3), (5, 1), (6, 1))]
        for hint, word in zip(lines[1::2], ("user@domain", "write *",
                                            "one rule a line", "xn--")):
            assert hint.startswith("\t") and word in hint
        assert (room.names(), room.cdb.read_bytes()) == before

    def test_byte_order_mark(self, room):
        kit.write(room.list, b"\xef\xbb\xbfa@b.example\n")
        p = room.run("list.txt", "list.cdb")
        assert p.returncode == 65
        assert p.stderr.startswith(b"list.txt:1:1: error: a byte order mark")

    @pytest.mark.parametrize("n, more", [(100, 0), (101, 1), (102, 2)])
    def test_many(self, room, n, more):
        """A hundred are shown, the others counted."""
        kit.write(room.list, "nobody\n" * n)
        p = room.run("list.txt", "list.cdb")
        assert p.returncode == 65
        *lines, last = p.stderr.decode().splitlines()
        assert last.endswith(": nothing was made")
        assert len([x for x in lines if "[bad-rule]" in x]) == 100
        rest = [f"list.txt: {more} more error{'s' * (more > 1)}"]
        rest = rest if more else []
        assert lines[200:] == rest
        assert room.names() == ["list.txt"]

    def test_binary(self, room):
        """Nothing of it reaches the terminal."""
        kit.write(room.list, bytes(range(1, 256)) * 100)
        p = room.run("list.txt", "list.cdb")
        assert p.returncode == 65
        assert re.fullmatch(rb"[\t\n -~]*", p.stderr)
        assert room.names() == ["list.txt"]

    def test_compiled(self, room):
        """A NUL byte is one fault, not one a line."""
        room.compile()
        room.cdb.rename(room.list)
        p = room.run("list.txt", "list.cdb")
        assert p.returncode == 65
        assert re.fullmatch(
            "list.txt:1:[0-9]+: error: a NUL byte: this is no text list "
            r"\[bad-rule\]\n\tname a text list; a compiled one is named in "
            "senders_cdb\namp-cors compile: list.cdb: nothing was made\n",
            p.stderr.decode()), p
        assert room.names() == ["list.txt"]

    def test_long_line(self, room):
        kit.write(room.list, b"a" * (64 << 20))
        p = room.run("list.txt", "list.cdb")
        assert p.returncode == 65
        assert p.stderr.startswith(b"list.txt:1:1: error: no sender rule")
        assert p.stderr.count(b"\n") == 3

    def test_standard_input(self, room):
        p = room.run("-", "list.cdb", input=b"a\n")
        assert p.returncode == 65
        assert p.stderr.startswith(b"(standard input):1:1: error: ")
        assert room.names() == ["list.txt"]


def one_line(p, status, *words):
    """One clear line, and the status."""
    text = p.stderr.decode()
    assert p.returncode == status, p
    assert re.fullmatch(r"amp-cors compile: [ -~]+\n", text), p
    for word in words:
        assert word in text, p


# What LIST is, and what is said of it.
LISTS = {
    "missing": (lambda r: "nothing.txt", "No such file or directory"),
    "folder": (lambda r: r.path, "is a directory"),
    "device": (lambda r: "/dev/zero", "is not a regular file"),
    "fifo": (lambda r: os.mkfifo(r.path / "fifo") or "fifo",
             "is not a regular file"),
    "beneath a file": (lambda r: "list.txt/x", "Not a directory"),
    "long name": (lambda r: "x" * 300, "File name too long"),
}

# What CDB is, and what is said of it.
TARGETS = {
    "folder": (lambda r: r.path, "is a directory"),
    "device": (lambda r: "/dev/full", "is not a regular file"),
    "fifo": (lambda r: os.mkfifo(r.path / "fifo") or "fifo",
             "is not a regular file"),
    "no folder": (lambda r: "none/list.cdb", "No such file or directory"),
    "no place for files": (lambda r: "/proc/list.cdb", "/proc/list.cdb: "),
    "beneath a file": (lambda r: "list.txt/x", "Not a directory"),
    "long name": (lambda r: "x" * 300, "File name too long"),
}


def nobody():
    """What makes root nobody; others have no need of it."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
            "--clear-groups"]


class TestBadFiles:
    @pytest.mark.parametrize("what", LISTS)
    def test_list(self, room, what):
        before = room.old()[1]
        name, words = LISTS[what]
        one_line(room.run(name(room), "list.cdb"), 66, words)
        assert room.cdb.read_bytes() == before
        assert set(room.names()) <= {"list.txt", "list.cdb", "fifo"}

    @pytest.mark.parametrize("what", TARGETS)
    def test_target(self, room, what):
        name, words = TARGETS[what]
        one_line(room.run("list.txt", name(room)), 73, words)
        assert set(room.names()) <= {"list.txt", "fifo"}

    @pytest.mark.parametrize("link", [False, True])
    def test_another_file(self, room, link):
        """A policy that is named by mistake is not lost."""
        policy = kit.write(room.path / "policy.ini", "[policy]\n")
        if link:
            os.symlink("policy.ini", room.cdb)
        before = room.names()
        name = "list.cdb" if link else "policy.ini"
        one_line(room.run("list.txt", name), 73,
                 f"compile: {name}: is there, and is no list of amp-cors "
                 "compile; name another file, or remove it")
        assert policy.read_text() == "[policy]\n"
        assert room.names() == before

    @pytest.mark.parametrize("damage", [
        lambda data: b"", lambda data: data[:-1], lambda data: data + b"x",
        lambda data: data[:-40] + b"x" * 40, lambda data: data[:2100]])
    def test_damaged_list(self, room, damage):
        """One of ours is replaced, whatever happened to it."""
        room.compile()
        good = room.cdb.read_bytes()
        room.cdb.write_bytes(damage(good))
        room.compile()
        assert room.cdb.read_bytes() == good

    def test_standard_output(self, room):
        one_line(room.run("list.txt", "-"), 64,
                 "a compiled list cannot go to standard output")
        assert room.names() == ["list.txt"]

    def test_line_of_a_gibibyte(self, room):
        os.truncate(room.list, 1 << 30)
        one_line(room.run("list.txt", "list.cdb"), 66, "is too large", "512M")
        assert room.names() == ["list.txt"]

    @pytest.mark.parametrize("link", [False, True])
    def test_same_file(self, room, link):
        target = "list.txt"
        if link:
            target = "link"
            os.symlink("list.txt", room.path / target)
        one_line(room.run("list.txt", target), 64, "LIST and CDB")
        assert room.list.read_text().splitlines() == GOOD.splitlines()

    def test_names_are_escaped(self, room):
        """Neither name can write to the terminal."""
        name = "\x1b[2J\n\xe9"
        one_line(room.run(name, "list.cdb"), 66, "\\x1b[2J\\x0a")
        one_line(room.run("list.txt", name + "/x"), 73, "\\x1b[2J\\x0a")
        kit.write(room.path / name, "nobody\n")
        p = room.run(name, "list.cdb")
        assert re.match(rb"\\x1b\[2J\\x0a[\\x0-9a-f]+:1:1: error: ", p.stderr)
        kit.write(room.path / name, "a@b.example\n" * 2)
        p = room.run(name, name + ".cdb")
        assert p.returncode == 0 and p.stdout.count(b"\n") == 2
        assert re.fullmatch(rb"[\n -~]+", p.stdout)


class TestPermissions:
    @pytest.fixture
    def open_tool(self, monkeypatch, folder):
        """One that nobody can run, wherever the build is."""
        tool = folder.path / "amp-cors"
        shutil.copy(TOOL, tool)
        tool.chmod(0o755)
        monkeypatch.setattr("test_compile.TOOL", str(tool))

    @pytest.mark.usefixtures("open_tool")
    def test_list(self, room):
        room.list.chmod(0)
        p = room.run("list.txt", "list.cdb", before=nobody())
        one_line(p, 66, "list.txt: Permission denied")
        assert room.names() == ["list.txt"]

    @pytest.mark.usefixtures("open_tool")
    def test_folder(self, room):
        before = room.old()
        room.path.chmod(0o555)
        p = room.run("list.txt", "list.cdb", before=nobody())
        one_line(p, 73, "list.cdb: Permission denied")
        assert (room.names(), room.cdb.read_bytes()) == before
        room.path.chmod(0o755)


# A small disk of its own, in a name space that ends with the command; the
# arguments are the tool, the list, and the list that is there before.
SMALL_DISK = """
mount -t tmpfs -o size=64k none "$1"
cp "$4" "$1/list.cdb"
"$2" compile "$3" "$1/list.cdb"
echo "status $?"
cmp "$4" "$1/list.cdb" && ls -A "$1"
"""


def small_disk(*args):
    return subprocess.run(
        ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c",
         SMALL_DISK, "sh", *map(str, args)], capture_output=True, text=True,
        timeout=PATIENCE)


def mount_is_permitted():
    folder = kit.Folder()
    try:
        p = small_disk(folder.path, "true", "/dev/null", "/dev/null")
        return p.stdout == "status 0\nlist.cdb\n"
    finally:
        folder.remove()


class TestFullDisk:
    @pytest.mark.parametrize("size", [0, 1000, 5000, 100000, 500000])
    def test_limit(self, room, size):
        """SIGXFSZ does not end it; the old list stays."""
        before = room.old()
        kit.write(room.list, many(20000))

        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        p = room.run("list.txt", "list.cdb", preexec_fn=limited)
        one_line(p, 74, "list.cdb: File too large")
        assert (room.names(), room.cdb.read_bytes()) == before

    def test_output(self, room):
        """Nobody hears of the list, but it is whole."""
        with open("/dev/full", "wb") as full:
            p = room.run("list.txt", "list.cdb", stdout=full,
                         stderr=subprocess.PIPE)
        one_line(p, 74, "No space left on device")
        assert said(room.cdb.read_bytes(), b"*") == [(False, 5)]


if mount_is_permitted():
    class TestSmallDisk:
        @pytest.mark.parametrize("n", [500, 20000])
        def test_disk(self, room, n):
            room.compile()
            kit.write(room.list, many(n + 1000))
            small = room.path / "disk"
            small.mkdir()
            p = small_disk(small, TOOL, room.list, room.cdb)
            assert p.stdout == "status 74\nlist.cdb\n", p
            assert re.fullmatch(
                "amp-cors compile: [^ ]*/list.cdb: No space left on device\n",
                p.stderr), p


class TestSignals:
    def ended(self, room, number):
        """Sends a signal while it writes, and tells how it ended."""
        p = subprocess.Popen([TOOL, "compile", "list.txt", "list.cdb"],
                             cwd=room.path, stdout=subprocess.DEVNULL)
        while p.poll() is None:
            if any(n.startswith(".amp-cors.") for n in os.listdir(room.path)):
                p.send_signal(number)
                break
            time.sleep(0.001)
        return p.wait(PATIENCE)

    @pytest.mark.parametrize("number", [
        signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
    def test_no_partial_file(self, room, number):
        """It ends by the signal, and leaves what was there."""
        before = room.old()
        kit.write(room.list, many(500000))
        for _ in range(20):  # the machine may be busy, and the tool quick
            status = self.ended(room, number)
            if status != 0:
                break
            before = room.names(), room.cdb.read_bytes()
        assert status == -number
        assert (room.names(), room.cdb.read_bytes()) == before

    def test_ignored(self, room):
        """As nohup(1) has it."""
        kit.write(room.list, many(200000))
        p = subprocess.Popen(
            [TOOL, "compile", "list.txt", "list.cdb"], cwd=room.path,
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        while p.poll() is None:
            p.send_signal(signal.SIGHUP)
            time.sleep(0.001)
        assert p.wait(PATIENCE) == 0
        assert room.names() == ["list.cdb", "list.txt"]


class TestUsage:
    @pytest.mark.parametrize("args", [
        [], ["list.txt"], ["list.txt", "list.cdb", "more"],
        ["--nonsense", "list.txt", "list.cdb"],
        ["list.txt", "list.cdb", "--local-part-case"]])
    def test_wrong(self, room, args):
        p = room.run(*args)
        assert (p.returncode, p.stdout) == (64, b"")
        assert b"usage: amp-cors compile " in p.stderr
        assert room.names() == ["list.txt"]

    def test_wrong_case(self, room):
        one_line(room.run("--local-part-case=x", "list.txt", "list.cdb"), 64,
                 "compile: --local-part-case=x: write insensitive or "
                 "sensitive")
        assert room.names() == ["list.txt"]

    def test_help(self, room):
        """It has every option."""
        p = room.run("--help")
        assert (p.returncode, p.stderr) == (0, b"")
        for word in (b"--local-part-case", b"--quiet", b"LIST CDB"):
            assert word in p.stdout

    def test_dashes(self, room):
        """A name may begin with one."""
        os.rename(room.list, room.path / "--quiet")
        p = room.run("--", "--quiet", "list.cdb")
        assert p.returncode == 0 and b"3 rules" in p.stdout
