"""The front decides, and the web server serves: nginx's auth_request,
lighttpd's authorizer and Apache's mod_authnz_fcgi before files, CGI programs
and PHP [SPEC 1.7, 4.1, 5.2, E13, E99, E100]."""

import http.client
import json
import os
import pwd
import socket

import pytest

import kit
import servers
from kit import ORIGIN, SENDER, V2, echo, ours, version1
from test_php_fpm import program
from test_ways import (ALLOWED, REFUSED, SIZES, V1_QUERY, assert_vary,
                       body_of, origin, sender)
from test_ways_more import chunked

PHP_SOCKET = "/run/php/amp.sock"
LUA = "/etc/lighttpd/amp-cors.lua"

# what a handler says that is not its own to say; and what is
OWN = ["AMP-Email-Allow-Sender: from@handler.example",
       "AMP-Email-Allow-Sender: again@handler.example",
       "AMP-Access-Control-Allow-Source-Origin: from@handler.example",
       "AMP-Redirect-To: https://handler.example/",
       "Access-Control-Allow-Origin: *",
       "access-control-allow-origin: https://handler.example",
       "Access-Control-Allow-Credentials: true",
       "Access-Control-Allow-Headers: X-Handler",
       "Access-Control-Allow-Methods: PUT",
       "Access-Control-Expose-Headers: X-Handler",
       "Access-Control-Max-Age: 5",
       "Vary: Accept", "X-Handler: here"]
OWNED = sorted({line.split(":")[0].title() for line in OWN
                if line[0] in "Aa"})

CGI = """\
#!/bin/sh
cd "{scripts}" && exec {handler} "$PATH_INFO"
"""
# bad-cgi's behaviours, as far as they are wanted here
PHP = """\
<?php
file_put_contents("{scripts}/ran", "x", FILE_APPEND);
header("Content-Type: application/json");
[, $what, $arg] = explode("/", ($_SERVER["PATH_INFO"] ?? "") . "///");
$in = file_get_contents("php://input");
if ($what == "status")
    http_response_code((int)$arg);
if ($what == "raw") {
    http_response_code(422);
    foreach (file("{scripts}/own-fields", FILE_IGNORE_NEW_LINES) as $line)
        header($line, false);
}
if ($what == "env") {
    echo "cwd=\\0";
    foreach ($_SERVER as $name => $value)
        if (is_string($value) && $name != "argv")
            echo "env $name=$value\\0";
} else
    printf("{\\"length\\":%d,\\"sum\\":\\"%s\\"}\\n", strlen($in),
        hash("adler32", $in));
"""
HANDLERS = ["/h.cgi", "/h.php"]
FILE = '{"items":[]}\n'


