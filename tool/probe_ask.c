#include "probe_ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct probe_ask {
	struct probe_ask_options o;
	CURL *curl;
	struct curl_slist *resolve;
	char error[CURL_ERROR_SIZE];
};

/* One request's state, for the callbacks. */
struct heard {
	struct probe_ask *p;
	struct probe_answer *a;
	size_t head, lines;
	bool head_done, head_large, body_large;
};

/* --- what libcurl calls --------------------------------------------------- */

/* Fields are asked for later; here is only seen where the header ends. */
static size_t
on_head(char *line, size_t one, size_t n, void *ctx)
{
	struct heard *h = ctx;
	long status = 0;

	(void)one;
	h->head += n;
	h->lines++;
	/* libcurl walks its list for each field: many are dear */
	h->head_large = h->head > PROBE_HEAD_MAX || h->lines > PROBE_LINES_MAX;
	if (h->head_large)
		return 0;
	curl_easy_getinfo(h->p->curl, CURLINFO_RESPONSE_CODE, &status);
	/* 100 and its like go before the answer; trailers come behind it */
	if ((line[0] == '\r' || line[0] == '\n') && status >= 200)
		h->head_done = true;
	return n;
}

static size_t
on_body(char *bytes, size_t one, size_t n, void *ctx)
{
	struct heard *h = ctx;

	(void)one;
	h->body_large = n > PROBE_BODY_MAX - h->a->body.n;
	if (h->body_large)
		return 0;
	buf_add(&h->a->body, bytes, n);
	return h->a->body.failed ? 0 : n;
}

static int
on_wait(void *ctx, curl_off_t all_down, curl_off_t down, curl_off_t all_up,
    curl_off_t up)
{
	struct heard *h = ctx;

	(void)all_down, (void)down, (void)all_up, (void)up;
	if (h->p->o.tick != NULL)
		h->p->o.tick();
	return 0;
}

/* --- a handle ------------------------------------------------------------- */

static bool
set_strings(CURL *c)
{
	return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") ==
	    CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK &&
	    /* what the server packs is unpacked, as mail clients do */
	    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK;
}

static void
set_manners(CURL *c, const struct probe_ask_options *o)
{
	long ms = 1000L * o->timeout;

	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, ms);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, ms);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	/* a name server that says nothing must not hold up the end */
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, o->insecure ? 0L : 2L);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_wait);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

struct probe_ask *
probe_ask_new(const struct probe_ask_options *o)
{
	struct probe_ask *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->o = *o;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(p);
		return NULL;
	}
	p->curl = curl_easy_init();
	if (o->resolve != NULL)
		p->resolve = curl_slist_append(NULL, o->resolve);
	if (p->curl == NULL || !set_strings(p->curl) ||
	    (o->resolve != NULL && p->resolve == NULL)) {
		probe_ask_free(p);
		return NULL;
	}
	set_manners(p->curl, o);
	curl_easy_setopt(p->curl, CURLOPT_RESOLVE, p->resolve);
	curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, p->error);
	return p;
}

void
probe_ask_free(struct probe_ask *p)
{
	if (p == NULL)
		return;
	curl_easy_cleanup(p->curl);
	curl_slist_free_all(p->resolve);
	curl_global_cleanup();
	free(p);
}

/* --- one request ---------------------------------------------------------- */

/* A name without a value is written with a semicolon for libcurl. */
static const char *
for_curl(struct arena *memory, const char *line)
{
	size_t n = strcspn(line, ":");
	char *out;

	if (line[n + strspn(line + n, ": \t")] != '\0')
		return line;
	out = arena_string(memory, (struct span){ line, n + 1 });
	if (out != NULL)
		out[n] = ';';
	return out;
}

/* NULL where memory is out.  Two fields of one name stay two. */
static struct curl_slist *
headers_of(struct arena *memory, const char *const *lines)
{
	/* no announcement before a long body */
	struct curl_slist *all = curl_slist_append(NULL, "Expect:"), *more;

	for (; *lines != NULL && all != NULL; lines++) {
		const char *line = for_curl(memory, *lines);

		more = line == NULL ? NULL : curl_slist_append(all, line);
		if (more == NULL)
			curl_slist_free_all(all);
		all = more;
	}
	return all;
}

static bool
set_request(struct probe_ask *p, const struct probe_request *q, struct heard *h)
{
	CURL *c = p->curl;

	curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
	curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
	if (q->data) {
		curl_easy_setopt(c, CURLOPT_POST, 1L);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS,
		    p->o.data.p == NULL ? "" : p->o.data.p);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)p->o.data.n);
	}
	return curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST,
		   q->data ? NULL : q->method) == CURLE_OK &&
	    curl_easy_setopt(c, CURLOPT_URL, q->url) == CURLE_OK;
}

/* How far it came: libcurl's times of connecting are those of TLS and all. */
static enum probe_fault
late(CURL *c, const struct probe_answer *a)
{
	curl_off_t agreed = 0;
	char *scheme = NULL;

	if (a->address[0] == '\0')
		return PROBE_FAULT_CONNECT;
	curl_easy_getinfo(c, CURLINFO_APPCONNECT_TIME_T, &agreed);
	curl_easy_getinfo(c, CURLINFO_SCHEME, &scheme);
	return agreed == 0 && scheme != NULL &&
		strcasecmp(scheme, "https") == 0 ?
	    PROBE_FAULT_TLS :
	    PROBE_FAULT_TIMEOUT;
}

