/*
 * explain: amp-cors explain, one request and what becomes of it [SPEC 7.3].
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

int explain_main(int argc, char *argv[]);

#endif
