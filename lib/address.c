#include "address.h"

#include <string.h>

static bool
is_alnum(char c)
{
	c = span_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* RFC 5322 3.2.3 */
static bool
is_atext(char c)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~";

	return is_alnum(c) || memchr(others, c, sizeof(others) - 1) != NULL;
}

static bool
dot_atom(struct span s)
{
	bool dot_allowed = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? !dot_allowed : !is_atext(s.p[i]))
			return false;
		dot_allowed = s.p[i] != '.';
	}
	/* neither empty nor ended by a dot */
	return dot_allowed;
}

static bool
ldh_label(struct span s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

bool
address_domain_valid(struct span domain)
{
	struct span label;
	size_t labels = 0;

	if (domain.n > ADDRESS_DOMAIN_MAX)
		return false;
	for (; span_cut(&domain, '.', &label); labels++)
		if (!ldh_label(label))
			return false;
	return labels >= 2;
}

bool
address_parse(struct span text, struct address *out)
{
	struct address a = { .domain = text };

	if (text.n > ADDRESS_MAX || !span_cut(&a.domain, '@', &a.local) ||
	    a.local.n > ADDRESS_LOCAL_MAX || !dot_atom(a.local) ||
	    !address_domain_valid(a.domain))
		return false;
	*out = a;
	return true;
}

size_t
address_fold(const struct address *a, bool fold_local, char out[ADDRESS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < a->local.n; i++)
		out[n++] =
		    fold_local ? span_lower(a->local.p[i]) : a->local.p[i];
	out[n++] = '@';
	for (size_t i = 0; i < a->domain.n; i++)
		out[n++] = span_lower(a->domain.p[i]);
	return n;
}
