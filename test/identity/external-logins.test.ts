import assert from 'node:assert/strict'
import { randomInt, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Identity } from '../../src/identity/external-logins.contract.ts'
import type { Session } from '../../src/identity/identity.contract.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import { Reply, type ReplyCookie } from '../../src/kernel/reply.ts'
import { createGuesses } from '../../src/transport/guesses.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import { jobsDone } from '../support/mail.ts'
import { createBrowser, startProvider, type TestProvider, type Told } from '../support/openid.ts'
import { initData, widget } from '../support/telegram.ts'

const telegramBotToken = '123456789:AAF0000000000000000000000000000000000'
const publicUrl = 'http://kintsugi.test'

let identity: TestIdentity
let alpha: TestProvider
let beta: TestProvider
before(async () => {
  alpha = await startProvider({ name: 'alpha', publicUrl })
  beta = await startProvider({ name: 'beta', publicUrl })
  const openIdProviders = [alpha.provider, beta.provider]
  identity = await startIdentity({ telegramBotToken, publicUrl, openIdProviders })
})
after(async () => {
  await identity?.close()
  await Promise.all([alpha?.close(), beta?.close()])
})

const newId = (): string => String(randomInt(2 ** 47))
const newName = (): string => `n${randomUUID().slice(0, 8)}`
const seconds = (): string => String(Math.floor(Date.now() / 1000))

const widgetOf = (id: string, more: Record<string, string> = {}) => ({
  widget: widget(telegramBotToken, { id, auth_date: seconds(), ...more }),
})

const byTelegram = (id: string, more?: Record<string, string>): Promise<Session> =>
  identity.call('auth:telegram', widgetOf(id, more))

/** The password proves it where the account has one; the others have just logged in. */
const linkTelegram = (actor: Actor, id: string, proof: object = { password }): Promise<Identity> =>
  identity.call('identity:link-telegram', { ...widgetOf(id), ...proof }, actor)

const identitiesOf = async (actor: Actor): Promise<Identity[]> =>
  (await identity.call<{ items: Identity[] }>('identity:list', {}, actor)).items

const unlink = (actor: Actor, provider: string, proof: object = { password }) =>
  identity.call('identity:unlink', { provider, ...proof }, actor)

const linkAlpha = (actor: Actor, proof: object) =>
  identity.call<{ url: string }>('auth:openid-link', { provider: 'alpha', ...proof }, actor)

/** The subjects of the mails to an address that tell of identities, once no mail is on its way any more. */
async function toldOfIdentities(email: string): Promise<string[]> {
  await jobsDone(identity.database)
  const subjects = identity.mails.filter(({ to }) => to === email).map(({ subject }) => subject)
  return subjects.filter((subject) => subject.includes('linked'))
}

/** Goes through a login at the provider; what it gives calls the operation of the callback, as a transport would. */
async function throughProvider(provider: TestProvider, person: string, told?: Told): Promise<() => Promise<Session>> {
  if (told) provider.people.set(person, told)
  const name = provider.provider.name
  const begun = await run('auth:openid', { provider: name })
  assert.ok(begun instanceof Reply)
  const { headers = {}, cookies = [] } = begun.options
  const callback = `${publicUrl}/v1/auth/oauth/${name}/callback`
  const url = await createBrowser().followTo(callback, headers.Location ?? '', person)
  const input = { ...Object.fromEntries(new URL(url).searchParams), provider: name }
  return async () => {
    const reply = await run('auth:openid-callback', input, cookies)
    assert.ok(reply instanceof Reply)
    return reply.data as Session
  }
}

function run(
  name: string,
  input: object,
  cookies: ReplyCookie[] = [],
  headers: Record<string, string> = {},
): Promise<unknown> {
  const { operation } = identity.routes.find((route) => route.operation.name === name)!
  const jar = new Map(cookies.map((cookie) => [cookie.name, cookie.value]))
  const request = { header: (header: string) => headers[header], cookie: (cookie: string) => jar.get(cookie) }
  const context = { requestId: 'test', ip: '192.0.2.1', userAgent: 'test', request }
  return operation.run(operation.contract.input.parse(input) as never, context as never)
}

