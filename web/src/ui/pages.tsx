import { useEffect, useState } from 'preact/hooks'
import { explain, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Button } from './button.tsx'
import { Problem } from './problem.tsx'

interface Page<T> {
  items: T[]
  nextCursor?: string
}

/** What a list of the server has so far shown of itself. */
export interface Pages<T> {
  /** Undefined until the first page is here. */
  items: readonly T[] | undefined
  problem: string | undefined
  /** Reads the next page; undefined where there is none. */
  more: (() => Promise<void>) | undefined
  /** Reads the list anew, such as after something in it was changed. Keeps what is shown until then. */
  reload(): Promise<void>
  set(items: readonly T[]): void
}

/** A list of the server, page by page, from an address such as `/v1/me/blocks`. Reads it anew when `version` changes. */
export function usePages<T>(path: string, version: unknown = 0): Pages<T> {
  const [items, setItems] = useState<readonly T[]>()
  const [cursor, setCursor] = useState<string>()
  const [problem, setProblem] = useState<string>()

  const read = (after?: string): Promise<Page<T>> => {
    const query = after === undefined ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(after)}`
    return client.rest.request<Page<T>>('GET', path + query)
  }

  function take(known: readonly T[], page: Page<T>): void {
    setItems([...known, ...page.items])
    setCursor(page.nextCursor)
    setProblem(undefined)
  }

  useEffect(() => {
    let isCurrent = true
    read().then(
      (page) => isCurrent && take([], page),
      (error) => isCurrent && setProblem(explain(error)),
    )
    return () => {
      isCurrent = false
    }
  }, [path, version])

  return {
    items,
    problem,
    set: setItems,
    more: cursor === undefined ? undefined : async () => take(items ?? [], await read(cursor)),
    reload: async () => take([], await read()),
  }
}

/** Below a list: that it is being read, that it is empty, what went wrong, or the button for its next page. */
export function PagesEnd<T>({ of: { items, problem, more, reload }, empty }: { of: Pages<T>; empty: string }) {
  if (problem && !items)
    return (
      <>
        <Problem text={problem} />
        <Button onPress={reload}>{t('common:retry')}</Button>
      </>
    )
  if (!items) return <p class="quiet">{t('common:loading')}</p>
  if (items.length === 0) return <p class="quiet">{empty}</p>
  return more ? <Button onPress={more}>{t('common:more')}</Button> : null
}

/** One thing of the server, read once and anew when `version` changes; `set` puts another in its place. */
export function useFetched<T>(path: string, version: unknown = 0) {
  const [value, set] = useState<T>()
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    let isCurrent = true
    client.rest.request<T>('GET', path).then(
      (read) => {
        if (!isCurrent) return
        set(() => read)
        setProblem(undefined)
      },
      (error) => isCurrent && setProblem(explain(error)),
    )
    return () => {
      isCurrent = false
    }
  }, [path, version])
  return { value, problem, set }
}

/** In place of something that is not here (yet). */
export function Awaited({ problem }: { problem: string | undefined }) {
  return problem ? <Problem text={problem} /> : <p class="quiet">{t('common:loading')}</p>
}
