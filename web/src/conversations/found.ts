import { useEffect, useState } from 'preact/hooks'
import { explain } from '../i18n.ts'

/** How long the typing has to pause before a question is asked. */
const pauseMs = 200

interface Found<T> {
  items: readonly T[]
  isAsking: boolean
  /** What went wrong, in words. */
  problem?: string
}

/** What the server finds for a question while it is typed; nothing for an empty one. Overtaken answers are dropped. */
export function useFound<T>(query: string, ask: (query: string) => Promise<readonly T[]>): Found<T> {
  const [found, setFound] = useState<Found<T>>({ items: [], isAsking: false })
  useEffect(() => {
    if (query === '') {
      setFound({ items: [], isAsking: false })
      return
    }
    let isCurrent = true
    const settle = (next: Found<T>) => isCurrent && setFound(next)
    setFound(({ items }) => ({ items, isAsking: true }))
    const timer = setTimeout(() => {
      ask(query).then(
        (items) => settle({ items, isAsking: false }),
        (error) => settle({ items: [], isAsking: false, problem: explain(error) }),
      )
    }, pauseMs)
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [query])
  return found
}
