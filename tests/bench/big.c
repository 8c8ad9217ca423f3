/* A CGI program that answers as many MiB as QUERY_STRING says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
main(void)
{
	static char room[65536];
	const char *query = getenv("QUERY_STRING");
	unsigned long mib = query == NULL ? 0 : strtoul(query, NULL, 10);
	int n = snprintf(room, sizeof(room),
	    "Status: 200 OK\r\nContent-Type: application/octet-stream\r\n"
	    "Content-Length: %lu\r\n\r\n",
	    mib << 20);

	if (write(1, room, (size_t)n) != n)
		return 1;
	memset(room, 'x', sizeof(room));
	for (mib <<= 4; mib > 0; mib--)
		for (size_t at = 0; at < sizeof(room);) {
			ssize_t k = write(1, room + at, sizeof(room) - at);

			if (k <= 0)
				return 1;
			at += (size_t)k;
		}
	return 0;
}
