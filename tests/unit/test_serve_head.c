/*
 * serve_head: what libfcgi makes of a head that the screen has taken apart.
 */
#include "serve_head.h"

#include <stdlib.h>

#include "talk.h"
#include "tap.h"

/* What a head that talk_make() makes becomes, joined by ';'. */
static void
reads(const char *said, const char *want, const char *name)
{
	struct buf bytes, got;
	struct serve_head h = { .read = false };
	struct span in, body;
	struct screen s;
	char *const *vars;

	bytes = talk(said);
	buf_init(&got, TALK_MAX);
	screen_init(&s, 1, 1);
	in = buf_span(&bytes);
	ok(screen_next(&s, &in, &body) == SCREEN_REQUEST, "%s", name);
	vars = serve_head_read(&h, &s);
	for (size_t i = 0; vars != NULL && vars[i] != NULL; i++) {
		buf_add_str(&got, vars[i]);
		buf_add_char(&got, ';');
	}
	is_span(buf_span(&got), want, name);
	serve_head_free(&h);
	serve_head_free(&h);
	screen_free(&s);
	buf_free(&bytes);
	buf_free(&got);
}

/* A head of `size` bytes of parameters. */
static void
reads_long(size_t size, const char *name)
{
	struct serve_head h = { .read = false };
	char *const *vars;
	struct screen s;

	screen_init(&s, 1, 1);
	s.id = 1;
	s.role = WIRE_RESPONDER;
	while (s.params.n + 1000 < size && !s.params.failed)
		wire_add_pair(&s.params, SPAN("A"),
		    (struct span){ (char[900]){ "x" }, 900 });
	vars = serve_head_read(&h, &s);
	ok(vars != NULL && vars[1] != NULL && strcmp(vars[1], "A=x") == 0, "%s",
	    name);
	serve_head_free(&h);
	screen_free(&s);
}

int
main(void)
{
	ok(serve_head_open(), "libfcgi is there");
	reads("begin:1:1 params:1:A=b,C= params:1",
	    "FCGI_ROLE=RESPONDER;A=b;C=;", "variables");
	reads("begin:1:2:k params:1:A=b params:1", "FCGI_ROLE=AUTHORIZER;A=b;",
	    "of an Authorizer");
	reads("begin:1:1 params:1:A=b,B\\x20C=d,=e,F\\x3dG=h,I=j params:1",
	    "FCGI_ROLE=RESPONDER;A=b;I=j;", "names that cannot pass (E8)");
	reads("begin:1:1 params:1", "FCGI_ROLE=RESPONDER;", "none at all");
	reads("begin:1:1 params:1:A=x\\x00y,B=c params:1",
	    "FCGI_ROLE=RESPONDER;A=x;B=c;", "a NUL in a value");
	reads_long(SCREEN_PARAMS_MAX - 2000, "a long head");
	return tap_done();
}