class Deciding:
    """Stands before a web server's class: the handlers are the server's."""

    base = "/amp"
    policy = "handler = none"
    refusal = "application/json"

    def make_scripts(self):
        self.amp = self.folder.make("www/amp")
        self.scripts = self.folder.make("scripts")
        self.put("list.json", FILE)
        self.put("h.cgi", CGI, 0o755)
        self.put("h.php", PHP)
        self.folder.make("www/amp/dir")
        self.put("dir/index.php", PHP)
        own = "\n".join(OWN) + "\n"
        kit.write(self.scripts / "own-fields", own)
        kit.write(self.scripts / "own", "Status: 422\n" + own
                  + "Content-Type: application/json\n\n{}\n")
        # whoever runs the handlers
        kit.write(self.scripts / "ran", "", 0o666)

    def put(self, name, text, mode=0o644):
        text = text.replace("{scripts}", str(self.scripts))
        text = text.replace("{handler}", str(self.front.handler))
        kit.write(self.amp / name, text, mode)

    def before(self):
        self.php = f"{self.run}/php.sock"
        replace = {f"listen = {PHP_SOCKET}": f"listen = {self.php}"}
        if not servers.ROOT:
            me = pwd.getpwuid(os.geteuid()).pw_name
            replace["listen.owner = www-data"] = f"listen.owner = {me}"
            replace["listen.group = www-data"] = ""
        kit.write(self.run / "pool.conf",
                  servers.sample("php-fpm-amp.conf", replace))
        conf = kit.write(self.run / "fpm.conf", servers.wrapped(
            "[global]", f"error_log = {self.run}/fpm.log",
            f"include = {self.run}/pool.conf"))
        self.child("fpm.out", [program(), "-F", "-y", conf])
        kit.until(lambda: kit.answers(self.php), "PHP-FPM")
        super().before()

    def restart(self):
        """The front alone, at the same address."""
        self.front.start(front=self.program)

    def configure(self, whole):
        self.front.stop()
        self.front.configure(self.policy, "socket_mode = 0666", whole)
        self.restart()

    def raw(self, target, *lines):
        """The answer to a target that no client of ours would write."""
        text = [f"GET {target} HTTP/1.1", "Host: localhost", *lines,
                "Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self.port), 20) as s:
            s.sendall("\r\n".join(text).encode("latin-1"))
            pieces = iter(lambda: s.recv(65536), b"")
            return b"".join(pieces)


class NginxAuth(Deciding, servers.NginxUnix):
    sample = "nginx-auth-request.conf"
    version = None  # there is no field that tells it
    down = (500, 502)
    guards = ["/amp-cors-check", "@amp-cors-answer"]

    def paths(self):
        return {servers.WWW: self.www, servers.SOCKET: self.front.socket,
                PHP_SOCKET: self.php,
                "/run/fcgiwrap.socket": f"{self.run}/wrap.sock"}

    def more(self):
        # a site's own, which must not get what the sample guards
        return servers.wrapped(
            "index index.html index.php;",
            "location ~ \\.json$ { expires 1h; }",
            "location ~ \\.(php|cgi)$ {",
            "include /etc/nginx/fastcgi_params; fastcgi_param"
            " SCRIPT_FILENAME $document_root$fastcgi_script_name;",
            f"fastcgi_pass unix:{self.php}; }}")

    def before(self):
        servers.NginxFcgiwrap.before(self)
        super().before()


class NginxAuthKept(NginxAuth):
    """With connections to the front that are kept."""

    kept = True

    def location(self):
        text = super().location()
        return text.replace("fastcgi_pass kept;",
                            "fastcgi_pass kept; fastcgi_keep_conn on;")


class LighttpdAuth(Deciding, servers.LighttpdSocket):
    version = True
    down = (503,)
    lua = {}

    def sample(self):
        kit.write(self.run / "amp-cors.lua", servers.sample(
            "lighttpd-authorizer.lua", self.lua))
        # as in Debian's lighttpd.conf, before all others
        return 'server.modules += ( "mod_indexfile" )\n' + servers.sample(
            "lighttpd-authorizer.conf", {
                servers.SOCKET: self.front.socket, PHP_SOCKET: self.php,
                LUA: f"{self.run}/amp-cors.lua"})

    def more(self):
        return 'index-file.names = ( "index.php" )'


class ApacheAuth(Deciding, servers.OnTcp, servers.Apache):
    modules = servers.Apache.modules + (
        "authn_core", "authz_user", "authnz_fcgi", "headers", "cgid", "dir",
        "proxy", "proxy_fcgi")
    version = True
    down = (500,)
    # Apache takes the field away, and makes one of its own
    refusal = "text/html; charset=iso-8859-1"
    uncomment = False

    def sample(self):
        text = servers.sample("apache-authnz-fcgi.conf", {
            servers.WWW: self.www, PHP_SOCKET: self.php,
            "127.0.0.1:9000": self.pass_to})
        if self.uncomment:
            assert text.count("#Header ") == 2
            text = text.replace("#Header ", "Header ")
        return text

    def more(self):
        return servers.wrapped(
            f"ScriptSock {self.run}/cgi.sock", "DirectoryIndex index.php",
            *(f'Header set {n} "of the site"' for n in OWNED))

    def restart(self):
        host, port = self.pass_to.split(":")
        self.front.start("--listen", self.pass_to, front=self.program,
                         ready=(host, int(port)))


EVERY = pytest.mark.parametrize("path", ["/list.json", "/h.cgi/echo",
                                         "/h.php/echo"])
RUN = pytest.mark.parametrize("handler", HANDLERS)


def assert_refused(site, answer, reason=None):
    """E99: status, fields and body reach the client."""
    assert answer.status == 403, (answer, site.errors())
    assert ours(answer.headers) == []
    assert answer.one("Content-Type") == site.refusal
    assert reason in (None, json.loads(answer.body)["error"]["code"])
    assert answer.one("Cache-Control") == "no-store"
    assert_vary(answer)


def vary(answer):
    return sorted({n.strip().lower() for v in answer.all("Vary")
                   for n in v.split(",")})


class Decisions:
    """The table. A class for each way in adds which one it is."""

    @EVERY
    @pytest.mark.parametrize("name", ALLOWED)
    def test_allowed(self, site, path, name):
        query, headers, expected = ALLOWED[name]
        before = site.ran()
        answer = site.ask(path=path, query=query, headers=headers)
        assert answer.status == 200, (answer, site.errors())
        assert ours(answer.headers) == sorted(expected)
        assert_vary(answer)
        runs = path != "/list.json"
        assert answer.body == (echo(b"") if runs else FILE.encode())
        assert site.ran() == before + runs

    @EVERY
    @pytest.mark.parametrize("name", REFUSED)
    def test_refused(self, site, path, name):
        query, headers, reason = REFUSED[name]
        before = site.ran()
        assert_refused(site, site.ask(path=path, query=query,
                                      headers=headers), reason)
        assert site.ran() == before

    @EVERY
    @pytest.mark.parametrize("field", ["AMP-Email-Sender", "Origin"])
    @pytest.mark.parametrize("second", ["same", "other"])
    def test_repeated_field(self, site, path, field, second):
        """E1, E3: the handler might take the other one."""
        value = SENDER if field == "AMP-Email-Sender" else ORIGIN
        twin = value if second == "same" else "x" + value
        before = site.ran()
        assert_refused(site, site.ask(
            path=path, query=V1_QUERY,
            headers=[(field, value), (field, twin)]))
        assert site.ran() == before

    @EVERY
    @pytest.mark.parametrize("blanks", [[], [("AMP-Email-Sender", "\t")]])
    def test_preflight(self, site, path, blanks):
        """E100; a sender of blanks is none (SPEC 1.2)."""
        before = site.ran()
        answer = site.ask("OPTIONS", path, headers=origin(ORIGIN) + blanks + [
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "amp-email-sender,x-evil")])
        assert answer.status == 204, (answer, site.errors())
        assert ours(answer.headers) == [
            ("Access-Control-Allow-Headers", "AMP-Email-Sender, Content-Type"),
            ("Access-Control-Allow-Methods", "GET, POST"),
            ("Access-Control-Allow-Origin", ORIGIN),
            ("Access-Control-Max-Age", "600")]
        assert answer.body == b""
        assert_vary(answer)
        assert site.ran() == before

    @EVERY
    def test_preflight_refused(self, site, path):
        before = site.ran()
        assert_refused(site, site.ask(
            "OPTIONS", path, headers=origin("https://evil.example") + [
                ("Access-Control-Request-Method", "POST")]),
            "origin-not-allowed")
        assert site.ran() == before

    @RUN
    @pytest.mark.parametrize("size", SIZES)
    def test_post(self, site, handler, size):
        body = body_of(SIZES[size])
        for query, headers, expected in (
                ("", sender(SENDER), V2),
                (V1_QUERY, origin(ORIGIN), version1())):
            answer = site.ask("POST", handler + "/echo", query, headers, body)
            assert answer.status == 200, (answer, site.errors())
            assert answer.body == echo(body)
            assert ours(answer.headers) == expected

    @RUN
    @pytest.mark.parametrize("size", SIZES)
    def test_post_refused(self, site, handler, size):
        before = site.ran()
        assert_refused(site, site.ask(
            "POST", handler + "/echo", headers=sender("a@b.example"),
            body=body_of(SIZES[size])), "sender-not-allowed")
        assert site.ran() == before

    @RUN
    @pytest.mark.parametrize("size", SIZES)
    def test_chunked(self, site, handler, size):
        """E35, E36: a body that comes without a length."""
        body = body_of(SIZES[size])
        answer = chunked(site, handler + "/echo", body)
        assert answer.status == 200, (answer, site.errors())
        assert answer.body == echo(body)
        assert ours(answer.headers) == V2

    @RUN
    @pytest.mark.parametrize("status", [200, 404, 422, 500])
    def test_status(self, site, handler, status):
        """A client looks at our fields before it looks at the status."""
        path = f"{handler}/status/{status}"
        for query, headers, expected in (
                ("", sender(SENDER), V2),
                (V1_QUERY, origin(ORIGIN), version1())):
            answer = site.ask(path=path, query=query, headers=headers)
            assert answer.status == status
            assert answer.body == echo(b"")
            assert ours(answer.headers) == expected
            assert_vary(answer)

    @RUN
    def test_own_fields(self, site, handler):
        """E58: what the handler says of CORS is not heard."""
        for query, headers, expected in (
                ("", sender(SENDER), V2),
                (V1_QUERY, origin(ORIGIN), version1())):
            answer = site.ask(path=handler + "/raw/own", query=query,
                              headers=headers)
            assert answer.status == 422, (answer, site.errors())
            assert ours(answer.headers) == expected
            assert answer.one("X-Handler") == "here"
            assert vary(answer) == ["accept", "amp-email-sender", "origin"]

    def test_missing_file(self, site):
        """The web server's own errors say it too."""
        for query, headers, expected in (
                ("", sender(SENDER), V2),
                (V1_QUERY, origin(ORIGIN), version1())):
            answer = site.ask(path="/missing", query=query, headers=headers)
            assert answer.status == 404
            assert ours(answer.headers) == expected
            assert_vary(answer)
        assert_refused(site, site.ask(path="/missing"), "no-amp-headers")

    def test_index(self, site):
        """One answer, although a server may ask for it twice."""
        before = site.ran()
        answer = site.ask(path="/dir/", headers=sender(SENDER))
        assert answer.status == 200, (answer, site.errors())
        assert ours(answer.headers) == V2
        assert answer.body == echo(b"") and site.ran() == before + 1
        assert_refused(site, site.ask(path="/dir/"), "no-amp-headers")
        assert site.ran() == before + 1

    @EVERY
    def test_head(self, site, path):
        answer = site.ask("HEAD", path, headers=sender(SENDER))
        assert answer.status == 200 and answer.body == b""
        assert ours(answer.headers) == V2
        answer = site.ask("HEAD", path, headers=sender("a@b.example"))
        assert answer.status == 403 and answer.body == b""
        assert ours(answer.headers) == []

    @RUN
    def test_handler_is_told(self, site, handler):
        """SPEC 4.2: who the sender is, and the origin where it counts."""
        got = site.ask(path=handler + "/env",
                       headers=sender(SENDER) + origin(ORIGIN)).variables()
        assert got["AMP_CORS_SENDER"] == SENDER
        assert "AMP_CORS_ORIGIN" not in got
        assert got.get("AMP_CORS_VERSION") == (site.version and "2")
        got = site.ask(path=handler + "/env", query=V1_QUERY,
                       headers=origin(ORIGIN)).variables()
        assert got["AMP_CORS_SENDER"] == SENDER
        assert got["AMP_CORS_ORIGIN"] == ORIGIN
        assert got.get("AMP_CORS_VERSION") == (site.version and "1")

    @RUN
    def test_forged(self, site, handler):
        """Fields named like the variables are only fields; E10."""
        forged = [(f"{a}AMP{d}CORS{d}{n}", "forged@evil.example")
                  for a in ("", "Variable-") for d in "-_"
                  for n in ("SENDER", "ORIGIN", "VERSION")]
        forged.append(("Proxy", "http://evil.example"))
        got = site.ask(path=handler + "/env",
                       headers=sender(SENDER) + forged).variables()
        assert got["AMP_CORS_SENDER"] == SENDER
        assert "AMP_CORS_ORIGIN" not in got
        assert got.get("AMP_CORS_VERSION") == (site.version and "2")
        assert not got.get("HTTP_PROXY")
        before = site.ran()
        assert_refused(site, site.ask(path=handler + "/env", headers=forged),
                       "no-amp-headers")
        assert site.ran() == before

    def test_nothing_stays(self, site):
        """One connection: no field of a request comes with the next one."""
        connection = http.client.HTTPConnection("127.0.0.1", site.port,
                                                timeout=20)
        for path in ("/amp/h.php/echo", "/amp/list.json", "/amp/h.cgi/echo"):
            for query, headers, status, expected in (
                    ("?" + V1_QUERY, origin(ORIGIN), 200, version1()),
                    ("", [], 403, []), ("", sender(SENDER), 200, V2),
                    ("", sender("a@b.example"), 403, [])):
                connection.request("GET", path + query,
                                   headers=dict(headers))
                response = connection.getresponse()
                response.read()
                assert response.status == status
                assert ours(response.getheaders()) == expected
        connection.close()

    def test_many_in_a_row(self, site):
        for i in range(20):
            body = body_of(i * 37)
            handler = HANDLERS[i % 2] + "/echo"
            answer = site.ask("POST", handler, headers=sender(SENDER),
                              body=body)
            assert answer.body == echo(body)
            assert_refused(site, site.ask(
                "POST", handler, headers=sender("a@b.example"), body=body))


