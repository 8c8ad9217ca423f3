"""Who may come in, and as whom the server runs: `user`, `group`, `peers` and
`socket_*` of [server], SPEC 5.2 and 6.4."""

import errno
import grp
import os
import pwd
import re
import socket
import subprocess

import pytest

import fcgi
import kit
from kit import of_fcgi, until, variables

NOBODY = pwd.getpwnam("nobody")
DAEMON = pwd.getpwnam("daemon")
STRANGER = 4321  # has no name
ROOT = os.geteuid() == 0
ME = NOBODY if ROOT else pwd.getpwuid(os.geteuid())

WHO = """#!/bin/sh
printf 'Content-Type: text/plain\\n\\n'
cat /proc/self/status
"""


def identity(status):
    """User, group, groups and capabilities of a /proc/PID/status."""
    lines = dict(line.split(":\t", 1) for line in status.splitlines()
                 if ":\t" in line)
    users, group = lines["Uid"].split(), lines["Gid"].split()
    # real, effective, saved and of the file system
    assert len(set(users)) == len(set(group)) == 1, (users, group)
    groups = sorted(int(g) for g in lines["Groups"].split())
    return int(users[0]), int(group[0]), groups, int(lines["CapPrm"], 16)


def threads(pid):
    """The same of every thread of a process, each only once."""
    return {str(identity(open(f"/proc/{pid}/task/{t}/status").read()))
            for t in os.listdir(f"/proc/{pid}/task")}


def outsider(front):
    """What another user can run and reach: the front, in an open folder."""
    front.path.chmod(0o777)
    front.path.parent.chmod(0o777)
    return kit.write(front.path / "amp-cors-cgi", kit.FRONT.read_bytes(),
                     0o755)


def start_as(front, who, wait=True, **more):
    """Started by somebody who is not root."""
    if ROOT:
        more.update(user=who.pw_uid, group=who.pw_gid, extra_groups=[])
    return front.start(front=outsider(front), wait=wait, cwd="/", **more)


def fails(front, status):
    got = front.child.wait()
    child, front.child = front.child, None
    assert got == status, child.said()
    return child.said()


class TestBecomes:
    """root alone can: conftest leaves it out for others."""

    root_alone = True

    @pytest.mark.parametrize("server, uid, gid, groups", [
        ("user = nobody", NOBODY.pw_uid, NOBODY.pw_gid, None),
        (f"user = {NOBODY.pw_uid}", NOBODY.pw_uid, NOBODY.pw_gid, None),
        ("user = nobody\ngroup = daemon", NOBODY.pw_uid, DAEMON.pw_gid, None),
        (f"user = {STRANGER}", STRANGER, STRANGER, [STRANGER]),
        (f"user = {STRANGER}\ngroup = {STRANGER + 1}", STRANGER,
         STRANGER + 1, [STRANGER + 1]),
        ("group = daemon", 0, DAEMON.pw_gid, [DAEMON.pw_gid])])
    def test_server_and_handler(self, front, server, uid, gid, groups):
        """Groups of root's are gone, the user's own are there, and so it is
        in every thread and in handlers."""
        if groups is None:
            groups = sorted(set(os.getgrouplist("nobody", gid)))
        front.configure("exec = {dir}/who", server)
        front.put("who", WHO, 0o755)
        front.path.chmod(0o777)
        front.start(extra_groups=[0, 3, 7, 4444])
        got = identity(front.ask().body.decode())
        assert got[:3] == (uid, gid, groups)
        assert (got[3] == 0) == (uid != 0)
        assert threads(front.child.pid) == {str(got)}

    def test_log_and_lists_before(self, front):
        """They may be root's alone."""
        secret = front.path / "secret"
        secret.mkdir(mode=0o700)
        kit.write(secret / "senders", "other@company.example\n", 0o600)
        front.configure("senders_file = {dir}/secret/senders",
                        "user = nobody\nlog = {dir}/secret/log")
        front.start()
        assert front.ask(sender="other@company.example").status == 200
        until(lambda: "other@company.example" in (secret / "log").read_text(),
              "the log")

    def test_port_before(self, front):
        """The socket is made by root, and removed where that can be done."""
        front.path.parent.chmod(0o777)
        front.configure(server="user = nobody\nsocket_mode = 600")
        front.start()
        info = os.stat(front.socket)
        assert (info.st_uid, info.st_mode & 0o777) == (0, 0o600)
        assert front.ask().status == 200
        assert front.stop() == 0
        assert not os.path.exists(front.socket)

    @pytest.mark.parametrize("owner, group, uid, gid", [
        ("nobody", None, NOBODY.pw_uid, 0),
        (None, "daemon", 0, DAEMON.pw_gid),
        (STRANGER, STRANGER + 1, STRANGER, STRANGER + 1),
        (NOBODY.pw_uid, DAEMON.pw_gid, NOBODY.pw_uid, DAEMON.pw_gid)])
    def test_socket(self, front, owner, group, uid, gid):
        """By name or number, each alone too; and the mode beside them."""
        lines = ["socket_mode = 0640"]
        lines += [f"socket_owner = {owner}"] if owner else []
        lines += [f"socket_group = {group}"] if group else []
        front.configure(server="\n".join(lines))
        front.start()
        info = os.stat(front.socket)
        assert (info.st_uid, info.st_gid) == (uid, gid)
        assert info.st_mode & 0o7777 == 0o640

    @pytest.mark.parametrize("mode, group, may", [
        ("0660", "daemon", True), ("0660", "root", False),
        ("0600", "daemon", False), ("0666", "root", True)])
    def test_who_may_connect(self, front, mode, group, may):
        """What the kernel makes of it, for a web server of that group."""
        front.configure(server=f"socket_mode = {mode}\n"
                        f"socket_group = {group}")
        front.start()
        got = client(front.socket, DAEMON)
        assert got == ("Status: 200" if may else "PermissionError")


