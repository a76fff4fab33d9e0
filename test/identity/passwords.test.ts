import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { hash } from '@node-rs/argon2'
import { sql } from 'kysely'
import { lockProved, type Proof, proveIt } from '../../src/identity/fresh-proof.ts'
import type { Session } from '../../src/identity/identity.contract.ts'
import { guards } from '../../src/kernel/limits.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import type { Guesses } from '../../src/kernel/ports.ts'
import { createGuesses } from '../../src/transport/guesses.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import { codeIn, jobsDone, linkIn, mailBy, mailTo } from '../support/mail.ts'
import { widget } from '../support/telegram.ts'

const telegramBotToken = '123456789:AAF0000000000000000000000000000000000'

let identity: TestIdentity
before(async () => {
  identity = await startIdentity({ publicUrl: 'https://chat.example.org/', telegramBotToken })
})
after(() => identity.close())

const newPassword = 'violet tram over lisbon'

const emailOf = (username: string) => `${username}@example.org`
/** A new account, whose first mail has come. */
async function join(username: string): Promise<Session> {
  const session = await identity.register(username)
  await mailTo(identity.mails, emailOf(username))
  return session
}
const login = (username: string, by = password) => identity.call<Session>('auth:login', { username, password: by })
const forgot = (email: string, at = identity) => at.call('auth:forgot-password', { email })
const reset = (token: string, to = newPassword) => identity.call('auth:reset-password', { token, password: to })
const change = (actor: Actor, currentPassword: string | undefined, to = newPassword) =>
  identity.call(
    'auth:change-password',
    { ...(currentPassword !== undefined && { currentPassword }), newPassword: to },
    actor,
  )

/** Asks for a link to a new password, and gives the token in it. */
const tokenFor = async (username: string) =>
  linkIn(await mailBy(identity.mails, emailOf(username), () => forgot(emailOf(username)))).token

const isLive = async ({ accessToken }: Session) =>
  identity.authenticator.authenticate(accessToken).then(
    () => true,
    () => false,
  )

/** Gives the user a hash that takes half a second to check. */
async function checkSlowly(userId: string): Promise<void> {
  const slow = await hash(password, { memoryCost: 19_456, timeCost: 60 })
  await identity.database.query(sql`update users set password_hash = ${slow} where id = ${userId}`)
}

test('the link of a mail sets a new password, ends every login with its sockets and confirms the address', async () => {
  const first = await join('forgetful')
  const second = await login('forgetful')
  const sessions = [await identity.actorOf(first), await identity.actorOf(second)].map(({ sessionId }) => sessionId)
  const mail = await mailBy(identity.mails, emailOf('forgetful'), () => forgot('Forgetful@Example.org'))
  const { link, token } = linkIn(mail)
  assert.equal(link.href, `https://chat.example.org/reset-password?token=${token}`)
  const heard = identity.closedSessions.length

  const told = await mailBy(identity.mails, emailOf('forgetful'), () => reset(token))

  assert.match(told.subject, /password was changed/)
  assert.deepEqual(identity.closedSessions.slice(heard).sort(), sessions.sort())
  assert.deepEqual(await Promise.all([isLive(first), isLive(second)]), [false, false])
  await assert.rejects(identity.refresh(second.refreshToken), withCode('unauthenticated'))
  await assert.rejects(login('forgetful'), withCode('unauthenticated'))
  const { user } = await login('forgetful', newPassword)
  assert.equal(user.emailVerified, true)
})

test('the answer to a forgotten password does not look at accounts: it is the same for known and unknown addresses', async () => {
  await join('known')
  await jobsDone(identity.database)
  const since = identity.mails.length
  const jobs = () =>
    identity.database.query(sql<{ data: { email: string } }>`
      select data from pgboss.job where name = 'forgot-password' and data->>'email' like '%known@example.org'`)
  // whatever asks for accounts fails now
  await identity.database.query(sql`alter table users rename to hidden_users`)
  try {
    for (const email of [emailOf('known'), emailOf('unknown')]) assert.deepEqual(await forgot(email), {})
  } finally {
    await identity.database.query(sql`alter table hidden_users rename to users`)
  }
  assert.deepEqual((await jobs()).map(({ data }) => data.email).sort(), [emailOf('known'), emailOf('unknown')])
  await jobsDone(identity.database)
  assert.deepEqual(
    identity.mails.slice(since).map(({ to }) => to),
    [emailOf('known')],
  )
})

