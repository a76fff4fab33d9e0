import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { pino } from 'pino'
import { createJobs } from '../../src/adapters/pg-boss.ts'
import type { Payment } from '../../src/billing/payments.contract.ts'
import type { Database } from '../../src/database/database.ts'
import { assertSound, closing, eventually, startScene } from '../faults/scene.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { checkInvariants } from '../support/billing.ts'
import { connect, type Person, register } from '../support/people.ts'
import { type OwnDatabase, withoutServices } from '../support/services.ts'
import { startTbank, type TbankStandIn } from '../support/tbank.ts'
import { startTelegram, type TelegramStandIn } from '../support/telegram-bot.ts'
import { startToncenter, type TonStandIn } from '../support/toncenter.ts'
import { faults } from '../support/upstream.ts'

type Session = Awaited<ReturnType<typeof register>>

interface Begun {
  paymentId: string
  url: string
  details?: { comment: string; nanoton: string }
}

const json = { 'content-type': 'application/json' }

async function ask<T>(url: string, path: string, session: Session, body?: object): Promise<T> {
  const response = await fetch(url + path, {
    method: body ? 'POST' : 'GET',
    headers: { ...json, authorization: `Bearer ${session.accessToken}` },
    ...(body && { body: JSON.stringify(body) }),
  })
  const answer = (await response.json()) as T
  assert.ok(response.ok, `${path}: ${JSON.stringify(answer)}`)
  return answer
}

const begin = (url: string, session: Session, provider: Payment['provider']): Promise<Begun> =>
  ask(url, '/v1/credits/checkout', session, { tierId: 'credits_5000', provider })

const paymentOf = (url: string, session: Session, { paymentId }: Begun): Promise<Payment> =>
  ask(url, `/v1/billing/payments/${paymentId}`, session)

const creditsOf = async (url: string, session: Session): Promise<number> =>
  (await ask<{ credits: number }>(url, '/v1/credits', session)).credits

const fromBank = (url: string, body: string): Promise<Response> =>
  fetch(`${url}/v1/webhooks/tbank`, { method: 'POST', headers: json, body })

const fromTelegram = (url: string, body: string, secret: string): Promise<Response> =>
  fetch(`${url}/v1/webhooks/telegram`, {
    method: 'POST',
    headers: { ...json, 'x-telegram-bot-api-secret-token': secret },
    body,
  })

