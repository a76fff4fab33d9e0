import { once } from 'node:events'
import { createLedger } from '../../src/billing/ledger.service.ts'
import { openDatabase } from '../../src/database/database.ts'
import { newId } from '../../src/kernel/ids.ts'

/**
 * A node of its own that does nothing but move the credits of one user, for tests that need two processes or kill one:
 * says `ready`, and begins when it is told to.
 *
 * - `debit <count>`: so many debits of 1, several at a time
 * - `resolve <hold id,…>`: captures or releases each of these holds, in an order of its own
 * - `churn`: holds, captures and releases until it is killed; says `captured` after each capture
 */
const [task, userId = '', argument = ''] = process.argv.slice(2)

const url = process.env.DATABASE_URL ?? ''
const database = await openDatabase({ dataDir: '', database: { url, pool: 5, statementTimeoutMs: 20_000 } })
const ledger = createLedger({ clock: () => new Date() })

const inAnHour = () => new Date(Date.now() + 3_600_000)

/** What became of each attempt, by the code of its refusal. */
async function outcomes(attempts: (() => Promise<string>)[]): Promise<string[]> {
  return Promise.all(
    attempts.map((attempt) =>
      attempt().catch((error: unknown) => String((error as { code?: string }).code ?? (error as Error).message)),
    ),
  )
}

const tasks: Record<string, () => Promise<string[]>> = {
  debit: () =>
    outcomes(
      Array.from(
        { length: Number(argument) },
        () => () =>
          database.transact(async (em) => {
            await ledger.post(em, { userId, amount: -1, type: 'use', key: newId() })
            return 'done'
          }),
      ),
    ),

  resolve: () =>
    outcomes(
      argument
        .split(',')
        .sort(() => Math.random() - 0.5)
        .map((holdId) => () => {
          const capture = Math.random() < 0.5
          return database.transact(async (em) => {
            if (!capture) return `released ${(await ledger.release(em, holdId)).repeated}`
            return `captured ${(await ledger.capture(em, holdId, 1 + Math.floor(Math.random() * 3))).repeated}`
          })
        }),
    ),

  async churn() {
    const lane = async () => {
      for (;;) {
        const { holdId } = await database.transact((em) =>
          ledger.hold(em, { userId, amount: 3, key: newId(), expiresAt: inAnHour() }),
        )
        if (Math.random() < 0.3) await database.transact((em) => ledger.release(em, holdId))
        else {
          await database.transact((em) => ledger.capture(em, holdId, 2))
          process.stdout.write('captured\n')
        }
      }
    }
    await Promise.all([lane(), lane(), lane(), lane()])
    return []
  },
}

process.stdout.write('ready\n')
await once(process.stdin, 'data')
const work = tasks[task ?? '']
if (!work) throw new Error(`There is no task ${task}`)
process.stdout.write(`${JSON.stringify(await work())}\n`)
await database.close()
process.exit()
