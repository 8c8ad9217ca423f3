#include "conf_risk.h"

#include <stdio.h>
#include <string.h>

struct risk {
	enum fault code; /* its word is the risk's name */
	enum conf_risk risk;
};

static const struct risk named[] = {
	{ FAULT_ANY_SENDER, CONF_RISK_ANY_SENDER },
	{ FAULT_PUBLIC_SUFFIX, CONF_RISK_PUBLIC_SUFFIX },
	{ FAULT_FREE_MAIL, CONF_RISK_FREE_MAIL },
	{ FAULT_ANY_ORIGIN, CONF_RISK_ANY_ORIGIN },
	{ FAULT_NULL_ORIGIN, CONF_RISK_NULL_ORIGIN },
	{ FAULT_HTTP_ORIGIN, CONF_RISK_HTTP_ORIGIN },
};

/* Domains where anybody, or any customer, can have an address. */
static const char *const free_mail[] = { "gmail.com", "googlemail.com",
	"outlook.com", "outlook.de", "outlook.es", "outlook.fr", "outlook.it",
	"outlook.jp", "hotmail.com", "hotmail.be", "hotmail.co.jp",
	"hotmail.co.uk", "hotmail.com.br", "hotmail.de", "hotmail.es",
	"hotmail.fr", "hotmail.it", "hotmail.nl", "live.com", "live.be",
	"live.ca", "live.cn", "live.co.uk", "live.com.au", "live.com.mx",
	"live.de", "live.fr", "live.it", "live.jp", "live.nl", "msn.com",
	"passport.com", "windowslive.com", "yahoo.com", "yahoo.ca",
	"yahoo.co.id", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk",
	"yahoo.com.ar", "yahoo.com.au", "yahoo.com.br", "yahoo.com.hk",
	"yahoo.com.mx", "yahoo.com.ph", "yahoo.com.sg", "yahoo.com.tw",
	"yahoo.com.vn", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.gr",
	"yahoo.ie", "yahoo.in", "yahoo.it", "yahoo.pl", "yahoo.ro", "yahoo.se",
	"ymail.com", "rocketmail.com", "myyahoo.com", "aol.com", "aol.co.uk",
	"aol.de", "aol.fr", "aim.com", "verizon.net", "icloud.com", "me.com",
	"mac.com", "proton.me", "protonmail.com", "protonmail.ch", "pm.me",
	"tutanota.com", "tutanota.de", "tutamail.com", "tuta.com", "tuta.io",
	"keemail.me", "gmx.de", "gmx.net", "gmx.com", "gmx.at", "gmx.ch",
	"gmx.co.uk", "gmx.fr", "gmx.us", "web.de", "email.de", "mail.de",
	"t-online.de", "magenta.de", "freenet.de", "arcor.de", "posteo.de",
	"posteo.net", "mailbox.org", "mail.com", "email.com", "usa.com",
	"fastmail.com", "fastmail.fm", "hushmail.com", "hush.com", "hey.com",
	"duck.com", "mozmail.com", "zoho.com", "zohomail.com", "zohomail.eu",
	"lycos.com", "inbox.com", "inbox.lv", "inbox.ru", "mail.ru", "bk.ru",
	"list.ru", "internet.ru", "yandex.ru", "yandex.com", "yandex.by",
	"yandex.kz", "yandex.ua", "ya.ru", "narod.ru", "rambler.ru", "ukr.net",
	"i.ua", "meta.ua", "abv.bg", "mail.bg", "seznam.cz", "email.cz",
	"centrum.cz", "post.cz", "azet.sk", "centrum.sk", "wp.pl", "o2.pl",
	"onet.pl", "op.pl", "interia.pl", "poczta.onet.pl", "tlen.pl",
	"freemail.hu", "citromail.hu", "libero.it", "virgilio.it", "alice.it",
	"tin.it", "tim.it", "tiscali.it", "orange.fr", "wanadoo.fr", "free.fr",
	"laposte.net", "sfr.fr", "neuf.fr", "bbox.fr", "sapo.pt", "telenet.be",
	"skynet.be", "proximus.be", "ziggo.nl", "kpnmail.nl", "home.nl",
	"planet.nl", "bluewin.ch", "hispeed.ch", "btinternet.com", "sky.com",
	"talktalk.net", "virginmedia.com", "ntlworld.com", "blueyonder.co.uk",
	"comcast.net", "xfinity.com", "att.net", "sbcglobal.net",
	"bellsouth.net", "cox.net", "charter.net", "spectrum.net",
	"earthlink.net", "juno.com", "netzero.net", "optonline.net",
	"frontier.com", "shaw.ca", "rogers.com", "sympatico.ca", "videotron.ca",
	"bigpond.com", "optusnet.com.au", "xtra.co.nz", "uol.com.br",
	"bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "qq.com",
	"vip.qq.com", "foxmail.com", "163.com", "126.com", "yeah.net",
	"sina.com", "sina.cn", "sohu.com", "aliyun.com", "139.com", "189.cn",
	"naver.com", "daum.net", "hanmail.net", "kakao.com", "nate.com",
	"docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp", "i.softbank.jp",
	"rediffmail.com", "walla.co.il", "mynet.com" };