static enum probe_fault
fault_of(CURLcode code, const struct heard *h)
{
	if (h->head_large)
		return PROBE_FAULT_HEAD_LARGE;
	if (h->body_large)
		return PROBE_FAULT_BODY_LARGE;
	switch (code) {
	case CURLE_OK: /* for libcurl, an end within the header is an end */
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return h->head_done ? PROBE_FAULT_CUT : PROBE_FAULT_CLOSED;
	case CURLE_PARTIAL_FILE:
		return PROBE_FAULT_CUT;
	case CURLE_COULDNT_RESOLVE_HOST:
		return PROBE_FAULT_NAME;
	case CURLE_COULDNT_CONNECT:
		return PROBE_FAULT_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return late(h->p->curl, h->a);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return PROBE_FAULT_CERTIFICATE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CLIENTCERT:
		return PROBE_FAULT_TLS;
	case CURLE_UNSUPPORTED_PROTOCOL: /* "HTTP/0.9" is any garbage */
	case CURLE_WEIRD_SERVER_REPLY:
		return PROBE_FAULT_NOT_HTTP;
	case CURLE_BAD_CONTENT_ENCODING:
		return PROBE_FAULT_ENCODING;
	case CURLE_OUT_OF_MEMORY: /* what it also says of a giant line */
		return h->head_done || h->head == 0 ? PROBE_FAULT_MEMORY :
						      PROBE_FAULT_HEAD_LARGE;
	default:
		return PROBE_FAULT_OTHER;
	}
}

static bool
take_fields(CURL *c, struct probe_answer *a)
{
	struct curl_header *h = NULL;
	size_t n = 0;

	while ((h = curl_easy_nextheader(c, CURLH_HEADER, -1, h)) != NULL)
		n++;
	a->fields = arena_alloc(&a->memory, (n + 1) * sizeof(*a->fields));
	if (a->fields == NULL)
		return false;
	while ((h = curl_easy_nextheader(c, CURLH_HEADER, -1, h)) != NULL &&
	    a->n_fields < n) {
		struct field *f = &a->fields[a->n_fields++];

		f->name = span_of(arena_string(&a->memory, span_of(h->name)));
		f->value = span_of(arena_string(&a->memory, span_of(h->value)));
	}
	return !a->memory.failed;
}

static void
take(struct probe_ask *p, CURLcode code, const struct heard *h)
{
	struct probe_answer *a = h->a;
	curl_off_t us = 0;
	long status = 0;
	char *address = NULL;

	curl_easy_getinfo(p->curl, CURLINFO_TOTAL_TIME_T, &us);
	curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(p->curl, CURLINFO_PRIMARY_IP, &address);
	a->ms = (uint64_t)us / 1000;
	if (address != NULL)
		snprintf(a->address, sizeof(a->address), "%s", address);
	if (code != CURLE_OK || !h->head_done) {
		a->fault = fault_of(code, h);
		snprintf(a->detail, sizeof(a->detail), "%s",
		    p->error[0] != '\0' || code == CURLE_OK ?
			p->error :
			curl_easy_strerror(code));
	}
	if (!h->head_done)
		return;
	a->status = (unsigned)status;
	if (!take_fields(p->curl, a))
		a->fault = PROBE_FAULT_MEMORY;
}

void
probe_ask(struct probe_ask *p, const struct probe_request *q,
    struct probe_answer *out)
{
	struct heard h = { .p = p, .a = out };
	struct curl_slist *headers;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	memset(out, 0, sizeof(*out));
	buf_init(&out->body, PROBE_BODY_MAX);
	p->error[0] = '\0';
	headers = headers_of(&out->memory, q->headers);
	if (headers != NULL && set_request(p, q, &h)) {
		curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, headers);
		code = curl_easy_perform(p->curl);
	}
	take(p, code, &h);
	curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
}

void
probe_ask_answer_free(struct probe_answer *a)
{
	buf_free(&a->body);
	arena_free(&a->memory);
}

/* --- arguments ------------------------------------------------------------ */

static const char *
url_parts_fault(CURLU *u)
{
	char *part = NULL;
	const char *fault = NULL;

	if (curl_url_get(u, CURLUPART_SCHEME, &part, 0) != CURLUE_OK ||
	    (strcmp(part, "http") != 0 && strcmp(part, "https") != 0))
		fault = "is no URL of http or https";
	curl_free(part);
	part = NULL;
	if (curl_url_get(u, CURLUPART_USER, &part, 0) == CURLUE_OK)
		fault = "has a user's name in it, which no mail client sends";
	curl_free(part);
	return fault;
}

const char *
probe_ask_url_fault(const char *url)
{
	CURLU *u = curl_url();
	const char *fault = NULL;

	if (u == NULL)
		return "cannot be read: no memory";
	/* without a scheme, libcurl would guess one */
	if (strstr(url, "://") == NULL ||
	    curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) !=
		CURLUE_OK)
		fault = "is no URL of http or https";
	else
		fault = url_parts_fault(u);
	curl_url_cleanup(u);
	return fault;
}

const char *
probe_ask_resolve_fault(const char *text)
{
	struct span rest = span_of(text), host, port;
	uint64_t number;

	if (!span_cut(&rest, ':', &host) || host.n == 0 ||
	    !span_cut(&rest, ':', &port) ||
	    !span_number(port, 65535, &number) || number == 0 || rest.n == 0)
		return "is not host:port:address";
	return NULL;
}
