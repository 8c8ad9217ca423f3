/*
 * check: amp-cors check, all that can be said of a policy [SPEC 6.6, 6.7, 7.3].
 */
#ifndef CHECK_H
#define CHECK_H

int check_main(int argc, char *argv[]);

#endif
