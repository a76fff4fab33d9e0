import { sql } from 'kysely'
import type { Logger } from 'pino'
import type { Database } from '../database/database.ts'
import type { Pump } from './pump.ts'
import { leftWaiting } from './questions.ts'
import { takeExpired } from './run-rows.ts'
import type { Runs } from './runs.service.ts'

const roundMs = 3_000
/** Whoever stored a question looks at it at once: one that waits for longer was left by a node that died. */
const leftAfterMs = 3_000
/** Nobody waits for an answer to that any more. */
const forgottenAfterMs = 600_000
/** While the database was away nobody could renew a lease: after that those who live get a round to do so. */
const awayMs = 2 * roundMs

/**
 * Finds what nodes that died have left: ends runs whose lease has expired, and has questions looked at that wait. Each
 * node does it for all; the database sees to it that each thing is done once.
 */
export function createReaper(deps: {
  database: Database
  runs: Runs
  pump: Pump
  look(conversationIds: string[]): void
  nodeId: string
  log: Logger
}) {
  const { database, runs, pump, look, nodeId, log } = deps
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> | undefined
  let answeredAt = Date.now()

  async function wasAway(): Promise<boolean> {
    await database.query(sql`select 1`)
    const before = answeredAt
    answeredAt = Date.now()
    return answeredAt - before > awayMs
  }

  async function round(): Promise<void> {
    const own = pump.all().map(({ run }) => run.messageId)
    const expired = (await wasAway()) ? [] : await takeExpired(database, nodeId, own)
    for (const run of expired) {
      const { conversationId, messageId, savedLength } = run
      log.warn({ conversationId, messageId }, 'a run whose node has gone is ended')
      const none = { modelId: undefined, inputTokens: 0, outputTokens: 0, inputLength: 0, processingTimeMs: 0 }
      await runs.end(run, { status: 'failed', errorCode: 'interrupted', ...none }, { from: savedLength, text: '' })
    }
    const forgotten = new Date(Date.now() - forgottenAfterMs).toISOString()
    await database.query(sql`delete from message_triggers where created_at < ${forgotten}`)
    look(await leftWaiting(database, new Date(Date.now() - leftAfterMs)))
  }

  return {
    start(): void {
      answeredAt = Date.now()
      timer = setInterval(() => {
        working ??= round()
          .catch((error: unknown) => log.warn({ err: error }, 'what other nodes have left was not looked at'))
          .finally(() => {
            working = undefined
          })
      }, roundMs)
    },
    async close(): Promise<void> {
      clearInterval(timer)
      await working
    },
  }
}
