#include "conf_dictionary.h"

#include <stdlib.h>

enum { CONF_DICTIONARY_SIZE = 128 }; /* it grows */

dictionary *
conf_dictionary_new(size_t size)
{
	dictionary *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	if (size < CONF_DICTIONARY_SIZE)
		size = CONF_DICTIONARY_SIZE;
	d->size = (ssize_t)size;
	d->val = calloc(size, sizeof(*d->val));
	d->key = calloc(size, sizeof(*d->key));
	d->hash = calloc(size, sizeof(*d->hash));
	if (d->val != NULL && d->key != NULL && d->hash != NULL)
		return d;
	free(d->val);
	free(d->key);
	free(d->hash);
	free(d);
	return NULL;
}
