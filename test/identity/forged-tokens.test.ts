import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import jwt from 'jsonwebtoken'
import type { LoginSession } from '../../src/identity/sessions.contract.ts'
import { newId } from '../../src/kernel/ids.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { connect, type Person, register } from '../support/people.ts'
import { jwtSecret } from '../support/server.ts'

/**
 * What a forger tries, at every door of a whole server: the routes of logins, the handshake, and the command by which a
 * socket takes a newer token. How each token fails is in access-tokens.test.ts; here it is that no door is without a lock.
 */
let server: Backend
let owner: Person
before(async () => {
  server = await startBackend()
  owner = await connect(server.url, await register(server.url, 'owner'))
})
after(async () => {
  owner?.close()
  await server?.end()
})

interface Claims {
  sub: string
  sid: string
  exp: number
  [name: string]: unknown
}

const claimsOf = (accessToken: string): Claims =>
  JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString())

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signed(header: object, claims: object, secret = jwtSecret): string {
  const body = `${part(header)}.${part(claims)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

const ask = (method: string, path: string, token: string) =>
  fetch(`${server.url}/v1${path}`, { method, headers: { authorization: `Bearer ${token}` } })

/** Each door by the code with which it refuses the token; `opened` where it does not. */
async function doors(token: string, sid: string): Promise<Record<string, string>> {
  const routes = [
    ['GET', '/auth/sessions'],
    ['DELETE', `/auth/sessions/${sid}`],
    ['POST', '/auth/logout'],
    ['POST', '/auth/logout-all'],
    ['GET', '/me'],
  ] as const
  const found: Record<string, string> = {}
  for (const [method, path] of routes) {
    const response = await ask(method, path, token)
    const text = await response.text()
    found[`${method} ${path}`] = response.ok ? 'opened' : (JSON.parse(text) as { code: string }).code
  }
  found.handshake = await connect(server.url, { ...owner.session, accessToken: token }).then(
    (person) => {
      person.close()
      return 'opened'
    },
    (error: { data?: { code: string } }) => error.data?.code ?? String(error),
  )
  const refreshed = await owner.ask('session:refresh', { token })
  found['session:refresh'] = refreshed.ok ? 'opened' : refreshed.error.code
  return found
}

async function assertRefused(token: string, sid: string, code: string, what: string) {
  for (const [door, said] of Object.entries(await doors(token, sid))) assert.equal(said, code, `${what} at ${door}`)
}

describe('at every door', () => {
  test('a forged token is refused', async () => {
    const { accessToken } = owner.session
    const claims = claimsOf(accessToken)
    const [head, body, signature] = accessToken.split('.')
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const brought = 'mine'.repeat(16)
    const jwk = { kty: 'oct', k: Buffer.from(brought).toString('base64url') }
    const other = await register(server.url, 'other')
    const forged: Record<string, string> = {
      'alg none': `${part({ alg: 'none', typ: 'JWT' })}.${body}.`,
      'alg none, signed': signed({ alg: 'none' }, claims),
      'alg nOnE with our signature': `${part({ alg: 'nOnE', typ: 'JWT' })}.${body}.${signature}`,
      'no signature': `${head}.${body}.`,
      'other claims under our signature': `${head}.${part({ ...claims, sub: other.user.id })}.${signature}`,
      'another secret': signed({ alg: 'HS256' }, claims, 'x'.repeat(48)),
      'an empty secret': signed({ alg: 'HS256' }, claims, ''),
      'another length of hash': jwt.sign(claims, jwtSecret, { algorithm: 'HS512' }),
      'a key pair': jwt.sign(claims, privateKey, { algorithm: 'RS256' }),
      'kid of an empty file': signed({ alg: 'HS256', kid: '../../../../../../dev/null' }, claims, ''),
      'kid with SQL': signed({ alg: 'HS256', kid: "x' union select 'key' --" }, claims, 'key'),
      'kid that is an object': signed({ alg: 'HS256', kid: { toString: 'x' } }, claims, brought),
      'a key that it brings': signed({ alg: 'HS256', jwk, jku: 'http://127.0.0.1:1/' }, claims, brought),
      'expired and forged': signed({ alg: 'HS256' }, { ...claims, exp: claims.exp - 86_400 }, 'x'.repeat(48)),
      "someone else's login": signed({ alg: 'HS256' }, { ...claims, sub: other.user.id }),
      'a login that never was': signed({ alg: 'HS256' }, { ...claims, sid: newId() }),
      'another issuer': signed({ alg: 'HS256' }, { ...claims, iss: 'someone-else' }),
      'a refresh token': owner.session.refreshToken,
    }
    for (const [what, token] of Object.entries(forged)) await assertRefused(token, claims.sid, 'unauthenticated', what)
    await assertUntouched()
  })

  test('an expired token is refused, and says that it has expired', async () => {
    const claims = claimsOf(owner.session.accessToken)
    const expired = signed({ alg: 'HS256' }, { ...claims, exp: Math.floor(Date.now() / 1000) - 1 })
    await assertRefused(expired, claims.sid, 'token_expired', 'expired')
    await assertUntouched()
  })

  test('a token of a login that was revoked is refused, and a claimed role is not believed', async () => {
    const response = await fetch(`${server.url}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: owner.username, password: 'correct horse' }),
    })
    const { accessToken } = (await response.json()) as { accessToken: string }
    const claims = claimsOf(accessToken)
    const staff = await ask('GET', '/admin/users', signed({ alg: 'HS256' }, { ...claims, role: 'super_admin' }))
    assert.equal(staff.status, 403)
    assert.equal((await ask('DELETE', `/auth/sessions/${claims.sid}`, owner.session.accessToken)).status, 204)
    await assertRefused(accessToken, claims.sid, 'unauthenticated', 'revoked')
    await assertUntouched()
  })
})

/** The owner's login goes on with its socket: none of it ended anything. */
async function assertUntouched() {
  const response = await ask('GET', '/auth/sessions', owner.session.accessToken)
  const { items } = (await response.json()) as { items: LoginSession[] }
  assert.deepEqual(
    items.map(({ isCurrent }) => isCurrent),
    [true],
  )
  await owner.do('conversation:list', {})
}
