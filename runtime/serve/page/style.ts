/** What the served pages have beyond the style of every page. */
export const LIVE = `
body>nav{max-width:66rem;margin:0 auto;padding:1.2rem 1.5rem 0}
body>nav a{font-weight:600}
.running .status,.status.running{color:var(--link)}
.status.succeeded,.status.computed{color:var(--good)}.status.failed{color:var(--bad)}
.status.interrupted,.status.stopped,.status.unfinished,.status.skipped{color:var(--warn)}
.status.cached,.status.waiting{color:var(--faint);font-weight:400}
.graph .running polygon,.graph .running path{fill:var(--panel);stroke:var(--link);stroke-width:2}
.graph .skipped polygon,.graph .skipped path{stroke:var(--warn);stroke-dasharray:2 2}
.bar{height:.5rem;background:var(--rule);border-radius:.25rem;overflow:hidden;max-width:43rem;margin:1rem auto}
.bar>div{height:100%;background:var(--link);width:0}
.log{font-family:ui-monospace,Menlo,Consolas,"Liberation Mono",monospace;font-size:.8125rem;line-height:1.5;max-height:18rem;overflow:auto;list-style:none;padding:.8rem 1rem;background:var(--panel)}
.log li{overflow-wrap:anywhere}
.log time{color:var(--faint);margin-right:.8em}
#curves{max-width:66rem}
#curves figure{max-width:27rem;margin:0}
.curve{width:100%;height:auto}
.curve .frame{stroke:var(--rule);stroke-width:.7}
.curve text{fill:var(--faint);font-size:11px}
.curve polyline{fill:none;stroke-width:1.6;stroke-linejoin:round}
form p{font-size:.875rem}
form button{font:inherit;padding:.25rem .9rem;border:1px solid var(--strong);background:var(--panel);color:var(--ink);border-radius:.25rem;cursor:pointer}
.nothing{color:var(--faint);font-style:italic}
`