const byOpenId = async (provider: TestProvider, person: string, told?: Told): Promise<Session> =>
  (await throughProvider(provider, person, told))()

const verifyEmail = (id: string) =>
  identity.database.query(sql`update users set email_verified_at = now() where id = ${id}`)

async function count(what: ReturnType<typeof sql>): Promise<number> {
  const [row] = await identity.database.query(sql<{ n: number }>`select count(*)::int as n from ${what}`)
  return row?.n ?? -1
}

const rowOf = async (id: string) => {
  const [row] = await identity.database.query(sql<{ providerUserId: string; profile: unknown }>`
    select provider_user_id as "providerUserId", profile from user_identities where user_id = ${id}`)
  return row
}

test('who comes by Telegram gets an account without an address, and finds it again', async () => {
  const id = newId()
  const username = newName()
  const user = {
    id: 0,
    first_name: 'Minji',
    last_name: 'Kim',
    username,
    language_code: 'ko',
    photo_url: 'https://t.me/a.svg',
  }
  const proof = {
    initData: initData(telegramBotToken, { user: JSON.stringify(user).replace(':0', `:${id}`), auth_date: seconds() }),
  }
  const session = await identity.call<Session>('auth:telegram', proof)
  const { id: userId, createdAt, ...rest } = session.user
  assert.deepEqual(rest, {
    kind: 'human',
    username,
    displayName: 'Minji Kim',
    emailVerified: false,
    locale: 'ko',
    role: 'user',
  })
  assert.deepEqual(await rowOf(userId), {
    providerUserId: id,
    profile: { name: 'Minji Kim', picture: 'https://t.me/a.svg', locale: 'ko' },
  })
  const actor = await identity.actorOf(session)
  const again = await byTelegram(id, { first_name: 'Minji', last_name: 'Park' })
  assert.equal(again.user.id, userId)
  assert.equal(again.user.displayName, 'Minji Kim', 'what the account is called is its own')
  const [listed] = await identitiesOf(actor)
  assert.deepEqual(listed, { provider: 'telegram', name: 'Minji Park', linkedAt: listed?.linkedAt })
})

test('ids of 64 bits are told apart to the last digit, as numbers and as texts', async () => {
  const ids = ['9007199254740992', '9007199254740993', '18446744073709551614', '18446744073709551615']
  const sessions = await Promise.all(ids.map((id) => byTelegram(id)))
  assert.equal(new Set(sessions.map(({ user }) => user.id)).size, ids.length)
  for (const [at, id] of ids.entries()) {
    const user = { initData: initData(telegramBotToken, { user: `{"id":${id}}`, auth_date: seconds() }) }
    assert.equal((await identity.call<Session>('auth:telegram', user)).user.id, sessions[at]?.user.id)
    assert.equal((await rowOf(sessions[at]!.user.id))?.providerUserId, id)
  }
  const numeric = widgetOf('5')
  const first = await byTelegram('5')
  const asNumbers = { widget: { ...numeric.widget, id: 5, auth_date: Number(numeric.widget.auth_date) } }
  assert.equal((await identity.call<Session>('auth:telegram', asNumbers)).user.id, first.user.id)
  const lossy = { widget: { ...widgetOf('9007199254740993').widget, id: Number('9007199254740993') } }
  await assert.rejects(identity.call('auth:telegram', lossy), z.ZodError)
})

test('a proof of Telegram is one of two, and of no other form', async () => {
  const good = widgetOf(newId())
  const wrong = [
    {},
    { ...good, initData: 'x' },
    { initData: '' },
    { initData: 5 },
    { initData: 'x'.repeat(8193) },
    { widget: {} },
    { widget: { ...good.widget, more: '1' } },
    { widget: { ...good.widget, id: 1.5 } },
    { widget: { ...good.widget, first_name: 'x'.repeat(257) } },
    { widget: { ...good.widget, first_name: '\0' } },
    { ...good, more: 1 },
  ]
  for (const input of wrong)
    await assert.rejects(identity.call('auth:telegram', input), z.ZodError, JSON.stringify(input))
  const forged = { widget: { ...good.widget, first_name: 'Somebody' } }
  const before = await count(sql`users`)
  await assert.rejects(identity.call('auth:telegram', forged), withCode('unauthenticated'))
  assert.equal(await count(sql`users`), before)
})

