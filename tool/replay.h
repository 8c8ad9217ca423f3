/*
 * replay: `amp-cors replay`, the decisions of a log under another policy, and
 * which of them would change [SPEC 7.3].
 */
#ifndef REPLAY_H
#define REPLAY_H

int replay_main(int argc, char *argv[]);

#endif
