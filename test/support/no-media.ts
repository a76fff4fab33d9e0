import assert from 'node:assert/strict'
import type { Attachments, MediaUrls } from '../../src/kernel/ports.ts'

/** For features on their own: attachments that nobody has, since media hold and remove real ones. */
export const noAttachments: Attachments = {
  declareUse: () => {},
  hold: () => assert.fail('nothing was uploaded'),
  release: async () => () => {},
}

export const plainUrls: MediaUrls = { of: (id, variant) => `${id}/${variant}` }
