import { Check, Copy } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { Button, IconButton } from './button.tsx'

/** Browsers lend the clipboard to secure pages alone: on plain http off this machine nothing offers to copy. */
export const canCopy: boolean = navigator.clipboard !== undefined

const copiedMs = 2_000

/** Copies a text, and says so for a moment; as a picture unless it is to have words. `label`: what it is that is copied. */
export function CopyButton(options: { text: string; label?: string; isWorded?: boolean; size?: number }) {
  const { text, label, isWorded = false, size } = options
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setCopied(false), copiedMs)
    return () => clearTimeout(timer)
  }, [isCopied])
  if (!canCopy) return null
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
  }
  const icon = isCopied ? Check : Copy
  const words = t(isCopied ? 'common:copied' : 'common:copy')
  if (isWorded)
    return (
      <Button icon={icon} onPress={copy}>
        {words}
      </Button>
    )
  return <IconButton icon={icon} size={size} label={label ? `${words}: ${label}` : words} onPress={copy} />
}
