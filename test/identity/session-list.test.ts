import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { sql } from 'kysely'
import type { Session, Tokens } from '../../src/identity/identity.contract.ts'
import type { LoginSession } from '../../src/identity/sessions.contract.ts'
import { newId } from '../../src/kernel/ids.ts'
import type { Actor, Context } from '../../src/kernel/operation.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

let identity: TestIdentity
before(async () => {
  identity = await startIdentity()
})
after(() => identity.close())

interface Page {
  items: LoginSession[]
  nextCursor?: string
}

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const days = 24 * 3600

const from = (userAgent: string | undefined, deviceName?: string, ip = '192.0.2.1'): Partial<Context> => ({
  userAgent,
  ip,
  request: { header: (name) => (name === 'x-device-name' ? deviceName : undefined), cookie: () => undefined },
})

const login = (username: string, more?: Partial<Context>) =>
  identity.call<Session>('auth:login', { username, password }, undefined, more)

const refresh = ({ refreshToken }: Tokens, more?: Partial<Context>) =>
  identity.call<Tokens>('auth:refresh', { refreshToken }, undefined, more)

const list = (actor: Actor, input: object = {}) => identity.call<Page>('auth:list-sessions', input, actor)

const end = (actor: Actor, sessionId: string) => identity.call('auth:end-session', { sessionId }, actor)

const idsOf = async (actor: Actor) => (await list(actor)).items.map(({ id }) => id)

/** Lets the tokens of a login look older by these seconds, as if nothing had happened since. */
const ageLogin = ({ sessionId }: Actor, seconds: number) =>
  identity.database.query(sql`update refresh_tokens set created_at = created_at - make_interval(secs => ${seconds}),
    logged_in_at = logged_in_at - make_interval(secs => ${seconds}),
    rotated_at = rotated_at - make_interval(secs => ${seconds}),
    expires_at = expires_at - make_interval(secs => ${seconds}) where family_id = ${sessionId}`)

const seconds = (later: string, earlier: string) => Math.round((Date.parse(later) - Date.parse(earlier)) / 1000)

