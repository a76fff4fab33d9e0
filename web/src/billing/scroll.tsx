import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** What may be wider than its place: scrolled by touch, wheel and keys. `isAtEnd`: what matters most is at the end. */
export function Scroll(options: { label: string; isAtEnd?: boolean; children: ComponentChildren }) {
  const { label, isAtEnd = false, children } = options
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (isAtEnd && box.current) box.current.scrollLeft = box.current.scrollWidth
  }, [])
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is of forms
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without it, keys could not scroll what is in it
    <div ref={box} class="billing-scroll" role="group" aria-label={label} tabIndex={0}>
      {children}
    </div>
  )
}
