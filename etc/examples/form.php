<?php
// What an <amp-form> sends to: a POST of application/x-www-form-urlencoded with
// the field "comment".  Answered with 200, or with 422 and what is wrong.
// It runs behind PHP-FPM as it is, and as a CGI program by php-cgi.sh.

const LIMIT = 4096;  // PHP itself reads up to post_max_size

function answer(int $status, array $data): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($data, JSON_THROW_ON_ERROR), "\n";
    exit;
}

function fail(int $status, string $code, string $message): never
{
    answer($status, ['error' => ['code' => $code, 'message' => $message]]);
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    header('Allow: POST');
    fail(405, 'bad-method', 'POST alone.');
}
if (!preg_match('~^application/x-www-form-urlencoded\s*(;|$)~i',
    $_SERVER['CONTENT_TYPE'] ?? '')) {
    fail(415, 'bad-type', 'A form alone.');
}
if ((int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > LIMIT) {
    fail(413, 'too-large', 'That is too long.');
}

// "comment[]=x" makes an array; with /u, what is no UTF-8 does not match.
$comment = $_POST['comment'] ?? '';
if (!is_string($comment) || !preg_match('/^.{1,200}\z/su', $comment)) {
    fail(422, 'bad-comment', 'Please write 1 to 200 characters.');
}

// Here it would be kept.
answer(200, ['comment' => $comment,
    'sender' => $_SERVER['AMP_CORS_SENDER'] ?? null]);