/** Ten of each, in some other order. */
const tenfold = <T>(items: T[]): T[] =>
  Array.from({ length: 10 }, () => items)
    .flat()
    .map((item, i) => ({ item, place: (i * 7919) % 101 }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)

interface Providers {
  bank: TbankStandIn
  telegram: TelegramStandIn
  toncenter: TonStandIn
  env: Record<string, string>
}

async function startProviders(context: Pick<TestContext, 'after'>): Promise<Providers> {
  const bank = await closing(context, startTbank())
  const telegram = await closing(context, startTelegram())
  const toncenter = await closing(context, startToncenter())
  return { bank, telegram, toncenter, env: { ...bank.env, ...telegram.env, ...toncenter.env } }
}

describe('webhooks of a server', () => {
  let providers: Providers
  let server: Backend
  let ann: Session
  let device: Person
  const closers: (() => unknown)[] = []
  before(async () => {
    providers = await startProviders({ after: (close) => void closers.push(close as () => unknown) })
    server = await startBackend(providers.env)
    ann = await register(server.url, 'ann')
    device = await connect(server.url, ann)
  })
  after(async () => {
    device?.close()
    await server?.end()
    for (const close of closers) await close()
  })

  test('a notification of the bank, delivered ten times at once, is answered OK and has one effect', async () => {
    const begun = await begin(server.url, ann, 'tbank')
    const start = await creditsOf(server.url, ann)
    const body = providers.bank.notification(begun.paymentId, 'CONFIRMED')
    const answers = await Promise.all(Array.from({ length: 10 }, () => fromBank(server.url, body)))
    for (const answer of answers) {
      assert.equal(answer.status, 200)
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
      assert.equal(await answer.text(), 'OK')
    }
    await device.hears('wallet:changed', ({ credits }) => Number(credits) === start + 5000)
    assert.equal((await paymentOf(server.url, ann, begun)).status, 'succeeded')
    assert.equal(await creditsOf(server.url, ann), start + 5000)
  })

  test('a forged notification or update is refused in the form of all refusals, and has no effect', async () => {
    const begun = await begin(server.url, ann, 'tbank')
    const stars = await begin(server.url, ann, 'stars')
    const start = await creditsOf(server.url, ann)
    const notification = JSON.parse(providers.bank.notification(begun.paymentId, 'CONFIRMED'))
    const { update } = providers.telegram.paid(stars.paymentId)
    const refused = [
      await fromBank(server.url, JSON.stringify({ ...notification, Amount: 1 })),
      await fromBank(server.url, JSON.stringify({ ...notification, Token: undefined })),
      await fromTelegram(server.url, update, 'not the secret'),
      await fetch(`${server.url}/v1/webhooks/telegram`, { method: 'POST', body: update }),
    ]
    for (const response of refused) {
      assert.equal(response.status, 401)
      assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
      assert.equal(((await response.json()) as { code: string }).code, 'unauthenticated')
    }
    for (const body of ['', 'OK', '{"a":']) assert.equal((await fromBank(server.url, body)).status, 400, body)
    assert.equal((await fromBank(server.url, `"${'x'.repeat(300_000)}"`)).status, 413)
    // a later one that is right has gone through: so would they have
    await fromBank(server.url, JSON.stringify(notification))
    await eventually('the right one', async () => (await paymentOf(server.url, ann, begun)).status === 'succeeded')
    assert.equal((await paymentOf(server.url, ann, stars)).status, 'pending')
    assert.equal(await creditsOf(server.url, ann), start + 5000)
  })

  test('Telegram has its answer at once, in the body', async () => {
    const begun = await begin(server.url, ann, 'stars')
    const { preCheckout, secret } = providers.telegram
    const started = performance.now()
    const answer = await fromTelegram(server.url, preCheckout(begun.paymentId), secret)
    assert.ok(performance.now() - started < 5_000, 'of the ten seconds that there are')
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
    assert.deepEqual(await answer.json(), {
      ...{ method: 'answerPreCheckoutQuery', pre_checkout_query_id: '21985123', ok: true },
    })
    const wrong = await fromTelegram(server.url, preCheckout(begun.paymentId, { total_amount: 1 }), secret)
    assert.partialDeepStrictEqual(await wrong.json(), { ok: false })
  })

  test('the documents say where a key makes a repetition harmless', async () => {
    const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: Record<string, { post?: { parameters?: { name: string; in: string; required?: boolean }[] } }>
    }
    const keyed = Object.entries(document.paths).filter(([, { post }]) =>
      post?.parameters?.some(({ name, in: place }) => name === 'Idempotency-Key' && place === 'header'),
    )
    const paths = keyed.map(([path]) => path)
    for (const path of ['/v1/credits/checkout', '/v1/admin/payments/{paymentId}/refund'])
      assert.ok(paths.includes(path), path)
    assert.ok(!paths.includes('/v1/webhooks/tbank'))
  })

  test('staff alone can give a payment back', async () => {
    const begun = await begin(server.url, ann, 'tbank')
    const response = await fetch(`${server.url}/v1/admin/payments/${begun.paymentId}/refund`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ann.accessToken}` },
    })
    assert.equal(response.status, 403)
  })
})

test('without its configuration a way to pay is not there', async (t) => {
  const server = await startBackend()
  t.after(() => server.end())
  const ann = await register(server.url, 'ann')
  assert.equal((await fromBank(server.url, '{}')).status, 404)
  assert.equal((await fromTelegram(server.url, '{"update_id":1}', '')).status, 404)
  const { items } = await ask<{ items: { prices: object[] }[] }>(server.url, '/v1/credits/packs', ann)
  assert.ok(items.length > 0 && items.every(({ prices }) => prices.length === 0))
  for (const provider of ['stripe', 'tbank', 'stars', 'ton']) {
    const response = await fetch(`${server.url}/v1/credits/checkout`, {
      method: 'POST',
      headers: { ...json, authorization: `Bearer ${ann.accessToken}` },
      body: JSON.stringify({ tierId: 'credits_5000', provider }),
    })
    assert.equal(response.status, 422, provider)
  }
})

describe('several nodes', { skip: withoutServices }, () => {
  test('all that providers say, ten times, at once, in any order and at any node, has one effect', async (t) => {
    const { bank, telegram, toncenter, env } = await startProviders(t)
    const { a, b, nodes, database } = await startScene(t, 2, env)
    const people = await Promise.all(Array.from({ length: 4 }, (_, i) => register(i % 2 ? a : b, 'payer')))
    const deliveries: ((url: string) => Promise<Response>)[] = []
    const expected: { session: Session; begun: Begun; status: string; credits: number }[] = []
    for (const session of people) {
      const start = await creditsOf(a, session)
      const kept = await begin(a, session, 'tbank')
      for (const status of ['AUTHORIZED', 'CONFIRMED', 'REJECTED']) {
        const body = bank.notification(kept.paymentId, status)
        deliveries.push((url) => fromBank(url, body))
      }
      const refunded = await begin(b, session, 'stars')
      const { update, chargeId } = telegram.paid(refunded.paymentId)
      const back = telegram.refunded(refunded.paymentId, chargeId)
      for (const body of [update, back]) deliveries.push((url) => fromTelegram(url, body, telegram.secret))
      expected.push(
        { session, begun: kept, status: 'succeeded', credits: start + 5000 },
        { session, begun: refunded, status: 'refunded', credits: start + 5000 },
      )
    }
    const answers = await Promise.all(tenfold(deliveries).map((deliver, i) => deliver(i % 2 ? a : b)))
    assert.ok(answers.every(({ status }) => status === 200))
    for (const { session, begun, status } of expected) {
      await eventually(
        `${begun.paymentId} is ${status}`,
        async () => (await paymentOf(a, session, begun)).status === status,
      )
    }
    await nothingLeft(database.database)
    for (const { session, credits } of expected) assert.equal(await creditsOf(b, session), credits)
    await settledOnce(database.database)
    assert.ok(toncenter.requests.length <= 3, 'two nodes do not look twice as often')
    assertSound(...nodes)
  })

  test('a checkout that failed at one node and is tried again at both under its key is one payment', async (t) => {
    const { bank, env } = await startProviders(t)
    const { a, b, nodes, database } = await startScene(t, 2, env)
    const ann = await register(a, 'ann')
    const checkout = (url: string, key: string): Promise<Response> =>
      fetch(`${url}/v1/credits/checkout`, {
        method: 'POST',
        headers: { ...json, authorization: `Bearer ${ann.accessToken}`, 'idempotency-key': key },
        body: JSON.stringify({ tierId: 'credits_5000', provider: 'tbank' }),
      })
    for (const [i, fault] of faults.entries()) {
      if (fault === 'timeout') continue
      bank.fail(fault)
      const failed = await checkout(a, fault)
      assert.equal(failed.status, 502)
      assert.equal(((await failed.json()) as { code: string }).code, 'upstream_failed')
      const { items } = await ask<{ items: object[] }>(a, '/v1/billing/payments', ann)
      assert.equal(items.length, i - 1, 'what was not begun is not shown')
      bank.fail(undefined)
      const asked = bank.requests.length
      const answers = await Promise.all([a, b, a, b, a, b].map((url) => checkout(url, fault)))
      const bodies = (await Promise.all(answers.map((answer) => answer.json()))) as Begun[]
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
      for (const body of bodies) assert.deepEqual(body, bodies[0], 'all hear the same')
      assert.equal(bank.requests.length, asked + 1, 'the bank is asked once')
      const [row] = await database.database.query(sql<{ n: number }>`select count(*)::int as n from payments`)
      assert.equal(row?.n, i)
    }
    assertSound(...nodes)
  })

  test('a node killed between storing and applying: another one applies it, once', { timeout: 180_000 }, async (t) => {
    const { bank, telegram, toncenter, env } = await startProviders(t)
    const { a, nodes, database } = await startScene(t, 1, env)
    const rows = database.database
    const [ann, bob, cid] = (await Promise.all(['ann', 'bob', 'cid'].map((name) => register(a, name)))) as [
      Session,
      Session,
      Session,
    ]
    const people = [ann, bob, cid]
    const payments = [await begin(a, ann, 'tbank'), await begin(a, bob, 'stars'), await begin(a, cid, 'ton')] as const
    const { comment = '', nanoton = '0' } = payments[2].details ?? {}
    toncenter.transfer({ value: BigInt(nanoton), comment })

    // while somebody holds these rows, events can be stored and not applied
    const release = await holdUsers(
      t,
      rows,
      people.map(({ user }) => user.id),
    )
    assert.equal((await fromBank(a, bank.notification(payments[0].paymentId, 'CONFIRMED'))).status, 200)
    assert.equal((await fromTelegram(a, telegram.paid(payments[1].paymentId).update, telegram.secret)).status, 200)
    await nudge(database, 'ton-watch')
    await eventually('all are stored', async () => (await openEvents(rows)) === 3, 90_000)
    await nodes[0]?.kill()
    await release()
    assert.equal(await openEvents(rows), 3, 'none was applied')

    const successor = await startScene(t, 1, { ...env, database })
    // as if the time had passed after which what lies there is looked for
    await rows.query(sql`update provider_events set received_at = received_at - interval '1 minute'`)
    await nudge(database, 'provider-events-sweep')
    for (const [i, session] of people.entries()) {
      const begun = payments[i] as Begun
      await eventually(
        `the payment of ${session.user.username}`,
        async () => (await paymentOf(successor.a, session, begun)).status === 'succeeded',
        90_000,
      )
    }
    // the providers, that had no answer or repeat themselves, change nothing
    await fromBank(successor.a, bank.notification(payments[0].paymentId, 'CONFIRMED'))
    await nothingLeft(rows)
    await settledOnce(rows)
    assertSound(...successor.nodes)
  })
})

const openEvents = async (rows: Database): Promise<number> => {
  const [row] = await rows.query(sql<{ n: number }>`
    select count(*)::int as n from provider_events where processed_at is null`)
  return row?.n ?? 0
}

const nothingLeft = (rows: Database) =>
  eventually('every event is processed', async () => (await openEvents(rows)) === 0, 60_000)

/** Each payment that came in has one charge, each that was given back what it took, and all adds up. */
async function settledOnce(rows: Database): Promise<void> {
  const wrong = await rows.query(sql`
    select p.id, p.status, array_agg(t.amount order by t.seq) as amounts
    from payments p left join credit_transactions t on t.payment_id = p.id
    group by p.id
    having coalesce(array_agg(t.amount order by t.seq) filter (where t.amount is not null), '{}') not in (
      case p.status when 'succeeded' then array[p.credits] else '{}' end,
      case p.status when 'refunded' then array[p.credits, -p.credits] else array[p.credits] end
    )`)
  assert.deepEqual(wrong, [])
  await checkInvariants(rows)
}

/** Holds the rows of these users, under which payments are settled, until what it gives is called. */
async function holdUsers(t: TestContext, rows: Database, userIds: string[]): Promise<() => Promise<void>> {
  const gate = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const holding = rows.transact(async (em) => {
    await sql`select id from users where id = any(${userIds}::uuid[]) for no key update`.execute(
      em.getKysely() as never,
    )
    held.resolve()
    await gate.promise
  })
  t.after(() => gate.resolve())
  await held.promise
  return async () => {
    gate.resolve()
    await holding
  }
}

/** Adds a job that its schedule would add within the minute. */
async function nudge({ url, database }: OwnDatabase, name: string): Promise<void> {
  const jobs = createJobs({ store: { url }, log: pino({ level: 'silent' }) })
  await jobs.start()
  // defined after the start, so that its jobs are left to the servers
  const queue = jobs.define({ name, expireSeconds: 60, retries: 0, handle: async () => assert.fail() })
  await database.transact((em) => queue.enqueue(em, {}))
  await jobs.stop(1_000)
}
