"""PHP-FPM behind "forward", with its pool as etc/ has it, and nginx before
the front: the table of all ways in, and what is PHP's own. E36, E102 to
E106."""

import glob
import hashlib
import http.client
import os
import pwd
import re
import signal
import socket
import threading
import time

import pytest

import kit
import servers
from kit import SENDER, V2, WAIT, echo, ours, until
from test_ways import Ways, body_of, sender
from test_ways_more import Unbuffered, chunked, whole

# what bad-cgi does, as far as PHP can do it
HANDLER = r"""<?php
[$what, $arg] = explode("/", substr($_SERVER["PATH_INFO"] ?? "/echo", 1)
    . "/", 3);
file_put_contents(__DIR__ . "/ran", "x", FILE_APPEND);
ob_end_clean(); // php.ini has a buffer of 4096 bytes

function put_out($text) {
    echo $text;
    flush();
}

function body_and_sum() {
    $body = file_get_contents("php://input");
    header("Content-Type: application/json");
    printf("{\"length\":%d,\"sum\":\"%s\"}\n", strlen($body),
        hash("adler32", $body));
}

switch ($what) {
case "status":
    http_response_code((int)$arg);
    body_and_sum();
    break;
case "die":
    exec("kill -9 " . getmypid());
    break;
case "half":
    put_out(str_repeat("h", 1000));
    exec("kill -9 " . getmypid());
    break;
case "body":
    header("Content-Type: text/plain");
    echo str_repeat("b", (int)$arg);
    break;
case "stderr":
    error_log("first line");
    error_log("second line");
    body_and_sum();
    break;
case "variable":
    header("Content-Type: text/plain");
    echo $_SERVER[$arg] ?? "none";
    break;
case "form":
    header("Content-Type: text/plain");
    echo $_POST[$arg] ?? "none";
    break;
case "files":
    header("Content-Type: text/plain");
    echo md5_file($_FILES[$arg]["tmp_name"]);
    break;
case "wait":
    usleep((int)$arg * 1000);
    body_and_sum();
    break;
case "warning":
    echo $not_there;
    body_and_sum();
    break;
case "fatal":
    throw new Exception("the reason why");
case "exit":
    header("Content-Type: text/plain");
    echo "body";
    exit((int)$arg);
case "spin":
    set_time_limit(1);
    if ($arg !== "") {
        header("Content-Type: text/plain");
        if ($arg !== "0")
            header("Content-Length: $arg");
        put_out("half");
    }
    while (true)
        ;
case "hang":
    sleep(60);
case "cors":
    header("Access-Control-Allow-Origin: *");
    header("AMP-Email-Allow-Sender: *");
    header("Vary: Accept");
    body_and_sum();
    break;
case "slow":
    header("Content-Type: text/plain");
    for ($i = 0; $i < (int)$arg; $i++) {
        put_out("line\n");
        usleep(300000);
    }
    break;
case "flood":
    register_shutdown_function(
        fn() => file_put_contents(__DIR__ . "/ended", "x"));
    while (true)
        put_out(str_repeat("f", 65536));
case "early":
    header("Content-Type: text/plain");
    echo "early";
    break;
default:
    body_and_sum();
}
"""


def program():
    found = sorted(glob.glob("/usr/sbin/php-fpm[0-9]*"))
    assert found, "there is no /usr/sbin/php-fpm*"
    return found[-1]


