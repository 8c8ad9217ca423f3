#!/bin/sh
# What an <amp-form> sends to: a POST of application/x-www-form-urlencoded with
# the field "comment".  Answered with 200, or with 422 and what is wrong.
limit=4096

answer() {
	printf 'Status: %s\nContent-Type: application/json\n\n%s\n' "$1" "$2"
	exit
}
fail() {
	answer "$1" "{\"error\":{\"code\":\"$2\",\"message\":\"$3\"}}"
}

# Prints the field's value as a JSON string, if it is 1 to 200 characters of
# UTF-8.  The shell cannot hold every byte (NUL), so awk works on their numbers.
json_of_field() {
	od -An -v -tu1 | awk -v field="$1" '
	BEGIN { at = size = 0 }
	{ for (i = 1; i <= NF; i++) body[size++] = $i + 0 }

	function hex(c) {
		if (c >= 48 && c <= 57)
			return c - 48
		if (c >= 65 && c <= 70 || c >= 97 && c <= 102)
			return c % 32 + 9
		return -1
	}

	# the byte at "at": + is a blank, a % without two hex digits a %
	function decoded(    c) {
		c = body[at++]
		if (c == 43)
			return 32
		if (c != 37 || at + 1 >= size || hex(body[at]) < 0 ||
		    hex(body[at + 1]) < 0)
			return c
		at += 2
		return hex(body[at - 2]) * 16 + hex(body[at - 1])
	}

	# goes behind the "=" of the field
	function find(    name, c) {
		while (at < size) {
			name = ""
			while (at < size && body[at] != 38 && body[at] != 61) {
				c = decoded()
				name = name (c > 32 && c < 127 ? \
				    sprintf("%c", c) : " ")
			}
			if (at < size && body[at] == 61 && name == field) {
				at++
				return
			}
			while (at < size && body[at++] != 38)
				;
		}
	}

	# the next character (RFC 3629), or -1 where it is no UTF-8
	function character(    c, more, r) {
		c = value[seen++]
		if (c < 128)
			return c
		more = c < 224 ? 1 : c < 240 ? 2 : 3
		r = c - (c < 224 ? 192 : c < 240 ? 224 : 240)
		for (i = more; i > 0; i--) {
			if (int(value[seen] / 64) != 2)
				return -1
			r = r * 64 + value[seen++] - 128
		}
		return c < 194 || c > 244 || more == 2 && r < 2048 ||
		    more == 3 && (r < 65536 || r > 1114111) ||
		    r >= 55296 && r < 57344 ? -1 : r
	}

	function json(r) {
		if (r > 65535)
			return json(55296 + int((r - 65536) / 1024)) \
			    json(56320 + r % 1024)
		if (r < 32 || r > 126)
			return sprintf("\\u%04x", r)
		return (r == 34 || r == 92 ? "\\" : "") sprintf("%c", r)
	}

	END {
		find()
		while (at < size && body[at] != 38)
			value[count++] = decoded()
		for (; seen < count; characters++) {
			r = character()
			if (r < 0)
				exit 1
			text = text json(r)
		}
		if (characters < 1 || characters > 200)
			exit 1
		print "\"" text "\""
	}'
}

[ "$REQUEST_METHOD" = POST ] || fail '405 Method Not Allowed
Allow: POST' bad-method 'POST alone.'
case $(printf '%s' "$CONTENT_TYPE" | tr '[:upper:]' '[:lower:]') in
application/x-www-form-urlencoded | application/x-www-form-urlencoded[\ \;]*) ;;
*) fail '415 Unsupported Media Type' bad-type 'A form alone.' ;;
esac
[ "${CONTENT_LENGTH:-0}" -le "$limit" ] ||
	fail '413 Content Too Large' too-large 'That is too long.'
comment=$(head -c "${CONTENT_LENGTH:-0}" | json_of_field comment) ||
	fail '422 Unprocessable Content' bad-comment \
	    'Please write 1 to 200 characters.'

# Here it would be kept.  AMP_CORS_SENDER is an address that the front has
# verified; those have neither '"' nor '\'.
answer '200 OK' "{\"comment\":$comment,\"sender\":\"$AMP_CORS_SENDER\"}"
