import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { CommandInput, Message } from '../../src/messenger/messenger.contract.ts'
import { type Backend, startBackend } from '../support/backend.ts'
import { cast, openDirect, openGroup, type Person, refuses, send } from './scene.ts'

let server: Backend
let ann: Person
let ben: Person
let cat: Person
before(async () => {
  server = await startBackend()
  ;[ann, ben, cat] = await cast(server.url, 'ann', 'ben', 'cat')
})
after(() => server.end())

const oneTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)
const contents = (messages: Message[]) => messages.map(({ content }) => content)

describe('history', () => {
  let conversationId: string
  before(async () => {
    conversationId = await openDirect(ann, ben)
    await Promise.all(oneTo(10).map((n) => send(ann, conversationId, `${n}`)))
  })
  const page = async (more: Partial<CommandInput<'message:history'>>) => {
    const { messages, hasBefore, hasAfter } = await ben.do('message:history', { conversationId, ...more })
    return [messages.map(({ seq }) => seq), hasBefore, hasAfter]
  }

  test('is the newest messages where no place is named', async () => {
    assert.deepEqual(await page({}), [oneTo(10), false, false])
    assert.deepEqual(await page({ limit: 3 }), [[8, 9, 10], true, false])
    assert.deepEqual(await page({ limit: 10 }), [oneTo(10), false, false])
  })

  test('goes back from a place, that excluded', async () => {
    assert.deepEqual(await page({ before: 8, limit: 3 }), [[5, 6, 7], true, true])
    assert.deepEqual(await page({ before: 4, limit: 3 }), [[1, 2, 3], false, true])
    assert.deepEqual(await page({ before: 2, limit: 3 }), [[1], false, true])
    assert.deepEqual(await page({ before: 1 }), [[], false, true])
    assert.deepEqual(await page({ before: 0 }), [[], false, true])
    assert.deepEqual(await page({ before: 2_147_483_647, limit: 2 }), [[9, 10], true, false])
  })

  test('goes on from a place, that excluded', async () => {
    assert.deepEqual(await page({ after: 0, limit: 3 }), [[1, 2, 3], false, true])
    assert.deepEqual(await page({ after: 7, limit: 3 }), [[8, 9, 10], true, false])
    assert.deepEqual(await page({ after: 10 }), [[], true, false])
    assert.deepEqual(await page({ after: 2_147_483_647 }), [[], true, false])
  })

  test('shows what stands around a place, always a whole page where there is one', async () => {
    assert.deepEqual(await page({ around: 5, limit: 3 }), [[4, 5, 6], true, true])
    assert.deepEqual(await page({ around: 1, limit: 4 }), [[1, 2, 3, 4], false, true])
    assert.deepEqual(await page({ around: 10, limit: 4 }), [[7, 8, 9, 10], true, false])
    assert.deepEqual(await page({ around: 2_147_483_647, limit: 2 }), [[9, 10], true, false])
    assert.deepEqual(await page({ around: 0, limit: 2 }), [[1, 2], false, true])
    assert.deepEqual(await page({ around: 5, limit: 200 }), [oneTo(10), false, false])
  })

  test('of an empty conversation is empty', async () => {
    const empty = await openGroup(ann)
    for (const place of [{}, { before: 5 }, { after: 0 }, { around: 1 }]) {
      const found = await ann.do('message:history', { conversationId: empty, ...place })
      assert.deepEqual(found, { messages: [], hasBefore: false, hasAfter: false })
    }
  })

  test('takes one place at most, and pages of 1 to 200', async () => {
    const bad = [
      ...[{ before: 5, after: 1 }, { after: 1, around: 1 }, { before: -1 }, { before: 2_147_483_648 }, { around: 1.5 }],
      ...[{ after: '1' }, { limit: 0 }, { limit: 201 }, { before: null }, { after: { $gt: 0 } }],
    ]
    for (const place of bad) await refuses(ben, 'invalid_request', 'message:history', { conversationId, ...place })
  })
})

