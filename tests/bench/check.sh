#!/bin/dash
# The check of the documentation, and then the handler: what people write.
set -f
HANDLER=$1

allowed() {
	[ "$1" = sender@company.example ]
}

if [ -n "${HTTP_AMP_EMAIL_SENDER:-}" ]; then
	allowed "$HTTP_AMP_EMAIL_SENDER" || exit 1
	printf 'AMP-Email-Allow-Sender: %s\r\n' "$HTTP_AMP_EMAIL_SENDER"
elif [ -n "${HTTP_ORIGIN:-}" ]; then
	IFS='&'
	for pair in $QUERY_STRING; do
		case $pair in
		__amp_source_origin=*) sender=${pair#*=} ;;
		esac
	done
	sender=${sender%\%40*}@${sender#*\%40}
	allowed "$sender" || exit 1
	printf 'Access-Control-Allow-Origin: %s\r\n' "$HTTP_ORIGIN"
	printf 'AMP-Access-Control-Allow-Source-Origin: %s\r\n' "$sender"
	printf 'Access-Control-Expose-Headers: %s\r\n' \
	    AMP-Access-Control-Allow-Source-Origin
else
	exit 1
fi
exec "$HANDLER"
