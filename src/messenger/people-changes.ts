import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Fanout, MediaUrls, Memberships } from '../kernel/ports.ts'
import { type FaceRow, faceColumns, presentFace } from './conversation.presenter.ts'

/** Conversations of one order to the nodes. Who shares conversations of two orders hears twice, which does no harm. */
const orderSize = 2_000

/**
 * Tells people when someone with whom they share a conversation has another name or avatar. It moves no conversation's
 * number: however many conversations it touches, no row is written for it, and who misses it finds it by `sync`.
 */
export function createPeopleChanges(deps: {
  database: Database
  memberships: Pick<Memberships, 'conversationsOf'>
  fanout: Pick<Fanout, 'toPeers' | 'toUsers'>
  events: DomainEvents
  urls: MediaUrls
  log: Logger
}): void {
  const { database, memberships, fanout, events, urls, log } = deps

  events.on('user.changed', async (_em, { userId }) => () => {
    return tell(userId).catch((error: unknown) => log.error({ err: error, userId }, 'a changed name was not told'))
  })

  /** Reads after the commit: a conversation that begins later is told of with the new name already. */
  async function tell(userId: string): Promise<void> {
    const [row] = await database.query(sql<FaceRow>`select ${faceColumns} from users u where u.id = ${userId}`)
    if (!row) return
    const payload = { user: presentFace(row, urls) }
    const ids = (await memberships.conversationsOf(userId)).map(({ conversationId }) => conversationId)
    // the user's own sockets are in the rooms of the user's conversations, if there are any
    if (ids.length === 0) fanout.toUsers([userId], 'user:changed', payload)
    for (let i = 0; i < ids.length; i += orderSize) {
      fanout.toPeers(ids.slice(i, i + orderSize), 'user:changed', payload)
    }
  }
}
