<?php
// What an <amp-list> asks for: one GET, answered with JSON {"items":[...]}.
// It runs behind PHP-FPM as it is, and as a CGI program by php-cgi.sh.

function answer(int $status, array $data): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($data, JSON_THROW_ON_ERROR), "\n";
    exit;
}

if (!in_array($_SERVER['REQUEST_METHOD'], ['GET', 'HEAD'], true)) {
    header('Allow: GET, HEAD');
    answer(405, ['error' => ['code' => 'bad-method',
        'message' => 'GET alone.']]);
}

answer(200, ['items' => [
    ['title' => 'Tea', 'price' => '2.50'],
    ['title' => 'Crème brûlée', 'price' => '4.00'],
    ['title' => '"Black \\ White" cake', 'price' => '3.20'],
]]);
