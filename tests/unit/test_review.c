/* review: every check has its say, also to who has nothing to add. */
#include "review.h"

#include "tap.h"

#include "remarked.h"

static const char want[] =
    "2:23 warning covered-rule: 'a@b.example' is covered by '*@b.example'; "
    "leave it out; line 2 has '*@b.example'\n"
    "3:35 warning repeated-origin: 'https://mail.google.com' is there twice; "
    "leave it out; column 11 has it\n"
    "4:8 warning report-mode: mode = report lets through what the policy "
    "refuses; write mode = enforce once the log shows what it should\n"
    "7:13 warning unseen: this log_level leaves decisions out, and nothing "
    "counts them; write log_level = info, or set metrics\n"
    "5:8 error bad-handler: exec = @DIR@/none is not there; name a program "
    "that is there and can be executed\n";

int
main(void)
{
	const struct machine_options o = { .use = CONF_FOR_CGI };
	struct conf *c;
	struct rulebook *b;
	struct remark r;
	struct buf said;

	folder_make();
	c = remarked_load("[policy]\nsenders = *@b.example a@b.example\n"
			  "origins = https://mail.google.com "
			  "https://mail.google.com\n"
			  "mode = report\nexec = @DIR@/none\n"
			  "[server]\nlog_level = error\n",
	    CONF_FOR_CGI);
	b = must(rulebook_new(c));
	remarked_begin(&r, c, &said);
	ok(review_add(&r, c, b, &o) && r.errors == 1 && r.warnings == 4,
	    "five remarks");
	remarked_are(&said, want, "beside others");
	remarked_begin(&r, c, &said);
	ok(review(c, &o, remarked_add, &said), "by itself");
	remarked_are(&said, want, "the same");
	rulebook_free(b);
	conf_free(c);
	folder_remove();
	return tap_done();
}
