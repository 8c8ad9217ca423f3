/* A CGI program that ends when it is told to, by TERM. */
#include <unistd.h>

int
main(void)
{
	pause();
	return 0;
}