test('a page that asks for the refresh token in a cookie gets it there by Telegram, too', async () => {
  const reply = await run('auth:telegram', widgetOf(newId()), [], { 'x-refresh-cookie': '1' })
  assert.ok(reply instanceof Reply)
  assert.deepEqual(Object.keys(reply.data as object).sort(), ['accessToken', 'expiresIn', 'user'])
  const [{ name, value = '' } = { name: '' }, ...others] = reply.options.cookies ?? []
  assert.deepEqual([name, others], ['kintsugi_refresh', []])
  await identity.refresh(value)
})

test('without a bot there is no login by Telegram', async () => {
  const other = await startIdentity({ telegramBotToken: undefined })
  try {
    await assert.rejects(other.call('auth:telegram', widgetOf(newId())), withCode('not_found'))
    const actor = await other.actorOf(await other.register('nobot'))
    await assert.rejects(
      other.call('identity:link-telegram', { ...widgetOf(newId()), password }, actor),
      withCode('not_found'),
    )
    assert.deepEqual(await other.call('auth:providers', {}), { items: [], telegram: false, guests: false })
  } finally {
    await other.close()
  }
})

test('twenty first logins of one identity at once make one account and twenty logins', async () => {
  const registered: string[] = []
  identity.events.on(
    'user.registered',
    async (_em, { userId }) =>
      () =>
        void registered.push(userId),
  )
  const id = newId()
  const sessions = await Promise.all(Array.from({ length: 20 }, () => byTelegram(id, { username: newName() })))
  const [userId, ...others] = new Set(sessions.map(({ user }) => user.id))
  assert.deepEqual(others, [])
  assert.equal(new Set((await Promise.all(sessions.map(identity.actorOf))).map(({ sessionId }) => sessionId)).size, 20)
  assert.deepEqual(registered, [userId], 'told once, after the commit')

  const person = newName()
  const told = { email: `${person}@example.org`, email_verified: true, preferred_username: person }
  const callbacks = await Promise.all(Array.from({ length: 20 }, () => throughProvider(alpha, person, told)))
  const logins = await Promise.all(callbacks.map((callback) => callback()))
  assert.equal(new Set(logins.map(({ user }) => user.id)).size, 1)
  assert.equal(logins[0]?.user.username, person)
  assert.equal(registered.length, 2)
})

test('twenty people of one name at once get twenty accounts', async () => {
  const name = newName()
  const sessions = await Promise.all(Array.from({ length: 20 }, () => byTelegram(newId(), { username: name })))
  const usernames = sessions.map(({ user }) => user.username)
  assert.equal(new Set(usernames).size, 20)
  assert.equal(usernames.filter((username) => username === name).length, 1)
  for (const username of usernames) assert.match(username, new RegExp(`^${name}(_\\d{1,8})?$`))
})

test('twenty logins at once by a proved address link the identity once', async () => {
  const local = await identity.register(newName())
  await verifyEmail(local.user.id)
  const person = newName()
  const told = { email: local.user.email!, email_verified: true }
  const callbacks = await Promise.all(Array.from({ length: 20 }, () => throughProvider(alpha, person, told)))
  const logins = await Promise.all(callbacks.map((callback) => callback()))
  assert.deepEqual([...new Set(logins.map(({ user }) => user.id))], [local.user.id])
  assert.equal(await count(sql`user_identities where user_id = ${local.user.id}`), 1)
  assert.deepEqual(await toldOfIdentities(local.user.email!), ['Your account was linked to alpha of the test'])
})

test('a registration and a login with the same new address at once make one account', async () => {
  for (let round = 0; round < 5; round++) {
    const person = newName()
    const callback = await throughProvider(beta, person, { email: `${person}@example.org`, email_verified: true })
    const [byMail, byProvider] = await Promise.allSettled([identity.register(person), callback()])
    assert.equal([byMail, byProvider].filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of [byMail, byProvider]) if (one.status === 'rejected') assert.ok(withCode('conflict')(one.reason))
    assert.equal(await count(sql`users where email = ${`${person}@example.org`}`), 1)
  }
})