describe('the list of logins', () => {
  test('has one entry a login, however often it was refreshed, with its beginning and its latest use', async () => {
    const session = await identity.register('listed')
    const actor = await identity.actorOf(session)
    await ageLogin(actor, 3600)
    const once = await refresh(session, from(firefox, undefined, '198.51.100.7'))
    await ageLogin(actor, 60)
    await refresh(once, from(firefox, undefined, '2001:db8::1'))

    const { items, nextCursor } = await list(actor)
    assert.equal(nextCursor, undefined)
    assert.equal(items.length, 1)
    const { loggedInAt, lastUsedAt, expiresAt, ...rest } = items[0] ?? assert.fail()
    assert.deepEqual(rest, {
      id: actor.sessionId,
      device: { name: 'Firefox on Linux', userAgent: firefox },
      ip: '2001:db8::1',
      isCurrent: true,
    })
    assert.equal(seconds(lastUsedAt, loggedInAt), 3660)
    assert.equal(seconds(expiresAt, lastUsedAt), 7 * days)
    assert.ok(Math.abs(Date.parse(lastUsedAt) - Date.now()) < 60_000)
  })

  test('begins with the one used last and says which of them asks', async () => {
    const first = await identity.register('many')
    const [one, two, three] = [
      await identity.actorOf(first),
      await identity.actorOf(await login('many')),
      await identity.actorOf(await login('many')),
    ]
    assert.deepEqual(await idsOf(one), [three.sessionId, two.sessionId, one.sessionId])
    await refresh(first)
    const { items } = await list(two)
    assert.deepEqual(
      items.map(({ id, isCurrent }) => [id, isCurrent]),
      [
        [one.sessionId, false],
        [three.sessionId, false],
        [two.sessionId, true],
      ],
    )
  })

  test('leaves out what has ended, and what is not mine', async () => {
    const [mine, other] = [await identity.register('owner'), await identity.register('neighbour')]
    const actor = await identity.actorOf(mine)
    const [out, stolen, expired] = [await login('owner'), await login('owner'), await login('owner')]
    await identity.call('auth:logout', {}, await identity.actorOf(out))
    await refresh(stolen)
    await ageLogin(await identity.actorOf(stolen), 11)
    await assert.rejects(refresh(stolen), withCode('unauthenticated'))
    await ageLogin(await identity.actorOf(expired), 7 * days)
    assert.deepEqual(await idsOf(actor), [actor.sessionId])
    const neighbour = await identity.actorOf(other)
    assert.deepEqual(await idsOf(neighbour), [neighbour.sessionId])
  })

  test('comes in pages that miss and repeat nothing, also where logins are used meanwhile', async () => {
    const session = await identity.register('paged')
    const actor = await identity.actorOf(session)
    const others = [session, await login('paged'), await login('paged'), await login('paged'), await login('paged')]
    // at one moment: the id decides
    await identity.database.query(sql`update refresh_tokens set created_at = now() where user_id = ${session.user.id}`)
    const all = await idsOf(actor)
    assert.equal(all.length, 5)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page: Page = await list(actor, { limit: 2, cursor })
      assert.ok(page.items.length <= 2)
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
      if (seen.length === 2) await refresh(others.find(({ accessToken }) => accessToken === session.accessToken)!)
    } while (cursor)
    assert.deepEqual(seen, [...new Set(seen)])
    const missed = all.filter((id) => !seen.includes(id))
    assert.ok(
      missed.every((id) => id === actor.sessionId),
      'only one that moved to the front may be missed',
    )
  })

  test('takes no cursor of another list, nor a limit out of bounds', async () => {
    const actor = await identity.actorOf(await identity.register('careful'))
    const made = (key: unknown) => Buffer.from(JSON.stringify(key)).toString('base64url')
    const wrong = ['x', made([]), made(['2026-01-01T00:00:00Z', "' or true"]), made(['now', newId()]), made({})]
    for (const cursor of wrong) await assert.rejects(list(actor, { cursor }), withCode('invalid_request'))
    for (const limit of [0, 101, 1.5]) await assert.rejects(list(actor, { limit }), /limit/)
  })
})

describe('the name of a device', () => {
  const nameFor = async (more: Partial<Context>) => {
    const actor = await identity.actorOf(await login('named', more))
    const { items } = await list(actor)
    return items.find(({ isCurrent }) => isCurrent)?.device.name
  }
  before(() => identity.register('named'))

  test('is what its User-Agent says', async () => {
    const names: [string | undefined, string | undefined][] = [
      [firefox, 'Firefox on Linux'],
      [
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
        'Safari on iOS',
      ],
      [
        'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0',
        'Microsoft Edge on Windows',
      ],
      ['curl/8.5.0', 'curl'],
      ['(', undefined],
      ['', undefined],
      [undefined, undefined],
    ]
    for (const [userAgent, name] of names) assert.equal(await nameFor(from(userAgent)), name, userAgent)
  })

  test('is what the client calls itself, where it does', async () => {
    const names: [string, string | undefined][] = [
      ['Work laptop', 'Work laptop'],
      [encodeURIComponent('지민의 휴대폰 📱'), '지민의 휴대폰 📱'],
      ['100% mine', '100% mine'],
      ['  spaced%20 ', 'spaced'],
      [encodeURIComponent('a\0b\n<b>'), 'ab<b>'],
      [encodeURIComponent('📱'.repeat(100)), '📱'.repeat(64)],
      ['%00', 'Firefox on Linux'],
    ]
    for (const [header, name] of names) assert.equal(await nameFor(from(firefox, header)), name, header)
  })

  test('stays through refreshes, until the client calls itself otherwise', async () => {
    const session = await login('named', from(firefox, 'Old phone'))
    const actor = await identity.actorOf(session)
    const device = async () => (await list(actor)).items.find(({ isCurrent }) => isCurrent)?.device
    const second = await refresh(session, from('curl/8.5.0'))
    assert.deepEqual(await device(), { name: 'Old phone', userAgent: 'curl/8.5.0' })
    const third = await refresh(second, from(undefined, 'New phone'))
    assert.deepEqual(await device(), { name: 'New phone' })
    await refresh(third)
    assert.deepEqual(await device(), { name: 'New phone', userAgent: 'test' })
  })

  test('costs no time and no room, however long the header', async () => {
    const start = performance.now()
    const actor = await identity.actorOf(await login('named', from(`${'a/1 ('.repeat(3_000)}`, '%F0%9F'.repeat(2_000))))
    const { items } = await list(actor)
    const current = items.find(({ isCurrent }) => isCurrent)
    assert.ok(performance.now() - start < 1_000)
    assert.equal(current?.device.userAgent?.length, 400)
    assert.ok((current?.device.name?.length ?? 0) <= 64)
  })
})

