import type { Attachment } from '../media/media.contract.ts'
import { addressOf } from './http.ts'
import type { ServerClock } from './server.clock.ts'

/** An address with less than this left, in milliseconds, is not begun with. */
const marginMs = 5000
/** So many attachments of which newer addresses are remembered. */
const maxRemembered = 1000

const mediaPath = /\/v1\/media\/([^/?]+)\/(original|thumbnail)\?/

/** Makes an address of media, as messages, people and stories have it, one that can be loaded now. */
export type MediaUrlOf = (url: string) => Promise<string>

/**
 * Addresses of media that do not expire for their users. `get` asks for an attachment anew, which gives new addresses;
 * callers at the same time share one request.
 */
export function createMediaUrls(deps: {
  /** The server's absolute address. */
  url: string
  clock: ServerClock
  get(attachmentId: string): Promise<Attachment>
}): MediaUrlOf {
  const { url: server, clock } = deps
  const fetching = new Map<string, Promise<Attachment>>()
  const remembered = new Map<string, Attachment>()

  const isGood = (url: string): boolean => {
    const expires = /[?&]expires=(\d+)/.exec(url)?.[1]
    return expires === undefined || Number(expires) * 1000 - marginMs > clock.now()
  }

  function fetchOnce(id: string): Promise<Attachment> {
    const fetched =
      fetching.get(id) ??
      deps
        .get(id)
        .then(remember)
        .finally(() => fetching.delete(id))
    fetching.set(id, fetched)
    return fetched
  }

  function remember(attachment: Attachment): Attachment {
    remembered.delete(attachment.id)
    remembered.set(attachment.id, attachment)
    for (const oldest of remembered.keys()) if (remembered.size > maxRemembered) remembered.delete(oldest)
    return attachment
  }

  return async (url) => {
    const [, id, variant] = mediaPath.exec(url) ?? []
    let current = url
    if (id !== undefined && !isGood(current)) {
      const addressIn = (attachment: Attachment) =>
        variant === 'thumbnail' ? (attachment.thumbnailUrl ?? attachment.url) : attachment.url
      const newer = remembered.get(id)
      if (newer) current = addressIn(newer)
      // One that has just been given is good, whatever the clocks say.
      if (!newer || !isGood(current)) current = addressIn(await fetchOnce(id))
    }
    return current.startsWith('/') ? addressOf(server, current) : current
  }
}
