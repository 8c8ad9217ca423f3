"""The front's own sandbox: seccomp and Landlock, where nothing is run [SPEC
5.5, 6.4]. What this kernel does not offer is expected not to hold; and other
kernels are made of it by a filter that refuses a call."""

import ctypes
import errno
import inspect
import os
import platform
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import backend
import fcgi
import kit
from kit import SENDER, of_fcgi, until, variables
from test_systemd import NO_LEAKS, allowed_calls, filter_of, strace

AMP_CORS = os.environ.get("AMP_CORS", kit.ROOT / "amp-cors")
ME = os.geteuid()
CONFIG = 78
LIBC = ctypes.CDLL(None, use_errno=True)
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO
NEW = "new@company.example"


# What this kernel offers, asked without the front


def status_of(pid="self", thread=None):
    """The fields of /proc/PID/status."""
    task = f"/task/{thread}" if thread else ""
    text = Path(f"/proc/{pid}{task}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def filters(pid="self", thread=None):
    """How many filters of seccomp's a process has; a container's own count."""
    fields = status_of(pid, thread)
    return int(fields.get("Seccomp_filters", fields["Seccomp"]))


def landlock_abi():
    return max(0, LIBC.syscall(444, None, ctypes.c_size_t(0), 1))


def has_seccomp():
    number = {"x86_64": 317, "aarch64": 277}.get(platform.machine())
    action = ctypes.c_uint32(FAIL)
    return number is not None and LIBC.syscall(
        number, 2, 0, ctypes.byref(action)) == 0


ABI, SECCOMP = landlock_abi(), has_seccomp()


def holds(landlock=True, seccomp=True):
    """What the log says of it, as a pattern."""
    landlock, seccomp = landlock and ABI > 0, seccomp and SECCOMP
    if landlock and seccomp:
        return rf"sandbox: seccomp and Landlock \(ABI {ABI}\)\n"
    if seccomp:
        return r"sandbox: seccomp; no Landlock: \w.*\n"
    if landlock:
        return rf"sandbox: Landlock \(ABI {ABI}\); no seccomp: \w.*\n"
    return r"sandbox: none; no seccomp: \w.*; no Landlock: \w.*\n"


def losing(*calls, number=errno.ENOSYS):
    """For a child: these calls fail, as in a kernel without them."""
    if not SECCOMP:
        return None  # there is nothing to lose, and the log says the same
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ALLOW))
    for call in calls:
        n = lib.seccomp_syscall_resolve_name(call.encode())
        assert lib.seccomp_rule_add(context, FAIL | number, n, 0) == 0, call
    return lambda: lib.seccomp_load(context)


# A front that forwards, and decides alone


POLICY = """\
[policy]
senders = {senders}
senders_file = {dir}/lists/senders
senders_cdb = {dir}/lists/senders.cdb
timeout = 5
kill_grace = 1
{policy}
[endpoint forwarded]
path = /amp
forward = {forward}
[endpoint alone]
path = /alone
handler = none
{endpoints}
[server]
threads = 4
reload_interval = 1
log = {dir}/logs/front.log
metrics = file:{dir}/metrics/amp.prom url:/metrics
{server}
"""


