/* advice: what a careful colleague would say, and only that [SPEC 7.3]. */
#include "advice.h"

#include "tap.h"

#include "remarked.h"

#define POLICY "[policy]\nsenders = a@b.example\n"

static const struct {
	const char *name, *policy, *want;
} cases[] = {
	{ "a useful file", POLICY, "" },
	{ "all versions", POLICY "versions = 1 2\n", "" },
	{ "version 1 alone", POLICY "versions = 1\n",
	    "3:12 warning one-version: versions = 1 refuses whoever sends "
	    "AMP-Email-Sender, and so clients that speak both versions; write "
	    "versions = 2 1: version 1 is deprecated, and both are in use\n" },
	{ "version 2 alone", POLICY "versions = 2\n",
	    "3:12 note one-version: versions = 2 refuses clients that speak "
	    "version 1 alone; look into the log or the metrics before: Gmail "
	    "documents version 1\n" },
	{ "Gmail is left out",
	    POLICY "origins = https://a.example https://google.com\n",
	    "3:11 note no-gmail: origins leave Gmail out; add "
	    "https://mail.google.com; what is written here replaces the "
	    "default\n" },
	{ "Gmail is among others",
	    POLICY "origins = https://a.example https://*.google.com\n", "" },
	{ "Gmail may be what is meant",
	    POLICY "origins = https://mail.google.com/ https://a.example\n",
	    "" },
	{ "Gmail does not matter",
	    POLICY "origins = https://a.example\nversions = 2\n",
	    "4:12 note one-version: versions = 2 refuses clients that speak "
	    "version 1 alone; look into the log or the metrics before: Gmail "
	    "documents version 1\n" },
	{ "no origins at all", POLICY "origins =\n", "" },
	{ "credentials for nobody", POLICY "credentials = yes\n",
	    "3:15 note credentials: credentials = yes is for pages in "
	    "browsers, and there are no browser_origins; leave it out: mail "
	    "clients ask through servers of their own, without a reader's "
	    "cookies\n" },
	{ "credentials for a page",
	    POLICY "credentials = yes\nbrowser_origins = https://a.example\n",
	    "" },
	{ "credentials for everybody",
	    POLICY "credentials = yes\naccept_risk = null-origin\n"
		   "browser_origins = https://a.example null\n",
	    "3:15 warning credentials: credentials = yes with 'null' lets "
	    "pages of anybody read what is answered to a reader's cookies; "
	    "write credentials = no, or name the origins\n" },
	{ "a playground beside senders", POLICY "playground = yes\n",
	    "3:14 note playground: playground = yes beside other senders: "
	    "everybody can ask from the public playgrounds; leave it out when "
	    "the tests are over, or give them an endpoint of their own\n" },
	{ "a playground alone", "[policy]\nplayground = yes\n", "" },
	{ "a policy that only reports", POLICY "mode = report\n",
	    "3:8 warning report-mode: mode = report lets through what the "
	    "policy refuses; write mode = enforce once the log shows what it "
	    "should\n" },
	{ "of the endpoint, not of the policy",
	    POLICY "mode = report\n[endpoint a]\npath = /a\nmode = enforce\n",
	    "" },
	{ "addresses",
	    POLICY "origins = https://1.2.3.4 https://127.1:8443 "
		   "https://0x7f.0.0.1 https://017.0.0.1 https://1.2.3.256 "
		   "https://a.5 https://*.2.3.4 https://a.0x1g https://a5 "
		   "https://[::1] https://16909060 https://mail.google.com "
		   "https://*.1.2.3.4\n",
	    "3:27 warning odd-origin: 'https://127.1:8443' is no origin that "
	    "a browser sends; write https://127.0.0.1:8443\n"
	    "3:46 warning odd-origin: 'https://0x7f.0.0.1' is no origin that "
	    "a browser sends; write https://127.0.0.1\n"
	    "3:65 warning odd-origin: 'https://017.0.0.1' is no origin that "
	    "a browser sends; write https://15.0.0.1\n"
	    "3:83 warning odd-origin: 'https://1.2.3.256' is no origin that "
	    "a browser sends; a host that ends in a number is an IPv4 "
	    "address\n"
	    "3:101 warning odd-origin: 'https://a.5' is no origin that a "
	    "browser sends; a host that ends in a number is an IPv4 "
	    "address\n"
	    "3:113 warning odd-origin: 'https://*.2.3.4' is no origin that a "
	    "browser sends; a host that ends in a number is an IPv4 "
	    "address\n"
	    "3:169 warning odd-origin: 'https://16909060' is no origin that "
	    "a browser sends; write https://1.2.3.4\n"
	    "3:210 warning odd-origin: 'https://*.1.2.3.4' is no origin "
	    "that a browser sends; a host that ends in a number is an IPv4 "
	    "address\n" },
	{ "a playground as a mail client",
	    POLICY "origins = https://mail.google.com https://amp.gmail.dev "
		   "https://playground.amp.dev\n",
	    "3:35 warning misplaced-origin: 'https://amp.gmail.dev' is a "
	    "public playground's, and speaks here for every sender that is "
	    "allowed; take it out, and write playground = yes\n"
	    "3:57 warning misplaced-origin: 'https://playground.amp.dev' is "
	    "a public playground's, and speaks here for every sender that is "
	    "allowed; take it out, and write playground = yes\n" },
	{ "a mail client as a playground",
	    POLICY "browser_origins = https://mail.google.com "
		   "https://amp.gmail.dev https://1\n",
	    "3:19 warning misplaced-origin: 'https://mail.google.com' is a "
	    "mail client's, and no playground's; name it in origins alone\n"
	    "3:65 warning odd-origin: 'https://1' is no origin that a "
	    "browser sends; write https://0.0.0.1\n" },
	{ "playgrounds twice",
	    "[policy]\nplayground = yes\n"
	    "browser_origins = https://amp.gmail.dev\n",
	    "3:19 warning covered-origin: 'https://amp.gmail.dev' is covered "
	    "by playground = yes; leave it out\n" },
	{ "browser_origins without version 2",
	    POLICY "versions = 1\nbrowser_origins = https://a.example\n",
	    "3:12 warning one-version: versions = 1 refuses whoever sends "
	    "AMP-Email-Sender, and so clients that speak both versions; write "
	    "versions = 2 1: version 1 is deprecated, and both are in use\n"
	    "4:19 warning useless-key: browser_origins may read answers to "
	    "version 2 alone, which versions leaves out; leave it out, or "
	    "write versions = 2 1\n" },
	{ "what nobody sees", POLICY "[server]\nlog_level = warning\n",
	    "4:13 warning unseen: this log_level leaves decisions out, and "
	    "nothing counts them; write log_level = info, or set metrics\n" },
	{ "what is counted",
	    POLICY "[server]\nlog_level = error\nmetrics = file:/run/m\n", "" },
	{ "counters where every path is guarded",
	    POLICY "[server]\nmetrics = url:/m\n",
	    "4:11 note metrics-endpoint: metrics = url:/m: whoever can ask "
	    "there is given the counters; let the web server guard that path, "
	    "or write file:\n" },
	{ "counters below an endpoint",
	    POLICY "[endpoint all]\n[endpoint a]\npath = /a\n[server]\n"
		   "metrics = url:/a/m\n",
	    "7:11 warning metrics-endpoint: metrics = url:/a/m is below /a: "
	    "whoever can ask this endpoint is given the counters; let the web "
	    "server guard that path, or name one outside of all endpoints\n" },
	{ "counters beside endpoints",
	    POLICY "[endpoint a]\npath = /a\n[server]\nmetrics = url:/am\n",
	    "" },
	{ "a socket for everybody",
	    POLICY "[server]\nlisten = unix:/run/x.sock\n"
		   "socket_mode = 0666\n",
	    "5:15 warning open-to-all: every user of this machine can "
	    "connect and name a sender; write socket_mode = 0660 and set "
	    "socket_group, or name the web server's user in peers\n" },
	{ "a socket for one",
	    POLICY "[server]\nlisten = unix:/run/x.sock\n"
		   "socket_mode = 0666\npeers = 33\n",
	    "" },
	{ "a policy with faults",
	    "[policy]\nsenders = a\norigins = nonsense https://1\n"
	    "versions = 3\n",
	    "3:20 warning odd-origin: 'https://1' is no origin that a "
	    "browser sends; write https://0.0.0.1\n" },
	{ "said once for many endpoints",
	    POLICY "mode = report\n[endpoint a]\npath = /a\n"
		   "[endpoint b]\npath = /b\n",
	    "3:8 warning report-mode: mode = report lets through what the "
	    "policy refuses; write mode = enforce once the log shows what it "
	    "should\n" },
};

static void
check(const char *policy, enum conf_use use, const char *want, const char *name)
{
	struct conf *c = remarked_load(policy, use);
	struct remark r;
	struct buf said;

	remarked_begin(&r, c, &said);
	advice_policy(&r, c);
	advice_server(&r, c, use);
	remark_end(&r);
	remarked_are(&said, want, name);
	conf_free(c);
}

int
main(void)
{
	folder_make();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(cases[i].policy, CONF_FOR_SERVER, cases[i].want,
		    cases[i].name);
	check(POLICY "[server]\nlisten = unix:/run/x.sock\n"
		     "socket_mode = 0666\n",
	    CONF_FOR_CGI, "", "a socket that CGI does not make");
	check(POLICY "[server]\nmetrics = url:/m\n", CONF_FOR_CGI, "",
	    "counters that CGI does not have");
	folder_remove();
	return tap_done();
}
