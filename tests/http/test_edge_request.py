"""What web servers make of odd requests, and what the front makes of that:
E2, E4, E10, E11, E14, E15, E25, E28, with the servers that do it."""

import os
import pwd
import re
import socket

import pytest

import fcgi
import kit
import servers
from kit import SENDER, V2, echo, of_fcgi, ours
from test_authorizer import authorizer
from test_command_line import fill
from test_doors import start_as
from test_ways import sender
from test_ways_more import running, ways

__all__ = ["running"]
NOBODY = pwd.getpwnam("nobody")


class NginxTwice(servers.NginxUnix):
    """A configuration that sets parameters again behind its include, and
    takes names with an underscore."""

    AGAIN = {"QUERY_STRING": "query_string", "REQUEST_METHOD":
             "request_method", "CONTENT_LENGTH": "content_length",
             "SCRIPT_NAME": "http_x_name", "REMOTE_PORT": "http_x_port"}

    def location(self):
        include = "include /etc/nginx/fastcgi_params;\n"
        text = super().location()
        assert include in text
        return text.replace(include, include + "".join(
            f"fastcgi_param {name} ${value} if_not_empty;\n"
            for name, value in self.AGAIN.items()), 1)

    def more(self):
        return "underscores_in_headers on;"


@ways(NginxTwice)
class TestNginxTwice:
    """E2, E4: each of these goes out twice."""

    @pytest.mark.parametrize("method, body", [
        ("GET", None), ("POST", b"abc"), ("HEAD", None)])
    def test_equal(self, running, method, body):
        answer = running.ask(method, query="a=b", headers=sender(SENDER),
                             body=body)
        assert answer.status == 200, (answer, running.errors())
        assert ours(answer.headers) == V2

    @pytest.mark.parametrize("field, value, status, reason", [
        ("X-Name", "/other", 403, "variable-repeated"),
        ("X-Port", "1", 400, "bad-request")])
    def test_different(self, running, field, value, status, reason):
        before = running.ran()
        answer = running.ask(headers=sender(SENDER) + [(field, value)])
        assert (answer.status, answer.reason()) == (status, reason)
        assert running.ran() == before

    @pytest.mark.parametrize("second", [SENDER, "evil@evil.example"])
    @pytest.mark.parametrize("first", ["AMP-Email-Sender",
                                       "AMP_Email_Sender"])
    def test_underscores(self, running, first, second):
        """nginx hands on both, under one name."""
        other = {"AMP-Email-Sender": "AMP_Email_Sender"}.get(
            first, "AMP-Email-Sender")
        before = running.ran()
        answer = running.ask(headers=[(first, SENDER), (other, second)])
        assert (answer.status, answer.reason()) == (403, "variable-repeated")
        assert running.ran() == before


@ways(servers.NginxUnix, servers.LighttpdSocket, servers.ApacheProxy,
      servers.Caddy, servers.LighttpdCgi, servers.ApacheCgi,
      servers.NginxFcgiwrap)
class TestHandlersVariables:
    """E15, as these servers pass them."""

    @pytest.mark.parametrize("body", [None, b"abc"])
    def test_no_hop_by_hop(self, running, body):
        answer = running.ask(
            "GET" if body is None else "POST", "/env", body=body,
            headers=sender(SENDER) + [
                ("Content-Type", "text/x-test"), ("Keep-Alive", "5"),
                ("TE", "trailers"), ("Connection", "close, TE")])
        assert answer.status == 200, (answer, running.errors())
        got = answer.variables()
        hop = {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_CONNECTION",
               "HTTP_KEEP_ALIVE", "HTTP_TE", "HTTP_TRANSFER_ENCODING",
               "HTTP_PROXY", "FCGI_ROLE"}
        assert set(got) & hop == set()
        if body is not None:
            assert got["CONTENT_TYPE"] == "text/x-test"
            assert got["CONTENT_LENGTH"] == "3"


class TestEmpty:
    """E10, E11: nginx and proxies send empty ones."""

    @pytest.mark.parametrize("value", ["", "http://evil.example/"])
    def test_proxy(self, way, value):
        assert "HTTP_PROXY" not in way.ask(
            path="/env", HTTP_PROXY=value).variables()

    @pytest.mark.parametrize("more", [
        {"CONTENT_LENGTH": "", "CONTENT_TYPE": ""}, {"CONTENT_LENGTH": "0"},
        {"CONTENT_TYPE": ""}])
    def test_no_body(self, way, more):
        answer = way.ask(**more)
        assert answer.status == 200 and answer.body == echo(b"")


PHASES = ["AUTHENTICATOR", "AUTHORIZER", "ACCESS_CHECKER"]