class Confined(kit.Front):
    """Each kind of file in a folder of its own."""

    def __init__(self, folder, helper, user=None):
        super().__init__(folder, helper)
        self.user = user
        self.folder = folder
        self.backend = backend.Backend(folder.make("behind") / "s").start()
        os.chmod(self.backend.where, 0o777)
        for name in ("lists", "logs", "metrics", "tmp", "run"):
            folder.make(f"front/{name}")
        self.socket = str(self.path / "run" / "s")
        self.put("lists/senders", "a@list.example\n")
        self.compile("a@cdb.example")
        self.say()

    def say(self, senders=SENDER, **words):
        """The policy file, by rename(2)."""
        words = {"senders": senders, "dir": self.path, "policy": "",
                 "endpoints": "", "server": "",
                 "forward": self.backend.name, **words}
        text = POLICY
        for name, value in words.items():
            text = text.replace("{%s}" % name, str(value))
        os.rename(self.put("new", text), self.ini)

    def compile(self, *senders):
        text = self.put("lists/text", "".join(s + "\n" for s in senders))
        subprocess.run([AMP_CORS, "compile", "--quiet", text,
                        self.path / "lists" / "senders.cdb"], check=True)
        os.chmod(self.path / "lists" / "senders.cdb", 0o644)

    def start(self, *args, **more):
        more.setdefault("env", {}).update(
            TMPDIR=str(self.path / "tmp"), **more.pop("also", {}))
        if self.user is not None:
            more.update(user=self.user, group=self.user, extra_groups=[])
        before = len(self.told())
        super().start(*args, **more)
        self.settle(before)
        return self

    def settle(self, before=0):
        """Connections are taken, by the kernel, before it is confined."""
        text = self.ini.read_text()
        if "log = " in text and "= off" not in text:
            until(lambda: self.child.ended()
                  or "sandbox: " in self.told()[before:], "the sandbox")

    def told(self):
        log = self.path / "logs" / "front.log"
        return log.read_text() if log.exists() else ""

    def reload(self, good=True, by="SIGHUP"):
        """SIGHUP, or by itself; what the log says of it."""
        words = f": {'loaded again' if good else 'not loaded'}, {by}"
        before = self.told()
        if by == "SIGHUP":
            self.child.send_signal(signal.SIGHUP)
        until(lambda: self.told()[len(before):].count(words), words)
        return self.told()[len(before):]

    def fails(self, **more):
        """It does not start; its status, and what it says."""
        self.start(wait=False, **more)
        status = self.child.wait()
        text, self.child = self.child.said(), None
        return status, text

    def finish(self):
        status = self.stop()
        self.backend.stop()
        return status


@pytest.fixture(params=["as we are", "nobody"])
def user(request):
    """Root is more than one may be; without root, there is nobody else."""
    if request.param == "nobody" and ME == 0:
        return 65534
    return None


@pytest.fixture
def confined(folder, helper):
    made = Confined(folder, helper)
    yield made
    assert made.finish() in (None, 0)


@pytest.fixture
def of_user(folder, helper, user):
    made = Confined(folder, helper, user)
    yield made
    assert made.finish() in (None, 0)


# The story: everything that a front does which runs no program


