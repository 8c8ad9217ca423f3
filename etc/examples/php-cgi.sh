#!/bin/sh
# Runs a .php file as a CGI program: copied beside list.php as list.php.sh, it
# runs list.php.  php-cgi wants to be told which file it is, and that nobody
# asked for php-cgi itself by a URL of its own (cgi.force_redirect).  The .php
# cannot say it by a first line "#!/usr/bin/php-cgi": PHP-FPM would print that.
unset PATH_TRANSLATED
SCRIPT_FILENAME=${0%.sh} REDIRECT_STATUS=200 exec /usr/bin/php-cgi
