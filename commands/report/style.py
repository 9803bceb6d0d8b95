"""How the page looks: one sheet, named by its hash in the page's Content-Security-Policy. No script, no font, no picture."""

import base64
import hashlib
from typing import Final

SHEET: Final = """
:root{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--ink:#1c2126;--soft:#5b6570;--rule:#dcdfe3;
--gain:#0b7a53;--loss:#b3372f;
--line:#2559a8;--fill:#2559a822;
--second:#96570a;--band:#8a93a055}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--card:#1b1f24;--ink:#e6e9ec;--soft:#a0a9b3;--rule:#343b43;--gain:#4cc491;
--loss:#f1837a;--line:#7fb0f5;--fill:#7fb0f52e;--second:#e5a550;--band:#8a93a066}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1rem;background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .5rem}
p{margin:.4rem 0}
.soft,caption,footer{color:var(--soft);font-size:.875rem}
section{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:1rem;margin:1rem 0}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.75rem 0}
a{color:var(--line)}
dl.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1rem 0}
dl.tiles div{background:var(--card);border:1px solid var(--rule);border-radius:.5rem;padding:.6rem .8rem}
dt{color:var(--soft);font-size:.8rem}
dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
.wide:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--line);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:start;padding:.25rem 0}
th,td{white-space:nowrap;padding:.3rem .6rem;text-align:start;border-bottom:1px solid var(--rule);vertical-align:top}
thead th{color:var(--soft);font-weight:600}
tbody th{font-weight:500}
.number{text-align:end}
.prose{white-space:normal;min-width:18rem}
.gain{color:var(--gain)}.loss{color:var(--loss)}
summary{cursor:pointer;padding:.25rem 0;font-weight:600}
svg{display:block;width:100%;min-width:42rem;height:auto;font:13px system-ui,sans-serif;fill:var(--soft)}
.grid{stroke:var(--rule);stroke-width:1}
.path{fill:none;stroke:var(--line);stroke-width:1.6;stroke-linejoin:round}
.other{fill:none;stroke:var(--second);stroke-width:1.6;stroke-dasharray:6 3}
.under{fill:var(--fill);stroke:none}
.fall{fill:var(--loss);fill-opacity:.25;stroke:var(--loss);stroke-width:1}
.band{fill:var(--band);stroke:none}
.bar{fill:var(--line)}.bar.gain{fill:var(--gain)}.bar.loss{fill:var(--loss)}
.held{stroke-width:1.6}.held.gain,.mark.gain{stroke:var(--gain)}.held.loss,.mark.loss{stroke:var(--loss);stroke-dasharray:4 2}
.mark{fill:var(--card);stroke-width:1.5}.mark.loss{stroke-dasharray:none}
.mark.none,.held.none{stroke:var(--soft)}
.digest{overflow-wrap:anywhere}
.verdict{font-weight:600}
h3{font-size:1rem;margin:.75rem 0 .25rem}
@media(max-width:40rem){.prose{min-width:10rem}
body{padding:.6rem}section{padding:.75rem}th,td{padding:.3rem .4rem}tbody th{white-space:normal}}
@media print{body{max-width:none}section{break-inside:avoid}nav{display:none}.wide{overflow:visible}svg{min-width:0}}
"""

_DIGEST: Final = base64.b64encode(hashlib.sha256(SHEET.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""Nothing is fetched, nothing runs, nothing is sent: this sheet and no other."""
