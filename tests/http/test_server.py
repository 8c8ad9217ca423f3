"""The FastCGI server's socket and process: SPEC 5.2, 6.4's [server]."""

import grp
import os
import pwd
import socket
import stat
import subprocess

import pytest

import fcgi
import kit
from kit import answers, of_fcgi, until, variables

ME = pwd.getpwuid(os.geteuid()).pw_name


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def fails(front, status, *args):
    """It does not start, and says why."""
    front.start(*args, wait=False)
    got = front.child.wait()
    text = front.log()
    front.child = None
    assert got == status, (got, text)
    return text


class TestSocket:
    def test_private(self, front):
        front.start()
        assert mode(front.socket) == 0o660

    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
    def test_umask_plays_no_part(self, front, umask):
        old = os.umask(umask)
        try:
            front.configure(server="socket_mode = 0606")
            front.start()
        finally:
            os.umask(old)
        assert mode(front.socket) == 0o606

    def test_listen_key(self, front):
        front.configure(server=f"listen = unix:{front.socket}")
        front.child = kit.Child([kit.FRONT, "-c", front.ini],
                                front.path / "stderr",
                                env={"PATH": os.defpath})
        until(lambda: answers(front.socket), "the front")
        assert front.ask().status == 200

    def test_option_before_key(self, front):
        other = front.path / "other.sock"
        front.configure(server=f"listen = unix:{other}")
        front.start()
        assert front.ask().status == 200
        assert not other.exists()

    def test_stale_one_is_replaced(self, front):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(front.socket)
        front.start()
        assert front.ask().status == 200

    def test_killed_one_leaves_a_stale_one(self, front):
        front.start()
        front.child.process.kill()
        front.child.process.wait()
        assert os.path.exists(front.socket)
        front.child = None
        front.start()
        assert front.ask().status == 200

    def test_live_one_is_not_replaced(self, front):
        front.start()
        other = kit.Child([kit.FRONT, "-c", front.ini, "--listen",
                           f"unix:{front.socket}"], front.path / "second",
                          env={"PATH": os.defpath})
        assert other.wait() == 71, other.said()
        assert front.socket in other.said()
        assert front.ask().status == 200

    @pytest.mark.parametrize("what", ["file", "folder", "link", "fifo"])
    def test_other_files_never(self, front, what):
        if what == "file":
            kit.write(front.socket, "precious")
        elif what == "folder":
            os.mkdir(front.socket)
        elif what == "fifo":
            os.mkfifo(front.socket)
        else:
            os.symlink(front.put("target", "precious"), front.socket)
        before = os.lstat(front.socket)
        text = fails(front, 71)
        assert front.socket in text
        after = os.lstat(front.socket)
        assert (before.st_ino, before.st_mode) == (after.st_ino,
                                                   after.st_mode)

    def test_removed_at_the_end(self, front):
        front.start()
        assert front.stop() == 0
        assert not os.path.exists(front.socket)

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_tcp(self, front, host):
        six = ":" in host
        port = kit.free_port(socket.AF_INET6 if six else socket.AF_INET)
        shown = f"[{host}]:{port}" if six else f"{host}:{port}"
        front.start("--listen", shown, ready=(host, port))
        with fcgi.Client((host, port)) as client:
            client.request(variables())
            assert of_fcgi(client.answer()).status == 200

    def test_tcp_again_at_once(self, front):
        """Connections of the last one do not keep the port."""
        address = ("127.0.0.1", kit.free_port())
        for _ in range(2):
            front.start("--listen", "%s:%d" % address, ready=address)
            with fcgi.Client(address) as client:
                client.request(variables(), flags=fcgi.KEEP)
                assert client.answer().ended
                assert front.stop() == 0

    def test_port_taken(self, front):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
            text = fails(front, 71, "--listen", f"127.0.0.1:{port}")
            assert str(port) in text

    @pytest.mark.parametrize("address", [
        "unix:", "unix:relative", "localhost:80", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:0x50", "127.0.0.1:65536", "::1:80",
        "[::1]", "unix:/" + "x" * 200])
    def test_no_address(self, front, address):
        front.start("--listen", address, wait=False)
        # what is too long is only found when it is wanted
        assert front.child.wait() == (71 if "xxx" in address else 64)
        assert front.log()
        assert not os.path.exists(front.path / "relative")
        front.child = None


