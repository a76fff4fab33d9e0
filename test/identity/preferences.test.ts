import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import { type Preferences, preferencesContract } from '../../src/identity/preferences.contract.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import { startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

const standard: Preferences = {
  preferredModels: [],
  theme: 'light',
  emailNotifications: true,
  usageAlerts: true,
  timezone: 'UTC',
}

let identity: TestIdentity
before(async () => {
  identity = await startIdentity()
})
after(() => identity.close())

const someone = async (name: string): Promise<Actor> => identity.actorOf(await identity.register(name))
const get = (actor: Actor) => identity.call<Preferences>('preferences:get', {}, actor)
const update = (actor: Actor, changes: object) => identity.call<Preferences>('preferences:update', changes, actor)
const rows = (userId: string) =>
  identity.database.query(sql<Record<string, unknown>>`
    select preferred_models, theme, email_notifications, usage_alerts, timezone
    from user_preferences where user_id = ${userId}`)

test('before a choice the standards hold, and nothing is stored', async () => {
  const actor = await someone('ann')
  assert.deepEqual(await get(actor), standard)
  assert.deepEqual(await rows(actor.userId), [])
})

test('a change stores what is given and leaves the rest, at the first time and later', async () => {
  const [actor, other] = [await someone('ben'), await someone('cat')]
  assert.deepEqual(await update(actor, { theme: 'dark' }), { ...standard, theme: 'dark' })
  const models = ['gpt-4o', 'it\'s {a} "model", \\ 모델']
  assert.deepEqual(await update(actor, { preferredModels: models, emailNotifications: false }), {
    ...{ ...standard, theme: 'dark' },
    ...{ preferredModels: models, emailNotifications: false },
  })
  const all = {
    preferredModels: [],
    theme: 'light',
    emailNotifications: true,
    usageAlerts: false,
    timezone: 'Asia/Seoul',
  }
  assert.deepEqual(await update(actor, all), all)
  assert.deepEqual(await get(actor), all)
  assert.deepEqual(await rows(actor.userId), [
    { preferred_models: [], theme: 'light', email_notifications: true, usage_alerts: false, timezone: 'Asia/Seoul' },
  ])
  assert.deepEqual(await get(other), standard, 'nobody else has them')
})

test('changes of different fields at once are all kept', async () => {
  const actor = await someone('dan')
  await Promise.all(
    [
      ...[{ theme: 'dark' }, { emailNotifications: false }, { usageAlerts: false }, { timezone: 'Europe/Berlin' }],
      { preferredModels: ['a'] },
    ].map((change) => update(actor, change)),
  )
  assert.deepEqual(await get(actor), {
    preferredModels: ['a'],
    theme: 'dark',
    emailNotifications: false,
    usageAlerts: false,
    timezone: 'Europe/Berlin',
  })
})

test('a deleted account gets no row', async () => {
  const actor = await someone('eve')
  await identity.remove(actor.userId)
  await assert.rejects(update(actor, { theme: 'dark' }), withCode('not_found'))
  assert.deepEqual(await rows(actor.userId), [])
})

describe('what is no preference is refused', () => {
  const { input } = preferencesContract['preferences:update']
  const takes = (value: unknown) => input.safeParse(value).success

  test('a time zone has a name of the IANA database', () => {
    for (const timezone of ['Asia/Seoul', 'UTC', 'America/Argentina/Buenos_Aires', 'Asia/Calcutta', 'Etc/GMT+3'])
      assert.ok(takes({ timezone }), timezone)
    for (const timezone of ['', 'Seoul', '+09:00', '-03', 'Mars/Olympus', 'Asia/Seoul\0', "'; --", 9, null])
      assert.ok(!takes({ timezone }), String(timezone))
  })

  test('models are at most 20 names of at most 100 characters', () => {
    assert.ok(takes({ preferredModels: Array(20).fill('m'.repeat(100)) }))
    const bad = [Array(21).fill('m'), ['m'.repeat(101)], [' '], [''], [1], 'gpt-4o', ['a\0b'], ['\ud800'], null]
    for (const preferredModels of bad) assert.ok(!takes({ preferredModels }), JSON.stringify(preferredModels))
  })

  test('the rest has its own values, nothing is unknown, and something is given', () => {
    for (const value of [{}, { theme: 'blue' }, { theme: null }, { emailNotifications: 'yes' }, { usageAlerts: 1 }])
      assert.ok(!takes(value), JSON.stringify(value))
    for (const value of [{ theme: 'dark', more: 1 }, { userId: 'x' }, [], 'dark', null])
      assert.ok(!takes(value), JSON.stringify(value))
  })
})
