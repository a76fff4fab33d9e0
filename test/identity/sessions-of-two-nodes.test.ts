import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import type { Tokens } from '../../src/identity/identity.contract.ts'
import type { LoginSession } from '../../src/identity/sessions.contract.ts'
import { assertSound, startScene } from '../faults/scene.ts'
import { connect, type Person, register } from '../support/people.ts'
import { withoutServices } from '../support/services.ts'

/** As the issue has it: what ends at one node cuts the sockets of the other within a second of the answer. */
const cutLimitMs = 1_000
const graceSeconds = 10

type Login = Person['session']

const ask = (url: string, method: string, path: string, body?: object, as?: Tokens) =>
  fetch(`${url}/v1${path}`, {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(as && { authorization: `Bearer ${as.accessToken}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })

async function login(url: string, { user }: Login): Promise<Login> {
  const response = await ask(url, 'POST', '/auth/login', { username: user.username, password: 'correct horse' })
  assert.equal(response.status, 200)
  return (await response.json()) as Login
}

const refresh = (url: string, { refreshToken }: Tokens) => ask(url, 'POST', '/auth/refresh', { refreshToken })

/** The server cuts all these sockets at the latest a second after it has answered what was asked with that status. */
async function cuts(people: Person[], status: number, asking: () => Promise<Response>): Promise<void> {
  const cut = Promise.all(people.map(({ socket }) => new Promise((resolve) => socket.once('disconnect', resolve))))
  const response = await asking()
  await response.text()
  assert.equal(response.status, status)
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`not cut within ${cutLimitMs} ms`)), cutLimitMs)
  await Promise.race([cut, late.promise]).finally(() => clearTimeout(timer))
}

/** The socket is open, and the server does what it asks. */
const goesOn = (person: Person) => person.do('conversation:list', {})

test('logins on two nodes over Redis', { skip: withoutServices }, async (t) => {
  const { nodes, a, b, database } = await startScene(t, 2)
  const people: Person[] = []
  t.after(() => {
    for (const person of people) person.close()
  })
  const connected = async (url: string, session: Login): Promise<Person> => {
    const person = await connect(url, session)
    people.push(person)
    return person
  }
  /** Someone with two logins that have a socket at each node, and someone else at both. */
  async function arrange(name: string) {
    const one = await register(a, name)
    const two = await login(b, one)
    const other = await register(b, 'bystander')
    return {
      one,
      two,
      ofOne: [await connected(a, one), await connected(b, one)],
      ofTwo: [await connected(a, two), await connected(b, two)],
      bystanders: [await connected(a, other), await connected(b, other)],
    }
  }
  const all = (...groups: Person[][]) => Promise.all(groups.flat().map(goesOn))

  await t.test('one that is revoked at one node is cut at the other, and no other is', async () => {
    const { one, two, ofOne, ofTwo, bystanders } = await arrange('revoker')
    const list = await ask(a, 'GET', '/auth/sessions', undefined, one)
    const { items } = (await list.json()) as { items: LoginSession[] }
    const revoked = items.find(({ isCurrent }) => !isCurrent) ?? assert.fail('the other login is not listed')
    await cuts(ofTwo, 204, () => ask(a, 'DELETE', `/auth/sessions/${revoked.id}`, undefined, one))
    await all(ofOne, bystanders)
    assert.equal((await ask(b, 'GET', '/me', undefined, two)).status, 401)
    await assert.rejects(
      connect(b, two),
      (error: { data?: { code?: string } }) => error.data?.code === 'unauthenticated',
    )
    assert.equal((await refresh(b, two)).status, 401)
    assert.equal((await ask(b, 'DELETE', `/auth/sessions/${revoked.id}`, undefined, one)).status, 404)
  })

  await t.test('one that logs out at one node is cut at the other', async () => {
    const { one, ofOne, ofTwo, bystanders } = await arrange('leaver')
    await cuts(ofOne, 204, () => ask(a, 'POST', '/auth/logout', undefined, one))
    await all(ofTwo, bystanders)
  })

  await t.test('all of someone who logs out everywhere at one node are cut at the other', async () => {
    const { one, two, ofOne, ofTwo, bystanders } = await arrange('everywhere')
    await cuts([...ofOne, ...ofTwo], 204, () => ask(a, 'POST', '/auth/logout-all', undefined, one))
    await all(bystanders)
    assert.equal((await refresh(b, two)).status, 401)
  })

  await t.test('one whose token is used again at one node, after its trade at the other, is cut at both', async () => {
    const { one, ofOne, ofTwo, bystanders } = await arrange('robbed')
    const traded = (await (await refresh(b, one)).json()) as Login
    await database.database.query(sql`
      update refresh_tokens set rotated_at = rotated_at - make_interval(secs => ${graceSeconds + 1})
      where user_id = ${one.user.id}`)
    await cuts(ofOne, 401, () => refresh(a, one))
    await all(ofTwo, bystanders)
    assert.equal((await refresh(b, traded)).status, 401)
  })

  await t.test('all of someone who is banned at one node are cut at the other, and told why', async () => {
    const { one, two, ofOne, ofTwo, bystanders } = await arrange('rowdy')
    const staff = await register(a, 'staff')
    await database.database.query(sql`update users set role = 'moderator' where id = ${staff.user.id}`)
    const ban = { reason: 'Insults after a warning' }
    await cuts([...ofOne, ...ofTwo], 200, () => ask(a, 'POST', `/admin/users/${one.user.id}/ban`, ban, staff))
    for (const { heard } of [...ofOne, ...ofTwo])
      assert.ok(JSON.stringify(heard).includes(ban.reason), JSON.stringify(heard))
    await all(bystanders)
    assert.equal((await ask(b, 'GET', '/me', undefined, two)).status, 403)
    assert.equal((await refresh(b, two)).status, 403)
  })

  await t.test('a hundred refreshes of one token at both nodes at once go on in one login', async () => {
    const session = await register(a, 'tabs')
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => refresh(i % 2 ? a : b, session)))
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    const rows = await database.database.query(sql<{ families: number; tokens: number }>`
      select count(distinct family_id)::int as families, count(*)::int as tokens
      from refresh_tokens where user_id = ${session.user.id} and revoked_at is null`)
    assert.deepEqual(rows, [{ families: 1, tokens: 101 }])
  })

  assertSound(...nodes)
})
