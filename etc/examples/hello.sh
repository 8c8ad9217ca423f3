#!/bin/sh
# A handler as small as they come: an ordinary CGI program, which knows nothing
# of CORS.  The front has already decided, and says who it is.
printf 'Content-Type: application/json\n\n'
printf '{"hello":"%s","version":%s,"method":"%s"}\n' \
    "${AMP_CORS_SENDER:-nobody}" "${AMP_CORS_VERSION:-null}" "$REQUEST_METHOD"
