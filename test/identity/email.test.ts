import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import type { Me, Session } from '../../src/identity/identity.contract.ts'
import type { Actor } from '../../src/kernel/operation.ts'
import { createGuesses } from '../../src/transport/guesses.ts'
import { password, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'
import { codeIn, linkIn, mailBy, mailTo } from '../support/mail.ts'

let identity: TestIdentity
before(async () => {
  identity = await startIdentity()
})
after(() => identity.close())

/** A new account, and the code that was mailed to it. */
async function newcomer(username: string, at = identity) {
  const session = await at.register(username)
  const email = `${username}@example.org`
  const code = codeIn(await mailTo(at.mails, email))
  return { session, actor: await at.actorOf(session), email, code }
}

/** An account without address and password, as those who came through Telegram have. */
async function withoutAddress(username: string): Promise<Actor> {
  const actor = await identity.actorOf(await identity.register(username))
  await identity.database.query(sql`update users set email = null, password_hash = null where id = ${actor.userId}`)
  // by which one can log in again
  await identity.database.query(sql`insert into user_identities (provider, provider_user_id, user_id, profile)
    values ('telegram', ${actor.userId}, ${actor.userId}, '{}')`)
  return actor
}

const verify = (code: string, actor: Actor) => identity.call('auth:verify-email', { code }, actor)
const resend = (actor: Actor) => identity.call('auth:resend-verification', {}, actor)
const change = (newEmail: string, actor: Actor, proof: { password?: string } = { password }) =>
  identity.call('auth:change-email', { newEmail, ...proof }, actor)
const confirm = (code: string, actor: Actor) => identity.call('auth:confirm-email', { code }, actor)
const me = (actor: Actor) => identity.call<Me>('me:get', {}, actor)
const login = (email: string) => identity.call<Session>('auth:login', { email, password })

/** Asks for a change of address, and gives the code that was mailed to the new one. */
const codeFor = async (newEmail: string, actor: Actor) =>
  codeIn(await mailBy(identity.mails, newEmail, () => change(newEmail, actor)))

/** Another code than that. */
const otherThan = (code: string, by = 1) => String((Number(code) + by) % 1_000_000).padStart(6, '0')

/** Lets the user's codes look older. */
const ageCodes = ({ userId }: Actor, seconds: number) =>
  identity.database.query(sql`
    update one_time_codes set expires_at = expires_at - make_interval(secs => ${seconds}) where user_id = ${userId}`)

const attemptsOf = async ({ userId }: Actor) =>
  (
    await identity.database.query(
      sql<{ attempts: number }>`select attempts from one_time_codes where user_id = ${userId}`,
    )
  ).map(({ attempts }) => attempts)

test('registering mails six digits, and giving them back confirms the address', async () => {
  const { session, actor, code } = await newcomer('ada')
  assert.equal(session.user.emailVerified, false)
  await verify(` ${code}\n`, actor)
  assert.deepEqual(await me(actor), { ...session.user, emailVerified: true })
})

test('confirming an address once more changes nothing', async () => {
  const { actor, code } = await newcomer('twice')
  await verify(code, actor)
  await verify(code, actor)
  assert.equal((await me(actor)).emailVerified, true)
})

test('a registration that fails mails nothing', async () => {
  await newcomer('first')
  const since = identity.mails.length
  await assert.rejects(identity.register('FIRST', { email: 'second@example.org' }), withCode('conflict'))
  await newcomer('third')
  assert.deepEqual(
    identity.mails.slice(since).map(({ to }) => to),
    ['third@example.org'],
  )
})

test('after four wrong codes the right one still works; after five none does, until a new one is mailed', async () => {
  const patient = await newcomer('patient')
  for (let n = 1; n <= 4; n++) {
    await assert.rejects(verify(otherThan(patient.code, n), patient.actor), withCode('unprocessable'))
  }
  await verify(patient.code, patient.actor)

  const { actor, code, email } = await newcomer('guesser')
  for (let n = 1; n <= 5; n++) await assert.rejects(verify(otherThan(code, n), actor), withCode('unprocessable'))
  await assert.rejects(verify(code, actor), withCode('gone'))
  assert.equal((await me(actor)).emailVerified, false)
  await verify(codeIn(await mailBy(identity.mails, email, () => resend(actor))), actor)
  assert.equal((await me(actor)).emailVerified, true)
})

test('of ten wrong codes at once five are judged, and the right one comes too late', async () => {
  const { actor, code } = await newcomer('hasty')
  const guesses = Array.from({ length: 10 }, (_, n) => verify(otherThan(code, n + 1), actor))
  const answers = (await Promise.allSettled(guesses)).map(
    (result) => (result as { reason: { code: string } }).reason.code,
  )
  assert.deepEqual(answers.sort(), [...Array(5).fill('gone'), ...Array(5).fill('unprocessable')])
  assert.deepEqual(await attemptsOf(actor), [5])
  await assert.rejects(verify(code, actor), withCode('gone'))
})

test('a code is good for 15 minutes', async () => {
  const { actor, code, email } = await newcomer('slow')
  await ageCodes(actor, 15 * 60)
  await assert.rejects(verify(code, actor), withCode('gone'))
  const next = codeIn(await mailBy(identity.mails, email, () => resend(actor)))
  await ageCodes(actor, 14 * 60)
  await verify(next, actor)
})

test('only the newest code is good', async () => {
  const { actor, code, email } = await newcomer('impatient')
  const next = codeIn(await mailBy(identity.mails, email, () => resend(actor)))
  assert.notEqual(next, code)
  await assert.rejects(verify(code, actor), withCode('unprocessable'))
  await verify(next, actor)
})

test("another's code confirms nothing, and a stranger's attempts do not use up the owner's", async () => {
  const owner = await newcomer('owner')
  const stranger = await newcomer('stranger')
  for (let n = 1; n <= 5; n++) {
    await assert.rejects(verify(owner.code, stranger.actor), withCode('unprocessable'))
  }
  assert.equal((await me(stranger.actor)).emailVerified, false)
  await verify(owner.code, owner.actor)
})

test('a code is mailed anew only for an address that is there and not confirmed', async () => {
  const { actor, code } = await newcomer('confirmed')
  await verify(code, actor)
  await assert.rejects(resend(actor), withCode('conflict'))
  await assert.rejects(resend(await withoutAddress('chatter')), withCode('unprocessable'))
})

test('neither codes nor tokens are in the database, in no job and no log, and a hash does not lead back to them', async () => {
  const { actor, code, email } = await newcomer('secretive')
  const other = await codeFor('secretive@other.example', actor)
  const forgot = () => identity.call('auth:forgot-password', { email })
  const { token } = linkIn(await mailBy(identity.mails, email, forgot))
  assert.equal(Buffer.from(token, 'base64url').length, 32)
  const rows = await identity.database.query(sql<{ row: string }>`
    select c::text as row from one_time_codes c where user_id = ${actor.userId}
    union all select data::text || coalesce(output::text, '') from pgboss.job`)
  assert.ok(rows.length >= 6)
  const stored = rows.map(({ row }) => row).join('\n')
  for (const secret of [code, other, token]) {
    const plainHash = createHash('sha256').update(secret).digest('hex')
    for (const form of [`"${secret}"`, `\\x${Buffer.from(secret).toString('hex')}`, plainHash]) {
      assert.ok(!stored.includes(form), form)
    }
    assert.ok(!identity.logged.join('').includes(`"${secret}"`))
  }
  assert.ok(!stored.includes(token))
})

test('an address changes when the code that was mailed to the new one comes back; then the old one is told', async () => {
  const { session, actor, email, code: earlier } = await newcomer('mover')
  const code = await codeFor('mover@new.example', actor)
  assert.equal((await me(actor)).email, email)
  await assert.rejects(login('mover@new.example'), withCode('unauthenticated'))
  assert.equal(identity.mails.filter(({ to }) => to === email).length, 1, 'the old address is told at the end alone')

  const told = await mailBy(identity.mails, email, () => confirm(code, actor))

  assert.match(told.subject, /address was changed/)
  assert.ok(!told.text.includes('new.example'))
  assert.deepEqual(await me(actor), { ...session.user, email: 'mover@new.example', emailVerified: true })
  await login('mover@new.example')
  await assert.rejects(login(email), withCode('unauthenticated'))
  await assert.rejects(confirm(code, actor), withCode('gone'))
  await verify(earlier, actor)
  assert.equal((await me(actor)).email, 'mover@new.example')
})

test('a new address is written in lower case, whatever was typed', async () => {
  const { actor } = await newcomer('shouter')
  const mail = await mailBy(identity.mails, 'shouter@new.example', () => change('SHOUTER@New.Example', actor))
  await confirm(codeIn(mail), actor)
  assert.equal((await me(actor)).email, 'shouter@new.example')
})

test('a change of address asks for the password, and mails nothing without it', async () => {
  const { actor } = await newcomer('careful')
  const since = identity.mails.length
  for (const proof of [{ password: 'wrong password' }, {}]) {
    await assert.rejects(change('thief@example.net', actor, proof), withCode('unauthenticated'))
  }
  await codeFor('careful@new.example', actor)
  assert.deepEqual(
    identity.mails.slice(since).map(({ to }) => to),
    ['careful@new.example'],
  )
})

test('an account without a password takes a first address after a fresh login, and needs a new login 10 minutes later', async () => {
  const actor = await withoutAddress('telegram')
  const loginAge = (seconds: number) =>
    identity.database.query(sql`update refresh_tokens set logged_in_at = now() - make_interval(secs => ${seconds})
      where family_id = ${actor.sessionId}`)
  await loginAge(10 * 60 + 1)
  await assert.rejects(change('telegram@new.example', actor, {}), (error: { code: string; message: string }) => {
    assert.equal(error.code, 'unauthenticated')
    assert.match(error.message, /Log in again/)
    return true
  })
  await assert.rejects(change('telegram@new.example', actor), withCode('unauthenticated'))
  await loginAge(9 * 60)
  const mail = await mailBy(identity.mails, 'telegram@new.example', () => change('telegram@new.example', actor, {}))
  const since = identity.mails.length
  await confirm(codeIn(mail), actor)
  const { email, emailVerified } = await me(actor)
  assert.deepEqual({ email, emailVerified }, { email: 'telegram@new.example', emailVerified: true })
  await newcomer('after-telegram')
  assert.equal(identity.mails.length, since + 1, 'there is no old address to tell')
})

test("another's address: asking answers alike, and only who has the mailbox hears that it is taken", async () => {
  const taken = await newcomer('holder')
  const { actor, session } = await newcomer('coveter')
  assert.deepEqual(await change('free@new.example', actor), {})
  const mail = await mailBy(identity.mails, taken.email, async () =>
    assert.deepEqual(await change(taken.email, actor), {}),
  )
  const code = codeIn(mail)
  await assert.rejects(confirm(code, actor), withCode('conflict'))
  assert.deepEqual(await me(actor), session.user)

  const away = await codeFor('holder@new.example', taken.actor)
  await confirm(away, taken.actor)
  await confirm(code, actor)
  assert.equal((await me(actor)).email, taken.email)
})

test("one's own confirmed address is no change", async () => {
  const { actor, code, email } = await newcomer('settled')
  await verify(code, actor)
  await assert.rejects(change(email.toUpperCase(), actor), withCode('conflict'))
})

test('of several who confirm one new address at once, one gets it', async () => {
  const rivals = await Promise.all(['rival-a', 'rival-b', 'rival-c', 'rival-d'].map((name) => newcomer(name)))
  const wanted = 'wanted@new.example'
  const codes: string[] = []
  for (const { actor } of rivals) codes.push(await codeFor(wanted, actor))
  const results = await Promise.allSettled(rivals.map(({ actor }, n) => confirm(codes[n]!, actor)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const result of results) if (result.status === 'rejected') assert.ok(withCode('conflict')(result.reason))
})

test('codes for a new address are counted, expire and are replaced like others', async () => {
  const { actor } = await newcomer('wanderer')
  const first = await codeFor('wanderer@one.example', actor)
  const second = await codeFor('wanderer@two.example', actor)
  await assert.rejects(confirm(first, actor), withCode('unprocessable'))
  for (let n = 1; n <= 4; n++) await assert.rejects(confirm(otherThan(second, n), actor), withCode('unprocessable'))
  await assert.rejects(confirm(second, actor), withCode('gone'))
  const third = await codeFor('wanderer@three.example', actor)
  await ageCodes(actor, 15 * 60)
  await assert.rejects(confirm(third, actor), withCode('gone'))
  assert.equal((await me(actor)).email, 'wanderer@example.org')
})

test('a code serves the purpose and the person that it was mailed for, and nothing else', async () => {
  const { actor, code } = await newcomer('mixer')
  const other = await newcomer('outsider')
  const forNew = await codeFor('mixer@new.example', actor)
  await assert.rejects(verify(forNew, actor), withCode('unprocessable'))
  await assert.rejects(confirm(code, actor), withCode('unprocessable'))
  await assert.rejects(confirm(forNew, other.actor), withCode('gone'))
  assert.equal((await me(actor)).email, 'mixer@example.org')
  await confirm(forNew, actor)
})

test('a link to a new password that was mailed to the old address dies with the change', async () => {
  const { actor, email } = await newcomer('relocated')
  const link = await mailBy(identity.mails, email, () => identity.call('auth:forgot-password', { email }))
  await confirm(await codeFor('relocated@new.example', actor), actor)
  const reset = { token: linkIn(link).token, password: 'violet tram over lisbon' }
  await assert.rejects(identity.call('auth:reset-password', reset), withCode('gone'))
})

test('who was banned or deleted meanwhile changes nothing', async () => {
  for (const end of ['ban', 'remove'] as const) {
    const { actor, code } = await newcomer(`gone-${end}`)
    const forNew = await codeFor(`gone-${end}@new.example`, actor)
    await identity[end](actor.userId)
    const since = identity.mails.length
    await assert.rejects(verify(code, actor), withCode('unauthenticated'))
    await assert.rejects(confirm(forNew, actor), withCode('unauthenticated'))
    await assert.rejects(change('elsewhere@new.example', actor), withCode('unauthenticated'))
    await assert.rejects(resend(actor), withCode('unauthenticated'))
    assert.equal(identity.mails.length, since)
  }
})

test('mails that one can have sent, and codes that one may guess, are limited', async () => {
  const limited = await startIdentity({}, { guesses: createGuesses({ enabled: true, shared: undefined }) })
  try {
    const { actor, code } = await newcomer('pesterer', limited)
    const asMany = async (attempt: () => Promise<unknown>): Promise<number> => {
      for (let n = 0; n < 20; n++) {
        const refusal = await attempt().then(
          () => undefined,
          (error: { code: string }) => error,
        )
        if (refusal?.code === 'rate_limited') return n
      }
      return 20
    }
    assert.equal(await asMany(() => limited.call('auth:resend-verification', {}, actor)), 3)
    assert.equal(await asMany(() => limited.call('auth:verify-email', { code: otherThan(code) }, actor)), 10)

    // to one address, whoever asks
    const victim = 'victim@example.net'
    const askers = await Promise.all(['asker-a', 'asker-b'].map((name) => newcomer(name, limited)))
    let turn = 0
    const ask = () =>
      limited.call('auth:change-email', { newEmail: victim, password }, askers[turn++ % askers.length]!.actor)
    assert.equal(await asMany(ask), 3)
    assert.ok(limited.mails.filter(({ to }) => to === victim).length <= 3)
  } finally {
    await limited.close()
  }
})
