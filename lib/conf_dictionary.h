/*
 * conf_dictionary: how iniparser's dictionaries begin.  Private to conf.
 */
#ifndef CONF_DICTIONARY_H
#define CONF_DICTIONARY_H

#include <iniparser/dictionary.h>

/*
 * An empty dictionary with room for so many keys, or more; NULL where memory
 * is out.  iniparser's own function does not look at what it gets, and the
 * first key ends the process then; so the linker puts this one in its place
 * (see Makefile).  Whatever else is refused to iniparser 4.1 to 4.2.6 costs a
 * line or a value, which conf misses.
 */
dictionary *conf_dictionary_new(size_t size) __asm__("__wrap_dictionary_new");

#endif