class TestNginxAuth(Decisions):
    way = NginxAuth

    @pytest.mark.parametrize("path", ["/amp-cors-check", "/@amp-cors-answer"])
    def test_inside_only(self, site, path):
        """Nobody asks for the guard itself."""
        got = site.raw(path, f"AMP-Email-Sender: {SENDER}")
        assert got.startswith(b"HTTP/1.1 404")

    def test_options(self, site):
        """OPTIONS is the front's to answer: a preflight's 204 in the
        subrequest would let it through."""
        before = site.ran()
        answer = site.ask("OPTIONS", "/h.cgi/echo", headers=sender(SENDER))
        assert answer.status == 200 and answer.body == b""
        assert ours(answer.headers) == V2
        assert_refused(site, site.ask("OPTIONS", "/h.cgi/echo"))
        assert site.ran() == before

    def test_forbidden_file(self, site):
        """A 403 of nginx's own stays one."""
        answer = site.ask(path="/", headers=sender(SENDER))
        assert answer.status == 403
        assert ours(answer.headers) == V2


class TestNginxAuthKept(Decisions):
    way = NginxAuthKept


class TestLighttpdAuth(Decisions):
    way = LighttpdAuth


class TestApacheAuth(Decisions):
    way = ApacheAuth

    def test_user(self, site):
        """A password counts for nothing, and names nobody."""
        basic = [("Authorization", "Basic YTpi")]
        answer = site.ask(path="/h.cgi/env", headers=sender(SENDER) + basic)
        assert answer.variables()["REMOTE_USER"] == "amp"
        before = site.ran()
        for headers in (basic, basic + sender("a@b.example")):
            assert_refused(site, site.ask(path="/h.cgi/echo",
                                          headers=headers))
        assert site.ran() == before