enum { RISKS = sizeof(named) / sizeof(named[0]) };

unsigned
conf_risk_named(struct span name)
{
	for (size_t i = 0; i < RISKS; i++)
		if (span_eq(name, span_of(fault_word(named[i].code))))
			return named[i].risk;
	return 0;
}

static enum fault
code_of(enum conf_risk risk)
{
	size_t i = 0;

	while (named[i].risk != risk)
		i++;
	return named[i].code;
}

static void
report(struct conf_reader *r, const char *file, struct scan_place at,
    struct span word, enum conf_risk risk, const char *why)
{
	enum fault code = code_of(risk);
	char expected[120];

	snprintf(expected, sizeof(expected),
	    "leave it out, or write accept_risk = %s", fault_word(code));
	conf_faults_error(r->faults, code, file, at, expected, "'%.*s' %s",
	    CONF_WORD(word), why);
}

/* Does this word of an INI list make the same rule? */
static bool
is_rule(struct span word, const struct rules_rule *as)
{
	struct rules_rule rule;

	return rules_parse(word, true, &rule) &&
	    span_eq((struct span){ rule.key, rule.n },
		(struct span){ as->key, as->n });
}

/* A list knows lines alone: the column of a word is found in the value. */
static struct scan_place
place_of(struct conf_reader *r, const struct conf_entry *e,
    const struct rules_rule *rule, struct rules_at at)
{
	struct span rest = e->value, word;

	while (at.file == r->faults->file && span_word(&rest, &word))
		if (is_rule(word, rule))
			return conf_keys_at(e, word);
	return (struct scan_place){ at.line, 1 };
}

/* The list is asked for the rule's own key, so that a deny of it counts. */
static void
check_rule(struct conf_reader *r, const struct conf_entry *e,
    struct rules_source list, const char *text, enum conf_risk risk,
    const char *why)
{
	struct rules_keys one = { .n = 1 };
	struct rules_at at = { NULL, 0 };
	struct rules_rule rule;
	size_t level;

	if (!rules_parse(span_of(text), true, &rule))
		return;
	one.key[0] = (struct span){ rule.key, rule.n };
	if (list.find(list.ctx, &one, &level, &at) == RULES_ALLOW)
		report(r, at.file, place_of(r, e, &rule, at), span_of(text),
		    risk, why);
}

/*
 * "*@mail.example", and "*@*." with a parent of it, which lets in the same
 * people.
 */
static void
check_free_mail(struct conf_reader *r, const struct conf_entry *e,
    struct rules_source list, const char *domain)
{
	char rule[80];

	snprintf(rule, sizeof(rule), "*@%s", domain);
	check_rule(r, e, list, rule, CONF_RISK_FREE_MAIL,
	    "lets in everybody who has an address at a public mail provider");
	while ((domain = strchr(domain, '.')) != NULL) {
		snprintf(rule, sizeof(rule), "*@*%s", domain++);
		check_rule(r, e, list, rule, CONF_RISK_FREE_MAIL,
		    "covers public mail providers, where everybody can have "
		    "an address");
	}
}

void
conf_risk_senders(struct conf_reader *r, const struct conf_entry *e,
    struct rules_source list, unsigned risks)
{
	if ((risks & CONF_RISK_ANY_SENDER) != 0)
		check_rule(r, e, list, "*", CONF_RISK_ANY_SENDER,
		    "lets every sender in the world ask");
	if ((risks & CONF_RISK_FREE_MAIL) != 0)
		for (size_t i = 0; i < sizeof(free_mail) / sizeof(*free_mail);
		     i++)
			check_free_mail(r, e, list, free_mail[i]);
}

void
conf_risk_origins(struct conf_reader *r, const struct conf_entry *e,
    unsigned risks)
{
	struct span rest = e->value, word;

	while (span_word(&rest, &word)) {
		struct scan_place at = conf_keys_at(e, word);

		if (span_eq(word, SPAN("*")) && (risks & CONF_RISK_ANY_ORIGIN))
			report(r, NULL, at, word, CONF_RISK_ANY_ORIGIN,
			    "lets pages of every https origin read answers");
		if (span_eq(word, SPAN("null")) &&
		    (risks & CONF_RISK_NULL_ORIGIN))
			report(r, NULL, at, word, CONF_RISK_NULL_ORIGIN,
			    "is the origin of any sandboxed or local page");
		if (span_starts(word, SPAN("http://")) &&
		    origin_rule_valid(word) && (risks & CONF_RISK_HTTP_ORIGIN))
			report(r, NULL, at, word, CONF_RISK_HTTP_ORIGIN,
			    "can be forged by everybody on the network");
	}
}

unsigned
conf_risk_left(struct conf_entry *e, unsigned accepted)
{
	unsigned left = ~(accepted | e->risks_seen);

	e->risks_seen |= left;
	return left;
}