test('first logins at two providers with one address at once make one account with both identities', async () => {
  for (let round = 0; round < 5; round++) {
    const person = newName()
    const told = { email: `${person}@example.org`, email_verified: true, preferred_username: newName() }
    const callbacks = [await throughProvider(alpha, person, told)]
    callbacks.push(await throughProvider(beta, person, { ...told, preferred_username: newName() }))
    const [one, two] = await Promise.all(callbacks.map((callback) => callback()))
    assert.equal(one?.user.id, two?.user.id)
    assert.equal((await identitiesOf(await identity.actorOf(one!))).length, 2)
  }
})

test('an unproved address of an account is taken over by nobody, and takes over nobody', async () => {
  const squatter = await identity.register(newName())
  const told = { email: squatter.user.email!.toUpperCase(), email_verified: true }
  const person = newName()
  const before = await count(sql`users`)
  await assert.rejects(byOpenId(alpha, person, told), withCode('conflict'))
  assert.equal(await count(sql`users`), before)
  assert.deepEqual(await identitiesOf(await identity.actorOf(squatter)), [])
  await verifyEmail(squatter.user.id)
  assert.equal((await byOpenId(alpha, person)).user.id, squatter.user.id, 'once it is proved, it counts')
})

test('one account at a provider is enough: a second one with the same address is not linked', async () => {
  const email = `${newName()}@example.org`
  const first = await byOpenId(alpha, newName(), { email, email_verified: true })
  await assert.rejects(
    byOpenId(alpha, newName(), { email, email_verified: true }),
    /This account is linked to another account at alpha of the test/,
  )
  assert.equal(await count(sql`user_identities where user_id = ${first.user.id}`), 1)
})

test('who is banned does not come in by any way', async () => {
  const id = newId()
  const person = newName()
  const told = { email: `${person}@example.org`, email_verified: true }
  const [one, two] = [await byTelegram(id), await byOpenId(alpha, person, told)]
  await identity.ban(one.user.id)
  await identity.ban(two.user.id)
  const logins = await count(sql`refresh_tokens`)
  await assert.rejects(byTelegram(id), withCode('banned'))
  await assert.rejects(byOpenId(alpha, person), withCode('banned'))
  await assert.rejects(byOpenId(beta, person, told), withCode('banned'), 'nor by the address')
  assert.equal(await count(sql`user_identities where user_id = ${two.user.id}`), 1)
  assert.equal(await count(sql`refresh_tokens`), logins)
})

test('the identity of a deleted account is free for a new one', async () => {
  const id = newId()
  const gone = await byTelegram(id)
  await identity.remove(gone.user.id)
  const sessions = await Promise.all(Array.from({ length: 5 }, () => byTelegram(id)))
  const [userId, ...others] = new Set(sessions.map(({ user }) => user.id))
  assert.deepEqual(others, [])
  assert.notEqual(userId, gone.user.id)
  const local = await identity.actorOf(await identity.register(newName()))
  await identity.remove(userId!)
  assert.equal((await linkTelegram(local, id)).provider, 'telegram')
})

test('who is signed in links Telegram and logs in by it; linking it again changes nothing', async () => {
  const session = await identity.register(newName())
  const actor = await identity.actorOf(session)
  const id = newId()
  const linked = await linkTelegram(actor, id)
  assert.equal((await byTelegram(id)).user.id, session.user.id)
  assert.deepEqual(await linkTelegram(actor, id), linked)
  await assert.rejects(linkTelegram(actor, newId()), withCode('conflict'))
  const stranger = await identity.actorOf(await identity.register(newName()))
  await assert.rejects(linkTelegram(stranger, id), withCode('conflict'))
  assert.deepEqual(await identitiesOf(stranger), [])
  assert.equal((await byTelegram(id)).user.id, session.user.id)
})

