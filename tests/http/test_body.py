"""The request's body: E29 to E40, SPEC 1.6, 4.3, 5.1, 5.3."""

import os
import subprocess
import time

import pytest

import fcgi
from kit import (FRONT, MEMORY, V2, WAIT, echo, left, memory, of_fcgi, ours,
                 until, variables)

MIB = 1 << 20


def block(n):
    return (bytes(range(256)) * (n // 256 + 1))[:n]


class TestBody:
    policy = "spool_max = 1M\nmax_body = 200M"

    @pytest.mark.parametrize("n", [0, 1, 4096, 65535, 65536, 65537, MIB,
                                   8 * MIB])
    def test_echo(self, way, n):
        body = block(n)
        answer = way.ask(method="POST", body=body)
        assert answer.status == 200
        assert answer.body == echo(body)

    @pytest.mark.parametrize("n", [1, 300000, 5 * MIB])
    def test_much_before_reading(self, way, n):
        """E29: two full pipes stop nobody."""
        answer = way.ask(method="POST", path=f"/talk/{n}", body=block(MIB))
        head, _, tail = answer.body.partition(b"|")
        assert (len(head), tail) == (n, b"%d" % MIB)

    @pytest.mark.parametrize("path", ["/deaf", "/close-stdin"])
    @pytest.mark.parametrize("n", [1, 1000, 60000, MIB, 100 * MIB])
    def test_not_read(self, way, path, n):
        """E30, E31"""
        answer = way.ask(method="POST", path=path, body=bytes(n))
        assert answer.status == 200
        assert answer.body == b'{"deaf":true}'
        assert ours(answer.headers) == V2

    def test_refused(self, way):
        """E32"""
        before = way.front.ran()
        answer = way.ask(method="POST", sender="a@b.example",
                         body=block(8 * MIB))
        assert answer.reason() == "sender-not-allowed"
        assert way.front.ran() == before

    @pytest.mark.parametrize("send, expected", [
        (b"abc", b"abc"), (b"", b""), (b"abcde", b"abcde"),
        (b"abcdefgh", b"abcde")])
    def test_other_length(self, way, send, expected):
        """E33, E34: never more than was announced."""
        answer = way.ask(method="POST", CONTENT_LENGTH="5", send=send)
        assert answer.status == 200
        assert answer.body == echo(expected)

    @pytest.mark.parametrize("length", [None, "", "-1"])
    @pytest.mark.parametrize("n", [0, 1, 65536, 65537, MIB])
    def test_unknown_length(self, way, length, n):
        """E35: the handler gets the true length."""
        body = block(n)
        request = {"method": "POST", "CONTENT_LENGTH": length, "send": body}
        assert way.ask(**request).body == echo(body)
        got = way.ask(path="/env", **request).variables()
        assert got.get("CONTENT_LENGTH", "0") == str(n)

    def test_unknown_length_of_a_get(self, way):
        """SPEC 1.6: with a Transfer-Encoding there is a body."""
        answer = way.ask(HTTP_TRANSFER_ENCODING="chunked", send=b"abc")
        assert answer.body == echo(b"abc")

    def test_too_long_to_spool(self, way):
        before = way.front.ran()
        answer = way.ask(method="POST", send=block(MIB + 1))
        assert (answer.status, answer.reason()) == (413, "body-too-large")
        assert ours(answer.headers) == V2
        assert way.front.ran() == before

    def test_too_long(self, way):
        before = way.front.ran()
        answer = way.ask(method="POST", CONTENT_LENGTH=str(200 * MIB + 1),
                         send=b"abc")
        assert (answer.status, answer.reason()) == (413, "body-too-large")
        assert ours(answer.headers) == V2
        assert way.front.ran() == before

    def test_spool_leaves_no_file(self, way):
        way.ask(method="POST", send=block(MIB))
        left = set(os.listdir(way.front.path)) - {
            "handler", "amp-cors.ini", "ran", "pids", "stderr"}
        assert not left


class TestSlowBody:
    def test_cgi(self, front):
        """E38"""
        process = front.cgi_start(method="POST", CONTENT_LENGTH="5")
        process.stdin.write(b"a")
        process.stdin.flush()
        start = time.monotonic()
        head = process.stdout.readline()
        assert head.startswith(b"Status: 408 "), head
        assert 0.5 < time.monotonic() - start < 4
        process.stdin.close()
        out = process.stdout.read()
        process.wait(WAIT)
        assert b'"body-timeout"' in out
        assert b"AMP-Email-Allow-Sender: " in out
        until(lambda: not left(front), "the handler's end", 4)

    @pytest.mark.parametrize("length", ["5", None], ids=["known", "spooled"])
    def test_fastcgi(self, front, length):
        """E38; the connection takes the next request, or is closed."""
        front.start()
        with front.connect() as client:
            items = variables(method="POST", CONTENT_LENGTH=length)
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(items))
                + fcgi.record(fcgi.STDIN, 1, b"a"))
            answer = of_fcgi(client.answer())
        assert (answer.status, answer.reason()) == (408, "body-timeout")
        assert ours(answer.headers) == V2
        until(lambda: not left(front), "the handler's end", 4)

    def test_slow_is_not_stalled(self, front):
        """A byte now and then keeps it going."""
        front.start()
        with front.connect() as client:
            items = variables(method="POST", CONTENT_LENGTH="5")
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(items)))
            for byte in b"abcde":
                time.sleep(0.6)
                client.send(fcgi.record(fcgi.STDIN, 1, bytes([byte])))
            assert of_fcgi(client.answer()).body == echo(b"abcde")


