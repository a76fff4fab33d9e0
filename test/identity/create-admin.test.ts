import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { Session } from '../../src/identity/identity.contract.ts'
import { createDatabase } from '../support/backend.ts'
import { register } from '../support/people.ts'
import { jwtSecret, startServer, type TestServer } from '../support/server.ts'

const root = join(import.meta.dirname, '../..')
const { DATABASE_URL, REDIS_URL = '' } = process.env

/** Where the rows are: the same for the command and for the servers. */
let env: Record<string, string>
let remove: () => Promise<void>
before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-admin-'))
  const database = DATABASE_URL ? await createDatabase(DATABASE_URL) : undefined
  env = {
    DATA_DIR: folder,
    ...(database && { DATABASE_URL: database.url, REDIS_URL, REDIS_PREFIX: database.name }),
  }
  remove = async () => {
    await database?.drop()
    await rm(folder, { recursive: true, force: true })
  }
})
after(() => remove())

interface Ran {
  code: number | null
  out: string
  err: string
}

/** Runs the command to its end. */
async function createAdmin(args: string[], given: { password?: string; typed?: string } = {}): Promise<Ran> {
  const { NODE_TEST_CONTEXT, ADMIN_PASSWORD, ...inherited } = process.env
  const child = spawn(process.execPath, ['src/create-admin.ts', ...args], {
    cwd: root,
    env: {
      ...inherited,
      ...{ DATABASE_URL: '', REDIS_URL: '', JWT_SECRET: jwtSecret },
      ...env,
      ...(given.password !== undefined && { ADMIN_PASSWORD: given.password }),
    },
  })
  child.stdin.end(given.typed ?? '')
  const exit = once(child, 'exit', { signal: AbortSignal.timeout(60_000) })
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await exit) as [number | null]
  return { code, out, err }
}

const named = (username: string): string[] => ['--username', username, '--email', `${username}@example.org`]

/** Runs something against a server, which has the embedded database for itself meanwhile. */
async function atServer<T>(work: (server: TestServer) => Promise<T>): Promise<T> {
  const server = await startServer(env)
  try {
    return await work(server)
  } finally {
    await server.stop()
  }
}

async function login({ url }: TestServer, username: string, password: string): Promise<Session | undefined> {
  const response = await fetch(`${url}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password }),
  })
  return response.status === 200 ? ((await response.json()) as Session) : undefined
}

async function staffStatus({ url }: TestServer, { accessToken }: { accessToken: string }): Promise<number> {
  const response = await fetch(`${url}/v1/admin/users`, { headers: { authorization: `Bearer ${accessToken}` } })
  return response.status
}

function assertRefused({ code, out, err }: Ran, reason: RegExp): void {
  assert.equal(code, 1, err)
  assert.match(err, reason)
  assert.doesNotMatch(err, /^\s+at /m, 'no stack')
  assert.equal(out, '')
}

test('accounts are made as super_admin, with a password that was given or is printed once', async () => {
  const inVariable = await createAdmin(named('Variable'), { password: 'from the environment' })
  const typed = await createAdmin(named('typed'), { typed: 'from the input\nand no further\n' })
  const made = await createAdmin(named('made'))
  for (const { code, err } of [inVariable, typed, made]) assert.deepEqual([code, err], [0, ''])
  assert.doesNotMatch(inVariable.out + typed.out, /from the/, 'a password that was given is not shown')
  const [, password = ''] = /password, which is not shown again: (\S{24})\n$/.exec(made.out) ?? []

  await atServer(async (server) => {
    const passwords = { Variable: 'from the environment', typed: 'from the input', made: password }
    for (const [username, secret] of Object.entries(passwords)) {
      const session = await login(server, username, secret)
      assert.ok(session, username)
      const { role, emailVerified, email } = session.user
      assert.deepEqual([role, emailVerified, email], ['super_admin', true, `${username.toLowerCase()}@example.org`])
      assert.equal(await staffStatus(server, session), 200)
    }
  })
})

test('an account that is there is promoted and keeps its password; a repeat changes nothing', async () => {
  const { user, accessToken } = await atServer(async (server) => {
    const session = await register(server.url, 'ann')
    assert.equal(await staffStatus(server, session), 403)
    return session
  })
  const promoted = await createAdmin(['--username', user.username.toUpperCase()], { password: 'another password' })
  assert.deepEqual([promoted.code, promoted.err], [0, ''])
  assert.match(promoted.out, /has the role super_admin now\. The password stays/)
  const again = await createAdmin(['--username', user.username, '--email', `${user.username}@EXAMPLE.org`])
  assert.deepEqual([again.code, again.out], [0, `${user.username} has the role super_admin already.\n`])
  await atServer(async (server) => {
    assert.equal(await staffStatus(server, { accessToken }), 200)
    assert.ok(await login(server, user.username, 'correct horse'))
    assert.equal(await login(server, user.username, 'another password'), undefined)
  })
})

test('what cannot be is refused in a sentence, and leaves nothing', async () => {
  assertRefused(await createAdmin([]), /--username NAME --email ADDRESS/)
  assertRefused(await createAdmin(['--password', 'x']), /--username NAME --email ADDRESS/)
  assertRefused(await createAdmin(['--username', 'newcomer']), /^email: /)
  assertRefused(await createAdmin(named('newcomer'), { password: 'password1' }), /^password: is too common/)
  const secret = 'a password of the operator'
  const taken = await createAdmin(['--username', 'newcomer', '--email', 'typed@example.org'], { password: secret })
  assertRefused(taken, /^This email is taken/)
  const other = await createAdmin(['--username', 'typed', '--email', 'newcomer@example.org'], { password: secret })
  assertRefused(other, /another address/)
  for (const { err } of [taken, other]) assert.ok(!err.includes(secret))
  await atServer(async (server) => assert.equal(await login(server, 'newcomer', secret), undefined))
})

test('an embedded database that a server has is not touched, and it is said who has it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kintsugi-admin-'))
  env = { DATA_DIR: folder }
  try {
    await atServer(async (server) => {
      const ran = await createAdmin(named('second'), { password: 'from the environment' })
      assertRefused(ran, new RegExp(`in use by process ${server.process.pid}\\. Stop that process`))
      assert.equal(await login(server, 'second', 'from the environment'), undefined)
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
