/**
 * Texts that would run or load something, or break the layout, if they were taken for more than text. Each one that runs
 * calls `pwned`; each one that loads asks `evil.example`.
 */
export const hostileTexts: readonly string[] = [
  '<script>pwned(1)</script>',
  '<img src=x onerror=pwned(2)>',
  '<svg onload=pwned(3)><animate onbegin=pwned(3) attributeName=x dur=1s>',
  '<iframe srcdoc="<script>parent.pwned(4)</script>"></iframe>',
  '<a href="javascript:pwned(5)">press</a>',
  '[press](javascript:pwned(6))',
  '[press](JaVaScRiPt&colon;pwned(7))',
  '[press](data:text/html,<script>parent.pwned(8)</script>)',
  '[press](vbscript:pwned(9))',
  '![picture](https://evil.example/pixel.png)',
  '![picture](x" onerror="pwned(10))',
  '[x]: javascript:pwned(11)\n\n[press][x]',
  '<https://evil.example" onmouseover="pwned(12)>',
  '<style>*{background:url(https://evil.example/css)}</style>',
  '<link rel=stylesheet href=https://evil.example/a.css>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=pwned(13)&gt;">',
  '<form action=https://evil.example><button>send</button></form>',
  '<input autofocus onfocus=pwned(14)>',
  '<details open ontoggle=pwned(15)>',
  '<video><source onerror=pwned(16)></video>',
  '<object data="javascript:pwned(17)"></object>',
  '<base href=https://evil.example/>',
  '<meta http-equiv=refresh content="0;url=https://evil.example">',
  '<noscript><p title="</noscript><img src=x onerror=pwned(18)>">',
  '```"><img src=x onerror=pwned(19)>\ncode\n```',
  '```html\n<img src=x onerror=pwned(20)>\n```',
  '`<img src=x onerror=pwned(21)>`',
  '| a | b |\n|---|---|\n| <img src=x onerror=pwned(22)> | [x](javascript:pwned(22)) |',
  '<div style="position:fixed;inset:0;background:red;z-index:9999">over everything</div>',
  '<a id=page>clobber</a><form id=main><input name=children></form>',
  '{{constructor.constructor("pwned(23)")()}}',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it must not become one
  '${pwned(24)}',
  '@<img/src/onerror=pwned(25)>',
  `${'W'.repeat(3_000)}`,
  `${'> '.repeat(400)}deep`,
  `${'- '.repeat(300)}deep`,
  `${'['.repeat(2_000)}`,
  `${'**'.repeat(1_500)}x`,
  `a${'\u0300'.repeat(800)}`,
  '\u202Etxet desrever \u202Dand back',
  'מה שלומך? <b>שלום</b> pwned(26)',
  '𒐫𒈙⸻꧅﷽'.repeat(20),
]

/** Those that fit into a name or a title. */
export const hostileNames: readonly string[] = hostileTexts
  .filter((text) => !text.includes('\n') && text.length <= 60)
  .concat(['W'.repeat(60), `a${'\u0300'.repeat(50)}`, '\u202Eevil\u202E name'])

/** Names of files: what a server keeps of them is not the page's to trust. */
export const hostileFileNames: readonly string[] = [
  '"><img src=x onerror=pwned(30)>.txt',
  '<script>pwned(31)</script>.txt',
  `${'long-'.repeat(40)}.txt`,
  '\u202Egpj.exe.txt',
]
