#!/usr/bin/perl
# What an <amp-list> asks for: one GET, answered with JSON {"items":[...]}.
use strict;
use warnings;
use utf8;
use JSON::PP;

sub answer {
	my ($head, $data) = @_;
	print $head, "Content-Type: application/json\n\n",
	    JSON::PP->new->utf8->canonical->encode($data), "\n";
	exit;
}

answer("Status: 405 Method Not Allowed\nAllow: GET, HEAD\n",
	{error => {code => 'bad-method', message => 'GET alone.'}})
	unless $ENV{REQUEST_METHOD} =~ /^(GET|HEAD)$/;

answer('', {items => [
	{title => 'Tea', price => '2.50'},
	{title => 'Crème brûlée', price => '4.00'},
	{title => '"Black \\ White" cake', price => '3.20'},
]});