def served(front):
    """Requests of all kinds."""
    body = b"x" * 5000000
    answer = front.ask(method="POST", body=body)
    assert (answer.status, answer.body) == (200, kit.echo(body))
    unknown = front.ask(method="POST", send=body[:300000],
                        CONTENT_LENGTH="-1")
    assert unknown.body == kit.echo(body[:300000])  # by a file in TMPDIR
    assert front.ask(script="/alone").status == 200
    assert front.ask(sender="a@b.example").reason() == "sender-not-allowed"
    assert front.ask(sender="a@b.example", script="/alone").status == 403
    assert front.ask(method="OPTIONS", sender=None,
                     origin="https://mail.google.com",
                     HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST").status == 204
    assert b"amp_cors_requests_total" in front.ask(script="/metrics",
                                                   path="").body
    with front.connect() as client:
        for _ in range(3):
            client.request(variables(), flags=fcgi.KEEP)
            assert of_fcgi(client.answer()).status == 200


def reloaded(front):
    """Policy and lists, at HUP and by themselves, each by rename."""
    assert front.ask(sender=NEW).status == 403
    front.say(f"{SENDER} {NEW}")
    front.reload()
    assert front.ask(sender=NEW).status == 200
    os.rename(front.put("lists/next", "a@list.example\nb@list.example\n"),
              front.path / "lists" / "senders")
    front.reload(by=f"{front.path}/lists/senders has changed")
    front.compile("a@cdb.example", "b@cdb.example")
    front.reload()
    for sender in ("a@list.example", "b@list.example", "a@cdb.example",
                   "b@cdb.example"):
        assert front.ask(sender=sender).status == 200
    front.say("nonsense")
    assert "nonsense" in front.reload(good=False)
    assert front.ask(sender=NEW).status == 200
    front.say()
    front.reload()


def logged(front):
    """The log is opened again, and made where it is gone."""
    log = front.path / "logs" / "front.log"
    os.rename(log, front.path / "logs" / "front.log.1")
    front.child.send_signal(signal.SIGUSR1)
    until(log.exists, "a new log")
    assert front.ask(sender="late@b.example").status == 403
    assert "late@b.example" in until(front.told, "a line")


def counted(front, n):
    """The metrics' file is written anew at the end, beside and renamed."""
    text = (front.path / "metrics" / "amp.prom").read_text()
    found = re.findall(r'decision="preflight".* (\d+)$', text, re.M)
    assert found == [str(n)], text
    assert os.listdir(front.path / "metrics") == ["amp.prom"]


def story(front):
    for step in (served, reloaded, logged, served):
        step(front)
    assert front.child.stop() == 0
    front.child = None
    counted(front, 2)


class TestStory:
    def test_whole(self, of_user):
        """As root and as nobody: all of it works, in the sandbox."""
        front = of_user.start()
        until(lambda: (front.path / "metrics" / "amp.prom").exists(),
              "the metrics")
        assert re.search(holds(), front.told())
        story(front)
        assert not Path(front.socket).exists()

    def test_none(self, confined):
        """The same without it: it makes no difference."""
        confined.say(server="sandbox = off")
        confined.say = lambda *a, **m: Confined.say(
            confined, *a, server="sandbox = off", **m)
        confined.start()
        assert "sandbox" not in confined.told()
        story(confined)

    def test_tcp(self, confined):
        """A backend that is reached over TCP, IPv6 too."""
        for host in ("127.0.0.1", "::1"):
            behind = backend.Backend((host, 0)).start()
            confined.say(forward=behind.name)
            confined.restart()
            assert re.search(holds(), confined.told())
            answer = confined.ask(method="POST", body=b"some")
            assert answer.body == kit.echo(b"some")
            behind.stop()
            assert confined.ask().reason() == "backend-refused"


# As the kernel tells it


def threads(pid):
    return os.listdir(f"/proc/{pid}/task")


RUNS = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n" \
    "cat /proc/self/status\n"


class TestStatus:
    def test_every_thread(self, confined):
        """Also those that come with the first requests."""
        confined.start()
        served(confined)
        seen = threads(confined.child.pid)
        assert len(seen) > 4
        for thread in seen:
            fields = status_of(confined.child.pid, thread)
            assert fields["NoNewPrivs"] == "1"
            if SECCOMP:
                assert fields["Seccomp"] == "2"
            assert (filters(confined.child.pid, thread)
                    > filters()) == SECCOMP

    def test_off(self, confined):
        confined.say(server="sandbox = off")
        confined.start()
        served(confined)
        for thread in threads(confined.child.pid):
            assert filters(confined.child.pid, thread) == filters()
            assert (status_of(confined.child.pid, thread)["NoNewPrivs"]
                    == status_of()["NoNewPrivs"])

    @pytest.mark.parametrize("server", ["", "sandbox = auto",
                                        "sandbox = off"])
    def test_handlers(self, confined, server):
        """What a handler has is what the front was started with: sudo works
        in it as ever."""
        program = confined.put("handler.sh", RUNS, 0o755)
        confined.say(endpoints=f"[endpoint x]\npath = /x\nexec = {program}",
                     server=server)
        confined.start()
        body = confined.ask(script="/x").body.decode()
        for name in ("NoNewPrivs", "Seccomp", "Seccomp_filters"):
            if name in status_of():
                assert f"\n{name}:\t{status_of()[name]}\n" in body
        assert confined.ask(method="POST", body=b"x").status == 200
        said = re.findall("sandbox: .*", confined.told())
        assert said == ([] if "off" in server else
                        ["sandbox: none; endpoint x runs programs"])

    @pytest.mark.parametrize("server", ["", "sandbox = off"])
    def test_handler_of_the_command_line(self, confined, server):
        program = confined.put("handler.sh", RUNS, 0o755)
        confined.configure(whole="[policy]\nsenders = {sender}\n[server]\n"
                           f"{server}\n")
        confined.start("--listen", f"unix:{confined.socket}", program)
        assert b"Seccomp:" in confined.ask().body
        assert ("sandbox: none; endpoint - runs programs"
                in confined.log()) == (server == "")


# A reload that does not fit


class TestRefused:
    """What was given up does not come back: the policy before stays, and one
    line says what to do."""

    def refused(self, front, words):
        said = front.reload(good=False)
        lines = [w for w in said.splitlines() if "sandbox" in w]
        assert len(lines) == 1, said
        assert words in lines[0] and "restart the server" in lines[0]
        assert front.ask(sender=NEW).status == 403
        assert front.ask().status == 200

    @pytest.mark.parametrize("key", ["exec", "scripts"])
    def test_program(self, confined, key):
        confined.start()
        confined.say(f"{SENDER} {NEW}",
                     endpoints=f"[endpoint x]\npath = /x\n{key} = "
                     + ("/bin/true" if key == "exec" else "/bin"))
        line = confined.ini.read_text().splitlines().index("path = /x") + 2
        self.refused(confined, f"{confined.ini}:{line}:{len(key) + 4}: error: "
                     "this server is in a sandbox, where no program can be "
                     "run [sandbox]")
        confined.restart()
        assert "sandbox: none; endpoint x" in confined.told()
        assert confined.ask(sender=NEW).status == 200

    def test_port(self, confined):
        """Unix sockets alone until now; there is no socket for it."""
        confined.start()
        behind = backend.Backend(("127.0.0.1", 0)).start()
        confined.say(f"{SENDER} {NEW}",
                     endpoints="[endpoint x]\npath = /x\nforward = "
                     + behind.name)
        if ABI < 4 and not SECCOMP:
            confined.reload()
        else:
            self.refused(confined, "where that port cannot be reached")
            confined.restart()
        assert confined.ask(script="/x", sender=NEW).status == 200
        behind.stop()

    def test_list_elsewhere(self, confined):
        """A folder that the policy did not name."""
        confined.start()
        folder = confined.folder.make("elsewhere")
        kit.write(folder / "list", f"{NEW}\n")
        inside = confined.path / "lists" / "senders"
        confined.say()
        text = confined.ini.read_text().replace(
            f"senders_file = {inside}\n",
            f"senders_file = {folder}/list {inside}\n", 1)
        os.rename(confined.put("new", text), confined.ini)
        if ABI == 0:
            confined.reload()
        else:
            self.refused(confined, f"{folder}/list: error: it is outside of "
                         "this server's sandbox [sandbox]")
            confined.restart()
        assert confined.ask(sender=NEW).status == 200

    def test_list_behind_a_link(self, confined):
        """It may be replaced where the link leads, as Kubernetes does."""
        folder = confined.folder.make("linked")
        kit.write(folder / "list", "a@list.example\n")
        link = confined.path / "lists" / "senders"
        link.unlink()
        link.symlink_to(folder / "list")
        confined.start()
        os.rename(kit.write(folder / "next", f"{NEW}\n"), folder / "list")
        confined.reload()
        assert confined.ask(sender=NEW).status == 200

    def test_key(self, confined):
        """It is [server]'s: it takes a restart as the others do."""
        confined.start()
        confined.say(server="sandbox = off")
        assert "sandbox of [server] has changed: it takes a restart" in \
            confined.reload()
        assert (filters(confined.child.pid) > filters()) == SECCOMP

    def test_unknown_peer(self, confined):
        """A name of [server] that was good at the start is not looked up:
        nobody can be asked for it any more."""
        name = "root"
        confined.say(server=f"peers = {name} {ME}")
        confined.start()
        confined.say(f"{SENDER} {NEW}", server=f"peers = no.such {ME}\n"
                     "user = no.such")
        assert "peers of [server] has changed" in confined.reload()
        assert confined.ask(sender=NEW).status == 200


# sandbox = on


class TestOn:
    def test_holds(self, confined):
        confined.say(server="sandbox = on")
        if not ABI and not SECCOMP:
            assert confined.fails()[0] == CONFIG
            return
        confined.start()
        assert re.search(holds(), confined.told())
        assert confined.ask().status == 200

    @pytest.mark.parametrize("key", ["exec = /bin/true", "scripts = /bin"])
    def test_programs(self, confined, key):
        confined.say(server="sandbox = on",
                     endpoints=f"[endpoint x]\npath = /x\n{key}")
        line = confined.ini.read_text().splitlines().index("sandbox = on") + 1
        status, said = confined.fails()
        assert status == CONFIG
        assert (f"{confined.ini}:{line}:11: error: endpoint x runs programs, "
                "which a sandbox forbids [sandbox]; ") in said

    def test_command_line(self, confined):
        confined.configure(whole="[policy]\nsenders = {sender}\n[server]\n"
                           "sandbox = on\n")
        confined.start("--listen", f"unix:{confined.socket}", "/bin/true",
                       wait=False)
        assert confined.child.wait() == CONFIG
        assert f"{confined.ini}:4:11: error: the command line names a " \
            "program" in confined.child.said()
        confined.child = None

    def test_old_kernel(self, confined):
        """Neither seccomp nor Landlock: on is an error."""
        confined.say(server="sandbox = on")
        line = confined.ini.read_text().splitlines().index("sandbox = on") + 1
        if not SECCOMP and ABI:  # Landlock cannot be taken away then
            confined.start()
            return
        status, said = confined.fails(preexec_fn=losing(
            "landlock_create_ruleset", "seccomp"))
        assert status == CONFIG
        assert f"{confined.ini}:{line}:11: error: this kernel has neither " \
            "seccomp nor Landlock" in said
        assert not Path(confined.socket).exists()


class TestOtherKernels:
    """auto makes do with what there is, and says so."""

    @pytest.mark.parametrize("calls, number, left", [
        (["landlock_create_ruleset"], errno.ENOSYS, {"landlock": False}),
        (["landlock_create_ruleset"], errno.EOPNOTSUPP, {"landlock": False}),
        (["landlock_restrict_self"], errno.EPERM, {"landlock": False}),
        (["seccomp"], errno.EINVAL, {"seccomp": False}),
        (["seccomp", "landlock_create_ruleset"], errno.ENOSYS,
         {"seccomp": False, "landlock": False})])
    def test_less(self, confined, calls, number, left):
        confined.start(preexec_fn=losing(*calls, number=number))
        said = re.search(holds(**left), confined.told())
        assert said, confined.told()
        if SECCOMP:
            assert os.strerror(number) in said[0]
        story(confined)


# Each call that it makes, seen by strace


@pytest.fixture(scope="class")
def trace(class_folder, helper):
    """Of the whole story, from the moment at which the sandbox is there."""
    front = Confined(class_folder, helper)
    path = front.path / "trace"
    front.child = kit.Child(
        [*strace(path), kit.FRONT, "-c", front.ini, "--listen",
         f"unix:{front.socket}"], front.path / "stderr",
        env={"PATH": os.defpath, "TMPDIR": str(front.path / "tmp"),
             **NO_LEAKS})
    try:
        until(lambda: front.child.ended() or kit.answers(front.socket),
              "the front")
        front.settle()
        until(lambda: (front.path / "metrics" / "amp.prom").exists(),
              "the metrics")
        story(front)
    finally:
        front.finish()
    return path.read_text(errors="replace")


CALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>)", re.M)