class Php:
    """Stands before a web server's class, and gives it PHP-FPM."""

    base = "/amp-scripts/h.php"
    policy = ""          # lines beside "forward"
    pool = {}            # of the sample: what is written otherwise
    tcp = False
    address = None       # as the policy has it
    fpm = None

    def make_scripts(self):
        super().make_scripts()
        kit.write(self.scripts / "h.php", HANDLER)
        kit.write(self.scripts / "text.txt", "<?php echo 'run';")

    def before(self):
        for _ in range(5):
            self.address = f"unix:{self.run}/fpm.sock"
            if self.tcp:
                self.address = "127.0.0.1:%d" % kit.free_port()
            if self.start_fpm():
                break
        table = servers.TABLE_POLICY
        for line in self.policy.split("\n"):
            name = line.split("=")[0] + "= "
            table = re.sub("(?m)^" + name + ".*\n", "", table)
        self.front.configure(f"forward = {self.address}\n{self.policy}",
                             "socket_mode = 0666", table)
        super().before()

    def start_fpm(self):
        """Is it there? Else somebody else took the port."""
        where = self.address.removeprefix("unix:")
        listen = f"listen = {where}\n"
        if self.tcp:
            listen += "listen.allowed_clients = 127.0.0.1\n"
        replace = {"\nlisten = /run/php/amp.sock\n": "\n" + listen,
                   **self.pool}
        if not servers.ROOT:
            me = pwd.getpwuid(os.geteuid()).pw_name
            replace["listen.owner = www-data"] = f"listen.owner = {me}"
            replace["listen.group = www-data"] = ""
        kit.write(self.run / "pool.conf",
                  servers.sample("php-fpm-amp.conf", replace))
        conf = kit.write(self.run / "fpm.conf", servers.wrapped(
            "[global]", f"error_log = {self.run}/fpm.log",
            f"include = {self.run}/pool.conf"))
        fpm = self.fpm = kit.Child([program(), "-F", "-y", conf],
                                   self.run / "fpm.out")
        if self.tcp:
            host, port = where.split(":")
            where = (host, int(port))
        until(lambda: fpm.ended() or kit.answers(where), "PHP-FPM")
        assert self.tcp or not fpm.ended(), fpm.said()
        return not fpm.ended()

    def stop_fpm(self):
        fpm, self.fpm = self.fpm, None
        # in order, but at once
        fpm.stop(signal.SIGINT)

    def stop(self):
        status = super().stop()
        if self.fpm is not None:
            self.stop_fpm()
        return status

    def kept(self):
        """How many connections PHP-FPM has taken and not closed."""
        with open("/proc/net/unix") as table:
            rows = [line.split() for line in table]
        return sum(row[5] == "03" and row[-1] == f"{self.run}/fpm.sock"
                   for row in rows)

    def log(self):
        return Ways.all_logs(self)


class PhpUnix(Php, servers.NginxUnix):
    sample = "nginx-php.conf"


class PhpTcp(Php, servers.NginxIpv4):
    """TCP on both sides of the front."""

    sample = "nginx-php.conf"
    tcp = True


class PhpKept(PhpUnix):
    policy = "forward_keep = 4"


class PhpApache(Php, servers.ApacheProxyScripts):
    pass


class PhpLighttpd(Php, servers.LighttpdScripts):
    pass


class PhpWays(Ways):
    def test_handler_fails(self, site):
        """The worker is killed before it has said anything."""
        answer = site.ask(path="/die/9", headers=sender(SENDER))
        assert (answer.status, answer.reason()) == (502, "backend-refused")
        assert ours(answer.headers) == V2


class TestUnix(PhpWays):
    way = PhpUnix


class TestTcp(PhpWays):
    way = PhpTcp


class TestKept(PhpWays):
    way = PhpKept


class TestApache(PhpWays):
    way = PhpApache


class TestLighttpd(PhpWays):
    way = PhpLighttpd


def get(site, path, **more):
    return site.ask(path=path, headers=sender(SENDER), **more)


def elsewhere(site, base):
    """The answer to another address of the same site."""
    site.base, before = base, site.base
    try:
        return site.ask(path="", headers=sender(SENDER))
    finally:
        site.base = before


