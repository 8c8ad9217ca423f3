<?php
// The check in PHP, as the documentation has it, and then the list.

function isAllowedSender(string $address): bool
{
    return $address === 'sender@company.example';
}

function refuse(): never
{
    http_response_code(403);
    exit;
}

if (isset($_SERVER['HTTP_AMP_EMAIL_SENDER'])) {
    $sender = $_SERVER['HTTP_AMP_EMAIL_SENDER'];
    isAllowedSender($sender) || refuse();
    header("AMP-Email-Allow-Sender: $sender");
} elseif (isset($_SERVER['HTTP_ORIGIN'])) {
    $sender = $_GET['__amp_source_origin'] ?? '';
    isAllowedSender($sender) || refuse();
    header("Access-Control-Allow-Origin: {$_SERVER['HTTP_ORIGIN']}");
    header('Access-Control-Expose-Headers: '
        . 'AMP-Access-Control-Allow-Source-Origin');
    header("AMP-Access-Control-Allow-Source-Origin: $sender");
} else {
    refuse();
}

require $_SERVER['DOCUMENT_ROOT'] . '/list.php';
