import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import express, { type NextFunction, type Request, type Response } from 'express'
import jwt from 'jsonwebtoken'
import { sql } from 'kysely'
import { newId } from '../../src/kernel/ids.ts'
import type { Authentication } from '../../src/kernel/ports.ts'
import { jwtSecret, startIdentity, type TestIdentity, withCode } from '../support/identity.ts'

let identity: TestIdentity
let server: ReturnType<ReturnType<typeof express>['listen']>
let url: string

before(async () => {
  identity = await startIdentity()
  const app = express()
  app.get('/', identity.bearerAuthentication, (req, res) => {
    res.json((req as Request & { authentication?: Authentication }).authentication ?? 'nobody')
  })
  app.use((error: { code?: string }, _req: Request, res: Response, _next: NextFunction) => {
    res.json({ code: error.code ?? String(error) })
  })
  server = app.listen(0)
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
after(async () => {
  server.close()
  await identity.close()
})

const ask = (authorization?: string) =>
  fetch(url, { headers: authorization === undefined ? {} : { authorization }, signal: AbortSignal.timeout(5000) })

const overRest = async (authorization?: string): Promise<{ code?: string; actor?: { userId: string } } | 'nobody'> =>
  (await ask(authorization)).json() as never

/** The token is refused with this code at the handshake and over REST alike. */
async function assertRefused(token: string, code: string) {
  await assert.rejects(identity.authenticator.authenticate(token), withCode(code))
  assert.deepEqual(await overRest(`Bearer ${token}`), { code }, token)
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with any header, signed like ours: what the header says has to be what it is refused for. */
function signed(header: object, payload: object, secret = jwtSecret): string {
  const body = `${part(header)}.${part(payload)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

async function claimsOf(username: string) {
  const session = await identity.register(username)
  const { sessionId } = await identity.actorOf(session)
  const now = Math.floor(Date.now() / 1000)
  return {
    session,
    claims: { sub: session.user.id, sid: sessionId, role: 'user', iss: 'kintsugi', iat: now, exp: now + 900 },
  }
}

test('an access token opens both doors and says who and until when', async () => {
  const { session, claims } = await claimsOf('holder')
  const expected = { actor: { userId: claims.sub, kind: 'human', sessionId: claims.sid, role: 'user' } }
  const atHandshake = await identity.authenticator.authenticate(session.accessToken)
  assert.deepEqual(atHandshake.actor, expected.actor)
  assert.ok(Math.abs(atHandshake.expiresAt.getTime() - claims.exp * 1000) < 5000)
  assert.deepEqual(await overRest(`Bearer ${session.accessToken}`), JSON.parse(JSON.stringify(atHandshake)))
  // so that the refusals below are for what they change and nothing else
  assert.deepEqual((await identity.authenticator.authenticate(signed({ alg: 'HS256' }, claims))).actor, expected.actor)
})

test('a request without the header goes on as nobody, one with another is refused', async () => {
  assert.equal(await overRest(), 'nobody')
  const { session } = await claimsOf('schemes')
  for (const wrong of ['', 'Bearer', `Basic ${session.accessToken}`, session.accessToken, `Bearer a b`, 'Bearer é']) {
    assert.deepEqual(await overRest(wrong), { code: 'unauthenticated' }, wrong)
  }
})

test('long headers cost no time', async () => {
  const start = performance.now()
  await Promise.all(Array.from({ length: 8 }, () => overRest('a'.repeat(15_000))))
  // a pattern that takes quadratic time would need a second
  assert.ok(performance.now() - start < 300)
})

test('requests at once are answered each for its own token', async () => {
  const sessions = await Promise.all(['one', 'two', 'three'].map((name) => identity.register(`parallel-${name}`)))
  const asked = Array.from({ length: 30 }, (_, n) => sessions[n % 3]!)
  const answers = await Promise.all(asked.map(({ accessToken }) => overRest(`Bearer ${accessToken}`)))
  assert.deepEqual(
    answers.map((answer) => answer !== 'nobody' && answer.actor?.userId),
    asked.map(({ user }) => user.id),
  )
})

test('a token without signature is refused, whatever its header says', async () => {
  const { claims } = await claimsOf('unsigned')
  for (const alg of ['none', 'None', 'HS256', undefined]) {
    await assertRefused(`${part({ alg, typ: 'JWT' })}.${part(claims)}.`, 'unauthenticated')
  }
  await assertRefused(signed({ alg: 'none' }, claims), 'unauthenticated')
})

test('a token of another secret, algorithm or issuer is refused', async () => {
  const { claims } = await claimsOf('forged')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await assertRefused(signed({ alg: 'HS256' }, claims, 'x'.repeat(64)), 'unauthenticated')
  await assertRefused(signed({ alg: 'HS256' }, claims, ''), 'unauthenticated')
  await assertRefused(jwt.sign(claims, jwtSecret, { algorithm: 'HS512' }), 'unauthenticated')
  await assertRefused(jwt.sign(claims, privateKey, { algorithm: 'ES256' }), 'unauthenticated')
  await assertRefused(signed({ alg: 'HS256' }, { ...claims, iss: 'someone-else' }), 'unauthenticated')
  await assertRefused(signed({ alg: 'HS256' }, { ...claims, iss: undefined }), 'unauthenticated')
})

test('a key named or brought by the token is not used', async () => {
  const { claims } = await claimsOf('kid')
  const emptySecret = ''
  for (const kid of ['/dev/null', '../../../../dev/null', "x' union select '' --", 'none', 0, null, {}]) {
    await assertRefused(signed({ alg: 'HS256', kid }, claims, emptySecret), 'unauthenticated')
  }
  const brought = 'mine'.repeat(16)
  const jwk = { kty: 'oct', k: Buffer.from(brought).toString('base64url') }
  await assertRefused(signed({ alg: 'HS256', jwk, jku: 'http://127.0.0.1:1/' }, claims, brought), 'unauthenticated')
})

test('an expired token says so, unless it is forged as well', async () => {
  const { claims } = await claimsOf('late')
  const expired = { ...claims, exp: claims.iat - 1 }
  await assertRefused(signed({ alg: 'HS256' }, expired), 'token_expired')
  await assertRefused(signed({ alg: 'HS256' }, expired, 'x'.repeat(64)), 'unauthenticated')
})

test('a token of ours without the claims of ours is refused', async () => {
  const { claims } = await claimsOf('claimless')
  for (const wrong of [{ exp: undefined }, { sub: undefined }, { sid: 'x' }, { sub: "' or true --" }, { sub: 1 }]) {
    await assertRefused(signed({ alg: 'HS256' }, { ...claims, ...wrong }), 'unauthenticated')
  }
})

test('what is no token at all is refused', async () => {
  for (const wrong of ['', '.', '..', 'a.b.c', 'e30.e30.e30', `${part(null)}.${part(null)}.x`, 'a'.repeat(8000)]) {
    await assertRefused(wrong, 'unauthenticated')
  }
  await assert.rejects(identity.authenticator.authenticate({ length: 1 } as never), withCode('unauthenticated'))
})

test('a token is refused from the moment that its login ends', async () => {
  const { session } = await claimsOf('revoked')
  await identity.call('auth:logout', {}, await identity.actorOf(session))
  await assertRefused(session.accessToken, 'unauthenticated')
})

test('a token is refused from the moment that a refresh token of its login is used again', async () => {
  const { session } = await claimsOf('reused')
  const { accessToken, refreshToken } = await identity.refresh(session.refreshToken)
  await identity.age(11)
  await assert.rejects(identity.refresh(session.refreshToken), withCode('unauthenticated'))
  for (const token of [session.accessToken, accessToken]) await assertRefused(token, 'unauthenticated')
  await assert.rejects(identity.refresh(refreshToken), withCode('unauthenticated'))
})

test("a token for another user's login is refused", async () => {
  const [mine, other] = [await claimsOf('mine'), await claimsOf('other')]
  await assertRefused(signed({ alg: 'HS256' }, { ...mine.claims, sid: other.claims.sid }), 'unauthenticated')
  await assertRefused(signed({ alg: 'HS256' }, { ...mine.claims, sub: newId() }), 'unauthenticated')
})

test('a banned user hears so, also after the ban ended the login; a deleted one is unknown', async () => {
  const bad = await claimsOf('bad')
  await identity.ban(bad.session.user.id)
  await assertRefused(bad.session.accessToken, 'banned')
  await identity.database.query(sql`update refresh_tokens set revoked_at = now() where family_id = ${bad.claims.sid}`)
  await assertRefused(bad.session.accessToken, 'banned')
  const gone = await claimsOf('gone')
  await identity.remove(gone.session.user.id)
  await assertRefused(gone.session.accessToken, 'unauthenticated')
})

test("the role is the user's present one, not the token's", async () => {
  const { session, claims } = await claimsOf('climber')
  const claimed = signed({ alg: 'HS256' }, { ...claims, role: 'super_admin' })
  assert.equal((await identity.authenticator.authenticate(claimed)).actor.role, 'user')
  await identity.database.query(sql`update users set role = 'operator' where id = ${claims.sub}`)
  assert.equal((await identity.authenticator.authenticate(session.accessToken)).actor.role, 'operator')
})
