import { useEffect, useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { CopyButton } from '../ui/copy.tsx'
import { type CleanHtml, htmlOfCode } from './block-html.ts'

/** Longer code is shown in one colour: highlighting would hold up the page. In UTF-16 units. */
const maxHighlighted = 30_000

/** Code with what it is written in, and a button that copies it. `isOpen`: more of it is to come. */
export function CodeBlock({ code, language, isOpen }: { code: string; language: string; isOpen: boolean }) {
  const html = useHighlighted(code, language, isOpen)
  return (
    <figure class="code" dir="ltr">
      <figcaption class="code-head">
        <span class="code-language">{language || t('messages:code')}</span>
        <CopyButton text={code} size={16} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <pre class="code-text" tabIndex={0}>
        {html ? <code dangerouslySetInnerHTML={html} /> : <code>{code}</code>}
      </pre>
    </figure>
  )
}

function useHighlighted(code: string, language: string, isOpen: boolean): CleanHtml | undefined {
  const [html, setHtml] = useState<CleanHtml>()
  useEffect(() => {
    setHtml(undefined)
    if (isOpen || !language || code.length > maxHighlighted) return
    let isCurrent = true
    import('./highlight.ts').then(
      ({ highlight }) => {
        const highlighted = isCurrent ? highlight(code, language) : undefined
        if (highlighted !== undefined) setHtml(htmlOfCode(highlighted))
      },
      // offline before it was loaded: the code stands there all the same
      () => {},
    )
    return () => {
      isCurrent = false
    }
  }, [code, language, isOpen])
  return html
}