test('an access token alone links and unlinks nothing', async () => {
  const session = await identity.register(newName())
  const actor = await identity.actorOf(session)
  await linkTelegram(actor, newId())
  const stranger = await identity.actorOf(await identity.register(newName()))
  for (const proof of [{}, { password: 'wrong password' }, { password: '' }]) {
    await assert.rejects(linkAlpha(actor, proof), withCode('unauthenticated'))
    await assert.rejects(unlink(actor, 'telegram', proof), withCode('unauthenticated'))
    await assert.rejects(linkTelegram(stranger, newId(), proof), withCode('unauthenticated'))
  }
  assert.deepEqual(
    (await identitiesOf(actor)).map(({ provider }) => provider),
    ['telegram'],
  )
  assert.deepEqual(await identitiesOf(stranger), [])
  assert.equal(new URL((await linkAlpha(actor, { password })).url).origin, alpha.provider.issuer)
})

test('an account without a password links and unlinks within ten minutes of a login', async () => {
  const actor = await identity.actorOf(await byOpenId(beta, newName(), {}))
  const loginAge = (age: number) =>
    identity.database.query(sql`update refresh_tokens set logged_in_at = now() - make_interval(secs => ${age})
      where family_id = ${actor.sessionId}`)
  await loginAge(601)
  for (const proof of [{}, { password }]) {
    await assert.rejects(linkTelegram(actor, newId(), proof), withCode('unauthenticated'))
    await assert.rejects(linkAlpha(actor, proof), withCode('unauthenticated'))
    await assert.rejects(unlink(actor, 'beta', proof), withCode('unauthenticated'))
  }
  await loginAge(590)
  await linkTelegram(actor, newId(), {})
  await linkAlpha(actor, {})
  await unlink(actor, 'beta', {})
  assert.deepEqual(
    (await identitiesOf(actor)).map(({ provider }) => provider),
    ['telegram'],
  )
})

test('passwords guessed at links and unlinks are counted together, for the login that guesses', async () => {
  const openIdProviders = [alpha.provider]
  const guesses = createGuesses({ enabled: true, shared: undefined })
  const limited = await startIdentity({ telegramBotToken, publicUrl, openIdProviders }, { guesses })
  try {
    const session = await limited.register('guessed')
    const thief = await limited.actorOf(session)
    const owner = await limited.actorOf(await limited.call<Session>('auth:login', { username: 'guessed', password }))
    const attempts: [string, object][] = [
      ['auth:openid-link', { provider: 'alpha' }],
      ['identity:link-telegram', widgetOf(newId())],
      ['identity:unlink', { provider: 'telegram' }],
    ]
    const refusals: unknown[] = []
    for (let guess = 0; guess < 6; guess++) {
      const [name, input] = attempts[guess % attempts.length]!
      const attempt = limited.call(name, { ...input, password: `guess number ${guess}` }, thief)
      await attempt.catch(({ code }) => refusals.push(code))
    }
    assert.deepEqual(refusals, [...Array(5).fill('unauthenticated'), 'rate_limited'])
    for (const [name, input] of attempts)
      await assert.rejects(limited.call(name, { ...input, password }, thief), withCode('rate_limited'))
    assert.deepEqual(await limited.call('identity:list', {}, owner), { items: [] })
    await limited.call('identity:link-telegram', { ...widgetOf(newId()), password }, owner)
  } finally {
    await limited.close()
  }
})

test('the owner is told by mail of each way in that the account gets or loses, and of nothing else', async () => {
  const session = await identity.register(newName())
  const email = session.user.email!
  const actor = await identity.actorOf(session)
  const id = newId()
  await linkTelegram(actor, id)
  await linkTelegram(actor, id)
  await byTelegram(id)
  await assert.rejects(linkTelegram(actor, newId()), withCode('conflict'))
  assert.deepEqual(await toldOfIdentities(email), ['Your account was linked to Telegram'])
  await assert.rejects(unlink(actor, 'alpha'), withCode('not_found'))
  await unlink(actor, 'telegram')
  const unlinked = 'Your account was unlinked from Telegram'
  assert.deepEqual(await toldOfIdentities(email), ['Your account was linked to Telegram', unlinked])

  const person = newName()
  const own = await byOpenId(alpha, person, { email: `${person}@example.org`, email_verified: true })
  assert.deepEqual(await toldOfIdentities(own.user.email!), [], 'a new account is not told of how it came about')
  await linkTelegram(await identity.actorOf(own), newId())
  await assert.rejects(unlink(await identity.actorOf(await byTelegram(newId())), 'telegram'), withCode('unprocessable'))
  assert.deepEqual(await toldOfIdentities(own.user.email!), ['Your account was linked to Telegram'])

  const mails = identity.mails.length
  const nowhere = await identity.actorOf(await byOpenId(alpha, newName(), {}))
  await linkTelegram(nowhere, newId())
  await unlink(nowhere, 'alpha')
  await jobsDone(identity.database)
  assert.equal(identity.mails.length, mails, 'an account without an address has no mailbox')
})

