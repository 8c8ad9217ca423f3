#!/bin/sh
# What an <amp-list> asks for: one GET, answered with JSON {"items":[...]}.
case $REQUEST_METHOD in
GET | HEAD) ;;
*)
	printf 'Status: 405 Method Not Allowed\nAllow: GET, HEAD\n'
	printf 'Content-Type: application/json\n\n'
	echo '{"error":{"code":"bad-method","message":"GET alone."}}'
	exit
	;;
esac

# Names and prices, one item a line.  awk makes JSON of them: '"' and '\' get
# a backslash, which is all that text without control characters needs.
items() {
	cat <<'END'
Tea	2.50
Crème brûlée	4.00
"Black \ White" cake	3.20
END
}

printf 'Content-Type: application/json\n\n'
items | awk -F '\t' '
	BEGIN { printf "{\"items\":[" }
	{
		gsub(/[\\"]/, "\\\\&")
		printf "%s{\"title\":\"%s\",\"price\":\"%s\"}", comma, $1, $2
		comma = ","
	}
	END { print "]}" }'
