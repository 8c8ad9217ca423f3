/* The least that a CGI program can be: what is wrapped. */
#include <unistd.h>

int
main(void)
{
	static const char answer[] =
	    "Status: 200 OK\r\nContent-Type: application/json\r\n\r\n{}";

	return write(1, answer, sizeof(answer) - 1) ==
		(ssize_t)sizeof(answer) - 1 ?
	    0 :
	    1;
}