class TestPhp:
    """What PHP says of itself."""

    way = PhpUnix

    @pytest.mark.parametrize("name, value", [
        ("AMP_CORS_SENDER", SENDER), ("AMP_CORS_VERSION", "2"),
        ("AMP_CORS_ORIGIN", "none"), ("HTTP_AMP_EMAIL_SENDER", SENDER),
        ("SCRIPT_NAME", "/amp-scripts/h.php"), ("HTTP_PROXY", "none"),
        ("PATH_INFO", "/variable/PATH_INFO"), ("REQUEST_METHOD", "GET")])
    def test_variables(self, site, name, value):
        answer = site.ask(path=f"/variable/{name}", headers=sender(
            SENDER) + [("Proxy", "evil")])
        assert answer.body == value.encode(), answer

    def test_authorization(self, site):
        """As PHP is used to: it takes the password apart."""
        headers = sender(SENDER) + [("Authorization", "Basic YTpi")]
        for name, value in (("PHP_AUTH_USER", b"a"), ("PHP_AUTH_PW", b"b")):
            answer = site.ask(path=f"/variable/{name}", headers=headers)
            assert answer.body == value

    def test_form(self, site):
        headers = sender(SENDER) + [
            ("Content-Type", "application/x-www-form-urlencoded")]
        answer = site.ask("POST", "/form/a", headers=headers,
                          body=b"x=1&a=%C3%A4+b")
        assert answer.body == "ä b".encode()

    def test_file(self, site):
        body = (b"--cut\r\nContent-Disposition: form-data; name=f; "
                b"filename=f\r\n\r\n" + body_of(1 << 20)
                + b"\r\n--cut--\r\n")
        headers = sender(SENDER) + [
            ("Content-Type", "multipart/form-data; boundary=cut")]
        answer = site.ask("POST", "/files/f", headers=headers, body=body)
        assert answer.body.decode() == hashlib.md5(
            body_of(1 << 20)).hexdigest()

    def test_own_fields_are_ours(self, site):
        answer = get(site, "/cors")
        assert ours(answer.headers) == V2
        assert "Accept" in answer.one("Vary").split(", ")

    def test_exit_status(self, site):
        """PHP-FPM says 0 of any exit."""
        answer = get(site, "/exit/7")
        assert answer.status == 200 and answer.body == b"body"

    def test_no_script(self, site):
        """E106: passed; the log says which."""
        answer = elsewhere(site, "/amp-scripts/none.php")
        assert answer.status == 404
        assert answer.body == b"File not found.\n"
        assert ours(answer.headers) == V2
        until(lambda: "Primary script unknown" in site.log(), "the log")

    def test_no_php(self, site):
        """E106"""
        answer = elsewhere(site, "/amp-scripts/text.txt")
        assert answer.status == 403
        assert answer.body == b"Access denied.\n"
        assert ours(answer.headers) == V2
        until(lambda: "security.limit_extensions" in site.log(), "the log")

    def test_warning(self, site):
        answer = get(site, "/warning")
        assert answer.status == 200 and answer.body == echo(b"")
        until(lambda: "$not_there" in site.log(), "the log")

    def test_fatal(self, site):
        answer = get(site, "/fatal")
        assert answer.status == 500 and b"reason" not in answer.body
        assert ours(answer.headers) == V2
        until(lambda: "the reason why" in site.log(), "the log")

    def test_max_execution_time(self, site):
        answer = get(site, "/spin")
        assert answer.status == 500
        assert ours(answer.headers) == V2
        until(lambda: "Maximum execution time" in site.log(), "the log")

    @pytest.mark.parametrize("length, ends", [("0", True), ("99", False)])
    def test_max_execution_time_half_way(self, site, length, ends):
        """PHP ends the answer in order: its length alone would tell."""
        assert whole(site, f"/spin/{length}") == ends

    def test_killed_half_way(self, site):
        """E52, E102: the mail client sees it."""
        before = len(site.log())
        assert not whole(site, "/half")
        until(lambda: " allow 200 handler-died " in site.log()[before:],
              "the log")
        assert get(site, "/echo").status == 200

    @pytest.mark.parametrize("n", [1, 100000, 12 << 20])
    def test_body_not_read(self, site, n):
        answer = site.ask("POST", "/early", headers=sender(SENDER),
                          body=body_of(n))
        assert answer.status == 200 and answer.body == b"early"

    def test_large_answer(self, site):
        assert get(site, "/body/50000000").body == b"b" * 50000000

    def test_client_leaves(self, site):
        """E77: PHP ends the script when it cannot write."""
        ended = site.scripts / "ended"
        ended.unlink(missing_ok=True)
        with socket.create_connection(("127.0.0.1", site.port)) as s:
            s.sendall(b"GET %s/flood HTTP/1.1\r\nHost: x\r\n"
                      b"AMP-Email-Sender: %s\r\n\r\n" % (
                          site.base.encode(), SENDER.encode()))
            assert s.recv(1000)
        until(ended.exists, "the script's end")


class PhpUnbuffered(Php, Unbuffered):
    sample = "nginx-php.conf"
    policy = "spool_max = 64K"


