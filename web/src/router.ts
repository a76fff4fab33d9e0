import { signal } from '@preact/signals'
import type { MouseEvent } from 'preact/compat'

/** Where the page is: path and query of the address. */
export const place = signal(readPlace())

function readPlace(): { path: string; query: URLSearchParams } {
  return { path: location.pathname, query: new URLSearchParams(location.search) }
}

addEventListener('popstate', () => {
  place.value = readPlace()
})

/** Goes to a path of this page, such as `/c/<id>`. */
export function navigate(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return
  if (replace) history.replaceState(null, '', to)
  else history.pushState(null, '', to)
  place.value = readPlace()
}

/** For links: a plain click stays in the page; one with a key held does what browsers do. */
export function followLink(event: MouseEvent<HTMLAnchorElement>): void {
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
  if (!isPlain || event.defaultPrevented) return
  event.preventDefault()
  navigate(event.currentTarget.pathname + event.currentTarget.search)
}

/** What stands after `prefix` in the path: `/c/` gives the conversation's id. */
export function pathAfter(prefix: string): string | undefined {
  const { path } = place.value
  if (!path.startsWith(prefix) || path.length === prefix.length) return undefined
  return decodeURIComponent(path.slice(prefix.length))
}