# The rest is set up anew for each class of tests.


@pytest.fixture(scope="class",
                params=[NginxAuth, LighttpdAuth, ApacheAuth],
                ids=lambda way: way.__name__)
def each(request, class_folder, helper):
    """Each of the three, with what a class says of it."""
    changed = getattr(request.cls, "changed", lambda way: {})(request.param)
    way = type(request.param.__name__, (request.param,), changed)
    made = way(class_folder, helper)
    try:
        yield made.start()
    finally:
        made.stop()


class TestPolicy:
    """Keys of the policy that say more than the usual fields."""

    @staticmethod
    def changed(way):
        return {"policy": way.policy + "\ncredentials = yes\n"
                          "expose_headers = X-Total",
                "uncomment": True,
                "lua": {"credentials = false": "credentials = true",
                        'expose = ""': 'expose = "X-Total"'}}

    @pytest.mark.parametrize("path", ["/h.cgi/raw/own", "/h.php/raw/own",
                                      "/list.json"])
    def test_fields(self, each, path):
        def fields(query, headers):
            answer = each.ask(path=path, query=query, headers=headers)
            assert answer.status == (200 if path == "/list.json" else 422)
            return sorted((n, v.replace(",", ", ").replace("  ", " "))
                          for n, v in ours(answer.headers))

        assert fields("", sender(SENDER)) == V2
        name = "AMP-Access-Control-Allow-Source-Origin"
        assert fields(V1_QUERY, origin(ORIGIN)) == [
            (name, SENDER), ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Origin", ORIGIN),
            ("Access-Control-Expose-Headers", f"{name}, X-Total")]
        dev = "https://amp.gmail.dev"
        assert fields("", origin(dev) + sender("amp@gmail.dev")) == [
            ("AMP-Email-Allow-Sender", "amp@gmail.dev"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Origin", dev),
            ("Access-Control-Expose-Headers", "X-Total")]


class TestReport:
    """SPEC 2.8: what would be refused reaches the handler."""

    @staticmethod
    def changed(way):
        return {"policy": way.policy + "\nmode = report"}

    @RUN
    def test_passes(self, each, handler):
        before = each.ran()
        answer = each.ask(path=handler + "/raw/own",
                          headers=sender("a@b.example"))
        assert answer.status == 422
        assert each.ran() == before + 1
        got = {n.lower() for n, _ in ours(answer.headers)}
        if isinstance(each, NginxAuth):
            assert got == set()  # it cannot tell the two apart
        else:
            assert {"amp-email-allow-sender", "amp-redirect-to",
                    "access-control-allow-methods"} <= got
        # it says nothing of a sender that nobody has verified
        got = each.ask(path=handler + "/env",
                       headers=sender("a@b.example")).variables()
        assert not got.get("AMP_CORS_SENDER")
        assert not got.get("AMP_CORS_ORIGIN")

    @RUN
    def test_allowed(self, each, handler):
        answer = each.ask(path=handler + "/raw/own", headers=sender(SENDER))
        assert ours(answer.headers) == V2


class TestDown:
    """No front, no answer: nothing is let through."""

    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
    def test_down(self, each, method):
        body = b"abc" if method == "POST" else None
        preflight = [("Access-Control-Request-Method", "POST")]
        each.front.stop()
        before = each.ran()
        for path in ("/list.json", "/h.cgi/echo", "/h.php/echo", "/dir/"):
            for headers in (sender(SENDER), origin(ORIGIN) + preflight):
                answer = each.ask(method, path, headers=headers, body=body)
                assert answer.status in each.down, answer
                assert ours(answer.headers) == []
                assert FILE.encode() not in answer.body
        assert each.ran() == before
        each.restart()
        # lighttpd waits a second before it tries again
        kit.until(lambda: each.ask(path="/list.json", headers=sender(
            SENDER)).status == 200, "served again")

    def test_no_endpoint(self, each):
        """404, 400 and 503 of the front let nothing through either."""
        each.configure(servers.TABLE_POLICY
                       + "[endpoint x]\npath = /amp/other\n")
        before = each.ran()
        for path in ("/list.json", "/h.cgi/echo", "/h.php/echo"):
            answer = each.ask(path=path, headers=sender(SENDER))
            assert answer.status in (404, 500), answer
            assert ours(answer.headers) == []
        assert each.ran() == before


OWNERS = """\
[policy]
{policy}
[endpoint all]
path = /amp
senders = all@company.example
[endpoint a]
path = /amp/a
senders = a@company.example
[endpoint b]
path = /amp/b
senders = b@company.example
[endpoint file]
path = /amp/form_b
senders = b@company.example
[server]
{server}
"""
# with ways to say '.' and '/', and what some servers take off or change
WAYS_THERE = [
    "/amp/{x}/f", "/amp/{x}/./f", "/amp/{x}//f", "/amp//{x}/f", "//amp/{x}/f",
    "/./amp/{x}/f", "/amp/{y}/../{x}/f", "/amp/{y}/..%2f{x}/f",
    "/amp/{y}%2f..%2f{x}/f", "/amp/{y}/%2e%2e/{x}/f", "/amp/{y}/.%2e/{x}/f",
    "/amp/{y}%2f%2e%2e%2f{x}%2ff", "/amp/{y}/%252e%252e/{x}/f",
    "/amp/{y}/..;/{x}/f", "/amp/{y}/..\\{x}\\f", "/amp/{y}/..%5c{x}/f",
    "/amp/{y}#/../{x}/f", "/amp/{y}%23/../{x}/f", "/amp/{y}?/../{x}/f",
    "/amp/{y}%3f/../{x}/f", "/amp/{x}/f#/../{y}/f", "/amp/{x}/f?/../{y}/f",
    "/amp/{x}/f%00/../../{y}/f", "/amp/{x}/f%23", "/amp/{x}/f%20",
    "/amp/{x}/f#", "/amp/{x}%2ff", "/amp%2f{x}%2ff", "/%61mp/%{n}/f",
    "/amp/%{n}/f", "/amp/%{n}%2ff", "/AMP/{x}/f", "/amp/{X}/f",
    "http://localhost/amp/{x}/f", "http://localhost//amp/{x}/f",
    "http://localhost/amp/{y}/../{x}/f", "http://localhost?/amp/{x}/f",
    "/amp/{x}/f /amp/{y}/f", "/amp/{y}/../../amp/{x}/f",
    "/amp/{y}/...//../{x}/f", "/amp/{x}/%66", "/amp/{x}/f%", "/amp/{x}/f%0",
    "/amp/{x}/f%0a", "/amp/{x}%09/f", "/amp/{x}/../{x}/f", "/..//amp/{x}/f",
]
FORM = ["/amp/form_b", "/amp/form_b#", "/amp/form_b#x", "/amp/form_b#/x",
        "/amp/form%5fb", "/amp/form%01b", "/amp/form%1fb", "/amp/form%7fb",
        "/amp/form\x01b", "/amp/form_b?", "/amp/form_b%00", "/amp/form_b%23",
        "/amp/form_b/", "/amp/form_b;", "/amp/./form_b", "/amp/a/../form_b",
        "/amp//form_b", "/amp/form%255fb", "/amp/form_b%20", "/amp%2fform_b",
        "http://localhost/amp/form_b#"]


class TestPaths:
    """SPEC 2.1: however a URL is written, the policy that decides is the
    one of what is served."""

    @staticmethod
    def changed(way):
        """Also where a server checks less than it does by itself."""
        return {"more": lambda self: way.more(self) + {
            "LighttpdAuth": '\nserver.http-parseopts = ( '
                            '"url-ctrls-reject" => "disable" )',
            "ApacheAuth": "\nHttpProtocolOptions Unsafe\n"
                          "AllowEncodedSlashes On",
        }.get(way.__name__, "")}

    @pytest.fixture(scope="class", autouse=True)
    def files(self, each):
        for owner in ("a", "b"):
            each.folder.make(f"www/amp/{owner}")
            each.put(f"{owner}/f", f"served: {owner}")
        each.put("f", "served: all")
        each.put("form_b", "served: b")
        each.configure(OWNERS)

    @staticmethod
    def served(each, target):
        """What each sender gets to see, if it is another's."""
        seen = {}
        for who in ("all", "a", "b"):
            got = each.raw(target, f"AMP-Email-Sender: {who}@company.example")
            for whose in ("all", "a", "b"):
                if f"served: {whose}".encode() in got:
                    seen[who] = whose
        return seen

    @pytest.mark.parametrize("target", WAYS_THERE)
    def test_folder(self, each, target):
        for x, y in ("ab", "ba"):
            url = target.replace("{x}", x).replace("{y}", y)
            url = url.replace("{X}", x.upper()).replace("{n}", f"{ord(x):x}")
            seen = self.served(each, url)
            assert all(who == whose for who, whose in seen.items()), seen
            if target == "/amp/{x}/f":
                assert seen == {x: x}

    @pytest.mark.parametrize("target", FORM)
    def test_file(self, each, target):
        seen = self.served(each, target)
        assert all(who == whose for who, whose in seen.items()), seen
        if target == "/amp/form_b":
            assert seen == {"b": "b"}