class TestCalls:
    def inside(self, trace):
        """What came behind the last step into it."""
        words = "seccomp(SECCOMP_SET_MODE_FILTER" if SECCOMP else \
            "landlock_restrict_self(" if ABI else "listen("
        assert words in trace
        return trace[trace.rindex(words):]

    def test_nothing_is_refused(self, trace):
        """All that the front does is within its own filter, and within what
        Landlock leaves: no call fails for want of a permission."""
        lines = [w for w in self.inside(trace).splitlines()
                 if re.search(r"= -1 (EPERM|EACCES)|SIGSYS", w)]
        # beside the calls of the sanitizers, which may do more
        assert lines == []
        assert {"accept4", "connect", "rename", "unlink", "openat",
                "memfd_create", "sendfile"} <= set(
                    CALL.findall(self.inside(trace)))

    def test_within_the_unit(self, trace):
        """All of it, the entrance too, is within systemd's filter."""
        calls = set(CALL.findall(trace))
        assert {"landlock_create_ruleset", "seccomp"} <= calls
        assert calls - allowed_calls() == set()

    def test_nothing_is_made(self, trace):
        """It needs no more rights than it says."""
        assert not re.search(r"(socketpair|fork|execve|bind|listen|kill)\(",
                             self.inside(trace))


# In the unit's own sandbox, as far as it can be had without systemd