describe('search', () => {
  test('finds words in one’s own conversations, newest first, whatever their case', async () => {
    const [mine, both, theirs] = [await openGroup(ann), await openDirect(ann, ben), await openDirect(ben, cat)]
    await send(ann, mine, 'the Marmalade is mine')
    await send(ben, both, 'MARMALADE for us')
    await send(ben, theirs, 'marmalade for them')
    const find = async (more: object) =>
      contents((await ann.do('message:search', { query: 'marmalade', ...more })).messages)
    assert.deepEqual(await find({}), ['MARMALADE for us', 'the Marmalade is mine'])
    assert.deepEqual(await find({ conversationId: mine }), ['the Marmalade is mine'])
    assert.deepEqual(await find({ senderId: ben.id }), ['MARMALADE for us'])
    assert.deepEqual(await find({ senderId: cat.id }), [])
    await refuses(ann, 'not_found', 'message:search', { query: 'marmalade', conversationId: theirs })
  })

  test('follows edits, and ends with one’s participation', async () => {
    const conversationId = await openGroup(ann, ben)
    const { id: messageId } = await send(ann, conversationId, 'quince')
    await ann.do('message:edit', { conversationId, messageId, content: 'medlar' })
    const find = async (person: Person, query: string) => (await person.do('message:search', { query })).messages.length
    assert.deepEqual([await find(ben, 'quince'), await find(ben, 'medlar')], [0, 1])
    await ben.do('conversation:leave', { conversationId })
    assert.deepEqual([await find(ben, 'medlar'), await find(ann, 'medlar')], [0, 1])
  })

  test('reads a query as people type it: phrases, exclusions, alternatives', async () => {
    const conversationId = await openGroup(cat)
    for (const content of ['red green blue', 'blue green red', 'red only']) await send(cat, conversationId, content)
    const find = async (query: string) =>
      contents((await cat.do('message:search', { query, conversationId })).messages).sort()
    assert.deepEqual(await find('"red green"'), ['red green blue'])
    assert.deepEqual(await find('red -green'), ['red only'])
    assert.deepEqual(await find('only or blue'), ['blue green red', 'red green blue', 'red only'])
    assert.deepEqual(await find('red green'), ['blue green red', 'red green blue'])
  })

  test('takes any character for text', async () => {
    const conversationId = await openGroup(cat)
    const signs = [
      ...`%_\\'"!&|:*()<->@#$^;{}[]~\`?/,.=+`,
      '<->',
      '<2>',
      ':*',
      '!!',
      "''",
      '""',
      '\\\\',
      '--',
      '/*',
      '%%',
      '&&',
    ]
    await send(cat, conversationId, `wombat ${signs.join(' ')} kiwi`)
    for (const sign of signs) {
      await cat.do('message:search', { query: sign })
      const glued = await cat.do('message:search', { query: `wombat${sign}`, conversationId })
      assert.ok(Array.isArray(glued.messages), sign)
    }
    for (const query of [' ', '\n', 'or', '-', '"', '한국어 검색', '👍', 'a'.repeat(200)])
      await cat.do('message:search', { query })
    assert.equal((await cat.do('message:search', { query: "wombat's OR 1=1 --" })).messages.length, 0)
    for (const query of ['', 'a'.repeat(201), '\0', '\ud800', 5, null, ['x'], { x: 1 }]) {
      await refuses(cat, 'invalid_request', 'message:search', { query })
    }
  })

  test('pages through all that is found, once each', async () => {
    const conversationId = await openDirect(ann, cat)
    await Promise.all(oneTo(25).map((n) => send(n % 2 ? ann : cat, conversationId, `persimmon ${n}`)))
    const whole = (await ann.do('message:search', { query: 'persimmon', limit: 100 })).messages
    assert.deepEqual(
      whole.map(({ seq }) => seq),
      oneTo(25).toReversed(),
    )
    for (const limit of [1, 7, 25]) {
      const found: Message[] = []
      let cursor: string | undefined
      do {
        const page = await ann.do('message:search', { query: 'persimmon', limit, ...(cursor && { cursor }) })
        found.push(...page.messages)
        cursor = page.nextCursor
      } while (cursor)
      assert.deepEqual(found, whole)
    }
  })
})

describe('readers', () => {
  test('are those who have read up to the message or past it, with the time of the first such reading', async () => {
    const conversationId = await openGroup(ann, ben, cat)
    const [first, second] = [await send(ann, conversationId, 'one'), await send(ann, conversationId, 'two')]
    const readers = async (messageId: string) =>
      (await ann.do('message:readers', { conversationId, messageId })).readers
    assert.deepEqual(await readers(first.id), [])
    await ben.do('receipt:read', { conversationId, seq: 1 })
    const [early] = await readers(first.id)
    assert.equal(early?.userId, ben.id)
    await ben.do('receipt:read', { conversationId, seq: 2 })
    await cat.do('receipt:read', { conversationId, seq: 2 })
    assert.deepEqual(
      (await readers(first.id)).map(({ userId }) => userId),
      [ben.id, cat.id],
    )
    assert.deepEqual((await readers(first.id))[0], early)
    assert.deepEqual((await readers(second.id)).map(({ userId }) => userId).sort(), [ben.id, cat.id].sort())
    await cat.do('conversation:leave', { conversationId })
    assert.deepEqual(
      (await readers(second.id)).map(({ userId }) => userId),
      [ben.id],
    )
  })

  test('include those who have answered, and never the sender', async () => {
    const conversationId = await openDirect(ann, ben)
    const { id: messageId } = await send(ann, conversationId, 'question')
    await send(ben, conversationId, 'answer')
    const { readers } = await ann.do('message:readers', { conversationId, messageId })
    assert.deepEqual(
      readers.map(({ userId }) => userId),
      [ben.id],
    )
  })
})