describe('ending one of my logins', () => {
  test('ends its tokens and its sockets, and no other', async () => {
    const [desk, phone] = [await identity.register('ender'), await login('ender')]
    const [here, there] = [await identity.actorOf(desk), await identity.actorOf(phone)]
    const newer = await refresh(phone)
    const heard = identity.closedSessions.length
    await end(here, there.sessionId)
    assert.deepEqual(identity.closedSessions.slice(heard), [there.sessionId])
    for (const { accessToken, refreshToken } of [phone, newer]) {
      await assert.rejects(identity.authenticator.authenticate(accessToken), withCode('unauthenticated'))
      await assert.rejects(identity.refresh(refreshToken), withCode('unauthenticated'))
    }
    assert.deepEqual(await idsOf(here), [here.sessionId])
    await identity.refresh(desk.refreshToken)
    await end(here, here.sessionId)
    await assert.rejects(identity.authenticator.authenticate(desk.accessToken), withCode('unauthenticated'))
  })

  test('of which there is none, or none any more, or that is not mine, is not found alike and ends nothing', async () => {
    const [mine, other] = [await identity.register('trying'), await identity.register('untouched')]
    const [actor, stranger] = [await identity.actorOf(mine), await identity.actorOf(other)]
    const ended = await identity.actorOf(await login('trying'))
    await end(actor, ended.sessionId)
    const expired = await identity.actorOf(await login('trying'))
    await ageLogin(expired, 7 * days)
    const heard = identity.closedSessions.length
    const messages = new Set<string>()
    for (const id of [newId(), ended.sessionId, expired.sessionId, stranger.sessionId, stranger.userId]) {
      await assert.rejects(end(actor, id), (error: Error) => {
        messages.add(error.message)
        return withCode('not_found')(error)
      })
    }
    assert.equal(messages.size, 1)
    assert.deepEqual(identity.closedSessions.slice(heard), [])
    await identity.actorOf(other)
    await identity.refresh(other.refreshToken)
  })

  test('while it is being refreshed leaves no token of it behind', async () => {
    const here = await identity.actorOf(await identity.register('hasty'))
    for (let round = 0; round < 5; round++) {
      const session = await login('hasty')
      const { sessionId } = await identity.actorOf(session)
      const refreshes = Array.from({ length: 6 }, () => identity.refresh(session.refreshToken))
      await Promise.allSettled([...refreshes.slice(0, 3), end(here, sessionId), ...refreshes.slice(3)])
      assert.deepEqual(await idsOf(here), [here.sessionId])
    }
  })
})

test('a login that is banned hears so at its refresh, also once the ban has ended it', async () => {
  const session = await identity.register('banished')
  const { sessionId } = await identity.actorOf(session)
  await identity.ban(session.user.id)
  await identity.database.query(sql`update refresh_tokens set revoked_at = now() where family_id = ${sessionId}`)
  await assert.rejects(identity.refresh(session.refreshToken), withCode('banned'))
})