class TestNotRoot:
    """Who is not root can become nobody else."""

    def test_itself(self, front):
        """To name who it is already is no error."""
        group = grp.getgrgid(ME.pw_gid).gr_name
        for server in (f"user = {ME.pw_name}", f"user = {ME.pw_uid}",
                       f"user = {ME.pw_name}\ngroup = {group}"):
            front.configure(server=server)
            start_as(front, ME)
            assert front.ask().status == 200
            assert "root" not in front.log()
            assert front.stop() == 0

    @pytest.mark.parametrize("server", [
        "user = root", "user = 0", "group = root", "user = daemon\ngroup = 0"])
    def test_somebody_else(self, front, server):
        front.configure(server=server)
        start_as(front, ME, wait=False)
        text = fails(front, 78)
        assert re.search(r"cannot become user \d+, group \d+: "
                         + os.strerror(errno.EPERM), text)
        assert not os.path.exists(front.socket)

    @pytest.mark.parametrize("server", [
        "socket_owner = root", "socket_group = root"])
    def test_socket_of_somebody_else(self, front, server):
        """Nobody finds a socket with less than was asked for."""
        front.configure(server=server)
        start_as(front, ME, wait=False)
        text = fails(front, 71)
        assert f"{front.socket}: {os.strerror(errno.EPERM)}" in text
        assert not os.path.exists(front.socket)

    def test_socket_of_its_own(self, front):
        group = grp.getgrgid(ME.pw_gid).gr_name
        front.configure(server=f"socket_owner = {ME.pw_name}\n"
                        f"socket_group = {group}\nsocket_mode = 0600")
        start_as(front, ME)
        info = os.stat(front.socket)
        assert (info.st_uid, info.st_gid) == (ME.pw_uid, ME.pw_gid)


