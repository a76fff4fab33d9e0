import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import { AppError, notFound, unprocessable } from '../kernel/errors.ts'
import type { Attachments, AttachmentUse, MediaKind, MediaUrls } from '../kernel/ports.ts'
import { type AttachmentFacts, presentAttachment } from './attachment.presenter.ts'
import type { Attachment } from './media.contract.ts'
import type { Removal } from './removal.service.ts'

/**
 * Owns who may use and see attachments. What refers to them is known to the features that do, each by its `declareUse`.
 *
 * Always holds: an attachment that something refers to is not removed. Whoever begins to refer to one holds its row until
 * the commit; whoever removes one has locked the row against that, and asks afterwards whether anything refers to it.
 */
export function createAttachments(deps: {
  database: Database
  urls: MediaUrls
  removal: Removal
  /** As features declare them. */
  uses: AttachmentUse[]
}) {
  const { database, urls, removal, uses } = deps

  async function hold(
    em: Connection,
    ownerId: string,
    attachmentId: string,
    wanted?: readonly MediaKind[],
  ): Promise<MediaKind> {
    const [row] = await run(
      em,
      sql<{ kind: MediaKind }>`
        select kind from attachments
        where id = ${attachmentId} and owner_id = ${ownerId} and status = 'ready' for key share`,
    )
    if (!row) throw unprocessable('That is no upload of yours.')
    if (wanted && !wanted.includes(row.kind)) throw unprocessable(`That is no ${wanted.join(' or ')}.`)
    return row.kind
  }

  /** @throws AppError not_found, for all who may not see it */
  async function get(userId: string, attachmentId: string): Promise<Attachment> {
    const [row] = await database.query(
      sql<{ facts: AttachmentFacts; own: boolean }>`
        select attachment_facts(a) as facts, coalesce(a.owner_id = ${userId}, false) as own from attachments a
        where a.id = ${attachmentId} and a.status = 'ready'`,
    )
    const shown = row && (row.own || (await isShownTo(userId, attachmentId)))
    if (!shown) throw notFound('attachment')
    return presentAttachment(row.facts, urls, shown === true ? undefined : shown)
  }

  /** By any of what refers to it; where each of these ends by itself, until the last does. */
  async function isShownTo(userId: string, attachmentId: string): Promise<boolean | Date> {
    let until: boolean | Date = false
    for (const use of uses) {
      const shown = await use.isVisibleTo(userId, attachmentId)
      if (shown === true) return true
      if (shown && (!until || shown > until)) until = shown
    }
    return until
  }

  /** @throws AppError not_found where it is no upload of theirs, conflict where something refers to it */
  async function remove(userId: string, attachmentId: string): Promise<void> {
    const { found, removed } = await removal.take(
      sql`id = ${attachmentId} and owner_id = ${userId} and status = 'ready'`,
      'wait',
    )
    if (found === 0) throw notFound('attachment')
    if (removed === 0) throw new AppError('conflict', 'It is in use: remove what refers to it first.')
  }

  const face: Attachments = {
    declareUse: (use) => void uses.push(use),
    hold,
    release: removal.release,
  }
  return { face, get, remove }
}
