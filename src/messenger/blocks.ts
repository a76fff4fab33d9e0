import { sql } from 'kysely'
import { run } from '../database/database.ts'
import { hasBlock } from '../identity/index.ts'
import type { DomainEvents } from '../kernel/domain-events.ts'
import type { Fanout } from '../kernel/ports.ts'
import { directKeyOf } from './beginnings.ts'

/**
 * A block closes the direct conversation of the two, whoever has made it, and the last one that is taken back opens it
 * again. The conversation's row says so, which whoever writes has locked anyway: what was on its way is written before the
 * block, and nothing after it. One that begins at this moment is either seen here or not begun: blocks hold the rows of
 * the two people, against who begins something (see `People`). Who had watched the other's presence does so no more; after a
 * block is taken back they ask for it anew, as after any connection.
 */
export function createBlocks({ events, fanout }: { events: DomainEvents; fanout: Pick<Fanout, 'unwatch'> }): void {
  events.on('user.blocked', async (em, { userId, blockedId }) => {
    await run(
      em,
      sql`
        update conversations set is_blocked = ${hasBlock(userId, blockedId)}
        where direct_key = ${directKeyOf([userId, blockedId])}`,
    )
    return () => fanout.unwatch([userId, blockedId])
  })
}
