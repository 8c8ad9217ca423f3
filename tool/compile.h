/*
 * compile: a text list of senders becomes a compiled one [SPEC 3.7, 7.3].
 */
#ifndef COMPILE_H
#define COMPILE_H

/* amp-cors compile [option ...] LIST CDB; see amp-cors(1). */
int compile_main(int argc, char *argv[]);

#endif