class TestUnknownLength:
    """E36: PHP drops a body of which it is not told the length."""

    way = PhpUnbuffered

    @pytest.mark.parametrize("n", [1, 5000, 65536])
    def test_arrives(self, site, n):
        body = body_of(n)
        answer = chunked(site, "/echo", body)
        assert answer.status == 200, (answer, site.errors())
        assert answer.body == echo(body)
        assert ours(answer.headers) == V2
        answer = chunked(site, "/variable/CONTENT_LENGTH", body)
        assert answer.body == b"%d" % n

    def test_too_large(self, site):
        before = site.ran()
        answer = chunked(site, "/echo", body_of(65537))
        assert answer.reason() == "body-too-large"
        assert ours(answer.headers) == V2
        assert site.ran() == before

    def test_line_by_line(self, site):
        """E67, through all three of them."""
        with socket.create_connection(("127.0.0.1", site.port)) as s:
            s.settimeout(WAIT)
            s.sendall(b"GET %s/slow/4 HTTP/1.0\r\nAMP-Email-Sender: %s"
                      b"\r\n\r\n" % (site.base.encode(), SENDER.encode()))
            times = []
            while piece := s.recv(65536):
                times += [time.monotonic()] * piece.count(b"line\n")
        assert len(times) == 4
        assert times[3] - times[0] > 0.6


def at_once(site, n, path="/wait/200"):
    """Requests at the same time; each with a body of its own."""
    def one(i):
        body = b"%d" % i
        try:
            answer = site.ask("POST", path, headers=sender(SENDER),
                              body=body)
        except (OSError, http.client.HTTPException) as error:
            answers[i] = error
            return
        answers[i] = (answer.status, answer.body == echo(body),
                      ours(answer.headers) == V2)
    answers = [None] * n
    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


TWO = {"pm = dynamic": "pm = static",
       "pm.max_children = 20": "pm.max_children = 2"}
GOOD = (200, True, True)


class PhpTwo(PhpUnix):
    pool = TWO


class PhpTwoTcp(PhpTcp):
    pool = TWO


class PhpTwoKept(PhpUnix):
    policy = "forward_keep = 1"
    pool = TWO


class TestTwoWorkers:
    """More at once than PHP has processes for: the others wait."""

    way = PhpTwo
    kept = 0

    def test_all_are_answered(self, site):
        assert at_once(site, 12) == [GOOD] * 12

    def test_again(self, site):
        for _ in range(5):
            assert at_once(site, 4, "/wait/10") == [GOOD] * 4
        until(lambda: site.kept() == self.kept, "the others' ends")


class TestTwoWorkersTcp(TestTwoWorkers):
    way = PhpTwoTcp


class TestTwoWorkersKept(TestTwoWorkers):
    """E105: one is kept, the other one is for who comes."""

    way = PhpTwoKept
    kept = 1


class TestRestart:
    """PHP-FPM ends, and comes again, behind a front that keeps
    connections."""

    way = PhpKept

    def test_between_requests(self, site):
        for _ in range(3):
            assert at_once(site, 3, "/wait/50") == [GOOD] * 3
            assert site.kept() >= 1
            site.stop_fpm()
            assert site.start_fpm()
            assert at_once(site, 3, "/wait/50") == [GOOD] * 3

    def test_reload(self, site):
        """USR2: the master stays, and its workers are new."""
        for _ in range(3):
            assert get(site, "/echo").status == 200
            log = site.run / "fpm.log"
            before = len(log.read_text())
            site.fpm.send_signal(signal.SIGUSR2)
            until(lambda: "ready to handle" in log.read_text()[before:],
                  "new workers")
            assert get(site, "/echo").status == 200

    def test_gone(self, site):
        site.stop_fpm()
        try:
            answer = get(site, "/echo")
            assert (answer.status, answer.reason()) == (
                502, "backend-refused")
            assert ours(answer.headers) == V2
        finally:
            assert site.start_fpm()
        assert get(site, "/echo").status == 200


class PhpHasty(PhpUnix):
    pool = {"request_terminate_timeout = 50": "request_terminate_timeout = 1"}


class TestTerminated:
    """A worker that its master ends."""

    way = PhpHasty

    def test_hang(self, site):
        answer = get(site, "/hang")
        assert (answer.status, answer.reason()) == (502, "backend-refused")
        assert ours(answer.headers) == V2
        assert get(site, "/echo").status == 200


class PhpSilent(PhpUnix):
    policy = "timeout = 2"


class TestSilent:
    """A worker that says nothing."""

    way = PhpSilent

    def test_timeout(self, site):
        answer = get(site, "/hang")
        assert (answer.status, answer.reason()) == (504, "handler-timeout")
        assert ours(answer.headers) == V2
        assert get(site, "/echo").status == 200
