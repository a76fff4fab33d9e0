import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { after, before, test } from 'node:test'
import { cast, historyOf, openGroup, sendUntilTheEnd } from '../messenger/scene.ts'
import { startBackend } from '../support/backend.ts'
import { connect } from '../support/people.ts'
import { startServer } from '../support/server.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), 'kintsugi-shutdown-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/** Asks for readiness until the answer is no; after that it is never yes again. */
async function readinessUntilTheEnd(url: string): Promise<(number | 'closed')[]> {
  const seen: (number | 'closed')[] = []
  while (seen.at(-1) !== 'closed') {
    const status = await fetch(`${url}/readyz`).then(
      async (response) => {
        await response.text()
        return response.status
      },
      () => 'closed' as const,
    )
    if (status !== seen.at(-1)) seen.push(status)
  }
  return seen
}

test('SIGTERM takes the server out of service, closes its sockets and loses nothing that was acknowledged', async () => {
  const server = await startBackend({ DATA_DIR: folder })
  try {
    const people = await cast(server.url, 'ann', 'ben', 'cat')
    const [ann] = people
    const conversationId = await openGroup(...people)
    const sending = people.map((person) => sendUntilTheEnd(person, conversationId))
    await ann.hears('messages:created')
    const readiness = readinessUntilTheEnd(server.url)
    const code = await server.stop()
    const acked = (await Promise.all(sending)).flat()
    assert.equal(code, 0)
    assert.match(server.output(), /shutting down/)
    const seen = await readiness
    assert.ok(['200,503,closed', '200,closed', '503,closed', 'closed'].includes(seen.join()), seen.join())
    assert.ok(acked.length > 0)

    const again = await startServer(server.env)
    try {
      const reader = await connect(again.url, ann.session)
      const stored = new Set<string>()
      for (let before: number | undefined, more = true; more; ) {
        const page = await reader.do('message:history', { conversationId, limit: 200, ...(before && { before }) })
        for (const { id } of page.messages) stored.add(id)
        before = page.messages[0]?.seq
        more = page.hasBefore
      }
      assert.deepEqual(
        acked.filter((id) => !stored.has(id)),
        [],
      )
      assert.ok((await historyOf(reader, conversationId)).length > 0)
      reader.close()
    } finally {
      await again.stop()
    }
  } finally {
    await server.end()
  }
})