class TestNames:
    """Start errors, with file, line and column [SPEC 6.7]."""

    @pytest.mark.parametrize("line", [
        "user = no.such", "group = no.such", "socket_owner = no.such",
        "socket_group = no.such", "peers = no.such", "peers = root no.such",
        "peers = 127.0.0.1:9000", "peers = -1", "user = -1",
        "user = 4294967295", "group = 1x"])
    def test_unknown(self, front, line):
        front.configure(server=line)
        front.start(wait=False)
        text = fails(front, 78)
        name = line.split()[-1]
        at = front.ini.read_text().splitlines().index(line) + 1
        column = line.index(name) + 1
        assert text.startswith(f"{front.ini}:{at}:{column}: error: ")
        assert name in text and len(text.splitlines()) == 1
        assert not os.path.exists(front.socket)

    @pytest.mark.parametrize("words, wrong", [
        ("127.0.0.0/8", 1), ("127.0.0.1 ::1/128", 11), ("[::1]", 1)])
    def test_no_address(self, front, words, wrong):
        """No mask and no brackets: said with line and column."""
        front.configure(server=f"peers = {words}")
        front.start(wait=False)
        line = front.ini.read_text().splitlines().index(f"peers = {words}")
        assert f"{front.ini}:{line + 1}:{wrong + 8}: error: '" in fails(
            front, 78)


# Peers

CLIENT = """
import socket, sys
family, address, source = eval(sys.argv[1])
s = socket.socket(family)
s.settimeout(10)
if source:
    s.bind(source)
try:
    s.connect(address)
    s.sendall(sys.stdin.buffer.read())
    got = s.recv(9999)
except ConnectionError:
    got = b""
except PermissionError as e:
    got = type(e).__name__.encode()
sys.stdout.buffer.write(b"Status: 200" if b"Status: 200" in got else got)
"""


def client(path, who=None):
    """What another user gets on a Unix socket: "" where it was closed."""
    more = {}
    if who is not None:
        more = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", CLIENT,
         repr((int(socket.AF_UNIX), path, None))], cwd="/",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
    client.pid = process.pid
    out, _ = process.communicate(fcgi.request(variables()), timeout=20)
    assert process.returncode == 0
    return out.decode()


class Somebody:
    pw_uid = pw_gid = STRANGER


USERS = {"root": pwd.getpwuid(0), "nobody": NOBODY, "daemon": DAEMON,
         "stranger": Somebody}


class TestUnixPeers:
    """SO_PEERCRED, with clients that really are somebody else."""

    root_alone = True

    @pytest.mark.parametrize("peers, may", [
        ("nobody", {"nobody"}),
        (NOBODY.pw_uid, {"nobody"}),
        (f"daemon, {NOBODY.pw_uid}", {"nobody", "daemon"}),
        (STRANGER, {"stranger"}),
        ("root", {"root"}),
        ("127.0.0.1", set(USERS)),  # says nothing of users
        ("127.0.0.1 daemon ::1", {"daemon"})])
    def test_users(self, front, peers, may):
        front.configure(server=f"peers = {peers}\nsocket_mode = 0666")
        front.start()
        for name, who in USERS.items():
            got = client(front.socket, who)
            assert got == ("Status: 200" if name in may else "")
            said = (f"user {who.pw_uid} (process {client.pid}) is not one of "
                    "the peers: closed")
            assert (said in front.log()) == (name not in may)
        assert front.ran() == len(may)

    def test_group_is_not_enough(self, front):
        """root's group, and another user."""
        front.configure(server="peers = root")
        front.start()

        class Member:
            pw_uid, pw_gid = NOBODY.pw_uid, 0

        assert client(front.socket, Member) == ""
        assert client(front.socket) == "Status: 200"

    def test_whoever_runs_the_front(self, front):
        """The list is all: the front's own user is not on it by itself."""
        front.configure(server="peers = daemon\nsocket_mode = 0666\n"
                        "user = nobody")
        front.path.chmod(0o777)
        front.start()
        assert client(front.socket, NOBODY) == ""
        assert client(front.socket, DAEMON) == "Status: 200"


def answered(address, source=None):
    """Is a request from there answered, or is the connection closed?"""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(10)
        if source:
            s.bind((source, 0))
        s.connect(address)
        try:
            s.sendall(fcgi.request(variables()))
            data = s.recv(9999)
        except ConnectionError:
            data = b""
    assert data == b"" or b"Status: 200" in data
    return data != b""


def refused(front, address):
    return f"{address} is not one of the peers: closed" in front.log()


