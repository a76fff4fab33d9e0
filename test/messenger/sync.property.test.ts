import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { CommandOutput, Message } from '../../src/messenger/messenger.contract.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { cast, historyOf, openGroup, type Person, send } from './scene.ts'

let server: Backend
before(async () => {
  server = await startBackend()
})
after(() => server.end())

/** The least that a client has to do: it knows nothing but the answers of `sync`. */
class Copy {
  messages = new Map<string, Message>()
  positions: Record<string, number> = {}
  /** From which seq on the copy must be whole, by conversation. */
  wholeFrom = new Map<string, number>()

  apply(page: CommandOutput<'sync'>): void {
    for (const id of [...page.removed, ...page.resets]) {
      for (const message of this.messages.values()) if (message.conversationId === id) this.messages.delete(message.id)
      delete this.positions[id]
      this.wholeFrom.delete(id)
    }
    for (const message of page.messages) {
      const known = this.messages.get(message.id)
      if (!known || known.change < message.change) this.messages.set(message.id, message)
    }
    for (const id of page.resets) {
      const seqs = page.messages.filter(({ conversationId }) => conversationId === id).map(({ seq }) => seq)
      this.wholeFrom.set(id, Math.min(...seqs, Number.MAX_SAFE_INTEGER))
    }
    Object.assign(this.positions, page.positions)
  }

  clone(): Copy {
    return Object.assign(new Copy(), {
      messages: new Map(this.messages),
      positions: { ...this.positions },
      wholeFrom: new Map(this.wholeFrom),
    })
  }
}

/** Numbers below `below` that follow from the seed (mulberry32), so that a failure can be seen again. */
function dice(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const emojis = ['👍', '🎉', '❤️']

/** One durable operation that may succeed or, having lost a race, be refused. */
async function act(
  roll: (below: number) => number,
  people: Person[],
  guest: Person,
  conversationIds: string[],
  sent: Map<string, string[]>,
) {
  const person = people[roll(people.length)] as Person
  const conversationId = conversationIds[roll(conversationIds.length)] as string
  const known = sent.get(conversationId) ?? []
  const messageId = known[roll(known.length || 1)]
  const kind = roll(10)
  if (kind < 4 || !messageId) {
    const { id } = await send(person, conversationId, `text ${roll(1_000)} @${guest.username}`)
    sent.set(conversationId, [...(sent.get(conversationId) ?? []), id])
    return
  }
  const emoji = emojis[roll(emojis.length)]
  const commands: [string, object][] = [
    ['message:edit', { messageId, content: `edited ${roll(1_000)}` }],
    ['message:delete', { messageId }],
    ['reaction:add', { messageId, emoji }],
    ['reaction:remove', { messageId, emoji }],
    ['participant:add', { userId: guest.id }],
    ['participant:remove', { userId: guest.id }],
  ]
  const [name, input] = commands[kind - 4] as [string, object]
  const ack = await person.ask(name, { conversationId, ...input })
  if (!ack.ok) assert.ok(['forbidden', 'gone', 'not_found'].includes(ack.error.code), `${name}: ${JSON.stringify(ack)}`)
}

async function toTheEnd(person: Person, copy: Copy, roll: (below: number) => number): Promise<void> {
  for (let more = true; more; ) {
    const page = await person.do('sync', { positions: copy.positions, limit: 1 + roll(60) })
    copy.apply(page)
    more = page.hasMore
  }
}

async function isRight(person: Person, copy: Copy, conversationIds: string[]): Promise<void> {
  for (const conversationId of conversationIds) {
    const isIn = (await person.ask('conversation:get', { conversationId })).ok
    const own = [...copy.messages.values()].filter((message) => message.conversationId === conversationId)
    if (!isIn) {
      assert.deepEqual(own, [])
      assert.equal(copy.positions[conversationId], undefined)
      continue
    }
    const wholeFrom = copy.wholeFrom.get(conversationId) ?? 0
    const stored = await historyOf(person, conversationId)
    const expected = stored.filter(({ id, seq }) => seq >= wholeFrom || copy.messages.has(id))
    assert.deepEqual(
      own.toSorted((a, b) => a.seq - b.seq),
      expected,
    )
  }
}

const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31))

test(`a copy kept by sync alone, from whatever position, ends as the history is (SEED=${seed})`, async () => {
  const roll = dice(seed)
  const [ann, ben, guest] = await cast(server.url, 'ann', 'ben', 'guest')
  const conversationIds = [
    await openGroup(ann, ben, guest),
    await openGroup(ben, ann),
    await openGroup(ann, guest, ben),
  ]
  for (const conversationId of conversationIds) {
    const [owner, other] = conversationId === conversationIds[1] ? [ben, ann] : [ann, ben]
    await owner.do('participant:update', { conversationId, userId: other.id, role: 'admin' })
  }
  const sent = new Map<string, string[]>()
  const readers = [ann, ben, guest]
  const live = new Map(readers.map((person) => [person, new Copy()]))
  const kept: [Person, Copy][] = []

  for (let round = 0; round < 60; round++) {
    await Promise.all([
      ...Array.from({ length: 6 }, () => act(roll, [ann, ben], guest, conversationIds, sent)),
      // a sync in the midst of changes must claim no more than it brings
      ...readers.map(async (person) => {
        if (roll(2) === 0) return
        const copy = live.get(person) as Copy
        if (roll(4) === 0) kept.push([person, copy.clone()])
        copy.apply(await person.do('sync', { positions: copy.positions, limit: 1 + roll(40) }))
      }),
    ])
  }

  for (const [person, copy] of [...live, ...kept]) {
    await toTheEnd(person, copy, roll)
    await isRight(person, copy, conversationIds)
  }
  assert.ok(kept.length > 5)
})