class ApachePhases(servers.OnTcp, servers.Apache):
    """mod_authnz_fcgi, once as each of what it can be."""

    policy = "exec = {handler}\nhandler = none"
    modules = servers.Apache.modules + (
        "authn_core", "authz_user", "auth_basic", "authnz_fcgi", "dir")
    LINES = {
        "/amp/n": "AuthType Basic\nAuthName x\nAuthBasicProvider amp-n\n"
                  "Require valid-user",
        "/amp/z": "AuthType Basic\nAuthName x\nAuthBasicProvider amp-n\n"
                  "Require amp-z",
        "/amp/c": "AuthType None\nAuthnzFcgiCheckAuthnProvider amp-nz "
                  "Authoritative On RequireBasicAuth Off UserExpr amp\n"
                  "Require valid-user",
    }

    def before(self):
        self.policy = "handler = none"
        self.front.configure(self.policy, "", servers.TABLE_POLICY)
        amp = self.folder.make("www/amp")
        for where in self.LINES:
            kit.write(amp / where[-1], "its file\n")
        super().before()

    def sample(self):
        url = f"fcgi://{self.pass_to}/"
        return servers.wrapped(
            f"AuthnzFcgiDefineProvider authn amp-n {url}",
            f"AuthnzFcgiDefineProvider authz amp-z {url}",
            f"AuthnzFcgiDefineProvider authnz amp-nz {url}",
            f"<Directory {self.www}>\n</Directory>",
            *(f"<Location {where}>\n{text}\n</Location>"
              for where, text in self.LINES.items()))


@ways(ApachePhases)
class TestApachePhases:
    """E14: Apache asks in three phases of a request."""

    @pytest.mark.parametrize("phase", ["n", "z", "c"])
    @pytest.mark.parametrize("who", [SENDER, "a@b.example", None])
    def test_same_decision(self, running, phase, who):
        basic = [("Authorization", "Basic YTpi")]
        headers = basic + (sender(who) if who else [])
        seen = len(running.front.log())
        answer = running.ask(path="/" + phase, headers=headers)
        said = re.findall(r" (allow|deny) \d+ ([a-z-]+) ",
                          running.front.log()[seen:])
        if who == SENDER:
            assert answer.status == 200, (answer, running.errors())
            assert answer.body == b"its file\n"
            assert set(said) == {("allow", "ok")}
        else:
            assert answer.status in (401, 403)
            assert b"its file" not in answer.body
            assert said[0] == ("deny", "sender-not-allowed" if who else
                               "no-amp-headers")


class TestPhases:
    """E14, as records."""

    @pytest.fixture(scope="class")
    def server(self, shared):
        shared.configure(whole="[policy]\nsenders = {sender}\n"
                         "handler = none\n")
        return shared.start()

    @pytest.mark.parametrize("phase", PHASES)
    @pytest.mark.parametrize("who, status", [
        (SENDER, 200), ("a@b.example", 403), (None, 403)])
    def test_same_decision(self, server, phase, who, status):
        items = authorizer(sender=who, FCGI_APACHE_ROLE=phase,
                           FCGI_ROLE="AUTHORIZER")
        with server.connect() as client:
            client.send(fcgi.begin(role=fcgi.AUTHORIZER)
                        + fcgi.stream(fcgi.PARAMS, fcgi.pairs(items))
                        + fcgi.record(fcgi.STDIN))
            assert of_fcgi(client.answer()).status == status


class TestMayRun:
    """E25: who may run a file is what the kernel says."""

    root_alone = True

    @pytest.mark.parametrize("owner, group, mode, status", [
        (0, NOBODY.pw_gid, 0o750, 200), (0, NOBODY.pw_gid, 0o710, 200),
        (0, NOBODY.pw_gid, 0o740, 403), (0, 0, 0o750, 403),
        (NOBODY.pw_uid, 0, 0o077, 403), (NOBODY.pw_uid, 0, 0o500, 200),
        (0, 0, 0o001, 200), (0, 0, 0o666, 403)])
    def test_mode(self, front, owner, group, mode, status):
        root = front.path / "scripts"
        fill(front, root)
        os.chown(root / "h.cgi", owner, group)
        (root / "h.cgi").chmod(mode)
        front.configure(whole=f"[policy]\nsenders = {{sender}}\n"
                        f"scripts = {root}\n")
        start_as(front, NOBODY)
        answer = front.ask(script="/s/h.cgi", path="/echo",
                           SCRIPT_FILENAME=f"{root}/h.cgi")
        assert answer.status == status, answer
        if status == 403:
            assert answer.reason() == "handler-forbidden"


class ApacheNph(servers.ApacheShebang):
    """The script once more, under a name that means something to Apache."""

    base = "/amp-scripts/nph-h.sh"

    def make_scripts(self):
        super().make_scripts()
        kit.write(self.scripts / "nph-h.sh",
                  (self.scripts / "h.sh").read_bytes(), 0o755)


class TestNph:
    """E28: to a server that lets such scripts write the whole answer, the
    front's is none, as INSTALL says; nobody gets in by it."""

    @pytest.fixture(scope="class")
    def site(self, class_folder, helper):
        made = ApacheNph(class_folder, helper)
        try:
            yield made.start()
        finally:
            made.stop()

    @pytest.mark.parametrize("who", [SENDER, "a@b.example"])
    def test_apache(self, site, who):
        before = site.ran()
        with socket.create_connection(("127.0.0.1", site.port)) as s:
            s.settimeout(10)
            s.sendall(b"GET %s/echo HTTP/1.0\r\nAMP-Email-Sender: %s\r\n\r\n"
                      % (site.base.encode(), who.encode()))
            data = b"".join(iter(lambda: s.recv(65536), b""))
        assert data.startswith(b"Status: ")
        assert site.ran() == before + (who == SENDER)