class TestTcpPeers:
    @pytest.mark.parametrize("peers, may", [
        ("127.0.0.2", {2}), ("127.0.0.2, 127.0.0.3", {2, 3}),
        ("::ffff:127.0.0.3", {3}), ("::1 127.0.0.1", {1}), ("::1", set()),
        ("root", {1, 2, 3}), ("root 127.0.0.2", {2})])
    def test_ipv4(self, front, peers, may):
        """Address by address; users say nothing here."""
        address = "127.0.0.1", kit.free_port()
        front.configure(server=f"peers = {peers}")
        front.start("--listen", "%s:%d" % address, ready=address)
        for last in (1, 2, 3):
            source = f"127.0.0.{last}"
            assert answered(address, source) == (last in may), source
            # who only looked whether anybody listens was 127.0.0.1
            assert refused(front, source) == (last not in may)
        assert front.ran() == len(may)

    @pytest.mark.parametrize("peers, may", [
        ("::1", True), ("0:0:0:0:0:0:0:1", True), ("::2 127.0.0.1", False)])
    def test_ipv6(self, front, peers, may):
        address = "::1", kit.free_port(socket.AF_INET6)
        front.configure(server=f"peers = {peers}")
        front.start("--listen", "[%s]:%d" % address, ready=address)
        assert answered(address) == may
        assert refused(front, "::1") != may

    @pytest.mark.parametrize("peers, may", [
        ("127.0.0.2", {2}), ("::ffff:127.0.0.3", {3}), ("::1", set())])
    def test_ipv4_on_an_ipv6_socket(self, front, peers, may):
        """A socket for both, as systemd makes one of "ListenStream=9000":
        IPv4 peers are ::ffff:a.b.c.d there."""
        with socket.socket(socket.AF_INET6) as both:
            both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            both.bind(("::ffff:127.0.0.1", 0))  # loopback alone
            both.listen()
            address = "127.0.0.1", both.getsockname()[1]
            front.configure(server=f"peers = {peers}")
            front.child = kit.Child([kit.FRONT, "-c", front.ini],
                                    front.path / "stderr", stdin=both,
                                    env={"PATH": os.defpath})
            until(lambda: "listening on" in front.log(), "the front")
        for last in (1, 2, 3):
            source = f"127.0.0.{last}"
            assert answered(address, source) == (last in may), source
            assert refused(front, source) == (last not in may)

    def test_ports_and_kept_connections(self, front):
        """It is asked once a connection, whatever its port."""
        address = "127.0.0.1", kit.free_port()
        front.configure(server="peers = 127.0.0.1")
        front.start("--listen", "%s:%d" % address, ready=address)
        with fcgi.Client(address) as kept:
            for _ in range(3):
                kept.request(variables(), flags=fcgi.KEEP)
                assert of_fcgi(kept.answer()).status == 200
                assert answered(address)
        assert "peers" not in front.log()

    def test_web_server_addresses_are_added(self, front):
        """FCGI_WEB_SERVER_ADDRS, beside the policy's own (E98)."""
        address = "127.0.0.1", kit.free_port()
        front.configure(server="peers = 127.0.0.2")
        front.start("--listen", "%s:%d" % address, ready=address,
                    env={"FCGI_WEB_SERVER_ADDRS": "127.0.0.3,::1"})
        got = [answered(address, f"127.0.0.{n}") for n in (1, 2, 3)]
        assert got == [False, True, True]

    def test_refused_costs_nothing(self, front):
        """Hundreds of strangers: who may come in is served, and no
        descriptor is lost."""
        address = "127.0.0.1", kit.free_port()
        front.configure(server="peers = 127.0.0.2")
        front.start("--listen", "%s:%d" % address, ready=address)
        until(lambda: refused(front, "127.0.0.1"), "the log")
        assert answered(address, "127.0.0.2")
        before = os.listdir(f"/proc/{front.child.pid}/fd")
        for _ in range(300):
            assert not answered(address)
        assert answered(address, "127.0.0.2")
        until(lambda: len(os.listdir(f"/proc/{front.child.pid}/fd"))
              <= len(before), "descriptors")
