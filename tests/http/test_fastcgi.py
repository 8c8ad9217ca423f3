"""The protocol, byte by byte: E78, E85 to E98, E101, SPEC 5.2 to 5.4."""

import os
import socket
import struct
import subprocess
import time

import pytest

import fcgi
import kit
from kit import MEMORY, echo, left, memory, of_fcgi, until, variables

ITEMS = variables()


@pytest.fixture(scope="class")
def server(shared):
    shared.configure(server="threads = 4\nhead_timeout = 2")
    shared.start()
    return shared


@pytest.fixture
def client(server):
    with server.connect() as made:
        yield made
    assert not server.child.ended(), server.log()


def params(items, **more):
    return fcgi.stream(fcgi.PARAMS, fcgi.pairs(items), **more)


def post(body, **more):
    return variables(method="POST", body=body, **more)


class TestRecords:
    """E85, E86: any cut of the same bytes gives the same result."""

    @pytest.mark.parametrize("padding", [1, 7, 8, 254, 255])
    def test_padding(self, client, padding):
        body = b"abcdef" * 100
        client.send(fcgi.begin() + params(post(body), padding=padding)
                    + fcgi.stream(fcgi.STDIN, body, padding=padding,
                                  size=100))
        assert of_fcgi(client.answer()).body == echo(body)

    def test_padded_begin(self, server, client):
        """libfcgi loses the parameters then: closed, or answered rightly,
        but never decided on nothing."""
        ran = server.ran()
        client.send(fcgi.begin(padding=8) + params(ITEMS)
                    + fcgi.record(fcgi.STDIN))
        got = client.answer()
        if got.out:
            assert of_fcgi(got).body == echo(b"")
        else:
            assert got.closed and server.ran() == ran

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 1000])
    def test_pieces(self, client, size):
        """Pieces as a web server might send them."""
        body = b"x" * 300
        data = fcgi.request(post(body), body)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for i in range(0, len(data), size):
            client.send(data[i:i + size])
            if i % 100 < size:
                time.sleep(0.0005)
        assert of_fcgi(client.answer()).body == echo(body)

    @pytest.mark.parametrize("size", [1, 2, 5, 127, 128, 129])
    def test_split_parameters(self, client, size):
        """E86: names and values cut over records."""
        client.send(fcgi.request(ITEMS, size=size))
        assert of_fcgi(client.answer()).status == 200

    def test_one_write(self, client):
        """Many records in one write, and those of the next request with
        the first of its own."""
        for body in (b"one", b"two", b"x" * 70000):
            client.send(fcgi.request(post(body), body, flags=fcgi.KEEP))
            assert of_fcgi(client.answer()).body == echo(body)

    @pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 255, 256, 16384,
                                   40000])
    def test_lengths(self, client, n):
        """E86: lengths of one byte and of four."""
        items = variables(path="/env") + [("X" * (n % 300 or 1), "v" * n),
                                          ("HTTP_X_NEXT", "here")]
        client.send(fcgi.request(items))
        got = of_fcgi(client.answer()).variables()
        assert got["HTTP_X_NEXT"] == "here"
        assert n == 0 or got["X" * (n % 300 or 1)] == "v" * n

    def test_long_form_of_short_lengths(self, client):
        client.send(fcgi.begin()
                    + fcgi.stream(fcgi.PARAMS, fcgi.pairs(ITEMS, long=True))
                    + fcgi.record(fcgi.STDIN))
        assert of_fcgi(client.answer()).status == 200

    def test_parameters_too_many(self, server, client):
        """E86: a limit refuses cleanly."""
        ran = server.ran()
        items = ITEMS + [(f"X_{i}", "v" * 1000) for i in range(200)]
        client.try_send(fcgi.request(items))
        got = client.answer()
        if got.out:
            assert of_fcgi(got).status in (400, 413, 431)
        else:
            assert got.closed
        assert server.ran() == ran
        assert server.ask().status == 200

    @pytest.mark.parametrize("name, value", [
        (0x7fffffff, 0), (0, 0x7fffffff), (0x7ffffffe, 0x7fffffff),
        (0x7fffffff, 0x7fffffff), (5, 65536)])
    def test_absurd_length(self, server, client, name, value):
        """CVE-2025-23016, and its neighbours."""
        ran = server.ran()
        client.try_send(
            fcgi.begin() + fcgi.record(
                fcgi.PARAMS, 1, fcgi.pairs(ITEMS) + struct.pack(
                    "!II", name | 1 << 31, value | 1 << 31) + b"HELLO")
            + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
        got = client.answer()
        assert got.closed or of_fcgi(got).status == 400
        assert server.ran() == ran
        assert server.ask().status == 200
        assert memory(server.child.pid) < MEMORY

    def test_pair_not_whole(self, server, client):
        ran = server.ran()
        client.send(fcgi.begin() + fcgi.record(
            fcgi.PARAMS, 1, fcgi.pairs(ITEMS) + b"\x04\x04AB")
            + fcgi.record(fcgi.PARAMS) + fcgi.record(fcgi.STDIN))
        got = client.answer()
        assert got.closed or of_fcgi(got).status == 400
        assert server.ran() == ran

    def test_large_answer_in_records(self, client):
        client.request(variables(path="/body/1000000"))
        got = client.answer()
        assert of_fcgi(got).body == b"b" * 1000000
        assert got.reserved == b"\0\0\0"  # E97
        assert got.protocol_status == fcgi.COMPLETE


class TestConnections:
    """E87 to E89, SPEC 5.3"""

    def test_not_kept(self, client):
        """E87: closed at once, whatever the peer does."""
        start = time.monotonic()
        client.request(ITEMS)
        assert client.answer().ended
        assert client.at_end()
        assert time.monotonic() - start < 1

    def test_not_kept_costs_nobody_time(self, server):
        """E87: no linger before the next one."""
        held = []
        start = time.monotonic()
        for _ in range(20):
            client = server.connect()
            client.request(variables(sender="a@b.example"))
            assert client.answer().ended
            held.append(client)
        assert time.monotonic() - start < 1
        for client in held:
            client.close()

    @pytest.mark.parametrize("id", [1, 2, 255, 256, 65535])
    def test_kept(self, client, id):
        """E89: one after another, of any ids."""
        for i in range(3):
            body = b"%d" % (i * id)
            client.request(post(body), body, id=id, flags=fcgi.KEEP)
            assert of_fcgi(client.answer(id)).body == echo(body)
            client.request(variables(sender="a@b.example"), id=1,
                           flags=fcgi.KEEP)
            assert of_fcgi(client.answer(1)).status == 403

    def test_kept_then_not(self, client):
        client.request(ITEMS, flags=fcgi.KEEP)
        assert client.answer().ended
        client.request(ITEMS)
        assert client.answer().ended
        assert client.at_end()

    def test_idle_ones_starve_nobody(self, server):
        """E88: fifty kept connections on four threads."""
        idle = []
        for _ in range(50):
            client = server.connect()
            client.request(variables(sender="a@b.example"), flags=fcgi.KEEP)
            assert client.answer().ended
            idle.append(client)
        start = time.monotonic()
        assert server.ask().status == 200
        assert time.monotonic() - start < 1
        # and each of them still works
        for client in idle:
            client.request(variables(sender="a@b.example"), flags=fcgi.KEEP)
            assert client.answer().ended
            client.close()

    def test_silent_ones_starve_nobody(self, server):
        """E96"""
        silent = [server.connect() for _ in range(50)]
        for client in silent[:25]:
            client.send(fcgi.begin()[:5])
        start = time.monotonic()
        assert server.ask().status == 200
        assert time.monotonic() - start < 1
        # half a head is closed after head_timeout
        assert silent[0].at_end(5)
        for client in silent:
            client.close()

    def test_half_a_head_in_parameters(self, server, client):
        client.send(fcgi.begin() + params(ITEMS, close=False))
        assert server.ask().status == 200
        assert client.at_end(5)

    def test_idle_kept_one_stays(self, client):
        """idle_timeout is 0: none; head_timeout is not for it."""
        client.request(ITEMS, flags=fcgi.KEEP)
        assert client.answer().ended
        time.sleep(3)
        client.request(ITEMS, flags=fcgi.KEEP)
        assert client.answer().ended


class TestIdleTimeout:
    def test_closed(self, front):
        front.configure(server="idle_timeout = 1")
        front.start()
        with front.connect() as client:
            client.request(ITEMS, flags=fcgi.KEEP)
            assert client.answer().ended
            assert not client.at_end(0.5)
            assert client.at_end(3)


class TestRoles:
    @pytest.mark.parametrize("role", [0, 3, 9, 65535])
    @pytest.mark.parametrize("keep", [0, fcgi.KEEP])
    def test_unknown(self, server, client, role, keep):
        """E91"""
        ran = server.ran()
        client.send(fcgi.begin(7, role, keep) + params(ITEMS, id=7)
                    + fcgi.record(fcgi.STDIN, 7))
        got = client.answer(7)
        assert got.protocol_status == fcgi.UNKNOWN_ROLE
        assert got.out == b""
        assert server.ran() == ran
        if not keep:
            assert client.at_end()

    def test_second_request_at_once(self, server, client):
        """E90: one at a time, and the first one is not harmed."""
        server.forget()
        client.send(fcgi.request(variables(path="/wait/500")))
        until(server.pids, "a handler")
        client.send(fcgi.begin(2) + params(ITEMS, id=2)
                    + fcgi.record(fcgi.STDIN, 2))
        got = client.answer(2)
        assert got.protocol_status == fcgi.CANT_MPX and not got.out
        assert of_fcgi(client.answer()).body == echo(b"")
        assert server.ran() == 1

    def test_second_request_in_the_body(self, server, client):
        """E90"""
        ran = server.ran()
        client.send(fcgi.begin() + params(post(b"abc"))
                    + fcgi.record(fcgi.STDIN, 1, b"a")
                    + fcgi.begin(2) + params(ITEMS, id=2)
                    + fcgi.record(fcgi.STDIN, 1, b"bc")
                    + fcgi.record(fcgi.STDIN))
        assert client.answer(2).protocol_status == fcgi.CANT_MPX
        assert of_fcgi(client.answer()).body == echo(b"abc")
        assert server.ran() == ran + 1


class TestManagement:
    def ask(self, client, content, kind=fcgi.GET_VALUES, padding=0):
        client.send(fcgi.record(kind, 0, content, padding))
        return client.record()

    def parse(self, content):
        values = {}
        while content:
            name, value = content[0], content[1]
            key = content[2:2 + name]
            assert key not in values
            values[key] = content[2 + name:2 + name + value]
            content = content[2 + name + value:]
        return values

    NAMES = [b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS"]

    def asked(self, *names):
        return b"".join(fcgi.pair(n, b"") for n in names)

    def test_values(self, client):
        """E92: at once, and true."""
        kind, id, content = self.ask(client, self.asked(*self.NAMES))
        assert (kind, id) == (fcgi.GET_VALUES_RESULT, 0)
        values = self.parse(content)
        assert set(values) == set(self.NAMES)
        assert values[b"FCGI_MPXS_CONNS"] == b"0"
        assert int(values[b"FCGI_MAX_CONNS"]) >= 4
        assert int(values[b"FCGI_MAX_REQS"]) >= 4

    @pytest.mark.parametrize("names, known", [
        ([], 0), ([b"FCGI_WHAT"], 0), ([b"FCGI_WHAT", b"FCGI_MAX_REQS"], 1),
        ([b"FCGI_MPXS_CONNS"] * 50, 1), (NAMES * 20, 3),
        ([b"X" * 100] * 20, 0)])
    def test_odd_values(self, server, client, names, known):
        """E92: libfcgi dies of repeated ones."""
        kind, _, content = self.ask(client, self.asked(*names))
        assert kind == fcgi.GET_VALUES_RESULT
        assert len({n for n in self.NAMES if n in content}) == known
        client.request(ITEMS)
        assert of_fcgi(client.answer()).status == 200

    def test_padded(self, client):
        kind, _, _ = self.ask(client, self.asked(self.NAMES[0]), padding=255)
        assert kind == fcgi.GET_VALUES_RESULT

    @pytest.mark.parametrize("content", [
        b"\x0e", b"\xff\xff\xff\xff", struct.pack("!II", 0xfffffffe, 0),
        b"\x05\x00AB", b"\x00\x00" * 1000])
    def test_malformed(self, server, client, content):
        client.send(fcgi.record(fcgi.GET_VALUES, 0, content))
        client.request(ITEMS)
        while True:
            r = client.record()
            if r is None or r[0] == fcgi.END:
                break
        assert server.ask().status == 200

    @pytest.mark.parametrize("kind", [0, 11, 12, 200, 255])
    def test_unknown_type(self, client, kind):
        """E93"""
        got = self.ask(client, b"abc", kind)
        assert got[:2] == (fcgi.UNKNOWN_TYPE, 0)
        assert got[2] == bytes([kind]) + bytes(7)
        client.request(ITEMS)
        assert of_fcgi(client.answer()).status == 200

    @pytest.mark.parametrize("where", ["begin", "params", "stdin", "after"])
    def test_in_the_middle(self, server, where):
        """E92, E93: wherever it comes, the request is answered, or the
        connection closed and nothing else harmed."""
        value = fcgi.record(fcgi.GET_VALUES, 0, self.asked(*self.NAMES * 9))
        body = b"abc"
        items = post(body)
        half = fcgi.pairs(items)
        parts = {
            "begin": [fcgi.begin(flags=fcgi.KEEP), value, params(items),
                      fcgi.stream(fcgi.STDIN, body)],
            "params": [fcgi.begin(flags=fcgi.KEEP),
                       fcgi.record(fcgi.PARAMS, 1, half[:9]), value,
                       fcgi.record(fcgi.PARAMS, 1, half[9:]),
                       fcgi.record(fcgi.PARAMS),
                       fcgi.stream(fcgi.STDIN, body)],
            "stdin": [fcgi.begin(flags=fcgi.KEEP), params(items),
                      fcgi.record(fcgi.STDIN, 1, b"a"), value,
                      fcgi.record(fcgi.STDIN, 1, b"bc"),
                      fcgi.record(fcgi.STDIN)],
            "after": [fcgi.request(items, body, flags=fcgi.KEEP), value],
        }[where]
        with server.connect() as client:
            client.try_send(b"".join(parts))
            out, ended = b"", False
            while not ended:
                r = client.record()
                if r is None:
                    break
                if r[0] == fcgi.STDOUT:
                    out += r[2]
                ended = r[0] == fcgi.END
        assert not ended or echo(body) in out
        assert server.ask().status == 200


class TestStrayRecords:
    def test_other_id(self, client):
        """E94"""
        body = b"abc"
        client.send(fcgi.begin() + params(post(body))
                    + fcgi.record(fcgi.STDIN, 9, b"xxx")
                    + fcgi.record(fcgi.ABORT, 9)
                    + fcgi.stream(fcgi.STDIN, body))
        assert of_fcgi(client.answer()).body == echo(body)

    def test_before_begin(self, server, client):
        """E94: ignored, or closed; never a request."""
        ran = server.ran()
        client.send(fcgi.record(fcgi.STDIN, 1, b"abc")
                    + fcgi.record(fcgi.ABORT, 1))
        client.try_send(fcgi.request(ITEMS))
        got = client.answer()
        assert got.ended or server.ran() == ran
        assert server.ask().status == 200

    @pytest.mark.parametrize("data", [
        fcgi.record(fcgi.BEGIN, version=0), fcgi.record(fcgi.BEGIN, version=2),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0" * 1000, b"\xff" * 1000, os.urandom(4096).replace(b"\1", b"\2"),
        b"\n", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
    ], ids=["v0", "v2", "http", "tls", "zeros", "ff", "random", "line",
            "proxy"])
    def test_garbage(self, server, client, data):
        """E95"""
        ran = server.ran()
        client.try_send(data)
        assert client.at_end(5)
        assert server.ran() == ran
        assert server.ask().status == 200

    @pytest.mark.parametrize("content", [b"", b"\0\1", b"\0\1\0\0\0\0\0"])
    def test_short_begin(self, server, client, content):
        client.try_send(fcgi.record(fcgi.BEGIN, 1, content) + params(ITEMS)
                        + fcgi.record(fcgi.STDIN))
        got = client.answer()
        assert got.closed and not got.out

    def test_begin_of_id_0(self, server, client):
        ran = server.ran()
        client.try_send(fcgi.request(ITEMS, id=0))
        client.record()
        assert server.ran() == ran
        assert server.ask().status == 200

    def test_garbage_in_the_body(self, server, client):
        """The handler does not get it."""
        client.send(fcgi.begin() + params(post(b"x" * 100))
                    + fcgi.record(fcgi.STDIN, 1, b"x" * 10))
        client.try_send(b"\xff" * 1000)
        got = client.answer()
        assert echo(b"x" * 100) not in got.out
        until(lambda: not left(server), "the handler's end", 4)
        assert server.ask().status == 200


class TestAbort:
    """E78"""

    @pytest.mark.parametrize("keep", [0, fcgi.KEEP])
    def test_in_the_parameters(self, server, client, keep):
        ran = server.ran()
        client.send(fcgi.begin(flags=keep) + params(ITEMS, close=False)
                    + fcgi.record(fcgi.ABORT))
        self.ended(client, keep)
        # the one that follows on a kept connection
        assert server.ran() == ran + (1 if keep else 0)

    @pytest.mark.parametrize("keep", [0, fcgi.KEEP])
    @pytest.mark.parametrize("path", ["/echo", "/silent", "/deaf"])
    def test_in_the_body(self, server, client, keep, path):
        items = variables(method="POST", CONTENT_LENGTH="1000", path=path)
        server.forget()
        client.send(fcgi.begin(flags=keep) + params(items)
                    + fcgi.record(fcgi.STDIN, 1, b"abc"))
        until(server.pids, "a handler")
        client.send(fcgi.record(fcgi.ABORT))
        self.ended(client, keep)
        until(lambda: not left(server), "the handler's end", 3)

    @pytest.mark.parametrize("keep", [0, fcgi.KEEP])
    def test_after_the_body(self, server, client, keep):
        server.forget()
        items = variables(path="/silent")
        client.send(fcgi.request(items, flags=keep))
        until(server.pids, "a handler")
        start = time.monotonic()
        client.send(fcgi.record(fcgi.ABORT))
        self.ended(client, keep)
        assert time.monotonic() - start < 1.5
        until(lambda: not left(server), "the handler's end", 3)

    def ended(self, client, keep):
        got = client.answer()
        assert got.ended and got.protocol_status == fcgi.COMPLETE
        if keep:
            client.request(ITEMS, id=2)
            assert of_fcgi(client.answer(2)).status == 200
        else:
            assert client.at_end()


class TestWhichWay:
    """E101: what descriptor 0 is."""

    def run(self, front, stdin, env):
        env = {"PATH": os.defpath, "AMP_CORS_CONFIG": str(front.ini), **env}
        process = subprocess.Popen([kit.FRONT], stdin=stdin, env=env,
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=5)
        return process.returncode, out, err

    def test_connected_socket(self, front):
        """CGI, even if its client has been reset."""
        for reset in (False, True):
            with socket.create_server(("127.0.0.1", 0)) as listening:
                peer = socket.create_connection(listening.getsockname())
                ours, _ = listening.accept()
                with ours:
                    if reset:
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        struct.pack("ii", 1, 0))
                        peer.close()
                    status, out, _ = self.run(front, ours, dict(ITEMS))
                    peer.close()
            assert status == 0 and b"Status: 200" in out

    def test_null_and_file(self, front):
        for stdin in (subprocess.DEVNULL, open(front.ini)):
            status, out, _ = self.run(front, stdin, dict(ITEMS))
            assert status == 0 and b"Status: 200" in out

    def test_request_method_is_enough(self, front):
        env = dict(ITEMS)
        del env["GATEWAY_INTERFACE"]
        status, out, _ = self.run(front, subprocess.DEVNULL, env)
        assert status == 0 and b"Status: 200" in out

    def test_listening_socket(self, front):
        """Although the environment looks like a request."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            front.child = kit.Child(
                [kit.FRONT, "-c", front.ini], front.path / "stderr",
                env={"PATH": os.defpath, "GATEWAY_INTERFACE": "CGI/1.1"},
                stdin=listening)
            with fcgi.Client(listening.getsockname()) as client:
                client.request(ITEMS)
                assert of_fcgi(client.answer()).status == 200

    def test_listening_unix_socket(self, front):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(front.socket)
            listening.listen()
            front.child = kit.Child(
                [kit.FRONT, "-c", front.ini], front.path / "stderr",
                env={"PATH": os.defpath}, stdin=listening)
            assert front.ask().status == 200

    def test_systemd_for_somebody_else(self, front):
        """LISTEN_PID names another process: not ours."""
        status, out, err = self.run(
            front, subprocess.DEVNULL, {"LISTEN_FDS": "1", "LISTEN_PID": "1"})
        assert status == 64 and out == b""

    def test_systemd_two_sockets(self, front):
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]

        def hand_over():
            # beyond 4 first: one of them might be there
            high = [os.dup2(s.fileno(), 20 + i)
                    for i, s in enumerate(sockets)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.close(fd)

        front.child = kit.Child(
            ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", kit.FRONT,
             "-c", front.ini], front.path / "stderr",
            env={"LISTEN_FDS": "2", "PATH": os.defpath},
            close_fds=False, preexec_fn=hand_over)
        for s in sockets:
            with fcgi.Client(s.getsockname()) as client:
                client.request(variables(path="/env"))
                got = of_fcgi(client.answer()).variables()
                assert "LISTEN_FDS" not in got and "LISTEN_PID" not in got
            s.close()


class TestWebServerAddresses:
    """E98"""

    @pytest.mark.parametrize("addresses, allowed", [
        ("127.0.0.1", True), ("10.0.0.1,127.0.0.1", True),
        ("10.0.0.1", False)])
    def test_checked(self, front, addresses, allowed):
        port = kit.free_port()
        address = ("127.0.0.1", port)
        front.start("--listen", f"127.0.0.1:{port}", ready=address,
                    env={"FCGI_WEB_SERVER_ADDRS": addresses})
        with fcgi.Client(address) as client:
            client.request(ITEMS)
            got = client.answer()
        assert got.ended == allowed
        assert bool(front.ran()) == allowed
