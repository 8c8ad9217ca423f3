/*
 * report: `amp-cors report`, a log as one HTML page [SPEC 7].
 */
#ifndef REPORT_H
#define REPORT_H

int report_main(int argc, char *argv[]);

#endif
