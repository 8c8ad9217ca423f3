#include "report_style.h"

#include <stddef.h>

const char report_style_begin[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
    "'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"referrer\" content=\"no-referrer\">\n<title>";

static const char colours[] =
    ":root{color-scheme:light dark;"
    "--page:#f4f5f6;--card:#fff;--ink:#1c2226;--dim:#5b656d;--line:#d9dee2;"
    "--allow:#2f8f74;--preflight:#8fb4d6;--report:#e0a43a;--deny:#c6404f;"
    "--v1:#de8f3f;--v2:#3f72b8}\n"
    "@media (prefers-color-scheme:dark){:root{"
    "--page:#13171a;--card:#1b2125;--ink:#e4e8eb;--dim:#9ba6ae;"
    "--line:#333c43;--allow:#46a98c;--preflight:#6f94b8;--report:#d9a040;"
    "--deny:#e2616e;--v1:#e09a52;--v2:#6395dc}}\n";

static const char text[] =
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:70rem;padding:1.5rem 1rem 2rem;"
    "background:var(--page);color:var(--ink);"
    "font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,"
    "\"Liberation Sans\",sans-serif}\n"
    "h1{margin:0;font-size:1.7rem;line-height:1.25;overflow-wrap:anywhere}\n"
    "h2{margin:0 0 .4rem;font-size:1.2rem}\n"
    "h3{margin:1.4rem 0 .4rem;font-size:1rem}\n"
    "p{margin:.2rem 0 .6rem}\n"
    "header p,section>p,.note,footer{color:var(--dim)}\n"
    ".note,footer{font-size:.875rem}\n"
    "code{font-family:ui-monospace,Menlo,\"Liberation Mono\",monospace;"
    "font-size:.95em;overflow-wrap:anywhere}\n"
    "section{margin:1rem 0;padding:1.1rem 1.2rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:.6rem}\n"
    "footer{margin:1.2rem .2rem 0}\n"
    "summary{cursor:pointer;color:var(--dim);font-size:.875rem}\n";

static const char tiles[] =
    ".tiles{display:grid;gap:.7rem;margin:1.1rem 0;"
    "grid-template-columns:repeat(auto-fit,minmax(8.2rem,1fr))}\n"
    ".tiles div{padding:.7rem .9rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:.6rem}\n"
    ".tiles dt{color:var(--dim);font-size:.875rem}\n"
    ".tiles dd{margin:0;font-size:1.45rem;font-weight:600;line-height:1.3;"
    "font-variant-numeric:tabular-nums}\n"
    ".tiles .of{font-size:.8125rem;font-weight:400;color:var(--dim)}\n";

static const char tables[] =
    ".wide{overflow-x:auto;margin:.4rem 0}\n"
    "table{width:100%;border-collapse:collapse;font-size:.875rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.35rem .6rem;text-align:right;vertical-align:top;"
    "border-bottom:1px solid var(--line)}\n"
    "tr:last-child>th,tr:last-child>td{border-bottom:0}\n"
    "thead th,thead td{vertical-align:bottom;color:var(--dim);"
    "font-weight:500;border-bottom:1px solid var(--line)!important}\n"
    "tbody th{position:sticky;left:0;background:var(--card);"
    "font-weight:500}\n"
    "tbody th code{display:block;width:max-content;"
    "max-width:min(22rem,55vw)}\n"
    "td.l{min-width:13rem}\n"
    "tbody th,.l{text-align:left}\n"
    "th:first-child{padding-left:0}\n"
    "th:last-child,td:last-child{padding-right:0}\n"
    ".zero{color:var(--dim)}\n"
    ".when{white-space:nowrap}\n"
    ".meter{width:8rem;min-width:4rem}\n"
    ".meter i{display:block;height:.6rem;margin-top:.35em;min-width:1px;"
    "border-radius:2px}\n";

static const char charts[] =
    "figure{margin:.6rem 0}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:0 0 .4rem;"
    "padding:0;list-style:none;font-size:.875rem}\n"
    ".legend i{display:inline-block;width:.8em;height:.8em;"
    "margin-right:.4em;border-radius:2px}\n"
    ".plot{padding:0 .6rem 0 3.6rem}\n"
    ".plot svg{display:block;width:100%;overflow:visible}\n"
    ".plot text{fill:var(--dim);font-size:12px;"
    "font-variant-numeric:tabular-nums}\n"
    ".y{text-anchor:end}\n.x{text-anchor:middle}\n"
    ".grid,.tick{stroke:var(--line)}\n"
    ".hit{fill:transparent}\n"
    "g:hover .hit{fill:var(--ink);fill-opacity:.08}\n";

static const char fills[] =
    ".allow{fill:var(--allow);background:var(--allow)}\n"
    ".preflight{fill:var(--preflight);background:var(--preflight)}\n"
    ".report{fill:var(--report);background:var(--report)}\n"
    ".deny{fill:var(--deny);background:var(--deny)}\n"
    ".v1{fill:var(--v1);background:var(--v1)}\n"
    ".v2{fill:var(--v2);background:var(--v2)}\n";

static const char other[] =
    "@media (max-width:40rem){body{padding:1rem .6rem 2rem}"
    "section{padding:.9rem .8rem}.plot{padding-left:3rem}"
    ".meter{display:none}"
    ".tiles{grid-template-columns:repeat(auto-fit,minmax(6.6rem,1fr));"
    "gap:.5rem}.tiles dd{font-size:1.2rem}}\n"
    "@media print{:root{color-scheme:light;--page:#fff;--card:#fff;"
    "--ink:#000;--dim:#444;--line:#bbb}"
    "body{max-width:none;padding:0;font-size:10pt}"
    "section{padding:0;border:0;margin:1.2rem 0}"
    "figure,tr,.tiles{break-inside:avoid}h2,h3{break-after:avoid}"
    "details{display:none}.wide{overflow:visible}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n";

const char *const report_style[] = { colours, text, tiles, tables, charts,
	fills, other, NULL };
