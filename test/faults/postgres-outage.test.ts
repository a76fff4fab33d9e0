import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import type { Sent } from '../../src/client/index.ts'
import { run } from '../../src/database/database.ts'
import { type Ack, connect, join, type Person, register } from '../support/people.ts'
import { ownPostgres, useDatabase, withoutOwnPostgres, withoutServices } from '../support/services.ts'
import {
  assertSound,
  closing,
  eventually,
  hearsText,
  holds,
  makeGroup,
  say,
  signIn,
  startScene,
  storedMessages,
} from './scene.ts'

const bearer = ({ session }: Person) => ({ authorization: `Bearer ${session.accessToken}` })

const post = (url: string, sender: Person, conversationId: string) =>
  fetch(`${url}/v1/conversations/${conversationId}/messages`, {
    method: 'POST',
    headers: { ...bearer(sender), 'content-type': 'application/json' },
    body: JSON.stringify({ clientId: crypto.randomUUID(), content: 'by REST' }),
  })

async function assertUnavailable(response: Response): Promise<void> {
  const problem = (await response.json()) as { code: string; status: number }
  assert.deepEqual([response.status, problem.status, problem.code], [503, 503, 'unavailable'])
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
}

for (const [how, signal] of [
  ['restarted', 'SIGINT'],
  ['crashed', 'SIGQUIT'],
] as const) {
  test(`PostgreSQL ${how} under load: only retryable errors, and nothing acknowledged is lost`, {
    skip: withoutOwnPostgres,
  }, async (t) => {
    const postgres = await closing(t, ownPostgres())
    await postgres.start()
    const rows = await useDatabase(postgres)
    const { nodes, a } = await startScene(t, 1, { database: rows })
    const [ann, bob, cid] = (await Promise.all(['ann', 'bob', 'cid'].map((name) => join(a, name)))) as [
      Person,
      Person,
      Person,
    ]
    const latecomer = await register(a, 'dan')
    const id = await makeGroup(ann, bob, cid)
    const pair = await makeGroup(ann, bob)
    const client = await signIn(a, cid)
    t.after(async () => {
      for (const person of [ann, bob, cid]) person.close()
      await client.close()
    })

    let going = true
    const acknowledged = new Map<string, Sent>()
    const refused: Ack[] = []
    // each keeps some messages on the way, and sends a refused one again until it is taken
    const senders = [ann, bob, cid].flatMap((person) =>
      Array.from({ length: 3 }, async () => {
        while (going) {
          const input = { conversationId: id, clientId: crypto.randomUUID(), content: 'text' }
          for (;;) {
            const ack = (await person.ask('message:send', input)) as Ack<Sent>
            if (ack.ok) {
              acknowledged.set(input.clientId, ack.data)
              break
            }
            refused.push(ack)
            // a client would wait for longer
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
      }),
    )
    await eventually('there is load', () => acknowledged.size > 50)
    // the package's outbox: told once, it retries by itself
    const sendings = Array.from({ length: 40 }, (_, i) => client.send(id, `outbox ${i}`))

    await postgres.stop(signal)
    await eventually('a send is refused', () => refused.length > 0)
    await assertUnavailable(await post(a, ann, pair))
    await assertUnavailable(await fetch(`${a}/v1/conversations`, { headers: bearer(ann) }))
    assert.equal((await fetch(`${a}/readyz`)).status, 503)
    assert.equal((await fetch(`${a}/healthz`)).status, 200)
    const refusal = await connect(a, latecomer).then(
      () => undefined,
      (error: { data?: { code: string } }) => error.data?.code,
    )
    assert.equal(refusal, 'unavailable')
    assert.equal(
      [ann, bob, cid].every(({ socket }) => socket.connected),
      true,
      'sockets need no database to stay',
    )

    await postgres.start()
    const before = acknowledged.size
    await eventually('sends are taken again', () => acknowledged.size > before)
    await eventually('the node is ready', async () => (await fetch(`${a}/readyz`)).ok)
    going = false
    await Promise.all(senders)
    await Promise.all(sendings.map((sending) => sending.acknowledged))
    for (const ack of refused)
      assert.ok(!ack.ok && ack.error.retryable && ack.error.code === 'unavailable', JSON.stringify(ack))

    const stored = await storedMessages(rows.database, id)
    for (const [clientId, sent] of acknowledged) {
      assert.deepEqual([stored[sent.seq - 1]?.client_id, stored[sent.seq - 1]?.id], [clientId, sent.id])
    }
    assert.equal(stored.length, acknowledged.size + sendings.length, 'what was tried again is stored once')
    await eventually('the client has all', () => holds(client, id, stored, 50))
    const newcomer = await connect(a, latecomer)
    newcomer.close()
    assertSound(...nodes)
  })
}

test('a lock held for ever on conversations: their changes are refused in time, and others go on', {
  skip: withoutServices,
}, async (t) => {
  const { nodes, a, database } = await startScene(t, 1, { DATABASE_TIMEOUT_MS: '2000' })
  const [ann, bob] = await Promise.all([join(a, 'ann'), join(a, 'bob')])
  t.after(() => {
    for (const person of [ann, bob]) person.close()
  })
  const [locked, free] = [await makeGroup(ann, bob), await makeGroup(ann, bob)]
  const alsoLocked = [await makeGroup(ann, bob), await makeGroup(ann, bob), await makeGroup(ann, bob)]
  const { id: messageId } = await say(ann, locked)
  const late = { conversationId: locked, clientId: crypto.randomUUID(), content: 'late' }

  await database.database.transact(async (em) => {
    await run(em, sql`select from conversations where id = any (${[locked, ...alsoLocked]}::uuid[]) for update`)
    let refusals = 0
    const refusal = async (asking: Promise<{ code: string; retryable: boolean }>) => {
      const started = performance.now()
      const { code, retryable } = await asking
      refusals++
      assert.deepEqual([code, retryable], ['unavailable', true])
      assert.ok(performance.now() - started < 8_000)
    }
    const refused = [
      ...alsoLocked.map((conversationId) =>
        refusal(ann.refused('message:send', { conversationId, clientId: crypto.randomUUID(), content: 'late' })),
      ),
      refusal(bob.refused('message:send', late)),
      refusal(bob.refused('reaction:add', { conversationId: locked, messageId, emoji: '👍' })),
      post(a, ann, locked)
        .then((response) => assertUnavailable(response))
        .then(() => refusals++),
    ]
    let slowestMs = 0
    while (refusals < refused.length) {
      const started = performance.now()
      const { content } = await say(ann, free)
      await hearsText(bob, content)
      slowestMs = Math.max(slowestMs, performance.now() - started)
    }
    await Promise.all(refused)
    assert.ok(slowestMs < 1_000, `a message elsewhere took ${slowestMs} ms`)
  })

  assert.equal((await storedMessages(database.database, locked)).length, 1, 'what was refused is not stored')
  assert.equal((await bob.do('message:send', late)).seq, 2)
  assertSound(...nodes)
})
