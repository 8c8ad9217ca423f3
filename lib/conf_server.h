/*
 * conf_server: the section [server].  Private to conf.
 */
#ifndef CONF_SERVER_H
#define CONF_SERVER_H

#include "conf_loading.h"

/* Reads it; the endpoints must have been read. */
void conf_server_read(struct conf_loading *l);

#endif