test('a token that was used, replaced, forged or has expired sets nothing', async () => {
  const session = await join('expired')
  const replaced = await tokenFor('expired')
  const token = await tokenFor('expired')
  const age = (minutes: number) =>
    identity.database.query(sql`update one_time_codes set expires_at = expires_at - make_interval(mins => ${minutes})
      where user_id = ${session.user.id}`)
  const forged = Buffer.alloc(32, 7).toString('base64url')
  for (const bad of [replaced, forged, `${token}=`, token.slice(1), 'x', "' or true --"]) {
    await assert.rejects(reset(bad), withCode('gone'))
  }
  await age(60)
  await assert.rejects(reset(token), withCode('gone'))
  await age(-1)
  await reset(token)
  await assert.rejects(reset(token, 'another good password'), withCode('gone'))
  await login('expired', newPassword)
})

test('of eight who use one token at once, one sets the password', async () => {
  await join('contested')
  const token = await tokenFor('contested')
  const passwords = Array.from({ length: 8 }, (_, n) => `contested password ${n}`)
  const results = await Promise.allSettled(passwords.map((each) => reset(token, each)))
  const winners = passwords.filter((_, n) => results[n]?.status === 'fulfilled')
  assert.equal(winners.length, 1)
  for (const result of results) if (result.status === 'rejected') assert.ok(withCode('gone')(result.reason))
  await login('contested', winners[0])
})

test('a new password that is too common is refused, and the token still works', async () => {
  const session = await join('common')
  const token = await tokenFor('common')
  for (const bad of ['password123', 'COMMON@example.org']) {
    await assert.rejects(reset(token, bad), withCode('invalid_request'))
    await assert.rejects(change(await identity.actorOf(session), password, bad), withCode('invalid_request'))
  }
  await login('common')
  await reset(token)
})

test('nothing is mailed to who is banned or deleted, and their tokens set nothing', async () => {
  for (const end of ['ban', 'remove'] as const) {
    const { user } = await join(`ended-${end}`)
    const token = await tokenFor(`ended-${end}`)
    await identity[end](user.id)
    const since = identity.mails.length
    assert.deepEqual(await forgot(emailOf(`ended-${end}`)), {})
    await assert.rejects(reset(token), withCode('gone'))
    await jobsDone(identity.database)
    assert.equal(identity.mails.length, since)
  }
})

test('a new password ends the codes for a change of address that were asked for under the old one', async () => {
  for (const by of ['reset', 'change'] as const) {
    const actor = await identity.actorOf(await join(`robbed-${by}`))
    const code = codeIn(
      await mailBy(identity.mails, `thief-${by}@example.net`, () =>
        identity.call('auth:change-email', { newEmail: `thief-${by}@example.net`, password }, actor),
      ),
    )
    if (by === 'reset') await reset(await tokenFor(`robbed-${by}`))
    else await change(actor, password)
    await assert.rejects(identity.call('auth:confirm-email', { code }, actor), withCode('gone'))
  }
})

/** Data of the Login Widget for the person of that id. */
const telegramOf = (id: string) => ({
  widget: widget(telegramBotToken, { id, auth_date: String(Math.floor(Date.now() / 1000)) }),
})

/** Links Telegram, and waits for the mail that tells of it. */
async function linkTelegram(session: Session, id: string): Promise<void> {
  const actor = await identity.actorOf(session)
  await mailBy(identity.mails, session.user.email ?? '', () =>
    identity.call('identity:link-telegram', { ...telegramOf(id), password }, actor),
  )
}

