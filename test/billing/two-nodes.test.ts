import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { createLedger } from '../../src/billing/ledger.service.ts'
import { type Database, run } from '../../src/database/database.ts'
import { newId } from '../../src/kernel/ids.ts'
import { checkInvariants } from '../support/billing.ts'
import { type OwnDatabase, useDatabase, withoutOwnPostgres } from '../support/services.ts'

const spender = join(import.meta.dirname, 'spender.ts')
const limitMs = 60_000

/** Nodes share a PostgreSQL; the embedded database has one process. */
const skip = process.env.DATABASE_URL ? false : withoutOwnPostgres

describe('two nodes on one PostgreSQL', { skip }, () => {
  let own: OwnDatabase
  let database: Database
  const ledger = createLedger({ clock: () => new Date() })
  before(async () => {
    own = await useDatabase()
    database = own.database
    await database.migrate()
  })
  after(() => own.close())

  /** An account with that balance. */
  async function person(credits: number): Promise<string> {
    const userId = newId()
    await database.transact(async (em) => {
      await run(
        em,
        sql`insert into users (id, username, display_name) values (${userId}, ${userId.slice(-12)}, 'User')`,
      )
      await run(em, sql`insert into wallets (user_id) values (${userId})`)
      await ledger.post(em, { userId, amount: credits, type: 'charge', key: `start:${userId}` })
    })
    return userId
  }

  const stateOf = async (userId: string) => {
    const [row] = await database.query(sql<{ state: number[] }>`
      select json_build_array(credits, held, (select sum(amount) from credit_transactions where user_id = w.user_id))
        as state
      from wallets w where user_id = ${userId}`)
    const [credits, held, ledgerSum] = row?.state ?? []
    return { credits, held, ledgerSum }
  }

  test('200 debits of 1 on a balance of 100: exactly 100 succeed, and nothing is left', async () => {
    const userId = await person(100)
    const nodes = await start(['debit', userId, '100'], ['debit', userId, '100'])
    const outcomes = (await Promise.all(nodes.map((node) => node.result()))).flat()
    assert.deepEqual(tally(outcomes), { done: 100, insufficient_credits: 100 })
    assert.deepEqual(await stateOf(userId), { credits: 0, held: 0, ledgerSum: 0 })
    await checkInvariants(database)
  })

  test('holds that both resolve in random order are resolved once each', async () => {
    const userId = await person(600)
    const holds: string[] = []
    for (let n = 0; n < 200; n++) {
      const expiresAt = new Date(Date.now() + 3_600_000)
      const hold = await database.transact((em) => ledger.hold(em, { userId, amount: 3, key: newId(), expiresAt }))
      holds.push(hold.holdId)
    }
    assert.deepEqual(await stateOf(userId), { credits: 600, held: 600, ledgerSum: 600 })
    const nodes = await start(['resolve', userId, holds.join(',')], ['resolve', userId, holds.join(',')])
    const outcomes = tally((await Promise.all(nodes.map((node) => node.result()))).flat())
    const first = (outcomes['captured false'] ?? 0) + (outcomes['released false'] ?? 0)
    const second = (outcomes['captured true'] ?? 0) + (outcomes['released true'] ?? 0) + (outcomes.conflict ?? 0)
    assert.deepEqual([first, second], [200, 200], JSON.stringify(outcomes))
    const [captured] = await database.query(sql<{ count: string; sum: string }>`
      select count(*) as count, sum(captured) as sum from credit_holds where user_id = ${userId} and status = 'captured'`)
    assert.equal(Number(captured?.count), outcomes['captured false'])
    const left = 600 - Number(captured?.sum)
    assert.deepEqual(await stateOf(userId), { credits: left, held: 0, ledgerSum: left })
    await checkInvariants(database)
  })

  test('a node that is killed amid captures leaves no half of one behind, and the other goes on', async () => {
    const userId = await person(100_000)
    const [other] = await start(['churn', userId])
    assert.ok(other)
    for (let round = 0; round < 3; round++) {
      const [victim] = await start(['churn', userId])
      await victim?.says('captured', 25)
      await victim?.kill()
      await checkInvariants(database)
      await other.says('captured', 25)
    }
    await other.kill()
    await ended(database)
    await checkInvariants(database)
    const [row] = await database.query(sql<{ halves: string; captured: string }>`
      select count(*) filter (where (h.status = 'captured') <> (t.id is not null) or -t.amount <> h.captured) as halves,
        count(*) filter (where h.status = 'captured') as captured
      from credit_holds h left join credit_transactions t on t.operation_key = 'hold:' || h.id
      where h.user_id = ${userId}`)
    assert.equal(Number(row?.halves), 0)
    const captured = Number(row?.captured)
    assert.ok(captured >= 150, `${captured} captures`)
    assert.equal((await stateOf(userId)).credits, 100_000 - 2 * captured)
    // what the killed ones held is there for the job to release
    const open = await database.query(sql<{ id: string }>`
      select id from credit_holds where user_id = ${userId} and status = 'held'`)
    for (const { id } of open) await database.transact((em) => ledger.expire(em, id))
    assert.equal((await stateOf(userId)).held, 0)
  })

  interface Node {
    /** Waits until it has said that so many times more. */
    says(word: string, times: number): Promise<void>
    /** What it did, when it is done. */
    result(): Promise<string[]>
    kill(): Promise<void>
  }

  /** Starts spenders and lets them begin together. */
  async function start(...tasks: string[][]): Promise<Node[]> {
    const nodes = await Promise.all(tasks.map(prepare))
    for (const node of nodes) node.begin()
    return nodes
  }

  async function prepare(task: string[]): Promise<Node & { begin(): void }> {
    const child = spawn(process.execPath, [spender, ...task], {
      env: { ...process.env, DATABASE_URL: own.url, NODE_TEST_CONTEXT: undefined },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const endWithTest = () => child.kill('SIGKILL')
    process.once('exit', endWithTest)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async (): Promise<string> => {
      const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
      const { value, done } = await lines.next()
      clearTimeout(timer)
      assert.ok(!done, `the node for ${task[0]} ended`)
      return value
    }
    const exited = once(child, 'exit').then(() => process.off('exit', endWithTest))
    assert.equal(await next(), 'ready')
    return {
      begin: () => void child.stdin.write('go\n'),
      async says(word, times) {
        for (let heard = 0; heard < times; ) if ((await next()) === word) heard++
      },
      async result() {
        const outcomes = JSON.parse(await next())
        await exited
        return outcomes
      },
      kill: () => kill(child, exited),
    }
  }
})

async function kill(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGKILL')
  await exited
}

/** Waits until the server has noticed that the killed nodes are gone: what they had begun is rolled back then. */
async function ended(database: Database): Promise<void> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const others = await database.query(sql`
      select from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' and backend_type = 'client backend'`)
    if (others.length === 0) return
    assert.ok(Date.now() < deadline, 'the connections of the killed nodes are still there')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const tally = (outcomes: string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}