# of ProtectSystem=strict, ProtectHome and PrivateTmp; what may be written is
# what ReadWritePaths would name
SPACES = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/w
mount --bind "$1" /mnt/w
for d in /tmp /var/tmp /home /root; do mount -t tmpfs tmpfs $d; done
mount -o remount,bind,ro /
shift
exec "$@"
"""
UNSHARE = ["unshare", "--mount", "--ipc", "--net", "--uts"]
RIGHTS = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
          "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
FILTERED = f"""
import ctypes, os, sys
ALLOW, FAIL = {ALLOW}, {FAIL}
{inspect.getsource(filter_of)}
filter_of(sys.argv[1].split(","), {errno.EPERM})()
os.execv(sys.argv[2], sys.argv[2:])
"""


def has_spaces():
    """A container's root may have no right to them."""
    return subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                          stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


class Unit(Confined):
    """The front below /mnt/w, as it is seen there."""

    def __init__(self, folder, helper):
        self.spaces = has_spaces()
        self.inside = folder.path / "front"
        super().__init__(folder, helper)
        if self.spaces:
            self.inside = Path("/mnt/w")
        self.backend.stop()
        self.backend = backend.Backend(self.path / "behind").start()
        os.chmod(self.backend.where, 0o777)
        shutil.copy(kit.FRONT, self.path / "program")
        for path in (self.path, *self.path.iterdir()):
            path.chmod(0o777)
        self.say()

    def say(self, *args, **words):
        super().say(*args, **{"dir": self.inside, "forward":
                              f"unix:{self.inside}/behind", **words})

    def reload(self, good=True, by="SIGHUP"):
        return super().reload(good, by.replace(str(self.path),
                                               str(self.inside)))

    def begin(self):
        spaces = [*UNSHARE, "sh", "-c", SPACES, "sh", self.path]
        self.child = kit.Child(
            [*(spaces if self.spaces else []), *RIGHTS,
             "/usr/bin/python3", "-c", FILTERED, ",".join(allowed_calls()),
             self.inside / "program", "-c", self.inside / "amp-cors.ini",
             "--listen", f"unix:{self.inside}/run/s"], self.path / "stderr",
            env={"PATH": os.environ["PATH"], "TMPDIR": "/tmp", **NO_LEAKS})
        until(lambda: self.child.ended() or kit.answers(self.socket),
              "the front")
        assert not self.child.ended(), self.child.said()
        self.settle()


class TestUnit:
    """What the unit file says, laid on by hand: an unprivileged user, no
    capability, a read-only system, a /tmp of its own, no network, and the
    filter of system calls. The front's sandbox is inside of that."""

    root_alone = True

    def test_story(self, folder, helper):
        front = Unit(folder, helper)
        try:
            front.begin()
            fields = status_of(front.child.pid)
            assert set(fields["Uid"].split()) == {"65534"}
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(fields[name], 16) == 0
            mounts = Path(f"/proc/{front.child.pid}/mounts").read_text()
            if front.spaces:
                assert re.search(r"^\S+ / \S+ ro,", mounts, re.M)
            # the unit's, and at least one of the front's own
            assert filters(front.child.pid) - filters() >= 2 * SECCOMP
            until(lambda: (front.path / "metrics" / "amp.prom").exists(),
                  "the metrics")
            assert re.search(holds(), front.told())
            story(front)
        finally:
            assert front.finish() in (None, 0)
