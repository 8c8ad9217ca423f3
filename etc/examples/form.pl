#!/usr/bin/perl
# What an <amp-form> sends to: a POST of application/x-www-form-urlencoded with
# the field "comment".  Answered with 200, or with 422 and what is wrong.
use strict;
use warnings;
use Encode qw(decode FB_CROAK);
use JSON::PP;

my $limit = 4096;

sub answer {
	my ($status, $data) = @_;
	print "Status: $status\nContent-Type: application/json\n\n",
	    JSON::PP->new->ascii->canonical->encode($data), "\n";
	exit;
}

sub fail {
	my ($status, $code, $message) = @_;
	answer($status, {error => {code => $code, message => $message}});
}

# A %, two hex digits: a byte.  Anything else behind a % stays as it is.
sub decoded {
	my ($s) = @_;
	$s =~ tr/+/ /;
	$s =~ s/%([0-9A-Fa-f]{2})/chr(hex($1))/eg;
	return $s;
}

# The bytes of the first field of a name.
sub field {
	my ($body, $name) = @_;
	for (split /&/, $body) {
		my ($key, $value) = split /=/, $_, 2;
		return decoded($value // '') if decoded($key // '') eq $name;
	}
	return '';
}

fail("405 Method Not Allowed\nAllow: POST", 'bad-method', 'POST alone.')
	if $ENV{REQUEST_METHOD} ne 'POST';
fail('415 Unsupported Media Type', 'bad-type', 'A form alone.')
	if ($ENV{CONTENT_TYPE} // '') !~
	    m{^application/x-www-form-urlencoded\s*(;|$)}i;
my $length = $ENV{CONTENT_LENGTH} || 0;
fail('413 Content Too Large', 'too-large', 'That is too long.')
	if $length > $limit;

binmode STDIN;
read(STDIN, my $body, $length);
my $comment = eval { decode('UTF-8', field($body // '', 'comment'), FB_CROAK) };
fail('422 Unprocessable Content', 'bad-comment',
	'Please write 1 to 200 characters.')
	unless defined $comment && $comment =~ /^.{1,200}\z/s;

# Here it would be kept.
answer('200 OK', {comment => $comment, sender => $ENV{AMP_CORS_SENDER}});