class TestPlainCgi:
    """What concerns standard input alone."""

    def test_no_body_none_waited_for(self, front):
        """SPEC 1.6: standard input stays open."""
        process = front.cgi_start(method="GET")
        try:
            assert process.wait(WAIT) == 0
            assert b"Status: 200 " in process.stdout.read()
        finally:
            process.stdin.close()

    def test_refusal_comes_before_the_body(self, front):
        process = front.cgi_start(method="POST", sender="a@b.example",
                                  CONTENT_LENGTH=str(MIB))
        assert process.stdout.readline().startswith(b"Status: 403 ")
        # E32: and then the body is read to its end
        assert process.poll() is None
        process.stdin.write(bytes(MIB))
        process.stdin.close()
        assert process.wait(WAIT) == 0

    def test_drained_not_for_ever(self, front):
        """E32: ten seconds."""
        start = time.monotonic()
        process = front.cgi_start(method="POST", sender="a@b.example",
                                  CONTENT_LENGTH=str(MIB))
        assert process.wait(14) == 0
        assert time.monotonic() - start > 5
        process.communicate()

    def test_more_than_2_gib(self, front):
        """E40"""
        sparse = front.path / "sparse"
        size = (2 << 30) + MIB
        with open(sparse, "wb") as f:
            f.truncate(size)
        with open(sparse, "rb") as f:
            process = front.cgi_start(method="POST", path="/count", stdin=f,
                                      CONTENT_LENGTH=str(size))
            out, err = process.communicate(timeout=60)
        assert out.endswith(b"%d" % size), (out, err)

    def test_closed_descriptors(self, front):
        """A web server that closes 0 and 2 harms only itself."""
        for closed in ((0,), (2,), (0, 2)):
            process = subprocess.run(
                ["/bin/sh", "-c", "exec \"$@\" " + " ".join(
                    f"{fd}<&-" for fd in closed), "sh",
                 front.run_env]
                + [f"{n}={v}" for n, v in variables()]
                + [f"AMP_CORS_CONFIG={front.ini}", "--", str(FRONT)],
                capture_output=True, timeout=WAIT)
            assert b"Status: 200 " in process.stdout, (closed, process)


class TestFastCgiBody:
    def test_no_end_of_input(self, front):
        """E37: a GET has no body, whatever comes or does not come."""
        front.start()
        for more in ({}, {"CONTENT_LENGTH": "0"}, {"CONTENT_LENGTH": ""}):
            with front.connect() as client:
                client.send(fcgi.begin() + fcgi.stream(
                    fcgi.PARAMS, fcgi.pairs(variables(**more))))
                assert of_fcgi(client.answer()).status == 200

    def test_records_of_one_byte(self, front):
        """E39"""
        front.start()
        body = block(100000)
        with front.connect() as client:
            client.request(variables(method="POST"), b"")
            # nothing was announced: spooled, and empty
            assert of_fcgi(client.answer()).body == echo(b"")
        with front.connect() as client:
            items = variables(method="POST", body=body)
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(items))
                + fcgi.stream(fcgi.STDIN, body, size=1))
            assert of_fcgi(client.answer()).body == echo(body)
        assert memory(front.child.pid) < MEMORY

    def test_back_pressure(self, front):
        """A handler that does not read makes the web server wait, not our
        memory grow."""
        front.start()
        with front.connect() as client:
            client.socket.settimeout(0.5)
            items = variables(method="POST", path="/wait/1500",
                              CONTENT_LENGTH=str(100 * MIB))
            client.send(fcgi.begin() + fcgi.stream(
                fcgi.PARAMS, fcgi.pairs(items)))
            with pytest.raises(TimeoutError):
                client.send(fcgi.stream(fcgi.STDIN, bytes(50 * MIB)))
            assert memory(front.child.pid) < MEMORY

    def test_early_refusal_keeps_step(self, front):
        """SPEC 5.3: the next request on the connection is answered."""
        front.start()
        with front.connect() as client:
            for _ in range(3):
                client.request(variables(method="POST", body=bytes(MIB),
                                         sender="a@b.example"),
                               bytes(MIB), flags=fcgi.KEEP)
                answer = of_fcgi(client.answer())
                assert answer.reason() == "sender-not-allowed"
                client.request(variables(method="POST", body=b"abc"), b"abc",
                               flags=fcgi.KEEP)
                assert of_fcgi(client.answer()).body == echo(b"abc")

    def test_not_read_keeps_step(self, front):
        front.start()
        with front.connect() as client:
            for _ in range(3):
                client.request(variables(method="POST", path="/deaf",
                                         body=bytes(MIB)),
                               bytes(MIB), flags=fcgi.KEEP)
                assert of_fcgi(client.answer()).status == 200
                client.request(variables(method="POST", body=b"abc"), b"abc",
                               flags=fcgi.KEEP)
                assert of_fcgi(client.answer()).body == echo(b"abc")