test('of two users who link one identity at once one has it', async () => {
  for (let round = 0; round < 5; round++) {
    const id = newId()
    const actors = await Promise.all([1, 2].map(async () => identity.actorOf(await identity.register(newName()))))
    const results = await Promise.allSettled(actors.map((actor) => linkTelegram(actor, id)))
    const winner = results.findIndex(({ status }) => status === 'fulfilled')
    const [loser] = results.filter((result) => result.status === 'rejected')
    assert.ok(withCode('conflict')(loser?.reason))
    assert.equal((await byTelegram(id)).user.id, actors[winner]?.userId)
  }
})

test('a login that has ended, a banned user and a deleted one link and unlink nothing', async () => {
  const ended = await identity.actorOf(await identity.register(newName()))
  await identity.call('auth:logout', {}, ended)
  const bad = await identity.actorOf(await identity.register(newName()))
  await identity.ban(bad.userId)
  const gone = await identity.actorOf(await identity.register(newName()))
  await identity.remove(gone.userId)
  for (const actor of [ended, bad, gone, { ...ended, sessionId: bad.sessionId }]) {
    await assert.rejects(linkTelegram(actor, newId()), withCode('unauthenticated'))
    await assert.rejects(unlink(actor, 'telegram'), withCode('unauthenticated'))
    assert.equal(await count(sql`user_identities where user_id = ${actor.userId}`), 0)
  }
})

test('the last way to log in stays, also when two are given up at once', async () => {
  for (let round = 0; round < 5; round++) {
    const person = newName()
    const session = await byOpenId(alpha, person, {})
    const actor = await identity.actorOf(session)
    await linkTelegram(actor, newId())
    const results = await Promise.allSettled([unlink(actor, 'alpha'), unlink(actor, 'telegram')])
    const [refusal, ...more] = results.filter((result) => result.status === 'rejected')
    assert.deepEqual(more, [])
    assert.ok(withCode('unprocessable')(refusal?.reason))
    assert.equal((await identitiesOf(actor)).length, 1)
  }
  const local = await identity.actorOf(await identity.register(newName()))
  await linkTelegram(local, newId())
  await unlink(local, 'telegram')
  await assert.rejects(unlink(local, 'telegram'), withCode('not_found'))
  assert.deepEqual(await identitiesOf(local), [])
})

test('an identity at a provider that is not configured any more is no way to log in', async () => {
  const actor = await identity.actorOf(await byTelegram(newId()))
  await identity.database.query(sql`
    insert into user_identities (provider, provider_user_id, user_id, profile)
    values ('former', '1', ${actor.userId}, '{}')`)
  await assert.rejects(unlink(actor, 'telegram'), withCode('unprocessable'))
  await unlink(actor, 'former')
})

test('an account and its identity come into being together or not at all', async () => {
  const id = newId()
  let fail = true
  identity.events.on('user.registered', async () => {
    if (fail) throw new Error('a later feature fails')
    return undefined
  })
  const before = await count(sql`users`)
  await assert.rejects(byTelegram(id), /a later feature fails/)
  fail = false
  assert.equal(await count(sql`users`), before)
  assert.equal(await count(sql`user_identities where provider_user_id = ${id}`), 0)
  await byTelegram(id)
})

