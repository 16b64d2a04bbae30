"""How the HTML report looks: both themes, narrow and wide, on paper."""

STYLE = """
:root { color-scheme: light dark;
  --page: #ffffff; --panel: #f6f7f9; --ink: #1c2128; --soft: #57606a; --line: #d0d7de; --code: #eef1f4;
  --pass: #116329; --gap: #b3261e; --unknown: #7a4d00; --skipped: #57606a; --waived: #0b5c78; --error: #7b2d8e; --focus: #0a58ca; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0e1116; --panel: #161b22; --ink: #e6edf3; --soft: #9aa4af; --line: #333b45; --code: #1f2630;
  --pass: #5fd07a; --gap: #ff8f87; --unknown: #e5b454; --skipped: #9aa4af; --waived: #6cc7e6; --error: #d79be6; --focus: #79b0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, main, footer { max-width: 76rem; margin: 0 auto; padding: .5rem 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.3rem; margin: 1rem 0 .5rem; } h3 { font-size: 1.1rem; margin: 1.5rem 0 .25rem; }
p { margin: .25rem 0; } a { color: var(--focus); } .soft { color: var(--soft); }
code, pre, .place { font-family: ui-monospace, monospace; font-size: .875rem; }
pre { margin: .5rem 0; padding: .75rem; overflow-x: auto; background: var(--code); border-radius: .375rem; }
code { background: var(--code); padding: .1rem .3rem; border-radius: .25rem; }
pre code { padding: 0; background: none; }
p, li, td, summary, code { overflow-wrap: anywhere; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; } .skip:focus { left: 1rem; top: 1rem; background: var(--page); padding: .5rem; }
.pass { color: var(--pass); } .gap { color: var(--gap); } .unknown { color: var(--unknown); } .skipped { color: var(--skipped); }
.waived { color: var(--waived); } .error { color: var(--error); }
.verdict { border-left: .5rem solid currentColor; background: var(--panel); padding: .75rem 1rem; border-radius: .375rem; }
.verdict strong { font-size: 1.15rem; } .verdict .what { color: var(--ink); font-weight: 600; }
.counts { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .75rem 0; list-style: none; }
.chain { display: flex; flex-wrap: wrap; gap: .75rem 0; padding: 0; margin: .5rem 0; list-style: none; }
.chain > li { flex: 1 1 10rem; min-width: 10rem; padding: 1.1rem .75rem .5rem 0; position: relative; }
.chain > li::before { content: ""; position: absolute; top: .35rem; left: 0; width: .8rem; height: .8rem; border-radius: 50%;
  border: 2px solid currentColor; background: var(--page); }
.chain > li.pass::before, .chain > li.gap::before { background: currentColor; }
.chain > li::after { content: ""; position: absolute; top: .7rem; left: 1.1rem; right: .3rem; border-top: 2px solid currentColor; }
.chain > li.gap::after, .chain > li.skipped::after, .chain > li.unknown::after, .chain > li.error::after { border-top-style: dashed; }
.chain > li:last-child::after { display: none; }
.chain .what { color: var(--ink); font-size: .9rem; } .chain .place { color: var(--soft); display: block; }
form.filters { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: end;
  background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: 1.5rem 0 1rem; }
fieldset { border: 0; padding: 0; margin: 0; min-width: 0; } legend { padding: 0; }
legend, .filters label > span { font-size: .8rem; color: var(--soft); }
fieldset label { margin-right: .75rem; white-space: nowrap; }
.filters label:has(> span) { display: flex; flex-direction: column; }
input[type=search], select, button { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line);
  border-radius: .375rem; padding: .3rem .5rem; max-width: 100%; }
input[type=checkbox] { width: 1rem; height: 1rem; accent-color: var(--focus); }
details.finding { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; background: var(--page); }
details.finding > summary { padding: .6rem .9rem; cursor: pointer; border-radius: .5rem; }
details.finding > summary:hover { background: var(--panel); }
details.finding > div { padding: 0 .9rem .75rem 2rem; }
.tag { white-space: nowrap; } .id { font-weight: 600; } .about { display: block; padding-left: 1.1rem; }
table { border-collapse: collapse; margin: .5rem 0; } caption { text-align: left; font-weight: 600; }
.place { overflow-wrap: anywhere; }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; font-weight: inherit; }
.add { color: var(--pass); } .del { color: var(--gap); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
@media (max-width: 40rem) {
  .chain { display: block; } .chain > li { padding: 0 0 .9rem 1.5rem; min-width: 0; }
  .chain > li::after { top: 1.3rem; bottom: 0; left: .35rem; right: auto; border-top: 0; border-left: 2px solid currentColor; }
  .chain > li.gap::after, .chain > li.skipped::after, .chain > li.unknown::after, .chain > li.error::after { border-left-style: dashed; }
  form.filters { position: static; } dl { grid-template-columns: 1fr; } dd { padding-left: 1rem; }
  details.finding > div { padding-left: .9rem; } }
@media (prefers-reduced-motion: no-preference) { details.finding > summary { transition: background-color .15s; } }
@media (forced-colors: active) { .chain > li::before, .chain > li::after { forced-color-adjust: none; } }
@media print { .filters, .skip { display: none !important; } body { font-size: 10pt; background: #fff; }
  details::details-content { content-visibility: visible; height: auto; display: block; }
  details.finding, .chain > li { break-inside: avoid; } pre { white-space: pre-wrap; } }
"""