const byTelegram = (id: string) => identity.call<Session>('auth:telegram', telegramOf(id))

test('who registered with an address of somebody else does not come in any more once its owner sets the password', async () => {
  const squatter = await join('squatted')
  const actor = await identity.actorOf(squatter)
  await linkTelegram(squatter, '711')
  await identity.database.query(sql`
    insert into user_identities (provider, provider_user_id, user_id, profile)
    values ('former', '711', ${actor.userId}, '{}')`)
  const token = await tokenFor('squatted')
  await assert.rejects(reset(`${token}x`), withCode('gone'))
  assert.equal((await byTelegram('711')).user.id, actor.userId, 'a link that fails unlinks nothing')
  await jobsDone(identity.database)
  const since = identity.mails.length

  await reset(token)

  assert.notEqual((await byTelegram('711')).user.id, actor.userId)
  const owner = await identity.actorOf(await login('squatted', newPassword))
  assert.deepEqual(await identity.call('identity:list', {}, owner), { items: [] })
  await jobsDone(identity.database)
  assert.deepEqual(
    identity.mails
      .slice(since)
      .map(({ to, subject }) => `${to}: ${subject}`)
      .sort(),
    [
      'squatted@example.org: Your account was unlinked from Telegram',
      'squatted@example.org: Your account was unlinked from former',
      'squatted@example.org: Your password was changed',
    ],
  )
})

test('a new password by mail leaves identities alone where the address was proved before', async () => {
  const session = await join('owner')
  await linkTelegram(session, '712')
  await identity.database.query(sql`update users set email_verified_at = now() where id = ${session.user.id}`)
  await reset(await tokenFor('owner'))
  assert.equal((await byTelegram('712')).user.id, session.user.id)
})

test('changing the password ends the other logins with their sockets, and this one goes on', async () => {
  const here = await join('changer')
  const there = await login('changer')
  const actor = await identity.actorOf(here)
  const heard = identity.closedSessions.length
  const { sessionId } = await identity.actorOf(there)
  const link = await tokenFor('changer')

  const told = await mailBy(identity.mails, emailOf('changer'), () => change(actor, password))

  assert.match(told.subject, /password was changed/)
  assert.deepEqual(identity.closedSessions.slice(heard), [sessionId])
  assert.deepEqual(await Promise.all([isLive(here), isLive(there)]), [true, false])
  await identity.refresh(here.refreshToken)
  await assert.rejects(login('changer'), withCode('unauthenticated'))
  const { user } = await login('changer', newPassword)
  assert.equal(user.emailVerified, false, 'only a mail that was read proves an address')
  await assert.rejects(reset(link), withCode('gone'))
})

test('without the present password nothing changes', async () => {
  const session = await join('guarded')
  const other = await login('guarded')
  const actor = await identity.actorOf(session)
  for (const wrong of ['wrong password', '', undefined]) {
    await assert.rejects(change(actor, wrong), withCode('unauthenticated'))
  }
  assert.equal(await isLive(other), true)
  await login('guarded')
  await assert.rejects(login('guarded', newPassword), withCode('unauthenticated'))
})

test('an account without a password gets its first one after a fresh login alone', async () => {
  const session = await join('passwordless')
  const actor = await identity.actorOf(session)
  const loginAge = (seconds: number) =>
    identity.database.query(sql`update refresh_tokens set logged_in_at = now() - make_interval(secs => ${seconds})
      where family_id = ${actor.sessionId}`)
  await identity.database.query(sql`update users set password_hash = null where id = ${actor.userId}`)
  await loginAge(601)
  await identity.refresh(session.refreshToken)
  await assert.rejects(change(actor, undefined), withCode('unauthenticated'))
  await loginAge(590)
  await change(actor, undefined)
  await login('passwordless', newPassword)
})