class TestPeers:
    def served(self, address):
        with fcgi.Client(address) as client:
            client.request(variables())
            return client.answer().ended

    def test_any_unix_user(self, front):
        front.start()
        assert self.served(front.socket)

    def test_named_user(self, front):
        front.configure(server=f"peers = {ME}")
        front.start()
        assert self.served(front.socket)

    def test_number(self, front):
        front.configure(server=f"peers = {os.geteuid()}")
        front.start()
        assert self.served(front.socket)

    def test_other_user(self, front):
        other = "daemon" if ME != "daemon" else "bin"
        front.configure(server=f"peers = {other}")
        front.start()
        assert not self.served(front.socket)
        assert front.ran() == 0
        until(lambda: str(os.geteuid()) in front.log() or ME in front.log(),
              "the log")

    def test_addresses(self, front):
        address = ("127.0.0.1", kit.free_port())
        front.configure(server="peers = 127.0.0.1 ::1")
        front.start("--listen", "%s:%d" % address, ready=address)
        assert self.served(address)
        front.stop()
        front.configure(server="peers = 127.0.0.2")
        front.start("--listen", "%s:%d" % address, ready=address)
        assert not self.served(address)
        assert "127.0.0.1" in front.log()

    def test_must_be_named_beyond_loopback(self, front):
        text = fails(front, 78, "--listen", f"0.0.0.0:{kit.free_port()}")
        assert "peers" in text

    def test_unknown_user(self, front):
        front.configure(server="peers = no-such-user-here")
        assert "no-such-user-here" in fails(front, 78)


class TestUsers:
    """What only root can do: conftest leaves it out for others."""

    root_alone = True

    def test_user(self, front):
        front.path.chmod(0o777)
        front.configure(server="user = nobody")
        front.start()
        assert front.ask().status == 200  # it has become that by now
        status = open(f"/proc/{front.child.pid}/status").read()
        uid, gid = pwd.getpwnam("nobody")[2:4]
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
        assert f"Gid:\t{gid}\t{gid}\t{gid}\t{gid}\n" in status
        groups = status.partition("Groups:")[2].partition("\n")[0].split()
        assert "0" not in groups
        assert (front.path / "ran").stat().st_uid == uid

    def test_group(self, front):
        front.path.chmod(0o777)
        front.configure(server="user = nobody\ngroup = daemon")
        front.start()
        assert front.ask().status == 200  # it has become that by now
        gid = grp.getgrnam("daemon")[2]
        status = open(f"/proc/{front.child.pid}/status").read()
        assert f"Gid:\t{gid}\t{gid}\t{gid}\t{gid}\n" in status

    def test_socket_owner(self, front):
        front.configure(server="socket_owner = nobody\n"
                        "socket_group = daemon\nuser = nobody")
        front.path.chmod(0o777)
        front.start()
        info = os.stat(front.socket)
        assert info.st_uid == pwd.getpwnam("nobody")[2]
        assert info.st_gid == grp.getgrnam("daemon")[2]

    def test_unknown_user(self, front):
        front.configure(server="user = no-such-user-here")
        assert "no-such-user-here" in fails(front, 78)

    def test_warning(self, front):
        front.start()
        assert "root" in front.log()
        front.configure(server="user = nobody")
        front.path.chmod(0o777)
        front.restart()
        assert "root" not in front.log()

    def test_peer_of_another_user(self, front):
        """SO_PEERCRED, seen from the other side."""
        front.configure(server="peers = nobody\nsocket_mode = 0666")
        front.start()
        code = ("import socket,sys;s=socket.socket(1);s.connect(sys.argv[1]);"
                "s.sendall(sys.stdin.buffer.read());"
                "sys.stdout.buffer.write(s.recv(9999))")
        uid = pwd.getpwnam("nobody")[2]
        got = subprocess.run(
            ["/usr/bin/python3", "-c", code, front.socket],
            input=fcgi.request(variables()), capture_output=True, user=uid,
            group=uid, extra_groups=[], timeout=10, cwd="/")
        assert b"Status: 200" in got.stdout, got
        with front.connect() as client:
            client.request(variables())
            assert not client.answer().ended


class TestThreads:
    def test_number(self, front):
        """A few more than handlers, however many connections."""
        front.configure(server="threads = 3")
        front.start()
        clients = [front.connect() for _ in range(40)]
        for client in clients:
            client.request(variables(sender="a@b.example"), flags=fcgi.KEEP)
            client.answer()
        n = len(os.listdir(f"/proc/{front.child.pid}/task"))
        assert 3 <= n <= 10
        for client in clients:
            client.close()

    def test_private_memory(self, front):
        """Idle, with 16 threads: below 4 MiB."""
        if "asan" in str(kit.FRONT):
            return
        front.start()
        front.ask()
        private = 0
        with open(f"/proc/{front.child.pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Private_"):
                    private += int(line.split()[1])
        assert 0 < private < 4096
