import { useEffect, useState } from 'preact/hooks'
import { client } from '../state/session.ts'

/** An address of media that can be loaded now; undefined until it is known, and where one may not see it any more. */
export function useMediaUrl(url: string | undefined): string | undefined {
  const [loadable, setLoadable] = useState<string>()
  useEffect(() => {
    let isCurrent = true
    setLoadable(undefined)
    if (url)
      client.mediaUrl(url).then(
        (known) => isCurrent && setLoadable(known),
        () => {},
      )
    return () => {
      isCurrent = false
    }
  }, [url])
  return loadable
}
