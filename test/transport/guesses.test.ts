import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { createRedis } from '../../src/adapters/redis.ts'
import type { AppError } from '../../src/kernel/errors.ts'
import { guards } from '../../src/kernel/limits.ts'
import type { Guesses } from '../../src/kernel/ports.ts'
import { createGuesses } from '../../src/transport/guesses.ts'
import { closing, eventually } from '../faults/scene.ts'
import { ownRedis, useRedis, withoutOwnRedis } from '../support/services.ts'

const rule = { free: 3, seconds: 600, longestPause: 16 }
const rules = { ...guards, password: rule }

/** On one node, under a clock that the test moves. */
function alone(t: TestContext): { guesses: Guesses; pass(seconds: number): void } {
  t.mock.timers.enable({ apis: ['Date', 'setTimeout'] })
  return {
    guesses: createGuesses({ enabled: true, shared: undefined, rules }),
    pass: (seconds) => t.mock.timers.tick(seconds * 1000),
  }
}

/** Seconds until the next attempt may be made; undefined where this one was judged. */
async function refusedFor(attempt: Promise<unknown>): Promise<number | undefined> {
  try {
    await attempt
    return undefined
  } catch (error) {
    const { code, details } = error as AppError
    assert.equal(code, 'rate_limited')
    assert.deepEqual([details?.limit, details?.remaining], [rule.free, 0])
    return details?.retryAfterSeconds as number
  }
}

const judgedOf = async (attempts: Promise<unknown>[]): Promise<number> =>
  (await Promise.all(attempts.map(refusedFor))).filter((refused) => refused === undefined).length

async function useUp(guesses: Guesses, key = 'ann'): Promise<void> {
  for (let i = 0; i < rule.free; i++) await guesses.attempt('password', key)
}

test('after the free attempts each further one waits, twice as long as the one before, up to the longest pause', async (t) => {
  const { guesses, pass } = alone(t)
  await useUp(guesses)
  for (const pause of [2, 4, 8, 16, 16, 16]) {
    assert.equal(await refusedFor(guesses.attempt('password', 'ann')), pause)
    pass(pause - 0.5)
    assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 1)
    pass(0.5)
    assert.equal(await refusedFor(guesses.attempt('password', 'ann')), undefined)
  }
})

test('hammering during a pause makes neither it nor the next one longer', async (t) => {
  const { guesses, pass } = alone(t)
  await useUp(guesses)
  const refusals = await Promise.all(Array.from({ length: 50 }, () => refusedFor(guesses.attempt('password', 'ann'))))
  assert.deepEqual(new Set(refusals), new Set([2]))
  pass(2)
  await guesses.attempt('password', 'ann')
  assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 4)
})

test('of a hundred attempts at once on one node the free ones are judged', async (t) => {
  const { guesses, pass } = alone(t)
  const hundred = () => Array.from({ length: 100 }, () => guesses.attempt('password', 'ann'))
  assert.equal(await judgedOf(hundred()), rule.free)
  pass(2)
  assert.equal(await judgedOf(hundred()), 1)
})

test('each key and each guard counts for itself', async (t) => {
  const { guesses } = alone(t)
  await useUp(guesses)
  assert.equal(await refusedFor(guesses.attempt('password', 'ben')), undefined)
  assert.equal(await refusedFor(guesses.attempt('password_of_account', 'ann')), undefined)
  assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 2)
})

test('after the time that counts, attempts are free again', async (t) => {
  const { guesses, pass } = alone(t)
  await useUp(guesses)
  pass(rule.seconds)
  await useUp(guesses)
  assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 2)
})

test('forgiving forgets attempts and pauses', async (t) => {
  const { guesses, pass } = alone(t)
  await useUp(guesses)
  pass(2)
  await guesses.attempt('password', 'ann')
  await guesses.forgive('password', 'ann')
  await useUp(guesses)
  assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 2)
})

test('attempts that are taken back use nothing up, be they free or after a pause', async (t) => {
  const { guesses, pass } = alone(t)
  for (let i = 0; i < 20; i++) await (await guesses.attempt('password', 'ann')).takeBack()
  await useUp(guesses)
  pass(2)
  for (let i = 0; i < 20; i++) await (await guesses.attempt('password', 'ann')).takeBack()
  await guesses.attempt('password', 'ann')
  assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 4)
})

test('taking back a free attempt does not end the pause that another one began', async (t) => {
  const { guesses } = alone(t)
  const own = await guesses.attempt('password', 'ann')
  await guesses.attempt('password', 'ann')
  await guesses.attempt('password', 'ann')
  await own.takeBack()
  assert.equal(await refusedFor(guesses.attempt('password', 'ann')), 2)
})