test('a login that was checked against the old password does not begin after the new one is set', async () => {
  const session = await join('racer')
  const actor = await identity.actorOf(session)
  const token = await tokenFor('racer')
  await checkSlowly(actor.userId)
  const late = login('racer')
  // a failure that comes early is not unhandled
  late.catch(() => {})
  await reset(token)
  await assert.rejects(late, withCode('unauthenticated'))
  const live = await identity.database.query(sql`
    select family_id from refresh_tokens where user_id = ${actor.userId} and revoked_at is null`)
  assert.deepEqual(live, [])
})

test('of two devices that change the password at once, one succeeds and the other is logged out', async () => {
  const first = await join('devices')
  const second = await login('devices')
  const actors = [await identity.actorOf(first), await identity.actorOf(second)]
  const passwords = ['first device chose this', 'second device chose this']
  const results = await Promise.allSettled(actors.map((actor, n) => change(actor, password, passwords[n])))
  const winner = results.findIndex(({ status }) => status === 'fulfilled')
  const loser = 1 - winner
  assert.equal(results[loser]?.status, 'rejected')
  assert.ok(withCode('unauthenticated')((results[loser] as PromiseRejectedResult).reason))
  await login('devices', passwords[winner])
  assert.deepEqual(await Promise.all([first, second].map(isLive)), winner === 0 ? [true, false] : [false, true])
})

test('what was proved holds as long as the password is the same and the login goes on', async () => {
  const guesses: Guesses = createGuesses({ enabled: false, shared: undefined })
  const { database } = identity
  const act = (actor: Actor, proof: Proof) => database.transact((em) => lockProved(em, actor, proof))

  const actor = await identity.actorOf(await join('proving'))
  const proof = await proveIt(database, actor, password, guesses)
  await act(actor, proof)
  const [row] = await database.query(sql<{ hash: string }>`
    select password_hash as hash from users where id = ${actor.userId}`)
  const [salt = '', digest = ''] = row?.hash.split('$').slice(-2) ?? []
  assert.ok(salt && digest)
  for (const part of [salt, digest]) assert.ok(!JSON.stringify(proof).includes(part), 'it tells nothing of the hash')
  await database.query(sql`update users set password_hash = password_hash || 'x' where id = ${actor.userId}`)
  await assert.rejects(act(actor, proof), withCode('unauthenticated'))

  const other = await identity.actorOf(await join('leaving'))
  const otherProof = await proveIt(database, other, password, guesses)
  await assert.rejects(act(actor, otherProof), withCode('unauthenticated'))
  await identity.call('auth:logout', {}, other)
  await assert.rejects(act(other, otherProof), withCode('unauthenticated'))
})

test('links that one can ask for, and passwords that a thief of a token may guess, are limited', async () => {
  const rules = { ...guards, password_of_account: { ...guards.password_of_account, free: 7 } }
  const limited = await startIdentity({}, { guesses: createGuesses({ enabled: true, shared: undefined, rules }) })
  const outcome = (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'ok',
      ({ code }: { code: string }) => code,
    )
  try {
    const session = await limited.register('wanted')
    // known or unknown, in whatever letters: the fourth has to wait
    for (const email of ['wanted@example.org', 'nobody@example.org']) {
      const outcomes: string[] = []
      for (const typed of [email, email.toUpperCase(), email, email])
        outcomes.push(await outcome(forgot(typed, limited)))
      assert.deepEqual(outcomes, ['ok', 'ok', 'ok', 'rate_limited'])
    }

    const thief = await limited.actorOf(session)
    const owner = await limited.actorOf(await limited.call('auth:login', { username: 'wanted', password }))
    const guess = (actor: Actor, currentPassword: string) =>
      outcome(limited.call('auth:change-password', { currentPassword, newPassword }, actor))
    const guesses = await Promise.all(Array.from({ length: 12 }, (_, n) => guess(thief, `guess number ${n}`)))
    assert.deepEqual(guesses.sort(), [...Array(7).fill('rate_limited'), ...Array(5).fill('unauthenticated')])
    assert.equal(await guess(owner, password), 'ok')
  } finally {
    await limited.close()
  }
})
