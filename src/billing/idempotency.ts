import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { type Connection, type Database, run } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { AppError } from '../kernel/errors.ts'
import type { UserContext } from '../kernel/operation.ts'
import type { Jobs } from '../kernel/ports.ts'

const keptMs = 24 * 3600 * 1000
/** Longer than any provider is waited for: who still has the lease after that has died. */
const leaseMs = 60_000
const pollMs = 100

/** Work that is done once for a key. */
interface Work<T> {
  /** Writes what the work is about, such as a payment, in the transaction that stores the key; gives its id. */
  begin(em: Connection): Promise<string>
  /**
   * Does the work outside of any transaction, such as a request to a provider. Runs again for the same subject where an
   * earlier attempt has failed, so it bears the subject's id wherever it goes.
   */
  perform(subjectId: string): Promise<T>
}

interface IdempotencyDependencies {
  database: Database
  jobs: Jobs
  clock: Clock
  /** How long the second of two requests at once waits for the answer to the first. */
  patienceMs?: number
}

export type Idempotency = ReturnType<typeof createIdempotency>

/**
 * Owns `idempotency_keys`. Always holds: under one key of one user and operation there is one subject, and at most one
 * attempt at it at a time; an answer that was given is given again, for 24 hours.
 */
export function createIdempotency({ database, jobs, clock, patienceMs = 15_000 }: IdempotencyDependencies) {
  jobs.define({
    name: 'idempotency-keys-clear',
    expireSeconds: 60,
    retries: 2,
    schedule: '23 * * * *',
    async handle() {
      await database.query(sql`delete from idempotency_keys where expires_at <= ${clock().toISOString()}`)
    },
  })

  /**
   * Runs the work once for the request's `Idempotency-Key`; without the header, simply runs it.
   * @param operation the name under which keys count; the same key means something else in another operation
   * @param input what the operation was given, as the contract parsed it; the same key with another input is refused
   * @throws AppError invalid_request where the header is no key; idempotency_conflict for another input; conflict where
   *   the first of two requests at once takes too long; whatever the work throws, after which the key can be used again
   */
  async function once<T>(context: UserContext, operation: string, input: unknown, work: Work<T>): Promise<T> {
    const key = keyOf(context)
    if (key === undefined) return work.perform(await database.transact((em) => work.begin(em)))
    const row = sql`user_id = ${context.actor.userId} and operation = ${operation} and key = ${key}`
    const hash = createHash('sha256').update(JSON.stringify(input)).digest()

    const claim = () =>
      database.transact(async (em): Promise<Claim<T>> => {
        const now = clock()
        const lease = new Date(now.getTime() + leaseMs).toISOString()
        const expiry = new Date(now.getTime() + keptMs).toISOString()
        // the second of two at once waits here until the first has stored its subject
        const taken = await run(
          em,
          sql`
            insert into idempotency_keys as k (user_id, operation, key, request_hash, performing_until, expires_at)
            values (${context.actor.userId}, ${operation}, ${key}, ${hash}, ${lease}, ${expiry})
            on conflict (user_id, operation, key) do update set request_hash = excluded.request_hash, subject_id = null,
              response = null, performing_until = excluded.performing_until, expires_at = excluded.expires_at
            where k.expires_at <= ${now.toISOString()}
            returning key`,
        )
        if (taken.length > 0) {
          const subjectId = await work.begin(em)
          await run(em, sql`update idempotency_keys set subject_id = ${subjectId} where ${row}`)
          return { state: 'mine', subjectId }
        }
        const [earlier] = await run(
          em,
          sql<{ hash: Buffer; subjectId: string; response: { of: T } | null; busy: boolean }>`
            select request_hash as hash, subject_id as "subjectId", response,
              coalesce(performing_until > ${now.toISOString()}, false) as busy
            from idempotency_keys where ${row} for update`,
        )
        if (!earlier) return { state: 'busy' }
        if (!hash.equals(earlier.hash)) throw otherInput()
        if (earlier.response) return { state: 'done', response: earlier.response.of }
        if (earlier.busy) return { state: 'busy' }
        await run(em, sql`update idempotency_keys set performing_until = ${lease} where ${row}`)
        return { state: 'mine', subjectId: earlier.subjectId }
      })

    const deadline = performance.now() + patienceMs
    let claimed = await claim()
    while (claimed.state === 'busy') {
      if (performance.now() > deadline) throw stillUnderWay()
      await new Promise((resolve) => setTimeout(resolve, pollMs))
      claimed = await claim()
    }
    if (claimed.state === 'done') return claimed.response
    const { subjectId } = claimed
    const release = sql`performing_until = null where ${row} and subject_id = ${subjectId}`
    try {
      const response = await work.perform(subjectId)
      const stored = JSON.stringify({ of: response })
      await database.query(sql`update idempotency_keys set response = ${stored}::jsonb, ${release}`)
      return response
    } catch (error) {
      // where even this fails, the lease runs out by itself
      await database.query(sql`update idempotency_keys set ${release}`).catch(() => undefined)
      throw error
    }
  }

  return { once }
}

type Claim<T> = { state: 'mine'; subjectId: string } | { state: 'done'; response: T } | { state: 'busy' }

function keyOf({ request }: UserContext): string | undefined {
  const key = request?.header('idempotency-key')
  if (key === undefined || /^[\x20-\x7e]{1,255}$/.test(key)) return key
  const message = 'must be 1–255 printable ASCII characters'
  throw new AppError('invalid_request', `Idempotency-Key: ${message}`, {
    errors: [{ path: 'Idempotency-Key', message }],
  })
}

const otherInput = () => new AppError('idempotency_conflict', 'This Idempotency-Key was used for another request.')

const stillUnderWay = () =>
  new AppError('conflict', 'A request with this Idempotency-Key is still under way: try again in a moment.')
