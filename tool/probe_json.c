#include "probe_json.h"

#include <string.h>

#include "tool.h"

struct json {
	struct span rest;
	const char *fault;
	size_t depth;
	char open[PROBE_JSON_DEPTH]; /* '[' and '{' */
};

static bool
fail(struct json *j, const char *fault)
{
	j->fault = fault;
	return false;
}

/* The next byte that is no blank; 0 at the end (a NUL is wrong anywhere). */
static char
peek(struct json *j)
{
	while (j->rest.n > 0 && strchr(" \t\r\n", *j->rest.p) != NULL &&
	    *j->rest.p != '\0')
		j->rest = span_skip(j->rest, 1);
	return (char)(j->rest.n > 0 ? *j->rest.p : '\0');
}

static bool
take(struct json *j, char c)
{
	if (peek(j) != c)
		return false;
	j->rest = span_skip(j->rest, 1);
	return true;
}

static size_t
span_of_bytes(struct span s, const char *set)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\0' && strchr(set, s.p[n]) != NULL)
		n++;
	return n;
}

#define DIGITS "0123456789"

/* Behind the backslash. */
static bool
escape(struct json *j)
{
	struct span s = j->rest;

	if (s.n >= 5 && *s.p == 'u' &&
	    span_of_bytes((struct span){ s.p + 1, 4 }, DIGITS "abcdefABCDEF") ==
		4)
		j->rest = span_skip(s, 5);
	else if (span_of_bytes(s, "\"\\/bfnrt") > 0)
		j->rest = span_skip(s, 1);
	else
		return fail(j, "no such escape");
	return true;
}

static bool
string(struct json *j)
{
	if (!take(j, '"'))
		return fail(j, "a string was expected");
	while (j->rest.n > 0) {
		char c = *j->rest.p;
		size_t n = tool_utf8(j->rest);

		if ((unsigned char)c < 0x20)
			return fail(j, "a control byte in a string");
		if (n == 0)
			return fail(j, "not UTF-8");
		j->rest = span_skip(j->rest, n);
		if (c == '"')
			return true;
		if (c == '\\' && !escape(j))
			return false;
	}
	return fail(j, "a string without an end");
}

static bool
digits(struct json *j)
{
	size_t n = span_of_bytes(j->rest, DIGITS);

	j->rest = span_skip(j->rest, n);
	return n > 0 || fail(j, "a digit was expected");
}

static bool
number(struct json *j)
{
	take(j, '-');
	if (span_starts(j->rest, SPAN("0")))
		j->rest = span_skip(j->rest, 1);
	else if (!digits(j))
		return false;
	if (span_starts(j->rest, SPAN("."))) {
		j->rest = span_skip(j->rest, 1);
		if (!digits(j))
			return false;
	}
	if (span_of_bytes(j->rest, "eE") == 0)
		return true;
	j->rest = span_skip(j->rest, 1);
	if (span_of_bytes(j->rest, "+-") > 0)
		j->rest = span_skip(j->rest, 1);
	return digits(j);
}

static bool
word(struct json *j)
{
	static const struct span words[] = { { "true", 4 }, { "false", 5 },
		{ "null", 4 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!span_starts(j->rest, words[i]))
			continue;
		j->rest = span_skip(j->rest, words[i].n);
		return true;
	}
	return fail(j,
	    j->rest.n == 0 ? "the end, where a value was expected" :
			     "a value was expected");
}

static bool
key(struct json *j)
{
	if (!string(j))
		return false;
	return take(j, ':') || fail(j, "a colon was expected");
}

static bool
open(struct json *j, char c)
{
	if (j->depth == PROBE_JSON_DEPTH)
		return fail(j, "too many arrays and objects in each other");
	j->rest = span_skip(j->rest, 1);
	j->open[j->depth++] = c;
	return true;
}

/* A value, or the beginning of one that has others in it: *whole says. */
static bool
begin(struct json *j, bool *whole)
{
	char c = peek(j);

	*whole = true;
	if (c == '"')
		return string(j);
	if (c == '-' || (c >= '0' && c <= '9'))
		return number(j);
	if (c != '{' && c != '[')
		return word(j);
	if (!open(j, c))
		return false;
	if (peek(j) == (c == '{' ? '}' : ']'))
		return true;
	*whole = false;
	return c == '[' || key(j);
}

/* Behind a value: what ends there, up to where the next one begins. */
static bool
go_on(struct json *j)
{
	while (j->depth > 0) {
		char in = j->open[j->depth - 1];

		if (take(j, in == '{' ? '}' : ']'))
			j->depth--;
		else if (take(j, ','))
			return in == '[' || key(j);
		else
			return fail(j, "a comma or an end was expected");
	}
	return true;
}

const char *
probe_json_fault(struct span text, size_t *at)
{
	struct json j = { .rest = text };
	bool whole;

	if (span_starts(text, SPAN("\xef\xbb\xbf")))
		fail(&j, "a byte order mark");
	while (j.fault == NULL && begin(&j, &whole)) {
		if (!whole)
			continue;
		if (go_on(&j) && j.depth == 0) {
			if (peek(&j) != '\0' || j.rest.n > 0)
				fail(&j, "something behind the value");
			break;
		}
	}
	*at = (size_t)(text.n - j.rest.n);
	return j.fault;
}