test('a new account is called as the provider says, in the forms that names have here', async () => {
  const tail = newName()
  const cases: [Told, RegExp, string | undefined][] = [
    [{ preferred_username: `${tail}.A-b_1`, name: 'N' }, new RegExp(`^${tail}\\.A-b_1$`), 'N'],
    [{ preferred_username: `${tail}.mail@corp.example` }, new RegExp(`^${tail}\\.mail$`), `${tail}.mail`],
    [{ name: `Zoë ${tail} Ñandú` }, new RegExp(`^Zoe_${tail}_Nandu$`), `Zoë ${tail} Ñandú`],
    [{ name: '김민지', email: `${tail}.kim@example.org` }, new RegExp(`^${tail}\\.kim$`), '김민지'],
    [{ name: '김민지' }, /^user_\d{1,4}$/, '김민지'],
    [{ name: '  ' }, /^user_\d{1,4}$/, undefined],
    [{}, /^user_\d{1,4}$/, undefined],
    [{ preferred_username: 'ab' }, /^user_\d{1,4}$/, undefined],
    [{ preferred_username: `${tail}-${'x'.repeat(5000)}` }, new RegExp(`^${tail}-x{22}$`), undefined],
    [{ preferred_username: `${tail}-${'x'.repeat(50)}` }, new RegExp(`^${tail}-x{17,21}_\\d{1,4}$`), undefined],
    [{ name: `${'x'.repeat(63)}😀` }, /^x{32}$/, 'x'.repeat(63)],
    [{ name: 'a\0b\ud800' }, /^(ab|user_\d{1,4})$/, 'ab\ufffd'],
  ]
  for (const [told, username, displayName] of cases) {
    const { user } = await byOpenId(alpha, newName(), told)
    assert.match(user.username, username, JSON.stringify(told).slice(0, 100))
    assert.equal(user.displayName, displayName ?? user.username)
  }
})

test('what is kept of a profile is bounded, and fit to be shown', async () => {
  const cases: [Told, object][] = [
    [
      { name: 'x'.repeat(100_000), picture: 'https://a.example/1', locale: 'en-US' },
      { name: 'x'.repeat(64), picture: 'https://a.example/1', locale: 'en-US' },
    ],
    [{ picture: 'http://a.example/1' }, {}],
    [{ picture: 'javascript:alert(1)' }, {}],
    [{ picture: `https://a.example/${'x'.repeat(2000)}` }, {}],
    [{ picture: 'x' }, {}],
    [{ locale: 'x'.repeat(1000) }, { locale: 'x'.repeat(35) }],
    [{ name: '\0\ud800' }, { name: '\ufffd' }],
    [{ name: 5 as never, picture: {} as never, locale: [] as never, email: true as never }, {}],
  ]
  for (const [told, profile] of cases) {
    const { user } = await byOpenId(alpha, newName(), told)
    assert.deepEqual((await rowOf(user.id))?.profile, profile)
    assert.match(user.locale, /^en(-US)?$/)
  }
})

test('an address in a form that is none here counts as none', async () => {
  for (const email of [
    'nobody',
    '@example.org',
    `${'x'.repeat(250)}@example.org`,
    'a b@example.org',
    'a@example.org\0',
    '',
  ]) {
    const { user } = await byOpenId(alpha, newName(), { email, email_verified: true })
    assert.deepEqual([user.email, user.emailVerified], [undefined, false])
  }
  const odd = { email: `${newName()}@example.org`, email_verified: 'false' as never }
  assert.equal((await byOpenId(alpha, newName(), odd)).user.emailVerified, false)
})

test('a password and a login by a provider lead to the same account', async () => {
  const session = await identity.register(newName())
  await verifyEmail(session.user.id)
  await byOpenId(alpha, newName(), { email: session.user.email!, email_verified: true })
  const login = await identity.call<Session>('auth:login', { username: session.user.username, password })
  assert.equal(login.user.id, session.user.id)
  assert.equal((await identitiesOf(await identity.actorOf(login))).length, 1)
})

test('what begins elsewhere is limited by address', () => {
  for (const name of [
    'auth:openid',
    'auth:openid-callback',
    'auth:openid-link',
    'auth:telegram',
    'identity:link-telegram',
  ]) {
    assert.equal(identity.routes.find(({ operation }) => operation.name === name)?.operation.limit, 'identity', name)
  }
})

test('no secret and no name of anyone is in the log', () => {
  const log = identity.logged.join('')
  assert.ok(!log.includes(telegramBotToken) && !log.includes(alpha.provider.clientSecret))
  assert.doesNotMatch(log, /@example\.org|eyJ|hash=/)
})