test('turned off, nothing is counted', async () => {
  const guesses = createGuesses({ enabled: false, shared: undefined, rules })
  for (let i = 0; i < 100; i++) await (await guesses.attempt('password', 'ann')).takeBack()
  await guesses.forgive('password', 'ann')
})

/** Some nodes that share a Redis, under a prefix of their own. */
async function nodes(
  t: TestContext,
  { url }: { url: string },
  count: number,
  given: typeof rules = rules,
): Promise<{ prefix: string; guesses: Guesses[]; down(): void }> {
  const prefix = `test-${randomBytes(6).toString('hex')}`
  let up = true
  const guesses = Array.from({ length: count }, (_, i) => {
    const link = createRedis({ url, prefix, nodeId: `node-${i}`, log: pino({ level: 'silent' }) })
    t.after(() => link.close())
    return createGuesses({ enabled: true, shared: { limiter: link.limiter, isUp: () => up }, rules: given })
  })
  const client = new Redis(url)
  t.after(() => client.disconnect())
  await client.ping()
  // commands are not kept for a connection that is not there yet
  await eventually('each node reaches Redis', async () => {
    for (const [i, node] of guesses.entries()) await (await node.attempt('mail', `warm-up ${i}`)).takeBack()
    return (await client.keys(`${prefix}:guess:mail:*`)).length === count
  })
  const down = () => {
    up = false
  }
  return { prefix, guesses, down }
}

test('of a hundred attempts at once over two nodes the free ones are judged, and no more after a pause than one', {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, useRedis())
  const { guesses } = await nodes(t, redis, 2)
  const hundred = () => Array.from({ length: 100 }, (_, i) => (guesses[i % 2] as Guesses).attempt('password', 'ann'))
  assert.equal(await judgedOf(hundred()), rule.free)
  let judged = 0
  await eventually('the pause ends', async () => {
    judged = await judgedOf(hundred())
    return judged > 0
  })
  assert.equal(judged, 1)
})

test('what one node counts or forgives holds for the other, and a pause ends by itself', {
  skip: withoutOwnRedis,
}, async (t) => {
  const redis = await closing(t, useRedis())
  const { guesses } = await nodes(t, redis, 2)
  const [a, b] = guesses as [Guesses, Guesses]
  await a.attempt('password', 'ann')
  await b.attempt('password', 'ann')
  const started = performance.now()
  await a.attempt('password', 'ann')
  assert.equal(await refusedFor(b.attempt('password', 'ann')), 2)
  await eventually('the pause ends', async () => (await refusedFor(b.attempt('password', 'ann'))) === undefined)
  assert.ok(performance.now() - started > 1_900, 'it lasted two seconds')
  assert.equal(await refusedFor(a.attempt('password', 'ann')), 4)
  await b.forgive('password', 'ann')
  await useUp(a)
  assert.equal(await refusedFor(b.attempt('password', 'ann')), 2)
})

test('Redis is told neither names nor addresses, and keeps nothing for ever', { skip: withoutOwnRedis }, async (t) => {
  const redis = await closing(t, useRedis())
  const { guesses, prefix } = await nodes(t, redis, 1)
  const [node] = guesses as [Guesses]
  await useUp(node, 'ann@example.org 192.0.2.77')
  await refusedFor(node.attempt('password', 'ann@example.org 192.0.2.77'))
  const client = new Redis(redis.url)
  t.after(() => client.disconnect())
  const keys = (await client.keys(`${prefix}:*`)).filter((key) => key.includes(':password:'))
  assert.equal(keys.length, 3, keys.join())
  for (const key of keys) {
    assert.doesNotMatch(key, /ann|example|192/)
    assert.ok((await client.ttl(key)) > 0, key)
  }
})

test('while Redis is away each node counts for itself', { skip: withoutOwnRedis }, async (t) => {
  const redis = await closing(t, ownRedis())
  await redis.start()
  const { guesses, down } = await nodes(t, redis, 2)
  const [a, b] = guesses as [Guesses, Guesses]
  await redis.stop()
  // before the nodes have noticed, commands fail; after that they are not sent any more
  await a.attempt('password', 'ann')
  down()
  await a.attempt('password', 'ann')
  await a.attempt('password', 'ann')
  assert.equal(await refusedFor(a.attempt('password', 'ann')), 2)
  assert.equal(await refusedFor(b.attempt('password', 'ann')), undefined)
})
