import type { MediaKind, MediaUrls } from '../kernel/ports.ts'
import type { Attachment } from './media.contract.ts'

/** As the SQL function `attachment_facts` gives it: without addresses, and without what is absent. */
export interface AttachmentFacts {
  id: string
  kind: MediaKind
  mime: string
  bytes: number
  name?: string
  width?: number
  height?: number
  durationMs?: number
  preview?: string
  hasThumbnail: boolean
}

/**
 * An attachment as those see it who may, with addresses that are signed now.
 * @param until the addresses are good no longer than that
 */
export function presentAttachment(facts: AttachmentFacts, urls: MediaUrls, until?: Date): Attachment {
  const { hasThumbnail, ...shown } = facts
  return {
    ...shown,
    url: urls.of(facts.id, 'original', until),
    ...(hasThumbnail && { thumbnailUrl: urls.of(facts.id, 'thumbnail', until) }),
  }
}
